"""How much a trial promises, from the mean and the deviation of what is believed there.

All are for minimisation, and larger is better, but for `lower_confidence_bound`, of which the
smallest is sought. With z = (best − mean)/std, φ and Φ the normal density and distribution:

    EI = std (φ(z) + z Φ(z)),    PI = Φ(z),    LCB = mean − κ std
"""

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from course_lib.validation import number

_C1 = np.log(2 * np.pi) / 2
_FAR = 1e3  # from here on two terms of the series in 1/z² are exact, and the difference is not


def expected_improvement(mean, std, best):
    """By how much a trial will fall below the best value so far, on average.

    Parameters
    ----------
    mean, std : arrays of one shape
        Of a normal belief; std at least 0. Where it is 0, EI is max(best − mean, 0).
    best : float

    Returns
    -------
    array

    References
    ----------
    D. R. Jones, M. Schonlau, W. J. Welch, Efficient global optimization of expensive
    black-box functions, Journal of Global Optimization 13 (1998), equation 15.

    Examples
    --------
    >>> expected_improvement(np.array([0.0, 1.0]), np.array([1.0, 0.0]), 0.0).round(4)
    array([0.3989, 0.    ])
    """
    mean, std = np.asarray(mean, float), np.asarray(std, float)
    z = _standardized(mean, std, best)
    with np.errstate(over="ignore", invalid="ignore"):
        found = std * (np.exp(-(z**2) / 2 - _C1) + z * ndtr(z))
    return np.where(std > 0, np.maximum(found, 0.0), np.maximum(best - mean, 0.0))


def log_expected_improvement(mean, std, best):
    """The logarithm of the expected improvement, which does not underflow.

    The sum φ(z) + z Φ(z) cancels for z below 0, and both its terms vanish. There it is, with
    a = −z, φ(z) (1 − a √(π/2) erfcx(a/√2)), of which the logarithm is taken; and far below a
    series.

    Parameters
    ----------
    mean, std, best
        As in `expected_improvement`.

    Returns
    -------
    array
        −∞ where the improvement is 0.

    References
    ----------
    S. Ament et al., Unexpected improvements to expected improvement for Bayesian
    optimization, NeurIPS 2023, arXiv:2310.20708, equation 9.

    Examples
    --------
    >>> log_expected_improvement(np.array([0.0, 1e5]), np.array([1.0, 1.0]), 0.0).round(2)
    array([-9.20000000e-01, -5.00000002e+09])
    """
    mean, std = np.asarray(mean, float), np.asarray(std, float)
    z = _standardized(mean, std, best)
    with np.errstate(all="ignore"):
        near = np.log(np.exp(-(z**2) / 2 - _C1) + z * ndtr(z))
        a = -np.minimum(z, -1.0)
        middle = -(a**2) / 2 - _C1 + np.log1p(-a * np.sqrt(np.pi / 2) * erfcx(a / np.sqrt(2)))
        far = -(a**2) / 2 - _C1 - 2 * np.log(a) + np.log1p(-3 / a**2)
        log_h = np.where(z > -1, near, np.where(a < _FAR, middle, far))
        sure = np.log(np.maximum(best - mean, 0.0))
        return np.where(std > 0, log_h + np.log(std), sure)


def probability_of_improvement(mean, std, best):
    """How likely a trial is to fall below the best value so far.

    Parameters
    ----------
    mean, std, best
        As in `expected_improvement`.

    Returns
    -------
    array
        From 0 to 1.

    Examples
    --------
    >>> float(probability_of_improvement(0.0, 1.0, 0.0))
    0.5
    """
    mean, std = np.asarray(mean, float), np.asarray(std, float)
    return np.where(std > 0, ndtr(_standardized(mean, std, best)), (mean < best).astype(float))


def lower_confidence_bound(mean, std, kappa=2.0):
    """An optimist's guess, mean − κ std: the trial with the smallest is sought.

    Parameters
    ----------
    mean, std : arrays of one shape
    kappa : float
        κ ≥ 0.

    Returns
    -------
    array

    Raises
    ------
    ValueError
        If kappa is negative or not finite.

    Examples
    --------
    >>> float(lower_confidence_bound(1.0, 0.25, kappa=2.0))
    0.5
    """
    return np.asarray(mean, float) - number("kappa", kappa, least=0) * np.asarray(std, float)


def _standardized(mean, std, best):
    std = np.asarray(std, float)
    if (std < 0).any():
        raise ValueError(f"std must be at least 0, got {std.min()}")
    return (best - mean) / np.where(std > 0, std, 1.0)
