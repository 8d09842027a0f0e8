"""Minimise a function of a vector by an update rule, and keep what happened."""

from dataclasses import dataclass

import numpy as np

from course_lib.update_rules import Rule
from course_lib.validation import count, finite_array


@dataclass(frozen=True, eq=False)
class Trace:
    """What a run did, at its start and after every recorded step.

    Parameters
    ----------
    step : array [records]
        Steps made at each record; 0 is the start.
    w : array [records, D]
    loss : array [records]
    lr : array [records − 1]
        The learning rate of the step that led to each record after the start; NaN for a
        rule without one.
    """

    step: np.ndarray
    w: np.ndarray
    loss: np.ndarray
    lr: np.ndarray


class Divergence(FloatingPointError):
    """Something stopped being finite.

    Attributes
    ----------
    step : int
        The step (from 1) that could not be made, or led there.
    trace : Trace
        All that was recorded before.
    """

    def __init__(self, message, step, trace):
        super().__init__(message)
        self.step = step
        self.trace = trace


def minimize(objective, rule, w0, steps, *, grad=None, project=None, every=1):
    """Minimise a function of a vector, step by step, in NumPy.

    Parameters
    ----------
    objective : callable
        `objective(w) -> loss` and, unless `grad` is given, `objective.grad(w)`: an
        `Objective`, or anything shaped like one. w has shape [D].
    rule : Rule
    w0 : array [D] or number
        The start, left unchanged. Its float dtype is kept.
    steps : int
        At least 1.
    grad : callable, optional
        `grad(w, t) -> g`, called at step t = 1, 2, … in place of the objective's gradient:
        noisy, or of a loss that changes.
    project : callable, optional
        `project(w) -> w`, applied after each step: back into a feasible set.
    every : int
        Record every so many steps; the start and the end are always recorded.

    Returns
    -------
    Trace

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong: w0 holds NaN or has no finite loss, steps is 0, the
        shapes disagree.
    Divergence
        A `FloatingPointError`: if the gradient, the parameters or a recorded loss stop
        being finite. It names the step and keeps the trace.

    Examples
    --------
    >>> from course_lib import gradient_descent
    >>> from course_lib.objectives import document_quadratic
    >>> trace = minimize(document_quadratic(), gradient_descent(lr=0.25), w0=2.0, steps=3)
    >>> trace.w[:, 0]
    array([ 2. ,  0. , -1. , -1.5])
    """
    if not callable(objective):
        raise TypeError(f"objective must be callable, got {objective!r}")
    if not isinstance(rule, Rule):
        raise TypeError(f"rule must be a Rule, such as gradient_descent(lr=0.1), got {rule!r}")
    if grad is None and not hasattr(objective, "grad"):
        raise TypeError("grad must be given, since the objective has no .grad")
    for name, function in (("grad", grad), ("project", project)):
        if function is not None and not callable(function):
            raise TypeError(f"{name} must be a function or None, got {function!r}")
    steps, every = count("steps", steps), count("every", every)
    w = np.atleast_1d(finite_array("w0", w0, copy=True))
    if w.ndim != 1:
        raise ValueError(f"w0 must have shape [D], got {w.shape}")
    return _run(objective, rule, w, steps, grad, project, every)


def _run(objective, rule, w, steps, grad, project, every):
    loss = _loss(objective, w)
    if not np.isfinite(loss):
        raise ValueError(f"w0 must have a finite loss, got {loss}")
    records = [(0, w, loss, None)]
    state = rule.init(w)
    # Overflow is expected when a run diverges; it is reported below, by step.
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(1, steps + 1):
            g = objective.grad(w) if grad is None else grad(w, t)
            g = np.asarray(g)
            if g.shape != w.shape:
                raise ValueError(f"grad must return w's shape {w.shape}, got {g.shape}")
            if not np.isfinite(g).all():
                raise _diverged("the gradient", g, t, records)
            lr = rule.lr(t - 1) if callable(rule.lr) else rule.lr
            delta, state = rule.update(g, state, w, lr)
            w = w + delta
            if project is not None:
                w = _projected(project, w)
            if not np.isfinite(w).all():
                raise _diverged("w", w, t, records)
            if t % every == 0 or t == steps:
                loss = _loss(objective, w)
                if not np.isfinite(loss):
                    raise _diverged("the loss", loss, t, records)
                records.append((t, w, loss, lr))
    return _trace(records)


def _projected(project, w):
    inside = np.array(project(w), dtype=w.dtype)
    if inside.shape != w.shape:
        raise ValueError(f"project must return w's shape {w.shape}, got {inside.shape}")
    return inside


def _loss(objective, w):
    loss = np.asarray(objective(w), dtype=float)
    if loss.size != 1:
        raise ValueError(f"objective must return one number, got shape {loss.shape}")
    return loss.reshape(())[()]


def _trace(records):
    step, w, loss, lr = zip(*records)
    lr = [np.nan if rate is None else rate for rate in lr[1:]]
    return Trace(np.array(step), np.array(w), np.array(loss), np.array(lr, dtype=float))


def _diverged(what, value, t, records):
    last = records[-1]
    return Divergence(
        f"diverged at step {t}: {what} is {_shown(value)}; "
        f"last recorded loss {last[2]:.3g} at step {last[0]}. A smaller lr may help.",
        step=t,
        trace=_trace(records),
    )


def _shown(value):
    return "not finite" if np.ndim(value) and np.size(value) > 4 else str(value)
