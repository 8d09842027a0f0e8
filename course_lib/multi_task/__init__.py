"""Several losses, one model: weights for the losses, or a direction made of their gradients.

A combiner takes the gradients `G [T, D]`, a row for each task, and returns the direction
`d [D]`; the step is then that of any rule. It looks at G only through the Gramian G Gᵀ, and
what it returns is a weight for each task, times G.

>>> import numpy as np
>>> from course_lib import multi_task
>>> G = np.array([[1.0, 0.0], [-0.5, 1.0]])
>>> d = multi_task.mgda(G)
>>> (G @ d * 13).round(9)
array([4., 4.])

A weighting sees the losses, and of the total loss one gradient is made. Only what takes the
gradients of a PyTorch module loads PyTorch.
"""

from importlib import import_module

_WHERE = {
    "gramian": "products", "combine": "products",
    "mgda": "min_norm", "mgda_weights": "min_norm",
    "pcgrad": "projections", "pcgrad_weights": "projections",
    "upgrad": "projections", "upgrad_weights": "projections",
    "cagrad": "conflict_averse", "cagrad_weights": "conflict_averse",
    "nash": "bargaining", "nash_weights": "bargaining",
    "equal": "weightings", "random_weighting": "weightings", "weighted_sum": "weightings",
    "UncertaintyWeighting": "weightings", "DynamicWeightAverage": "weightings",
    "GradNorm": "gradient_weightings", "FAMO": "gradient_weightings",
    "task_gradients": "jacobians", "write_gradient": "jacobians", "combined_backward": "jacobians",
}

__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
