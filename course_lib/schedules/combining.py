"""Schedules made of schedules: each part runs on its own clock, from its own step 0."""

from bisect import bisect

from course_lib.schedules.schedule import Schedule
from course_lib.update_rules.arrays import maximum, where
from course_lib.update_rules.registry import register
from course_lib.validation import count


@register
def warmup(schedule, steps):
    """A straight way up to where a schedule begins; then the schedule, from its own step 0.

        η(t) = s(0) (t + 1)/W  for t < W,  then s(t − W)

    Parameters
    ----------
    schedule : callable
        s: a `Schedule`, or any function of the step.
    steps : int
        W ≥ 1. The first step is made at s(0)/W, not at 0.

    Returns
    -------
    Schedule

    References
    ----------
    P. Goyal et al., Accurate, large minibatch SGD, arXiv:1706.02677, section 2.2.

    Examples
    --------
    >>> from course_lib.schedules import constant
    >>> rate = warmup(constant(0.8), steps=4)
    >>> [round(rate(step), 3) for step in range(6)]
    [0.2, 0.4, 0.6, 0.8, 0.8, 0.8]
    """
    _function("schedule", schedule)
    steps = count("steps", steps)

    def rate(step):
        rising = schedule(0 * step) * (step + 1) / steps
        return where(step < steps, rising, schedule(maximum(step - steps, 0)))

    return Schedule("warmup", {"schedule": schedule, "steps": steps}, rate)


@register
def join(schedules, boundaries):
    """One schedule after the other, each from its own step 0.

        η(t) = s₀(t) for t < b₁,  s₁(t − b₁) for b₁ ≤ t < b₂,  …

    Parameters
    ----------
    schedules : list of callables
        s₀, s₁, …: each a `Schedule`, or any function of the step.
    boundaries : list of int
        0 < b₁ < b₂ < …, one fewer than the schedules: the step at which each but the
        first begins.

    Returns
    -------
    Schedule

    References
    ----------
    `torch.optim.lr_scheduler.SequentialLR(milestones=boundaries)`.

    Examples
    --------
    Up, level, down: the trapezium in use for language models.

    >>> from course_lib.schedules import constant, polynomial_decay
    >>> rate = join([warmup(constant(0.6), 3), polynomial_decay(0.6, steps=2)], [5])
    >>> [round(rate(step), 3) for step in range(8)]
    [0.2, 0.4, 0.6, 0.6, 0.6, 0.6, 0.3, 0.0]
    """
    schedules, boundaries = _list("schedules", schedules), _list("boundaries", boundaries)
    for schedule in schedules:
        _function("schedules", schedule)
    starts = [0, *(count("boundaries", boundary) for boundary in boundaries)]
    if any(b <= a for a, b in zip(starts, starts[1:])):
        raise ValueError(f"boundaries must ascend from 1 on, got {boundaries!r}")
    if len(starts) != len(schedules):
        raise ValueError(
            f"boundaries must be one fewer than the {len(schedules)} schedules, got {boundaries!r}"
        )

    def rate(step):
        if not hasattr(step, "shape"):  # a number: ask only the part whose turn it is
            turn = bisect(starts, step) - 1
            return schedules[turn](step - starts[turn])
        value = schedules[0](step)
        for schedule, start in zip(schedules[1:], starts[1:]):
            value = where(step < start, value, schedule(maximum(step - start, 0)))
        return value

    return Schedule("join", {"schedules": schedules, "boundaries": starts[1:]}, rate)


def _function(name, schedule):
    if not callable(schedule):
        raise TypeError(f"{name} must be a function of the step, got {schedule!r}")


def _list(name, values):
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{name} must be a list, got {values!r}")
    return list(values)
