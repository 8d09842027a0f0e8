"""Training one network on one task, and many networks each on its own task side by side."""

import numpy as np
import torch
from torch.func import grad, vmap

from course_lib.training.runs import batch_order
from course_lib.update_rules import Rule
from course_lib.validation import count


def adapt(loss, w, rule, steps, *data, lr=None):
    """K steps of a rule on one task, all of its data in each: the inner loop.

    It runs under `torch.func.vmap`, and under autograd where the rule's formula is
    differentiable, so that one may ask how the end depends on the start.

    Parameters
    ----------
    loss : callable
        `loss(w, *data) -> 0-d tensor`.
    w : tensor [D]
        The start.
    rule : Rule
    steps : int
        K, at least 0.
    *data : tensors
    lr : number or tensor, optional
        In place of the rule's own.

    Returns
    -------
    tensor [D]
        The weights after K steps.

    Raises
    ------
    TypeError, ValueError
        If rule is no Rule, or steps is no whole number of at least 0.

    Examples
    --------
    >>> from course_lib import gradient_descent
    >>> adapt(lambda w, c: ((w - c) ** 2).sum() / 2, torch.zeros(1), gradient_descent(0.5), 2, 4.0)
    tensor([3.])
    """
    _check_rule(rule)
    slope, state = grad(loss), rule.init(w)
    for _ in range(count("steps", steps, least=0)):
        delta, state = rule.update(slope(w, *data), state, w, lr)
        w = w + delta
    return w


def fit_together(loss, w0, x, y, rule, steps, batch_size, seed=0):
    """Train many networks side by side by vmap, each on its own data.

    Parameters
    ----------
    loss : callable
        `loss(w, x, y) -> 0-d tensor`: the mean over a batch.
    w0 : tensor [runs, D]
    x, y : tensors [runs, samples, …]
    rule : Rule
        Its learning rate may be a schedule.
    steps, batch_size : int
    seed : int
        The order of the batches, the same for all runs.

    Returns
    -------
    tensor [runs, D]
        The weights after the last step.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong; among others, if w0, x and y differ in their number of runs.
    """
    _check_rule(rule)
    if not len(w0) == len(x) == len(y):
        raise ValueError(f"w0, x and y must have equally many runs, got {len(w0)}, {len(x)} and {len(y)}")
    order = torch.tensor(batch_order(x.shape[1], batch_size, steps, seed))
    slope, update = vmap(grad(loss)), vmap(rule.update, in_dims=(0, 0, 0, None))
    w, state = w0, vmap(rule.init)(w0)
    for t, rows in enumerate(order):
        lr = float(rule.lr(t)) if callable(rule.lr) else None
        delta, state = update(slope(w, x[:, rows], y[:, rows]), state, w, lr)
        w = w + delta
    return w


def stacked(splits):
    """One split for each run as one pair of tensors, each run cut to as many samples as the shortest.

    Parameters
    ----------
    splits : list of pairs (x, y) of arrays
        x [samples, …], y [samples, …].

    Returns
    -------
    (x, y) : tensors [runs, samples, …]

    Raises
    ------
    ValueError
        If there are no splits.

    Examples
    --------
    >>> x, y = stacked([(np.zeros((3, 2)), np.zeros(3)), (np.ones((4, 2)), np.ones(4))])
    >>> x.shape, y.shape
    (torch.Size([2, 3, 2]), torch.Size([2, 3]))
    """
    if not splits:
        raise ValueError("splits must hold at least one pair (x, y), got none")
    n = min(len(y) for _, y in splits)
    return tuple(torch.tensor(np.stack([split[i][:n] for split in splits])) for i in (0, 1))


def _check_rule(rule):
    if not isinstance(rule, Rule):
        raise TypeError(f"rule must be a Rule, such as gradient_descent(lr=0.1), got {rule!r}")
