"""A rate for every parameter, from the squares of its gradients: AdaGrad, RMSProp, AdaDelta."""

from course_lib.update_rules.arrays import maximum, sqrt, zeros_like
from course_lib.update_rules.inputs import learning_rate, setting, switch
from course_lib.update_rules.registry import register
from course_lib.update_rules.rule import Rule


@register
def adagrad(lr=1e-2, eps=1e-10):
    """AdaGrad: the step shrinks with the sum of all squared gradients so far.

        s ← s + g²,  s₀ = 0
        δ = −η g / (√s + ε)

    Parameters
    ----------
    lr : float, 0-d tensor or schedule
        The learning rate η ≥ 0: the length of the first step of each parameter.
    eps : float
        ε ≥ 0, outside the root, in the units of g.

    Returns
    -------
    Rule
        State: `s`.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong type or out of its range.

    References
    ----------
    J. Duchi, E. Hazan, Y. Singer, Adaptive subgradient methods for online learning and
    stochastic optimization, JMLR 12 (2011), 2121–2159, Figure 1, diagonal case; there a
    small constant δ stands in ε's place. As `torch.optim.Adagrad`. Keras starts s at 0.1
    and puts ε inside the root.

    Examples
    --------
    >>> import numpy as np
    >>> rule, g = adagrad(lr=1.0), np.array([3.0, -0.01])
    >>> delta, state = rule.update(g, rule.init(g), g)
    >>> delta.round(3)
    array([-1.,  1.])
    """
    lr = learning_rate(lr)
    eps = setting("eps", eps, least=0)

    def init(w):
        return {"s": zeros_like(w)}

    def update(g, state, w, lr):
        s = state["s"] + g * g
        delta = -lr * g / (sqrt(s) + eps)
        return delta, {**state, "s": s}

    return Rule("adagrad", {"lr": lr, "eps": eps}, init, update)


@register
def rmsprop(lr=1e-2, rho=0.99, eps=1e-8, momentum=0.0, centered=False):
    """RMSProp: AdaGrad that forgets, so that its rate does not die.

        v ← ρ v + (1 − ρ) g²,  v₀ = 0
        a ← ρ a + (1 − ρ) g,   a₀ = 0    (centred; otherwise a = 0)
        u = g / (√(v − a²) + ε)
        b ← μ b + u,           b₀ = 0    (with momentum; otherwise b = u)
        δ = −η b

    There is no bias correction: the first step is 1/√(1 − ρ) times as long as η.

    Parameters
    ----------
    lr : float, 0-d tensor or schedule
        The learning rate η ≥ 0.
    rho : float
        0 ≤ ρ < 1: squares are forgotten in about 1/(1 − ρ) steps.
    eps : float
        ε ≥ 0, outside the root, in the units of g.
    momentum : float
        0 ≤ μ < 1, on the scaled gradient.
    centered : bool
        Divide by the deviation of the gradients instead of their root mean square.

    Returns
    -------
    Rule
        State: `v`; `a` if centred; `b` with momentum.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong type or out of its range.

    References
    ----------
    T. Tieleman, G. Hinton, Lecture 6.5, Neural networks for machine learning, Coursera
    2012. Centred, with momentum: A. Graves, arXiv:1308.0850, (38)–(41), where ε stands
    inside the root and η inside b. As `torch.optim.RMSprop`. Keras puts ε inside the root.

    Examples
    --------
    >>> import numpy as np
    >>> rule, g = rmsprop(lr=1.0, rho=0.75), np.array([3.0, -0.01])
    >>> rule.update(g, rule.init(g), g)[0].round(3)
    array([-2.,  2.])
    """
    lr = learning_rate(lr)
    rho = setting("rho", rho, least=0, below=1)
    eps = setting("eps", eps, least=0)
    momentum = setting("momentum", momentum, least=0, below=1)
    centered = switch("centered", centered)
    has_momentum = not isinstance(momentum, float) or momentum > 0

    def init(w):
        state = {"v": zeros_like(w)}
        if centered:
            state["a"] = zeros_like(w)
        if has_momentum:
            state["b"] = zeros_like(w)
        return state

    def update(g, state, w, lr):
        new = {"v": rho * state["v"] + (1 - rho) * g * g}
        variance = new["v"]
        if centered:
            new["a"] = rho * state["a"] + (1 - rho) * g
            # Never negative but for rounding.
            variance = maximum(variance - new["a"] * new["a"], 0.0)
        u = g / (sqrt(variance) + eps)
        if has_momentum:
            new["b"] = u = momentum * state["b"] + u
        delta = -lr * u
        return delta, {**state, **new}

    settings = {"lr": lr, "rho": rho, "eps": eps, "momentum": momentum, "centered": centered}
    return Rule("rmsprop", settings, init, update)


@register
def adadelta(lr=1.0, rho=0.9, eps=1e-6):
    """AdaDelta: a step in the units of w, from the size of the steps before.

        v ← ρ v + (1 − ρ) g²,  v₀ = 0
        u = √(x + ε) / √(v + ε) · g
        x ← ρ x + (1 − ρ) u²,  x₀ = 0
        δ = −η u

    Parameters
    ----------
    lr : float, 0-d tensor or schedule
        The learning rate η ≥ 0; 1 in the paper.
    rho : float
        0 ≤ ρ < 1.
    eps : float
        ε > 0, inside both roots. It starts the method: the first step has the length
        √ε / √(1 − ρ), nearly.

    Returns
    -------
    Rule
        State: `v`, `x`.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong type or out of its range.

    References
    ----------
    M. D. Zeiler, ADADELTA: an adaptive learning rate method, arXiv:1212.5701, Algorithm 1
    (which has no η). As `torch.optim.Adadelta` and `keras.optimizers.Adadelta`.

    Examples
    --------
    >>> import numpy as np
    >>> rule, g = adadelta(eps=0.01, rho=0.75), np.array([3.0, -300.0])
    >>> rule.update(g, rule.init(g), g)[0].round(2)
    array([-0.2,  0.2])
    """
    lr = learning_rate(lr)
    rho = setting("rho", rho, least=0, below=1)
    eps = setting("eps", eps, above=0)

    def init(w):
        return {"v": zeros_like(w), "x": zeros_like(w)}

    def update(g, state, w, lr):
        v = rho * state["v"] + (1 - rho) * g * g
        u = sqrt(state["x"] + eps) / sqrt(v + eps) * g
        x = rho * state["x"] + (1 - rho) * u * u
        delta = -lr * u
        return delta, {**state, "v": v, "x": x}

    return Rule("adadelta", {"lr": lr, "rho": rho, "eps": eps}, init, update)
