"""Graphs: a node's features mixed with those of its neighbours, by one sparse product.

Throughout, `edge_index` [2, edges] holds sources in its first row and targets in its second,
numbered from 0; an undirected edge stands in it in both directions. What needs PyTorch loads
it when it is first asked for.
"""

from importlib import import_module

_WHERE = {
    "gcn_norm": "normalization",
    "dense_matrix": "plain_products", "gather_scatter": "plain_products", "Propagation": "propagation",
    "GCNConv": "convolution", "GCN": "convolution",
    "NeighborSampler": "sampling",
    "karate_club": "example_graphs", "planted_partition": "example_graphs",
    "neighbor_graph": "example_graphs", "LabelledGraph": "example_graphs", "both_directions": "edges",
    "node_task": "node_tasks",
}

__all__ = [*_WHERE]


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
