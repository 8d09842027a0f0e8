"""The learning rate learnt by gradient: through one step of a rule, or through a whole run."""

import math

from course_lib.update_rules import Rule, register
from course_lib.update_rules.arrays import (
    cast_like, flatten, is_tensor, maximum, norm, scalar, where, widen, zeros_like,
)
from course_lib.update_rules.combining import Combined
from course_lib.update_rules.inputs import check_lengths, check_state, gradient_at, parameters, setting
from course_lib.update_rules.wrappers import _Averaged, _refuse
from course_lib.validation import finite_array, number

KEYS = ("factor", "unit")


@register
def hypergradient_descent(rule, rate, normalised=False):
    """A rule whose learning rate descends the gradient of the loss with respect to itself.

    The last step was δ = η u, where u is the rule's step at η = 1. The loss changes with η
    by g · u, g being the gradient where the step has led. So before each step

        η ← η − rate (g · u)                        or, normalised,
        η ← η exp(−rate (g · u) / (|g| |u|))

    and never below 0. For gradient descent u is minus the gradient before: η grows as long
    as two gradients in a row agree. There is one η for the whole model.

    Parameters
    ----------
    rule : Rule
        With a number as its learning rate, from which η starts. Its steps must be
        proportional to its rate, as those of all rules of the book are.
    rate : float
        The learning rate of the learning rate, ≥ 0, in units of η² over the loss; normalised,
        a pure number: about the share of η that is gained where two gradients have one direction.
    normalised : bool

    Returns
    -------
    Rule
        A caller's own rates, a schedule's for instance, are multiplied with η over its start:
        `state["factor"]`. With rate = 0 it is the rule itself. Where an optimizer that was
        saved with it is loaded, this function must have been imported.

    Raises
    ------
    TypeError, ValueError
        If rule is no Rule, its rate no number above 0, or `rate` out of range.

    References
    ----------
    A. G. Baydin et al., Online learning rate adaptation with hypergradient descent, ICLR 2018,
    arXiv:1703.04782; L. B. Almeida et al., Parameter adaptation in stochastic optimization (1998).

    Examples
    --------
    >>> import numpy as np
    >>> from course_lib import gradient_descent
    >>> rule, w = hypergradient_descent(gradient_descent(lr=0.1), rate=0.1), np.array([1.0])
    >>> state = rule.init(w)
    >>> for _ in range(3):
    ...     delta, state = rule.update(w, state, w)      # of f(w) = w²/2 the gradient is w
    ...     w = w + delta
    ...     print(round(0.1 * state["factor"], 4))
    0.1
    0.19
    0.2556
    """
    return _Hypergradient(rule, number("rate", rate, least=0), bool(normalised))


class _Hypergradient(Combined):
    _whole_model = True  # one rate for all arrays

    def __init__(self, rule, rate, normalised):
        super().__init__("hypergradient_descent", {"rule": rule, "rate": rate, "normalised": normalised}, [rule])
        if callable(rule.lr) or rule.lr is None or not rule.lr > 0:
            raise ValueError(f"rule must have a number above 0 as its lr, got {rule!r}")
        _refuse(rule, _Hypergradient, "learn its rate already")
        _refuse(rule, _Averaged, "average the weights: put hypergradient_descent inside weight_ema")

    def _rebuilt(self, parts, own):
        return hypergradient_descent(parts[0], own["rate"], own["normalised"])

    def init(self, w):
        w = parameters("w", w)
        return {**self._parts[0].init(w), "factor": scalar(1, like=w), "unit": zeros_like(widen(w))}

    def update_all(self, gs, states, ws, lr=None, rules=None):
        lrs = lr if isinstance(lr, list) else [lr] * len(ws)
        rules = rules or [self] * len(ws)
        check_lengths(gs=gs, states=states, ws=ws, lr=lrs, rules=rules)
        gs = [widen(gradient_at(g, w)[0]) for g, w in zip(gs, ws)]
        for state in states:
            check_state(state)
        factor = self._learnt(_latest(states), flatten(gs), flatten([state["unit"] for state in states]))
        factors = [_cast(factor, like=state["factor"]) for state in states]
        inner = [rule._parts[0] for rule in rules]
        before = [{key: value for key, value in state.items() if key not in KEYS} for state in states]
        units, after = self._parts[0].update_all(gs, before, [widen(w) for w in ws], [1.0] * len(ws), inner)
        lrs = [rule.lr if rate is None else rate for rate, rule in zip(lrs, rules)]
        each = zip(lrs, before, factors, units, ws)
        deltas = [cast_like(_at(rate, state) * factor * unit, like=w) for rate, state, factor, unit, w in each]
        after = [{**state, "factor": factor, "unit": unit} for state, factor, unit in zip(after, factors, units)]
        return deltas, after

    def _learnt(self, factor, g, u):
        """The new factor, given the gradient [D] where the last step, u [D] at rate 1, has led."""
        rate, along = self.settings["rate"], _dot(g, u)
        if self.settings["normalised"]:
            along = _cast(along / maximum(norm(g) * norm(u), 1e-37), like=factor)
            return factor * math.e ** (-rate * along)
        factor = factor - rate / self.lr * _cast(along, like=factor)
        return maximum(factor, 0.0) if is_tensor(factor) else max(factor, 0.0)


def unrolled(loss, rule, w0, rates, *, final=None):
    """The loss after a whole run, and its gradient with respect to the rate of every step.

    The run is kept in memory and gone through backwards; all that a step does, momentum and
    second moments included, is differentiated.

    Parameters
    ----------
    loss : callable
        `loss(w, t) -> 0-d tensor`: the loss whose gradient makes step t, from 0.
    rule : Rule
    w0 : tensor of floats, of any shape
    rates : array [steps]
        The learning rate of each step, ≥ 0.
    final : callable, optional
        `final(w) -> 0-d tensor`: by what the run is judged, such as a validation loss. When
        left out: `loss(w, steps)`.

    Returns
    -------
    value : float
    gradient : array [steps], float64

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    D. Maclaurin, D. Duvenaud, R. P. Adams, Gradient-based hyperparameter optimization through
    reversible learning, ICML 2015, arXiv:1502.03492, who also spare the memory.

    Examples
    --------
    >>> import torch
    >>> from course_lib import gradient_descent
    >>> half_square = lambda w, t: (w**2).sum() / 2
    >>> w0 = torch.tensor([1.0], dtype=torch.float64)
    >>> value, gradient = unrolled(half_square, gradient_descent(lr=0.1), w0, [0.1, 0.5])
    >>> round(value, 5), gradient.round(3).tolist()      # ½ (1 − η₁)² (1 − η₂)²
    (0.10125, [-0.225, -0.405])
    """
    import torch

    if not isinstance(rule, Rule):
        raise TypeError(f"rule must be a Rule, such as adam(lr=1e-3), got {rule!r}")
    if not isinstance(w0, torch.Tensor):
        raise TypeError(f"w0 must be a tensor of PyTorch, got {w0!r}")
    rates = finite_array("rates", rates)
    if rates.ndim != 1 or not len(rates) or (rates < 0).any():
        raise ValueError(f"rates must be a vector of numbers >= 0, got {rates!r}")
    with torch.enable_grad():
        rates = torch.tensor(rates, dtype=torch.float64, requires_grad=True)
        w = w0.detach().clone().requires_grad_()
        state = rule.init(w.detach())
        for t, lr in enumerate(rates):
            g, = torch.autograd.grad(loss(w, t), w, create_graph=True)
            delta, state = rule.update(g, state, w, lr=lr)
            w = w + delta
        value = loss(w, len(rates)) if final is None else final(w)
        gradient, = torch.autograd.grad(value, rates)
    return value.item(), gradient.numpy()


def _latest(states):
    """The factor of what has made most steps: what had no gradient of late knows an older one."""
    factor, t = states[0]["factor"], states[0]["t"]
    for state in states[1:]:
        newer = _cast(state["t"], like=t) > t
        factor = where(newer, _cast(state["factor"], like=factor), factor)
        t = where(newer, _cast(state["t"], like=t), t)
    return factor


def _cast(number, like):
    return cast_like(number, like=like) if is_tensor(like) else float(number)


def _at(lr, state):
    if callable(lr):
        lr = lr(state["t"] if is_tensor(state["t"]) else int(state["t"]))
    return setting("lr", lr, least=0)


def _dot(a, b):
    """a · b of two vectors [D], with operators that all frameworks know."""
    return (a[None] @ b[:, None])[0, 0]
