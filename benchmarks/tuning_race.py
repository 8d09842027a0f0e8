"""Every way of tuning in the book on one problem, at one budget of epochs.

The problem is that of `tuning_study`: AdamW on a network 64–32–10, digits split into 600 to train on, 300 for validation and 897 for
tests; five settings, the rate, 1 − β₁, 1 − β₂, weight decay and the batch size, all on a logarithmic scale. A network is trained
for 27 epochs, and a search may spend 714 epochs, those of a network that is trained on counted once: 26 whole runs, or two
Hyperbands. Twelve splits. A value is the validation loss (cross-entropy), and ln 10, that of a guess, if it is worse or not finite.

Ways of spending them: 26 whole runs at random, of a Bayesian search, of CMA-ES and differential evolution (populations of 8 and 6),
random ones with a cosine schedule, random ones whose rate is learnt by a hypergradient while training (normalised; its own rate
is a sixth setting); successive halving of 237 settings at 1, 3, 9, 27 epochs, and
asynchronously of 207, where more settings go on; Hyperband twice; population-based
training of 26 members in nine rounds of three epochs; AdamW's defaults, and its defaults with the hypergradient, one run each.

Of each way are kept: the validation loss of the network chosen after every 27 epochs' worth of budget that brought one ("curve",
for whole runs); the validation loss and test error of the network itself that was chosen ("own"); and their means over five
other seeds of the initial weights and the order of the batches, trained anew with the settings found, for population-based
training with the schedule found ("again"). "order" is, for 60 random settings of each split, with constant rates and with the
cosine, Spearman's correlation of the validation loss after 1, 3 and 9 epochs with that after 27, and the rank, from 1, after
so many epochs of the setting that is best after 27.
"""

import numpy as np

from benchmarks.pages import grid
from benchmarks.run import ROOT, fingerprint, pin
from benchmarks.timing import rounded
from benchmarks.tuning_study import DEFAULT, DIGITS

VERSIONS = ("numpy", "scipy", "torch")
SPLITS, EPOCHS, RUNS, MANY, EARLY, ROUNDS, AGAIN, RANKED = 12, 27, 26, 237, 207, 9, 5, 60
GUESS = float(np.log(10))


def subjects():
    """What is measured, with a hash of the code that decides it."""
    names = ("tuning", "update_rules", "schedules")
    rest = ("estimator", "workers", "local_processes", "ray_processes", "evolution_strategies", "__init__")
    files = [file.relative_to(ROOT).as_posix() for name in names for file in (ROOT / "course_lib" / name).glob("*.py")
             if file.stem not in rest]
    mark = fingerprint(__file__, [*files, "benchmarks/tuning_study.py"], pin("scipy"), pin("torch"))
    return {"race": mark, "order": mark}


def measure(subject):
    """Measure one of them."""
    from joblib import Parallel, delayed

    splits = Parallel(n_jobs=2)(delayed({"race": race, "order": order}[subject])(seed) for seed in range(SPLITS))
    if subject == "race":
        return {kind: {way: [split[way][kind] for split in splits if kind in split[way]] for way in splits[0]}
                for kind in ("own", "again", "epochs", "curve")}
    return {kind: [split[kind] for split in splits] for kind in splits[0]}


class Network:
    """AdamW on one split, trained for so many epochs, on from where it was."""

    def __init__(self, split):
        import torch
        from course_lib import load

        torch.set_num_threads(1)
        self.torch, self.split, self.spent = torch, split, 0
        data = load("digits", split, standardize=False, validation=299.5 / 1797, test=896.5 / 1797)
        parts = [(part.x, part.y) for part in (data.train, data.validation, data.test)]
        assert [len(y) for _, y in parts] == [600, 300, 897]
        self.train, *self.others = [(torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)) for x, y in parts]
        self.shapes = [(64, 32), (32,), (32, 10), (10,)]
        self.sizes = [int(np.prod(shape)) for shape in self.shapes]

    def outputs(self, w, inputs):
        """Logits [samples, 10]."""
        a, b, c, d = w.split(self.sizes)
        return self.torch.relu(inputs @ a.view(64, 32) + b) @ c.view(32, 10) + d

    def rule(self, x, cosine):
        """AdamW with these settings."""
        from course_lib import adamw, hypergradient_descent
        from course_lib.schedules import cosine_decay

        steps = EPOCHS * -(-600 // round(x["batch_size"]))
        lr = cosine_decay(x["lr"], steps) if cosine else x["lr"]
        rule = adamw(lr=lr, beta1=min(1 - x["1 - beta1"], 0.999), beta2=1 - x["1 - beta2"], weight_decay=x["weight_decay"])
        return hypergradient_descent(rule, x["hyper"], normalised=True) if "hyper" in x else rule

    def on(self, x, epochs, state=None, seed=0, cosine=False):
        """Train for more epochs; return the new state: weights, the rule's state, epochs made."""
        torch = self.torch
        if state is None:
            rng = np.random.default_rng([self.split, seed])
            w = np.concatenate([rng.uniform(-1, 1, size) / np.sqrt(64 if i < 2 else 32) for i, size in enumerate(self.sizes)])
            state = (torch.tensor(w, dtype=torch.float32), None, 0)
        w, kept, made = state
        rule, batch = self.rule(x, cosine), round(x["batch_size"])
        kept = rule.init(w) if kept is None else kept
        for epoch in range(made, made + epochs):
            order = np.random.default_rng([self.split, seed, 1 + epoch]).permutation(600)
            for rows in torch.tensor(order).split(batch):
                w.requires_grad_()
                loss = torch.nn.functional.cross_entropy(self.outputs(w, self.train[0][rows]), self.train[1][rows])
                g, = torch.autograd.grad(loss, w)
                w = w.detach()
                delta, kept = rule.update(g, kept, w)
                w = w + delta
        self.spent += epochs
        return w, kept, made + epochs

    def seen(self, state):
        """Validation loss, and errors on the validation and the test set."""
        with self.torch.no_grad():
            out = [(self.outputs(state[0], inputs), labels) for inputs, labels in self.others]
            loss = float(self.torch.nn.functional.cross_entropy(*out[0]))
            return (min(loss, GUESS) if np.isfinite(loss) else GUESS), [float((o.argmax(1) != y).double().mean()) for o, y in out]


def race(split):
    """Way -> what it found on one split."""
    from course_lib.tuning import (
        BayesianSearch, DifferentialEvolution, EvolutionStrategy, Space, hyperband, population_based_training, successive_halving,
    )

    space, network, found = Space(DIGITS), Network(split), {}
    more = Space({**DIGITS, "hyper": (1e-3, 0.3, "log")})

    def keep(way, own, again, curve=None):
        spent, network.spent = network.spent, 0
        repeated = [network.seen(again(seed)) for seed in range(1000, 1000 + AGAIN)]
        network.spent = 0
        found[way] = {"own": [rounded(own[0], 4), rounded(own[1][1], 5)], "epochs": spent, "again": [
            rounded(np.mean([loss for loss, _ in repeated]), 4), rounded(np.mean([errors[1] for _, errors in repeated]), 5)]}
        if curve is not None:
            found[way]["curve"] = [rounded(value, 4) for value in np.minimum.accumulate(curve)]

    def whole(way, settings, cosine=False):
        """Whole runs; `settings` is a list, or a search."""
        seen, tried = [], []
        for number in range(RUNS if not isinstance(settings, list) else len(settings)):
            tried.append(settings[number] if isinstance(settings, list) else settings.ask())
            seen.append(network.seen(network.on(tried[-1], EPOCHS, cosine=cosine)))
            if not isinstance(settings, list):
                settings.tell(tried[-1], seen[-1][0])
        best = int(np.argmin([loss for loss, _ in seen]))
        keep(way, seen[best], lambda seed: network.on(tried[best], EPOCHS, seed=seed, cosine=cosine), [loss for loss, _ in seen])

    def raced(way, search):
        """A search that goes on with what was trained; the best network it has trained to the end."""
        ends = {}

        def f(x, budget, state):
            state = network.on(x, budget - (0 if state is None else state[2]), state)
            seen = network.seen(state)
            if budget == EPOCHS:
                ends[seen[0]] = (x, seen)
            return seen[0], state

        search(f)
        x, seen = ends[min(ends)]
        keep(way, seen, lambda seed: network.on(x, EPOCHS, seed=seed))

    def twice(f):
        for number in range(2):
            hyperband(f, space, EPOCHS, 2 * split + number, stateful=True)

    def drawn(space):
        return [space.decode(u) for u in np.random.default_rng(split).random((RUNS, space.width))]

    start = {**DEFAULT, "hyper": 0.02}
    whole("defaults", [DEFAULT])
    whole("defaults, rate learnt", [start])
    whole("random", drawn(space))
    whole("random, cosine", drawn(space), cosine=True)
    whole("random, rate learnt", drawn(more))
    whole("Bayesian", BayesianSearch(space, split))
    whole("CMA-ES", EvolutionStrategy(None, 0.3, split, space))
    whole("differential evolution", DifferentialEvolution(space, split, population=6))
    raced("halving", lambda f: successive_halving(f, space, MANY, EPOCHS, split, stateful=True))
    raced("halving, asynchronous", lambda f: successive_halving(f, space, EARLY, EPOCHS, split, stateful=True, asynchronous=True))
    raced("Hyperband", twice)

    part = EPOCHS // ROUNDS

    def f(x, state):
        state = network.on(x, part, state)
        return network.seen(state)[0], state

    population = population_based_training(f, space, RUNS, ROUNDS, split)

    def replayed(seed):
        state = None
        for x in population.schedule:
            state = network.on(x, part, state, seed)
        return state

    keep("population-based", network.seen(population.state), replayed)
    found["population-based"]["rates"] = [rounded(x["lr"]) for x in population.schedule]
    return found


def order(split):
    """How settings stand after few epochs, and how after all: one split."""
    from course_lib.tuning import Space
    from scipy.stats import rankdata, spearmanr

    space, network, found = Space(DIGITS), Network(split), {}
    settings = [space.decode(u) for u in np.random.default_rng([split, 1]).random((RANKED, space.width))]
    for name, cosine in (("constant", False), ("cosine", True)):
        states, losses = [None] * RANKED, {}
        for more, epochs in ((1, 1), (2, 3), (6, 9), (18, 27)):
            states = [network.on(x, more, state, cosine=cosine) for x, state in zip(settings, states)]
            losses[epochs] = np.array([network.seen(state)[0] for state in states])
        best = int(losses[EPOCHS].argmin())
        for epochs in (1, 3, 9):
            found[f"{name}, correlation after {epochs}"] = rounded(spearmanr(losses[epochs], losses[EPOCHS])[0])
            found[f"{name}, rank after {epochs}"] = int(rankdata(losses[epochs], "min")[best])
    return found


def table(rows):
    """What was found, a part for each subject."""
    of, parts = {row["subject"]: row for row in rows}, []
    if "race" in of:
        row = of["race"]
        parts += [f"Means over {SPLITS} splits; errors in per cent.", grid(
            ["way", "epochs", "validation loss", "test error", "anew: validation loss", "test error"],
            [[way, round(np.mean(row["epochs"][way])), *(rounded(scale * np.mean([each[i] for each in row[kind][way]]))
              for kind in ("own", "again") for i, scale in ((0, 1), (1, 100)))] for way in row["own"]])]
    if "order" in of:
        row = of["order"]
        parts += [f"{RANKED} random settings, medians over {SPLITS} splits.", grid(["rate, after epochs", "median"], [
            [name, rounded(np.median(values))] for name, values in row.items() if "after" in name])]
    return "\n\n".join(parts) + "\n"
