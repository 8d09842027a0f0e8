"""The schedule that answers to the loss: equal to PyTorch's step by step, saved, and strict about what it is told."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.schedules import Plateau

losses = st.lists(st.one_of(st.sampled_from([1.0, 0.9999, 0.99, 0.5, math.nan, math.inf]), st.floats(0, 3)), max_size=40)


def torchs(plateau, observed):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=plateau.lr)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=plateau.factor, patience=plateau.patience, threshold=plateau.threshold,
        cooldown=plateau.cooldown, min_lr=plateau.least, eps=0.0)
    rates = []
    for loss in observed:
        scheduler.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@given(losses, st.integers(0, 4), st.floats(0.05, 0.95), st.sampled_from([1e-4, 0.0, 0.3]), st.integers(0, 3), st.booleans())
@settings(max_examples=150)
def test_equal_to_torchs_at_every_loss(observed, patience, factor, threshold, cooldown, bounded):
    plateau = Plateau(0.5, factor, patience, threshold, cooldown, least=0.1 if bounded else 0.0)
    expected = torchs(plateau, observed)
    assert [plateau.observe(loss) for loss in observed] == expected


def test_by_hand():
    plateau = Plateau(1.0, factor=0.5, patience=2)
    told = [3.0, 2.0, 2.5, 1.9999, 2.1, 2.0, 2.0, 2.0, 1.0]   # 1.9999 is no better than 2 by a ten-thousandth
    assert [plateau.observe(loss) for loss in told] == [1.0] * 4 + [0.5] * 3 + [0.25] * 2
    assert plateau.lr == 0.25 and plateau.observe(np.float32(0.5)) == plateau.observe(torch.tensor(0.4)) == 0.25


def test_torchs_leaves_out_changes_below_its_eps():
    plateau = Plateau(1e-8, patience=0)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-8)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    for loss in (1.0, 1.0):
        scheduler.step(loss)
        plateau.observe(loss)
    assert plateau.lr == pytest.approx(1e-9) and optimizer.param_groups[0]["lr"] == 1e-8


@given(losses, st.integers(0, 40))
@settings(max_examples=40)
def test_saved_in_json_it_goes_on_as_if_nothing_had_happened(observed, cut):
    whole, first, second = (Plateau(0.5, patience=1, cooldown=1) for _ in range(3))
    expected = [whole.observe(loss) for loss in observed]
    rates = [first.observe(loss) for loss in observed[:cut]]
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert rates + [second.observe(loss) for loss in observed[cut:]] == expected


@pytest.mark.parametrize("change, error, words", [
    ({"lr": 0}, ValueError, "lr must be finite and > 0, got 0"), ({"lr": "0.1"}, TypeError, "lr must be a number"),
    ({"factor": 1.0}, ValueError, "factor must be finite and > 0 and < 1, got 1.0"),
    ({"factor": 0}, ValueError, "factor must be finite and > 0"), ({"patience": -1}, ValueError, "patience must be at least 0"),
    ({"patience": 1.5}, TypeError, "patience must be a whole number"), ({"threshold": 1}, ValueError, "threshold must be"),
    ({"cooldown": -1}, ValueError, "cooldown must be at least 0"), ({"least": -1}, ValueError, "least must be finite and >= 0"),
    ({"least": 0.2}, ValueError, "least must be at most lr = 0.1, got 0.2"),
], ids=str)
def test_wrong_settings_are_named(change, error, words):
    with pytest.raises(error) as caught:
        Plateau(**{"lr": 0.1, **change})
    assert words in str(caught.value)


def test_a_wrong_loss_or_state_is_named_and_changes_nothing():
    plateau = Plateau(0.1)
    before = plateau.state_dict()
    for bad in ("1", None, True, [1.0], np.ones(2)):
        with pytest.raises(TypeError, match="loss must be a number"):
            plateau.observe(bad)
    for bad in ({}, None, {**before, "more": 1}, {**before, "lr": -1.0}, {**before, "bad": -1}):
        with pytest.raises(ValueError, match="state_dict"):
            plateau.load_state_dict(bad)
    with pytest.raises(TypeError, match="best of state_dict must be a number"):
        plateau.load_state_dict({**before, "lr": 0.05, "best": "low"})
    assert plateau.state_dict() == before
    assert repr(plateau) == "Plateau(lr=0.1, factor=0.1, patience=10, threshold=0.0001, cooldown=0, least=0.0)"
