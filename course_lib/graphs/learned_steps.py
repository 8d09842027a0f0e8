"""Step sizes of gradient descent, learned by a gradient through the whole descent."""

import math

import numpy as np

from course_lib.schedules import cosine_decay
from course_lib.tuning.hypergradients import unrolled
from course_lib.update_rules import adam, gradient_descent
from course_lib.validation import count, finite_array, number


def learn_step_sizes(eigenvalues, steps, *, start=None, updates=500, lr=0.03, sharpness=200.0):
    """Learn the step sizes of gradient descent on quadratics with these curvatures.

    Descent from 1 leaves ∏ₜ (1 − ηₜλ) along the axis of curvature λ. What is learned makes the
    worst axis good: Adam minimises, over log η₁ … log η_T, the soft maximum

        (1/p) log Σ_λ |∏ₜ (1 − ηₜλ)|^p,

    p growing from 2 to `sharpness` on the way, so that at first every axis is listened to
    and at last only the worst. The gradient comes from `unrolled`, through every step of the
    descent.

    Parameters
    ----------
    eigenvalues : array [D]
        Curvatures λ > 0.
    steps : int
        T, how many step sizes.
    start : array [steps], optional
        Where they start, > 0. By default spread evenly, in log η, between 1/L and 1/μ: step
        sizes that are equal have equal gradients, and nothing but rounding ever parts them.
    updates : int
        Steps of Adam, whose rate falls from `lr` to 0 by a cosine.
    lr : float
        Adam's rate at the start, > 0, in units of log η.
    sharpness : float
        The last p, ≥ 2. The soft maximum lies above the maximum by log(D)/p at most.

    Returns
    -------
    array [steps], float64
        The largest step first; on a quadratic their order changes nothing but rounding.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, such as a curvature that is not above 0.

    References
    ----------
    The best step sizes for all curvatures between μ and L are the inverse roots of a Chebyshev
    polynomial: D. Young, On Richardson's method for solving linear systems with positive
    definite matrices, J. Math. Phys. 32 (1953), 243–255.

    Examples
    --------
    >>> learn_step_sizes([1.0, 4.0], steps=1, updates=300).round(2)       # 2 / (1 + 4)
    array([0.4])
    """
    import torch

    values, steps = positive_vector("eigenvalues", eigenvalues), count("steps", steps)
    updates, sharpness = count("updates", updates), number("sharpness", sharpness, least=2)
    meta = adam(lr=cosine_decay(number("lr", lr, above=0), updates), beta2=0.99)
    if start is None:
        start = np.geomspace(1 / values.max(), 1 / values.min(), steps + 2)[1:-1]
    logs = np.log(positive_vector("start", start))
    if len(logs) != steps:
        raise ValueError(f"start must hold {steps} numbers, one for each step, got {len(logs)}")
    curvatures, state = torch.tensor(values), meta.init(logs)
    for i in range(updates):
        p = 2 * (sharpness / 2) ** min(1.0, 1.25 * i / updates)
        rates = np.exp(logs)
        _, slope = unrolled(
            lambda w, t: (curvatures * w * w).sum() / 2, gradient_descent(lr=1.0), torch.ones_like(curvatures), rates,
            final=lambda w: torch.logsumexp(p * (w.abs() + 1e-30).log(), 0) / p,
        )
        delta, state = meta.update(slope * rates, state, logs)            # ∂/∂ log η = η ∂/∂η
        logs = logs + delta
    return np.sort(np.exp(logs))[::-1]


def worst_remainder(eigenvalues, rates):
    """max over λ of |∏ₜ (1 − ηₜλ)|: what descent leaves of the distance along the worst axis.

    Parameters
    ----------
    eigenvalues : array [D]
        Curvatures λ > 0.
    rates : array [steps]
        Step sizes η > 0.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If one is no vector of numbers above 0.

    Examples
    --------
    >>> round(worst_remainder([1.0, 4.0], [0.4]), 12)
    0.6
    """
    values, rates = positive_vector("eigenvalues", eigenvalues), positive_vector("rates", rates)
    return float(np.abs(np.prod(1 - np.outer(rates, values), axis=0)).max())


def chebyshev_steps(low, high, steps):
    """The step sizes that are best for all curvatures between μ and L: inverse roots of Chebyshev's polynomial.

        1/ηₜ = (L + μ)/2 + (L − μ)/2 · cos(π (2t − 1) / 2T)

    They leave 1 / cosh(T arcosh((L + μ)/(L − μ))) on the worst axis.

    Parameters
    ----------
    low, high : float
        μ and L, 0 < μ ≤ L.
    steps : int
        T.

    Returns
    -------
    array [steps], float64
        The largest first.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> chebyshev_steps(1.0, 4.0, steps=1)
    array([0.4])
    """
    low = number("low", low, above=0)
    high, steps = number("high", high, least=low), count("steps", steps)
    angles = math.pi * (2 * np.arange(1, steps + 1) - 1) / (2 * steps)
    return np.sort(1 / ((high + low) / 2 + (high - low) / 2 * np.cos(angles)))[::-1]


def positive_vector(name, value):
    """Return a vector of numbers above 0 as float64, or raise, naming the argument."""
    array = finite_array(name, value).astype(np.float64)
    if array.ndim != 1 or not len(array) or not (array > 0).all():
        raise ValueError(f"{name} must be a vector of numbers > 0, got {value!r}")
    return array
