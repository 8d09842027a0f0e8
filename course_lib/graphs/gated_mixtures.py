"""A learned rule over a graph of tasks that judges every edge before it listens along it."""

import torch

from course_lib.graphs.rule_mixtures import mixed, numbers_of, parts_of, states_of, tanh_network, unit_steps
from course_lib.update_rules import Rule, register
from course_lib.update_rules.inputs import learning_rate
from course_lib.validation import count

FEATURES = 4


@register
def gated_mixture(rules, coefficients, gate, adjacency, lr=1.0):
    """A mixture of rules for a graph of tasks, w [..., tasks, D], whose edges can be closed.

        δₜ = η (x₀ₜ + Σₛ aₛₜ (x₁ₛ − x₁ₜ) / dₜ),    xₖ = Σⱼ cₖⱼ uⱼ

    uⱼ is the step of rule j at η = 1, dₜ the number of neighbours, and aₛₜ in (0, 1) what the
    gate, one for all edges, thinks of the edge s → t after looking at `edge_features`.

    Steps that are linear in w and g diverge on a task that is curved more than those it was
    trained on. Rates lr = c / `largest_curvatures(hessian)`, one a task, keep the
    tasks alike; where w rests stays where it is.

    Parameters
    ----------
    rules : list of Rule
        The edges are judged by the steps of the first.
    coefficients : tensor or array [2, J]
        What a task does about itself, and what it tells its neighbours. A tensor may require gradients.
    gate : callable or None
        `gate(features [..., tasks, tasks, 4]) -> logits [..., tasks, tasks]`, such as
        `edge_gate(theta, hidden)`. None opens every edge.
    adjacency : tensor [..., tasks, tasks] of 0 and 1
    lr : float, tensor that broadcasts with w, such as [..., tasks, 1], or schedule

    Returns
    -------
    Rule
        For PyTorch alone.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong. Tensors are asked for their shapes, not for their values.

    Examples
    --------
    Two tasks, joined: each goes half the way to the other.

    >>> from course_lib.graphs.rule_mixtures import decay_to_zero
    >>> rule = gated_mixture([decay_to_zero()], [[0.0], [-0.5]], None, torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    >>> w = torch.tensor([[0.0], [4.0]])
    >>> rule.update(0 * w, rule.init(w), w)[0].T
    tensor([[ 2., -2.]])
    """
    rules = parts_of("rules", rules)
    own, told = numbers_of("coefficients", coefficients, len(rules), rows=2)
    if gate is not None and not callable(gate):
        raise TypeError(f"gate must be a function of the edges' features, or None, got {gate!r}")
    if not isinstance(adjacency, torch.Tensor):
        raise TypeError(f"adjacency must be a tensor [..., tasks, tasks], got {adjacency!r}")
    if adjacency.dim() < 2 or adjacency.shape[-1] != adjacency.shape[-2]:
        raise ValueError(f"adjacency must have shape [..., tasks, tasks], got {list(adjacency.shape)}")

    def update(g, state, w, lr):
        if w.dim() < 2 or w.shape[-2] != adjacency.shape[-1]:
            raise ValueError(f"w must have shape [..., {adjacency.shape[-1]} tasks, D], got {list(w.shape)}")
        units, state = unit_steps(rules, g, state, w)
        edges = adjacency.to(w.dtype)
        a = edges / edges.sum(-1, keepdim=True).clamp(min=1)
        if gate is not None:
            a = a * torch.sigmoid(gate(edge_features(units[0], w)))
        x = mixed(told, units)
        delta = mixed(own, units) + a @ x - a.sum(-1, keepdim=True) * x
        return lr * delta, state

    settings = {"rules": rules, "coefficients": coefficients, "gate": gate, "adjacency": adjacency}
    return Rule("gated_mixture", {**settings, "lr": learning_rate(lr)}, lambda w: states_of(rules, w), update)


def edge_gate(theta, hidden=0):
    """A gate from a flat vector: a linear function of the four features, or one with a tanh layer.

    Parameters
    ----------
    theta : tensor [1 + 4] or [1 + 6 · hidden]
        The logit of an edge that shows nothing, then the weights. May require gradients.
    hidden : int
        Width of the tanh layer; 0: none.

    Returns
    -------
    callable
        `gate(features [..., 4]) -> logits [...]`.

    Raises
    ------
    TypeError, ValueError
        If theta does not hold as many numbers.

    Examples
    --------
    >>> gate = edge_gate(torch.tensor([-1.0, 2.0, 0.0, 0.0, 0.0]))
    >>> gate(torch.tensor([1.0, 0.0, 0.0, 0.0]))         # steps that point the same way
    tensor(1.)
    """
    hidden = count("hidden", hidden, least=0)
    theta = flat_numbers("theta", theta, 1 + ((FEATURES + 2) * hidden or FEATURES))
    if not hidden:
        return lambda x: theta[0] + x @ theta[1:].to(x.dtype)

    def gate(x):
        return theta[0] + tanh_network(theta[1:].to(x.dtype), FEATURES, hidden, 1)(x)[..., 0]

    return gate


def edge_features(u, w, floor=1e-12):
    """What an edge t ← s shows: four cosines, all free of scale.

    Of the two steps; of the two weights; of my step with the way to the neighbour; and of the
    neighbour's step with the way to me.

    Parameters
    ----------
    u, w : tensors [..., tasks, D]
        Steps and weights.
    floor : float
        Added to squares of lengths, so that a cosine with nothing is 0.

    Returns
    -------
    tensor [..., tasks, tasks, 4]

    Examples
    --------
    >>> u, w = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    >>> edge_features(u, w)[0, 1]                        # task 0 steps towards task 1
    tensor([0., 0., 1., 0.])
    """
    lengths = ((u * u).sum(-1, keepdim=True) + floor).sqrt()
    steps = (u @ u.mT) / (lengths * lengths.mT)
    square, inner = (w * w).sum(-1, keepdim=True), w @ w.mT
    places = inner / ((square + floor).sqrt() * (square + floor).sqrt().mT)
    apart = (square + square.mT - 2 * inner).clamp(min=floor).sqrt()
    mine = (u @ w.mT - (u * w).sum(-1, keepdim=True)) / (lengths * apart)      # uₜ · (wₛ − wₜ), over the lengths
    return torch.stack([steps, places, mine, mine.mT], -1)


def largest_curvatures(hessian):
    """The largest eigenvalue of each task's Hessian: rates of a constant over it fit every task.

    Parameters
    ----------
    hessian : tensor [..., tasks, D, D], symmetric

    Returns
    -------
    tensor [..., tasks, 1]

    Examples
    --------
    >>> largest_curvatures(torch.diag_embed(torch.tensor([[1.0, 3.0], [2.0, 0.5]])))
    tensor([[3.],
            [2.]])
    """
    return torch.linalg.eigvalsh(hessian)[..., -1:]


def flat_numbers(name, value, size):
    """Return a tensor of so many numbers, or raise, naming the argument."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be a tensor, got {value!r}")
    if value.shape != (size,):
        raise ValueError(f"{name} must hold {size} numbers, got shape {list(value.shape)}")
    return value
