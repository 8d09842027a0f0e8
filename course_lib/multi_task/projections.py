"""Gradients without what hurts another task: one conflict after the other, or all at once."""

import numpy as np

from course_lib.multi_task.inputs import generator
from course_lib.multi_task.min_norm import factor, nonnegative
from course_lib.multi_task.products import combined, cosines, inverted


def pcgrad(G, rng):
    """The sum of the gradients, each without what conflicts with the others (PCGrad).

    From each gᵢ a copy v; then for the other tasks j, in a random order,

        v ← v − (v·gⱼ / ‖gⱼ‖²) gⱼ   where v·gⱼ < 0

    and d is the sum of the T results.

    Parameters
    ----------
    G : array or tensor [T, D]
        A row for each task; a zero row conflicts with none.
    rng : numpy.random.Generator
        Draws the order, T permutations of the tasks a call.

    Returns
    -------
    array or tensor [D]
        In the framework, dtype and device of G. The sum, as in the paper; some
        implementations take the mean.

    Raises
    ------
    TypeError, ValueError
        If G is not a matrix of finite floats, or rng is no Generator.

    Notes
    -----
    Non-conflicting: with two tasks only. With more, what is taken away last may bring back
    an earlier conflict. Scaling: all rows times s make d times s; for a given order, a part
    is linear in its own gradient and does not see the lengths of the others. Permuting tasks
    changes d, but not its distribution.

    Two tasks in conflict: d = (1 − g₁·g₂/‖g₁‖²) g₁ + (1 − g₁·g₂/‖g₂‖²) g₂, whatever the
    order; without conflict, the plain sum.

    References
    ----------
    T. Yu, S. Kumar, A. Gupta, S. Levine, K. Hausman, C. Finn, Gradient surgery for
    multi-task learning, NeurIPS 2020, arXiv:2001.06782, Algorithm 1.

    Examples
    --------
    >>> pcgrad(np.array([[1.0, 0.0], [-0.5, 1.0]]), np.random.default_rng(0))
    array([0.8, 1.4])
    """
    return combined(G, lambda M: pcgrad_weights(M, rng))


def pcgrad_weights(M, rng):
    """The weights of `pcgrad`.

    Parameters
    ----------
    M : array [T, T]
        The Gramian.
    rng : numpy.random.Generator

    Returns
    -------
    array [T]

    Examples
    --------
    >>> pcgrad_weights(np.array([[1.0, -0.5], [-0.5, 1.25]]), np.random.default_rng(0))
    array([1.5, 1.4])
    """
    norms, R = cosines(M)
    parts = np.eye(len(R))
    for i, v in enumerate(parts):       # v: coefficients of the unit gradients
        for j in generator(rng).permutation(len(R)):
            if j != i:
                v[j] -= min(R[j] @ v, 0.0)
    return norms @ parts * inverted(norms)


def upgrad(G):
    """The mean of the gradients, each moved to the nearest direction that hurts no task (UPGrad).

        d = (1/T) Σᵢ P(gᵢ),    P(g) = argmin ‖v − g‖²  over all v with  gⱼ·v ≥ 0 for every j

    Parameters
    ----------
    G : array or tensor [T, D]
        A row for each task. Dependent rows, and T > D, are allowed; a zero row adds nothing.

    Returns
    -------
    array or tensor [D]
        In the framework, dtype and device of G.

    Raises
    ------
    TypeError, ValueError
        If G is not a matrix of finite floats; see `gramian`.

    Notes
    -----
    Non-conflicting: yes, as a mean of vectors that are. Scaling: linear; gᵢ times sᵢ makes its
    part of d times sᵢ and leaves the others, so a short gradient has a small part. Permuting
    tasks changes nothing. Without conflict, the mean.

    Two tasks: half of what `pcgrad` gives. With more it is what `pcgrad` is after: every part
    is free of all conflicts at once, and no order has to be drawn.

    References
    ----------
    P. Quinton, V. Rey, Jacobian descent for multi-objective optimization, 2024,
    arXiv:2406.16232.

    Examples
    --------
    >>> upgrad(np.array([[1.0, 0.0], [-0.5, 1.0]]))
    array([0.4, 0.7])
    """
    return combined(G, upgrad_weights)


def upgrad_weights(M):
    """The weights of `upgrad`: at least 1/T.

    The nearest such vector is P(gᵢ) = gᵢ + Gᵀx with the x ≥ 0 that make it shortest, a
    problem of least squares. The length of a row does not matter to what it forbids, so all
    are taken with length 1.

    Parameters
    ----------
    M : array [T, T]
        The Gramian.

    Returns
    -------
    array [T]

    Examples
    --------
    >>> upgrad_weights(np.array([[1.0, -0.5], [-0.5, 1.25]]))
    array([0.75, 0.7 ])
    """
    norms, R = cosines(M)
    A = factor(R)
    parts = [e + nonnegative(A, -A @ e, start=R @ e < 0) for e in np.eye(len(R))]
    return norms @ parts * inverted(norms) / len(R)
