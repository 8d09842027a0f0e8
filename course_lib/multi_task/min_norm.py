"""The shortest vector of a hull, and what an exact solver of it gives for free."""

import numpy as np

from course_lib.multi_task.products import combined, cosines

STATIONARY = 1e-7    # a hull as near to 0 as this, in units of its shortest row, holds 0


def mgda(G):
    """The shortest vector in the convex hull of the gradients (MGDA).

        d = Gᵀα,    α = argmin ‖Gᵀα‖²  over  αᵢ ≥ 0, Σαᵢ = 1

    Then gᵢ·d ≥ ‖d‖² for every task, with equality where αᵢ > 0: a small step against d
    lowers every loss, all with weight at the same rate. d is 0 exactly where no direction
    lowers all: at a Pareto-stationary point.

    Parameters
    ----------
    G : array or tensor [T, D]
        A row for each task. Dependent rows, and T > D, are allowed; a zero row makes d = 0.

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
    Non-conflicting: yes. Scaling: all rows times s make d times s; one row alone made longer
    loses weight, and the shortest gradient rules. Permuting tasks changes nothing.

    Two tasks: the weight of g₁ is γ = clip((g₂ − g₁)·g₂ / ‖g₁ − g₂‖², 0, 1), and where it
    is inside, d·g₁ = d·g₂ = ‖d‖².

    References
    ----------
    J.-A. Désidéri, Multiple-gradient descent algorithm (MGDA) for multiobjective
    optimization, Comptes Rendus Mathématique 350, 2012. O. Sener, V. Koltun, Multi-task
    learning as multi-objective optimization, NeurIPS 2018, arXiv:1810.04650, who solve it
    by Frank-Wolfe. Here it is a problem of least squares; see `mgda_weights`.

    Examples
    --------
    >>> d = mgda(np.array([[1.0, 0.0], [-0.5, 1.0]]))
    >>> d * 13
    array([4., 6.])
    """
    return combined(G, mgda_weights)


def mgda_weights(M):
    """The weights of `mgda`: at least 0, of sum 1.

    For points pᵢ = (gᵢ, s), least squares over x ≥ 0 with the target (0, s),

        min ‖Σ xᵢ gᵢ‖² + s² (Σ xᵢ − 1)²,

    has its answer along the weights, for any s: of a vector of the hull, only its length
    matters, and for x = cα the best c leaves s²‖Gᵀα‖² / (‖Gᵀα‖² + s²).

    Parameters
    ----------
    M : array [T, T]
        The Gramian.

    Returns
    -------
    array [T]

    Examples
    --------
    >>> mgda_weights(np.array([[1.0, -0.5], [-0.5, 1.25]])) * 13
    array([7., 6.])
    """
    return shortest(points_of(M))


def shortest(points, start=None):
    """Weights [T] of the shortest vector in the hull of the columns of `points`.

    `start` [T], a guess at which weights are above 0, may save most of the work.
    """
    norms = np.linalg.norm(points, axis=0)
    if not norms.all():
        return (norms == 0) / (norms == 0).sum()
    share = norms.min() / norms     # columns of length 1, and s the least length: well scaled
    target = np.append(np.zeros(len(points)), 1.0)
    y = nonnegative(np.vstack([points / norms, share]), target, share > 0 if start is None else start)
    return y * share / (y @ share)


def holds_zero(points, w):
    """Whether the shortest vector, of weights w, is 0 as far as float64 can tell."""
    least = np.linalg.norm(points, axis=0).min()
    return bool(np.linalg.norm(points @ w) <= STATIONARY * least)


def points_of(M):
    """T columns in T dimensions with the products M: stand-ins for the gradients."""
    norms, R = cosines(M)
    return factor(R) * norms


def factor(R):
    """A [T, T] with AᵀA = R."""
    values, vectors = np.linalg.eigh(R)
    noise = 4 * len(R) * np.finfo(float).eps * max(values[-1], 0.0)
    return np.sqrt(np.where(values > noise, values, 0.0))[:, None] * vectors.T


def nonnegative(A, b, start=None):
    """The x ≥ 0 with the least ‖Ax − b‖, for columns of length 1 or 0.

    Lawson and Hanson's active set, 1974: while some entry at 0 would rather grow, the one that
    would most is freed, and all free ones are solved for; those that would fall below 0 stop
    there. Each least-squares problem is solved by singular values, so that columns may
    depend on one another, where scipy's `nnls` has been seen to fail.
    """
    T = A.shape[1]
    x, free = np.zeros(T), np.zeros(T, bool)
    barred = free.copy()        # would grow by rounding alone
    if start is not None:
        z = _solved(A, b, start)
        if (z[start] > 0).all():
            x, free = z, start.copy()
    for _ in range(50 * T):     # a few times T suffice; rounding must not make it endless
        slope = np.where(free | barred, 0.0, A.T @ (b - A @ x))
        j = slope.argmax()
        if slope[j] <= 1e-13 * np.linalg.norm(b):
            break
        free[j] = True
        z = _solved(A, b, free)
        if z[j] <= 0:
            free[j], barred[j] = False, True
            continue
        barred[:] = False
        while (z[free] <= 0).any():
            falls = free & (z <= 0)
            share = x[falls] / (x[falls] - z[falls])
            x = x + share.min() * (z - x)
            free[np.flatnonzero(falls)[share == share.min()]] = False
            x[~free] = 0.0
            z = _solved(A, b, free)
        x = z
    return x


def _solved(A, b, free):
    z = np.zeros(len(free))
    z[free] = np.linalg.lstsq(A[:, free], b, rcond=None)[0]
    return z
