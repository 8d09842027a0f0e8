"""Many runs of one method: every learning rate and every seed, in one batch or one by one."""

import numpy as np
import torch
from torch.func import vmap

from course_lib.notebook import progress
from course_lib.update_rules import Rule
from course_lib.validation import count


def run_together(method, task, rates, data):
    """All runs of a method as one batch [rates · seeds, D], by vmap.

    Returns
    -------
    validation, validation_loss, test : arrays [rates, seeds]
        The metric and the loss after the last step; infinite where w is not finite.
    curve : array [rates, seeds, steps]
        The loss of each batch, before its step.
    checks : array [rates, seeds, len(data.checks)]
        The metric on validation data after so many steps.
    diverged : array [rates, seeds] of bool
    """
    seeds = len(data.w0)
    lr = torch.tensor(np.repeat(rates, seeds))

    def spread(x):
        return x.repeat(len(rates), *[1] * (x.dim() - 1))

    runs = spread(torch.arange(seeds))
    parts = {name: [spread(each) for each in data.parts[name]] for name in ("validation", "test")}
    outcome = _train(method, task, vmap, lr, spread(data.w0), data.batches(runs), parts, data.checks)
    return [each.reshape(len(rates), seeds, *each.shape[1:]) for each in outcome]


def run_one_by_one(method, task, rates, data):
    """The same runs, one after the other: for what vmap cannot do, and to check it."""
    outcomes = []
    for lr in rates:
        for i in torch.arange(len(data.w0)):
            parts = {name: [each[i] for each in part] for name, part in data.parts.items()}
            rate = torch.tensor(lr, dtype=torch.float64)
            batches = data.batches(i)
            outcomes.append(_train(method, task, lambda f: f, rate, data.w0[i], batches, parts, data.checks))
    stacked = [np.stack(each) for each in zip(*outcomes)]
    return [each.reshape(len(rates), len(data.w0), *each.shape[1:]) for each in stacked]


class Data:
    """What the seeds draw, stacked: w0 [seeds, D], x [seeds, samples, …], y [seeds, samples]."""

    def __init__(self, task, seeds, steps, dtype, every):
        dtype = getattr(torch, dtype)
        self.name, self.steps = task.name, steps
        self.checks = np.array([*range(0, steps, every), steps])
        draws = [task.draw(seed) for seed in seeds]
        try:
            self.w0 = torch.stack([torch.as_tensor(draw.w0) for draw in draws]).to(dtype)
            self.parts = {
                name: [_stacked([getattr(draw, name)[i] for draw in draws], dtype) for i in (0, 1)]
                for name in ("train", "validation", "test")
            }
        except RuntimeError as error:
            raise ValueError(f"task must draw the same shapes for every seed: {error}") from None
        samples = self.parts["train"][0].shape[1]
        size = task.batch_size or samples
        self.order = None
        if size != samples:
            orders = [batch_order(samples, size, steps, seed) for seed in seeds]
            self.order = torch.tensor(np.stack(orders, axis=1))

    def batches(self, seeds):
        """Yield each step's batches x [seeds, batch, …], y [seeds, batch]: of many seeds, or of one (its index)."""
        x, y = self.parts["train"]
        everything = (x[seeds], y[seeds]) if self.order is None else None
        for t in progress(range(self.steps), self.name):
            if everything:
                yield everything
            else:
                which = seeds[..., None], self.order[t, seeds]
                yield x[which], y[which]


def batch_order(samples, batch_size, steps, seed):
    """Which samples make each batch: shuffled anew every epoch, and cut.

    What an epoch leaves over, less than one batch, is left out of that epoch.

    Parameters
    ----------
    samples : int
        How many there are.
    batch_size : int
        From 1 to `samples`.
    steps : int
        How many batches.
    seed : int

    Returns
    -------
    array [steps, batch_size] of int
        Row numbers, from 0; in `samples // batch_size` successive batches none comes twice.

    Raises
    ------
    TypeError, ValueError
        If an argument is no whole number or out of its range.

    Examples
    --------
    >>> batch_order(samples=5, batch_size=2, steps=3, seed=0)
    array([[2, 4],
           [3, 0],
           [4, 1]])
    """
    samples, batch_size, steps = (
        count(name, value)
        for name, value in (("samples", samples), ("batch_size", batch_size), ("steps", steps))
    )
    if batch_size > samples:
        raise ValueError(f"batch_size must be at most {samples}, the samples, got {batch_size}")
    rng = np.random.default_rng(count("seed", seed, least=0))
    per_epoch = samples // batch_size
    epochs = -(-steps // per_epoch)
    orders = [rng.permutation(samples)[: per_epoch * batch_size] for _ in range(epochs)]
    return np.concatenate(orders).reshape(-1, batch_size)[:steps]


def _stacked(tensors, dtype):
    stacked = torch.stack([torch.as_tensor(each) for each in tensors])
    return stacked.to(dtype) if stacked.is_floating_point() else stacked


def _train(method, task, batched, lr, w, batches, parts, checks):
    """Train from w; `batched` is vmap for many runs, or does nothing to the functions of one."""
    loss_of, metric_of = batched(task.loss), batched(task.metric)
    state = batched(lambda lr, w: _init(method, lr, w))(lr, w)
    update = batched(lambda lr, g, state, w: _update(method, lr, g, state, w))
    start = [metric_of(w, *parts["validation"]), loss_of(w, *parts["validation"])]
    curve, checked, checks = [], [start[0]], set(checks.tolist())
    for x, y in batches:
        loss = loss_of(w.requires_grad_(), x, y)
        # The runs are independent: the gradient of the sum holds the gradient of each.
        (g,) = torch.autograd.grad(loss.sum(), w)
        with torch.no_grad():
            w = w.detach()
            delta, state = update(lr, g, state, w)
            w = w + delta
        curve.append(loss.detach())
        if len(curve) in checks:
            checked.append(_judged(metric_of(w, *parts["validation"]), w))
    end = [metric_of(w, *parts["validation"]), loss_of(w, *parts["validation"]), metric_of(w, *parts["test"])]
    end = [_judged(value, w) for value in end]
    worse = (end[0] >= start[0]) & (end[1] > 2 * start[1])
    diverged = ~w.isfinite().all(-1) | worse
    return [each.numpy() for each in (*end, torch.stack(curve, -1), torch.stack(checked, -1), diverged)]


def _judged(value, w):
    """A metric or loss of runs, infinite where it or w is no longer finite."""
    return torch.where(value.isnan() | ~w.isfinite().all(-1), torch.inf, value)


def _init(method, lr, w):
    state = _rule(method, lr).init(w)
    # A number in the state of a reader's rule becomes a tensor: each run has its own.
    return {key: torch.as_tensor(value, dtype=getattr(value, "dtype", torch.float64)) for key, value in state.items()}


def _update(method, lr, g, state, w):
    return _rule(method, lr).update(g, state, w, lr if isinstance(method, Rule) else None)


def _rule(method, lr):
    rule = method if isinstance(method, Rule) else method(lr)
    if not isinstance(rule, Rule):
        raise TypeError(f"methods must be rules, or functions of lr that return one, got {rule!r}")
    return rule
