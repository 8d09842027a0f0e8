"""Two labels a digit and a graph of neighbours: how far to look, and how deep to be.

The 1,797 digits are nodes, each joined to the five images nearest to it; two of each class are labelled. Every way is
trained by Adam with a decay of 5e-4 for 200 steps at each of seven rates; a hundred further labels choose the rate, the rest
are the test. Given are the errors of ten seeds, each with labels and a start of its own, at the chosen rate.

"no graph" is a network of one hidden layer; "shuffled" the two-layer graph network on the same edges between other nodes;
"layers" is that network in several depths, with PyTorch Geometric's initial weights, and with √2 times these before every
ReLU; "products" has a single matrix of weights and so many products with the graph's matrix before it; "late" multiplies the
output of "no graph" instead, twenty times, a tenth of that output added each time. "spreading" knows no images beyond the
graph: fifty products with the labels themselves, a share of which is added each time; the validation labels choose among
three shares.
"""

import numpy as np

from benchmarks.run import fingerprint, pin

VERSIONS = ("numpy", "torch", "scikit-learn")
RATES, SEEDS, STEPS, LABELS, VALIDATION = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1), 10, 200, 2, 100
DEPTHS, PRODUCTS, SHARES = (1, 2, 4, 8, 16), (1, 2, 4, 8, 16, 32, 64, 128), (0.5, 0.1, 0.02)


def subjects():
    """What is measured, with a hash of the code that decides it."""
    files = [f"course_lib/graphs/{name}.py" for name in (
        "edges", "normalization", "propagation", "convolution", "example_graphs", "node_tasks")]
    files += [f"course_lib/training/{name}.py" for name in ("comparison", "runs", "tasks")]
    return {"digits": fingerprint(__file__, files, pin("torch"), pin("scikit-learn"))}


def ways():
    """Name -> (module factory, which graph)."""
    import torch

    from course_lib.graphs import GCN

    class Products(torch.nn.Module):
        """One matrix of weights, so many products with the graph's matrix."""

        def __init__(self, many):
            super().__init__()
            self.lin, self.many = torch.nn.Linear(64, 10), many

        def forward(self, x, P):
            x = self.lin(x)   # the product is linear: in either order the same, and this one is narrower
            for _ in range(self.many):
                x = P @ x
            return x

    class Late(torch.nn.Module):
        """A network of the images alone, whose outputs are then spread."""

        def __init__(self, many=20, share=0.1):
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
            self.many, self.share = many, share

        def forward(self, x, P):
            z = own = self.net(x)
            for _ in range(self.many):
                z = (1 - self.share) * (P @ z) + self.share * own
            return z

    def layers(depth, gain=1.0):
        net = GCN([64, *[32] * (depth - 1), 10])
        with torch.no_grad():
            for conv in net.convs[:-1]:
                conv.lin.weight.mul_(gain)
        return net

    found = {"no graph": (lambda: layers(2), "none"), "shuffled": (lambda: layers(2), "shuffled")}
    found |= {f"{depth} layers": (lambda depth=depth: layers(depth), "near") for depth in DEPTHS}
    found |= {f"{depth} layers × √2": (lambda depth=depth: layers(depth, 2**0.5), "near") for depth in DEPTHS[1:]}
    found |= {f"{many} products": (lambda many=many: Products(many), "near") for many in PRODUCTS}
    found["late"] = (Late, "near")
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


def task_of(name, parts):
    """The task of one way."""
    from course_lib.graphs import node_task

    images, digits, graphs = parts
    make, graph = ways()[name]
    return node_task(make, graphs[graph], images, digits, per_class=LABELS, validation=VALIDATION, name=name)


def method(lr):
    """Adam, with a decay that is part of the gradient."""
    from course_lib import adam, add_decayed_weights, chain

    return chain(add_decayed_weights(5e-4), adam(lr))


def spreading(task, parts, seeds):
    """The errors of labels that are spread with the graph's matrix."""
    import torch

    _, digits, graphs = parts
    errors = []
    for seed in range(seeds):
        draw = task.draw(seed)
        own = torch.zeros(len(digits), 10)
        own[draw.train[0], draw.train[1]] = 1
        tried = []
        for share in SHARES:
            z = own
            for _ in range(50):
                z = (1 - share) * (graphs["near"] @ z) + share * own
            wrong = z.argmax(1) != digits
            tried.append([wrong[part[0]].double().mean().item() for part in (draw.validation, draw.test)])
        errors.append(min(tried, key=lambda pair: pair[0])[1])
    return errors


def measure(subject):
    """The errors of every way, one number a seed."""
    import torch

    from course_lib import compare

    torch.set_num_threads(1)
    parts, errors, chosen = data(), {}, {}
    for name in ways():
        task = task_of(name, parts)
        found = compare({name: method}, task, RATES, SEEDS, STEPS)[name]
        errors[name], chosen[name] = np.round(found.test[found.chosen], 4).tolist(), found.lr
        print(f"  {name}: {np.mean(errors[name]):.3f} at {found.lr:g}", flush=True)
    errors["spreading"] = np.round(spreading(task, parts, SEEDS), 4).tolist()
    nodes = parts[2]["near"].shape[0]
    return {"nodes": nodes, "entries": len(parts[2]["near"].values), "errors": errors, "lr": chosen}


def table(rows):
    """The page: means with their deviations over the seeds."""
    from benchmarks.pages import grid

    row = rows[0]
    lines = [[name, f"{100 * np.mean(each):.1f}", f"{100 * np.std(each, ddof=1):.1f}", f"{row['lr'].get(name, '')}"]
             for name, each in row["errors"].items()]
    return grid(["way", "errors in a hundred", "deviation over ten seeds", "rate"], lines)
