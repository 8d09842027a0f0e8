"""Small fits that are interrupted: what they train, how they are stopped, and whether two are the same."""

import time

import numpy as np
import torch
from torch import nn

from course_lib.schedules import Plateau
from course_lib.training import Checkpoint, fit, write_checkpoint
from course_lib.update_rules import adam

SAMPLES, BATCH, PER_EPOCH = 14, 5, 3


def data(seed=0, samples=SAMPLES):
    """Return x [samples, 4] and labels y [samples], which say which of three numbers is largest, roughly."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, 4))
    return x, (x[:, :3] + 0.5 * rng.standard_normal((samples, 3))).argmax(1)


def network(seed=0, dtype=torch.float64):
    """Return a module that draws (dropout) and remembers (batch normalisation)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Linear(6, 3)).to(dtype)


def halving(lr):
    """Half the rate at every loss that has not fallen."""
    return Plateau(lr, factor=0.5, patience=0)


class Interruption(Exception):
    """What ends a run from outside."""


class Loss:
    """The cross-entropy; in training it raises at one step, or counts the steps and takes its time."""

    def __init__(self, stop_at=None, counter=None):
        self.stop_at, self.counter, self.made = stop_at, counter, 0

    def __call__(self, prediction, y):
        if torch.is_grad_enabled():
            if self.made == self.stop_at:
                raise Interruption
            self.made += 1
            if self.counter is not None:
                self.counter.value += 1
                time.sleep(0.002)
        return nn.functional.cross_entropy(prediction, y)


def run(module, path=None, stop_at=None, counter=None, **changes):
    """Fit the module; return the history, or None where the run was interrupted."""
    given = {"rule": adam(0.02), "epochs": 3, "seed": 1, "validation": data(1), "checkpoint": path}
    given |= {"train": data(), "batch_size": BATCH, "loss": Loss(stop_at, counter), **changes}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)   # layers so small wait for a second thread longer than they compute
    try:
        return fit(module, **given)
    except Interruption:
        return None
    finally:
        torch.set_num_threads(threads)


def outcome(module, history):
    """Return all that a fit has left, as a tree."""
    arrays = {name: value for name, value in vars(history).items() if name != "optimizer"}
    return {"module": dict(module.state_dict()), "optimizer": history.optimizer.state_dict(), **arrays}


def same(a, b):
    """Say whether two trees are equal, types, dtypes and bits."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and np.shape(a) == np.shape(b) and a.tobytes() == b.tobytes()
    return a == b or a != a and b != b


def to_be_killed(path, result, counter, epochs):
    """In a process of its own: fit, a checkpoint at every step, and write what came out."""
    module = network()
    history = run(module, Checkpoint(path, every=1), counter=counter, epochs=epochs)
    write_checkpoint(result, outcome(module, history))
