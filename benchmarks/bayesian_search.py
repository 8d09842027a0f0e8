"""Bayesian search: how many trials two standard problems take, and how long it thinks about each.

"Branin" has two inputs and three equal minima of 0.39789, "Hartmann6" six inputs, a minimum of −3.32237 and a worse one of
−3.203 in which searches are caught. Of Branin the trial is counted at which a value first rounds to 0.398 (at most
0.3985; 50 trials in all, counted as 51 if there is none), of Hartmann6 the best value of 200 trials is kept; each for
twenty seeds, of our search with its defaults.

"time" is that of 50 trials on Branin, where the objective itself takes nothing: our `bayesian_minimize`, scikit-optimize's
`gp_minimize`, and Optuna with its `GPSampler`, each as it comes and with eight trials before the model, in one process on
two cores, in turn, each round with another seed and in another order. A ratio is a median over the rounds, time over
ours. "growth" is the time of one more setting after so many trials on Hartmann6, the model being fitted again.
"""

import math
import time

import numpy as np

from benchmarks.pages import grid, spread
from benchmarks.run import ROOT, fingerprint, pin
from benchmarks.timing import quartiles, ratio, rounded, two_cores

VERSIONS = ("numpy", "scipy", "scikit-optimize", "optuna", "torch")
SEEDS, CALLS, INITIAL, ROUNDS, SIZES = 20, {"Branin": 50, "Hartmann6": 200}, 8, 5, (30, 100, 300, 1000)
REACHED = 0.3985

# L. C. W. Dixon, G. P. Szegö, Towards Global Optimisation 2, 1978.
HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
WIDTHS = np.array([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14],
                   [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]])
PLACES = 1e-4 * np.array([[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991],
                          [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]])


def branin(x):
    """Of x = {"x0": from −5 to 10, "x1": from 0 to 15}."""
    a, b = x["x0"], x["x1"]
    hills = 10 * (1 - 1 / (8 * math.pi)) * math.cos(a)
    return (b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6) ** 2 + hills + 10


def hartmann6(x):
    """Of six numbers from 0 to 1, x0 to x5."""
    w = np.array([x[f"x{i}"] for i in range(6)])
    return -float(HEIGHTS @ np.exp(-(WIDTHS * (w - PLACES) ** 2).sum(1)))


PROBLEMS = {
    "Branin": (branin, {"x0": (-5.0, 10.0), "x1": (0.0, 15.0)}),
    "Hartmann6": (hartmann6, {f"x{i}": (0.0, 1.0) for i in range(6)}),
}


def subjects():
    """What is measured, with a hash of the code that decides it."""
    files = [file.relative_to(ROOT).as_posix() for file in (ROOT / "course_lib" / "tuning").glob("*.py")
             if file.stem not in ("estimator", "workers")]
    mark = fingerprint(__file__, [*files, "benchmarks/timing.py"], pin("scipy"))
    packages = "scipy", "scikit-optimize", "optuna"
    rivals = fingerprint(__file__, [*files, "benchmarks/timing.py"], *map(pin, packages))
    return {"Branin": mark, "Hartmann6": mark, "time": rivals, "growth": mark}


def measure(subject):
    """Measure one of them."""
    if subject == "time":
        return times()
    if subject == "growth":
        return growth()
    return scores(subject)


def scores(problem):
    """Of each seed: the trial that reached the goal, or the best value."""
    from course_lib.tuning import bayesian_minimize

    f, space = PROBLEMS[problem]
    calls = CALLS[problem]
    runs = [[trial.value for trial in bayesian_minimize(f, space, calls, seed).history] for seed in range(SEEDS)]
    if problem == "Hartmann6":
        return {"calls": calls, "best": [min(run) for run in runs], "best_of_100": [min(run[:100]) for run in runs]}
    first = [next((i + 1 for i, value in enumerate(run) if value <= REACHED), calls + 1) for run in runs]
    return {"calls": calls, "first": first}


def contenders():
    """Name -> a search on Branin with a seed, which returns its best value."""
    import optuna
    import skopt
    from course_lib.tuning import bayesian_minimize

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    f, space = PROBLEMS["Branin"]

    def ours(seed):
        return bayesian_minimize(f, space, CALLS["Branin"], seed, initial=INITIAL).value

    def skopts(seed):
        found = skopt.gp_minimize(lambda x: f({"x0": x[0], "x1": x[1]}), list(space.values()), n_calls=CALLS["Branin"],
                                  n_initial_points=INITIAL, random_state=seed)
        return found.fun

    def optunas(seed):
        study = optuna.create_study(sampler=optuna.samplers.GPSampler(seed=seed, n_startup_trials=INITIAL))
        study.optimize(lambda trial: f({name: trial.suggest_float(name, *ends) for name, ends in space.items()}),
                       n_trials=CALLS["Branin"])
        return study.best_value

    return {"ours": ours, "scikit-optimize": skopts, "optuna": optunas}


def times():
    """Seconds of each contender in each round, and the best value that it found."""
    with two_cores():
        runs = contenders()
        for run in runs.values():
            run(99)
        names, seconds, best = list(runs), {name: [] for name in runs}, {name: [] for name in runs}
        for turn in range(ROUNDS):
            for name in names[turn % len(names):] + names[:turn % len(names)]:
                start = time.perf_counter()
                best[name].append(rounded(runs[name](turn), 6))
                seconds[name].append(time.perf_counter() - start)
    seconds = {name: np.array(each) for name, each in seconds.items()}
    return {"seconds": {name: quartiles(each) for name, each in seconds.items()}, "best": best, "rounds": ROUNDS,
            "ratios": {name: ratio(seconds, name, "ours") for name in names if name != "ours"}}


def growth():
    """Seconds of one more setting, by the number of trials; medians of three."""
    from course_lib.tuning import BayesianSearch

    f, space = PROBLEMS["Hartmann6"]
    found = {}
    with two_cores():
        for size in SIZES:
            search, rng = BayesianSearch(space, seed=0), np.random.default_rng(0)
            for u in rng.random((size, 6)):
                x = search.space.decode(u)
                search.tell(x, f(x))
            taken = []
            for _ in range(3):
                search.process = search._fitted_to = None
                search.pending.clear()
                start = time.perf_counter()
                search.ask()
                taken.append(time.perf_counter() - start)
            found[str(size)] = rounded(np.median(taken))
    return {"seconds": found}


def table(rows):
    """What was found, a part for each subject."""
    of, parts = {row["subject"]: row for row in rows}, []
    if "Branin" in of:
        first = of["Branin"]["first"]
        parts.append(f"Branin: the goal was reached after {np.mean(first):.1f} trials on average, {min(first)} to "
                     f"{max(first)}.")
    if "Hartmann6" in of:
        row = of["Hartmann6"]
        parts.append(f"Hartmann6: the best of 200 trials is {np.mean(row['best']):.3f} on average, with a standard "
                     f"deviation of {np.std(row['best'], ddof=1):.3f}; of the first 100, "
                     f"{np.mean(row['best_of_100']):.3f}.")
    if "time" in of:
        row = of["time"]
        parts.append("Seconds of 50 trials on Branin: the median (quartiles).")
        parts.append(grid(["search", "seconds", "times ours"], [
            [name, spread(each), row["ratios"].get(name)] for name, each in row["seconds"].items()]))
    if "growth" in of:
        parts.append("Seconds of one more setting.")
        parts.append(grid(["trials", "seconds"], [[size, each] for size, each in of["growth"]["seconds"].items()]))
    return "\n\n".join(parts) + "\n"
