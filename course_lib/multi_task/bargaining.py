"""The direction that tasks agree on when they bargain."""

import numpy as np

from course_lib.multi_task.min_norm import factor, holds_zero, shortest
from course_lib.multi_task.products import combined, cosines, inverted

STEPS = 2000         # ten suffice, but for gradients that nearly cancel


def nash(G):
    """The direction that the tasks agree on when they bargain (Nash-MTL).

        αᵢ (G d)ᵢ = 1,    d = Gᵀα,    αᵢ > 0

    Among all directions of one length, it is that with the greatest product of the gains
    gᵢ·d: where one gain could grow by a larger share than another must shrink, it does.

    Parameters
    ----------
    G : array or tensor [T, D]
        A row for each task.

    Returns
    -------
    array or tensor [D]
        In the framework, dtype and device of G; of length √T, whatever the gradients'
        lengths: set the learning rate accordingly, and let it fall. Where no direction
        lowers every loss, there is nothing to agree on, and d is 0; so it is with a zero row.

    Raises
    ------
    TypeError, ValueError
        If G is not a matrix of finite floats; see `gramian`.

    Notes
    -----
    Non-conflicting: yes, every gᵢ·d = 1/αᵢ > 0. Scaling: gᵢ times any sᵢ > 0 changes nothing;
    the unit of a loss does not matter. Permuting tasks changes nothing.

    Two tasks with the cosine ρ: d = (g₁/‖g₁‖ + g₂/‖g₂‖) / √(1 + ρ), along the bisector.

    References
    ----------
    A. Navon, A. Shamsian, I. Achituve, H. Maron, K. Kawaguchi, G. Chechik, E. Fetaya,
    Multi-task learning as a bargaining game, ICML 2022, arXiv:2202.01017. The paper's code
    solves a sequence of convex problems, to 1e-3, and clips ‖d‖ to 1; see `nash_weights`.

    Examples
    --------
    >>> G = np.array([[1.0, 0.0], [-0.5, 1.0]])
    >>> d = nash(G)
    >>> (d / np.linalg.norm(d)).round(4), np.allclose(d, nash(G * [[100], [1]]))
    (array([0.5257, 0.8507]), True)
    """
    return combined(G, nash_weights)


def nash_weights(M):
    """The weights of `nash`: above 0, or all 0 where nothing can be agreed on.

    With unit gradients, β = α‖g‖ and R the cosines, βᵢ(Rβ)ᵢ = 1 says that

        f(β) = ½ βᵀRβ − Σ log βᵢ

    has no slope. f is convex and self-concordant: Newton's method, with shorter steps as long
    as the decrement δ is large, finds its only minimum from anywhere.

    Parameters
    ----------
    M : array [T, T]
        The Gramian.

    Returns
    -------
    array [T]

    Examples
    --------
    >>> M = np.array([[1.0, -0.5], [-0.5, 1.25]])
    >>> alpha = nash_weights(M)
    >>> alpha * (M @ alpha)
    array([1., 1.])
    """
    norms, R = cosines(M)
    units = factor(R)
    if not norms.all() or holds_zero(units, shortest(units)):
        return np.zeros(len(R))
    beta = np.full(len(R), np.sqrt(len(R) / R.sum()))
    for _ in range(STEPS):
        slope = R @ beta - 1 / beta
        step = -np.linalg.solve(R + np.diag(beta**-2), slope)
        delta = np.sqrt(max(-slope @ step, 0.0))
        beta = beta + step / (1 + delta * (delta > 0.25))
        if delta < 1e-12:
            break
    return beta * inverted(norms)
