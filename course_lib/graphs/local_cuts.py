"""Cuts found by flipping one node at a time: uphill, at a temperature, and worst first."""

import numpy as np
from scipy.special import expit

from course_lib.graphs.cuts import adjacency, booleans
from course_lib.validation import count, number


def greedy_cut(edge_index, nodes, seed, start=None):
    """Flip any node that has more friends on its own side than across, until there is none.

    Goes through the nodes in an order by chance, round by round. Each flip cuts more edges than
    it mends, so it ends, and every node then has at least half of its edges cut.

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Each edge in both directions.
    nodes : int
    seed : int
    start : array or tensor [nodes] of booleans, optional
        Sides to begin with, such as another solver's; by default sides by chance.

    Returns
    -------
    side : array [nodes] of booleans
        Never a smaller cut than that of the start.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> ring = [[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]]
    >>> from course_lib import cut_value
    >>> cut_value(ring, greedy_cut(ring, nodes=4, seed=0)) >= 2
    True
    """
    A, rng = adjacency(edge_index, nodes), np.random.default_rng(count("seed", seed, least=0))
    friends = neighbours(A)
    spins = rng.choice([-1, 1], nodes) if start is None else np.where(_start(start, nodes), 1, -1)
    spins, gain = spins.tolist(), _gains(A, spins)
    improved = True
    while improved:
        improved = False
        for node in rng.permutation(nodes).tolist():
            if gain[node] > 0:
                _flip(node, spins, gain, friends)
                improved = True
    return np.array(spins) > 0


def _start(start, nodes):
    side = booleans("start", start)
    if len(side) != nodes:
        raise ValueError(f"start must have shape [{nodes}], got {list(side.shape)}")
    return side


def neighbours(A):
    """Return for each node the list of its neighbours and how often each is joined, from a CSR matrix."""
    ends, times, starts = A.indices.tolist(), A.data.tolist(), A.indptr.tolist()
    return [list(zip(ends[a:b], times[a:b])) for a, b in zip(starts, starts[1:])]


def _gains(A, spins):
    """What flipping each node would add to the cut: its edges not cut, less those that are."""
    return (spins * (A @ spins)).tolist()


def _flip(node, spins, gain, friends):
    spin = spins[node] = -spins[node]
    gain[node] = -gain[node]
    for friend, times in friends[node]:
        gain[friend] += 2 * spin * spins[friend] * times


def annealed_cut(edge_index, nodes, seed, sweeps=1000, hottest=None, coldest=0.05):
    """Simulated annealing: flips that lose edges are made too, ever more rarely.

    A flip that changes the cut by Δ is made with probability 1/(1 + exp(−Δ/T)) (the heat
    bath). T falls from hottest to coldest in equal steps. Nodes of one colour, which are not
    joined, are treated at once: that is the same as one after the other.

    Parameters
    ----------
    edge_index, nodes, seed
        As in `greedy_cut`.
    sweeps : int
        How often each node is asked.
    hottest : float, optional
        T at first, in edges, at least `coldest`; by default a sixth of the mean degree.
    coldest : float, > 0
        T at last.

    Returns
    -------
    side : array [nodes] of booleans
        The best that was met.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    S. Kirkpatrick, C. D. Gelatt, M. P. Vecchi, Optimization by simulated annealing, Science 220
    (1983), doi:10.1126/science.220.4598.671.

    Examples
    --------
    >>> ring = [[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]]
    >>> from course_lib import cut_value
    >>> cut_value(ring, annealed_cut(ring, nodes=4, seed=0))
    4
    """
    A, rng = adjacency(edge_index, nodes), np.random.default_rng(count("seed", seed, least=0))
    coldest = number("coldest", coldest, above=0)
    hottest = max(coldest, A.sum() / max(nodes, 1) / 6) if hottest is None else number("hottest", hottest, least=coldest)
    classes = colour_classes(A)
    rows = [A[each] for each in classes]
    spins = rng.choice([-1.0, 1.0], nodes)
    best, most = spins.copy(), _cut(A, spins)
    for temperature in np.linspace(hottest, coldest, count("sweeps", sweeps)):
        for each, row in zip(classes, rows):
            field = row @ spins                                     # friends with +1, less those with −1
            down = rng.random(len(each)) < expit(field / temperature)
            spins[each] = np.where(down, -1.0, 1.0)
        cut = _cut(A, spins)
        if cut > most:
            best, most = spins.copy(), cut
    return best > 0


def _cut(A, spins):
    return (A.sum() - spins @ (A @ spins)) / 4


def colour_classes(A):
    """Split the nodes into classes without an edge inside (networkx's greedy colouring, largest degree first)."""
    import networkx

    colour = networkx.greedy_color(networkx.from_scipy_sparse_array(A), strategy="largest_first")
    colours = np.array([colour[node] for node in range(A.shape[0])], dtype=int)
    return [np.flatnonzero(colours == each) for each in range(colours.max() + 1)] if len(colours) else []
