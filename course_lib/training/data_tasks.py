"""Tasks on real data: logistic regression, a small network, any module of PyTorch."""

import math
from functools import partial

import numpy as np
import torch
from torch.func import functional_call

from course_lib import datasets
from course_lib.training.tasks import Draw, Task
from course_lib.validation import count, finite_array


def logistic_task(dataset="digits", batch_size=32, features=None):
    """Logistic regression, from zero, on one of the datasets with labels.

    Parameters
    ----------
    dataset : str
        "digits", "breast_cancer" or "iris"; each seed has a split of its own.
    batch_size : int or None
        Samples a step; None for all.
    features : callable, optional
        `features(x)`: an array [samples, outputs] made of the original measurements
        [samples, inputs], which are then not standardised. It is called for each part of
        the data; what it is to know of the training data it must bring along.

    Returns
    -------
    Task
        Its loss is the cross-entropy, its metric the share of errors. w holds the matrix
        [inputs or outputs of features, classes] and then the biases.

    Raises
    ------
    TypeError, ValueError
        If the dataset has no labels, batch_size is no whole number above 0, or features
        does not return finite numbers of that shape.

    Examples
    --------
    >>> task = logistic_task("iris", features=lambda x: np.hstack([x, x**2]))
    >>> task.draw(seed=0).train[0].shape
    torch.Size([90, 8])
    """
    data = datasets.load(dataset, standardize=features is None)
    if data.classes is None:
        raise ValueError(f"dataset must have labels, got {dataset!r}")
    if features is None:
        name, inputs, prepare = dataset, data.train.x.shape[1], None
    else:
        name, inputs = f"features of {dataset}", _featured(features, data.train).shape[1]
        prepare = partial(_featured, features, outputs=inputs)

    def start(seed):
        return np.zeros((inputs + 1) * data.classes)

    predict = _layers([(inputs, data.classes)])
    return _on_data(f"logistic regression on {name}", dataset, start, predict, batch_size, prepare)


def _featured(features, split, outputs=None):
    """features(x) of one part of the data, [samples, outputs], checked."""
    if not callable(features):
        raise TypeError(f"features must be a function of x [samples, inputs], got {features!r}")
    x = finite_array("features(x)", features(split.x)).astype(np.float64)
    if x.ndim != 2 or len(x) != len(split) or outputs not in (None, x.shape[1]):
        wanted = f"[{len(split)}, {outputs or 'outputs'}]"
        raise ValueError(f"features(x) must have shape {wanted}, got {list(x.shape)}")
    return x


def mlp_task(dataset="digits", hidden=(32,), batch_size=32):
    """A network of fully connected layers with ReLU between them.

    Parameters
    ----------
    dataset : str
        A name that `course_lib.datasets.load` knows; each seed has a split of its own.
    hidden : tuple of int
        Widths of the hidden layers.
    batch_size : int or None
        Samples a step; None for all.

    Returns
    -------
    Task
        Cross-entropy and share of errors for labels; mean squared error, in units of the
        target's variance, for a regression. w holds each layer's matrix [inputs, outputs]
        and then its biases, both drawn from U(±1/√inputs), as PyTorch draws them.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.
    """
    data = datasets.load(dataset)
    hidden = [count("hidden", width) for width in hidden]
    widths = [data.train.x.shape[1], *hidden, data.classes or 1]
    sizes = list(zip(widths, widths[1:]))

    def start(seed):
        rng = np.random.default_rng(seed)
        layers = [rng.uniform(-1, 1, (m + 1) * n) / np.sqrt(m) for m, n in sizes]
        return np.concatenate(layers)

    name = f"MLP {'–'.join(map(str, widths))} on {dataset}"
    return _on_data(name, dataset, start, _layers(sizes), batch_size)


def _layers(sizes):
    """A network's prediction [samples, outputs] from a flat w and x [samples, inputs]."""
    shapes = [shape for m, n in sizes for shape in ((m, n), (n,))]

    def predict(w, x):
        pieces = w.split([math.prod(shape) for shape in shapes])
        pieces = [piece.view(shape) for piece, shape in zip(pieces, shapes)]
        for i in range(0, len(pieces), 2):
            x = (x.relu() if i else x) @ pieces[i] + pieces[i + 1]
        return x

    return predict


def module_task(make, dataset="digits", batch_size=32, *, name=None):
    """Any PyTorch module, on one of the book's datasets.

    Parameters
    ----------
    make : callable
        `make(features, outputs) -> torch.nn.Module`, of floats [samples, features] to
        [samples, outputs]. Its initial weights are drawn anew for each seed. It must
        have no buffers, such as those of batch normalisation.
    dataset : str
        A name that `course_lib.datasets.load` knows; each seed has a split of its own.
    batch_size : int or None
        Samples a step; None for all.
    name : str, optional
        What to call the task.

    Returns
    -------
    Task
        Cross-entropy and share of errors for labels; mean squared error, in units of the
        target's variance, for a regression.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or the module keeps buffers.

    Examples
    --------
    >>> task = module_task(torch.nn.Linear, "iris", batch_size=None)
    >>> start = task.draw(seed=3)
    >>> start.w0.shape, start.train[0].shape
    (torch.Size([15]), torch.Size([90, 4]))
    """
    data = datasets.load(dataset)
    size = (data.train.x.shape[1], data.classes or 1)
    with torch.device("meta"):  # its structure: no numbers are drawn, no memory is taken
        module = make(*size)
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"make must return a torch.nn.Module, got {module!r}")
    if any(True for _ in module.buffers()):
        raise ValueError("make must return a module without buffers (batch normalisation has some)")
    shapes = {key: p.shape for key, p in module.named_parameters()}

    def start(seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            parameters = list(make(*size).parameters())
        return torch.cat([p.detach().reshape(-1) for p in parameters]).numpy()

    def predict(w, x):
        pieces = w.split([shape.numel() for shape in shapes.values()])
        parameters = {key: p.view(shape) for (key, shape), p in zip(shapes.items(), pieces)}
        return functional_call(module, parameters, (x,))

    name = name or f"{type(module).__name__} on {dataset}"
    return _on_data(name, dataset, start, predict, batch_size)


def _on_data(name, dataset, start, predict, batch_size, prepare=None):
    """The task of a network: `start(seed) -> w0 [D]`, `predict(w, x) -> [samples, outputs]`.

    `prepare(split) -> [samples, features]`, of original measurements; None: standardise.
    """
    batch_size = None if batch_size is None else count("batch_size", batch_size)

    def draw(seed):
        data = datasets.load(dataset, seed, standardize=prepare is None)
        parts = [(split.x if prepare is None else prepare(split), split.y)
                 for split in (data.train, data.validation, data.test)]
        return Draw(torch.tensor(start(seed)), *((torch.tensor(x), torch.tensor(y)) for x, y in parts))

    def squared_error(w, x, y):
        return (predict(w, x)[:, 0] - y).square().mean()

    def cross_entropy(w, x, y):
        # log Σ exp z − z_y, z shifted so that nothing overflows; under vmap this is several
        # times as fast as functional.cross_entropy.
        z = predict(w, x)
        z = z - z.detach().amax(1, keepdim=True)
        return (z.exp().sum(1).log() - z.gather(1, y[:, None])[:, 0]).mean()

    def error_rate(w, x, y):
        return (predict(w, x).argmax(1) != y).to(w.dtype).mean()

    if datasets.load(dataset).classes is None:
        return Task(name, draw, squared_error, squared_error, "mean squared error", batch_size)
    return Task(name, draw, cross_entropy, error_rate, "share of errors", batch_size)
