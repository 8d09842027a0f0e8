"""Two labels a digit and a graph of neighbours: how far to look, and how deep to be.

The 1,797 digits are nodes, each joined to the five images nearest to it; two of each class are labelled. Every way is
trained for 200 steps of Adam, with a decay of 5e-4 in the gradient unless it says "no decay", at each of six rates; a hundred
further labels choose the rate by their mean error over ten seeds, the rest are the test. Given are the errors of the ten
seeds, each with labels and a start of its own, at the chosen rate.

"layers": graph networks of width 32 in several depths, with PyTorch Geometric's initial weights, and with √2 times these
before every ReLU; "no graph" is the same network without edges, "shuffled" with the same edges between other nodes.

"products": a single matrix of weights and so many products with the graph's matrix before it. "late" is "2 layers, no graph"
whose output is multiplied instead: z ← (1 − share) P z + share z₀. "spreading" does the same with the known labels and no
images at all. Both have 20 or 50 products and a share of .5, .1, or .02, which the hundred labels choose as well.
"""

import numpy as np

from benchmarks.run import fingerprint, pin

VERSIONS = ("numpy", "torch", "scikit-learn")
SEEDS, STEPS, LABELS, VALIDATION, DECAY = 10, 200, 2, 100, 5e-4
LOW, HIGH = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2), (3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)   # rates: deep, shallow
DEPTHS, PRODUCTS = (1, 2, 4, 8, 16), (1, 2, 4, 8, 16, 32, 64, 128)
SPREADS = [(many, share) for many in (20, 50) for share in (0.5, 0.1, 0.02)]


def subjects():
    """What is measured, with a hash of the code that decides it."""
    files = [f"course_lib/graphs/{name}.py" for name in (
        "edges", "normalization", "propagation", "convolution", "example_graphs", "node_tasks")]
    files += [f"course_lib/training/{name}.py" for name in ("comparison", "runs", "tasks")]
    return dict.fromkeys(("layers", "products"), fingerprint(__file__, files, pin("torch"), pin("scikit-learn")))


def layers(depth, gain=1.0):
    """A graph network of so many layers; the weights before a ReLU are `gain` times as large."""
    import torch

    from course_lib.graphs import GCN

    net = GCN([64, *[32] * (depth - 1), 10])
    with torch.no_grad():
        for conv in net.convs[:-1]:
            conv.lin.weight.mul_(gain)
    return net


def products(many):
    """One matrix of weights, and so many products with the graph's matrix."""
    import torch

    class Products(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = torch.nn.Linear(64, 10)

        def forward(self, x, P):
            x = self.lin(x)   # the product is linear: in either order the same, and this one is narrower
            for _ in range(many):
                x = P @ x
            return x

    return Products()


def late(many, share):
    """A network of the images alone, whose outputs are then spread."""
    import torch

    class Late(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))

        def forward(self, x, P):
            return spread(P, self.net(x), many, share)

    return Late()


def spread(P, start, many, share):
    """z ← (1 − share) P z + share · start, so many times."""
    z = start
    for _ in range(many):
        z = (1 - share) * (P @ z) + share * start
    return z


def ways(subject):
    """Name -> (module factory, which graph, rates, decay)."""
    if subject == "products":
        found = {f"{many} products": (lambda many=many: products(many), "near", HIGH, DECAY) for many in PRODUCTS}
        return found | {f"late, {many}, {share}": (lambda setting=(many, share): late(*setting), "near", LOW, DECAY)
                        for many, share in SPREADS}
    found = {"2 layers, no graph": (lambda: layers(2), "none", HIGH, DECAY),
             "2 layers, shuffled": (lambda: layers(2), "shuffled", HIGH, DECAY)}
    for depth in DEPTHS:
        rates = HIGH if depth <= 2 else LOW
        found[f"{depth} layers"] = (lambda depth=depth: layers(depth), "near", rates, DECAY)
        if depth > 1:
            found[f"{depth} layers × √2"] = (lambda depth=depth: layers(depth, 2**0.5), "near", rates, DECAY)
    for name, gain in (("16 layers", 1.0), ("16 layers × √2", 2**0.5)):
        found[f"{name}, no decay"] = (lambda gain=gain: layers(16, gain), "near", LOW, 0.0)
        found[f"{name}, no graph"] = (lambda gain=gain: layers(16, gain), "none", LOW, DECAY)
    return found


def data():
    """Images [samples, 64], digits [samples], and the graphs by name."""
    import torch
    from sklearn.datasets import load_digits

    from course_lib.graphs import Propagation, neighbor_graph

    images, digits = load_digits(return_X_y=True)
    edges, nodes = neighbor_graph(images, 5), len(digits)
    other = torch.from_numpy(np.random.default_rng(0).permutation(nodes))
    graphs = {"near": edges, "shuffled": other[edges], "none": edges[:, :0]}
    return torch.tensor(images / 16, dtype=torch.float32), torch.tensor(digits), {
        name: Propagation.normalized(each, nodes) for name, each in graphs.items()}


def task_of(subject, name, parts):
    """The task of one way."""
    from course_lib.graphs import node_task

    images, digits, graphs = parts
    make, graph, _, _ = ways(subject)[name]
    return node_task(make, graphs[graph], images, digits, per_class=LABELS, validation=VALIDATION, name=name)


def method(decay):
    """Adam of a rate, with a decay that is part of the gradient."""
    from course_lib import adam, add_decayed_weights, chain

    return lambda lr: chain(add_decayed_weights(decay), adam(lr)) if decay else adam(lr)


def spreading(task, parts, setting):
    """Errors on validation data and test, [2, seeds], of labels that are spread."""
    import torch

    _, digits, graphs = parts
    errors = []
    for seed in range(SEEDS):
        draw = task.draw(seed)
        own = torch.zeros(len(digits), 10)
        own[draw.train[0], draw.train[1]] = 1
        wrong = spread(graphs["near"], own, *setting).argmax(1) != digits
        errors.append([wrong[part[0]].double().mean().item() for part in (draw.validation, draw.test)])
    return np.array(errors).T


def measure(subject):
    """The errors of every way, one number a seed, and at which rate or setting."""
    import torch

    from course_lib import compare

    torch.set_num_threads(1)
    parts, tried = data(), {}
    for name, (_, _, rates, decay) in ways(subject).items():
        task = task_of(subject, name, parts)
        found = compare({name: method(decay)}, task, rates, SEEDS, STEPS)[name]
        tried[name] = found.validation[found.chosen], found.test[found.chosen], found.lr
        print(f"  {name}: {found.test[found.chosen].mean():.3f} at {found.lr:g}", flush=True)
    if subject == "products":
        for many, share in SPREADS:
            tried[f"spreading, {many}, {share}"] = (*spreading(task, parts, (many, share)), None)
        for kind in ("late", "spreading"):
            names = [name for name in tried if name.startswith(f"{kind},")]
            best = min(names, key=lambda name: tried[name][0].mean())
            print(f"  {best}: {tried[best][1].mean():.3f}", flush=True)
            tried[kind] = (*tried[best][:2], f"{best.removeprefix(kind + ', ')}" + (f", {tried[best][2]:g}" if tried[best][2] else ""))
            for name in names:
                del tried[name]
    return {"errors": {name: np.round(test, 4).tolist() for name, (_, test, _) in tried.items()},
            "chosen": {name: setting for name, (_, _, setting) in tried.items()}}


def table(rows):
    """The page: means with their deviations over the seeds."""
    from benchmarks.pages import grid

    lines = [[name, f"{100 * np.mean(each):.1f}", f"{100 * np.std(each, ddof=1):.1f}", f"{row['chosen'][name]}"]
             for row in rows for name, each in row["errors"].items()]
    return grid(["way", "errors in a hundred", "deviation over ten seeds", "rate, or products and share"], lines)
