"""Schedules that also go up: warm restarts, triangles, one long cycle."""

import math

from course_lib.schedules.schedule import Schedule
from course_lib.update_rules.arrays import cos, is_tensor, maximum, where
from course_lib.update_rules.inputs import setting
from course_lib.update_rules.registry import register
from course_lib.validation import count, one_of

_MOST_STEPS = 2**63


@register
def cosine_restarts(lr, steps, multiplier=1, end=0.0):
    """Half a cosine down, a jump back up, and again, each time over more steps.

        η(t) = e + (η − e) (1 + cos(π s/Tₙ)) / 2,  s steps into the n-th run of Tₙ = T mⁿ

    Parameters
    ----------
    lr : float or 0-d tensor
        η ≥ 0, the rate at the start of each run.
    steps : int
        T ≥ 1, the length of the first run.
    multiplier : int
        m ≥ 1: how many times as long each run is as the one before.
    end : float
        e ≥ 0: what a run goes towards, and would reach at the step of the restart.

    Returns
    -------
    Schedule

    References
    ----------
    I. Loshchilov, F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR
    2017, arXiv:1608.03983, (5).
    `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(T_0=steps, T_mult=multiplier)`.

    Examples
    --------
    >>> rate = cosine_restarts(0.4, steps=2, multiplier=2)
    >>> [round(rate(step), 3) for step in range(7)]
    [0.4, 0.2, 0.4, 0.341, 0.2, 0.059, 0.4]
    """
    lr, end = setting("lr", lr, least=0), setting("end", end, least=0)
    steps, multiplier = count("steps", steps), count("multiplier", multiplier)

    def begin(run):
        return steps * (multiplier**run - 1) / (multiplier - 1)

    restarts = []
    while multiplier > 1 and begin(len(restarts) + 1) < _MOST_STEPS:
        restarts.append(begin(len(restarts) + 1))

    def rate(step):
        if multiplier == 1:
            done = step % steps / steps
        else:
            # Counted, since the logarithm that gives the same errs by rounding at a restart.
            run = sum(where(step >= restart, 0 * step + 1, 0 * step) for restart in restarts)
            done = (step - begin(run)) / (steps * multiplier**run)
        return end + (lr - end) * (1 + cos(math.pi * done)) / 2

    settings = {"lr": lr, "steps": steps, "multiplier": multiplier, "end": end}
    return Schedule("cosine_restarts", settings, rate)


_HEIGHTS = {
    "triangular": lambda cycle, step, gamma: 1.0,
    "triangular2": lambda cycle, step, gamma: 0.5**cycle,
    "exp_range": lambda cycle, step, gamma: gamma**step,
}


@register
def cyclic(low, high, half_period, mode="triangular", gamma=1.0):
    """Up and down along straight lines, for as long as one likes.

        η(t) = low + (high − low) a min(u, 2 − u),  u = t/h − 2c, in cycle c = ⌊t/(2h)⌋

    Parameters
    ----------
    low, high : float or 0-d tensor
        0 ≤ low ≤ high: the rate at the ends and in the middle of the first cycle.
    half_period : int
        h ≥ 1, the steps of the way up, and those of the way down.
    mode : str
        What becomes of the height: "triangular", a = 1; "triangular2", a = 2^−c;
        "exp_range", a = γᵗ.
    gamma : float
        γ, 0 < γ ≤ 1, for "exp_range".

    Returns
    -------
    Schedule

    References
    ----------
    L. N. Smith, Cyclical learning rates for training neural networks, WACV 2017,
    arXiv:1506.01186. `torch.optim.lr_scheduler.CyclicLR(low, high, half_period)`, which
    moves the momentum too unless told not to.

    Examples
    --------
    >>> rate = cyclic(0.1, 0.5, half_period=2)
    >>> [round(rate(step), 3) for step in range(6)]
    [0.1, 0.3, 0.5, 0.3, 0.1, 0.3]
    """
    low, high = setting("low", low, least=0), setting("high", high, least=0)
    if not is_tensor(low) and not is_tensor(high) and low > high:
        raise ValueError(f"low must be at most high = {high!r}, got {low!r}")
    half_period, gamma = count("half_period", half_period), setting("gamma", gamma, above=0, most=1)
    height = _HEIGHTS[one_of("mode", mode, tuple(_HEIGHTS))]

    def rate(step):
        cycle = step // (2 * half_period)
        up = 1 - abs(step / half_period - 2 * cycle - 1)
        return low + (high - low) * height(cycle, step, gamma) * up

    settings = {"low": low, "high": high, "half_period": half_period, "mode": mode, "gamma": gamma}
    return Schedule("cyclic", settings, rate)


@register
def one_cycle(peak, steps, pct_start=0.3, div_factor=25.0, final_div_factor=1e4):
    """Up to a high rate and down to nearly none, both along half a cosine, in `steps` steps.

        from peak/d at step 0 to the peak at step a = pT − 1,
        then to peak/(d d′) at step T − 1, and there it stays

    Parameters
    ----------
    peak : float or 0-d tensor
        The largest rate, ≥ 0.
    steps : int
        T ≥ 1, the steps of the whole run.
    pct_start : float
        p from 0 to 1: the share of the steps on the way up.
    div_factor, final_div_factor : float
        d, d′ ≥ 1.

    Returns
    -------
    Schedule

    References
    ----------
    L. N. Smith, N. Topin, Super-convergence, arXiv:1708.07120.
    `torch.optim.lr_scheduler.OneCycleLR(peak, steps)`, whose defaults these are; it moves
    the momentum too unless told not to, and raises an error after its last step.

    Examples
    --------
    >>> rate = one_cycle(1.0, steps=10)
    >>> [round(rate(step), 3) for step in (0, 1, 2, 5, 9, 10)]
    [0.04, 0.52, 1.0, 0.611, 0.0, 0.0]
    """
    peak, steps = setting("peak", peak, least=0), count("steps", steps)
    pct_start = setting("pct_start", pct_start, least=0, most=1)
    div_factor = setting("div_factor", div_factor, least=1)
    final_div_factor = setting("final_div_factor", final_div_factor, least=1)
    top, last = pct_start * steps - 1, steps - 1

    def between(a, b, done):
        return b + (a - b) * (1 + cos(math.pi * done)) / 2

    def rate(step):
        start = peak / div_factor
        up = between(start, peak, step / top) if top > 0 else peak + 0 * step
        left = maximum((last - step) / (last - top), 0.0) if last > top else 1.0 + 0 * step
        return where(step < top, up, between(peak, start / final_div_factor, 1 - left))

    settings = {"peak": peak, "steps": steps, "pct_start": pct_start,
                "div_factor": div_factor, "final_div_factor": final_div_factor}
    return Schedule("one_cycle", settings, rate)
