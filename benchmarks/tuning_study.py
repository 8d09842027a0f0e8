"""What tuning brings on real data: an SVM on iris, AdamW on digits, and how much of it is luck.

"iris": the document's search (C from 1e-6 to 1e6, γ from 1e-6 to 10, five folds), over a hundred splits into 105 and 45
flowers. For each split: the default SVC; a grid of 7 × 7; fifty settings at random; and our `BayesSearchCV` with fifty.
Kept are the best score in cross-validation and the score on the 45. "iris, one run" is the document's own split and seed, by
scikit-optimize and by us.

"digits": AdamW on a network 64–32–10, five epochs, twenty splits of the digits into 600 to train on, 300 for validation and two
sets of 448 and 449 for tests. Five settings are searched: the rate, 1 − β₁, 1 − β₂, weight decay and the batch size, all on a
logarithmic scale. Sixty trials of each: at random, in a Sobol sequence, by Bayesian search; beside them nine rates with all
else at its default, and the default itself. A trial's value is the validation loss (cross-entropy) after the last epoch. Bayesian
search is told no more than ln 10, the loss of a guess; in a second run, "bayesian, raw", it is told what came. For each
search the least validation loss after every trial is kept, and of the setting chosen after all of them its errors on the
validation set and on both test sets; of the random search also those of the setting that errs least on the first test set.
"again" are the means of validation loss and test error of the chosen setting over five other seeds of the initial weights and
the order of the batches. All trials of a search have one seed; with "three seeds" each of twenty trials is the mean of three
runs; with "new seeds" every trial has another, and that setting is chosen of which the process at the end expects the least.
"""

import time

import numpy as np

from benchmarks.pages import grid
from benchmarks.run import ROOT, fingerprint, pin
from benchmarks.timing import rounded

VERSIONS = ("numpy", "scipy", "scikit-learn", "scikit-optimize", "torch")
IRIS = {"C": (1e-6, 1e6, "log"), "gamma": (1e-6, 1e1, "log")}
SPLITS, SETTINGS = 100, 50
DIGITS = {"lr": (1e-4, 1.0, "log"), "1 - beta1": (1e-3, 1.0, "log"), "1 - beta2": (1e-4, 1.0, "log"),
          "weight_decay": (1e-5, 1.0, "log"), "batch_size": (8.0, 256.0, "log")}
DEFAULT = {"lr": 1e-3, "1 - beta1": 0.1, "1 - beta2": 1e-3, "weight_decay": 1e-2, "batch_size": 32.0}
RATES = np.geomspace(1e-4, 1.0, 9)
SEEDS, TRIALS, EPOCHS, AGAIN = 20, 60, 5, 5


def subjects():
    """What is measured, with a hash of the code that decides it."""
    names = ("acquisitions", "bayesian_search", "covariances", "estimator", "gaussian_process", "searching", "spaces", "trials")
    mark = fingerprint(__file__, [f"course_lib/tuning/{name}.py" for name in names], *map(pin, ("scipy", "scikit-learn")))
    one = fingerprint(__file__, [f"course_lib/tuning/{name}.py" for name in names], pin("scikit-learn"), pin("scikit-optimize"))
    rules = [file.relative_to(ROOT).as_posix() for file in (ROOT / "course_lib" / "update_rules").glob("*.py")]
    digits = fingerprint(__file__, [*(f"course_lib/tuning/{name}.py" for name in names), *rules], pin("scipy"), pin("torch"))
    return {"iris": mark, "iris, one run": one, "digits": digits}


def measure(subject):
    """Measure one of them."""
    return {"iris": iris, "iris, one run": iris_once, "digits": digits}[subject]()


# ---- iris

def flowers(seed):
    """The document's split, with another seed: 105 and 45 flowers."""
    from sklearn.datasets import load_iris
    from sklearn.model_selection import train_test_split

    return train_test_split(*load_iris(return_X_y=True), test_size=0.3, random_state=seed)


def iris():
    """Of each split: best score in cross-validation, and score on the 45, by each way of choosing."""
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.svm import SVC

    from course_lib.tuning import BayesSearchCV, Space

    ways = {name: {"cv": [], "test": []} for name in ("default", "grid", "random", "bayesian")}
    space = Space(IRIS)
    lattice = {"C": np.geomspace(1e-6, 1e6, 7), "gamma": np.geomspace(1e-6, 1e1, 7)}
    for seed in range(SPLITS):
        x, x_test, y, y_test = flowers(seed)

        def keep(way, cv, search):
            ways[way]["cv"].append(rounded(cv, 6))
            ways[way]["test"].append(rounded(search.score(x_test, y_test), 6))

        keep("default", cross_val_score(SVC(), x, y).mean(), SVC().fit(x, y))
        search = GridSearchCV(SVC(), lattice).fit(x, y)
        keep("grid", search.best_score_, search)
        drawn = [space.decode(u) for u in np.random.default_rng(seed).random((SETTINGS, 2))]
        search = GridSearchCV(SVC(), [{name: [value] for name, value in each.items()} for each in drawn]).fit(x, y)
        keep("random", search.best_score_, search)
        search = BayesSearchCV(SVC(), IRIS, n_iter=SETTINGS, random_state=seed).fit(x, y)
        keep("bayesian", search.best_score_, search)
    return {"splits": SPLITS, "settings": SETTINGS, **ways}


def iris_once():
    """The document's own call, by both classes."""
    import warnings

    import skopt
    from sklearn.svm import SVC

    from course_lib.tuning import BayesSearchCV

    x, x_test, y, y_test = flowers(42)
    given, found = {name: (*ends[:2], "log-uniform") for name, ends in IRIS.items()}, {}
    for name, kind in (("ours", BayesSearchCV), ("scikit-optimize", skopt.BayesSearchCV)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")   # scikit-optimize's, when it tries a setting twice
            start = time.perf_counter()
            search = kind(SVC(), given, n_iter=SETTINGS, random_state=42).fit(x, y)
            seconds = time.perf_counter() - start
        found[name] = {"cv": rounded(search.best_score_, 6), "test": rounded(search.score(x_test, y_test), 6),
                       "seconds": rounded(seconds)}
    return found


# ---- digits

class Network:
    """AdamW on one split: a setting -> its losses and errors; the same setting always gives the same."""

    def __init__(self, seed):
        import torch
        from course_lib import load

        self.torch, self.seed = torch, seed
        data = load("digits", seed, standardize=False, validation=299.5 / 1797, test=896.5 / 1797)
        assert [len(part) for part in (data.train, data.validation, data.test)] == [600, 300, 897]
        parts = [(data.train.x, data.train.y), (data.validation.x, data.validation.y),
                 (data.test.x[:448], data.test.y[:448]), (data.test.x[448:], data.test.y[448:])]
        self.train, *self.others = [(torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)) for x, y in parts]

    def tried(self, x, seed=0):
        """Validation loss, and errors on the validation set and both test sets."""
        from course_lib import adamw

        torch = self.torch
        rng = np.random.default_rng([self.seed, seed])
        shapes = [(64, 32), (32,), (32, 10), (10,)]
        w = np.concatenate([rng.uniform(-1, 1, np.prod(shape)) / np.sqrt(64 if i < 2 else 32) for i, shape in enumerate(shapes)])
        w = torch.tensor(w, dtype=torch.float32)
        rule = adamw(lr=x["lr"], beta1=min(1 - x["1 - beta1"], 0.999), beta2=1 - x["1 - beta2"], weight_decay=x["weight_decay"])
        state, batch = rule.init(w), round(x["batch_size"])

        def outputs(w, inputs):
            a, b, c, d = w.split([int(np.prod(shape)) for shape in shapes])
            return torch.relu(inputs @ a.view(64, 32) + b) @ c.view(32, 10) + d

        for _ in range(EPOCHS):
            for rows in torch.tensor(rng.permutation(600)).split(batch):
                w.requires_grad_()
                loss = torch.nn.functional.cross_entropy(outputs(w, self.train[0][rows]), self.train[1][rows])
                g, = torch.autograd.grad(loss, w)
                w = w.detach()
                delta, state = rule.update(g, state, w)
                w = w + delta
        with torch.no_grad():
            seen = [(outputs(w, inputs), labels) for inputs, labels in self.others]
            loss = float(torch.nn.functional.cross_entropy(*seen[0]))
            errors = [rounded((out.argmax(1) != labels).double().mean(), 5) for out, labels in seen]
        return (loss if np.isfinite(loss) else np.nan), errors


def digits():
    """Of each split and search: the least loss after every trial, and the errors of what was chosen."""
    from joblib import Parallel, delayed

    splits = Parallel(n_jobs=2)(delayed(one_split)(seed) for seed in range(SEEDS))
    found = {"trials": TRIALS, "splits": SEEDS, "by_test": [split.pop("by_test") for split in splits]}
    for kind in ("curves", "errors", "again"):
        found[kind] = {way: [split[way][kind] for split in splits] for way in splits[0]}
    return found


def one_split(seed):
    """Way of searching -> what it found on one split."""
    import torch
    from course_lib.tuning import BayesianSearch, GaussianProcess, Space

    torch.set_num_threads(1)
    space, network, found = Space(DIGITS), Network(seed), {}

    def keep(way, settings, made, chosen=None):
        losses = np.array([loss for loss, _ in made])
        chosen = int(np.nanargmin(losses)) if chosen is None else chosen
        again = [network.tried(settings[chosen], seed) for seed in range(1000, 1000 + AGAIN)]
        found[way] = {"curves": [rounded(each, 4) for each in np.fmin.accumulate(losses)], "errors": made[chosen][1],
                      "again": [rounded(np.mean([loss for loss, _ in again]), 4),
                                rounded(np.mean([errors[1:] for _, errors in again]), 4)]}
        return made

    def mean_of_three(x):
        runs = [network.tried(x, seed) for seed in range(3)]
        return np.mean([loss for loss, _ in runs]), [rounded(each, 5) for each in np.mean([errors for _, errors in runs], 0)]

    def searched(way, tried, trials, most=np.log(10), believe=False):
        search, made = BayesianSearch(space, seed), []
        for _ in range(trials):
            x = search.ask()
            made.append(tried(x))
            search.tell(x, np.minimum(made[-1][0], most))
        settings, chosen = [trial.x for trial in search.trials], None
        if believe:   # where the process expects the least, not where the least was seen
            places = np.array([space.encode(x) for x in settings])
            values = np.array([np.log(10) if trial.status == "failed" else trial.value for trial in search.trials])
            chosen = int(GaussianProcess(prior=(0.5, 1.0)).fit(places, values).predict(places)[0].argmin())
        keep(way, settings, made, chosen)

    drawn = [space.decode(u) for u in np.random.default_rng(seed).random((TRIALS, space.width))]
    sweep = [{**DEFAULT, "lr": lr} for lr in RATES]
    keep("default", [DEFAULT], [network.tried(DEFAULT)])
    keep("nine rates", sweep, [network.tried(x) for x in sweep])
    made = keep("random", drawn, [network.tried(x) for x in drawn])
    spread = [space.decode(u) for u in space.spread(TRIALS, seed)]
    keep("sobol", spread, [network.tried(x) for x in spread])
    searched("bayesian", network.tried, TRIALS)
    searched("bayesian, raw", network.tried, TRIALS, most=np.inf)
    keep("random, three seeds", drawn[:TRIALS // 3], [mean_of_three(x) for x in drawn[:TRIALS // 3]])
    searched("bayesian, three seeds", mean_of_three, TRIALS // 3)
    seeds = iter(range(TRIALS))
    searched("bayesian, new seeds", lambda x: network.tried(x, next(seeds)), TRIALS, believe=True)
    return {**found, "by_test": min((errors for _, errors in made), key=lambda errors: errors[1])}


def table(rows):
    """What was found, a part for each subject."""
    of, parts = {row["subject"]: row for row in rows}, []
    if "iris" in of:
        row = of["iris"]
        parts.append(f"Iris: mean over {row['splits']} splits of the best score in cross-validation and of the score on the 45.")
        parts.append(grid(["chosen by", "cross-validation", "test"], [
            [way, f"{np.mean(row[way]['cv']):.4f}", f"{np.mean(row[way]['test']):.4f}"]
            for way in ("default", "grid", "random", "bayesian")]))
    if "iris, one run" in of:
        row = of["iris, one run"]
        parts.append("Iris, the document's call.")
        parts.append(grid(["search", "cross-validation", "test", "seconds"], [
            [name, *row[name].values()] for name in ("ours", "scikit-optimize")]))
    if "digits" in of:
        row = of["digits"]
        parts.append(f"Digits: means over {row['splits']} splits; errors in per cent.")
        parts.append(grid(["search", "validation loss", "again", "validation error", "test error"], [
            [way, rounded(np.mean([curve[-1] for curve in row["curves"][way]])),
             rounded(np.mean([each[0] for each in row["again"][way]])),
             rounded(100 * np.mean([each[0] for each in row["errors"][way]])),
             rounded(100 * np.mean([each[1:] for each in row["errors"][way]]))] for way in row["curves"]]))
    return "\n\n".join(parts) + "\n"
