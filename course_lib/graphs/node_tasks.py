"""Nodes with labels as something to be compared on: few labels to train with, all nodes to see."""

import numpy as np
import torch
from torch.func import functional_call

from course_lib.training import Task
from course_lib.training.tasks import Draw
from course_lib.validation import count


def node_task(make, graph, features, labels, *, per_class, validation, name="labels of nodes"):
    """A module that labels the nodes of a graph, trained on a few of them.

    Parameters
    ----------
    make : callable
        `make() -> torch.nn.Module`, called as `module(features, graph) -> [nodes, classes]`;
        without buffers. Its initial weights are drawn anew for each seed.
    graph
        Whatever the module takes: a `Propagation`, an edge_index, None.
    features : tensor [nodes, features]
        All nodes' features are seen in training, as the graph is; labels are not.
    labels : int64 tensor [nodes]
    per_class, validation : int
        Of each class so many nodes train, drawn anew for each seed; so many of the others
        choose the learning rate; what is left is the test.
    name : str

    Returns
    -------
    Task
        Cross-entropy of the nodes in question, and share of errors; full batch.

    Raises
    ------
    TypeError, ValueError
        If the labels are too few for the split, or the shapes do not fit.
    """
    per_class, validation = count("per_class", per_class), count("validation", validation)
    if features.dim() != 2 or labels.shape != features.shape[:1]:
        raise ValueError(f"labels must have shape [{len(features)}], one for each row of features, got {list(labels.shape)}")
    counts = torch.bincount(labels)
    if counts.min() < per_class or counts.sum() <= per_class * len(counts) + validation:
        raise ValueError(f"labels must leave {per_class} a class, {validation} and a test, got {counts.tolist()} a class")
    with torch.device("meta"):
        module = make()
    if not isinstance(module, torch.nn.Module) or any(True for _ in module.buffers()):
        raise TypeError(f"make must return a torch.nn.Module without buffers, got {module!r}")
    shapes = {key: p.shape for key, p in module.named_parameters()}

    def draw(seed):
        rng = np.random.default_rng(seed)
        order = torch.from_numpy(rng.permutation(len(labels)))
        train = torch.cat([order[labels[order] == each][:per_class] for each in range(len(counts))])
        rest = order[~torch.isin(order, train)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            w0 = torch.cat([p.detach().reshape(-1) for p in make().parameters()])
        return Draw(w0, *((nodes, labels[nodes]) for nodes in (train, rest[:validation], rest[validation:])))

    def predict(w, nodes):
        pieces = w.split([shape.numel() for shape in shapes.values()])
        weights = {key: piece.view(shape) for (key, shape), piece in zip(shapes.items(), pieces)}
        return functional_call(module, weights, (features.to(w.dtype), graph))[nodes]

    def cross_entropy(w, nodes, y):
        z = predict(w, nodes)
        return (z.logsumexp(1) - z.gather(1, y[:, None])[:, 0]).mean()

    def error_rate(w, nodes, y):
        return (predict(w, nodes).argmax(1) != y).to(w.dtype).mean()

    return Task(name, draw, cross_entropy, error_rate, "share of errors", None)
