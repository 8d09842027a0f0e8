"""Training: take an objective or a model, a rule and a number of steps, and go.

What needs PyTorch loads it when it is first asked for.
"""

from importlib import import_module

from course_lib.training.early_stopping import EarlyStopping
from course_lib.training.intervals import Interval, mean_interval
from course_lib.training.minimization import Divergence, Trace, minimize

_WHERE = {
    "fit": "fitting", "History": "fitting",
    "compare": "comparison", "Comparison": "outcomes", "MethodResult": "outcomes",
    "Checkpoint": "checkpoints", "write_checkpoint": "checkpoints", "read_checkpoint": "checkpoints",
    "learning_rate_range_test": "range_test", "RangeTest": "range_test",
    "Task": "tasks", "Draw": "tasks", "quadratic_task": "tasks",
    "logistic_task": "data_tasks", "mlp_task": "data_tasks", "module_task": "data_tasks",
    "batch_order": "runs", "sharpness": "curvature",
}

__all__ = ["minimize", "Trace", "Divergence", "EarlyStopping", "mean_interval", "Interval", *_WHERE]


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
