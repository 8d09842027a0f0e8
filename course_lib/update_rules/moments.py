"""Two moments of the gradient: Adam and its family."""

from course_lib.update_rules.arrays import maximum, scalar, sqrt, zeros_like
from course_lib.update_rules.inputs import learning_rate, mask_setting, masked, setting, switch
from course_lib.update_rules.registry import register
from course_lib.update_rules.rule import Rule


def _moments(w):
    return {
        "m": zeros_like(w),
        "v": zeros_like(w),
        "beta1_power": scalar(1, like=w),
        "beta2_power": scalar(1, like=w),
    }


def _moment_settings(lr, beta1, beta2, eps):
    return {
        "lr": learning_rate(lr),
        "beta1": setting("beta1", beta1, least=0, below=1),
        "beta2": setting("beta2", beta2, least=0, below=1),
        "eps": setting("eps", eps, least=0),
    }


@register
def adam(lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, amsgrad=False):
    """Adam: averages of the gradient and of its square, each freed of its start at 0.

        m ← β₁ m + (1 − β₁) g,   m₀ = 0
        v ← β₂ v + (1 − β₂) g²,  v₀ = 0
        m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ),  t from 1
        δ = −η m̂ / (√v̂ + ε)

    AMSGrad divides by the largest v so far: v̂ = max(v₁, …, vₜ) / (1 − β₂ᵗ).

    Parameters
    ----------
    lr : float, 0-d tensor or schedule
        The learning rate η ≥ 0, in the units of w: the length of the first step of each
        parameter.
    beta1, beta2 : float
        0 ≤ β < 1: forgetting of m and of v.
    eps : float
        ε ≥ 0, outside the root, after bias correction, in the units of g.
    amsgrad : bool

    Returns
    -------
    Rule
        State: `m`, `v`, the powers `beta1_power` = β₁ᵗ and `beta2_power` = β₂ᵗ; `v_max`
        with AMSGrad.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong type or out of its range.

    References
    ----------
    D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015,
    arXiv:1412.6980, Algorithm 1. S. J. Reddi, S. Kale, S. Kumar, On the convergence of
    Adam and beyond, ICLR 2018, Algorithm 2, which has no bias correction. As
    `torch.optim.Adam`. Keras and TensorFlow add ε before bias correction: the paper's ε̂.

    Examples
    --------
    >>> import numpy as np
    >>> rule, g = adam(lr=0.5), np.array([3.0, -0.01])
    >>> delta, state = rule.update(g, rule.init(g), g)
    >>> delta.round(3), round(state["beta1_power"], 3)
    (array([-0.5,  0.5]), 0.9)
    """
    settings = _moment_settings(lr, beta1, beta2, eps)
    lr, beta1, beta2, eps = settings.values()
    amsgrad = switch("amsgrad", amsgrad)

    def init(w):
        return {**_moments(w), "v_max": zeros_like(w)} if amsgrad else _moments(w)

    def update(g, state, w, lr):
        m = beta1 * state["m"] + (1 - beta1) * g
        v = beta2 * state["v"] + (1 - beta2) * g * g
        state = {**state, "m": m, "v": v}
        state["beta1_power"] = beta1 * state["beta1_power"]
        state["beta2_power"] = beta2 * state["beta2_power"]
        if amsgrad:
            state["v_max"] = v = maximum(state["v_max"], v)
        m_hat = m / (1 - state["beta1_power"])
        v_hat = v / (1 - state["beta2_power"])
        delta = -lr * m_hat / (sqrt(v_hat) + eps)
        return delta, state

    return Rule("adam", {**settings, "amsgrad": amsgrad}, init, update)


@register
def adamw(
    lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=1e-2, amsgrad=False, mask=None
):
    """AdamW: Adam whose weights decay on their own, at the rate ηλ.

        δ = δ_Adam − η λ w

    The decay does not enter the moments, so it is the same for parameters with large and
    with small gradients. With λ = 0 this is Adam.

    Parameters
    ----------
    lr : float, 0-d tensor or schedule
        The learning rate η ≥ 0, in the units of w. It scales the decay too.
    beta1, beta2, eps, amsgrad
        As in `adam`.
    weight_decay : float
        λ ≥ 0, in units of 1 a step at η = 1.
    mask : array that broadcasts with w, or callable, optional
        Where to decay, as in `add_decayed_weights`.

    Returns
    -------
    Rule
        State: as `adam`.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong type or out of its range.

    References
    ----------
    I. Loshchilov, F. Hutter, Decoupled weight decay regularization, ICLR 2019,
    arXiv:1711.05101, Algorithm 2, line 12; there λ is not multiplied by η but only by the
    schedule's multiplier. As `torch.optim.AdamW`.

    Examples
    --------
    >>> import numpy as np
    >>> w, g = np.array([10.0, 10.0]), np.array([3.0, 0.0])
    >>> rule = adamw(lr=0.5, weight_decay=0.1)
    >>> rule.update(g, rule.init(w), w)[0].round(3)
    array([-1. , -0.5])
    """
    inner = adam(lr, beta1, beta2, eps, amsgrad)
    weight_decay = setting("weight_decay", weight_decay, least=0)
    mask = mask_setting(mask)

    def update(g, state, w, lr):
        delta, state = inner._formula(g, state, w, lr)
        delta = delta - lr * weight_decay * masked(w, mask)
        return delta, state

    settings = {**inner.settings, "weight_decay": weight_decay, "mask": mask}
    return Rule("adamw", settings, inner._init, update)


@register
def nadam(lr=2e-3, beta1=0.9, beta2=0.999, eps=1e-8, momentum_decay=4e-3):
    """NAdam: Adam with Nesterov's look ahead.

        μₜ = β₁ (1 − ½ · .96^(ψt))
        m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
        m̂ = μₜ₊₁ m / (1 − μ₁ … μₜ₊₁) + (1 − μₜ) g / (1 − μ₁ … μₜ)
        δ = −η m̂ / (√(v / (1 − β₂ᵗ)) + ε)

    Parameters
    ----------
    lr : float, 0-d tensor or schedule
        The learning rate η ≥ 0, in the units of w.
    beta1, beta2, eps
        As in `adam`.
    momentum_decay : float
        ψ ≥ 0: how fast μ rises from β₁/2 to β₁.

    Returns
    -------
    Rule
        State: `m`, `v`, `beta2_power` = β₂ᵗ, `decay_power` = .96^(ψt) and `mu_product` =
        μ₁ … μₜ.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong type or out of its range.

    References
    ----------
    T. Dozat, Incorporating Nesterov momentum into Adam, ICLR 2016 workshop, in the form of
    `torch.optim.NAdam`, where m averages with β₁ throughout. Keras's Nadam is the case
    ψ = 1.

    Examples
    --------
    >>> import numpy as np
    >>> rule, g = nadam(lr=0.5), np.array([3.0, -0.01])
    >>> rule.update(g, rule.init(g), g)[0].round(2)
    array([-0.53,  0.53])
    """
    settings = _moment_settings(lr, beta1, beta2, eps)
    lr, beta1, beta2, eps = settings.values()
    momentum_decay = setting("momentum_decay", momentum_decay, least=0)
    fade = 0.96**momentum_decay

    def init(w):
        powers = ("beta2_power", "decay_power", "mu_product")
        moments = {"m": zeros_like(w), "v": zeros_like(w)}
        return {**moments, **{power: scalar(1, like=w) for power in powers}}

    def update(g, state, w, lr):
        m = beta1 * state["m"] + (1 - beta1) * g
        v = beta2 * state["v"] + (1 - beta2) * g * g
        beta2_power = beta2 * state["beta2_power"]
        decay_power = fade * state["decay_power"]
        mu = beta1 * (1 - 0.5 * decay_power)
        mu_next = beta1 * (1 - 0.5 * decay_power * fade)
        mu_product = mu * state["mu_product"]
        m_hat = mu_next * m / (1 - mu_product * mu_next) + (1 - mu) * g / (1 - mu_product)
        v_hat = v / (1 - beta2_power)
        delta = -lr * m_hat / (sqrt(v_hat) + eps)
        powers = {"beta2_power": beta2_power, "decay_power": decay_power, "mu_product": mu_product}
        return delta, {**state, "m": m, "v": v, **powers}

    return Rule("nadam", {**settings, "momentum_decay": momentum_decay}, init, update)
