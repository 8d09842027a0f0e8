"""Edges and their weights: what they may be, and the errors that name what is wrong with them."""

import torch

from course_lib.validation import count


def edge_list(edge_index, nodes, sources=None):
    """Return the edges as int64 tensor [2, edges], or raise.

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Sources in the first row, targets in the second.
    nodes : int
        Targets lie in 0 … nodes − 1.
    sources : int, optional
        Sources lie in 0 … sources − 1; by default the same nodes.

    Raises
    ------
    TypeError
        If `edge_index` does not hold integers, or a number of nodes is none.
    ValueError
        If it does not have two rows, or an edge ends where there is no node.
    """
    nodes = count("nodes", nodes, least=0)
    limits = nodes if sources is None else count("sources", sources, least=0), nodes
    try:
        edges = torch.as_tensor(edge_index)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"edge_index must be a tensor [2, edges] of integers, got {edge_index!r}") from None
    if edges.is_floating_point() or edges.is_complex() or edges.dtype == torch.bool:
        raise TypeError(f"edge_index must hold integers, got {edges.dtype}")
    if edges.dim() != 2 or len(edges) != 2:
        raise ValueError(f"edge_index must have shape [2, edges], got {list(edges.shape)}")
    for row, name, limit in zip(edges, ("source", "target"), limits):
        if len(row) and not (0 <= row.min() and row.max() < limit):
            bad = int(row[(row < 0) | (row >= limit)][0])
            allowed = f"0 to {limit - 1}" if limit else "none, as there are no nodes"
            raise ValueError(f"edge_index must name nodes that exist ({allowed}), got the {name} {bad}")
    return edges.to(torch.int64)


def weights_of(edge_weight, edges, dtype=None):
    """Return one weight an edge, ones where none were given, or raise.

    Parameters
    ----------
    edge_weight : tensor or array [edges], or None
    edges : int64 tensor [2, edges]
    dtype : torch.dtype, optional
        That of the result; by default the weights' own, without weights PyTorch's default.

    Raises
    ------
    TypeError
        If the weights are not real numbers, or dtype is not one of floats.
    ValueError
        If there is not one finite weight for each edge.
    """
    many = edges.shape[1]
    if dtype is not None and not dtype.is_floating_point:
        raise TypeError(f"dtype must be one of floats, got {dtype}")
    if edge_weight is None:
        return torch.ones(many, dtype=dtype or torch.get_default_dtype(), device=edges.device)
    try:
        weights = torch.as_tensor(edge_weight, device=edges.device)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"edge_weight must be a tensor [edges] of numbers, got {edge_weight!r}") from None
    if weights.is_complex() or weights.dtype == torch.bool:
        raise TypeError(f"edge_weight must hold real numbers, got {weights.dtype}")
    if weights.shape != (many,):
        raise ValueError(f"edge_weight must have shape [{many}], one for each edge, got {list(weights.shape)}")
    if not weights.is_floating_point():
        weights = weights.to(torch.get_default_dtype())
    if not weights.isfinite().all():
        bad = int((~weights.isfinite()).nonzero()[0])
        raise ValueError(f"edge_weight must be finite, got {weights[bad].item()} for edge {bad}")
    return weights if dtype is None else weights.to(dtype)


def both_directions(pairs):
    """Turn a list of undirected edges into an `edge_index`.

    Parameters
    ----------
    pairs : tensor or array [edges, 2] of integers
        The two ends of each edge, in any order.

    Returns
    -------
    int64 tensor [2, 2 · edges]
        Each edge from its first end to its second, then each the other way. A loop, whose
        ends are one node, stands once.

    Raises
    ------
    TypeError, ValueError
        If `pairs` is not an array of integers with two columns.

    Examples
    --------
    >>> both_directions([[0, 1], [2, 1]])
    tensor([[0, 2, 1, 1],
            [1, 1, 0, 2]])
    """
    try:
        pairs = torch.as_tensor(pairs)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"pairs must be an array [edges, 2] of integers, got {pairs!r}") from None
    if pairs.is_floating_point() or pairs.is_complex() or pairs.dtype == torch.bool:
        raise TypeError(f"pairs must hold integers, got {pairs.dtype}")
    if pairs.dim() != 2 or pairs.shape[1] != 2:
        raise ValueError(f"pairs must have shape [edges, 2], got {list(pairs.shape)}")
    there = pairs.to(torch.int64).T
    return torch.cat([there, there.flip(0)[:, there[0] != there[1]]], 1)
