"""Bowls: convex functions whose curvature is known everywhere."""

import numpy as np

from course_lib.objectives.objective import Objective
from course_lib.validation import count, number


def quadratic(eigenvalues, rotation_seed=None):
    """A quadratic bowl ½wᵀAw whose curvatures are given.

    Parameters
    ----------
    eigenvalues : array [D]
        The curvatures λ of A along its axes. All ≥ 0: convex, with minimum 0 at 0.
    rotation_seed : int, optional
        Turn the axes by a random rotation; without it A is diagonal.

    Returns
    -------
    Objective

    Raises
    ------
    TypeError, ValueError
        If eigenvalues is not a non-empty list of finite numbers, or rotation_seed not a
        whole number of at least 0.
    """
    if np.ndim(eigenvalues) != 1 or len(eigenvalues) == 0:
        raise ValueError(f"eigenvalues must be a list of at least one number, got {eigenvalues!r}")
    values = np.array([number("eigenvalues", value) for value in eigenvalues])
    d = len(values)
    basis = np.eye(d)
    if rotation_seed is not None:
        seed = count("rotation_seed", rotation_seed, least=0)
        noise = np.random.default_rng(seed).standard_normal((d, d))
        basis, r = np.linalg.qr(noise)
        basis = basis * np.sign(np.diag(r))
    A = (basis * values) @ basis.T
    A = (A + A.T) / 2
    convex = values.min() >= 0
    return Objective(
        name="quadratic",
        dimension=d,
        value=lambda w: ((w @ A) * w).sum(-1) / 2,
        gradient=lambda w: w @ A,
        minimum=0.0 if convex else None,
        minimizers=np.zeros((1, d)) if convex else None,
        smoothness=float(np.abs(values).max()),
        strong_convexity=float(values.min()) if convex else None,
        hessian=A,
    )


def document_quadratic():
    """(w + 2)², the example of the second document behind the syllabus. D = 1."""
    return Objective(
        name="document_quadratic",
        dimension=1,
        value=lambda w: ((w + 2) * (w + 2))[..., 0],
        gradient=lambda w: 2 * (w + 2),
        minimum=0.0,
        minimizers=np.array([[-2.0]]),
        smoothness=2.0,
        strong_convexity=2.0,
        hessian=np.array([[2.0]]),
    )


def huber(knee):
    """½w² near 0, a straight line beyond the knee. D = 1, L = 1.

    Parameters
    ----------
    knee : float
        Where the parabola turns into its tangent, > 0.

    Returns
    -------
    Objective

    References
    ----------
    P. J. Huber, Robust estimation of a location parameter, Annals of Mathematical
    Statistics 35 (1964), 73–101.
    """
    knee = number("knee", knee, above=0)

    def value(w):
        size = np.abs(w[..., 0])
        return np.where(size <= knee, w[..., 0] * w[..., 0] / 2, knee * (size - knee / 2))

    return Objective(
        name="huber",
        dimension=1,
        value=value,
        gradient=lambda w: np.clip(w, -knee, knee),
        minimum=0.0,
        minimizers=np.zeros((1, 1)),
        smoothness=1.0,
        strong_convexity=0.0,
    )
