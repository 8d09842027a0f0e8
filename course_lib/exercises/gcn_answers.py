"""Answers to the exercises on graph convolution, right and wrong, that the judges are held to."""

from functools import cache

import numpy as np


def gain(P, y):
    """Signal over noise after a product, in units of that before."""
    return (P @ y) * y / np.sqrt((P**2).sum(1))


def gain_by_loops(P, y):
    return [sum(P[i][j] * y[j] * y[i] for j in range(len(y))) / np.linalg.norm(P[i]) for i in range(len(y))]


def propagate(x, pairs):
    """D̂^(−½) Â D̂^(−½) x by a dense matrix."""
    A = np.eye(len(x))
    for a, b in pairs:
        A[a, b] += 1
        A[b, a] += 1
    root = np.sqrt(A.sum(1))
    return A / root[:, None] / root @ x


def propagate_by_edges(x, pairs):
    """The same an edge at a time."""
    x = np.asarray(x, float)
    pairs = np.asarray(pairs, int).reshape(-1, 2)
    root = np.sqrt(1 + np.bincount(pairs.ravel(), minlength=len(x)))[:, None]
    out = x / root
    np.add.at(out, pairs[:, 0], (x / root)[pairs[:, 1]])
    np.add.at(out, pairs[:, 1], (x / root)[pairs[:, 0]])
    return out / root


def products_until(P, share):
    """From the second largest size of an eigenvalue."""
    sizes = np.sort(np.abs(np.linalg.eigvalsh(P)))
    return int(np.ceil(np.log(share) / np.log(sizes[-2])))


def products_until_by_counting(P, share):
    values, vectors = np.linalg.eigh(P)
    rest = P - np.outer(vectors[:, -1], vectors[:, -1]) * values[-1]
    many, power = 1, rest
    while np.linalg.norm(power, 2) > share * (1 + 1e-9):
        many, power = many + 1, power @ rest
    return many


def spread_labels(edge_index, known, classes, products=50, share=0.05):
    """Label spreading: the labels themselves go through many products."""
    return _scores(edge_index, known, classes, products, share).argmax(1)


def harmonic_labels(edge_index, known, classes):
    """Every node the mean of its neighbours, except where the label is known; solved exactly."""
    source, target = edge_index
    nodes, free = len(known), np.flatnonzero(known < 0)
    A = np.zeros((nodes, nodes))
    np.add.at(A, (target, source), 1.0)
    laplacian = np.diag(A.sum(1)) - A + 1e-9 * np.eye(nodes)
    z = np.eye(classes)[np.maximum(known, 0)] * (known >= 0)[:, None]
    z[free] = np.linalg.solve(laplacian[np.ix_(free, free)], (A @ z)[free])
    return (z / z.sum(0)).argmax(1)


def _scores(edge_index, known, classes, products, share):
    source, target = edge_index
    nodes = len(known)
    root = np.sqrt(1 + np.bincount(target, minlength=nodes))[:, None]
    own = np.eye(classes)[np.maximum(known, 0)] * (known >= 0)[:, None]
    z = own
    for _ in range(products):
        heard = z / root
        out = heard.copy()
        np.add.at(out, target, heard[source])
        z = (1 - share) * out / root + share * own
    return z


@cache
def hidden_graphs():
    """Three labelled graphs: (edge_index, known labels, labels, allowed share of errors)."""
    from sklearn.datasets import load_digits, make_moons

    found = []
    images, digits = load_digits(return_X_y=True)
    for x, y, few, allowed in ((images[:900], digits[:900], 2, 0.16), (*make_moons(300, noise=0.1, random_state=2), 1, 0.1)):
        rng = np.random.default_rng(4)
        known = np.full(len(y), -1)
        for each in range(y.max() + 1):
            known[rng.permutation(np.flatnonzero(y == each))[:few]] = each
        found.append((_nearest(x, 5), known, y, allowed))
    sizes = np.repeat([0, 1, 2], 80)
    rng = np.random.default_rng(0)
    chance = np.where(sizes[:, None] == sizes, 0.08, 0.008)
    upper = np.triu(rng.random((240, 240)) < chance, 1)
    known = np.full(240, -1)
    known[[0, 1, 80, 81, 160, 161]] = sizes[[0, 1, 80, 81, 160, 161]]
    found.append((np.stack(np.nonzero(upper | upper.T)), known, sizes, 0.2))
    return found


def _nearest(x, k):
    from sklearn.neighbors import kneighbors_graph

    near = kneighbors_graph(x, k)
    return np.stack((near + near.T).nonzero())


def share_wrong(label, graph):
    """The share of the unlabelled nodes that an answer gets wrong, or None where it is no answer."""
    edge_index, known, labels, _ = graph
    found = np.asarray(label(edge_index.copy(), known.copy(), int(labels.max()) + 1))
    if found.shape != labels.shape:
        return None
    hidden = known < 0
    return float((found[hidden] != labels[hidden]).mean())
