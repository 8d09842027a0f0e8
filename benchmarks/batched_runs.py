"""`compare` against the plain loop: Adam, 10 rates × 10 seeds × 500 steps of the digits network, all runs in one batch.

The plain loop is what one would write: a PyTorch module and torch.optim.Adam, one run after the other, on the same
splits, starts and batches. Both are timed in turn, three times; the medians.
"""

import statistics
import time

import numpy as np

from benchmarks.run import ROOT, fingerprint

RATES, SEEDS, STEPS, ROUNDS = np.logspace(-4, -1, 10), 10, 500, 3


def subjects():
    """The comparison, with a hash of the code it runs through and of the version of PyTorch."""
    files = [*(ROOT / "course_lib" / "training").glob("*.py"), *(ROOT / "course_lib" / "update_rules").glob("*.py")]
    names = [file.relative_to(ROOT).as_posix() for file in files]
    import torch

    return {"Adam on the digits MLP": fingerprint(__file__, names, torch.__version__)}


def plain_loop(task):
    """Train one network after the other; return the test errors [rates, seeds]."""
    import torch
    from torch.nn import Linear, ReLU, Sequential, functional

    from course_lib.training.runs import batch_order

    errors = np.zeros((len(RATES), SEEDS))
    for seed in range(SEEDS):
        draw = task.draw(seed)
        (x, y), (x_test, y_test) = ((x.float(), y) for x, y in (draw.train, draw.test))
        order = torch.tensor(batch_order(len(x), task.batch_size, STEPS, seed))
        for i, lr in enumerate(RATES):
            net = Sequential(Linear(64, 32), ReLU(), Linear(32, 10))
            with torch.no_grad():
                for p, piece in zip(net.parameters(), draw.w0.split([2048, 32, 320, 10])):
                    p.copy_(piece.view(-1, len(p)).T if p.dim() > 1 else piece)
            optimizer = torch.optim.Adam(net.parameters(), lr)
            for batch in order:
                optimizer.zero_grad()
                functional.cross_entropy(net(x[batch]), y[batch]).backward()
                optimizer.step()
            errors[i, seed] = (net(x_test).argmax(1) != y_test).double().mean()
    return errors


def measure(subject):
    """Time both in turn; return the medians, their ratio, and how far the test errors are apart."""
    from course_lib import adam
    from course_lib.training import compare, mlp_task

    task = mlp_task("digits", hidden=(32,), batch_size=32)
    compare({"Adam": adam()}, task, RATES[:2], 2, 5)   # the first use of vmap loads what the others find loaded
    batched, plain = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        together = compare({"Adam": adam()}, task, RATES, SEEDS, STEPS)["Adam"].test
        middle = time.perf_counter()
        alone = plain_loop(task)
        batched.append(middle - start)
        plain.append(time.perf_counter() - middle)
    ours, theirs = statistics.median(batched), statistics.median(plain)
    return {
        "seconds": round(ours, 2), "plain_loop_seconds": round(theirs, 1), "ratio": round(theirs / ours, 1),
        "mean_test_error": round(float(together.mean()), 4), "plain_mean_test_error": round(float(alone.mean()), 4),
    }
