"""Rules that keep the sign of a direction and throw its length away."""

from course_lib.update_rules.arrays import sign, zeros_like
from course_lib.update_rules.inputs import learning_rate, mask_setting, masked, setting
from course_lib.update_rules.registry import register
from course_lib.update_rules.rule import Rule


@register
def sign_descent(lr):
    """Sign descent: every parameter moves by η, downhill.

        δ = −η sign(g)

    Parameters
    ----------
    lr : float, 0-d tensor or schedule
        The learning rate η ≥ 0, in the units of w.

    Returns
    -------
    Rule
        Without memory.

    Raises
    ------
    TypeError, ValueError
        If lr is not a number, negative or not finite.

    References
    ----------
    J. Bernstein, Y.-X. Wang, K. Azizzadenesheli, A. Anandkumar, signSGD, ICML 2018,
    Algorithm 1. Adam and RMSProp with β = ρ = 0 and ε = 0 make the same steps.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([300.0, -0.02, 0.0])
    >>> rule = sign_descent(lr=0.5)
    >>> rule.update(w, rule.init(w), w)[0]
    array([-0.5,  0.5, -0. ])
    """
    lr = learning_rate(lr)

    def init(w):
        return {}

    def update(g, state, w, lr):
        delta = -lr * sign(g)
        return delta, state

    return Rule("sign_descent", {"lr": lr}, init, update)


@register
def lion(lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0, mask=None):
    """Lion: the sign of an average, with another average kept for the next step.

        c = β₁ m + (1 − β₁) g
        m ← β₂ m + (1 − β₂) g,  m₀ = 0
        δ = −η (sign(c) + λ w)

    The decay is decoupled: λw never enters the averages.

    Parameters
    ----------
    lr : float, 0-d tensor or schedule
        The learning rate η ≥ 0, in the units of w.
    beta1, beta2 : float
        0 ≤ β < 1. β₁ weighs the direction, β₂ the memory.
    weight_decay : float
        λ ≥ 0.
    mask : array that broadcasts with w, or callable, optional
        Where to decay, as in `add_decayed_weights`.

    Returns
    -------
    Rule
        State: `m`.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong type or out of its range.

    References
    ----------
    X. Chen et al., Symbolic discovery of optimization algorithms, NeurIPS 2023,
    arXiv:2302.06675, Algorithm 2. As `keras.optimizers.Lion` and `optax.lion` (where
    λ = 1e-3 by default).

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([300.0, -0.02])
    >>> rule = lion(lr=0.5)
    >>> rule.update(w, rule.init(w), w)[0]
    array([-0.5,  0.5])
    """
    lr = learning_rate(lr)
    beta1 = setting("beta1", beta1, least=0, below=1)
    beta2 = setting("beta2", beta2, least=0, below=1)
    weight_decay = setting("weight_decay", weight_decay, least=0)
    mask = mask_setting(mask)

    def init(w):
        return {"m": zeros_like(w)}

    def update(g, state, w, lr):
        c = beta1 * state["m"] + (1 - beta1) * g
        m = beta2 * state["m"] + (1 - beta2) * g
        delta = -lr * (sign(c) + weight_decay * masked(w, mask))
        return delta, {**state, "m": m}

    settings = {
        "lr": lr, "beta1": beta1, "beta2": beta2, "weight_decay": weight_decay, "mask": mask,
    }
    return Rule("lion", settings, init, update)
