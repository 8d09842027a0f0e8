"""The weights with which a node hears its neighbours."""

import torch

from course_lib.graphs.edges import edge_list, weights_of
from course_lib.validation import count


def gcn_norm(edge_index, nodes, edge_weight=None, *, add_self_loops=True, dtype=None):
    """Give every node a loop, and divide every weight by the roots of two degrees.

    ŵ(s→t) = w(s→t) / √(d(s) d(t)), with d(t) = Σ over edges s→t of w(s→t), the loop among
    them: the entries of D̂^(−½) Â D̂^(−½) with Â = A + I (Kipf and Welling 2017,
    arXiv:1609.02907, section 2).

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Sources, then targets. A pair that stands twice counts twice.
    nodes : int
        How many there are, those without edges included.
    edge_weight : tensor or array [edges], optional
        1 for each edge unless given; may require gradients.
    add_self_loops : bool
        They weigh 1. A loop that is there already keeps its weight; of several at one node
        the last is kept.
    dtype : torch.dtype, optional
        That of the weights.

    Returns
    -------
    edge_index : int64 tensor [2, edges']
        The edges between different nodes, as they came, then every node's loop.
    edge_weight : tensor [edges']
        Both as PyTorch Geometric's `gcn_norm` gives them. A node whose weights are all 0
        has degree 0: it hears nothing and is not heard.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or range, or negative weights leave a node
        with a degree that is not positive: it has no root to divide by.

    Examples
    --------
    >>> edges, weights = gcn_norm([[0, 1], [1, 0]], nodes=3)
    >>> edges
    tensor([[0, 1, 0, 1, 2],
            [1, 0, 0, 1, 2]])
    >>> weights
    tensor([0.5000, 0.5000, 0.5000, 0.5000, 1.0000])
    """
    nodes = count("nodes", nodes, least=0)
    edges = edge_list(edge_index, nodes)
    if add_self_loops:
        edges, weights = _with_loops(edges, nodes, edge_weight, dtype)
    else:
        weights = weights_of(edge_weight, edges, dtype)
    source, target = edges
    degree = weights.new_zeros(nodes).index_add(0, target, weights)
    _check_degrees(degree.detach(), weights.detach(), target)
    heard = degree > 0
    scale = torch.where(heard, torch.where(heard, degree, 1.0) ** -0.5, 0.0)   # so that 0 has a gradient, 0
    return edges, scale[source] * weights * scale[target]


def _with_loops(edges, nodes, edge_weight, dtype):
    """The edges between different nodes, then one loop a node, and their weights."""
    source, target = edges
    between = source != target
    loops = torch.arange(nodes, device=edges.device)
    found = torch.cat([edges[:, between], loops.expand(2, -1)], 1)
    if edge_weight is None:
        return found, weights_of(None, found, dtype)
    weights = weights_of(edge_weight, edges, dtype)
    own, at = weights[~between], source[~between]
    last = torch.full_like(loops, -1).scatter_reduce(0, at, torch.arange(len(at), device=at.device), "amax")
    kept = last >= 0
    loop_weights = weights.new_ones(nodes).masked_scatter(kept, own[last[kept]])
    return found, torch.cat([weights[between], loop_weights])


def _check_degrees(degree, weights, target):
    """Raise where weights that are not all 0 sum to 0 or less."""
    if not (weights < 0).any():
        return
    size = torch.zeros_like(degree).index_add(0, target, weights.abs())
    bad = ((degree <= 0) & (size > 0)).nonzero()
    if len(bad):
        node = int(bad[0])
        raise ValueError(
            f"edge_weight must leave every node a degree > 0, got {degree[node].item():g} at node {node}: "
            "the normalisation divides by its root"
        )
