"""Losses of any framework as plain numbers, and the errors that name what is wrong with them."""

import numpy as np

from course_lib.update_rules import Rule, adam
from course_lib.update_rules.arrays import framework


def loss_values(losses, tasks=None, *, name="losses", above=None, least=None):
    """The losses as an array [T] of float64, without a graph, or an error that names them.

    Parameters
    ----------
    losses : sequence of numbers or 0-d tensors, or array or tensor [T]
    tasks : int, optional
        How many there must be.
    name : str
        The argument's name, for the message.
    above, least : float, optional
        Allowed range: every value > above, or >= least.

    Returns
    -------
    array [T]
    """
    try:
        values = np.array([_number(loss) for loss in losses], dtype=float)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be numbers, one a task, got {losses!r}") from None
    if values.ndim != 1 or not len(values) or (tasks is not None and len(values) != tasks):
        raise ValueError(f"{name} must be {tasks or 'one or more'} numbers, got shape {values.shape}")
    allowed, inside = "finite", np.isfinite(values)
    if above is not None:
        allowed, inside = f"finite and > {above}", inside & (values > above)
    if least is not None:
        allowed, inside = f"finite and >= {least}", inside & (values >= least)
    if not inside.all():
        raise ValueError(f"{name} must be {allowed}, got {values!r}")
    return values


def _number(loss):
    return float(loss.detach() if framework(loss).__name__ == "torch" else loss)


def rule_or_adam(rule, lr):
    """The rule, or Adam with this rate where none was given; an error that names what is no rule."""
    if rule is None:
        return adam(lr=lr)
    if not isinstance(rule, Rule):
        raise TypeError(f"rule must be a Rule, such as adam(lr={lr}), got {rule!r}")
    return rule


def generator(rng):
    """The generator, or an error that names what is none."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {rng!r}")
    return rng
