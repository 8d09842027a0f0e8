"""Tuning: settings found by trial, each trial chosen in the light of those before.

SciPy and scikit-learn are loaded when something of this package is first asked for, and not before.
"""

from importlib import import_module

_WHERE = {
    "GaussianProcess": "gaussian_process",
    "expected_improvement": "acquisitions", "log_expected_improvement": "acquisitions",
    "probability_of_improvement": "acquisitions", "lower_confidence_bound": "acquisitions",
    "Space": "spaces", "BayesianSearch": "bayesian_search", "bayesian_minimize": "minimizing",
    "BayesSearchCV": "estimator", "Trial": "trials", "Result": "trials",
    "EvolutionStrategy": "covariance_adaptation", "cma_es": "evolution_strategies",
    "evolution_strategy": "evolution_strategies", "DifferentialEvolution": "differences",
    "differential_evolution": "differences", "Racing": "racing", "hyperband_brackets": "brackets",
    "successive_halving": "halving", "hyperband": "halving",
    "PopulationResult": "population_training", "population_based_training": "population_training",
    "hypergradient_descent": "hypergradients", "unrolled": "hypergradients",
}

__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
