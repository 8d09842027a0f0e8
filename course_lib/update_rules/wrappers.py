"""Rules around a rule: gradients gathered over several batches, weights averaged over steps."""

from course_lib.update_rules.arrays import cast_like, scalar, where, widen, zeros_like
from course_lib.update_rules.combining import Combined
from course_lib.update_rules.inputs import (
    check_lengths, check_state, gradient_at, parameters, setting,
)
from course_lib.update_rules.registry import register
from course_lib.validation import count


@register
def accumulate_gradients(rule, steps):
    """Gather the gradients of `steps` small batches, then make one step with their mean.

        ḡ = (g₁ + … + gₖ) / k

    For batches of equal size it is the step of one batch k times as large. In between
    δ = 0, and `t` counts the steps that were made.

    Parameters
    ----------
    rule : Rule
        Sees the mean alone; what is chained before `accumulate_gradients` sees every batch.
    steps : int
        k ≥ 1.

    Returns
    -------
    Rule

    Raises
    ------
    TypeError, ValueError
        If rule is no Rule, or gathers already, or steps is not a whole number above 0.

    References
    ----------
    `optax.MultiSteps`; `gradient_accumulation_steps` of a Keras optimizer. In PyTorch one
    calls `backward` k times, with the loss divided by k, before a step.

    Examples
    --------
    >>> import numpy as np
    >>> from course_lib import gradient_descent
    >>> rule, w = accumulate_gradients(gradient_descent(lr=1.0), steps=2), np.zeros(1)
    >>> state = rule.init(w)
    >>> for g in (1.0, 3.0):
    ...     delta, state = rule.update(np.array([g]), state, w)
    ...     print(delta)
    [0.]
    [-2.]
    """
    return _Accumulated(rule, count("steps", steps))


@register
def weight_ema(rule, decay=0.999):
    """Keep an exponential moving average of the weights beside them.

        w̄ ← d w̄ + (1 − d) w,    w̄ = w after the first step

    The steps are the rule's own; the average stands in `state["average"]`, for use in
    place of the weights when the model is evaluated.

    Parameters
    ----------
    rule : Rule
    decay : float
        d, 0 ≤ d < 1: the average forgets in about 1/(1 − d) steps.

    Returns
    -------
    Rule

    Raises
    ------
    TypeError, ValueError
        If rule is no Rule, or averages already, or decay is out of range.

    References
    ----------
    B. T. Polyak, A. B. Juditsky, Acceleration of stochastic approximation by averaging,
    SIAM J. Control Optim. 30 (1992), for the plain mean. As `get_ema_multi_avg_fn(d)` of
    `torch.optim.swa_utils` and `use_ema=True` in Keras.

    Examples
    --------
    >>> import numpy as np
    >>> from course_lib import gradient_descent
    >>> rule, w = weight_ema(gradient_descent(lr=1.0), decay=0.5), np.zeros(1)
    >>> state = rule.init(w)
    >>> for _ in range(2):
    ...     delta, state = rule.update(np.array([-1.0]), state, w)
    ...     w = w + delta
    >>> w, state["average"]
    (array([2.]), array([1.5]))
    """
    return _Averaged(rule, setting("decay", decay, least=0, below=1))


class _Accumulated(Combined):
    def __init__(self, rule, steps):
        super().__init__("accumulate_gradients", {"rule": rule, "steps": steps}, [rule])
        _refuse(rule, _Accumulated, "gather gradients already")

    def _rebuilt(self, parts, own):
        return accumulate_gradients(parts[0], own["steps"])

    def init(self, w):
        w = parameters("w", w)
        own = {"gathered": zeros_like(widen(w)), "batches": scalar(0, like=w)}
        return {**self._parts[0].init(w), **own}

    def update_all(self, gs, states, ws, lr=None, rules=None):
        rules = rules or [self] * len(ws)
        check_lengths(gs=gs, states=states, ws=ws, rules=rules)
        means, counts, before = [], [], []
        for rule, g, state, w in zip(rules, gs, states, ws):
            g, w = gradient_at(g, w)
            check_state(state)
            means.append(state["gathered"] + widen(g) / rule.settings["steps"])
            counts.append(state["batches"] + 1)
            before.append(_without(state, "gathered", "batches"))
        inner = [rule._parts[0] for rule in rules]
        deltas, after = self._parts[0].update_all(means, before, ws, lr, inner)
        states = []
        for i, (rule, w) in enumerate(zip(rules, ws)):
            full = counts[i] == rule.settings["steps"]
            deltas[i] = where(full, deltas[i], zeros_like(w))
            state = {key: where(full, value, before[i][key]) for key, value in after[i].items()}
            state["gathered"] = where(full, zeros_like(means[i]), means[i])
            state["batches"] = where(full, 0 * counts[i], counts[i])
            states.append(state)
        return deltas, states


class _Averaged(Combined):
    def __init__(self, rule, decay):
        super().__init__("weight_ema", {"rule": rule, "decay": decay}, [rule])
        _refuse(rule, _Averaged, "average the weights already")
        _refuse(rule, _Accumulated, "gather gradients: put weight_ema inside accumulate_gradients")

    def _rebuilt(self, parts, own):
        return weight_ema(parts[0], own["decay"])

    def init(self, w):
        w = parameters("w", w)
        return {**self._parts[0].init(w), "average": 1 * widen(w)}

    def update_all(self, gs, states, ws, lr=None, rules=None):
        rules = rules or [self] * len(ws)
        inner = [rule._parts[0] for rule in rules]
        before = [_without(state, "average") for state in states]
        deltas, after = self._parts[0].update_all(gs, before, ws, lr, inner)
        for rule, state, old, w, delta in zip(rules, after, states, ws, deltas):
            w, t = widen(w + delta), state["t"]
            forget = 1 - where(t > 1, rule.settings["decay"] + 0 * t, 0 * t)
            average = old["average"] + forget * (w - old["average"])
            state["average"] = cast_like(average, like=old["average"])
        return deltas, after


def _without(state, *names):
    check_state(state)
    return {key: value for key, value in state.items() if key not in names}


def _refuse(rule, kind, why):
    parts = [rule]
    for part in parts:
        if isinstance(part, kind):
            raise ValueError(f"rule must not {why}, got {rule!r}")
        parts += getattr(part, "_parts", [])
