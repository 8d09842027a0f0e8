"""Speed: where a rule runs, and how it runs fast.

PyTorch and Triton are loaded when something of this package is first asked for, and not before.
"""

from importlib import import_module

from course_lib.kernels.triton_first import load_triton_first

_WHERE = {
    "best_device": "devices", "compile_step": "compiling", "triton_adamw": "triton_kernel",
    "adamw_kernel": "triton_kernel",
}

__all__ = sorted(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        load_triton_first()
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
