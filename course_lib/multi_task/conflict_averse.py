"""The direction near the mean that serves the worst-off task best."""

import numpy as np
from scipy.optimize import brentq

from course_lib.multi_task.min_norm import factor, holds_zero, nonnegative, points_of, shortest
from course_lib.multi_task.products import combined, cosines, inverted
from course_lib.validation import number

ROUNDING = 1e-14     # a mean shorter than this, in units of the longest gradient, is 0


def cagrad(G, c=0.5):
    """The direction in a ball around the mean that is best for the worst-off task (CAGrad).

        d = argmax minᵢ gᵢ·d   over  ‖d − ḡ‖ ≤ c‖ḡ‖,    ḡ = (1/T) Σ gᵢ

    Parameters
    ----------
    G : array or tensor [T, D]
        A row for each task. Dependent rows, and T > D, are allowed.
    c : float
        c ≥ 0, the radius in units of ‖ḡ‖. With c = 0, d is the mean; below 1, steps along d
        still lead to stationary points of the mean loss; with a large c it points where `mgda` does.

    Returns
    -------
    array or tensor [D]
        In the framework, dtype and device of G. Where several d are as good (only where no
        direction lowers all), the nearest to ḡ; where ḡ = 0, it is 0.

    Raises
    ------
    TypeError, ValueError
        If G is not a matrix of finite floats, or c is negative or not finite.

    Notes
    -----
    Non-conflicting: no; the ball may hold only directions that hurt some task. But always
    minᵢ gᵢ·d ≥ minᵢ gᵢ·ḡ, and ḡ·d ≥ (1 − c)‖ḡ‖². Scaling: all rows times s make d times s;
    a longer row counts more in ḡ and less in the minimum. Permuting tasks changes nothing.

    Two tasks: d = ḡ + c‖ḡ‖ v/‖v‖, where v = γg₁ + (1 − γ)g₂ and γ minimises
    v·ḡ + c‖ḡ‖‖v‖ between 0 and 1. With one task, d = (1 + c) g. Where the authors' code
    rescales, it divides by 1 + c or 1 + c²; here nothing is divided.

    References
    ----------
    B. Liu, X. Liu, X. Jin, P. Stone, Q. Liu, Conflict-averse gradient descent for
    multi-task learning, NeurIPS 2021, arXiv:2110.14048, Algorithm 1.

    Examples
    --------
    >>> G = np.array([[1.0, 0.0], [-0.5, 1.0]])
    >>> cagrad(G, c=0.0)
    array([0.25, 0.5 ])
    >>> (G @ cagrad(G)).round(3)
    array([0.458, 0.458])
    """
    c = number("c", c, least=0)
    return combined(G, lambda M: cagrad_weights(M, c))


def cagrad_weights(M, c=0.5):
    """The weights of `cagrad`: 1/T each, and λαᵢ with α ≥ 0 of sum 1.

    At the best d, the part beside ḡ is λ Gᵀα, where ḡ + λ Gᵀα is the shortest vector of
    that form: `mgda` for the gradients ḡ + λgᵢ. Its distance from ḡ grows with λ, and λ is
    where it is c‖ḡ‖.

    Parameters
    ----------
    M : array [T, T]
        The Gramian.
    c : float

    Returns
    -------
    array [T]

    Examples
    --------
    >>> cagrad_weights(np.array([[1.0, -0.5], [-0.5, 1.25]]), c=0.0)
    array([0.5, 0.5])
    """
    c = number("c", c, least=0)
    points, mean = points_of(M), np.full(len(M), 1 / len(M))
    center, norms = points @ mean, np.linalg.norm(points, axis=0)
    radius = c * np.linalg.norm(center)
    if radius <= ROUNDING * norms.max():
        return mean

    w = shortest(points)
    low = np.log(radius / norms.max())
    if holds_zero(points, w):
        x = nonnegative(factor(cosines(M)[1]), -center) * inverted(norms)
        if np.linalg.norm(points @ x) <= radius:
            return mean + x     # of the directions that hurt no task, the nearest to ḡ
        high = np.log(x.sum())
    else:
        high = np.log(radius / np.linalg.norm(points @ w))

    def beside(log_lam):        # λα of the shortest ḡ + λ Gᵀα
        nonlocal w
        lam = np.exp(log_lam)
        w = shortest(center[:, None] + lam * points, start=w > 0)
        return lam * w

    def too_far(log_lam):
        return np.log(max(np.linalg.norm(points @ beside(log_lam)) / radius, 1e-300))

    return mean + beside(brentq(too_far, low - 1, high + 1, xtol=1e-13, rtol=1e-13))
