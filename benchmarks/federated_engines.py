"""A round of a hundred clients in `simulate`, and in Flower's simulation on Ray: the same clients, seeds and weights.

Ten training digits a client, five local steps on all of them, a network 64–64–10, float32, all clients in every round. Flower
runs the library's `TorchWorker` in each client, on two of Ray's processes, each with one thread, `simulate` has two threads. Both run in
one process, in turn, three times each: Flower four rounds, `simulate` forty. A round is the time from one average to the
next, so starting up is not in it; the first two averages of a run are left out. "start" is the time from the call to Flower's first average less a
round. "difference" is the largest between the two runs' weights after four rounds.
"""

import sys
import time

import numpy as np

from benchmarks.federated_rounds import CLIENTS, RATE, STEPS, digits
from benchmarks.pages import grid, spread
from benchmarks.run import fingerprint, pin
from benchmarks.timing import quartiles, rounded, two_cores

VERSIONS = ("numpy", "torch", "flwr", "ray")
RUNS, FLOWER_ROUNDS, OUR_ROUNDS = 3, 4, 40


def subjects():
    """What is measured, with a hash of the code that decides it."""
    names = ("aggregators", "algorithms", "client_data", "federation", "flower", "local_training", "server", "simulation", "workers")
    files = [*(f"course_lib/federated/{name}.py" for name in names), "course_lib/training/data_tasks.py", "benchmarks/timing.py"]
    mark = fingerprint(__file__, [*files, "benchmarks/federated_rounds.py"], pin("torch"), pin("flwr"), pin("ray"))
    return {"a hundred clients": mark}


def available():
    """Flower's simulation needs Ray, which is not made for every system."""
    from importlib.util import find_spec

    return sys.platform == "linux" and find_spec("flwr") is not None


def measure(subject):
    """Milliseconds of a round of each, their ratio, and how far apart the weights are."""
    import torch

    from course_lib.federated import fedavg, flower_simulate, mean, partition, simulate

    loss, w0, x, y = digits(64)
    clients = [(x[part], y[part]) for part in partition.iid(10 * CLIENTS, CLIENTS, seed=0)]
    algorithm, times, starts = fedavg(STEPS, RATE), {"simulate": [], "Flower": []}, []

    def timed(at):
        def aggregate(updates):   # clients are of equal size: the plain mean
            at.append(time.perf_counter())
            return mean(updates)
        return aggregate

    with two_cores():
        torch.set_num_threads(2)
        for _ in range(RUNS):
            at, begin = [], time.perf_counter()
            server = flower_simulate(loss, w0, clients, algorithm, FLOWER_ROUNDS, 0, aggregate=timed(at), cores=2)
            times["Flower"] += list(np.diff(at)[1:])
            starts.append(at[0] - begin - np.median(np.diff(at)))
            at = []
            simulate(loss, w0, clients, algorithm, OUR_ROUNDS, 0, every=OUR_ROUNDS, until=lambda w: at.append(time.perf_counter()))
            times["simulate"] += list(np.diff(at)[1:])
            same = simulate(loss, w0, clients, algorithm, FLOWER_ROUNDS, 0)
            difference = float(np.abs(same.w[-1] - server.w.numpy()).max())
    return {
        "clients": CLIENTS, "local_steps": STEPS, "milliseconds": {name: quartiles(each, 1e3) for name, each in times.items()},
        "ratio": rounded(np.median(times["Flower"]) / np.median(times["simulate"])), "start": rounded(np.median(starts)),
        "difference": rounded(difference),
    }


def table(rows):
    """The page for people."""
    row = rows[0]
    lines = [(name, spread(each)) for name, each in row["milliseconds"].items()]
    told = f"A round in Flower's simulation takes {row['ratio']} times as long; weights differ by at most {row['difference']}."
    return grid(("a hundred clients, a round", "ms (quartiles)"), lines) + f"\n\n{told} Flower starts in {row['start']} s."
