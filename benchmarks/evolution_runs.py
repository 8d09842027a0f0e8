"""Evolution strategies: evaluations until the minimum is reached, and the time of one, beside pycma.

Three landscapes, by `cma_es`, by pycma 4 as it comes, and by `evolution_strategy`, which learns a step size and no covariance:
"Rosenbrock" in eight dimensions from 0 with σ = 0.5, whose minimum is at ones and which has a second one; "ellipsoid", Σ λᵢ wᵢ²
with λ from 1 to 10⁶, in eight dimensions from ones with σ = 0.5, and turned at random; "Rastrigin" in five dimensions from 3 with
σ = 2, some thousand minima, populations of 8 (the default), 50 and 150. An evaluation counts until one first has a value of 1e-10
or less (Rastrigin: 1e-8); null where the search ends, or has made its cap of evaluations, before. Thirty seeds.

"time" is that of an evaluation whose value is drawn at random, so that no search ends, in 2 to 128 dimensions: asking, telling,
learning. Both in one process, in turn; a ratio is the median of the rounds' ratios, pycma's time over ours.
"""

import time

import numpy as np

from benchmarks.pages import grid
from benchmarks.run import ROOT, fingerprint, pin
from benchmarks.timing import quartiles, rounded, two_cores

VERSIONS = ("numpy", "cma")
SEEDS, ROUNDS, SIZES = 30, 7, (2, 8, 32, 128)
CAP = {"ours": 100_000, "pycma": 100_000, "isotropic": 100_000}


def rosenbrock(w):
    """Its minimum 0 is at ones."""
    return float(np.sum(100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2))


def ellipsoid(w):
    """Curvatures from 2 to 2 million along the axes."""
    return float(np.sum(10 ** (6 * np.arange(len(w)) / (len(w) - 1)) * w**2))


def turned(w):
    """The ellipsoid, turned."""
    axes, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((len(w), len(w))))
    return ellipsoid(axes @ w)


def rastrigin(w):
    """A bowl full of ripples."""
    return float(np.sum(10 + w**2 - 10 * np.cos(2 * np.pi * w)))


# subject -> case -> objective, start, σ, goal, population
CASES = {
    "Rosenbrock": {"Rosenbrock": (rosenbrock, np.zeros(8), 0.5, 1e-10, None)},
    "ellipsoid": {"along the axes": (ellipsoid, np.ones(8), 0.5, 1e-10, None), "turned": (turned, np.ones(8), 0.5, 1e-10, None)},
    "Rastrigin": {f"population {n}": (rastrigin, np.full(5, 3.0), 2.0, 1e-8, n) for n in (8, 50, 150)},
}


def subjects():
    """What is measured, with a hash of the code that decides it."""
    files = [f"course_lib/tuning/{name}.py" for name in ("covariance_adaptation", "populations", "searching", "spaces", "trials")]
    assert all((ROOT / file).is_file() for file in files)
    mark = fingerprint(__file__, files, pin("cma"))
    return {**dict.fromkeys(CASES, mark), "time": fingerprint(__file__, [*files, "benchmarks/timing.py"], pin("cma"))}


def measure(subject):
    """Measure one of them."""
    return times() if subject == "time" else evaluations(CASES[subject])


def evaluations(cases):
    """Case -> library -> of each seed the evaluations that were needed, None where it was not reached."""
    return {"cases": {case: {name: [run(*given, seed) for seed in range(SEEDS)] for name, run in
                             (("ours", ours), ("pycma", pycma), ("isotropic", isotropic))} for case, given in cases.items()}}


def ours(f, start, sigma, goal, population, seed, adapt=True):
    """Evaluations of `cma_es` until the goal."""
    from course_lib.tuning import EvolutionStrategy

    search = EvolutionStrategy(start, sigma, seed, population=population, adapt=adapt)
    for number in range(1, CAP["ours"] + 1):
        w = search.ask()
        if w is None:
            return None
        value = f(w)
        if value <= goal:
            return number
        search.tell(w, value)
    return None


def isotropic(*given):
    """Evaluations of `evolution_strategy` until the goal."""
    return ours(*given, adapt=False)


def pycma(f, start, sigma, goal, population, seed):
    """Evaluations of pycma until the goal."""
    import cma

    options = {"verbose": -9, "seed": seed + 1} | ({} if population is None else {"popsize": population})
    search, made = cma.CMAEvolutionStrategy(start, sigma, options), 0
    while not search.stop() and made < CAP["pycma"]:
        asked = search.ask()
        values = [f(w) for w in asked]
        reached = [i for i, value in enumerate(values) if value <= goal]
        if reached:
            return made + reached[0] + 1
        made += len(asked)
        search.tell(asked, values)
    return None


def times():
    """Milliseconds of an evaluation, by size and library, and the ratios."""
    import cma
    from course_lib.tuning import EvolutionStrategy

    def ours(D, seed, generations):
        search = EvolutionStrategy(np.ones(D), 1.0, seed)
        values = np.random.default_rng(seed).random(generations * len(search.weights)).tolist()
        begin = time.perf_counter()
        for value in values:
            search.tell(search.ask(), value)
        return (time.perf_counter() - begin) / len(values)

    def theirs(D, seed, generations):
        search = cma.CMAEvolutionStrategy(np.ones(D), 1.0, {"verbose": -9, "seed": seed + 1})
        values = np.random.default_rng(seed).random((generations, search.popsize)).tolist()
        begin = time.perf_counter()
        for each in values:
            search.tell(search.ask(), each)
        return (time.perf_counter() - begin) / (generations * search.popsize)

    found = {"milliseconds": {"ours": {}, "pycma": {}}, "ratios": {}}
    with two_cores():
        for D in SIZES:
            runs = {"ours": ours, "pycma": theirs}
            taken = {name: [] for name in runs}
            for run in runs.values():
                run(D, 99, 5)
            for turn in range(ROUNDS):
                for name in sorted(runs, reverse=turn % 2):
                    taken[name].append(runs[name](D, turn, 100))
            for name in runs:
                found["milliseconds"][name][str(D)] = quartiles(taken[name], 1000)
            found["ratios"][str(D)] = rounded(np.median(np.array(taken["pycma"]) / np.array(taken["ours"])))
    return found


def table(rows):
    """Medians, and how many seeds reached the goal."""
    of, parts = {row["subject"]: row for row in rows}, []
    for subject in CASES:
        if subject in of:
            lines = []
            for case, libraries in of[subject]["cases"].items():
                for name, counts in libraries.items():
                    reached = [n for n in counts if n is not None]
                    middle = rounded(np.median(reached)) if reached else "–"
                    ends = f"{min(reached)}–{max(reached)}" if reached else "–"
                    lines.append([case, name, f"{len(reached)} of {len(counts)}", middle, ends])
            parts += [f"{subject}: evaluations until the goal, of the seeds that reached it.",
                      grid(["case", "search", "reached", "median", "range"], lines)]
    if "time" in of:
        row = of["time"]
        parts += ["Milliseconds of an evaluation (median), and pycma's time over ours.",
                  grid(["dimensions", "ours", "pycma", "ratio"], [
                      [D, row["milliseconds"]["ours"][D][1], row["milliseconds"]["pycma"][D][1], ratio]
                      for D, ratio in row["ratios"].items()])]
    return "\n\n".join(parts) + "\n"
