"""Transfer: which weights move, how fast, how far from where they started, and from which start.

What needs PyTorch loads it when it is first asked for.
"""

from importlib import import_module

from course_lib.transfer.layer_factors import layer_rates, stages
from course_lib.transfer.start_penalty import pull_to_start

_WHERE = {
    "Network": "networks", "adapt": "adapting", "fit_together": "adapting", "stacked": "adapting",
    "pooled": "meta_gradients", "reptile": "meta_gradients", "first_order_maml": "meta_gradients",
    "maml": "meta_gradients", "meta_train": "meta_gradients",
    "digit_task": "few_labels", "digit_images": "few_labels", "sinusoids": "sine_waves",
}

__all__ = ["layer_rates", "stages", "pull_to_start", *_WHERE]


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
