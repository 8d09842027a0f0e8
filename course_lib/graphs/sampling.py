"""A few neighbours in place of all: what lets one train on a graph that does not fit."""

import numpy as np
import torch

from course_lib.graphs.propagation import Propagation
from course_lib.validation import count


class NeighborSampler:
    """Draw, for a few nodes, the part of the graph that an estimate of their outputs needs.

    Each node's own entry is kept. Of its d other entries k are drawn without replacement,
    and their weights are multiplied by d/k: the mean of `block @ x` over the draws is the
    exact product (the estimator that Chen, Zhu and Song 2018, arXiv:1710.10568, call NS;
    what layers do *between* the products is not linear, so a network's output is not
    unbiased).

    Parameters
    ----------
    starts : array [nodes + 1] of int
        Where each row begins in the other two.
    columns : array [entries] of int
        The sources of each row.
    values : array [entries] of floats
        Their weights. All three as `Propagation.csr()` gives them; they may be memory-mapped
        files, of which only the rows that are drawn from are read.

    Raises
    ------
    TypeError, ValueError
        If the arrays do not fit together.

    Examples
    --------
    >>> sampler = NeighborSampler(*Propagation.normalized([[0, 1, 2], [3, 3, 3]], nodes=4).csr())
    >>> nodes, blocks = sampler.sample([3], fanouts=[2], rng=np.random.default_rng(0))
    >>> len(nodes), blocks[0].shape
    (3, (1, 3))
    """

    def __init__(self, starts, columns, values):
        for name, array, kind in (("starts", starts, "iu"), ("columns", columns, "iu"), ("values", values, "f")):
            if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in kind:
                raise TypeError(f"{name} must be a vector of {'floats' if kind == 'f' else 'integers'}, got {array!r}")
        if not len(starts) or starts[0] != 0 or starts[-1] != len(columns) or (np.diff(starts) < 0).any():
            raise ValueError(f"starts must rise from 0 to {len(columns)}, the entries, got {starts!r}")
        if len(values) != len(columns):
            raise ValueError(f"values must hold {len(columns)} numbers, as columns, got {len(values)}")
        self.starts, self.columns, self.values = starts, columns, values
        self.nodes = len(starts) - 1
        self._check_columns()

    def sample(self, targets, fanouts, rng):
        """Draw the blocks of as many layers as there are fanouts.

        Parameters
        ----------
        targets : sequence of int
            The nodes whose outputs are wanted, each once.
        fanouts : list of int or None
            How many neighbours a node hears in each layer, from the input to the output;
            None: all.
        rng : numpy.random.Generator

        Returns
        -------
        nodes : int64 array
            Whose features are needed: `x[nodes]` is the network's input.
        blocks : list of Propagation
            One a layer, from the input to the output; the last has a row for each target.

        Raises
        ------
        TypeError, ValueError
            If a target does not exist or stands twice, or a fanout is no whole number above 0.
        """
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"rng must be a numpy.random.Generator, got {rng!r}")
        nodes = np.asarray(targets)
        if nodes.ndim != 1 or not len(nodes) or nodes.dtype.kind not in "iu":
            raise TypeError(f"targets must be one or more whole numbers, got {targets!r}")
        if nodes.min() < 0 or nodes.max() >= self.nodes or len(np.unique(nodes)) < len(nodes):
            raise ValueError(f"targets must be different nodes from 0 to {self.nodes - 1}, got {targets!r}")
        if not isinstance(fanouts, (list, tuple)):
            raise TypeError(f"fanouts must be a list, a number for each layer, got {fanouts!r}")
        fanouts = [None if fanout is None else count("fanouts", fanout) for fanout in fanouts]
        if not fanouts:
            raise ValueError("fanouts must name at least one layer, got none")
        blocks = []
        for fanout in reversed(fanouts):
            block, nodes = self._block(nodes.astype(np.int64), fanout, rng)
            blocks.insert(0, block)
        return nodes, blocks

    def _check_columns(self, piece=2**22):
        """Every row's columns must ascend and be nodes; read once, so many at a time."""
        first = np.zeros(len(self.columns) + 1, bool)
        first[self.starts] = True
        for start in range(0, len(self.columns), piece):
            columns = np.asarray(self.columns[max(start - 1, 0) : start + piece], dtype=np.int64)
            if columns.min() < 0 or columns.max() >= self.nodes:
                raise ValueError(f"columns must be nodes from 0 to {self.nodes - 1}, got one outside")
            rises = (np.diff(columns) > 0) | first[max(start - 1, 0) + 1 : start + piece][: len(columns) - 1]
            if not rises.all():
                raise ValueError("columns must ascend within each row, as those of Propagation.csr() do")

    def _block(self, targets, fanout, rng):
        """The sampled rows of these nodes, and the nodes that they hear, the targets first."""
        rows, entries, factors = self._drawn(targets, fanout, rng)
        columns = np.asarray(self.columns[entries], dtype=np.int64)
        weights = np.asarray(self.values[entries]) * factors.astype(self.values.dtype)
        others = np.setdiff1d(columns, targets)
        nodes = np.concatenate([targets, others])
        order = np.argsort(nodes, kind="stable")
        sources = order[np.searchsorted(nodes, columns, sorter=order)]
        edges = torch.from_numpy(np.stack([sources, rows]))
        return Propagation(edges, torch.from_numpy(weights), len(targets), len(nodes)), nodes

    def _drawn(self, targets, fanout, rng):
        """Of each target its own entries and some others: row number, place among the entries, factor d/k."""
        starts = np.asarray(self.starts[targets], dtype=np.int64)
        sizes = np.asarray(self.starts[targets + 1], dtype=np.int64) - starts
        rows = np.repeat(np.arange(len(targets)), sizes)
        if fanout is None or not (sizes > fanout).any():
            places = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            return rows, starts[rows] + places, np.ones(len(rows))
        own = self._own(targets, starts, sizes)                    # place of the own entry in its row, or -1
        others = sizes - (own >= 0)
        k = np.minimum(others, fanout)
        places = _without_replacement(others, fanout, rng)         # [targets, fanout], -1 where there is none
        places += (own >= 0)[:, None] & (places >= own[:, None])   # the own entry is skipped
        row, slot = np.nonzero(np.arange(fanout) < k[:, None])
        loops = np.flatnonzero(own >= 0)
        rows = np.concatenate([row, loops])
        entries = np.concatenate([starts[row] + places[row, slot], starts[loops] + own[loops]])
        return rows, entries, np.concatenate([(others / np.maximum(k, 1))[row], np.ones(len(loops))])

    def _own(self, targets, starts, sizes):
        """By bisection, since each row's columns ascend."""
        low, high = starts.copy(), starts + sizes
        while (open_ := low < high).any():
            middle = (low + high) // 2
            less = np.zeros(len(targets), bool)
            less[open_] = self.columns[middle[open_]] < targets[open_]
            low, high = np.where(open_ & less, middle + 1, low), np.where(open_ & ~less, middle, high)
        found = low < starts + sizes
        found[found] = self.columns[low[found]] == targets[found]
        return np.where(found, low - starts, -1)


def _without_replacement(sizes, many, rng):
    """For each size n, min(n, many) different numbers below n, each set equally likely; -1 in what is left over.

    Floyd's algorithm, all rows at once: in round j one draws up to j, and takes j itself if that was drawn before.
    """
    drawn = np.full((len(sizes), many), -1)
    k = np.minimum(sizes, many)
    for slot in range(many):
        last = sizes - k + slot                                    # the largest number of this round
        active = slot < k
        number = rng.integers(0, np.where(active, last, 0) + 1)
        number = np.where((drawn[:, :slot] == number[:, None]).any(1), last, number)
        drawn[:, slot] = np.where(active, number, -1)
    return drawn
