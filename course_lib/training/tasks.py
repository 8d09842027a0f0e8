"""What methods are compared on: data, a start and a loss for every seed."""

from dataclasses import dataclass
from typing import Callable, NamedTuple

import numpy as np
import torch

from course_lib.validation import finite_array, number


class Draw(NamedTuple):
    """One seed's start and data, as tensors.

    Parameters
    ----------
    w0 : tensor [D]
        The start.
    train, validation, test : pair (x, y) of tensors
        x [samples, …], y [samples]; of the same sizes for every seed.
    """

    w0: torch.Tensor
    train: tuple
    validation: tuple
    test: tuple


@dataclass(frozen=True, eq=False)
class Task:
    """Something to be trained, with all its parameters in one vector.

    Parameters
    ----------
    name : str
    draw : callable
        `draw(seed) -> Draw`: the start and the three parts of the data.
    loss : callable
        `loss(w, x, y) -> 0-d tensor`: the mean over a batch; w has shape [D]. It is run
        under `torch.func.vmap`, so it must not branch on values.
    metric : callable
        `metric(w, x, y) -> 0-d tensor`, the lower the better, by which runs are judged.
    metric_name : str
        What the metric is, with its unit.
    batch_size : int or None
        Samples a step; None for all of the training data.

    Examples
    --------
    >>> task = quadratic_task([1.0, 10.0])
    >>> start = task.draw(seed=0)
    >>> start.w0.shape, task.metric_name
    (torch.Size([2]), 'loss')
    """

    name: str
    draw: Callable
    loss: Callable
    metric: Callable
    metric_name: str
    batch_size: int | None


def quadratic_task(eigenvalues, noise=0.0):
    """A quadratic whose gradient comes with noise: f(w) = ½ Σ λᵢ wᵢ², g = λ w + noise.

    Parameters
    ----------
    eigenvalues : array [D]
        Curvatures λ ≥ 0.
    noise : float
        Deviation of each component of the gradient's noise, ≥ 0.

    Returns
    -------
    Task
        Starts are drawn from a standard normal. The noise of a step is one row of 4096
        normal ones, whose mean is 0. The metric is f itself, known exactly.

    Raises
    ------
    TypeError, ValueError
        If eigenvalues is not a vector of numbers ≥ 0, or noise is negative.
    """
    eigenvalues = finite_array("eigenvalues", eigenvalues)
    if eigenvalues.ndim != 1 or not len(eigenvalues) or (eigenvalues < 0).any():
        raise ValueError(f"eigenvalues must be a vector of numbers >= 0, got {eigenvalues!r}")
    noise = number("noise", noise, least=0)
    values = torch.tensor(eigenvalues, dtype=torch.float64)

    def draw(seed):
        rng = np.random.default_rng(seed)
        w0 = rng.standard_normal(len(values))
        rows = rng.standard_normal((4096 if noise else 1, len(values)))
        rows = noise * (rows - rows.mean(0))
        train, exact = (torch.tensor(x) for x in (rows, np.zeros((1, len(values)))))
        return Draw(torch.tensor(w0), *((x, x[:, 0]) for x in (train, exact, exact)))

    def value(w, x, y):
        return (values.to(w.dtype) * w * w).sum() / 2

    def loss(w, x, y):
        return value(w, x, y) + (x.mean(0) * w).sum()

    name = f"quadratic in {len(values)} dimensions" + (f", noise {noise:g}" if noise else "")
    return Task(name, draw, loss, value, "loss", 1 if noise else None)
