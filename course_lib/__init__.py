"""Descent: the library behind the book.

Everything a chapter imports is reachable from here, and nothing is loaded before it is
used: `import course_lib` costs little more than `import numpy`, and never loads PyTorch
or TensorFlow.
"""

from importlib import import_module

_WHERE = {
    "update_rules": (
        "Rule", "Transform", "gradient_descent", "momentum", "adagrad", "rmsprop",
        "adadelta", "adam", "adamw", "nadam", "sign_descent", "lion", "chain",
        "clip_by_global_norm", "add_decayed_weights", "matrices_only",
        "accumulate_gradients", "weight_ema", "register", "rebuild", "describe",
    ),
    "training": (
        "minimize", "Trace", "Divergence", "fit", "EarlyStopping", "Checkpoint",
        "learning_rate_range_test", "compare", "Task", "quadratic_task", "logistic_task",
        "mlp_task", "module_task", "mean_interval", "sharpness",
    ),
    "frameworks": ("TorchOptimizer", "KerasOptimizer", "KerasSchedule"),
    "kernels": ("best_device", "compile_step", "triton_adamw"),
    "multi_task": (
        "mgda", "pcgrad", "cagrad", "nash", "upgrad", "UncertaintyWeighting", "DynamicWeightAverage",
        "GradNorm", "FAMO", "task_gradients", "combined_backward",
    ),
    "transfer": ("layer_rates", "pull_to_start", "adapt"),
    "tuning": (
        "GaussianProcess", "expected_improvement", "log_expected_improvement", "probability_of_improvement",
        "lower_confidence_bound", "Space", "BayesianSearch", "bayesian_minimize", "BayesSearchCV",
        "EvolutionStrategy", "cma_es", "evolution_strategy", "DifferentialEvolution", "differential_evolution",
        "Racing", "hyperband_brackets", "successive_halving", "hyperband", "population_based_training",
        "hypergradient_descent", "unrolled",
    ),
    "federated": (
        "simulate", "FederatedTrace", "simulate_buffered", "BufferedTrace", "Algorithm", "fedsgd", "fedavg", "fedprox",
        "scaffold", "ClientData", "local_updates", "client_values", "fine_tuned", "ModuleLoss",
        "top_k", "qsgd", "ErrorFeedback", "ClientPrivacy", "rdp_epsilon", "noise_for_epsilon", "secure_sum",
        "trimmed_mean", "krum", "Faults", "flower_simulate",
    ),
    "graphs": (
        "gcn_norm", "GCNConv", "GCN", "Propagation", "gather_scatter", "dense_matrix", "NeighborSampler",
        "both_directions", "neighbor_graph", "planted_partition", "karate_club", "node_task", "random_regular",
        "cut_value", "expected_cut", "cut_score", "cut_vectors", "relaxed_value", "cut_bound", "optimal_cut",
        "greedy_cut", "annealed_cut", "extremal_cut", "goemans_williamson_cut", "descent_cut", "gnn_cut",
        "is_independent", "independent_set", "expected_size", "optimal_independent_set", "greedy_independent_set",
        "annealed_independent_set", "descent_independent_set", "gnn_independent_set",
        "learn_step_sizes", "worst_remainder", "chebyshev_steps", "mixture", "decay_to_zero", "gated_mixture", "edge_gate",
        "edge_features", "largest_curvatures", "network_rule", "network_start", "neuron_means", "tensor_means", "Problems",
        "run_rule", "learn_numbers", "graph_quadratics", "task_graphs", "small_networks", "penalised", "robust_penalised",
        "laplacian",
    ),
    "datasets": ("load", "Dataset", "Split"),
    "claims": ("claim",),
    "exercises": ("check",),
    "notebook": ("show_source", "show_error", "progress"),
    "results": ("measured",),
}
_MODULES = (
    "update_rules", "schedules", "objectives", "training", "frameworks", "kernels", "multi_task", "transfer",
    "tuning", "graphs", "federated", "datasets", "plots", "claims", "exercises", "notebook", "results",
)
_HOME = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted([*_HOME, *_MODULES])
__version__ = "0.1.0"


def __getattr__(name):
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
