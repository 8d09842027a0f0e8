"""The product of a graph and features, as a dense matrix and edge by edge: what `Propagation` must equal.

An edge s→t of weight w adds w·x[s] to out[t]; x [nodes, width], out [nodes, width].
"""

import torch

from course_lib.graphs.edges import edge_list, weights_of
from course_lib.graphs.normalization import gcn_norm  # noqa: F401 (for the examples)


def dense_matrix(edge_index, edge_weight, nodes):
    """The matrix P [nodes, nodes] of the edges, P[t, s] = Σ of the weights from s to t.

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Sources, then targets.
    edge_weight : tensor or array [edges], or None
        None: 1 each.
    nodes : int

    Returns
    -------
    tensor [nodes, nodes]

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or range.

    Examples
    --------
    >>> dense_matrix(*gcn_norm([[0, 1], [1, 0]], nodes=2), nodes=2)
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    source, target = edges = edge_list(edge_index, nodes)
    weights = weights_of(edge_weight, edges)
    return weights.new_zeros(nodes, nodes).index_put((target, source), weights, accumulate=True)


def gather_scatter(x, edge_index, edge_weight):
    """Send every message and add up what arrives: the same product, an edge at a time.

    Parameters
    ----------
    x : tensor [nodes, width]
    edge_index : int64 tensor [2, edges]
        Sources, then targets; not checked.
    edge_weight : tensor [edges]

    Returns
    -------
    tensor [nodes, width]
        It holds all messages at once on the way, edges · width numbers.

    Examples
    --------
    >>> x = torch.tensor([[0.0], [2.0]])
    >>> gather_scatter(x, *gcn_norm([[0, 1], [1, 0]], nodes=2)).round(decimals=3)
    tensor([[1.],
            [1.]])
    """
    source, target = edge_index
    messages = edge_weight[:, None] * x[source]
    return torch.zeros_like(x).index_add(0, target, messages)
