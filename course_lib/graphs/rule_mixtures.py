"""Rules made of rules: their steps mixed by numbers, chosen or learned, along the edges of a graph."""

from course_lib.update_rules import Rule, register
from course_lib.update_rules.arrays import is_tensor
from course_lib.update_rules.combining import Combined
from course_lib.update_rules.inputs import learning_rate
from course_lib.validation import finite_array


@register
def decay_to_zero(lr=1.0):
    """The rule whose step is −η w: a part of a mixture that pulls the weights to 0.

    Along messages it pulls to the neighbours: −w + P w is the way to their mean.

    Parameters
    ----------
    lr : float or schedule

    Returns
    -------
    Rule

    Raises
    ------
    TypeError, ValueError
        If lr is no rate.

    Examples
    --------
    >>> import numpy as np
    >>> rule, w = decay_to_zero(lr=0.25), np.array([4.0])
    >>> rule.update(w, rule.init(w), w)[0]
    array([-1.])
    """
    def update(g, state, w, lr):
        return -lr * w, state

    return Rule("decay_to_zero", {"lr": learning_rate(lr)}, lambda w: {}, update)


@register
def mixture(rules, coefficients, message=None, lr=1.0):
    """One rule from several: the steps they would make at η = 1, mixed by given numbers.

        xₖ = Σⱼ cₖⱼ uⱼ                               uⱼ the step of rule j
        δ = η (x₀ + P (x₁ + P (x₂ + …)))             P passes messages to the neighbours

    So x₀ is what a parameter does about itself, x₁ what it tells its neighbours, x₂ what they
    pass on. One row of numbers needs no message, each further row one message a step,
    however many rules are mixed.

    Parameters
    ----------
    rules : list of Rule
        J of them, none made of others: a chain goes around the mixture. Their own rates are not used.
    coefficients : tensor or array [1 + K, J]
        Learned or chosen. A tensor may require gradients.
    message : callable, optional
        `message(x) -> x` of the same shape: P, linear, such as `P.__matmul__` of a
        `Propagation`. Needed if K > 0.
    lr : float, tensor that broadcasts with w, or schedule
        η, 1 by default: the numbers hold the rate already.

    Returns
    -------
    Rule
        State: that of every rule, beside each other under `"u0.v"`, `"u1.m"`, …

    Raises
    ------
    TypeError, ValueError
        If the numbers do not fit the rules, or a message is missing.

    References
    ----------
    J. Ma, D. Yarats, Quasi-hyperbolic momentum and Adam for deep learning, ICLR 2019,
    arXiv:1810.06801, mix plain and heavy-ball steps, without messages.

    Examples
    --------
    >>> import numpy as np
    >>> from course_lib import gradient_descent, sign_descent
    >>> rule = mixture([gradient_descent(lr=1.0), sign_descent(lr=1.0)], [[0.5, 0.25]])
    >>> g = np.array([3.0, -1.0])
    >>> rule.update(g, rule.init(g), g)[0]
    array([-1.75,  0.75])
    """
    rules = parts_of("rules", rules)
    rows = numbers_of("coefficients", coefficients, len(rules))
    if len(rows) > 1 and not callable(message):
        raise TypeError(f"message must be a function of the steps for {len(rows)} rows of numbers, got {message!r}")

    def update(g, state, w, lr):
        units, state = unit_steps(rules, g, state, w)
        *inner, last = [mixed(row, units) for row in rows]
        delta = last
        for own in reversed(inner):
            delta = own + message(delta)
        return lr * delta, state

    settings = {"rules": rules, "coefficients": coefficients, "message": message, "lr": learning_rate(lr)}
    return Rule("mixture", settings, lambda w: states_of(rules, w), update)


def parts_of(name, rules):
    """Return rules as a list, or raise unless there is one and each is a rule on its own."""
    if not isinstance(rules, (list, tuple)) or not rules or not all(isinstance(rule, Rule) for rule in rules):
        raise TypeError(f"{name} must be a list of rules, such as [adam(), momentum(0.1)], got {rules!r}")
    made = [rule for rule in rules if isinstance(rule, Combined)]
    if made:
        raise ValueError(f"{name} must be rules that are made of no others, got {made[0]!r}: put it around the mixture")
    return list(rules)


def numbers_of(name, value, columns, rows=None):
    """Return a matrix of numbers as rows of numbers, those of a tensor differentiable, or raise."""
    array = value if is_tensor(value) else finite_array(name, value)
    shape = tuple(array.shape)
    if len(shape) != 2 or shape[1] != columns or shape[0] != (rows or max(1, shape[0])):
        raise ValueError(f"{name} must have shape [{rows or '1 + messages'}, {columns}], got {list(shape)}")
    if is_tensor(value):
        return [[value[i, j] for j in range(columns)] for i in range(shape[0])]
    return array.tolist()


def mixed(numbers, units):
    """Σⱼ cⱼ uⱼ."""
    return sum(c * unit for c, unit in zip(numbers, units))


def states_of(rules, w):
    """The states of several rules for the same w, as one flat dict."""
    return {f"u{j}.{key}": value for j, rule in enumerate(rules) for key, value in rule.init(w).items()}


def unit_steps(rules, g, state, w):
    """The step of every rule at η = 1, and the next state."""
    units, after = [], dict(state)
    for j, rule in enumerate(rules):
        head = f"u{j}."
        own = {key[len(head):]: value for key, value in state.items() if key.startswith(head)}
        unit, own = rule.update(g, own, w, lr=1.0)
        units.append(unit)
        after |= {head + key: value for key, value in own.items()}
    return units, after


def tanh_network(theta, inputs, hidden, outputs):
    """x [..., inputs] -> tanh(x A + a) B [..., outputs], of (inputs + 1 + outputs) · hidden numbers: A, a, B."""
    A, a, B = theta.split([inputs * hidden, hidden, hidden * outputs])
    return lambda x: (x @ A.view(inputs, hidden) + a).tanh() @ B.view(hidden, outputs)
