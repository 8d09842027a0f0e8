"""Cuts found by descending the expected cut: of free numbers, or of a network that puts them out."""

import numpy as np
import torch

from course_lib.graphs.convolution import GCN
from course_lib.graphs.cuts import adjacency
from course_lib.graphs.edges import edge_list
from course_lib.graphs.propagation import Propagation
from course_lib.update_rules import Rule, adam, gradient_descent
from course_lib.validation import count, number


def descent_cut(edge_index, nodes, seed, rule=None, steps=2000, scale=1e-30):
    """Descend the expected cut without any network: one number xᵢ for each node, pᵢ = σ(xᵢ).

    As long as all xᵢ are small, a step of gradient descent is x ← (I − ηA/8) x: the power
    method. So the smaller the start, the more of x lies along the lowest eigenvector.

    Parameters
    ----------
    edge_index : tensor or array [2, edges] of integers
        Each edge in both directions.
    nodes : int
    seed : int
        Of the start, normal numbers times `scale`.
    rule : Rule, optional
        By default gradient descent with the rate 4/d, d being the largest degree: a quarter of
        what is stable near x = 0.
    steps : int
    scale : float, > 0
        It takes log(1/scale) / log(1 + η|α|/8) steps and some more until x is large, where α is
        the lowest eigenvalue of the graph.

    Returns
    -------
    side : array [nodes] of booleans
        x > 0, at the step that cut most.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> from course_lib import cut_value
    >>> ring = [[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]]
    >>> cut_value(ring, descent_cut(ring, nodes=4, seed=0))
    4
    """
    A, edges = adjacency(edge_index, nodes), edge_list(edge_index, nodes)
    rule = gradient_descent(4 / max(1, int(A.sum(1).max(initial=0)))) if rule is None else rule
    rng = np.random.default_rng(count("seed", seed, least=0))
    x = torch.from_numpy(number("scale", scale, above=0) * rng.standard_normal(nodes))
    return best_signs(lambda x: x, x, lambda m: mean_cut(edges, m), rule, steps)


def gnn_cut(edge_index, nodes, seed, embedding=None, epochs=2000, lr=0.01, self_loops=True, scale=1.0):
    """Train a graph network whose output is the cut: on this graph, for this graph.

    Each node has a learned vector; two graph convolutions make of it the number x, and
    p = σ(x). The vectors and the layers are trained by Adam on minus the expected cut.

    Parameters
    ----------
    edge_index, nodes
        As in `descent_cut`.
    seed : int
        Of the vectors, normal numbers, and the layers' weights.
    embedding : int, optional
        Length of the vectors, by default √nodes; half as many are hidden.
    epochs : int
    lr : float, > 0
    self_loops : bool
        Whether a node hears itself. In its authors' example it does not (and there is dropout).
    scale : float, > 0
        Size of the vectors at the start.

    Returns
    -------
    side : array [nodes] of booleans
        x > 0, at the epoch that cut most.

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
    >>> from course_lib import cut_value
    >>> ring = [[0, 1, 1, 2, 2, 3, 3, 0], [1, 0, 2, 1, 3, 2, 0, 3]]
    >>> cut_value(ring, gnn_cut(ring, nodes=4, seed=0, embedding=8, epochs=50, self_loops=False))
    4
    """
    adjacency(edge_index, nodes)      # looks for edges of one direction
    edges = edge_list(edge_index, nodes)
    x, w = node_network(edges, nodes, embedding, seed, self_loops, scale)
    rule, epochs = adam(number("lr", lr, above=0)), count("epochs", epochs)
    return best_signs(x, w, lambda m: mean_cut(edges, m), rule, epochs)


def mean_cut(edges, m):
    """`expected_cut` of coins that show +1 and −1 with the means m, at p = (1 + m)/2; loops cut nothing.

    Near m = 0, where p keeps no more than sixteen digits of ½ + m/2, this keeps all of m's.

    Parameters
    ----------
    edges : int64 tensor [2, edges]
        Each edge in both directions, which is not checked.
    m : tensor [..., nodes]
        2p − 1: 0 for a fair coin, ±1 for a side.

    Returns
    -------
    tensor [...]

    Examples
    --------
    >>> edge = torch.tensor([[0, 1], [1, 0]])
    >>> mean_cut(edge, torch.tensor([0.0, 0.0])), mean_cut(edge, torch.tensor([1.0, -1.0]))
    (tensor(0.5000), tensor(1.))
    """
    source, target = edges[:, edges[0] != edges[1]]
    return (1 - m[..., source] * m[..., target]).sum(-1) / 4      # one half of each edge from either direction


def node_network(edges, nodes, embedding, seed, self_loops, scale=1.0):
    """The network of `gnn_cut`, as a function of one flat vector of weights.

    Parameters
    ----------
    edges : int64 tensor [2, edges]
    nodes : int
    embedding, seed, self_loops, scale
        As in `gnn_cut`.

    Returns
    -------
    x : callable
        `x(w) -> tensor [nodes]`, one number for each node, from the weights w [D].
    w : tensor [D]
        Where they start: first the nodes' vectors, then the layers' weights and biases.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> x, w = node_network(torch.tensor([[0, 1], [1, 0]]), 2, embedding=4, seed=0, self_loops=True)
    >>> len(w), x(w).shape                     # 2 · 4, then 4 · 2 + 2 and 2 + 1
    (21, torch.Size([2]))
    """
    count("nodes", nodes)
    width = int(np.ceil(np.sqrt(nodes))) if embedding is None else count("embedding", embedding)
    P = Propagation.normalized(edges, nodes, add_self_loops=self_loops)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(count("seed", seed, least=0))
        vectors = number("scale", scale, above=0) * torch.randn(nodes, width)
        net = GCN([width, max(1, width // 2), 1])
    shapes = {name: p.shape for name, p in net.named_parameters()}
    sizes = [nodes * width, *(shape.numel() for shape in shapes.values())]

    def x(w):
        embedding, *rest = w.split(sizes)
        weights = {name: piece.view(shape) for (name, shape), piece in zip(shapes.items(), rest)}
        return torch.func.functional_call(net, weights, (embedding.view(nodes, width), P))[:, 0]

    parts = [vectors, *net.parameters()]
    return x, torch.cat([part.detach().reshape(-1) for part in parts])


def best_signs(x, w, value, rule, steps, decode=lambda logits: logits > 0):
    """Ascend value(tanh(x(w)/2)) by a rule; of all decoded sides that were met, return that of the largest value.

    A coin that shows +1 with the probability σ(x), and else −1, has the mean tanh(x/2).

    Parameters
    ----------
    x : callable
        `x(w) -> tensor [nodes]`, differentiable.
    w : tensor of floats
        The start.
    value : callable
        `value(m) -> 0-d tensor`, of means in (−1, 1) and of sides, ±1.
    rule : Rule
    steps : int
    decode : callable
        `decode(x) -> tensor [nodes] of booleans`.

    Returns
    -------
    array [nodes] of booleans
    """
    if not isinstance(rule, Rule):
        raise TypeError(f"rule must be a Rule, such as adam(lr=1e-2), got {rule!r}")
    steps = count("steps", steps)
    state, most, best = rule.init(w), -np.inf, None
    for step in range(steps + 1):
        w = w.detach().requires_grad_()
        logits = x(w)
        side = decode(logits.detach())
        found = float(value(2 * side.to(logits.dtype) - 1))
        if found > most:
            most, best = found, side
        if step < steps:
            g, = torch.autograd.grad(-value(torch.tanh(logits / 2)), w)
            delta, state = rule.update(g, state, w.detach())
            w = w.detach() + delta
    return best.cpu().numpy()
