"""The semidefinite relaxation of Max-Cut: a bound on every cut, and a cut that is near it."""

import numpy as np

from course_lib.graphs.cuts import adjacency
from course_lib.graphs.local_cuts import colour_classes
from course_lib.validation import count, finite_array, number

DENSE = 300   # up to so many nodes all eigenvalues are computed


def cut_vectors(edge_index, nodes, seed=0, tolerance=1e-6, sweeps=10_000):
    """A unit vector for each node, such that neighbours point as far apart as they can together.

    Maximises ½ Σ_edges (1 − vᵢ · vⱼ). With vectors of one number, ±1, that is the cut; with
    √(2·nodes) numbers or more its maximum is that of the semidefinite program. One vector
    after the other is put opposite to the sum of its neighbours; nodes that are not joined are
    treated at once. Graphs are known on which this can end below the maximum
    (arXiv:2211.12389): `cut_bound` tells how far it may be away.

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Each edge in both directions.
    nodes : int
    seed : int
        Of the start.
    tolerance : float, > 0
        Stops where a sweep gains less than this share of the sum.
    sweeps : int
        At most.

    Returns
    -------
    array [nodes, k], rows of length 1

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    S. Burer, R. D. C. Monteiro, A nonlinear programming algorithm for solving semidefinite
    programs via low-rank factorization, Mathematical Programming 95 (2003),
    doi:10.1007/s10107-002-0352-8; P.-W. Wang, W.-C. Chang, J. Z. Kolter, The mixing method,
    arXiv:1706.00476.

    Examples
    --------
    >>> edge = [[0, 1], [1, 0]]
    >>> v = cut_vectors(edge, nodes=2)
    >>> round(float(v[0] @ v[1]), 6)
    -1.0
    """
    A, rng = adjacency(edge_index, nodes), np.random.default_rng(count("seed", seed, least=0))
    tolerance, sweeps = number("tolerance", tolerance, above=0), count("sweeps", sweeps)
    V = rng.standard_normal((nodes, int(np.ceil(np.sqrt(2 * nodes))) + 1))
    V /= np.linalg.norm(V, axis=1, keepdims=True)
    joined = np.diff(A.indptr) > 0
    classes = [each[joined[each]] for each in colour_classes(A)]
    rows = [A[each] for each in classes]
    for _ in range(sweeps):
        gain = total = 0.0
        for each, row in zip(classes, rows):
            pull = row @ V                                      # the sum of the neighbours
            length = np.linalg.norm(pull, axis=1, keepdims=True)
            gain += (length[:, 0] + (pull * V[each]).sum(1)).sum()
            total += length.sum()
            V[each] = np.where(length > 0, -pull / np.maximum(length, 1e-300), V[each])
        if gain <= tolerance * total:
            break
    return V


def relaxed_value(edge_index, vectors):
    """½ Σ_edges (1 − vᵢ · vⱼ): what the semidefinite program makes as large as it can.

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Each edge in both directions.
    vectors : array [nodes, k]
        Rows of length 1, such as those of `cut_vectors`.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> relaxed_value([[0, 1], [1, 0]], np.array([[1.0, 0.0], [0.0, 1.0]]))      # a right angle
    0.5
    """
    vectors = _rows("vectors", vectors, nodes=None)
    A = adjacency(edge_index, len(vectors))
    return float((A.sum() - (vectors * (A @ vectors)).sum()) / 4)


def cut_bound(edge_index, nodes, vectors=None):
    """A number that no cut of this graph exceeds.

    For any numbers g, every x of ±1 has xᵀAx ≥ −Σg + nodes · λ, where λ is the smallest
    eigenvalue of A + diag(g): so cut = (ΣA − xᵀAx)/4 is at most (ΣA + Σg − nodes · λ)/4. With
    gᵢ = |Σⱼ aᵢⱼ vⱼ| at the optimal vectors, λ = 0 and the bound is the value of the
    semidefinite program; with any others it is still a bound.

    Parameters
    ----------
    edge_index, nodes
        As in `cut_vectors`.
    vectors : array [nodes, k], optional
        Those of `cut_vectors`, by default made here. Any others give a bound too, a looser one.

    Returns
    -------
    float
        True up to rounding. Above 300 nodes λ comes from the Lanczos method, which may miss the
        least: it is lowered until a factorisation shows that nothing lies below.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> pentagon = [[0, 1, 2, 3, 4, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 0, 1, 2, 3, 4]]
    >>> round(cut_bound(pentagon, nodes=5), 3)      # 5/2 (1 + cos 36°); the largest cut is 4
    4.523
    """
    from scipy.sparse import diags_array
    from scipy.sparse.linalg import eigsh

    V = cut_vectors(edge_index, nodes) if vectors is None else _rows("vectors", vectors, nodes)
    A = adjacency(edge_index, nodes).astype(float)
    if not A.nnz:
        return 0.0
    g = np.linalg.norm(A @ V, axis=1)
    slack = A + diags_array(g)
    if nodes <= DENSE:
        least = np.linalg.eigvalsh(slack.toarray())[0]
    else:
        start = np.random.default_rng(0).standard_normal(nodes)
        above = eigsh(slack, 1, which="SA", v0=start, tol=1e-6, return_eigenvectors=False)[0] + 1e-6
        least, step = above - 2e-6, 1e-6
        while not positive_definite(slack, least):      # Lanczos has missed the least
            above, least, step = least, least - step, 2 * step
        while above - least > 3e-6:
            middle = (above + least) / 2
            above, least = (above, middle) if positive_definite(slack, middle) else (middle, least)
    return float((A.sum() + g.sum() - nodes * least) / 4)


def positive_definite(M, shift):
    """Say whether all eigenvalues of a sparse symmetric matrix are above a shift: by the signs of the pivots."""
    from scipy.sparse import eye_array
    from scipy.sparse.linalg import splu

    try:
        lu = splu((M - shift * eye_array(M.shape[0])).tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0,
                  options={"SymmetricMode": True})
    except RuntimeError:   # a pivot of 0
        return False
    return (lu.perm_r == lu.perm_c).all() and (lu.U.diagonal() > 0).all()


def _rows(name, value, nodes):
    """Return a matrix with a row for each node, or raise, naming the argument."""
    array = finite_array(name, value)
    if array.ndim != 2 or nodes not in (None, len(array)):
        raise ValueError(f"{name} must have shape [{'nodes' if nodes is None else nodes}, k], got {list(array.shape)}")
    return array


def goemans_williamson_cut(edge_index, nodes, seed, rounds=50):
    """Solve the semidefinite program, then cut its vectors by planes through 0, drawn at random.

    Two vectors at the angle θ are separated by a plane with probability θ/π, which is at least
    .878 times what they bring to the program, (1 − cos θ)/2. So one plane cuts, on average, at
    least .878 times the largest cut.

    Parameters
    ----------
    edge_index, nodes
        As in `cut_vectors`.
    seed : int
        Of the vectors' start and of the planes.
    rounds : int
        Planes, of which the best is taken; with 1 the average is what the theorem speaks of.

    Returns
    -------
    side : array [nodes] of booleans

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    M. X. Goemans, D. P. Williamson, Improved approximation algorithms for maximum cut and
    satisfiability problems using semidefinite programming, Journal of the ACM 42 (1995),
    doi:10.1145/227683.227684.

    Examples
    --------
    >>> from course_lib import cut_value
    >>> ring = [[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]]
    >>> cut_value(ring, goemans_williamson_cut(ring, nodes=4, seed=0))
    4
    """
    rounds = count("rounds", rounds)
    V = cut_vectors(edge_index, nodes, seed)
    A, rng = adjacency(edge_index, nodes), np.random.default_rng([seed, 1])
    spins = np.where(V @ rng.standard_normal((V.shape[1], rounds)) > 0, 1, -1)
    cuts = -(spins * (A @ spins)).sum(0)
    return spins[:, cuts.argmax()] > 0
