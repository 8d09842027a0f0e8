"""Graphs to learn on: one that was observed, one with known truth, one made of any data."""

from dataclasses import dataclass

import numpy as np
import torch

from course_lib.graphs.edges import both_directions
from course_lib.validation import count, finite_array, number


@dataclass(frozen=True, eq=False)
class LabelledGraph:
    """A graph whose nodes have labels.

    Parameters
    ----------
    edge_index : int64 tensor [2, edges]
        Each undirected edge in both directions.
    labels : int64 tensor [nodes]
    """

    edge_index: torch.Tensor
    labels: torch.Tensor

    @property
    def nodes(self):
        """How many nodes there are."""
        return len(self.labels)


def karate_club():
    """Zachary's karate club: 34 members, 78 friendships, and the side that each took when it split.

    Returns
    -------
    LabelledGraph
        Label 0: the instructor's side (node 0); 1: the president's (node 33). Unweighted.
        From W. W. Zachary 1977, as networkx ships it.

    Examples
    --------
    >>> club = karate_club()
    >>> club.nodes, club.edge_index.shape[1], club.labels.sum().item()
    (34, 156, 17)
    """
    import networkx

    club = networkx.karate_club_graph()
    labels = [int(club.nodes[node]["club"] != "Mr. Hi") for node in club]
    return LabelledGraph(both_directions(list(club.edges)), torch.tensor(labels))


def planted_partition(nodes, degree, same, seed):
    """A regular graph of two classes in which every node has so many neighbours of its own class.

    The edges are `degree` random perfect matchings: `same` of them within the classes, the
    others between them. So the share of edges that join equals is same/degree at every
    node, not only on average.

    Parameters
    ----------
    nodes : int
        Divisible by 4.
    degree : int
        Neighbours of each node. A pair that is matched twice stands twice.
    same : int
        How many of them have the node's own label, from 0 to degree.
    seed : int

    Returns
    -------
    LabelledGraph
        The first half of the nodes has label 0, the second label 1.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range.

    Examples
    --------
    >>> graph = planted_partition(nodes=8, degree=3, same=2, seed=0)
    >>> source, target = graph.edge_index
    >>> (graph.labels[source] == graph.labels[target]).double().mean().item() == 2 / 3
    True
    """
    nodes, degree, same = count("nodes", nodes, least=4), count("degree", degree), count("same", same, least=0)
    if nodes % 4:
        raise ValueError(f"nodes must be divisible by 4, so that either half can be paired, got {nodes}")
    number("same", same, most=degree)
    rng = np.random.default_rng(count("seed", seed, least=0))
    half, pairs = nodes // 2, []
    for matching in range(degree):
        first, second = rng.permutation(half), half + rng.permutation(half)
        if matching < same:
            pairs += [first.reshape(-1, 2), second.reshape(-1, 2)]
        else:
            pairs.append(np.stack([first, second], 1))
    return LabelledGraph(both_directions(np.concatenate(pairs)), (torch.arange(nodes) >= half).long())


def neighbor_graph(x, k):
    """Join every sample to the k that lie nearest to it.

    Parameters
    ----------
    x : array [samples, features]
    k : int
        From 1 to samples − 1.

    Returns
    -------
    int64 tensor [2, edges]
        Euclidean neighbours. An edge stands in both directions, once, where either sample
        is among the other's k.

    Raises
    ------
    TypeError, ValueError
        If x is no matrix of finite numbers, or k is out of its range.

    Examples
    --------
    >>> neighbor_graph([[0.0], [1.0], [3.0]], k=1)
    tensor([[0, 1, 1, 2],
            [1, 0, 2, 1]])
    """
    from sklearn.neighbors import kneighbors_graph

    x, k = finite_array("x", x), count("k", k)
    if x.ndim != 2:
        raise ValueError(f"x must have shape [samples, features], got {list(x.shape)}")
    number("k", k, most=len(x) - 1)
    near = kneighbors_graph(x, k)
    rows, columns = (near + near.T).nonzero()
    order = np.lexsort((columns, rows))
    return torch.from_numpy(np.stack([rows, columns])[:, order].astype(np.int64))
