"""Graphs drawn at random, on which solvers are compared."""

import numpy as np
import torch

from course_lib.graphs.edges import both_directions
from course_lib.validation import count


def random_regular(nodes, degree, seed):
    """A graph in which each node has `degree` neighbours, and which is otherwise left to chance.

    Parameters
    ----------
    nodes : int
        More than `degree`; one of the two must be even.
    degree : int
        From 1.
    seed : int

    Returns
    -------
    int64 tensor [2, nodes · degree]
        Each edge in both directions; no loops, no edge twice. Drawn by networkx.

    Raises
    ------
    TypeError, ValueError
        If there is no such graph.

    References
    ----------
    A. Steger, N. C. Wormald, Generating random regular graphs quickly, Combinatorics,
    Probability and Computing 8 (1999), doi:10.1017/S0963548399003867.

    Examples
    --------
    >>> edge_index = random_regular(nodes=10, degree=3, seed=0)
    >>> edge_index.shape, edge_index[0].bincount().tolist()
    (torch.Size([2, 30]), [3, 3, 3, 3, 3, 3, 3, 3, 3, 3])
    """
    import networkx

    nodes, degree = count("nodes", nodes), count("degree", degree)
    if degree >= nodes or nodes * degree % 2:
        raise ValueError(f"degree must be below nodes, and nodes · degree even, got {degree} and {nodes}")
    drawn = networkx.random_regular_graph(degree, nodes, seed=count("seed", seed, least=0))
    return both_directions(torch.from_numpy(np.array(sorted(drawn.edges))))
