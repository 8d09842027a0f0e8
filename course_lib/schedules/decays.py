"""Schedules that only go down, from the rate at step 0."""

import math

from course_lib.schedules.schedule import Schedule
from course_lib.update_rules.arrays import cos, maximum
from course_lib.update_rules.inputs import setting
from course_lib.update_rules.registry import register
from course_lib.validation import count


@register
def constant(lr):
    """The same rate at every step.

        η(t) = η

    Parameters
    ----------
    lr : float or 0-d tensor
        η ≥ 0.

    Returns
    -------
    Schedule

    Examples
    --------
    >>> constant(0.1)(1000)
    0.1
    """
    lr = setting("lr", lr, least=0)
    return Schedule("constant", {"lr": lr}, lambda step: lr + 0 * step)


@register
def step_decay(lr, factor, every):
    """The same rate for a while, then a fraction of it, and so on.

        η(t) = η f^⌊t/k⌋

    Parameters
    ----------
    lr : float or 0-d tensor
        η ≥ 0, the rate at step 0.
    factor : float
        f, 0 < f ≤ 1.
    every : int
        k ≥ 1, in steps.

    Returns
    -------
    Schedule

    References
    ----------
    `torch.optim.lr_scheduler.StepLR(step_size=every, gamma=factor)`. For steps of unequal
    lengths `join` constants.

    Examples
    --------
    >>> rate = step_decay(0.8, factor=0.5, every=2)
    >>> [rate(step) for step in range(5)]
    [0.8, 0.8, 0.4, 0.4, 0.2]
    """
    lr, factor = setting("lr", lr, least=0), setting("factor", factor, above=0, most=1)
    every = count("every", every)
    settings = {"lr": lr, "factor": factor, "every": every}
    return Schedule("step_decay", settings, lambda step: lr * factor ** (step // every))


@register
def exponential_decay(lr, factor):
    """The same fraction less at every step.

        η(t) = η fᵗ

    Parameters
    ----------
    lr : float or 0-d tensor
        η ≥ 0, the rate at step 0.
    factor : float
        f per step, 0 < f ≤ 1: the rate halves every −1/log₂ f steps.

    Returns
    -------
    Schedule

    References
    ----------
    `torch.optim.lr_scheduler.ExponentialLR(gamma=factor)` and
    `keras.optimizers.schedules.ExponentialDecay(lr, 1, factor)`.

    Examples
    --------
    >>> rate = exponential_decay(0.8, factor=0.5)
    >>> [rate(step) for step in range(4)]
    [0.8, 0.4, 0.2, 0.1]
    """
    lr, factor = setting("lr", lr, least=0), setting("factor", factor, above=0, most=1)
    settings = {"lr": lr, "factor": factor}
    return Schedule("exponential_decay", settings, lambda step: lr * factor**step)


@register
def inverse_time_decay(lr, rate):
    """A rate that falls like one over time: the classical choice against noise.

        η(t) = η / (1 + r t)

    Parameters
    ----------
    lr : float or 0-d tensor
        η ≥ 0, the rate at step 0.
    rate : float
        r ≥ 0, per step: after 1/r steps the rate is half of η.

    Returns
    -------
    Schedule

    References
    ----------
    H. Robbins, S. Monro, A stochastic approximation method, Ann. Math. Statist. 22 (1951),
    400–407. `keras.optimizers.schedules.InverseTimeDecay(lr, 1, rate)`.

    Examples
    --------
    >>> inverse_time_decay(0.1, rate=0.25)(4)
    0.05
    """
    lr = setting("lr", lr, least=0)
    rate = setting("rate", rate, least=0)
    settings = {"lr": lr, "rate": rate}
    return Schedule("inverse_time_decay", settings, lambda step: lr / (1 + rate * step))


@register
def polynomial_decay(lr, steps, power=1.0, end=0.0):
    """Down to `end` in a given number of steps, along a power; at power 1, a line.

        η(t) = e + (η − e) (1 − t/T)^p,  from t = T on e

    Parameters
    ----------
    lr : float or 0-d tensor
        η ≥ 0, the rate at step 0.
    steps : int
        T ≥ 1.
    power : float
        p > 0.
    end : float
        e ≥ 0.

    Returns
    -------
    Schedule

    References
    ----------
    `torch.optim.lr_scheduler.PolynomialLR` (where e = 0) and
    `keras.optimizers.schedules.PolynomialDecay`.

    Examples
    --------
    >>> rate = polynomial_decay(0.4, steps=4)
    >>> [round(rate(step), 3) for step in range(6)]
    [0.4, 0.3, 0.2, 0.1, 0.0, 0.0]
    """
    lr, end = setting("lr", lr, least=0), setting("end", end, least=0)
    steps, power = count("steps", steps), setting("power", power, above=0)

    def rate(step):
        left = maximum(1 - step / steps, 0.0)
        return end + (lr - end) * left**power

    settings = {"lr": lr, "steps": steps, "power": power, "end": end}
    return Schedule("polynomial_decay", settings, rate)


@register
def cosine_decay(lr, steps, end=0.0):
    """Down to `end` along half a cosine: slowly, quickly, slowly.

        η(t) = e + (η − e) (1 + cos(π t/T)) / 2,  from t = T on e

    Parameters
    ----------
    lr : float or 0-d tensor
        η ≥ 0, the rate at step 0.
    steps : int
        T ≥ 1.
    end : float
        e ≥ 0.

    Returns
    -------
    Schedule

    References
    ----------
    I. Loshchilov, F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR
    2017, arXiv:1608.03983, (5), without restarts. The same as
    `torch.optim.lr_scheduler.CosineAnnealingLR(T_max=steps)` up to step T; after that
    torch's rises again.

    Examples
    --------
    >>> rate = cosine_decay(0.4, steps=4)
    >>> [round(rate(step), 3) for step in range(6)]
    [0.4, 0.341, 0.2, 0.059, 0.0, 0.0]
    """
    lr, end = setting("lr", lr, least=0), setting("end", end, least=0)
    steps = count("steps", steps)

    def rate(step):
        left = maximum(1 - step / steps, 0.0)
        return end + (lr - end) * (1 - cos(math.pi * left)) / 2

    return Schedule("cosine_decay", {"lr": lr, "steps": steps, "end": end}, rate)
