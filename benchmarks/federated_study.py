"""What federated training costs in rounds and time, and which method brings most, on digits dealt out to fifty clients.

Pixels divided by 16, a network 64–64–10 from PyTorch's first weights, clients of equal size, ten of them a round. A seed stands
for a split of the digits, a division among clients, first weights and the draws of all rounds. "iid" deals out at random,
"shards" two shards of the sorted labels to each client. Intervals are Student's 95%.

"rounds": 1500 digits, 30 a client; rounds until 93% of the 297 others are right, the best of eight rates for each seed, as in
table 2 of McMahan et al.; one local step on all data (E = 1), or sixty on batches of ten (E = 20). Medians over seeds, a run
without success counting as longer than any.

"methods": 1200 digits, 24 a client, sixty rounds of twenty steps on batches of ten. Each method's rates (of clients, and of the server where
it has one; FedProx's μ) are those whose validation accuracy (300 digits; mean over seeds and over the last ten rounds) is best;
the score is the accuracy on the 297 others, over the same ten rounds. "one step" makes a single local step on all of a
client's data, "pooled" trains on all digits at once, as many steps on batches ten times as large. "difference" is against
FedAvg, seed by seed.

"waiting": as "rounds" with twenty steps on batches of ten at rate .3; a client's work takes a lognormal time (median 1, σ = 1),
drawn anew each time. Time until 93%: rounds of ten that wait for the last; rounds that start thirteen and take the first ten; a buffer of ten
and of three with ten at work, with the weights 1/√(1+τ) and without.

"personal": as "methods", FedAvg at rate .4. A client's accuracy is that on the 297 others, each label weighed by its share of the
client's own digits: the mean over clients, and over the worst five. "common" is the model of all, "told" the same with the logarithm of
the client's share of each label added to its scores, without training, "tuned" that after ten more steps of each client alone at rate .3, "alone" three hundred steps from the first weights, "first client's" the same of
client 0, judged by all others.
"""

import itertools

import numpy as np

from benchmarks.pages import grid
from benchmarks.run import fingerprint, pin
from benchmarks.timing import rounded

SEEDS, CLIENTS, MANY = 8, 50, 10
RATES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
LOCAL = {"one step": (1, None), "sixty steps": (60, 10)}
MOST = {"one step": 400, "sixty steps": 120}
TARGET = 0.93


def subjects():
    """What is measured, with a hash of the code that decides it."""
    names = (
        "aggregators", "algorithms", "asynchronous", "client_data", "clients", "federation", "local_training", "partition",
        "server", "simulation",
    )
    files = [*(f"course_lib/federated/{name}.py" for name in names), "course_lib/training/data_tasks.py"]
    rules = [f"course_lib/update_rules/{name}.py" for name in ("descent", "heavy_ball", "moments")]
    mark = fingerprint(__file__, [*files, *rules], pin("torch"))
    return dict.fromkeys(("rounds", "methods: iid", "methods: shards", "waiting", "personal"), mark)


def measure(subject):
    """Measure one of them, on one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if subject.startswith("methods"):
            return methods(subject.removeprefix("methods: "))
        return {"rounds": rounds, "waiting": waiting, "personal": personal}[subject]()
    finally:
        torch.set_num_threads(before)


class Setting:
    """One seed's digits, division and first weights."""

    def __init__(self, kind, seed, train=1500):
        import torch

        from course_lib import datasets
        from course_lib.federated import partition
        from course_lib.training import mlp_task

        data = datasets.load("digits", standardize=False)
        x, y = (np.concatenate([getattr(part, k) for part in (data.train, data.validation, data.test)]) for k in "xy")
        order = np.random.default_rng(seed).permutation(len(x))
        x, y = torch.tensor(x[order] / 16, dtype=torch.float32), torch.tensor(y[order])
        task = mlp_task("digits", hidden=(64,))
        self.loss, self.error, self.seed = task.loss, task.metric, seed
        self.w0 = task.draw(seed).w0.float()
        self.pooled = x[:train], y[:train]
        self.validation, self.test = (x[train:1500], y[train:1500]), (x[1500:], y[1500:])
        if kind == "iid":
            parts = partition.iid(train, CLIENTS, seed)
        else:
            parts = partition.shards(y[:train], CLIENTS, 2, seed)
        self.clients = [(x[part], y[part]) for part in parts]

    def reached(self, w):
        """Whether 93% of the test digits are right."""
        return 1 - float(self.error(w, *self.test)) >= TARGET

    def until_reached(self, algorithm, most):
        """A run to the target, or None where it was not reached."""
        from course_lib.federated import simulate

        try:
            trace = simulate(self.loss, self.w0, self.clients, algorithm, most, self.seed, MANY / CLIENTS,
                             every=most, until=self.reached)
        except FloatingPointError:
            return None
        import torch

        return trace if self.reached(torch.tensor(trace.w[-1])) else None


def fedavg_of(work, rate):
    """FedAvg with so much local work at a rate of the clients."""
    from course_lib.federated import fedavg

    steps, batch = LOCAL[work]
    return fedavg(steps, rate, batch)


def rounds():
    """Rounds to 93% of every seed, by division and local work, with the rate that needed least."""
    found = {}
    for kind, name in itertools.product(("iid", "shards"), LOCAL):
        least, best = [], []
        for seed in range(SEEDS):
            setting, most, rate_of = Setting(kind, seed), MOST[name], None
            for rate in RATES:
                trace = setting.until_reached(fedavg_of(name, rate), most)
                if trace is not None and (rate_of is None or trace.step[-1] < most):
                    most, rate_of = int(trace.step[-1]), rate   # the next rate must not need more
            least.append(None if rate_of is None else most)
            best.append(rate_of)
        median = float(np.median([np.inf if each is None else each for each in least]))
        found[f"{kind}, {name}"] = {"rounds": least, "rates": best, "median": median}
    return {"target": TARGET, "seeds": SEEDS, "found": found}


def candidates():
    """Name -> the settings tried: pairs (label, algorithm)."""
    from course_lib import adam, momentum
    from course_lib.federated import fedavg, fedprox, fedsgd, scaffold

    adams = [(lr, s) for lr in (0.2, 0.4, 0.8) for s in (0.02, 0.04, 0.08)]
    heavy = [(lr, s) for lr in (0.2, 0.4, 0.8) for s in (0.1, 0.3)]
    springs = [(lr, mu) for lr in (0.4, 0.8, 1.6) for mu in (0.01, 0.1)]
    return {
        "FedAvg": [((lr,), fedavg(20, lr, 10)) for lr in (0.2, 0.4, 0.8, 1.6)],
        "FedProx": [((lr, mu), fedprox(20, lr, 10, mu=mu)) for lr, mu in springs],
        "SCAFFOLD": [((lr,), scaffold(20, lr, 10)) for lr in (0.1, 0.2, 0.4, 0.8)],
        "FedAdam": [((lr, s), fedavg(20, lr, 10, server=adam(s, eps=1e-3))) for lr, s in adams],
        "FedAvgM": [((lr, s), fedavg(20, lr, 10, server=momentum(s, beta=0.9))) for lr, s in heavy],
        "one step": [((lr,), fedsgd(lr)) for lr in (0.4, 0.8, 1.6)],
        "pooled": [((lr,), None) for lr in (0.4, 0.8, 1.6, 3.2)],
    }


def curve(setting, algorithm, lr):
    """Validation and test accuracy over the last ten of sixty rounds; 0 where the run diverged."""
    from course_lib.federated import fedavg, simulate

    seen = []
    clients, share = setting.clients, MANY / CLIENTS
    if algorithm is None:   # all digits at one place: a "round" of twenty steps on a hundred samples
        clients, algorithm, share = [setting.pooled], fedavg(20, lr, 10 * MANY), 1.0
    try:
        simulate(setting.loss, setting.w0, clients, algorithm, 60, setting.seed, share, every=60, until=seen.append)
    except FloatingPointError:
        return 0.0, 0.0
    parts = (setting.validation, setting.test)
    return tuple(float(np.mean([1 - float(setting.error(w, *part)) for w in seen[-10:]])) for part in parts)


def methods(kind):
    """Each method's test accuracy at the settings chosen on validation data, and its difference from FedAvg."""
    from course_lib import mean_interval

    settings = [Setting(kind, seed, train=1200) for seed in range(SEEDS)]
    tests, rows = {}, {}
    for name, tried in candidates().items():
        scores = np.array([[curve(setting, algorithm, label[0]) for setting in settings] for label, algorithm in tried])
        chosen = int(scores[:, :, 0].mean(1).argmax())
        label = tried[chosen][0]
        edges = [len({each[0][k] for each in tried}) > 1 and label[k] in (min(t[0][k] for t in tried), max(t[0][k] for t in tried))
                 for k in range(len(label))]
        tests[name] = scores[chosen, :, 1]
        rows[name] = {"chosen": list(label), "tried": len(tried), "at_edge": edges,
                      "accuracy": [rounded(each, 4) for each in mean_interval(tests[name])]}
        if name != "FedAvg":
            rows[name]["difference"] = [rounded(each, 4) for each in mean_interval(tests[name] - tests["FedAvg"])]
    return {"seeds": SEEDS, "rounds": 60, "methods": rows}


def waiting():
    """Median time to 93%, and the server's steps, for rounds and buffers."""
    import torch

    from course_lib.federated import fedavg, simulate_buffered

    algorithm, found = fedavg(20, 0.3, 10), {}

    def lasts(rng, client):
        return rng.lognormal()

    def alike(staleness):
        return np.ones(len(staleness))

    for kind in ("iid", "shards"):
        times = {}
        for seed in range(SEEDS):
            setting, rng = Setting(kind, seed), np.random.default_rng([seed, 1])
            trace = setting.until_reached(algorithm, 150)
            steps = np.inf if trace is None else trace.step[-1]
            work = np.sort(rng.lognormal(size=(150, 13)), axis=1)
            ten = rng.lognormal(size=(150, 10)).max(1)
            for name, each in (("waits for the last", ten), ("first ten of thirteen", work[:, 9])):
                times.setdefault(name, []).append((each[: int(steps)].sum() if np.isfinite(steps) else np.inf, steps))
            for name, buffer, weight in (("buffer of ten", 10, None), ("buffer of ten, unweighted", 10, alike),
                                         ("buffer of three", 3, None), ("buffer of three, unweighted", 3, alike)):
                more = {} if weight is None else {"weight": weight}
                trace = simulate_buffered(setting.loss, setting.w0, setting.clients, algorithm, 500, seed, concurrency=MANY,
                                          buffer=buffer, duration=lasts, every=500, until=setting.reached, **more)
                reached = setting.reached(torch.tensor(trace.w[-1]))
                times.setdefault(name, []).append((trace.time[-1] if reached else np.inf, trace.step[-1]))
        found[kind] = {name: {"time": rounded(np.median([t for t, _ in each])), "steps": float(np.median([s for _, s in each])),
                              "times": [rounded(t) for t, _ in each]}
                       for name, each in times.items()}
    return {"seeds": SEEDS, "found": found}


def own_accuracy(setting, w, told=False):
    """Each client's accuracy, labels weighed by its own: [clients], of one w [D] or of one for each."""
    import torch

    x, y = setting.test
    mix = torch.stack([torch.bincount(mine, minlength=10) / len(mine) for _, mine in setting.clients])
    found = []
    for each, shares in zip(torch.as_tensor(w).reshape(-1, len(setting.w0)).expand(len(mix), -1), mix):
        W, b, V, c = each.split([4096, 64, 640, 10])
        scores = (x @ W.view(64, 64) + b).relu() @ V.view(64, 10) + c + (shares.log() if told else 0)
        right = (scores.argmax(1) == y).float()
        found.append(float(sum(shares[label] * right[y == label].mean() for label in range(10))))
    return np.array(found)


def personal():
    """For whom the common model is good, and what a few steps alone change."""
    from course_lib import mean_interval
    from course_lib.federated import fedavg, fine_tuned, simulate

    found = {}
    for kind in ("iid", "shards"):
        scores = {}
        for seed in range(SEEDS):
            setting = Setting(kind, seed, train=1200)
            loss, clients = setting.loss, setting.clients
            trace = simulate(loss, setting.w0, clients, fedavg(20, 0.4, 10), 60, seed, MANY / CLIENTS, every=60)
            alone = fine_tuned(loss, setting.w0, clients, 300, 0.3, seed, batch_size=10)
            each = {
                "common": own_accuracy(setting, trace.w[-1]),
                "told": own_accuracy(setting, trace.w[-1], told=True),
                "tuned": own_accuracy(setting, fine_tuned(loss, trace.w[-1], clients, 10, 0.3, seed, batch_size=10)),
                "alone": own_accuracy(setting, alone),
                "first client's": own_accuracy(setting, alone[0])[1:],
            }
            for name, values in each.items():
                scores.setdefault(name, []).append((values.mean(), np.sort(values)[:5].mean()))
        found[kind] = {name: {"mean": [rounded(v, 4) for v in mean_interval([m for m, _ in each])],
                              "worst": [rounded(v, 4) for v in mean_interval([w for _, w in each])]}
                       for name, each in scores.items()}
    return {"seeds": SEEDS, "found": found}


def table(rows):
    """The page for people."""
    by = {row["subject"]: row for row in rows}
    parts = []
    if row := by.get("rounds"):
        lines = [(name, each["median"], str(each["rounds"]), str(each["rates"])) for name, each in row["found"].items()]
        parts.append(grid(("rounds to .93", "median", "by seed", "rates"), lines))
    for kind in ("iid", "shards"):
        if row := by.get(f"methods: {kind}"):
            lines = [(name, *(f"{each[key][0]:.4f} ± {each[key][1]:.4f}" if key in each else None for key in ("accuracy", "difference")),
                      ", ".join(map(str, each["chosen"])), "yes" if any(each["at_edge"]) else None)
                     for name, each in row["methods"].items()]
            parts.append(grid((f"{kind}", "test accuracy", "less FedAvg's", "settings chosen", "at an edge"), lines))
    if row := by.get("waiting"):
        lines = [(kind, name, each["time"], each["steps"]) for kind, ways in row["found"].items() for name, each in ways.items()]
        parts.append(grid(("division", "way", "time to .93", "steps of the server"), lines))
    if row := by.get("personal"):
        lines = [(kind, name, *(f"{each[key][0]:.4f} ± {each[key][1]:.4f}" for key in ("mean", "worst")))
                 for kind, models in row["found"].items() for name, each in models.items()]
        parts.append(grid(("division", "model", "mean over clients", "worst five"), lines))
    return "\n\n".join(parts)
