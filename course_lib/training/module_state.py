"""What a module and the random generators hold: looked at, kept, and put back."""

from contextlib import contextmanager

import torch


def tensors_of(module):
    """Every parameter and buffer of a module by name, also buffers that `state_dict` leaves out.

    Raises
    ------
    TypeError
        If the module keeps something else in its `state_dict`.
    """
    found = {**module.state_dict(), **_left_out(module)}
    for name, value in found.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"module must keep tensors alone in its state, got {name} of type {type(value).__name__}")
    return found


def check_tensors(module, tensors):
    """A ValueError unless the tensors have the names, shapes and dtypes of the module's own."""
    own = {name: (value.shape, value.dtype) for name, value in tensors_of(module).items()}
    if {name: (value.shape, value.dtype) for name, value in tensors.items()} != own:
        raise ValueError("its tensors are not the module's")


def set_tensors(module, tensors):
    """Give the module the tensors that `tensors_of` once returned, in place."""
    left_out = _left_out(module)
    module.load_state_dict({name: value for name, value in tensors.items() if name not in left_out})
    with torch.no_grad():
        for name, buffer in left_out.items():
            buffer.copy_(tensors[name])


def generator_states(device):
    """The states of PyTorch's global generators that a module on this device draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_generators(states, device):
    """Let the global generators go on from `generator_states(device)`."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states["mps"])


@contextmanager
def seeded(seed, device):
    """Within the block PyTorch's generators follow the seed; after it they are as before."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@contextmanager
def in_training(module):
    """Within the block the module trains; after it each part is in the mode it was in."""
    modes = [(each, each.training) for each in module.modules()]
    module.train()
    try:
        yield
    finally:
        for each, training in modes:
            each.training = training


def _left_out(module):
    saved = module.state_dict().keys()
    return {name: buffer for name, buffer in module.named_buffers() if name not in saved}
