"""A learned rule for networks: the weights are the edges of a graph of neurons, and hear from both ends."""

import torch

from course_lib.graphs.gated_mixtures import flat_numbers
from course_lib.graphs.rule_mixtures import mixed, states_of, tanh_network, unit_steps
from course_lib.update_rules import Rule, adam, momentum, register
from course_lib.update_rules.inputs import learning_rate
from course_lib.validation import count, number

TINY = 1e-16


@register
def network_rule(theta, means=None, *, hidden=0, lr=1.0):
    """Adam with two memories and, with messages, a third step that is scaled by the neurons' means.

        u₁ = the step of Adam with β₁ = .9,    u₂ = that with β₁ = .5,    both with β₂ = .99
        u₃ = −m̂ / √(into(v̂) out(v̂) / layer(v̂))                             (with messages)
        δ = η Σⱼ cⱼ exp(oⱼ) uⱼ

    A tiny network, one for all weights, puts out o. It sees u₁ sign(u₂), which says how steady
    the gradient is, and, with messages, ¼ log(v̂ / into(v̂)), and so on: whether this weight's
    gradients are large among those of its neuron, of its inputs' neuron and of its layer.

    Parameters
    ----------
    theta : tensor [M]
        The J numbers c (two, or three with messages), then the network's; `network_start`
        makes one. May require gradients.
    means : callable, optional
        The messages: `means(x) -> (into, out, layer)`, of `neuron_means` or `tensor_means`.
        None: each weight sees its own numbers alone.
    hidden : int
        Width of the network; 0: there is none, o = 0.
    lr : float or schedule
        η: one multiplier of all steps, to be tuned where the right size of steps is another
        than it was in training.

    Returns
    -------
    Rule
        For PyTorch alone.

    Raises
    ------
    TypeError, ValueError
        If theta does not hold as many numbers, or another argument is wrong.

    References
    ----------
    u₃ is scaled as in N. Shazeer, M. Stern, Adafactor, ICML 2018, arXiv:1804.04235; mixing
    memories is J. Lucas et al., Aggregated momentum, ICLR 2019, arXiv:1804.00325.

    Examples
    --------
    >>> g = torch.tensor([2.0, -0.5])
    >>> rule = network_rule(torch.tensor([0.25, 0.5]))
    >>> rule.update(g, rule.init(g), g)[0]               # the first steps of Adam have length 1
    tensor([-0.7500,  0.7500])
    """
    steps, inputs = sizes_of(means)
    hidden = count("hidden", hidden, least=0)
    theta = flat_numbers("theta", theta, steps + (inputs + 1 + steps) * hidden)
    rules = [adam(1.0, 0.9, 0.99), adam(1.0, 0.5, 0.99), momentum(1.0, 0.9, dampening=0.9)][:steps]

    def update(g, state, w, lr):
        units, state = unit_steps(rules, g, state, w)
        seen = [units[0] * units[1].sign()]
        if means is not None:
            v = state["u0.v"] / (1 - state["u0.beta2_power"]) + TINY
            into, out, layer = means(v)
            units[2] = units[2] / (1 - state["u0.beta1_power"]) / (into * out / layer).sqrt()
            seen += [(v / mean).log() / 4 for mean in (into, out, layer)]
        if hidden:
            network = tanh_network(theta[steps:].to(w.dtype), inputs, hidden, steps)
            factors = network(torch.stack(seen, -1)).exp().unbind(-1)
            units = [factor * unit for factor, unit in zip(factors, units)]
        return lr * mixed(theta[:steps], units), state

    settings = {"theta": theta, "means": means, "hidden": hidden, "lr": learning_rate(lr)}
    return Rule("network_rule", settings, lambda w: states_of(rules, w), update)


def network_start(seed, means=None, *, hidden=0, lr=0.02):
    """Numbers for `network_rule` that make it Adam with this rate, its network silent.

    Parameters
    ----------
    seed : int
        Of the first layer, so that the hidden numbers differ.
    means, hidden
        As they are given to `network_rule`.
    lr : float, > 0

    Returns
    -------
    tensor [M] of float64

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> network_start(0), len(network_start(0, hidden=8))
    (tensor([0.0200, 0.0000], dtype=torch.float64), 34)
    """
    steps, inputs = sizes_of(means)
    hidden, lr = count("hidden", hidden, least=0), number("lr", lr, above=0)
    theta = torch.zeros(steps + (inputs + 1 + steps) * hidden, dtype=torch.float64)
    theta[0] = lr
    generator = torch.Generator().manual_seed(count("seed", seed, least=0))
    theta[steps : steps + inputs * hidden] = torch.randn(inputs * hidden, generator=generator, dtype=theta.dtype) / 2
    return theta


def sizes_of(means):
    """How many steps are mixed, and how many numbers the network sees of a weight."""
    if means is not None and not callable(means):
        raise TypeError(f"means must be a function of the weights, such as neuron_means(sizes), or None, got {means!r}")
    return (2, 1) if means is None else (3, 4)


def neuron_means(sizes):
    """Messages through the neurons of fully connected layers, for flat weights [..., D].

    Parameters
    ----------
    sizes : list of pairs
        (inputs, outputs) of each layer, as `Network.sizes` of `course_lib.transfer`. The
        weights of a layer are its matrix [inputs, outputs], then its biases, that come from
        a neuron of their own.

    Returns
    -------
    callable
        `means(x) -> (into, out, layer)`, each of x's shape: for every weight the mean of x
        over all weights into the same neuron, out of the same neuron, and of the layer.

    Raises
    ------
    TypeError, ValueError
        If sizes are no pairs of whole numbers above 0.

    Examples
    --------
    >>> into, out, layer = neuron_means([(1, 2)])(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    >>> into, out, layer
    (tensor([2., 4., 2., 4.]), tensor([1.5000, 1.5000, 4.5000, 4.5000]), tensor([3., 3., 3., 3.]))
    """
    if not isinstance(sizes, (list, tuple)) or not sizes or not all(isinstance(pair, (list, tuple)) for pair in sizes):
        raise TypeError(f"sizes must be a list of pairs (inputs, outputs), got {sizes!r}")
    if any(len(pair) != 2 for pair in sizes):
        raise ValueError(f"sizes must be pairs (inputs, outputs), got {sizes!r}")
    shapes = [(count("sizes", m) + 1, count("sizes", n)) for m, n in sizes]

    def means(x):
        pieces = x.split([rows * columns for rows, columns in shapes], -1)
        found = [_means(piece.unflatten(-1, shape), -2, -1) for piece, shape in zip(pieces, shapes)]
        return tuple(torch.cat([part.flatten(-2) for part in parts], -1) for parts in zip(*found))

    return means


def tensor_means(x):
    """The same messages for one tensor of a PyTorch module, so that `TorchOptimizer` can use the rule.

    Parameters
    ----------
    x : tensor
        Of a weight's shape [outputs, inputs, …] or a bias's [outputs]. A bias is on its own:
        of all that enters its neuron it sees itself alone.

    Returns
    -------
    into, out, layer : tensors of x's shape

    Examples
    --------
    >>> into, out, layer = tensor_means(torch.tensor([[1.0, 3.0], [2.0, 6.0]]))
    >>> into, out
    (tensor([[2., 2.], [4., 4.]]), tensor([[1.5000, 4.5000], [1.5000, 4.5000]]))
    """
    matrix = x.flatten(1) if x.dim() > 1 else x.reshape(-1, 1)
    return tuple(part.reshape(x.shape) for part in _means(matrix, 1, 0))


def _means(matrix, over_inputs, over_outputs):
    dims = (over_inputs, over_outputs, (over_inputs, over_outputs))
    return [matrix.mean(dim, keepdim=True).expand_as(matrix) for dim in dims]


register(tensor_means)
