"""Momentum: a step that remembers the last ones."""

from course_lib.update_rules.arrays import zeros_like
from course_lib.update_rules.inputs import learning_rate, setting, switch
from course_lib.update_rules.registry import register
from course_lib.update_rules.rule import Rule


@register
def momentum(lr, beta=0.9, dampening=0.0, nesterov=False):
    """Momentum: gradients add up in a velocity, which fades by β a step.

        v ← β v + (1 − d) g,  v₀ = 0
        δ = −η v                         (heavy ball)
        δ = −η ((1 − d) g + β v)         (Nesterov)

    Along a constant gradient the step grows to η(1 − d)/(1 − β) times it: 10 η at β = .9.
    With `dampening=beta` the velocity is an average of gradients, and it grows to η.

    Parameters
    ----------
    lr : float, 0-d tensor or schedule
        The learning rate η ≥ 0, outside the velocity.
    beta : float
        0 ≤ β < 1; at 0, with d = 0, this is gradient descent.
    dampening : float
        d, 0 ≤ d < 1.
    nesterov : bool
        Look one step of the velocity ahead.

    Returns
    -------
    Rule
        State: `v`.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong type or out of its range.

    References
    ----------
    B. T. Polyak, Some methods of speeding up the convergence of iteration methods, USSR
    Comp. Math. Math. Phys. 4 (1964), 1–17: w ← w − ηg + β(w − w₋), the same for
    constant η. Y. Nesterov, Dokl. Akad. Nauk SSSR 269 (1983), 543–547, in the form of
    I. Sutskever, J. Martens, G. Dahl, G. Hinton, ICML 2013, (3)–(4): their parameters are
    our w + ηβv. As `torch.optim.SGD`, but that exempts the first step from dampening.
    Keras's SGD puts η inside the velocity: the same as long as η is constant.

    Examples
    --------
    >>> import numpy as np
    >>> rule, g = momentum(lr=1.0, beta=0.5), np.ones(1)
    >>> state = rule.init(g)
    >>> for _ in range(3):
    ...     delta, state = rule.update(g, state, g)
    ...     print(delta)
    [-1.]
    [-1.5]
    [-1.75]
    """
    lr = learning_rate(lr)
    beta = setting("beta", beta, least=0, below=1)
    dampening = setting("dampening", dampening, least=0, below=1)
    nesterov = switch("nesterov", nesterov)

    def init(w):
        return {"v": zeros_like(w)}

    def update(g, state, w, lr):
        v = beta * state["v"] + (1 - dampening) * g
        delta = -lr * ((1 - dampening) * g + beta * v if nesterov else v)
        return delta, {**state, "v": v}

    settings = {"lr": lr, "beta": beta, "dampening": dampening, "nesterov": nesterov}
    return Rule("momentum", settings, init, update)
