"""Cuts: what a side of every node is worth, in earnest and in expectation."""

import numpy as np
import torch
from scipy.sparse import csr_array

from course_lib.graphs.edges import edge_list


def adjacency(edge_index, nodes):
    """The matrix of an undirected graph: how often each pair of nodes is joined.

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Each edge in both directions. Loops are left out: nothing cuts them.
    nodes : int

    Returns
    -------
    scipy.sparse.csr_array [nodes, nodes] of int64
        Symmetric. A pair that stands twice counts twice.

    Raises
    ------
    TypeError, ValueError
        If `edge_index` is none, or an edge stands in it in one direction only.

    Examples
    --------
    >>> adjacency([[0, 1, 1, 2], [1, 0, 2, 1]], nodes=3).toarray().tolist()
    [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    """
    source, target = edge_list(edge_index, nodes).cpu().numpy()
    apart = source != target
    source, target = source[apart], target[apart]
    A = csr_array((np.ones(len(source), np.int64), (source, target)), shape=(nodes, nodes))
    A.sum_duplicates()
    uneven = (A - A.T).tocoo()
    if (uneven.data > 0).any():
        one = int((uneven.data > 0).argmax())
        edge = f"{uneven.row[one]} → {uneven.col[one]}"
        raise ValueError(f"edge_index must hold each edge in both directions, got {edge} more often than its reverse")
    return A


def cut_value(edge_index, side):
    """How many edges join the two sides.

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Each edge in both directions; it counts once.
    side : tensor or array [nodes] of booleans

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong: numbers are no sides, and an edge needs both directions.

    Examples
    --------
    >>> triangle = [[0, 1, 1, 2, 2, 0], [1, 0, 2, 1, 0, 2]]
    >>> cut_value(triangle, [True, False, False])
    2
    """
    side = booleans("side", side)
    A = adjacency(edge_index, len(side)).tocoo()
    return int(A.data[side[A.row] & ~side[A.col]].sum())


def booleans(name, value):
    """Return a vector of booleans as an array of NumPy, or raise, naming the argument."""
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    if array.dtype != bool:
        raise TypeError(f"{name} must hold booleans, got {array.dtype}")
    if array.ndim != 1:
        raise ValueError(f"{name} must have shape [nodes], got {list(array.shape)}")
    return array


def expected_cut(edge_index, p):
    """The edges that are cut on average if node i tosses a coin of its own that shows True with pᵢ.

    An edge is cut with probability pᵢ(1 − pⱼ) + pⱼ(1 − pᵢ). At p of zeros and ones this is the
    cut; in between it is the smooth function that a network can descend.

    Parameters
    ----------
    edge_index : int64 tensor [2, edges]
        Each edge in both directions, no loops. Not checked: this is called at every step.
    p : tensor [..., nodes]

    Returns
    -------
    tensor [...]
        Differentiable.

    Examples
    --------
    >>> edge = torch.tensor([[0, 1], [1, 0]])
    >>> expected_cut(edge, torch.tensor([0.5, 0.5])), expected_cut(edge, torch.tensor([1.0, 0.0]))
    (tensor(0.5000), tensor(1.))
    """
    source, target = edge_index
    return (p[..., source] * (1 - p[..., target])).sum(-1)   # one half of each edge from either direction


def cut_score(edge_index, side):
    """How far a cut is above half of the edges, in the unit that is the same for every degree d and size.

    Parameters
    ----------
    edge_index, side
        As in `cut_value`.

    Returns
    -------
    float
        P = (cut/nodes − d/4) / √(d/4), where d is the mean degree. Chance has 0; the largest
        cuts of random d-regular graphs tend to .7632 as both nodes and d grow.

    References
    ----------
    A. Dembo, A. Montanari, S. Sen, Extremal cuts of sparse random graphs, Annals of Probability
    45 (2017), arXiv:1503.03923.

    Examples
    --------
    >>> square = [[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]]
    >>> round(cut_score(square, [True, False, True, False]), 4)      # all four edges, d = 2
    0.7071
    """
    side = booleans("side", side)
    A = adjacency(edge_index, len(side))
    if not A.nnz:
        raise ValueError("edge_index must hold an edge between two nodes, got none")
    quarter = A.sum() / len(side) / 4
    return float((cut_value(edge_index, side) / len(side) - quarter) / np.sqrt(quarter))
