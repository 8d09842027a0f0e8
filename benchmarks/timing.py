"""How the benchmarks take times: in turn, in one process, on two cores; medians with quartiles."""

import math
import os
import time
from contextlib import contextmanager

import numpy as np

TURN = 0.04   # seconds that a turn should last
WARM_UP = 3


def wall(run, steps):
    """Return the seconds that `run(steps)` takes."""
    start = time.perf_counter()
    run(steps)
    return time.perf_counter() - start


def interleaved(runs, seconds, rounds=(7, 60), clock=wall):
    """Time contenders in turn, each round in another order; return name -> seconds a step [rounds].

    A contender is a function that makes a number of steps and returns when they are done. Each turn starts with a
    step that is not timed, which finds the caches as the one before left them; then come as many as fill 40 ms, at
    least one, at most a thousand. There are as many rounds as fill `seconds`, within the two limits.
    """
    steps, cost = {}, 0
    for name, run in runs.items():
        run(WARM_UP)
        once = min(clock(run, 1) for _ in range(2))
        steps[name] = max(1, min(1000, math.ceil(TURN / max(once, 1e-9))))
        cost += (steps[name] + 1) * once
    names, times = list(runs), {name: [] for name in runs}
    for turn in range(max(rounds[0], min(rounds[1], int(seconds / cost)))):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            runs[name](1)
            times[name].append(clock(runs[name], steps[name]) / steps[name])
    return {name: np.array(each) for name, each in times.items()}


def quartiles(values, scale=1.0):
    """Return the first quartile, the median and the third."""
    return [rounded(scale * value) for value in np.percentile(values, (25, 50, 75))]


def ratio(times, name, base):
    """Return how many times as long one contender takes as another: the median of the rounds' ratios.

    What slows the machine for a while slows both in the same round.
    """
    return rounded(np.median(times[name] / times[base]))


def rounded(value, digits=3):
    """Return a number of three significant digits; integers beyond them stay integers."""
    value = float(f"{float(value):.{digits}g}")
    return int(value) if value == int(value) and abs(value) >= 10 ** (digits - 1) else value


@contextmanager
def two_cores():
    """Within the block, this process and every pool of threads that it starts has two cores."""
    import torch

    threads = torch.get_num_threads()
    pinned = hasattr(os, "sched_setaffinity")
    allowed = os.sched_getaffinity(0) if pinned else None
    try:
        if pinned:
            os.sched_setaffinity(0, sorted(allowed)[:2])
        torch.set_num_threads(2)
        yield
    finally:
        torch.set_num_threads(threads)
        if pinned:
            os.sched_setaffinity(0, allowed)
