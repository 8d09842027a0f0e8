"""The rules of the book as optimizers of PyTorch and of Keras.

Each framework is loaded when its optimizer is first asked for, and not before.
"""

from importlib import import_module

from course_lib.kernels.triton_first import load_triton_first

_WHERE = {
    "TorchOptimizer": "torch_optimizer", "KerasOptimizer": "keras_optimizer", "KerasSchedule": "keras_schedule",
}

__all__ = sorted(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        load_triton_first()
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
