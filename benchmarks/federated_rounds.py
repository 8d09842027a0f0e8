"""A round of federated averaging: clients in blocks by vmap beside one client after the other, and its growth.

"a hundred clients": ten training digits each, five local steps on all of them, networks 64–32–10 and 64–64–10, float32, all
clients in every round. "ours" is what `simulate` does in blocks, "one by one" the same with vectorize=False, "PyTorch" the
loop as one writes it by hand: one module, the server's weights copied into it for each client, torch.optim.SGD, a weighted
sum of what comes out. In one process, in turn, each round in another order, on two threads and on one. A ratio is a median
over the rounds, time over ours.

"growth" gives every client fourteen digits, drawn with replacement, and takes a hundred clients to ten thousand, in blocks of
256 and all at once. A run of three rounds in a process of its own: "ms" is the time of a round after the first, "mib" what
the run adds to the peak of the process, with the clients' data (3.6 KiB a client) and what a first call of PyTorch costs.
"""

import json
import subprocess
import sys
import time

import numpy as np

from benchmarks.pages import grid, spread
from benchmarks.run import ROOT, fingerprint, pin
from benchmarks.timing import interleaved, quartiles, ratio, rounded, two_cores

CLIENTS, STEPS, RATE = 100, 5, 0.1
GROWTH = (100, 300, 1000, 3000, 10_000)


def subjects():
    """What is measured, with a hash of the code that decides it."""
    names = ("aggregators", "algorithms", "client_data", "clients", "federation", "local_training", "server", "simulation")
    files = [*(f"course_lib/federated/{name}.py" for name in names), "course_lib/training/data_tasks.py", "benchmarks/timing.py"]
    return dict.fromkeys(("a hundred clients", "growth"), fingerprint(__file__, files, pin("torch")))


def measure(subject):
    """Measure one of them."""
    return {"a hundred clients": hundred, "growth": growth}[subject]()


def digits(hidden=64):
    """The loss, a start and the training digits as float32."""
    from course_lib.training import mlp_task

    task = mlp_task("digits", hidden=(hidden,))
    draw = task.draw(0)
    return task.loss, draw.w0.float(), draw.train[0].float(), draw.train[1]


def contenders(clients=CLIENTS, hidden=64):
    """Name -> a run of so many rounds; `.w()` is where it has come to, from the same start."""
    from course_lib.federated import fedavg, partition

    loss, w0, x, y = digits(hidden)
    dealt = [(x[part], y[part]) for part in partition.iid(10 * clients, clients, seed=0)]
    algorithm = fedavg(STEPS, RATE)
    return {
        "ours": ours(loss, w0, dealt, algorithm, vectorize=True),
        "one by one": ours(loss, w0, dealt, algorithm, vectorize=False),
        "PyTorch": pytorch(w0, dealt, hidden),
    }


def ours(loss, w0, clients, algorithm, vectorize, block=256):
    """Rounds of `simulate`, without what it does once: the same object goes on."""
    from torch.func import vmap

    from course_lib.federated.federation import Federation
    from course_lib.federated.local_training import one_by_one
    from course_lib.federated.server import Server
    from course_lib.federated.simulation import prepared

    w, data = prepared(loss, w0, clients, algorithm, None)
    batched = vmap if vectorize else one_by_one
    federation = Federation(loss, data, Server(w, algorithm, data.sizes, 0), batched, block if vectorize else 1)

    def run(rounds):
        for _ in range(rounds):
            federation.round()
    run.w = lambda: federation.server.w
    return run


def pytorch(w0, clients, hidden):
    """The loop over clients as one writes it."""
    import torch
    from torch.nn.utils import parameters_to_vector, vector_to_parameters

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            # [inputs, outputs], as in the vector
            self.a, self.b = (torch.nn.Parameter(torch.zeros(64, hidden)), torch.nn.Parameter(torch.zeros(hidden)))
            self.c, self.d = (torch.nn.Parameter(torch.zeros(hidden, 10)), torch.nn.Parameter(torch.zeros(10)))

        def forward(self, x):
            return torch.addmm(self.d, torch.addmm(self.b, x, self.a).relu(), self.c)

    net = Net()
    server = [w0.clone()]
    total = sum(len(x) for x, _ in clients)

    def run(rounds):
        for _ in range(rounds):
            mean = torch.zeros_like(server[0])
            for x, y in clients:
                vector_to_parameters(server[0].clone(), net.parameters())
                optimizer = torch.optim.SGD(net.parameters(), lr=RATE)
                for _ in range(STEPS):
                    optimizer.zero_grad()
                    torch.nn.functional.cross_entropy(net(x), y).backward()
                    optimizer.step()
                mean += len(x) / total * parameters_to_vector(net.parameters()).detach()
            server[0] = mean
    run.w = lambda: server[0]
    return run


def hundred(clients=CLIENTS, seconds=20, rounds=(7, 40)):
    """Milliseconds of a round of each, and the ratios to ours, by network, on two threads and on one."""
    import torch

    found = {"clients": clients, "local_steps": STEPS, "networks": {}}
    with two_cores():
        for hidden in (32, 64):
            network = found["networks"][f"64–{hidden}–10"] = {}
            for threads in (2, 1):
                torch.set_num_threads(threads)
                times = interleaved(contenders(clients, hidden), seconds, rounds)
                network[f"{threads} threads" if threads > 1 else "1 thread"] = {
                    "milliseconds": {name: quartiles(each, 1e3) for name, each in times.items()},
                    "ratios": {name: ratio(times, name, "ours") for name in times if name != "ours"},
                }
        torch.set_num_threads(2)
    return found


def one_size(clients, block):
    """Milliseconds of a round and mebibytes of the run, of so many clients."""
    from benchmarks.graph_products import kibibytes
    from course_lib.federated import fedavg

    loss, w0, x, y = digits()
    ours(loss, w0, [(x[:14], y[:14])] * 2, fedavg(STEPS, RATE), True)(1)   # what a first call loads
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as peak:
        peak.write("5")   # the peak is counted from here
    before = kibibytes("VmRSS")
    rows = np.random.default_rng(0).integers(len(x), size=(clients, 14))
    run = ours(loss, w0, [(x[mine], y[mine]) for mine in rows], fedavg(STEPS, RATE), True, block)
    run(1)
    start = time.perf_counter()
    run(2)
    return {"ms": rounded((time.perf_counter() - start) / 2 * 1e3), "mib": round((kibibytes("VmHWM") - before) / 1024)}


def growth():
    """Time and memory of a round by clients, in blocks and all at once."""
    program = (
        "import json, sys; from benchmarks import federated_rounds as here\n"
        "print(json.dumps(here.one_size(int(sys.argv[1]), int(sys.argv[2]))))"
    )

    def alone(clients, block):
        arguments = [sys.executable, "-c", program, str(clients), str(block)]
        return json.loads(subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    return {"clients": list(GROWTH), "blocks": [alone(c, 256) for c in GROWTH], "at_once": [alone(c, c) for c in GROWTH]}


def available():
    """Linux alone can start counting a peak anew."""
    return sys.platform == "linux"


def table(rows):
    """The page for people."""
    found = {row["subject"]: row for row in rows}
    parts = []
    if "a hundred clients" in found:
        row = found["a hundred clients"]
        lines = [
            (network, threads, name, spread(each["milliseconds"][name]), each["ratios"].get(name, 1))
            for network, both in row["networks"].items() for threads, each in both.items() for name in each["milliseconds"]
        ]
        parts.append(grid(("network", "on", "a hundred clients, a round", "ms (quartiles)", "of ours"), lines))
    if "growth" in found:
        row = found["growth"]
        lines = [(clients, a["ms"], a["mib"], b["ms"], b["mib"])
                 for clients, a, b in zip(row["clients"], row["blocks"], row["at_once"])]
        parts.append(grid(("clients", "blocks: ms a round", "MiB", "at once: ms a round", "MiB"), lines))
    return "\n\n".join(parts)
