"""Independent sets: as many nodes as possible, no two of them joined. Every answer is feasible."""

import numpy as np
import torch

from course_lib.graphs.cuts import adjacency, booleans
from course_lib.graphs.extremal_cuts import Bins
from course_lib.graphs.local_cuts import colour_classes, neighbours
from course_lib.validation import count, finite_array, number


def is_independent(edge_index, inside):
    """Say whether no edge joins two nodes of a set.

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Each edge in both directions. Loops are left out.
    inside : tensor or array [nodes] of booleans

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> path = [[0, 1, 1, 2], [1, 0, 2, 1]]
    >>> is_independent(path, [True, False, True]), is_independent(path, [True, True, False])
    (True, False)
    """
    inside = booleans("inside", inside)
    return not (adjacency(edge_index, len(inside)) @ inside)[inside].any()


def independent_set(edge_index, score):
    """Make an independent set of any scores: from the highest down, each node that has no neighbour in it yet.

    Parameters
    ----------
    edge_index
        As in `is_independent`.
    score : array or tensor [nodes] of numbers
        Of equals the first comes first.

    Returns
    -------
    inside : array [nodes] of booleans
        Independent, and no node can be added. An independent set of scores 1, all others
        having 0, is kept.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> path = [[0, 1, 1, 2], [1, 0, 2, 1]]
    >>> independent_set(path, [0.2, 0.9, 0.8]).tolist(), independent_set(path, [0.3, 0.2, 0.1]).tolist()
    ([False, True, False], [True, False, True])
    """
    score = finite_array("score", score.detach().cpu() if isinstance(score, torch.Tensor) else score)
    if score.ndim != 1:
        raise ValueError(f"score must have shape [nodes], got {list(score.shape)}")
    A = adjacency(edge_index, len(score))
    inside, blocked = np.zeros(len(score), bool), np.zeros(len(score), bool)
    for node in np.argsort(-score, kind="stable"):
        if not blocked[node]:
            inside[node] = True
            blocked[A.indices[A.indptr[node]:A.indptr[node + 1]]] = True
    return inside


def greedy_independent_set(edge_index, nodes, seed):
    """Take a node with the fewest neighbours left, drop these neighbours, and so on.

    Parameters
    ----------
    edge_index
        As in `is_independent`.
    nodes : int
    seed : int
        Decides among equals.

    Returns
    -------
    inside : array [nodes] of booleans
        Of a large random graph with three neighbours a node it holds the share
        6 log(3/2) − 2 = .4328 (Frieze and Suen 1994).

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    A. Frieze, S. Suen, On the independence number of random cubic graphs, Random Structures
    and Algorithms 5 (1994), doi:10.1002/rsa.3240050504.

    Examples
    --------
    >>> star = [[0, 0, 0, 1, 2, 3], [1, 2, 3, 0, 0, 0]]
    >>> greedy_independent_set(star, nodes=4, seed=0).tolist()
    [False, True, True, True]
    """
    A, rng = adjacency(edge_index, nodes), np.random.default_rng(count("seed", seed, least=0))
    degree, friends = np.diff(A.indptr), neighbours(A)
    most = int(degree.max(initial=0))
    bins = Bins((-degree).tolist(), most + 1)
    inside, gone = np.zeros(nodes, bool), -most - 1             # the last bin
    for chance in rng.random(nodes).tolist():
        node = bins.ranked(0, chance)
        if bins.gain[node] == gone:
            break
        inside[node] = True
        dropped = [node] + [friend for friend, _ in friends[node] if bins.gain[friend] != gone]
        for each in dropped:
            bins.move(each, gone)
        for each in dropped:
            for friend, _ in friends[each]:
                if bins.gain[friend] != gone:
                    bins.move(friend, bins.gain[friend] + 1)
    return inside


def annealed_independent_set(edge_index, nodes, seed, sweeps=1000, last=8.0):
    """Simulated annealing among independent sets: a node enters where it may, and leaves ever more rarely.

    A node without a neighbour in the set is put in with probability 1/(1 + exp(−μ)), else out;
    μ rises from 0 to `last` in equal steps. All sets that are met are independent.

    Parameters
    ----------
    edge_index, nodes, seed
        As in `greedy_independent_set`.
    sweeps : int
        How often each node is asked.
    last : float, > 0

    Returns
    -------
    inside : array [nodes] of booleans
        The largest that was met.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> path = [[0, 1, 1, 2], [1, 0, 2, 1]]
    >>> annealed_independent_set(path, nodes=3, seed=0).tolist()
    [True, False, True]
    """
    A, rng = adjacency(edge_index, nodes), np.random.default_rng(count("seed", seed, least=0))
    classes = colour_classes(A)
    rows = [A[each] for each in classes]
    inside, best = np.zeros(nodes), np.zeros(nodes)
    for mu in np.linspace(0, number("last", last, above=0), count("sweeps", sweeps)):
        likely = 1 / (1 + np.exp(-mu))
        for each, row in zip(classes, rows):
            inside[each] = (row @ inside == 0) & (rng.random(len(each)) < likely)
        if inside.sum() > best.sum():
            best = inside.copy()
    return independent_set(edge_index, best)
