"""A rate for each layer, or for each weight: the rule's own, times a factor."""

import numpy as np

from course_lib.update_rules.arrays import constant, is_tensor, where, widen
from course_lib.update_rules.combining import Combined
from course_lib.update_rules.inputs import check_fits, check_lengths
from course_lib.update_rules.registry import register
from course_lib.validation import count, finite_array


@register
def layer_rates(rule, factors):
    """Run a rule with a learning rate of its own for each weight: η times a factor.

        ηᵢ = φᵢ η

    Where φ = 0 a weight is frozen: no gradient, momentum or decay moves it. Where φ = 1
    everywhere the rule is what it was.

    Parameters
    ----------
    rule : Rule
        One with a learning rate.
    factors : number, array, list or callable
        φ ≥ 0. A number or an array that broadcasts with w; a list with one of these for
        each array of a model, in the order in which `update_all` gets them; or a function
        of the number of steps made that returns such a factor, see `stages`.

    Returns
    -------
    Rule

    Raises
    ------
    TypeError, ValueError
        If rule has no learning rate, or a factor is negative, not finite, or does not
        broadcast with its array.

    References
    ----------
    J. Howard, S. Ruder, Universal language model fine-tuning for text classification, ACL
    2018: "discriminative fine-tuning". The `lr` of a parameter group in PyTorch.

    Examples
    --------
    >>> from course_lib import gradient_descent
    >>> rule = layer_rates(gradient_descent(lr=0.5), [0.0, 0.1, 1.0])
    >>> ws = [np.ones(2) for _ in range(3)]
    >>> deltas, _ = rule.update_all(ws, [rule.init(w) for w in ws], ws)
    >>> [float(delta[0]) for delta in deltas]
    [-0.0, -0.05, -0.5]
    """
    return _LayerRates(rule, factors if callable(factors) else _checked(factors))


@register
def stages(factors, boundaries):
    """Factors that change during a run: gradual unfreezing, or a probe before fine-tuning.

    Parameters
    ----------
    factors : list
        For each stage what `layer_rates` takes: a number, an array, or a list of these.
    boundaries : list of int
        After how many steps the second stage begins, the third, …; ascending, from 1.

    Returns
    -------
    callable
        steps made -> factors

    Raises
    ------
    TypeError, ValueError
        If there is not one boundary fewer than there are stages, or they do not ascend.

    References
    ----------
    A. Kumar, A. Raghunathan, R. Jones, T. Ma, P. Liang, Fine-tuning can distort pretrained
    features and underperform out-of-distribution, ICLR 2022: first the head, then all.

    Examples
    --------
    >>> probe_then_all = stages([[0.0, 1.0], [1.0, 1.0]], boundaries=[100])
    >>> probe_then_all(99), probe_then_all(100)
    ([0.0, 1.0], [1.0, 1.0])
    """
    return _Stages(factors, boundaries)


class _LayerRates(Combined):
    def __init__(self, rule, factors):
        super().__init__("layer_rates", {"rule": rule, "factors": factors}, [rule])
        if rule.lr is None:
            raise ValueError(f"rule must have a learning rate, got {rule!r}")

    def _rebuilt(self, parts, own):
        return layer_rates(parts[0], own["factors"])

    def init(self, w):
        return self._parts[0].init(w)

    def update_all(self, gs, states, ws, lr=None, rules=None):
        rules = rules or [self] * len(ws)
        lrs = lr if isinstance(lr, list) else [lr] * len(ws)
        check_lengths(gs=gs, states=states, ws=ws, lr=lrs, rules=rules)
        lrs = [rule._rate(i, len(ws), *each) for i, (rule, *each) in enumerate(zip(rules, lrs, states, ws))]
        return self._parts[0].update_all(gs, states, ws, lrs, [rule._parts[0] for rule in rules])

    def _rate(self, i, arrays, lr, state, w):
        t, factor = state["t"], self.settings["factors"]
        if callable(factor):
            factor = factor(t)
        if isinstance(factor, list):
            if len(factor) != arrays:
                raise ValueError(f"factors must hold one for each of {arrays} arrays, got {len(factor)}")
            factor = factor[i]
        lr = self.lr if lr is None else lr
        if callable(lr):
            lr = lr(t if is_tensor(t) else int(t))
        check_fits("factors", factor, w)
        return lr * (factor if is_tensor(factor) else constant(np.asarray(factor), like=widen(w)))


class _Stages:
    name = "stages"

    def __init__(self, factors, boundaries):
        if not isinstance(factors, (list, tuple)) or len(factors) != len(boundaries) + 1:
            raise ValueError(f"factors must hold one stage more than boundaries, got {factors!r} and {boundaries!r}")
        self.factors = [_checked(each) for each in factors]
        self.boundaries = [count("boundaries", each) for each in boundaries]
        if sorted(set(self.boundaries)) != self.boundaries:
            raise ValueError(f"boundaries must ascend, got {boundaries!r}")
        self.settings = {"factors": self.factors, "boundaries": self.boundaries}

    def __repr__(self):
        return f"stages({self.factors!r}, {self.boundaries!r})"

    def __call__(self, step):
        now = self.factors[0]
        for boundary, factors in zip(self.boundaries, self.factors[1:]):
            now = _either(step >= boundary, factors, now)
        return now


def _either(condition, a, b):
    """a where the condition holds, else b: both factors, or lists of them."""
    if not is_tensor(condition):
        return a if condition else b
    if isinstance(a, list):
        return [_either(condition, *each) for each in zip(a, b)]
    return where(condition, *(each if is_tensor(each) else constant(np.asarray(each, float), like=condition.double())
                              for each in (a, b)))


def _checked(factors):
    if isinstance(factors, (list, tuple)):
        return [_checked(each) for each in factors]
    if is_tensor(factors):
        return factors
    array = finite_array("factors", factors)
    if (array < 0).any():
        raise ValueError(f"factors must be at least 0, got {factors!r}")
    return array if array.ndim else float(array)
