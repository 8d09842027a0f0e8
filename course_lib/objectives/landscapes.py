"""Landscapes: saddles, curved valleys, many minima."""

import numpy as np

from course_lib.objectives.objective import Objective
from course_lib.validation import count


def saddle():
    """½x² − ½y²: a minimum along x, a maximum along y, no least value. D = 2, L = 1."""
    signs = np.array([1.0, -1.0])
    return Objective(
        name="saddle",
        dimension=2,
        value=lambda w: (signs * w * w).sum(-1) / 2,
        gradient=lambda w: signs * w,
        smoothness=1.0,
        hessian=np.diag(signs),
    )


def rosenbrock(d=2):
    """Σ 100(wᵢ₊₁ − wᵢ²)² + (1 − wᵢ)²: a curved, flat-bottomed valley. Minimum 0 at ones.

    Parameters
    ----------
    d : int
        Dimension, at least 2.

    Returns
    -------
    Objective

    References
    ----------
    H. H. Rosenbrock, An automatic method for finding the greatest or least value of a
    function, The Computer Journal 3 (1960), 175–184.
    """
    d = count("d", d, least=2)

    def value(w):
        a, b = w[..., :-1], w[..., 1:]
        rise = b - a * a
        return (100 * rise * rise + (1 - a) * (1 - a)).sum(-1)

    def gradient(w):
        a, b = w[..., :-1], w[..., 1:]
        rise = b - a * a
        g = np.zeros_like(w)
        g[..., :-1] = -400 * a * rise - 2 * (1 - a)
        g[..., 1:] += 200 * rise
        return g

    return Objective(
        "rosenbrock", d, value, gradient, minimum=0.0, minimizers=np.ones((1, d))
    )


def beale():
    """Σ (cᵢ − x + xyⁱ)² for c = 1.5, 2.25, 2.625: flat, with steep walls. D = 2.

    Minimum 0 at (3, ½).

    References
    ----------
    E. M. L. Beale, On an iterative method for finding a local minimum of a function of
    more than one variable, Princeton University, 1958.
    """
    targets = (1.5, 2.25, 2.625)

    def residuals(w):
        x, y = w[..., 0], w[..., 1]
        return [c - x + x * y**i for i, c in enumerate(targets, start=1)]

    def gradient(w):
        x, y = w[..., 0], w[..., 1]
        r = residuals(w)
        dx = sum(2 * r[i - 1] * (y**i - 1) for i in (1, 2, 3))
        dy = sum(2 * r[i - 1] * i * x * y ** (i - 1) for i in (1, 2, 3))
        return np.stack([dx, dy], axis=-1)

    return Objective(
        name="beale",
        dimension=2,
        value=lambda w: sum(r * r for r in residuals(w)),
        gradient=gradient,
        minimum=0.0,
        minimizers=np.array([[3.0, 0.5]]),
    )


def himmelblau():
    """(x² + y − 11)² + (x + y² − 7)²: four minima, all 0. D = 2.

    References
    ----------
    D. M. Himmelblau, Applied Nonlinear Programming, McGraw-Hill, 1972.
    """

    def parts(w):
        x, y = w[..., 0], w[..., 1]
        return x, y, x * x + y - 11, x + y * y - 7

    def value(w):
        _, _, a, b = parts(w)
        return a * a + b * b

    def gradient(w):
        x, y, a, b = parts(w)
        return np.stack([4 * x * a + 2 * b, 2 * a + 4 * y * b], axis=-1)

    minimizers = np.array([
        [3.0, 2.0],
        [-2.805118086952745, 3.131312518250573],
        [-3.779310253377747, -3.283185991286170],
        [3.584428340330492, -1.848126526964404],
    ])
    return Objective("himmelblau", 2, value, gradient, minimum=0.0, minimizers=minimizers)


def rastrigin(d=2):
    """10d + Σ wᵢ² − 10 cos 2πwᵢ: a bowl full of dimples. Minimum 0 at 0.

    Parameters
    ----------
    d : int
        Dimension, at least 1.

    Returns
    -------
    Objective
        Its smoothness is 2 + 40π².

    References
    ----------
    L. A. Rastrigin, Systems of Extremal Control, Nauka, Moscow, 1974; in d dimensions:
    H. Mühlenbein, D. Schomisch, J. Born, The parallel genetic algorithm as function
    optimizer, Parallel Computing 17 (1991), 619–632.
    """
    d = count("d", d)
    turn = 2 * np.pi
    return Objective(
        name="rastrigin",
        dimension=d,
        value=lambda w: 10 * d + (w * w - 10 * np.cos(turn * w)).sum(-1),
        gradient=lambda w: 2 * w + 10 * turn * np.sin(turn * w),
        minimum=0.0,
        minimizers=np.zeros((1, d)),
        smoothness=float(2 + 10 * turn * turn),
    )


def branin():
    """A test function of global search on −5 ≤ x ≤ 10, 0 ≤ y ≤ 15. D = 2.

    (y − bx² + cx − 6)² + 10(1 − 1/8π) cos x + 10 with b = 5.1/4π², c = 5/π; least value
    5/4π ≈ 0.397887 at three points.

    References
    ----------
    F. H. Branin, Widely convergent method for finding multiple solutions of simultaneous
    nonlinear equations, IBM Journal of Research and Development 16 (1972), 504–522.
    """
    b, c, amplitude = 5.1 / (4 * np.pi**2), 5 / np.pi, 10 * (1 - 1 / (8 * np.pi))

    def value(w):
        x, y = w[..., 0], w[..., 1]
        fold = y - b * x * x + c * x - 6
        return fold * fold + amplitude * np.cos(x) + 10

    def gradient(w):
        x, y = w[..., 0], w[..., 1]
        fold = y - b * x * x + c * x - 6
        dx = 2 * fold * (c - 2 * b * x) - amplitude * np.sin(x)
        return np.stack([dx, 2 * fold], axis=-1)

    minimizers = np.array([[-np.pi, 12.275], [np.pi, 2.275], [3 * np.pi, 2.475]])
    return Objective(
        "branin", 2, value, gradient, minimum=5 / (4 * np.pi), minimizers=minimizers
    )


def hartmann6():
    """Four Gaussian wells in the unit cube, one deepest. D = 6, 0 ≤ wᵢ ≤ 1.

    −Σᵢ αᵢ exp(−Σⱼ Aᵢⱼ (wⱼ − Pᵢⱼ)²), least value −3.32237; the next well holds −3.20316.

    References
    ----------
    L. C. W. Dixon, G. P. Szegő (eds.), Towards Global Optimisation 2, North-Holland, 1978.
    """
    alpha = np.array([1.0, 1.2, 3.0, 3.2])
    A = np.array([
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ])
    P = 1e-4 * np.array([
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ])

    def wells(w):
        away = w[..., None, :] - P
        return away, alpha * np.exp(-(A * away * away).sum(-1))

    def gradient(w):
        away, depth = wells(w)
        return 2 * (depth[..., None] * A * away).sum(-2)

    minimizer = np.array([
        [0.201689511006705, 0.150010691823458, 0.476873974221897,
         0.275332430494056, 0.311651616600113, 0.65730053406562]
    ])
    return Objective(
        name="hartmann6",
        dimension=6,
        value=lambda w: -wells(w)[1].sum(-1),
        gradient=gradient,
        minimum=-3.322368011415515,
        minimizers=minimizer,
    )
