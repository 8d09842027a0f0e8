"""Learned step sizes against Chebyshev's, closed forms, linear programs and the symmetries of the problem."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from course_lib import adam, chebyshev_steps, gradient_descent, learn_step_sizes, minimize, worst_remainder
from course_lib.objectives import quadratic

INTEGERS = np.arange(1.0, 21.0)
curvatures = st.lists(st.floats(0.05, 20.0), min_size=1, max_size=6)


def least_remainder(eigenvalues, steps):
    """min over polynomials with p(0) = 1 of max |p(λ)|, by a linear program."""
    powers = (eigenvalues[:, None] / eigenvalues.max()) ** np.arange(1, steps + 1)
    ones = np.ones((len(eigenvalues), 1))
    A, b = np.block([[powers, -ones], [-powers, -ones]]), np.concatenate([-ones, ones]).ravel()
    return linprog(np.eye(steps + 1)[-1], A_ub=A, b_ub=b, bounds=[(None, None)] * steps + [(0, None)]).fun


# ---- what is left of the distance

@given(curvatures, st.lists(st.floats(0.01, 2.0), min_size=1, max_size=5))
def test_the_remainder_is_what_descent_leaves(values, rates):
    left = []
    for value in values:
        w = 1.0
        for rate in rates:
            w = w - rate * value * w
        left.append(abs(w))
    assert worst_remainder(values, rates) == pytest.approx(max(left), rel=1e-9, abs=1e-12)
    assert type(worst_remainder(values, rates)) is float


def test_the_remainder_is_what_minimize_leaves():
    values, rates = [1.0, 3.0, 4.0], chebyshev_steps(1.0, 4.0, 3)
    trace = minimize(quadratic(values), gradient_descent(lambda t: rates[t]), np.ones(3), 3)
    assert np.abs(trace.w[-1]).max() == pytest.approx(worst_remainder(values, rates), rel=1e-12)


# ---- Chebyshev

@given(st.floats(0.01, 10.0), st.floats(1.01, 1e3), st.integers(1, 12))
def test_chebyshev_steps_leave_what_the_formula_says(low, ratio, steps):
    high = low * ratio
    rates = chebyshev_steps(low, high, steps)
    bound = 1 / np.cosh(steps * np.arccosh((high + low) / (high - low)))
    grid = np.linspace(low, high, 2001)
    assert len(rates) == steps and (np.diff(rates) <= 0).all()
    assert worst_remainder([low, high], rates) == pytest.approx(bound, rel=1e-6, abs=1e-12)
    assert worst_remainder(grid, rates) <= bound * (1 + 1e-6) + 1e-12


def test_chebyshev_steps_of_one_curvature_are_its_inverse():
    np.testing.assert_allclose(chebyshev_steps(4.0, 4.0, 3), 0.25)
    assert chebyshev_steps(1.0, 4.0, 1).tolist() == [0.4] and chebyshev_steps(1, 20, 5).dtype == np.float64


# ---- learned

def test_five_steps_for_twenty_curvatures_beat_chebyshevs_and_are_near_the_best():
    rates = learn_step_sizes(INTEGERS, steps=5)
    learned, best = worst_remainder(INTEGERS, rates), least_remainder(INTEGERS, 5)
    chebyshev = worst_remainder(INTEGERS, chebyshev_steps(1.0, 20.0, 5))
    assert chebyshev == pytest.approx(0.2035, abs=5e-5) and best == pytest.approx(0.2014, abs=5e-5)
    assert best - 1e-9 <= learned <= 0.2022 < chebyshev
    assert (np.diff(rates) < 0).all() and rates.dtype == np.float64 and rates.shape == (5,)
    np.testing.assert_allclose(rates, [0.685, 0.2039, 0.0952, 0.0621, 0.0512], atol=5e-4)


@pytest.mark.parametrize("options", [{"updates": 1000}, {"sharpness": 300.0}, {"lr": 0.05}], ids=str)
def test_nothing_hangs_on_the_settings(options):
    assert worst_remainder(INTEGERS, learn_step_sizes(INTEGERS, steps=5, **options)) == pytest.approx(0.2019, abs=6e-4)


def test_training_is_the_explicit_loop():
    """Adam, β₂ = .99, its rate falling by a cosine, on the soft maximum as a function of log η, p growing to 40."""
    values = torch.tensor([1.0, 3.0, 7.0], dtype=torch.float64)
    logs, rule = np.log([0.2, 0.6]), adam(beta2=0.99)
    state = rule.init(logs)
    for i in range(6):
        x = torch.tensor(logs, requires_grad=True)
        left = (1 - x.exp()[:, None] * values).prod(0).abs()
        p = 2 * 20 ** min(1, i / 4.8)
        (left**p).sum().pow(1 / p).log().backward()
        delta, state = rule.update(x.grad.numpy(), state, logs, lr=0.1 * (1 + np.cos(np.pi * i / 6)))
        logs = logs + delta
    found = learn_step_sizes(values.numpy(), 2, start=[0.6, 0.2], updates=6, lr=0.2, sharpness=40.0)
    np.testing.assert_allclose(found, np.sort(np.exp(logs))[::-1], rtol=1e-9)


def test_rounding_does_not_change_what_is_learned():
    start = np.geomspace(1 / 20, 1, 7)[1:-1] * np.exp(1e-9 * np.random.default_rng(0).standard_normal(5))
    np.testing.assert_allclose(learn_step_sizes(INTEGERS, 5, start=start), learn_step_sizes(INTEGERS, 5), rtol=1e-3)


@pytest.mark.parametrize("values", [[1.0, 4.0], [0.5, 2.0, 9.5], [3.0]])
def test_one_step_is_the_best_fixed_one(values):
    assert learn_step_sizes(values, steps=1)[0] == pytest.approx(2 / (min(values) + max(values)), rel=1e-2)


@pytest.mark.parametrize("steps", [1, 3])
def test_as_many_steps_as_curvatures_leave_nothing(steps):
    """With 500 updates a last bit in the start decides where in [0, .06] it ends; with a thousand, all ends are below .01."""
    values = range(1, steps + 1)
    assert worst_remainder(values, learn_step_sizes(values, steps, updates=1000)) < 2e-2


@settings(max_examples=5)
@given(st.floats(0.01, 100.0))
def test_scaled_curvatures_have_scaled_steps(scale):
    plain = learn_step_sizes(INTEGERS, steps=3, updates=60)
    scaled = learn_step_sizes(scale * INTEGERS, steps=3, updates=60)
    np.testing.assert_allclose(scale * scaled, plain, rtol=1e-6)


def test_the_order_of_curvatures_and_of_the_start_is_nothing():
    start = np.array([0.1, 0.3, 0.9])
    found = learn_step_sizes(INTEGERS, 3, start=start, updates=60)
    again = learn_step_sizes(INTEGERS[::-1], 3, start=start[::-1], updates=60)
    np.testing.assert_allclose(again, found, rtol=1e-9)


def test_equal_steps_stay_equal_but_for_rounding():
    rates = learn_step_sizes(INTEGERS, steps=5, start=np.full(5, 0.05), updates=150)
    np.testing.assert_allclose(rates, 2 / 21, rtol=1e-2)
    assert np.ptp(rates) < 1e-9 and worst_remainder(INTEGERS, rates) == pytest.approx((19 / 21) ** 5, rel=1e-2)


def test_no_update_of_any_size_returns_something_else_than_the_start():
    start = np.array([0.5, 0.2])
    np.testing.assert_allclose(learn_step_sizes(INTEGERS, 2, start=start, updates=1, lr=1e-12), start, rtol=1e-9)
    moved = learn_step_sizes(INTEGERS, 2, start=start, updates=1, lr=0.1)
    np.testing.assert_allclose(np.abs(np.log(moved / start)), 0.1, rtol=1e-6)     # Adam's first step, in log η


def test_the_default_start_is_between_the_inverse_curvatures():
    rates = learn_step_sizes([1.0, 8.0], 2, updates=1, lr=1e-12)
    np.testing.assert_allclose(rates, [0.5, 0.25], rtol=1e-9)


def test_what_is_given_is_not_modified():
    values, start = INTEGERS.copy(), np.array([0.5, 0.2])
    learn_step_sizes(values, 2, start=start, updates=2)
    assert (values == INTEGERS).all() and start.tolist() == [0.5, 0.2]


# ---- misuse

@pytest.mark.parametrize("wrong, error, words", [
    ({"eigenvalues": [0.0, 1.0]}, ValueError, "eigenvalues must be a vector of numbers > 0"),
    ({"eigenvalues": []}, ValueError, "eigenvalues must be a vector of numbers > 0"),
    ({"eigenvalues": [[1.0]]}, ValueError, "eigenvalues must be a vector"),
    ({"eigenvalues": [np.nan]}, ValueError, "eigenvalues must be finite"),
    ({"eigenvalues": "ten"}, TypeError, "eigenvalues must be an array"),
    ({"steps": 0}, ValueError, "steps must be at least 1"),
    ({"steps": 1.5}, TypeError, "steps must be a whole number"),
    ({"updates": 0}, ValueError, "updates must be at least 1"),
    ({"lr": 0.0}, ValueError, "lr must be finite and > 0"),
    ({"sharpness": 1.0}, ValueError, "sharpness must be finite and >= 2"),
    ({"start": [0.1]}, ValueError, "start must hold 2 numbers"),
    ({"start": [0.1, -0.1]}, ValueError, "start must be a vector of numbers > 0"),
])
def test_wrong_arguments_of_training_are_named(wrong, error, words):
    with pytest.raises(error, match=words):
        learn_step_sizes(**{"eigenvalues": [1.0, 2.0], "steps": 2, **wrong})


@pytest.mark.parametrize("call, error, words", [
    (lambda: worst_remainder([-1.0], [0.1]), ValueError, "eigenvalues must be a vector of numbers > 0"),
    (lambda: worst_remainder([1.0], [0.0]), ValueError, "rates must be a vector of numbers > 0"),
    (lambda: worst_remainder([1.0], None), TypeError, "rates must be an array"),
    (lambda: chebyshev_steps(0.0, 1.0, 2), ValueError, "low must be finite and > 0"),
    (lambda: chebyshev_steps(2.0, 1.0, 2), ValueError, "high must be finite and >= 2.0"),
    (lambda: chebyshev_steps(1.0, "2", 2), TypeError, "high must be a number"),
    (lambda: chebyshev_steps(1.0, 2.0, 0), ValueError, "steps must be at least 1"),
])
def test_wrong_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
