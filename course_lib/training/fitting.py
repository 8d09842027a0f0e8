"""Fit a PyTorch module to data with any rule, and keep what happened."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from course_lib.datasets import Split
from course_lib.frameworks import TorchOptimizer
from course_lib.notebook import progress
from course_lib.training.minimization import Divergence
from course_lib.update_rules.arrays import flatten, norm
from course_lib.validation import count, finite_array


@dataclass(frozen=True, eq=False)
class History:
    """What a fit did, step by step and epoch by epoch.

    Parameters
    ----------
    loss : array [steps]
        Mean over each batch, before its step.
    lr : array [steps]
        The learning rate of each step (of the first parameter group); NaN without one.
    grad_norm : array [steps]
        Euclidean length of the whole gradient, before any transform.
    validation_loss : array [epochs + 1]
        Before training and after each epoch; empty without validation data.
    validation_error : array [epochs + 1]
        Share of wrong labels; empty without validation data or for a regression.
    optimizer : TorchOptimizer
        As it stood at the end, to go on with or to read the averaged weights from.
    """

    loss: np.ndarray
    lr: np.ndarray
    grad_norm: np.ndarray
    validation_loss: np.ndarray
    validation_error: np.ndarray
    optimizer: TorchOptimizer


def fit(
    module, train, rule, epochs, batch_size, seed, validation=None, *, loss=None, check_finite=True
):
    """Fit a module by mini-batches, the same in every run of the same seed.

    Each epoch goes through all samples once, in a new order; the last batch of an epoch
    may be smaller. The seed decides the order and what the module itself draws (dropout);
    the initial weights are the module's own. The module is changed in place, and left in
    the mode (`train` or `eval`) it came in.

    Parameters
    ----------
    module : torch.nn.Module
        Data are moved to the device and float dtype of its parameters.
    train : Split, or pair (x, y)
        Arrays or tensors, x [samples, …], y [samples, …].
    rule : Rule
    epochs, batch_size : int
        At least 1.
    seed : int
    validation : Split, or pair (x, y), optional
        Looked at before training and after every epoch, never trained on.
    loss : callable, optional
        `loss(prediction, y)` -> 0-d tensor, the mean over a batch. By default the
        cross-entropy for whole-number y (labels), the mean squared error otherwise.
    check_finite : bool or "skip"
        As in `TorchOptimizer`.

    Returns
    -------
    History

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong: x and y differ in length, data hold NaN, the prediction
        does not have y's shape.
    Divergence
        A `FloatingPointError`: if a gradient is not finite. It names the parameter and
        the step, and keeps the history so far as its `trace`; the module stays as it was
        before that step.

    Examples
    --------
    >>> from course_lib import adam, load
    >>> data = load("iris")
    >>> with torch.random.fork_rng():
    ...     _ = torch.manual_seed(0)
    ...     layer = torch.nn.Linear(4, 3)
    >>> history = fit(layer, data.train, adam(lr=0.1), epochs=10, batch_size=30, seed=0,
    ...               validation=data.validation)
    >>> len(history.loss), len(history.validation_loss)
    (30, 11)
    >>> bool(history.validation_error[-1] < 0.2)
    True
    """
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {module!r}")
    epochs, batch_size = count("epochs", epochs), count("batch_size", batch_size)
    seed = count("seed", seed, least=0)
    like = next((p for p in module.parameters() if p.requires_grad), None)
    if like is None:
        raise ValueError("module must have parameters to train, got none that require a gradient")
    x, y = _tensors("train", train, like)
    held_out = None if validation is None else _tensors("validation", validation, like)
    if loss is None:
        loss = _squared_error if y.is_floating_point() else functional.cross_entropy
    elif not callable(loss):
        raise TypeError(f"loss must be a function of prediction and y, got {loss!r}")
    trained = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    optimizer = TorchOptimizer(trained, rule, check_finite=check_finite)

    rng = np.random.default_rng(seed)
    steps, checks = [], []
    with _as_it_was(module), _seeded(seed, like.device):
        _check(module, held_out, loss, checks)
        for start, batch in _batches(len(x), epochs, batch_size, rng):
            batch = torch.from_numpy(batch).to(like.device)
            try:
                steps.append(_step(module, optimizer, loss, x[batch], y[batch]))
            except FloatingPointError as error:
                message = f"diverged at step {len(steps) + 1}: {error}"
                raise Divergence(message, len(steps) + 1, _history(steps, checks, optimizer)) from None
            if start + len(batch) == len(x):
                _check(module, held_out, loss, checks)
    return _history(steps, checks, optimizer)


def _batches(samples, epochs, batch_size, rng):
    """(where it starts in its epoch, its samples) for each batch, under a progress bar."""
    starts = range(0, samples, batch_size)
    for i in progress(range(epochs * len(starts)), "training"):
        if i % len(starts) == 0:
            order = rng.permutation(samples)
        start = starts[i % len(starts)]
        yield start, order[start : start + batch_size]


def _step(module, optimizer, loss, x, y):
    optimizer.zero_grad()
    value = loss(module(x), y)
    value.backward()
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    length = float(norm(flatten(gradients))) if gradients else 0.0
    optimizer.step()
    return float(value.detach()), optimizer.param_groups[0].get("lr", np.nan), length


@torch.no_grad()
def _check(module, held_out, loss, checks):
    if held_out is None:
        return
    x, y = held_out
    module.eval()
    prediction = module(x)
    wrong = [] if y.is_floating_point() else [float((prediction.argmax(1) != y).double().mean())]
    checks.append((float(loss(prediction, y)), *wrong))
    module.train()


def _history(steps, checks, optimizer):
    loss, lr, grad_norm = np.array(steps, dtype=float).reshape(-1, 3).T
    validation = [np.array(column) for column in zip(*checks)]
    validation += [np.array([])] * (2 - len(validation))
    return History(loss, lr, grad_norm, *validation, optimizer)


def _squared_error(prediction, y):
    if prediction.numel() != y.numel() or len(prediction) != len(y):
        raise ValueError(f"module must predict y's shape {tuple(y.shape)}, got {tuple(prediction.shape)}")
    # Without the reshape [n, 1] − [n] would be [n, n], silently.
    return functional.mse_loss(prediction.reshape(y.shape), y)


def _tensors(name, data, like):
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


@contextmanager
def _as_it_was(module):
    modes = [(each, each.training) for each in module.modules()]
    module.train()
    try:
        yield
    finally:
        for each, training in modes:
            each.training = training


@contextmanager
def _seeded(seed, device):
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
