"""`compare` against the plain loop: Adam, 10 rates × 10 seeds × 500 steps of the digits network, all runs in one batch.

The plain loop is what one would write: a PyTorch module and torch.optim.Adam, one run after the other, on the same
splits, starts and batches. Both are timed in turn, five times; the medians. Of the plain loop, whose runs all take the
same time, the ten of one seed are timed, and counted ten times.
"""

import statistics
import time

import numpy as np

from benchmarks.run import ROOT, fingerprint

RATES, SEEDS, STEPS, ROUNDS = np.logspace(-4, -1, 10), 10, 500, 5


def subjects():
    """The comparison, with a hash of the code it runs through and of the version of PyTorch."""
    files = [*(ROOT / "course_lib" / "training").glob("*.py"), *(ROOT / "course_lib" / "update_rules").glob("*.py")]
    names = [file.relative_to(ROOT).as_posix() for file in files]
    import torch

    return {"Adam on the digits MLP": fingerprint(__file__, names, torch.__version__)}


def plain_loop(task, seed):
    """Train one network after the other, at every rate; return the test errors [rates]."""
    import torch
    from torch.nn import Linear, ReLU, Sequential, functional

    from course_lib.training.runs import batch_order

    errors = []
    draw = task.draw(seed)
    (x, y), (x_test, y_test) = ((x.float(), y) for x, y in (draw.train, draw.test))
    order = torch.tensor(batch_order(len(x), task.batch_size, STEPS, seed))
    for lr in RATES:
        net = Sequential(Linear(64, 32), ReLU(), Linear(32, 10))
        with torch.no_grad():
            for p, piece in zip(net.parameters(), draw.w0.split([2048, 32, 320, 10])):
                p.copy_(piece.view(-1, len(p)).T if p.dim() > 1 else piece)
        optimizer = torch.optim.Adam(net.parameters(), lr)
        for batch in order:
            optimizer.zero_grad()
            functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
        errors.append(float((net(x_test).argmax(1) != y_test).double().mean()))
    return errors


def measure(subject):
    """Time both in turn; return the medians, their ratio, and how far the test errors are apart."""
    from course_lib import adam
    from course_lib.training import compare, mlp_task

    task = mlp_task("digits", hidden=(32,), batch_size=32)
    compare({"Adam": adam()}, task, RATES[:2], 2, 5)   # the first use of vmap loads what the others find loaded
    batched, plain = [], []
    for seed in range(ROUNDS):
        start = time.perf_counter()
        together = compare({"Adam": adam()}, task, RATES, SEEDS, STEPS)["Adam"].test
        middle = time.perf_counter()
        alone = plain_loop(task, seed)
        batched.append(middle - start)
        plain.append(SEEDS * (time.perf_counter() - middle))
        apart = np.abs(together[:, seed] - alone).mean()
    ours, theirs = statistics.median(batched), statistics.median(plain)
    return {
        "seconds": round(ours, 2), "plain_loop_seconds": round(theirs, 1), "ratio": round(theirs / ours, 1),
        "test_errors_apart": round(float(apart), 4),
    }
