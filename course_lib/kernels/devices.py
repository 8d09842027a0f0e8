"""Where to compute."""

import torch

__all__ = ["best_device"]


def best_device():
    """The device on which this machine computes fastest: its GPU, where it has one.

    NVIDIA's and AMD's GPUs come first ("cuda"), then Apple's ("mps"), then the processor.
    "mps" has no float64: there the powers of β in the state of a rule are float32. A small
    model is often quicker on the processor all the same.

    Returns
    -------
    torch.device
        Without a number: PyTorch takes the GPU that is the current one.

    Examples
    --------
    >>> device = best_device()
    >>> torch.ones(2, device=device).sum().item()
    2.0
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
