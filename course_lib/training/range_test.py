"""Which learning rates a model can take: one short run while the rate rises."""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch

from course_lib.frameworks import TorchOptimizer
from course_lib.notebook import progress
from course_lib.training.fit_inputs import as_tensors, loss_for, trained_parameters
from course_lib.training.module_state import in_training, seeded
from course_lib.training.running import Run
from course_lib.validation import count, number


@dataclass(frozen=True, eq=False)
class RangeTest:
    """What a learning-rate range test saw; plot `smoothed` over `lr`, on a logarithmic axis.

    Parameters
    ----------
    lr : array [steps]
        The rate of each step that was made.
    loss : array [steps]
        Mean over each batch, before its step.
    smoothed : array [steps]
        The running average of the loss.
    steepest : float or None
        The rate at which `smoothed` falls fastest against log lr: a rate to try first. The
        first 1/(1 − β) steps (at most half) are left out: their averages are of few batches
        and jump. None where it never falls.
    diverged_at : float or None
        The rate at which the test stopped early, a rate too large; None if it did not.
    """

    lr: np.ndarray
    loss: np.ndarray
    smoothed: np.ndarray
    steepest: float | None
    diverged_at: float | None


def learning_rate_range_test(
    module, train, rule, low, high, steps, batch_size, seed, *, loss=None, smoothing=0.9
):
    """Train a copy of a module while the rate rises, to see where it learns and where it breaks.

    Step i of n, from 0, has the rate

        ηᵢ = low (high / low)^(i / (n − 1))

    and the loss is averaged as Adam averages gradients, with β the smoothing:

        mᵢ = β mᵢ₋₁ + (1 − β) lossᵢ,    sᵢ = mᵢ / (1 − βⁱ⁺¹)

    The test stops when the loss or a gradient is not finite, or s exceeds 4 times its least
    value so far. The module, PyTorch's generators and the rule are left as they were.

    Parameters
    ----------
    module : torch.nn.Module
    train : Split, or pair (x, y)
        As in `fit`.
    rule : Rule
        With a number as its lr, which the rates replace.
    low, high : float
        The first rate and the last; 0 < low < high.
    steps : int
        n ≥ 2. A hundred or more, or neighbouring rates are far apart.
    batch_size, seed : int
        As in `fit`.
    loss : callable, optional
        As in `fit`.
    smoothing : float
        β, 0 ≤ β < 1: the average is over about 1/(1 − β) steps and lags as far behind. 0.9
        is half a decade behind where 20 steps make a decade; fast.ai's 0.98 is for long tests.

    Returns
    -------
    RangeTest

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong; among others, if the rule has a schedule of its own.

    References
    ----------
    L. N. Smith, Cyclical learning rates for training neural networks, WACV 2017,
    arXiv:1506.01186, section 3.3, where the rate rises linearly and one looks at the
    accuracy. That it rises geometrically, and the 4, are fast.ai's.

    Examples
    --------
    >>> from course_lib import gradient_descent, load
    >>> with torch.random.fork_rng():
    ...     _ = torch.manual_seed(0)
    ...     layer = torch.nn.Linear(4, 3)
    >>> seen = learning_rate_range_test(
    ...     layer, load("iris").train, gradient_descent(0.0), 1e-3, 1e3, 100, batch_size=90, seed=0)
    >>> 0.01 < seen.steepest < 1 < seen.diverged_at < 100
    True
    """
    trained_parameters(module)
    low = number("low", low, above=0)
    high = number("high", high, above=low)
    steps, batch_size = count("steps", steps, least=2), count("batch_size", batch_size)
    seed, smoothing = count("seed", seed, least=0), number("smoothing", smoothing, least=0, below=1)
    module = deepcopy(module)
    trained = trained_parameters(module)
    train = as_tensors("train", train, trained[0][1])
    optimizer = TorchOptimizer(trained, rule)
    if rule.lr is None or callable(rule.lr):
        raise ValueError(f"rule must have a number as its lr, got {rule!r}")
    run = Run(module, optimizer, loss_for(loss, train[1]), train, None, batch_size, seed)
    with in_training(module), seeded(seed, train[0].device):
        smoothed, diverged_at = _raise_rate(run, np.geomspace(low, high, steps), smoothing)
    losses, lr, _ = np.array(run.steps).reshape(-1, 3).T
    return RangeTest(lr, losses, np.array(smoothed), _steepest(lr, smoothed, smoothing), diverged_at)


def _raise_rate(run, rates, smoothing):
    """The averages of the loss, and the rate at which it was no longer of use, if any."""
    mean, smoothed = 0.0, []
    for i, rate in enumerate(progress(rates.tolist(), "raising the rate")):
        run.set_rate(rate)
        try:
            run.step()
        except FloatingPointError:
            return smoothed, rate
        mean = smoothing * mean + (1 - smoothing) * run.steps[-1][0]
        smoothed.append(mean / (1 - smoothing ** (i + 1)))
        least = min(smoothed)
        # 4 times the least; a least loss below 0 is left as far behind.
        if not smoothed[-1] <= least + 3 * abs(least):
            return smoothed, rate
    return smoothed, None


def _steepest(lr, smoothed, smoothing):
    smoothed = np.array(smoothed)
    known = np.flatnonzero(np.isfinite(smoothed))
    if len(known) < 2:
        return None
    slope = np.gradient(smoothed[known], np.log(lr[1] / lr[0]))
    # The first averages are of few batches, and jump.
    young = min(round(1 / (1 - smoothing)), len(known) // 2)
    best = young + slope[young:].argmin()
    return float(lr[known][best]) if slope[best] < 0 else None
