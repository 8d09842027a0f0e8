"""Cuts found by extremal optimization: the worst placed nodes are moved, whether that helps or not."""

import numpy as np

from course_lib.graphs.cuts import adjacency
from course_lib.graphs.local_cuts import neighbours
from course_lib.validation import count, number

BLOCK = 65_536   # so many random numbers are drawn at a time


def extremal_cut(edge_index, nodes, seed, steps=None, tau=1.3):
    """Flip, again and again, one of the nodes whose flip is worth most, even where it costs edges.

    Nodes are ranked by what their flip would add to the cut, the most first, ties by chance.
    The node of rank k is flipped with probability ∝ k^(−tau). So the search never stands
    still, and never warms up or cools down.

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Each edge in both directions.
    nodes : int
    seed : int
    steps : int, optional
        Flips, by default 800 for each node.
    tau : float, > 0
        Large: always the best flip, which soon goes back and forth. Small: any flip.

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
    S. Boettcher, A. G. Percus, Optimization with extremal dynamics, Physical Review Letters 86
    (2001), arXiv:cond-mat/0010337.

    Examples
    --------
    >>> ring = [[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]]
    >>> extremal_cut(ring, nodes=4, seed=0).tolist() in ([True, False] * 2, [False, True] * 2)
    True
    """
    A, rng = adjacency(edge_index, nodes), np.random.default_rng(count("seed", seed, least=0))
    steps = 800 * nodes if steps is None else count("steps", steps)
    likely = np.cumsum(np.arange(1.0, nodes + 1) ** -number("tau", tau, above=0))
    friends, spins = neighbours(A), rng.choice([-1, 1], nodes)
    gains = spins * (A @ spins)
    spins, bins = spins.tolist(), Bins(gains.tolist(), most=int(A.sum(1).max(initial=0)))
    cut = most = 0      # above the start
    best = spins.copy()
    for begin in range(0, steps if A.nnz else 0, BLOCK):
        size = min(BLOCK, steps - begin)
        ranks = np.searchsorted(likely, rng.random(size) * likely[-1], side="right").tolist()
        for rank, chance in zip(ranks, rng.random(size).tolist()):
            node = bins.ranked(rank, chance)
            gain, spin = bins.gain[node], -spins[node]
            spins[node], cut = spin, cut + gain
            bins.move(node, -gain)
            for friend, times in friends[node]:
                bins.move(friend, bins.gain[friend] + 2 * spin * spins[friend] * times)
            if cut > most:
                most, best = cut, spins.copy()
    return np.array(best) > 0


class Bins:
    """Nodes sorted by the gain of their flip, kept sorted when a gain changes.

    Parameters
    ----------
    gain : list of int
        One for each node.
    most : int
        No gain is ever larger, or below −most.
    """

    def __init__(self, gain, most):
        self.gain, self.most = gain, most
        self.bins = [[] for _ in range(2 * most + 1)]      # the largest gain first
        self.place = [0] * len(gain)
        for node, each in enumerate(gain):
            self._put(node, each)

    def _put(self, node, gain):
        to = self.bins[self.most - gain]
        self.place[node], self.gain[node] = len(to), gain
        to.append(node)

    def move(self, node, gain):
        """Give a node another gain."""
        old = self.bins[self.most - self.gain[node]]
        last = old.pop()
        if last != node:                                   # it fills the gap
            at = self.place[last] = self.place[node]
            old[at] = last
        self._put(node, gain)

    def ranked(self, rank, chance):
        """Return the node of a rank, 0 for the largest gain; `chance` in [0, 1) decides among equals."""
        for equals in self.bins:
            if rank < len(equals):
                return equals[int(chance * len(equals))]
            rank -= len(equals)
