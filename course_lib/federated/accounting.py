"""What noise buys: the ε of training with clipped, noisy gradients of random batches.

    renyi_divergence    what one step gives away
    rdp_epsilon         what all steps give away, as (ε, δ)-differential privacy
    noise_for_epsilon   the least noise that keeps ε

A step takes each sample with probability q, sums what they say, each clipped to norm 1, and adds
Gaussian noise of standard deviation σ. Data sets are neighbours if one has a sample more.
"""

from bisect import bisect_left
from math import log, log1p

import numpy as np
from scipy.special import gammaln, logsumexp

from course_lib.validation import count, number, one_of

__all__ = ["renyi_divergence", "rdp_epsilon", "noise_for_epsilon"]

_ORDERS = 2**20     # no order beyond is tried
_PRECISION = 1e-10  # of the least noise, relative


def renyi_divergence(sampling_rate, noise_multiplier, alpha):
    """The Rényi divergence of order α of one noisy step, with and without one sample.

        D_α = 1/(α−1) log Σ_{k=0}^{α} C(α, k) (1−q)^{α−k} q^k exp(k(k−1)/(2σ²))

    It is that of (1−q) N(0, σ²) + q N(1, σ²) from N(0, σ²); the other way round is never more. The
    weights of the sum are a binomial's and sum to 1. So it is 1 plus the same sum with exp(x) − 1
    for exp(x), whose terms are positive: no digit is lost where q is small.

    Parameters
    ----------
    sampling_rate : float
        q, 0 ≤ q ≤ 1. With q = 1 the divergence is α/(2σ²).
    noise_multiplier : float
        σ ≥ 0: the noise's standard deviation over the clipping norm. Without noise the
        divergence is infinite.
    alpha : int, or array of int
        The order or orders, 2 at least.

    Returns
    -------
    float, or array of float of alpha's shape

    Raises
    ------
    TypeError, ValueError
        If an argument is no number, or out of range.

    References
    ----------
    I. Mironov, K. Talwar and L. Zhang, Rényi differential privacy of the sampled Gaussian
    mechanism, 2019, arXiv:1908.10530, section 3.3.

    Examples
    --------
    >>> print(renyi_divergence(sampling_rate=1.0, noise_multiplier=2.0, alpha=8))
    1.0
    >>> renyi_divergence(sampling_rate=0.01, noise_multiplier=1.0, alpha=np.array([2, 8])).round(5)
    array([0.00017, 0.00089])
    """
    q, sigma = _mechanism(sampling_rate, noise_multiplier)
    alpha = np.asarray(alpha)
    orders = [count("alpha", order, least=2) for order in alpha.ravel().tolist()]
    divergences = np.array([_divergence(q, sigma, order) for order in orders])
    return divergences.reshape(alpha.shape) if alpha.ndim else float(divergences[0])


def rdp_epsilon(sampling_rate, noise_multiplier, steps, delta, conversion="classical"):
    """The ε that T noisy steps keep, for a given δ, by Rényi divergences.

        classical   ε = min_α  T D_α + log(1/δ)/(α−1)
        tight       ε = min_α  T D_α + log((α−1)/α) − (log δ + log α)/(α−1),  0 at least

    over all integers α ≥ 2. Times α−1, either bound is convex in α, so the bound itself falls and
    then rises: bisection finds the least. Orders end at 2²⁰; if the least lies beyond, ε is
    at most (log(1/δ) + 15)/2²⁰ too large.

    Parameters
    ----------
    sampling_rate, noise_multiplier : float
        As in `renyi_divergence`. Every step draws its batch anew, each sample independently
        of the others; the bound says nothing of shuffled batches of a fixed size.
    steps : int
        T ≥ 0. Nothing is given away in no steps.
    delta : float
        0 < δ < 1.
    conversion : "classical" or "tight"

    Returns
    -------
    float
        Infinite if there is no noise.

    Raises
    ------
    TypeError, ValueError
        If an argument is no number, or out of range.

    References
    ----------
    classical: I. Mironov, Rényi differential privacy, CSF 2017, arXiv:1702.07476, proposition 3.
    tight: C. L. Canonne, G. Kamath and T. Steinke, The discrete Gaussian for differential
    privacy, NeurIPS 2020, arXiv:2004.00010, proposition 12; also B. Balle et al., Hypothesis
    testing interpretations and Rényi differential privacy, AISTATS 2020, arXiv:1905.09982,
    theorem 21, and S. Asoodeh et al., 2020, arXiv:2001.05990, equation 20.

    Examples
    --------
    Sixty epochs on sixty thousand samples, in batches of 256 on average:

    >>> for conversion in "classical", "tight":
    ...     print(f"{rdp_epsilon(256 / 60000, 1.12, steps=14062, delta=1e-5, conversion=conversion):.2f}")
    2.92
    2.52
    """
    q, sigma = _mechanism(sampling_rate, noise_multiplier)
    steps, delta, price = _budget(steps, delta, conversion)
    if steps == 0 or q == 0:
        return 0.0

    def bound(alpha):
        return steps * _divergence(q, sigma, alpha) + price(alpha, delta)

    def rises(alpha):
        return bound(alpha + 1) >= bound(alpha)

    top = 2
    while top < _ORDERS and not rises(top):
        top = 2 * top
    best = bisect_left(range(top), True, lo=max(2, top // 2), key=rises)
    return max(0.0, bound(best))


def noise_for_epsilon(epsilon, sampling_rate, steps, delta, conversion="classical"):
    """The least noise multiplier with which all steps keep ε.

    Parameters
    ----------
    epsilon : float
        ε > 0. One so small that no order up to 2²⁰ shows it, whatever the noise, is refused.
    sampling_rate, steps, delta, conversion
        As in `rdp_epsilon`.

    Returns
    -------
    float
        σ, by bisection to ten digits, rounded up: `rdp_epsilon` with it is never above ε.
        0 where nothing is given away.

    Raises
    ------
    TypeError, ValueError
        If an argument is no number, or out of range.

    Examples
    --------
    >>> sigma = noise_for_epsilon(epsilon=2.0, sampling_rate=0.01, steps=1000, delta=1e-5)
    >>> print(f"{sigma:.3f}", rdp_epsilon(0.01, sigma, steps=1000, delta=1e-5) <= 2.0)
    1.124 True
    """
    epsilon = number("epsilon", epsilon, above=0)
    q, _ = _mechanism(sampling_rate, 1.0)
    steps, delta, price = _budget(steps, delta, conversion)
    if steps == 0 or q == 0:
        return 0.0
    least = price(_ORDERS, delta)
    if epsilon <= least:
        raise ValueError(f"epsilon must be > {least:.3g}, what no noise can better with delta={delta:g}, got {epsilon!r}")

    def keeps(sigma):
        return rdp_epsilon(q, sigma, steps, delta, conversion) <= epsilon

    high = 1.0
    while not keeps(high):
        high = 2 * high
    while keeps(high / 2):
        high = high / 2
    low = high / 2
    while high - low > _PRECISION * high:
        middle = (low + high) / 2
        low, high = (low, middle) if keeps(middle) else (middle, high)
    return high


def _divergence(q, sigma, alpha):
    if q == 0:
        return 0.0
    with np.errstate(divide="ignore", over="ignore"):
        if q == 1:
            return float(alpha / (2 * np.square(sigma)))
        k = np.arange(2.0, alpha + 1)  # for k = 0 and k = 1 the exponent is 0
        exponent = k * (k - 1) / (2 * np.square(sigma))
        log_binomial = gammaln(alpha + 1) - gammaln(k + 1) - gammaln(alpha - k + 1)
        log_weight = log_binomial + k * log(q) + (alpha - k) * log1p(-q)
        log_excess = exponent + np.log(-np.expm1(-exponent))  # log(exp(exponent) − 1)
    log_sum = logsumexp(log_weight + log_excess)
    return float(np.logaddexp(0, log_sum) / (alpha - 1))


def _classical(alpha, delta):
    return -log(delta) / (alpha - 1)


def _tight(alpha, delta):
    return log1p(-1 / alpha) - (log(delta) + log(alpha)) / (alpha - 1)


_CONVERSIONS = {"classical": _classical, "tight": _tight}


def _mechanism(sampling_rate, noise_multiplier):
    q = number("sampling_rate", sampling_rate, least=0, most=1)
    return q, np.float64(number("noise_multiplier", noise_multiplier, least=0))


def _budget(steps, delta, conversion):
    steps = count("steps", steps, least=0)
    delta = number("delta", delta, above=0, below=1)
    return steps, delta, _CONVERSIONS[one_of("conversion", conversion, tuple(_CONVERSIONS))]
