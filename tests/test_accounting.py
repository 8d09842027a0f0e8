"""Privacy accounting: published ε, and bounds that a second computation of the same privacy never passes."""

import math
import re
import warnings
from functools import cache

import mpmath as mp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.fft import irfft, rfft
from scipy.special import log_ndtr, logsumexp, ndtr

from course_lib.federated.accounting import noise_for_epsilon, rdp_epsilon, renyi_divergence

DELTA = 1e-5
MNIST = 256 / 60000
RUNS = {  # q, σ, T
    "sixty epochs": (MNIST, 1.12, 14062),
    "little noise": (MNIST, 0.6, 7031),
    "ten epochs": (MNIST, 1.2, 2343),
    "Abadi et al.": (0.01, 4.0, 10_000),
}
runs = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
rates = st.floats(1e-4, 1.0)
noises = st.floats(0.4, 20.0)
steps_ = st.integers(1, 20_000)
deltas = st.floats(-9, -0.5).map(lambda exponent: 10**exponent)
conversions = pytest.mark.parametrize("conversion", ["classical", "tight"])


# ---- what others published

@pytest.mark.parametrize(
    "run, conversion, published",
    [("sixty epochs", "classical", 2.92), ("sixty epochs", "tight", 2.52), ("little noise", "classical", 9.77),
     ("ten epochs", "classical", 1.20), ("Abadi et al.", "classical", 1.26)],
)
def test_published_epsilon(run, conversion, published):
    q, sigma, steps = RUNS[run]
    assert rdp_epsilon(q, sigma, steps, DELTA, conversion) == pytest.approx(published, rel=0.005)


# ---- the divergence, by integration

def integrated(q, sigma, alpha, digits=25):
    """Return both directions of the divergence, by quadrature of their definition to many digits."""
    with mp.workdps(digits):
        q, sigma = mp.mpf(q), mp.mpf(sigma)

        def density(z, mean):
            return mp.npdf(z, mean, sigma)

        def ratio(z):
            return 1 - q + q * mp.exp((2 * z - 1) / (2 * sigma**2))

        low, high = -12 * sigma - alpha, alpha + 12 * sigma
        points = [low + (high - low) * i / 24 for i in range(25)]
        with_sample = mp.quad(lambda z: density(z, 0) * ratio(z) ** alpha, points)
        without = mp.quad(lambda z: density(z, 0) * ratio(z) ** (1 - alpha), points)
        return float(mp.log(with_sample) / (alpha - 1)), float(mp.log(without) / (alpha - 1))


@pytest.mark.parametrize("q, sigma, alpha", [
    (0.5, 1.0, 2), (0.01, 0.7, 3), (MNIST, 1.12, 9), (0.01, 4.0, 50),
    (1e-6, 1.0, 2), (1e-9, 2.0, 12), (0.999, 1.5, 5), (1.0, 3.0, 7),
])
def test_divergence_is_the_integral_to_twelve_digits(q, sigma, alpha):
    ours = renyi_divergence(q, sigma, alpha)
    with_sample, without = integrated(q, sigma, alpha)
    assert ours == pytest.approx(with_sample, rel=1e-12)
    assert without <= with_sample * (1 + 1e-12)


def log_moment(q, sigma, power):
    """Return log E (p/p₀)^power over p₀ = N(0, σ²), p = (1−q) p₀ + q N(1, σ²), by the trapezium rule."""
    step = 0.02
    z = np.arange(-12 - abs(power) / sigma, 12 + abs(power) / sigma, step)
    log_ratio = np.logaddexp(np.log1p(-q) if q < 1 else -np.inf, np.log(q) + (2 * z * sigma - 1) / (2 * sigma**2))
    return np.logaddexp.reduce(power * log_ratio - z**2 / 2) + np.log(step / np.sqrt(2 * np.pi))


@settings(max_examples=150, deadline=None)
@given(rates, noises, st.integers(2, 120))
def test_divergence_is_that_of_the_worse_direction(q, sigma, alpha):
    ours = (alpha - 1) * renyi_divergence(q, sigma, alpha)
    with_sample, without = log_moment(q, sigma, alpha), log_moment(q, sigma, 1 - alpha)
    assert ours == pytest.approx(with_sample, rel=1e-9, abs=1e-11)
    assert without <= with_sample + 1e-11


def test_small_rates_lose_no_digits():
    """For q → 0 the divergence of order 2 is log(1 + q² (exp(1/σ²) − 1)), exactly."""
    for q in (1e-3, 1e-8, 1e-12, 1e-100):
        assert renyi_divergence(q, 2.0, 2) == pytest.approx(math.log1p(q * q * math.expm1(0.25)), rel=1e-13)


def test_large_orders_and_little_noise_do_not_overflow():
    assert renyi_divergence(0.01, 0.5, 100_000) == pytest.approx(100_000 / (2 * 0.25) + math.log(0.01), rel=1e-6)
    assert renyi_divergence(0.5, 1e-3, 2) == pytest.approx(1e6 + 2 * math.log(0.5), rel=1e-12)
    with mp.workdps(30):
        terms = [mp.binomial(20_000, k) * mp.mpf("1e-4") ** k * (1 - mp.mpf("1e-4")) ** (20_000 - k)
                 * mp.expm1(mp.mpf(k * (k - 1)) / 20_000) for k in range(2, 60)]
        assert renyi_divergence(1e-4, 100.0, 20_000) == pytest.approx(float(mp.log1p(mp.fsum(terms)) / 19_999), rel=1e-9)


def test_whole_data_and_none():
    orders = np.array([[2, 3], [10, 1000]])
    np.testing.assert_allclose(renyi_divergence(1.0, 2.5, orders), orders / 12.5, rtol=1e-15)
    np.testing.assert_array_equal(renyi_divergence(0.0, 2.5, orders), np.zeros((2, 2)))
    assert renyi_divergence(0.3, 0.0, 2) == renyi_divergence(1.0, 0.0, 2) == math.inf
    assert type(renyi_divergence(0.3, 1.0, 2)) is float and renyi_divergence(0.3, 1.0, [2, 5]).shape == (2,)


# ---- ε: the least over all orders

def over_orders(q, sigma, steps, delta, conversion, alpha):
    """Return the bounds of the definition for an array of orders."""
    rdp = steps * renyi_divergence(q, sigma, alpha)
    if conversion == "classical":
        return rdp + np.log(1 / delta) / (alpha - 1)
    return rdp + np.log((alpha - 1) / alpha) - (np.log(delta) + np.log(alpha)) / (alpha - 1)


@conversions
@settings(max_examples=30, deadline=None)
@given(rates, noises, steps_, deltas)
@example(1e-3, 15.0, 1, 1e-7)
@example(1.0, 0.4, 20_000, 1e-2)
def test_no_order_is_better(conversion, q, sigma, steps, delta):
    bounds = over_orders(q, sigma, steps, delta, conversion, np.arange(2, 300))
    ours = rdp_epsilon(q, sigma, steps, delta, conversion)
    assert ours <= max(0, bounds.min()) * (1 + 1e-9)
    if bounds.argmin() < len(bounds) - 1:  # it falls, then rises
        assert ours == pytest.approx(max(0, bounds.min()), rel=1e-9)


@conversions
@pytest.mark.parametrize("q, sigma, steps", [(1e-3, 20.0, 100), (1e-2, 60.0, 10)])
def test_orders_in_the_thousands_are_found(conversion, q, sigma, steps):
    orders = np.unique(np.geomspace(2, 60_000, 120).astype(int))
    bounds = over_orders(q, sigma, steps, 1e-9, conversion, orders)
    best = bounds.argmin()
    assert 2_000 < orders[best] < 20_000
    between = np.linspace(orders[best - 1], orders[best + 1], 60).astype(int)
    least = over_orders(q, sigma, steps, 1e-9, conversion, between).min()
    assert least * (1 - 1e-3) < rdp_epsilon(q, sigma, steps, 1e-9, conversion) <= least * (1 + 1e-9)


def test_where_orders_end_little_is_lost():
    """With q = 1 the least over real orders is 1/(2σ²) + √(2 log(1/δ))/σ. Past order 2²⁰ it is missed, by little."""
    for sigma in (3.0, 1e3, 1e6, 1e9):
        least = 1 / (2 * sigma**2) + math.sqrt(2 * math.log(1 / DELTA)) / sigma
        ours = rdp_epsilon(1.0, sigma, 1, DELTA)
        assert least * (1 - 1e-9) <= ours <= least * (1 + 1e-2) + math.log(1 / DELTA) / 2**20


# ---- ε: never below the truth, which the distribution of the privacy loss tells

def step_losses(q, sigma, added, width):
    """Return cells k, and how likely a step's privacy loss is in [k width, (k+1) width); and above all cells.

    The loss is log p/p₀ under p; if added, log p₀/p under p₀. It rises with z, or falls.
    """
    def loss(z):  # z in units of σ
        return np.log1p(q * np.expm1(z / sigma - 1 / (2 * sigma**2)))

    def place(loss):
        with np.errstate(divide="ignore"):
            return sigma * np.log1p(np.maximum(np.expm1(loss) / q, -1)) + 1 / (2 * sigma)

    farthest = 9.0  # 1e-19 of a normal distribution lies beyond
    low, high = loss(-farthest), loss(farthest + 1 / sigma)
    low, high = (-high, -low) if added else (low, high)
    cells = np.arange(math.floor(low / width), math.ceil(high / width))
    ends = np.append(cells, cells[-1] + 1) * width
    z = place(-ends if added else ends)
    if added:
        above, below = ndtr(z), ndtr(-z)
    else:
        above, below = ((1 - q) * ndtr(-sign * z) + q * ndtr(-sign * (z - 1 / sigma)) for sign in (1, -1))
    masses = np.where(below[1:] < 0.5, np.diff(below), -np.diff(above))  # differences of what is small lose no digits
    return cells, masses, below[0], above[-1]


@cache
def composed(q, sigma, steps, delta, added, half_width, up):
    """A bound on the least ε that the steps keep, by convolving the privacy loss on a grid.

    Losses rounded down give a lower bound, losses rounded up an upper one. Sums of losses are
    below −a with a probability of at most exp(−a), as any likelihood ratio's logarithm: so much
    can come round from the grid's low end to its high one. The other way Chernoff's bound holds.
    """
    points = 2 ** min(21, math.ceil(math.log2(steps * 2 * half_width / 0.02)))
    width = 2 * half_width / points
    cells, masses, below, above = step_losses(q, sigma, added, width)
    cells = cells + 1 if up else cells
    assert -points // 2 <= cells[0] and cells[-1] < points // 2
    if up:
        masses[0] += below
        some = masses > 0
        losses, weights = width * cells[some], masses[some]
        lost = steps * above + math.exp(
            min(steps * logsumexp(tilt * losses, b=weights) - tilt * half_width for tilt in (1, 2, 4, 8, 16))
        )
    else:
        lost = -math.exp(steps * width - half_width)
    one = np.zeros(points)
    one[cells % points] = masses
    total = np.maximum(irfft(rfft(one) ** steps, points), 0)[1 : points // 2]
    losses = np.arange(1, points // 2) * width
    mass, other = (np.cumsum(weights[::-1])[::-1] for weights in (total, total * np.exp(-losses)))
    spent = mass - np.exp(losses) * other + lost  # δ(ε) = E max(0, 1 − exp(ε − loss))
    keeps = int(np.argmax(spent <= delta))
    assert spent[keeps] <= delta
    return losses[keeps] - (0 if up else width)


def truth(q, sigma, steps, delta=DELTA, half_width=16.0):
    """Bounds on the true ε, that of the worse of two neighbours: with a sample removed, and with one added."""
    low = composed(q, sigma, steps, delta, False, half_width, up=False)
    return low, max(composed(q, sigma, steps, delta, added, half_width, up=True) for added in (False, True))


def gaussian_delta(epsilon, mu):
    """What δ the Gaussian mechanism of sensitivity μ and unit noise keeps: arXiv:1805.06530, theorem 8."""
    return math.exp(log_ndtr(mu / 2 - epsilon / mu)) - math.exp(epsilon + log_ndtr(-mu / 2 - epsilon / mu))


def test_the_truth_is_that_of_the_gaussian_mechanism():
    """With q = 1, T steps are one of sensitivity √T/σ, and adding is like removing."""
    low, high = truth(1.0, 20.0, 100)
    assert high - low < 0.02
    assert gaussian_delta(low, 0.5) >= DELTA >= gaussian_delta(high, 0.5)


@runs
def test_epsilon_is_not_below_the_truth_and_the_tight_one_is_between(run):
    low, high = truth(*run)
    tight, classical = rdp_epsilon(*run, DELTA, "tight"), rdp_epsilon(*run, DELTA)
    assert low <= high < low + 0.25
    assert low < tight < classical
    assert tight < 1.2 * high  # so tight that a wrong factor would show


@pytest.mark.parametrize("delta", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize(
    "q, sigma, steps", [(0.05, 1.5, 60), (0.3, 3.0, 20), (0.9, 2.0, 3), (0.5, 0.7, 1), (0.01, 0.8, 300)]
)
def test_epsilon_is_not_below_the_truth_at_other_settings(q, sigma, steps, delta):
    low, high = truth(q, sigma, steps, delta)
    tight = rdp_epsilon(q, sigma, steps, delta, "tight")
    assert low <= high and low <= tight < rdp_epsilon(q, sigma, steps, delta)
    assert tight < 1.6 * high + 0.02


# ---- Opacus

def without_warnings(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies' deprecations, and its advice to use more orders
        return call()


@pytest.fixture(scope="module")
def opacus():
    return without_warnings(lambda: pytest.importorskip("opacus.accountants"))


@runs
def test_divergence_of_opacus(run, opacus):
    q, sigma, steps = run
    orders = list(range(2, 65))
    from opacus.accountants.analysis.rdp import compute_rdp

    theirs = compute_rdp(q=q, noise_multiplier=sigma, steps=steps, orders=orders)
    np.testing.assert_allclose(steps * renyi_divergence(q, sigma, orders), theirs, rtol=1e-8)


@runs
def test_tight_conversion_of_opacus(run, opacus):
    q, sigma, steps = run
    accountant = opacus.RDPAccountant()
    accountant.history = [(sigma, q, steps)]
    theirs = without_warnings(lambda: accountant.get_epsilon(DELTA, alphas=list(range(2, 257))))
    assert rdp_epsilon(q, sigma, steps, DELTA, "tight") == pytest.approx(theirs, rel=1e-8)


@pytest.mark.parametrize("run", [RUNS["ten epochs"], RUNS["Abadi et al."]])
def test_numerical_accountant_of_opacus(run, opacus):
    """Its ε is an upper bound, at most .02 above the truth."""
    q, sigma, steps = run
    accountant = opacus.PRVAccountant()
    accountant.history = [(sigma, q, steps)]
    theirs = without_warnings(lambda: accountant.get_epsilon(DELTA, eps_error=0.01))
    low, high = truth(*run)
    assert low <= theirs <= high + 0.02
    assert rdp_epsilon(*run, DELTA, "tight") > theirs - 0.02


# ---- laws

@conversions
@settings(max_examples=40, deadline=None)
@given(rates, noises, steps_, deltas)
def test_more_noise_fewer_steps_smaller_batches_and_larger_delta_give_less_away(conversion, q, sigma, steps, delta):
    here = rdp_epsilon(q, sigma, steps, delta, conversion)
    slack = here * 1e-9 + 1e-12
    assert rdp_epsilon(q, sigma * 1.3, steps, delta, conversion) <= here + slack
    assert rdp_epsilon(q * 0.8, sigma, steps, delta, conversion) <= here + slack
    assert rdp_epsilon(q, sigma, steps // 2, delta, conversion) <= here + slack
    assert rdp_epsilon(q, sigma, steps, min(0.99, delta * 3), conversion) <= here + slack
    assert here >= 0


@settings(max_examples=40, deadline=None)
@given(st.floats(0.5, 20.0), st.integers(1, 2000), deltas)
def test_steps_add_up(sigma, steps, delta):
    """T steps of all the data with noise σ√T are one step with noise σ."""
    for conversion in ("classical", "tight"):
        one = rdp_epsilon(1.0, sigma, 1, delta, conversion)
        assert rdp_epsilon(1.0, sigma * math.sqrt(steps), steps, delta, conversion) == pytest.approx(one, rel=1e-9, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(rates, noises, steps_, deltas)
def test_the_tight_conversion_is_never_above_the_classical(q, sigma, steps, delta):
    assert rdp_epsilon(q, sigma, steps, delta, "tight") <= rdp_epsilon(q, sigma, steps, delta)


@conversions
def test_the_ends(conversion):
    assert rdp_epsilon(0.1, 1.0, 0, DELTA, conversion) == rdp_epsilon(0.0, 1.0, 10, DELTA, conversion) == 0
    assert rdp_epsilon(0.1, 0.0, 0, DELTA, conversion) == rdp_epsilon(0.0, 0.0, 10, DELTA, conversion) == 0
    assert rdp_epsilon(0.1, 0.0, 1, DELTA, conversion) == rdp_epsilon(1.0, 1e-200, 1, DELTA, conversion) == math.inf
    assert 1e199 < rdp_epsilon(0.1, 1e-100, 1, DELTA, conversion) < 1e201
    assert type(rdp_epsilon(0.1, 1.0, 5, DELTA, conversion)) is float
    assert rdp_epsilon(0.01, 20.0, 1, 0.5, "tight") == 0


# ---- how much noise

@conversions
@settings(max_examples=15, deadline=None)
@given(st.floats(0.05, 50.0), rates, steps_, deltas)
def test_least_noise(conversion, epsilon, q, steps, delta):
    sigma = noise_for_epsilon(epsilon, q, steps, delta, conversion)
    assert rdp_epsilon(q, sigma, steps, delta, conversion) <= epsilon
    assert rdp_epsilon(q, sigma * (1 - 1e-8), steps, delta, conversion) > epsilon


def test_least_noise_of_the_published_runs():
    for q, sigma, steps in RUNS.values():
        for conversion in ("classical", "tight"):
            epsilon = rdp_epsilon(q, sigma, steps, DELTA, conversion)
            assert noise_for_epsilon(epsilon, q, steps, DELTA, conversion) == pytest.approx(sigma, rel=1e-8)


def test_no_noise_is_needed_where_nothing_is_given_away():
    assert noise_for_epsilon(1.0, 0.1, 0, DELTA) == noise_for_epsilon(1.0, 0.0, 10, DELTA) == 0


def test_an_epsilon_beyond_all_noise_is_refused():
    message = r"^epsilon must be > 1\.1e-05, what no noise can better with delta=1e-05, got 1e-06$"
    with pytest.raises(ValueError, match=message):
        noise_for_epsilon(1e-6, 0.1, 10, DELTA)


# ---- errors

@pytest.mark.parametrize("name, value, error, allowed", [
    ("sampling_rate", -0.1, ValueError, ">= 0 and <= 1"), ("sampling_rate", 1.1, ValueError, ">= 0 and <= 1"),
    ("sampling_rate", math.nan, ValueError, "finite"), ("sampling_rate", "1", TypeError, "a number"),
    ("noise_multiplier", -1.0, ValueError, ">= 0"), ("noise_multiplier", math.inf, ValueError, "finite"),
    ("noise_multiplier", None, TypeError, "a number"),
    ("steps", -1, ValueError, "at least 0"), ("steps", 1.5, TypeError, "a whole number"),
    ("steps", True, TypeError, "a whole number"),
    ("delta", 0.0, ValueError, "> 0 and < 1"), ("delta", 1.0, ValueError, "> 0 and < 1"),
    ("delta", "no", TypeError, "a number"),
    ("conversion", "loose", ValueError, "one of 'classical', 'tight'"),
    ("epsilon", 0.0, ValueError, "> 0"), ("epsilon", math.inf, ValueError, "finite"),
    ("alpha", 1, ValueError, "at least 2"), ("alpha", [3, 1], ValueError, "at least 2"),
    ("alpha", 2.5, TypeError, "a whole number"),
])
def test_a_wrong_argument_is_named(name, value, error, allowed):
    right = {
        rdp_epsilon: dict(sampling_rate=0.1, noise_multiplier=1.0, steps=3, delta=DELTA, conversion="tight"),
        noise_for_epsilon: dict(epsilon=1.0, sampling_rate=0.1, steps=3, delta=DELTA, conversion="tight"),
        renyi_divergence: dict(sampling_rate=0.1, noise_multiplier=1.0, alpha=2),
    }
    takers = [function for function in right if name in right[function]]
    assert takers
    wrong = value[-1] if isinstance(value, list) else value
    for function in takers:
        message = f"^{name} must be .*{re.escape(allowed)}.*, got {re.escape(repr(wrong))}$"
        with pytest.raises(error, match=message) as caught:
            function(**right[function] | {name: value})
        assert caught.type is error
