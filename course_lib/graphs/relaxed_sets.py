"""Independent sets found by descending their expected size: the probabilities themselves, or a network."""

import numpy as np
import torch

from course_lib.graphs.cuts import adjacency
from course_lib.graphs.edges import edge_list
from course_lib.graphs.independent_sets import independent_set
from course_lib.graphs.relaxed_cuts import best_signs, node_network
from course_lib.update_rules import adam, gradient_descent
from course_lib.validation import count, number


def expected_size(edge_index, p, penalty):
    """The nodes that are drawn on average less `penalty` times the edges inside, each node drawn with its pᵢ.

    Parameters
    ----------
    edge_index : int64 tensor [2, edges]
        Each edge in both directions, no loops, neither of which is checked.
    p : tensor [..., nodes]
    penalty : float
        Above 1, of all p of zeros and ones only independent sets are best: to drop a node
        that is joined to another one inside costs 1 and brings at least the penalty.

    Returns
    -------
    tensor [...]

    Examples
    --------
    >>> edge = torch.tensor([[0, 1], [1, 0]])
    >>> expected_size(edge, torch.tensor([1.0, 1.0]), penalty=2.0)
    tensor(0.)
    """
    source, target = edge_index
    return p.sum(-1) - penalty / 2 * (p[..., source] * p[..., target]).sum(-1)


def descent_independent_set(edge_index, nodes, seed, rule=None, steps=2000, scale=1e-12, penalty=2.0):
    """Descend without a network: one number xᵢ for each node, pᵢ = σ(xᵢ).

    Whatever comes out is made independent: of two nodes with x > 0 that are joined, the one
    with the smaller x leaves, and at the end what can be added is.

    Parameters
    ----------
    edge_index, nodes, seed, steps, scale
        As in `descent_cut`.
    rule : Rule, optional
        By default gradient descent with the rate 4/(penalty · d), d being the largest degree.
    penalty : float, > 0
        See `expected_size`.

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
    >>> descent_independent_set(path, nodes=3, seed=0).tolist()
    [True, False, True]
    """
    most, penalty = int(adjacency(edge_index, nodes).sum(1).max(initial=0)), number("penalty", penalty, above=0)
    rule = gradient_descent(4 / (penalty * max(1, most))) if rule is None else rule
    rng = np.random.default_rng(count("seed", seed, least=0))
    x = torch.from_numpy(number("scale", scale, above=0) * rng.standard_normal(nodes))
    return _descended(edge_list(edge_index, nodes), lambda x: x, x, rule, steps, penalty)


def gnn_independent_set(edge_index, nodes, seed, embedding=None, epochs=2000, lr=0.01, penalty=2.0):
    """Train the network of `gnn_cut` on the expected size of an independent set.

    Parameters
    ----------
    edge_index, nodes, seed, embedding, epochs, lr
        As in `gnn_cut`.
    penalty : float, > 0
        See `expected_size`.

    Returns
    -------
    inside : array [nodes] of booleans
        The largest that was met, made independent as in `descent_independent_set`.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    M. J. A. Schuetz, J. K. Brubaker, H. G. Katzgraber, Combinatorial optimization with
    physics-inspired graph neural networks, Nature Machine Intelligence 4 (2022),
    arXiv:2107.01188.

    Examples
    --------
    >>> path = [[0, 1, 1, 2], [1, 0, 2, 1]]
    >>> gnn_independent_set(path, nodes=3, seed=0, epochs=50).tolist() in ([True, False, True], [False, True, False])
    True
    """
    adjacency(edge_index, nodes)      # looks for edges of one direction
    edges, penalty = edge_list(edge_index, nodes), number("penalty", penalty, above=0)
    x, w = node_network(edges, nodes, embedding, seed, self_loops=True)
    epochs = count("epochs", epochs)
    return _descended(edges, x, w, adam(number("lr", lr, above=0)), epochs, penalty)


def _descended(edges, x, w, rule, steps, penalty):
    source, target = edges = edges[:, edges[0] != edges[1]]

    def decode(logits):
        """Of two that are joined and wanted, the one that is wanted more (of equals the first)."""
        beats = (logits[source] > logits[target]) | ((logits[source] == logits[target]) & (source < target))
        kept = logits > 0
        kept[target[beats & kept[source]]] = False
        return kept

    inside = best_signs(x, w, lambda m: expected_size(edges, (1 + m) / 2, penalty), rule, steps, decode)
    return independent_set(edges, inside.astype(float))
