"""Federated optimization: clients that keep their data, a server that averages, and the drift between them.

What needs PyTorch loads it when it is first asked for.
"""

from importlib import import_module

from course_lib.federated import partition

_WHERE = {
    "Algorithm": "algorithms", "fedsgd": "algorithms", "fedavg": "algorithms", "fedprox": "algorithms",
    "scaffold": "algorithms", "mean": "aggregators",
    "ClientData": "client_data", "local_updates": "local_training",
    "simulate": "simulation", "FederatedTrace": "simulation",
    "simulate_buffered": "asynchronous", "BufferedTrace": "asynchronous",
    "client_values": "clients", "fine_tuned": "clients",
    "ModuleLoss": "module_losses",
}

__all__ = ["partition", *_WHERE]


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
