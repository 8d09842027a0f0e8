"""Graphs: features mixed with those of the neighbours; cuts and independent sets; rules whose numbers are learned.

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
    "node_task": "node_tasks", "random_regular": "random_graphs",
    "cut_value": "cuts", "expected_cut": "cuts", "cut_score": "cuts",
    "greedy_cut": "local_cuts", "annealed_cut": "local_cuts", "extremal_cut": "extremal_cuts",
    "descent_cut": "relaxed_cuts", "gnn_cut": "relaxed_cuts",
    "mean_cut": "relaxed_cuts", "node_network": "relaxed_cuts",
    "cut_vectors": "semidefinite_cuts", "relaxed_value": "semidefinite_cuts", "cut_bound": "semidefinite_cuts",
    "goemans_williamson_cut": "semidefinite_cuts",
    "is_independent": "independent_sets", "independent_set": "independent_sets",
    "greedy_independent_set": "independent_sets", "annealed_independent_set": "independent_sets",
    "expected_size": "relaxed_sets", "descent_independent_set": "relaxed_sets", "gnn_independent_set": "relaxed_sets",
    "optimal_cut": "exact_solutions", "optimal_independent_set": "exact_solutions",
    "learn_step_sizes": "learned_steps", "worst_remainder": "learned_steps", "chebyshev_steps": "learned_steps",
    "mixture": "rule_mixtures", "decay_to_zero": "rule_mixtures",
    "gated_mixture": "gated_mixtures", "edge_gate": "gated_mixtures", "edge_features": "gated_mixtures",
    "largest_curvatures": "gated_mixtures",
    "network_rule": "network_rules", "network_start": "network_rules", "neuron_means": "network_rules",
    "tensor_means": "network_rules",
    "Problems": "meta_training", "run_rule": "meta_training", "learn_numbers": "meta_training",
    "graph_quadratics": "learning_families", "task_graphs": "learning_families", "penalised": "learning_families",
    "robust_penalised": "learning_families", "laplacian": "learning_families", "small_networks": "network_families",
}

__all__ = [*_WHERE]


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
