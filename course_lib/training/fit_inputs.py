"""What `fit` is given, looked at and brought to the module's device and float dtype."""

import numpy as np
import torch
from torch.nn import functional

from course_lib.datasets import Split
from course_lib.validation import finite_array


def trained_parameters(module):
    """The pairs (name, parameter) of a module that require a gradient, at least one."""
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {module!r}")
    trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    if not trained:
        raise ValueError("module must have parameters to train, got none that require a gradient")
    return trained


def as_tensors(name, data, like):
    """The pair (x, y) of a Split or a pair as tensors, floats in the dtype of `like`."""
    if not isinstance(data, Split) and not (isinstance(data, (tuple, list)) and len(data) == 2):
        raise TypeError(f"{name} must be a Split or a pair (x, y), got {type(data).__name__}")
    x, y = (data.x, data.y) if isinstance(data, Split) else data
    tensors = []
    for part, values in (("x", x), ("y", y)):
        if not isinstance(values, torch.Tensor):
            values = torch.as_tensor(np.asarray(values))
        if values.is_floating_point():
            finite_array(f"{name}'s {part}", values.detach().cpu().double().numpy())
            values = values.to(like.dtype)
        tensors.append(values.to(like.device))
    x, y = tensors
    if len(x) != len(y) or not len(x):
        raise ValueError(f"{name} must hold as many x as y, at least one, got {len(x)} and {len(y)}")
    return x, y


def loss_for(loss, y):
    """The loss given, or the usual one for labels or for numbers y."""
    if loss is None:
        return _squared_error if y.is_floating_point() else functional.cross_entropy
    if not callable(loss):
        raise TypeError(f"loss must be a function of prediction and y, got {loss!r}")
    return loss


def _squared_error(prediction, y):
    if prediction.numel() != y.numel() or len(prediction) != len(y):
        raise ValueError(f"module must predict y's shape {tuple(y.shape)}, got {tuple(prediction.shape)}")
    # Without the reshape [n, 1] − [n] would be [n, n], silently.
    return functional.mse_loss(prediction.reshape(y.shape), y)
