"""A fit under way: one object with all that changes from step to step, so that it can be kept."""

import numpy as np
import torch

from course_lib.training.module_state import (
    check_tensors, generator_states, set_generators, set_tensors, tensors_of,
)
from course_lib.update_rules.arrays import flatten, norm


class Run:
    """The state of a fit, and its two acts: a step on a batch, a look at the validation data.

    Parameters
    ----------
    module : torch.nn.Module
    optimizer : TorchOptimizer
    loss : callable
    train, held_out : pairs (x, y) of tensors
        `held_out` may be None: there is nothing to look at.
    batch_size, seed : int
    stopping : EarlyStopping, optional
    plateau : Plateau, optional
        Both are written into: hand over copies.

    Attributes
    ----------
    steps : list of (loss, lr, grad_norm)
    checks : list of (loss,) or (loss, error)
        Of the validation data, before training and after each epoch.
    per_epoch : int
        Steps in an epoch.
    best : dict or None
        The module's tensors at the best check, where they are to come back.
    """

    def __init__(self, module, optimizer, loss, train, held_out, batch_size, seed, stopping=None, plateau=None):
        self.module, self.optimizer, self.loss = module, optimizer, loss
        self.train, self.held_out, self.batch_size = train, held_out, batch_size
        self.stopping, self.plateau = stopping, plateau
        self.steps, self.checks, self.best = [], [], None
        self.per_epoch = -(-len(train[0]) // batch_size)
        self._generator = np.random.default_rng(seed)
        self._order = None  # of this epoch's samples, from its first step to its last
        if plateau is not None:
            self.set_rate(plateau.lr)

    @property
    def at_epoch_end(self):
        """True where the last step made was the last of its epoch."""
        return len(self.steps) % self.per_epoch == 0

    @property
    def halted(self):
        """True where early stopping has said stop."""
        return self.stopping is not None and self.stopping.should_stop

    def step(self):
        """Make one step on the next batch; after the last of an epoch look at the validation data."""
        if self._order is None:
            self._before = self._generator.bit_generator.state
            self._order = self._generator.permutation(len(self.train[0]))
        start = len(self.steps) % self.per_epoch * self.batch_size
        batch = torch.from_numpy(self._order[start : start + self.batch_size]).to(self._device)
        x, y = self.train
        self.steps.append(self._made(x[batch], y[batch]))
        if self.at_epoch_end:
            self._order = None
            self.check()
            if self.plateau is not None:
                self.set_rate(self.plateau.observe(self.checks[-1][0]))

    @torch.no_grad()
    def check(self):
        """Look at the validation data, if there are any, and let early stopping know."""
        if self.held_out is None:
            return
        x, y = self.held_out
        self.module.eval()
        prediction = self.module(x)
        wrong = [] if y.is_floating_point() else [float((prediction.argmax(1) != y).double().mean())]
        self.checks.append((float(self.loss(prediction, y)), *wrong))
        self.module.train()
        if self.stopping is not None:
            self.stopping.observe(self.checks[-1][0])
            if self.stopping.restore_best and self.stopping.best_index == len(self.checks) - 1:
                self.best = {name: value.clone() for name, value in tensors_of(self.module).items()}

    def set_rate(self, lr):
        """Let the next steps have this learning rate, in all groups."""
        for group in self.optimizer.param_groups:
            group["lr"] = float(lr)

    def restore_best(self):
        """Give the module the weights of the best check back, where they were kept."""
        if self.best is not None:
            set_tensors(self.module, self.best)

    def state(self):
        """All that changes, as a tree for `write_checkpoint`."""
        return {
            "module": tensors_of(self.module),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "skipped": self.optimizer.skipped,
            "stopping": None if self.stopping is None else self.stopping.state_dict(),
            "plateau": None if self.plateau is None else self.plateau.state_dict(),
            "steps": np.array(self.steps, dtype=float).reshape(-1, 3),
            "checks": np.array(self.checks, dtype=float),
            # Within an epoch: from where its order can be drawn again.
            "order": self._generator.bit_generator.state if self._order is None else self._before,
            "generators": generator_states(self._device),
        }

    def load(self, state):
        """Go on from a `state()`: the module comes last, when all else has proved to fit."""
        for tensors in (state["module"], state["best"]):
            if tensors is not None:
                check_tensors(self.module, tensors)
        self.optimizer.load_state_dict(state["optimizer"])
        self.optimizer.skipped = state["skipped"]
        for name in ("stopping", "plateau"):
            if getattr(self, name) is not None:
                getattr(self, name).load_state_dict(state[name])
        self.steps = [tuple(row) for row in state["steps"].tolist()]
        self.checks = [tuple(row) for row in state["checks"].tolist()]
        self.best = state["best"]
        self._generator.bit_generator.state = state["order"]
        set_generators(state["generators"], self._device)
        set_tensors(self.module, state["module"])

    @property
    def _device(self):
        return self.train[0].device

    def _made(self, x, y):
        self.optimizer.zero_grad()
        value = self.loss(self.module(x), y)
        value.backward()
        groups = self.optimizer.param_groups
        gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        length = float(norm(flatten(gradients))) if gradients else 0.0
        self.optimizer.step()
        return float(value.detach()), float(groups[0].get("lr", np.nan)), length
