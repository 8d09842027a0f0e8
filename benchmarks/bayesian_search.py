"""Bayesian search: how many trials two standard problems take, and how long it thinks about each.

"Branin" has two inputs and three equal minima of 0.39789, "Hartmann6" six inputs, a minimum of −3.32237 and a worse one of
−3.203 in which searches are caught. Of Branin the trial is counted at which a value first rounds to 0.398 (at most
0.3985; 50 trials in all, counted as 51 if there is none), of Hartmann6 the best value of 200 trials is kept; each for
twenty seeds, of our search with its defaults. Beside it, of Branin, a search that takes the best of a thousand random
candidates as it is, and random search; of Hartmann6, a search that never begins anew, and one that has no prior of the
lengthscales either.

"time" is that of 50 trials on Branin, where the objective itself takes nothing: our `bayesian_minimize`, scikit-optimize's
`gp_minimize`, and Optuna with its `GPSampler`, each as it comes and with eight trials before the model, in one process on
two cores, in turn, each round with another seed and in another order. A ratio is a median over the rounds, time over
ours. "growth" is the time of one more setting after so many trials on Hartmann6: with the settings of the process fitted
again, as happens when there are a tenth more trials than at the last fit, and without.
"""

import time

import numpy as np

from benchmarks.pages import grid, spread
from benchmarks.run import ROOT, fingerprint, pin
from benchmarks.timing import quartiles, ratio, rounded, two_cores
from course_lib.objectives import branin, hartmann6

VERSIONS = ("numpy", "scipy", "scikit-optimize", "optuna")
SEEDS, CALLS, INITIAL, ROUNDS, SIZES = 20, {"Branin": 50, "Hartmann6": 200}, 8, 5, (30, 100, 300, 1000)
REACHED = 0.3985
SPACES = {"Branin": {"x": (-5.0, 10.0), "y": (0.0, 15.0)}, "Hartmann6": {f"x{i}": (0.0, 1.0) for i in range(6)}}
LANDSCAPES = {"Branin": branin(), "Hartmann6": hartmann6()}


def problem(name):
    """The objective of a dict, and its space."""
    return (lambda x: float(LANDSCAPES[name](np.array(list(x.values()))))), SPACES[name]


def subjects():
    """What is measured, with a hash of the code that decides it."""
    names = ("acquisitions", "bayesian_search", "covariances", "gaussian_process", "searching", "spaces", "trials")
    files = [*(f"course_lib/tuning/{name}.py" for name in names), "course_lib/objectives/landscapes.py", "benchmarks/timing.py"]
    assert all((ROOT / file).is_file() for file in files)
    mark = fingerprint(__file__, files, pin("scipy"))
    rivals = fingerprint(__file__, files, *map(pin, ("scipy", "scikit-optimize", "optuna")))
    return {"Branin": mark, "Hartmann6": mark, "time": rivals, "growth": mark}


def measure(subject):
    """Measure one of them."""
    return {"Branin": branin_trials, "Hartmann6": hartmann_values, "time": times, "growth": growth}[subject]()


def values_of(search, name, calls):
    """The values of so many trials of a search, one after the other."""
    f, _ = problem(name)
    for _ in range(calls - len(search.trials)):
        x = search.ask()
        search.tell(x, f(x))
    return np.array([trial.value for trial in search.trials])


def branin_trials():
    """Of each seed the trial that reached the goal: with the defaults, from candidates alone, at random."""
    from course_lib.tuning import BayesianSearch, Space

    class FromCandidates(BayesianSearch):
        def _promising(self, rng):
            process, best = self._believe()
            places = rng.random((1000, self.space.width))
            return places[log_expected_improvement(*process.predict(places), best).argmax()]

    from course_lib.tuning import log_expected_improvement

    f, space = problem("Branin")
    calls, found = CALLS["Branin"], {}
    for name, kind in (("first", BayesianSearch), ("first_of_candidates", FromCandidates)):
        found[name] = [first(values_of(kind(space, seed, initial=INITIAL), "Branin", calls)) for seed in range(SEEDS)]
    cube = Space(space)
    found["first_at_random"] = [
        first([f(cube.decode(u)) for u in np.random.default_rng(seed).random((calls, 2))]) for seed in range(SEEDS)]
    return {"calls": calls, **found}


def first(values):
    """The number of the first value that reached the goal, one more than there are if none did."""
    return next((i + 1 for i, value in enumerate(values) if value <= REACHED), len(values) + 1)


def hartmann_values():
    """Of each seed the best of 57, 100 and 200 trials."""
    from course_lib.tuning import BayesianSearch, bayesian_search

    calls, prior = CALLS["Hartmann6"], bayesian_search.PRIOR
    found = {"calls": calls}
    for way, options in (("", {}), ("without_restarts_", {"restart_after": None}), ("without_both_", {"restart_after": None})):
        bayesian_search.PRIOR = None if way == "without_both_" else prior
        runs = [values_of(BayesianSearch(SPACES["Hartmann6"], seed, **options), "Hartmann6", calls) for seed in range(SEEDS)]
        bayesian_search.PRIOR = prior
        found |= {f"{way}best_of_{n}": [rounded(run[:n].min(), 6) for run in runs] for n in (57, 100, calls)}
    return found


def contenders():
    """Name -> a search on Branin with a seed, which returns its best value."""
    import optuna
    import skopt
    from course_lib.tuning import bayesian_minimize

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    f, space = problem("Branin")

    def ours(seed):
        return bayesian_minimize(f, space, CALLS["Branin"], seed, initial=INITIAL).value

    def skopts(seed):
        found = skopt.gp_minimize(lambda x: f(dict(zip(space, x))), list(space.values()), n_calls=CALLS["Branin"],
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

    f, space = problem("Hartmann6")
    found = {"fitted": {}, "kept": {}}
    with two_cores():
        for size in SIZES:
            search, rng = BayesianSearch(space, seed=0, restart_after=None), np.random.default_rng(0)
            for u in rng.random((size, 6)):
                x = search.space.decode(u)
                search.tell(x, f(x))
            for kind in found:
                taken = []
                for _ in range(3):
                    if kind == "fitted":
                        search.process = search._fitted_to = None
                    search.pending.clear()
                    start = time.perf_counter()
                    search.ask()
                    taken.append(time.perf_counter() - start)
                found[kind][str(size)] = rounded(np.median(taken))
    return found


def table(rows):
    """What was found, a part for each subject."""
    of, parts = {row["subject"]: row for row in rows}, []
    if "Branin" in of:
        row = of["Branin"]
        parts.append("Branin: trials until a value rounds to 0.398; 51 counts where 50 did not.")
        parts.append(grid(["search", "mean", "not within 50"], [
            [name, rounded(np.mean(row[key])), sum(each > row["calls"] for each in row[key])]
            for name, key in (("ours", "first"), ("candidates alone", "first_of_candidates"), ("random", "first_at_random"))]))
    if "Hartmann6" in of:
        row = of["Hartmann6"]
        parts.append("Hartmann6: the best value, mean ± deviation.")
        parts.append(grid(["trials", "ours", "without restarts", "without prior, too"], [
            [n, *(f"{np.mean(row[f'{way}best_of_{n}']):.3f} ± {np.std(row[f'{way}best_of_{n}'], ddof=1):.3f}"
                  for way in ("", "without_restarts_", "without_both_"))] for n in (57, 100, 200)]))
    if "time" in of:
        row = of["time"]
        parts.append("Seconds of 50 trials on Branin: the median (quartiles).")
        parts.append(grid(["search", "seconds", "times ours"], [
            [name, spread(each), row["ratios"].get(name)] for name, each in row["seconds"].items()]))
    if "growth" in of:
        row = of["growth"]
        parts.append("Seconds of one more setting.")
        parts.append(grid(["trials", "settings fitted again", "kept"], [
            [size, row["fitted"][size], row["kept"][size]] for size in row["fitted"]]))
    return "\n\n".join(parts) + "\n"
