"""Six starts for few-shot regression on sine waves, each tuned over as many settings and fine-tuned in as many ways.

Tasks are those of Finn et al. 2017: y = a sin(x − b), ten labelled points each, a network 1–40–40–1. A start comes from
random weights, from pretraining on all tasks pooled, from pretraining with one head a task, from Reptile, from
first-order MAML or from MAML. Each method has four settings and five seeds. What training costs differs: Reptile and the
MAMLs make 2000 outer steps of Adam with ten new tasks of twenty points a step; pooled pretraining may take 8000, and so
may that with one head a task, which has 500 tasks that come again and again, fifty a step. Whatever the start, fine-tuning
is then tuned: descent (its gradient clipped at norm 10, lest a task diverge) or Adam, its rate, and the number of steps up
to 300. Setting and fine-tuning are chosen together on 120 validation tasks by the mean over the seeds, and judged on 200
other tasks. The same is done for one step and for ten steps alone, and for ridge regression on the features that the start
has.
"""

import time

import numpy as np

from benchmarks.run import ROOT, fingerprint
from course_lib import adam, chain, clip_by_global_norm, gradient_descent

SEEDS, OUTER, STEPS, TASKS, SHOTS = 5, (3e-3, 1e-2), 2000, 10, 10
LENGTHS, HEADS = (4000, 8000), 500
INNER = {"Reptile": ((0.02, 5), (0.01, 10)), "first-order MAML": ((0.02, 1), (0.01, 5)), "MAML": ((0.02, 1), (0.01, 5))}
LOOKS = (0, 1, 2, 5, 10, 20, 50, 100, 300)
FINE_TUNING = {"descent": (0.005, 0.01, 0.02, 0.04), "Adam": (0.002, 0.005, 0.01, 0.02)}
RULES = {"descent": lambda lr: chain(clip_by_global_norm(10.0), gradient_descent(lr)), "Adam": adam}
PENALTIES = tuple(10.0**k for k in range(-5, 3))
METHODS = ("random", "pooled", "one head a task", "Reptile", "first-order MAML", "MAML")


def subjects():
    """The methods, each with a hash of the code that decides the numbers, and of the version it runs on."""
    import torch

    library = ROOT / "course_lib"
    files = [*(library / "transfer" / f"{name}.py" for name in ("networks", "adapting", "meta_gradients", "sine_waves")),
             *(library / "update_rules").glob("*.py")]
    mark = fingerprint(__file__, [file.relative_to(ROOT).as_posix() for file in files], torch.__version__)
    return dict.fromkeys(METHODS, mark)


def network():
    """The network of the papers."""
    from course_lib.transfer import Network

    return Network(1, 40, 40, 1)


def starts(method):
    """Setting -> the starts of all seeds [seeds, D]."""
    import torch
    from course_lib.transfer import first_order_maml, maml, meta_train, pooled, reptile, sinusoids

    net = network()
    if method == "random":
        return {f"draw {i}": torch.stack([net.start(1000 * i + seed) for seed in range(SEEDS)]) for i in range(4)}
    if method == "one head a task":
        return with_heads(net)
    w0 = torch.stack([net.start(seed) for _ in OUTER for seed in range(SEEDS)])
    lr = torch.tensor(np.repeat(OUTER, SEEDS))

    def trained(gradient, steps):
        rng = np.random.default_rng(1)

        def sample(t):
            x, y = sinusoids(rng, SEEDS, TASKS, points=2 * SHOTS)
            x, y = x.repeat(len(OUTER), 1, 1, 1), y.repeat(len(OUTER), 1, 1, 1)
            return (x[:, :, :SHOTS], y[:, :, :SHOTS]), (x[:, :, SHOTS:], y[:, :, SHOTS:])

        return meta_train(gradient, w0, sample, adam(), steps, lr).view(len(OUTER), SEEDS, -1)

    found = {}
    if method == "pooled":
        for steps in LENGTHS:
            found |= {f"outer {rate}, {steps} steps": w for rate, w in zip(OUTER, trained(pooled(net.squared_error), steps))}
        return found
    make = {"Reptile": reptile, "first-order MAML": first_order_maml, "MAML": maml}[method]
    for inner, k in INNER[method]:
        ws = trained(make(net.squared_error, gradient_descent(inner), k), STEPS)
        found |= {f"outer {rate}, inner {inner}, K = {k}": w for rate, w in zip(OUTER, ws)}
    return found


def with_heads(net):
    """Body and heads of 500 fixed tasks trained together; the start has the mean of the heads."""
    import torch
    from course_lib.transfer import sinusoids
    from torch.func import grad, vmap

    head = net.sizes[-1][0] + 1
    body, rng, found = net.D - head, np.random.default_rng(1), {}
    x, y = sinusoids(rng, SEEDS, HEADS, points=2 * SHOTS)

    def loss(w, x, y, which):
        h = net.features(w[: net.D], x.reshape(-1, 1)).view(*x.shape[:2], -1)
        heads = w[body:].view(HEADS, head, 1)[which]
        return (h @ heads[:, :-1] + heads[:, -1:] - y).square().mean()

    slope = vmap(grad(loss), in_dims=(0, 0, 0, None))
    for steps in LENGTHS:
        bodies = torch.stack([net.start(seed)[:body] for seed in range(SEEDS)])
        heads = torch.tensor(0.1 * rng.standard_normal((SEEDS, HEADS * head)), dtype=torch.float32)
        w = torch.cat([bodies, heads], 1).repeat(len(OUTER), 1)
        lr, rule = torch.tensor(np.repeat(OUTER, SEEDS)), adam()
        state, update = vmap(rule.init)(w), vmap(rule.update)
        many = [part.repeat(len(OUTER), 1, 1, 1) for part in (x, y)]
        for _ in range(steps):
            which = torch.tensor(rng.permutation(HEADS)[: 5 * TASKS])
            delta, state = update(slope(w, many[0][:, which], many[1][:, which], which), state, w, lr)
            w = w + delta
        mean = w[:, body:].view(-1, HEADS, head).mean(1)
        ws = torch.cat([w[:, :body], mean], 1).view(len(OUTER), SEEDS, -1)
        found |= {f"outer {rate}, {steps} steps": each for rate, each in zip(OUTER, ws)}
    return found


def tasks(seed, number):
    """(support x, y), (query x, y): `number` tasks."""
    from course_lib.transfer import sinusoids

    x, y = sinusoids(np.random.default_rng(seed), number, points=SHOTS + 100)
    return (x[:, :SHOTS], y[:, :SHOTS]), (x[:, SHOTS:], y[:, SHOTS:])


def fine_tuned(net, ws, support, query, rule):
    """Mean squared error on the query, [seeds, looks], after so many steps on the support."""
    import torch
    from torch.func import grad, vmap

    n, errors = len(support[0]), []
    w = ws.repeat_interleave(n, 0)
    (sx, sy), (qx, qy) = ([part.repeat(len(ws), 1, 1) for part in pair] for pair in (support, query))
    slope, error = vmap(grad(net.squared_error)), vmap(net.squared_error)
    state, update = vmap(rule.init)(w), vmap(rule.update, in_dims=0)
    for t in range(max(LOOKS) + 1):
        if t in LOOKS:
            errors.append(error(w, qx, qy).view(len(ws), n).mean(1))
        delta, state = update(slope(w, sx, sy), state, w)
        w = w + delta
    return torch.stack(errors, 1).nan_to_num(torch.inf).double().numpy()


def ridge(net, ws, support, query, penalty):
    """The same [seeds] for ridge regression on the features and a constant."""
    import torch

    errors = []
    for w in ws:
        h, q = (torch.cat([net.features(w, x.reshape(-1, 1)).view(*x.shape[:2], -1), torch.ones_like(x)], 2).double()
                for x in (support[0], query[0]))
        gram = h.mT @ h + penalty * torch.eye(h.shape[2], dtype=h.dtype)
        head = torch.linalg.solve(gram, h.mT @ support[1].double())
        errors.append(float((q @ head - query[1]).square().mean()))
    return np.array(errors)


def tried(net, ws, data):
    """(rule, rate) -> errors [seeds, looks]."""
    return {(name, lr): fine_tuned(net, ws, *data, RULES[name](lr)) for name, rates in FINE_TUNING.items() for lr in rates}


def measure(method):
    """Choose on validation tasks, judge on others."""
    began, net = time.perf_counter(), network()
    validation, test = tasks(7, 120), tasks(8, 200)
    found, cells = starts(method), {}
    trained = round(time.perf_counter() - began)
    errors = {(setting, *how): each for setting, ws in found.items() for how, each in tried(net, ws, validation).items()}
    for aim, looks in {"tuned": LOOKS, "one step": (1,), "ten steps": (10,)}.items():
        pairs = [(key, LOOKS.index(look)) for key in errors for look in looks]
        key, column = min(pairs, key=lambda pair: errors[pair[0]][:, pair[1]].mean())
        setting, rule, lr = key
        judged = fine_tuned(net, found[setting], *test, RULES[rule](lr))
        cells[aim] = {"setting": setting, "rule": rule, "lr": lr, "steps": LOOKS[column],
                      "validation": errors[key][:, column].mean(), "test": judged[:, column].tolist(),
                      "curve": judged.mean(0).tolist()}
    ridged = {(setting, penalty): ridge(net, ws, *validation, penalty) for setting, ws in found.items() for penalty in PENALTIES}
    setting, penalty = min(ridged, key=lambda key: ridged[key].mean())
    cells["ridge on its features"] = {"setting": setting, "penalty": penalty, "validation": ridged[setting, penalty].mean(),
                                      "test": ridge(net, found[setting], *test, penalty).tolist()}
    return {"settings": len(found), "seeds": SEEDS, "looks": list(LOOKS), "training_seconds": trained, "cells": cells}


def table(rows):
    """Test error of each start, mean over the seeds, by how it is fine-tuned."""
    aims = list(rows[0]["cells"])
    lines = [f"| start | {' | '.join(aims)} |", "|---" * (len(aims) + 1) + "|"]
    for row in rows:
        means = [f"{np.mean(row['cells'][aim]['test']):.3f}" for aim in aims]
        lines.append(f"| {row['subject']} | {' | '.join(means)} |")
    return "\n".join(lines) + "\n"
