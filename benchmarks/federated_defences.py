"""What short messages, privacy and robust averages cost, on digits dealt out to clients.

Digits, network (64–64–10), splits and seeds as in `federated_study`: a seed stands for a split, a division, first weights and all
draws. A score is the accuracy on 297 test digits, over the last ten rounds; settings are chosen on 300 validation digits, for
each row anew, by the mean over seeds. Intervals are Student's 95%. "iid" deals out at random, "shards" two shards of the sorted
labels to each client.

"bytes": 50 clients of 24, ten a round, sixty rounds of twenty steps on batches of ten; rates .2, .5, 1.2. "upload" is what all
clients send in all rounds, "of all" its part of what they would send uncompressed, float32.

"privacy": 1200 digits dealt to 40, 120, 400 or 1200 clients, each taking part in a fifth of thirty rounds, five steps on all it has;
ε by the classical conversion with δ = 1e-5, none, or without noise but with the clip. Rates .3, 1; clips .1, .3, 1.

"attacks": 20 clients of 60, all in every round, thirty rounds of twenty steps on batches of ten; rates .1, .3, .9. Six clients are bad:
they send minus four times their update ("turned"), the mean of all less .366 standard deviations, each
coordinate for itself ("a little"; the z of Baruch et al. for 6 of 20), or train on labels one too high ("mislabelled"). "shortened"
is the mean of updates none of which is longer than the median length. The difference is against the mean when nobody is bad, seed by
seed.

"faults": as "bytes" at rate .4, a fifth of the clients dropping out each round and three in ten bad in one of the four ways of
`Faults`, against the same without faults. Of all the clients drawn, how many were accepted, missing, refused.
"""

import itertools
from collections import Counter

import numpy as np

from benchmarks.federated_study import MANY, SEEDS, Setting
from benchmarks.pages import grid
from benchmarks.run import fingerprint, pin
from benchmarks.timing import rounded

KINDS = ("iid", "shards")
DELTA = 1e-5


def subjects():
    """What is measured, with a hash of the code that decides it."""
    names = (
        "accounting", "aggregators", "algorithms", "bit_codes", "client_data", "client_privacy", "clients", "compression", "error_feedback",
        "faults", "federation", "local_training", "partition", "server", "simulation",
    )
    files = [*(f"course_lib/federated/{name}.py" for name in names), "course_lib/training/data_tasks.py"]
    rules = ["benchmarks/federated_study.py", "course_lib/update_rules/descent.py"]
    mark = fingerprint(__file__, [*files, *rules], pin("torch"))
    return dict.fromkeys(("bytes", "privacy", "attacks", "faults"), mark)


def measure(subject):
    """Measure one of them, on one thread."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {"bytes": in_bytes, "privacy": in_private, "attacks": attacked, "faults": faulty}[subject]()
    finally:
        torch.set_num_threads(before)


def scores(setting, clients, algorithm, rounds, fraction, **more):
    """Validation and test accuracy over the last ten rounds, 0 where the run diverged; and the trace."""
    from course_lib.federated import simulate

    seen, trace = [], None
    try:
        trace = simulate(
            setting.loss, setting.w0, clients, algorithm, rounds, setting.seed, fraction, every=rounds, until=seen.append, **more
        )
    except FloatingPointError:
        return 0.0, 0.0, None
    parts = (setting.validation, setting.test)
    return *(float(np.mean([1 - float(setting.error(w, *part)) for w in seen[-10:]])) for part in parts), trace


def best(tried, settings, run):
    """Of the candidates that with the best mean validation accuracy: its name, test accuracies [seeds], last trace."""
    found = {label: [run(label, setting) for setting in settings] for label in tried}
    chosen = max(found, key=lambda label: np.mean([each[0] for each in found[label]]))
    return chosen, np.array([each[1] for each in found[chosen]]), [each[2] for each in found[chosen]]


def interval(values):
    """Mean and half-width, rounded."""
    from course_lib import mean_interval

    return [rounded(each, 4) for each in mean_interval(values)]


def in_bytes():
    """Accuracy and bytes of each way to send."""
    from course_lib.federated import ErrorFeedback, fedavg, qsgd, top_k

    ways = {"everything": None, "QSGD, 16 levels": qsgd(16), "QSGD, 4 levels": qsgd(4), "QSGD, 1 level": qsgd(1)}
    for k in (480, 48, 12):
        ways |= {f"top {k}": top_k(k), f"top {k}, with memory": ErrorFeedback(top_k(k))}
    found = {}
    for kind in KINDS:
        settings = [Setting(kind, seed, train=1200) for seed in range(SEEDS)]
        rows, whole = found.setdefault(kind, {}), None
        for name, compress in ways.items():
            def run(rate, setting, compress=compress):
                return scores(setting, setting.clients, fedavg(20, rate, 10), 60, MANY / 50, compress=compress)

            rate, tests, traces = best((0.2, 0.5, 1.2), settings, run)
            sent = [int(trace.upload[-1]) for trace in traces if trace is not None]
            whole = (tests, np.mean(sent)) if whole is None else whole
            rows[name] = {
                "rate": rate, "accuracy": interval(tests), "difference": interval(tests - whole[0]),
                "upload": rounded(np.mean(sent), 4) if sent else None, "of all": rounded(np.mean(sent) / whole[1]) if sent else None,
            }
    return {"seeds": SEEDS, "found": found}


def in_private():
    """Accuracy by clients and ε."""
    from course_lib.federated import ClientPrivacy, fedavg, noise_for_epsilon, partition

    rounds, share, found = 30, 0.2, {}
    noise = {e: noise_for_epsilon(e, share, rounds, DELTA) for e in (2.0, 8.0)}
    for clients in (40, 120, 400, 1200):
        settings = [Setting("iid", seed, train=1200) for seed in range(SEEDS)]
        dealt = {}
        for setting in settings:
            x, y = setting.pooled
            dealt[setting.seed] = [(x[part], y[part]) for part in partition.iid(1200, clients, setting.seed)]
        for name, sigma in (("none", None), ("clip alone", 0.0), ("8", noise[8.0]), ("2", noise[2.0])):
            def run(label, setting, sigma=sigma):
                rate, clip = label
                privacy = None if sigma is None else ClientPrivacy(clip, sigma, DELTA)
                return scores(setting, dealt[setting.seed], fedavg(5, rate), rounds, share, privacy=privacy)

            tried = itertools.product((0.3, 1.0), (1.0,) if sigma is None else (0.1, 0.3, 1.0))
            (rate, clip), tests, _ = best(list(tried), settings, run)
            found[f"{clients} clients, {name}"] = {
                "noise": None if sigma is None else rounded(sigma, 4), "rate": rate, "clip": None if sigma is None else clip,
                "accuracy": interval(tests),
            }
    return {"seeds": SEEDS, "rounds": rounds, "fraction": share, "delta": DELTA, "found": found}


def turned(own, everyone):
    """Minus four times its update."""
    return -4 * own


def a_little(own, everyone):
    """The mean of all, less .366 standard deviations."""
    return everyone.mean(0) - 0.366 * everyone.std(0)


def shortened(updates):
    """The mean of updates cut to their median length."""
    lengths = updates.norm(dim=1, keepdim=True)
    return (updates * (lengths.median() / lengths).clamp(max=1)).mean(0)


def attacked():
    """Accuracy of each aggregator under each attack."""
    from course_lib.federated import Faults, fedavg, krum, mean, median, partition, trimmed_mean

    bad = range(6)
    averages = {
        "mean": mean, "shortened": shortened, "trimmed mean": lambda u: trimmed_mean(u, 6), "median": median,
        "Krum": lambda u: krum(u, 6),
    }
    attacks = {"nobody": None, "turned": turned, "a little": a_little, "mislabelled": None}
    found = {}
    for kind in KINDS:
        settings, honest = [Setting(kind, seed, train=1200) for seed in range(SEEDS)], None
        dealt = {}
        for setting in settings:
            x, y = setting.pooled
            parts = partition.iid(1200, 20, setting.seed) if kind == "iid" else partition.shards(y, 20, 2, setting.seed)
            dealt[setting.seed] = [(x[part], y[part]) for part in parts]
        for attack, function in attacks.items():
            rows = found.setdefault(kind, {}).setdefault(attack, {})
            faults = None if function is None else Faults(bad=tuple(bad), kinds=(function,), limit=None)
            for name, average in averages.items():
                def run(rate, setting, average=average, faults=faults, attack=attack):
                    clients = dealt[setting.seed]
                    if attack == "mislabelled":
                        clients = [(x, (y + 1) % 10 if i in bad else y) for i, (x, y) in enumerate(clients)]
                    return scores(setting, clients, fedavg(20, rate, 10), 30, 1.0, aggregate=average, faults=faults)

                rate, tests, _ = best((0.1, 0.3, 0.9), settings, run)
                honest = tests if honest is None else honest
                rows[name] = {"rate": rate, "accuracy": interval(tests), "difference": interval(tests - honest)}
    return {"seeds": SEEDS, "bad": len(bad), "clients": 20, "found": found}


def faulty():
    """With a fifth dropping out and three in ten bad, and without."""
    from course_lib.federated import Faults, fedavg

    found = {}
    for kind in KINDS:
        settings, counts = [Setting(kind, seed, train=1200) for seed in range(SEEDS)], Counter()
        accuracy = {}
        for name, faults in (("without", None), ("with", Faults(drop=0.2, bad=0.3))):
            runs = [scores(setting, setting.clients, fedavg(20, 0.4, 10), 60, MANY / 50, faults=faults) for setting in settings]
            accuracy[name] = np.array([each[1] for each in runs])
            if faults is not None:
                for _, _, trace in runs:
                    counts.update(reason for refused in trace.refused for _, reason in refused)
                    counts["missing"] += sum(map(len, trace.missing))
                    counts["drawn"] += sum(map(len, trace.chosen))
        found[kind] = {
            "accuracy": {name: interval(each) for name, each in accuracy.items()},
            "difference": interval(accuracy["with"] - accuracy["without"]), "counts": dict(sorted(counts.items())),
        }
    return {"seeds": SEEDS, "found": found}


def table(rows):
    """The page for people."""
    by = {row["subject"]: row for row in rows}
    parts = []

    def plus_minus(pair):
        return f"{pair[0]:.4f} ± {pair[1]:.4f}"

    if row := by.get("bytes"):
        lines = [(kind, name, plus_minus(each["accuracy"]), plus_minus(each["difference"]), each["upload"], each["of all"], each["rate"])
                 for kind, ways in row["found"].items() for name, each in ways.items()]
        parts.append(grid(("division", "sent", "test accuracy", "less everything's", "bytes", "of all", "rate"), lines))
    if row := by.get("privacy"):
        lines = [(name, each["noise"], plus_minus(each["accuracy"]), each["clip"], each["rate"]) for name, each in row["found"].items()]
        parts.append(grid(("clients, ε", "noise σ", "test accuracy", "clip", "rate"), lines))
    if row := by.get("attacks"):
        lines = [(kind, attack, name, plus_minus(each["accuracy"]), plus_minus(each["difference"]), each["rate"])
                 for kind, attacks in row["found"].items() for attack, ways in attacks.items() for name, each in ways.items()]
        parts.append(grid(("division", "six clients are", "aggregate", "test accuracy", "less the mean's with nobody", "rate"), lines))
    if row := by.get("faults"):
        lines = [(kind, *(plus_minus(each["accuracy"][name]) for name in ("without", "with")), plus_minus(each["difference"]),
                  ", ".join(f"{count} {reason}" for reason, count in each["counts"].items())) for kind, each in row["found"].items()]
        parts.append(grid(("division", "without faults", "with", "difference", "counts"), lines))
    return "\n\n".join(parts)
