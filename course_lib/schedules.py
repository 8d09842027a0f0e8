"""Learning-rate schedules: pure functions from the number of steps made to the rate.

>>> from course_lib.schedules import cosine_decay, warmup
>>> rate = warmup(cosine_decay(lr=0.8, steps=100), steps=4)
>>> [round(rate(step), 3) for step in range(5)]
[0.2, 0.4, 0.6, 0.8, 0.8]
"""

import math

import numpy as np

from course_lib.update_rules.arrays import cos, maximum, where, widen
from course_lib.update_rules.inputs import setting
from course_lib.update_rules.registry import register
from course_lib.validation import count, finite_array, number

__all__ = [
    "Schedule", "constant", "inverse_time_decay", "polynomial_decay", "cosine_decay", "warmup",
]


class Schedule:
    """A function from the number of steps made to a learning rate.

    Parameters
    ----------
    name : str
        The name under which it is saved.
    settings : dict
        The arguments it was made with.
    function : callable
        `function(step) -> rate`, in operators and the functions of `arrays.py`; `step`
        comes as a number, or as an array or tensor of floats.

    Examples
    --------
    >>> import numpy as np
    >>> halving = Schedule("halving", {"lr": 1.0}, lambda step: 1.0 * 0.5**step)
    >>> halving(2), halving(np.arange(3))
    (0.25, array([1.  , 0.5 , 0.25]))
    """

    def __init__(self, name, settings, function):
        self.name = name
        self.settings = dict(settings)
        self._function = function

    def __repr__(self):
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.settings.items())})"

    def __call__(self, step):
        """The rate after `step` steps (from 0): a float, or floats in the shape of `step`."""
        rate = self._function(_steps(step))
        return float(rate) if isinstance(rate, (int, np.number)) else rate


def _steps(step):
    """Steps as a number (an int where it is whole) or as floats, or an error if below 0."""
    if "bool" in str(getattr(step, "dtype", "")):
        raise TypeError(f"step must be a number or an array of numbers, got {step!r}")
    if hasattr(step, "shape") and not isinstance(step, (np.ndarray, np.generic)):
        return widen(step / 1)  # no look at its values: a branch would break `vmap`
    if getattr(step, "ndim", 0):
        step = widen(finite_array("step", step))
        number("step", step.min(initial=0), least=0)
        return step
    step = number("step", step, least=0)
    return int(step) if step.is_integer() else step


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
    >>> rate = warmup(constant(0.8), steps=4)
    >>> [round(rate(step), 3) for step in range(6)]
    [0.2, 0.4, 0.6, 0.8, 0.8, 0.8]
    """
    if not callable(schedule):
        raise TypeError(f"schedule must be a function of the step, got {schedule!r}")
    steps = count("steps", steps)

    def rate(step):
        rising = schedule(0 * step) * (step + 1) / steps
        return where(step < steps, rising, schedule(maximum(step - steps, 0)))

    return Schedule("warmup", {"schedule": schedule, "steps": steps}, rate)
