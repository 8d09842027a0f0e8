"""Every rule of the book under every common schedule, on real data, at an equal budget.

Twelve rules × eight schedules, each tried at nine learning rates a factor of two apart and from ten seeds by `compare`;
the rate is chosen on validation data, the score is the metric on test data. The nine rates lie around the best rate of
the rule under the schedule in trials made before; none of the best may lie at the end of its nine. The target of each
seed is the validation metric with which gradient descent at its best constant rate ends from that seed; the time to it
is the first check, one every ten steps, at which a run is there, at the rate that was chosen for the end.
"""

import time

import numpy as np

from benchmarks.run import ROOT, fingerprint

SEEDS, RATES = 10, 9

# Of each task: how it is made, steps, steps between two checks, and log₂ of the rate in the middle, rule by rule.
TASKS = {
    "digits, one epoch": (("mlp_task", "digits", (32,), 4), 269, 10, {
        "gradient descent": -4, "sign descent": -7, "heavy ball": -7, "Nesterov": -7, "AdaGrad": -4, "RMSProp": -8,
        "AdaDelta": 2, "Adam": -8, "AMSGrad": -8, "AdamW": -8, "NAdam": -8, "Lion": -10}),
    "digits, twelve epochs": (("mlp_task", "digits", (32,), 32), 396, 10, {
        "gradient descent": -2, "sign descent": -8, "heavy ball": -5, "Nesterov": -5, "AdaGrad": -4, "RMSProp": -7,
        "AdaDelta": 3, "Adam": -6, "AMSGrad": -6, "AdamW": -6, "NAdam": -6, "Lion": -10}),
    "diabetes": (("mlp_task", "diabetes", (32,), 4), 198, 10, {
        "gradient descent": -6, "sign descent": -7, "heavy ball": -9, "Nesterov": -9, "AdaGrad": -5, "RMSProp": -8,
        "AdaDelta": 1, "Adam": -8, "AMSGrad": -8, "AdamW": -8, "NAdam": -7, "Lion": -10}),
}
# By how many factors of two a schedule's best rate lies above the constant one.
SHIFTS = {
    "constant": 0, "step": 1, "inverse time": 2, "warm-up, inverse time": 2, "linear": 1, "cosine": 1, "warm-up, cosine": 1,
    "one-cycle": 1,
}


def rules():
    """Name -> a function of the rate, or of a schedule, that makes the rule."""
    from course_lib import update_rules as u

    return {
        "gradient descent": u.gradient_descent, "sign descent": u.sign_descent,
        "heavy ball": lambda lr: u.momentum(lr, beta=0.9),
        "Nesterov": lambda lr: u.momentum(lr, beta=0.9, nesterov=True),
        "AdaGrad": u.adagrad, "RMSProp": u.rmsprop, "AdaDelta": u.adadelta, "Adam": u.adam,
        "AMSGrad": lambda lr: u.adam(lr, amsgrad=True), "AdamW": u.adamw, "NAdam": u.nadam, "Lion": u.lion,
    }


def schedules(steps):
    """Name -> a function of the rate that makes the schedule, all over the same number of steps."""
    from course_lib import schedules as s

    tenth = steps // 10
    return {
        "constant": s.constant,
        "step": lambda lr: s.join([s.constant(lr), s.constant(lr / 10), s.constant(lr / 100)], [steps // 2, 3 * steps // 4]),
        "inverse time": lambda lr: s.inverse_time_decay(lr, rate=9 / steps),
        "warm-up, inverse time": lambda lr: s.warmup(s.inverse_time_decay(lr, rate=9 / (steps - tenth)), tenth),
        "linear": lambda lr: s.polynomial_decay(lr, steps),
        "cosine": lambda lr: s.cosine_decay(lr, steps),
        "warm-up, cosine": lambda lr: s.warmup(s.cosine_decay(lr, steps - tenth), tenth),
        "one-cycle": lambda lr: s.one_cycle(lr, steps),
    }


def subjects():
    """The tasks, each with a hash of the code that decides the numbers, and of the versions it runs on."""
    library = ROOT / "course_lib"
    names = ("comparison", "outcomes", "intervals", "runs", "tasks", "data_tasks")
    files = [library / "training" / f"{name}.py" for name in names]
    files += [library / "datasets.py", *(library / "schedules").glob("*.py"), *(library / "update_rules").glob("*.py")]
    import sklearn
    import torch

    mark = fingerprint(__file__, [file.relative_to(ROOT).as_posix() for file in files], torch.__version__, sklearn.__version__)
    return dict.fromkeys(TASKS, mark)


def measure(subject):
    """Run one task's 96 comparisons."""
    import torch

    from course_lib import training

    (kind, dataset, hidden, batch_size), steps, every, middles = TASKS[subject]
    task = getattr(training, kind)(dataset, hidden, batch_size)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)   # the runs are small: more threads are slower
    start, cells, found = time.perf_counter(), [], {}
    for rule, make in rules().items():
        for schedule, shape in schedules(steps).items():
            middle = middles[rule] + SHIFTS[schedule]
            rates = 2.0 ** np.arange(middle - RATES // 2, middle + RATES // 2 + 1)
            method = {"method": lambda lr: make(shape(lr))}
            found[rule, schedule] = training.compare(method, task, rates, SEEDS, steps, every=every)
    torch.set_num_threads(threads)
    plain = found["gradient descent", "constant"]["method"]
    target = plain.validation[plain.chosen]
    for (rule, schedule), comparison in found.items():
        result = comparison["method"]
        steps_to = [int(step) if np.isfinite(step) else None for step in comparison.steps_to("method", target)]
        cells.append({
            "rule": rule, "schedule": schedule, "lr": result.lr, "at_edge": result.at_edge,
            "validation": np.round(result.validation[result.chosen], 5).tolist(),
            "test": np.round(result.test[result.chosen], 5).tolist(), "steps_to_target": steps_to,
        })
    return {
        "task": task.name, "metric": task.metric_name, "batch_size": batch_size, "steps": steps, "seeds": SEEDS,
        "rates": RATES, "every": every, "seconds": round(time.perf_counter() - start), "cells": cells,
    }
