"""What a rule must see of a parameter: its numbers, its number of dimensions, or the whole array."""

import pytest
import torch
from test_update_rules import EXAMPLES

from course_lib.kernels.separable import joined, masks, seen_by
from course_lib.schedules import cosine_decay
from course_lib.update_rules import (
    Rule, Transform, accumulate_gradients, adam, adamw, add_decayed_weights, chain, clip_by_global_norm,
    gradient_descent, lion, matrices_only, momentum, weight_ema,
)


@pytest.mark.parametrize("rule", EXAMPLES.values(), ids=EXAMPLES)
def test_rules_of_the_book_need_numbers_or_where_they_ask_for_matrices_dimensions(rule):
    assert seen_by(rule) == ("dimensions" if "matrices_only" in repr(rule) else "numbers")


def own(step, init=lambda w: {}):
    """A rule without a name of its own."""
    return Rule("own", {"lr": 0.1}, init, lambda g, state, w, lr: step(g, state, w, lr))


def stateless(formula):
    return own(lambda g, state, w, lr: (-lr * formula(g, w), state))


def remembers_the_norm(g, state, w, lr):
    return -lr * g, {**state, "norm": g.norm()}


def remembers_the_size(g, state, w, lr):
    return -lr * g, {**state, "size": 0 * state["t"] + g.numel()}


def late(g, state, w, lr):
    """It looks at the norm from the third step on."""
    return -lr * g / torch.where(state["t"] > 2, g.norm(), 1.0), state


def remembers_rows(g, state, w, lr):
    return -lr * g, {**state, "rows": g.sum(-1, keepdim=True)}


@pytest.mark.parametrize("rule, seen", [
    (stateless(lambda g, w: g + 0.1 * w), "numbers"),
    (own(lambda g, s, w, lr: (-lr * g / s["t"], s)), "numbers"),
    (own(lambda g, s, w, lr: (-lr * g, {**s, "calls": s["calls"] + 1}), lambda w: {"calls": 0}), "numbers"),
    (Rule("no rate", {}, lambda w: {}, lambda g, s, w, lr: (-0.1 * g, s)), "numbers"),
    (stateless(lambda g, w: g * (1.0 + (w.ndim > 1))), "dimensions"),
    (stateless(lambda g, w: g / max(w.ndim, 1)), "dimensions"),
    (stateless(lambda g, w: g / (g.norm() + 1e-9)), "arrays"),
    (stateless(lambda g, w: g - g.mean()), "arrays"),
    (stateless(lambda g, w: g / g.numel()), "arrays"),
    (stateless(lambda g, w: g / w.shape[0] if w.ndim else g), "arrays"),
    (stateless(lambda g, w: g - g.mean(-1, keepdim=True) if w.ndim > 1 else g), "arrays"),
    (stateless(lambda g, w: torch.linalg.qr(g)[0] if w.ndim == 2 and w.shape[0] >= w.shape[1] else g), "arrays"),
    (stateless(lambda g, w: g.flip(0) if w.ndim else g), "arrays"),
    (stateless(lambda g, w: g * torch.arange(g.numel()).view(g.shape)), "arrays"),
    (own(remembers_the_norm, lambda w: {"norm": 0.0}), "arrays"),
    (own(remembers_the_size, lambda w: {"size": 0.0}), "arrays"),
    (own(late), "arrays"),
    (own(remembers_rows, lambda w: {"rows": w.sum(-1, keepdim=True)}), "arrays"),
    (own(lambda g, s, w, lr: 1 / 0), "arrays"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_rules_of_a_reader(rule, seen):
    assert seen_by(rule) == seen
    assert seen_by(weight_ema(rule)) == seen


def whole(formula, whole_model):
    return Transform("own", {}, lambda w: {}, lambda g, state, w: (formula(g), state), whole_model=whole_model)


@pytest.mark.parametrize("rule, seen", [
    (chain(clip_by_global_norm(1e-3), momentum(0.1)), "numbers"),
    (chain(whole(lambda g: g / g.norm(), True), adam(0.1)), "numbers"),
    (chain(whole(lambda g: g / g.norm(), False), adam(0.1)), "arrays"),
    (adamw(0.1, mask=lambda w: float(w.numel() > 5)), "arrays"),
    (adamw(0.1, mask=lambda w: w > 0), "numbers"),
    (adamw(0.1, mask=matrices_only, weight_decay=0.0), "numbers"),
    (chain(add_decayed_weights(0.1, mask=lambda w: w.ndim > 2), momentum(0.1)), "dimensions"),
    (lion(cosine_decay(0.1, 9)), "numbers"),
    *[(accumulate_gradients(momentum(0.1), steps), "numbers") for steps in (2, 4, 64, 124)],
    (accumulate_gradients(own(late), 8), "arrays"),
    (accumulate_gradients(chain(clip_by_global_norm(0.1), adam()), 8), "numbers"),
    (gradient_descent(torch.tensor(0.1)), "numbers"), (gradient_descent(0.0), "numbers"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_chains_wrappers_masks_and_rates(rule, seen):
    assert seen_by(rule) == seen


def test_a_rule_that_never_moves_within_the_trial_is_not_trusted():
    assert seen_by(accumulate_gradients(momentum(0.1), 600)) == "arrays"


def test_masks_are_found_wherever_they_are():
    inner = chain(add_decayed_weights(0.1, mask=matrices_only), adamw(mask=len))
    assert masks(chain(clip_by_global_norm(1.0), accumulate_gradients(weight_ema(inner), 2))) == [matrices_only, len]
    assert masks(adamw(mask=[0, 1])) == masks(adam()) == []


def test_the_shape_of_arrays_joined():
    assert [joined(dimensions) for dimensions in (1, 2, 4)] == [(-1,), (1, -1), (1, 1, 1, -1)]
