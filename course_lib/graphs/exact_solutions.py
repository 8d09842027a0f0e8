"""The largest cut and the largest independent set of a small graph, proved by a mixed-integer solver."""

import time

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array, vstack
from scipy.sparse.csgraph import dijkstra

from course_lib.graphs.cuts import adjacency
from course_lib.validation import number


def optimal_cut(edge_index, nodes, seconds=60.0):
    """A largest cut, with proof.

    One variable of 0 or 1 for each node and each pair that is joined. Around every cycle an
    even number of edges is cut: for each odd set F of a cycle's edges,

        Σ_F y − Σ_rest y ≤ |F| − 1.

    Such inequalities are added to a linear program as long as its solution breaks one (each
    is found as a shortest path), and then the mixed-integer solver is asked.

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Each edge in both directions.
    nodes : int
        Up to about a hundred where each has three neighbours; fewer where it has more.
    seconds : float, > 0
        The solver's limit (what is prepared before is not counted).

    Returns
    -------
    side : array [nodes] of booleans

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.
    TimeoutError
        If there was no proof in time.

    References
    ----------
    F. Barahona, A. R. Mahjoub, On the cut polytope, Mathematical Programming 36 (1986),
    doi:10.1007/BF02592023. The solver is HiGHS, by SciPy.

    Examples
    --------
    >>> from course_lib import cut_value
    >>> pentagon = [[0, 1, 2, 3, 4, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 0, 1, 2, 3, 4]]
    >>> cut_value(pentagon, optimal_cut(pentagon, nodes=5))
    4
    """
    A = adjacency(edge_index, nodes).tocoo()
    once = A.row < A.col
    pairs, times = np.stack([A.row, A.col], 1)[once], A.data[once].astype(float)
    deadline = time.monotonic() + number("seconds", seconds, above=0)
    if not len(pairs):
        return np.zeros(nodes, bool)
    rows, limits = _defining(pairs, nodes)
    objective = np.concatenate([np.zeros(nodes), -times])
    whole = np.concatenate([np.ones(nodes), np.zeros(len(pairs))])
    fixed = np.ones(nodes + len(pairs))
    fixed[0] = 0                                               # a side and its complement are one cut

    def solve(integrality):
        left = max(deadline - time.monotonic(), 0.01)
        return milp(objective, integrality=integrality, bounds=Bounds(0, fixed), options={"time_limit": left, "mip_rel_gap": 0},
                    constraints=LinearConstraint(rows, -np.inf, limits))

    while True:
        found = solve(np.zeros_like(whole))
        if found.status:
            break
        more, most = _broken_cycles(pairs, nodes, found.x[nodes:])
        if not len(most):
            found = solve(whole)
            break
        rows, limits = vstack([rows, more]).tocsr(), np.concatenate([limits, most])
    if found.status:
        raise TimeoutError(f"seconds must suffice for a proof, got {seconds}: {found.message}")
    return found.x[:nodes] > 0.5


def _defining(pairs, nodes):
    """y ≤ xᵢ + xⱼ and y ≤ 2 − xᵢ − xⱼ for each pair: rows [2·pairs, nodes + pairs], limits [2·pairs]."""
    m = len(pairs)
    each = np.arange(m)
    row = np.concatenate([each, each, each, m + each, m + each, m + each])
    column = np.concatenate([nodes + each, *pairs.T, nodes + each, *pairs.T])
    data = np.repeat([1.0, -1.0, -1.0, 1.0, 1.0, 1.0], m)
    return csr_array((data, (row, column)), shape=(2 * m, nodes + m)), np.repeat([0.0, 2.0], m)


def _broken_cycles(pairs, nodes, y, least=1e-4):
    """Inequalities of odd cycles that y [pairs] breaks: for each node at most one, rows and limits.

    In a graph of two copies an edge keeps the copy at the price y, or changes it at 1 − y; a
    path from a node to its other copy is a closed walk with an odd number F of changes, and
    it is broken where it costs less than 1.
    """
    y = np.clip(y, 0, 1)
    i, j = pairs.T
    start = np.concatenate([i, i + nodes, i, i + nodes])
    end = np.concatenate([j, j + nodes, j + nodes, j])
    price = np.concatenate([y, y, 1 - y, 1 - y]) + 1e-9          # 0 would be no edge
    doubled = coo_array((price, (start, end)), shape=(2 * nodes, 2 * nodes)).tocsr()
    cost, before = dijkstra(doubled, directed=False, indices=np.arange(nodes), return_predecessors=True)
    number_of = {frozenset(pair): k for k, pair in enumerate(pairs.tolist())}
    found = {}
    for node in range(nodes):
        if cost[node, node + nodes] > 1 - least:
            continue
        signs, at = {}, node + nodes
        while at != node:
            previous = before[node, at]
            pair = number_of[frozenset((at % nodes, previous % nodes))]
            if pair in signs:                                   # not a cycle but a walk: leave it
                break
            signs[pair] = 1 if (at < nodes) != (previous < nodes) else -1
            at = previous
        else:
            found[frozenset(signs.items())] = signs
    rows = [(row, nodes + pair, sign) for row, signs in enumerate(found.values()) for pair, sign in signs.items()]
    limits = np.array([sum(sign > 0 for sign in signs.values()) - 1.0 for signs in found.values()])
    if not rows:
        return csr_array((0, nodes + len(pairs))), limits
    row, column, data = np.array(rows).T
    return csr_array((data.astype(float), (row, column)), shape=(len(limits), nodes + len(pairs))), limits


def optimal_independent_set(edge_index, nodes, seconds=60.0):
    """A largest set of nodes no two of which are joined, with proof.

    Parameters
    ----------
    edge_index, seconds
        As in `optimal_cut`.
    nodes : int
        Up to about two hundred where each has three neighbours.

    Returns
    -------
    inside : array [nodes] of booleans

    Raises
    ------
    TypeError, ValueError, TimeoutError
        As `optimal_cut`.

    Examples
    --------
    >>> pentagon = [[0, 1, 2, 3, 4, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 0, 1, 2, 3, 4]]
    >>> int(optimal_independent_set(pentagon, nodes=5).sum())
    2
    """
    import networkx

    graph = networkx.from_scipy_sparse_array(adjacency(edge_index, nodes))
    seconds = number("seconds", seconds, above=0)
    if not graph.number_of_edges():
        return np.ones(nodes, bool)
    cliques = [clique for clique in networkx.find_cliques(graph) if len(clique) > 1]   # at most one node of each
    rows = np.repeat(np.arange(len(cliques)), [len(clique) for clique in cliques])
    together = csr_array((np.ones(len(rows)), (rows, np.concatenate(cliques))), shape=(len(cliques), nodes))
    found = milp(-np.ones(nodes), integrality=np.ones(nodes), bounds=Bounds(0, 1), options={"time_limit": seconds, "mip_rel_gap": 0},
                 constraints=LinearConstraint(together, -np.inf, 1))
    if found.status:
        raise TimeoutError(f"seconds must suffice for a proof, got {seconds}: {found.message}")
    return found.x > 0.5
