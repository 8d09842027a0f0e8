"""Federated optimization: clients that keep their data, a server that averages, and the drift between them.

What needs PyTorch loads it when it is first asked for.
"""

from importlib import import_module

from course_lib.federated import partition

_WHERE = {
    "Algorithm": "algorithms", "fedsgd": "algorithms", "fedavg": "algorithms", "fedprox": "algorithms",
    "scaffold": "algorithms",
    "mean": "aggregators", "median": "aggregators", "trimmed_mean": "aggregators", "krum": "aggregators",
    "Compressor": "compression", "top_k": "compression", "qsgd": "compression", "ErrorFeedback": "error_feedback",
    "quantized": "compression",
    "ClientPrivacy": "client_privacy", "rdp_epsilon": "accounting", "renyi_divergence": "accounting",
    "noise_for_epsilon": "accounting",
    "secure_sum": "secure_summation", "secure_mean": "fixed_point", "masked_updates": "secure_summation",
    "shamir_shares": "secure_summation", "shamir_secret": "secure_summation", "to_fixed_point": "fixed_point",
    "from_fixed_point": "fixed_point",
    "Faults": "faults", "Server": "server", "Message": "server",
    "ClientData": "client_data", "local_updates": "local_training",
    "TorchWorker": "workers", "KerasWorker": "workers",
    "flower_simulate": "flower", "flower_apps": "flower_nodes",
    "simulate": "simulation", "FederatedTrace": "federation",
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
