"""Runs of `minimize` against paths done by hand, what they record, and how they end when they diverge."""

import ml_dtypes
import numpy as np
import pytest
from scipy import stats

from course_lib.objectives import document_quadratic, quadratic, rosenbrock
from course_lib.training import Divergence, Interval, mean_interval, minimize
from course_lib.update_rules import Rule, chain, clip_by_global_norm, gradient_descent

BOWL = document_quadratic()   # (w + 2)²


def path(steps, lr, start=3.0):
    """Return where gradient descent on (w + 2)² goes, in closed form."""
    return -2 + (start + 2) * (1 - 2 * lr) ** np.arange(steps + 1)


# ---- what a run does

def test_the_path_is_the_one_done_by_hand():
    trace = minimize(BOWL, gradient_descent(0.1), 3.0, steps=4)
    np.testing.assert_allclose(trace.w[:, 0], path(4, 0.1), rtol=1e-13)
    np.testing.assert_allclose(trace.loss, (path(4, 0.1) + 2) ** 2, rtol=1e-13)
    np.testing.assert_array_equal(trace.step, [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(trace.lr, [0.1] * 4)
    assert trace.w.shape == (5, 1)


def test_axes_shrink_each_at_its_own_rate():
    trace = minimize(quadratic([1.0, 10.0]), gradient_descent(0.05), [4.0, -2.0], steps=20)
    k = np.arange(21)[:, None]
    np.testing.assert_allclose(trace.w, np.array([4.0, -2.0]) * np.array([0.95, 0.5]) ** k, rtol=1e-13)


@pytest.mark.parametrize("steps, every, kept", [
    (10, 3, [0, 3, 6, 9, 10]), (9, 3, [0, 3, 6, 9]), (2, 5, [0, 2]), (1, 1, [0, 1]),
])
def test_thinning_keeps_the_start_and_the_end(steps, every, kept):
    full = minimize(BOWL, gradient_descent(lambda step: 0.1 / (1 + step)), 3.0, steps)
    thin = minimize(BOWL, gradient_descent(lambda step: 0.1 / (1 + step)), 3.0, steps, every=every)
    np.testing.assert_array_equal(thin.step, kept)
    for name in ("w", "loss"):
        np.testing.assert_array_equal(getattr(thin, name), getattr(full, name)[kept])
    np.testing.assert_array_equal(thin.lr, full.lr[np.array(kept[1:]) - 1])


def test_schedule_is_called_with_steps_from_0_and_recorded():
    seen = []
    rule = gradient_descent(lambda step: seen.append(step) or 0.1 * (step + 1))
    trace = minimize(BOWL, chain(clip_by_global_norm(100.0), rule), 3.0, steps=3)
    assert seen == [0, 1, 2]
    np.testing.assert_allclose(trace.lr, [0.1, 0.2, 0.3])
    np.testing.assert_allclose(trace.w[-1] + 2, 5 * 0.8 * 0.6 * 0.4)


def test_rule_without_a_rate_records_none():
    rule = Rule("halve", {}, lambda w: {}, lambda g, state, w, lr: (-w / 2, state))
    trace = minimize(quadratic([1.0]), rule, [8.0], steps=3)
    assert np.isnan(trace.lr).all() and trace.w[:, 0].tolist() == [8, 4, 2, 1]


def test_grad_replaces_the_gradient_and_counts_from_1():
    seen = []

    def grad(w, t):
        seen.append((t, w.copy()))
        return np.full_like(w, t)

    trace = minimize(lambda w: float(w @ w), gradient_descent(1.0), [10.0, 0.0], 3, grad=grad)
    assert [t for t, _ in seen] == [1, 2, 3]
    np.testing.assert_array_equal([w for _, w in seen], trace.w[:-1])
    np.testing.assert_array_equal(trace.w[-1], [4, -6])


def test_project_follows_each_step():
    trace = minimize(BOWL, gradient_descent(0.4), 3.0, steps=3, project=lambda w: np.maximum(w, 1.0))
    np.testing.assert_array_equal(trace.w[:, 0], [3, 1, 1, 1])
    np.testing.assert_array_equal(trace.loss, [25, 9, 9, 9])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_dtype_of_the_start_is_kept(dtype):
    start = np.array([1.5, -0.5], dtype=dtype)
    wide = {"grad": lambda w, t: np.array([1.0, 2.0]), "project": lambda w: w.astype(float)}
    for options in ({}, wide):
        trace = minimize(quadratic([1.0, 2.0]), gradient_descent(0.1), start, 3, **options)
        assert trace.w.dtype == dtype and trace.loss.dtype == np.float64
    np.testing.assert_array_equal(start.astype(float), [1.5, -0.5])


def test_whole_numbers_become_floats():
    np.testing.assert_allclose(minimize(BOWL, gradient_descent(0.1), 3, 4).w[:, 0], path(4, 0.1))


def test_the_trace_is_nobody_elses_array():
    start, buffer = np.array([3.0]), np.empty(1)

    def project(w):
        buffer[:] = w
        return buffer

    trace = minimize(BOWL, gradient_descent(0.1), start, steps=4, project=project)
    trace.w[0] = 7.0
    assert start[0] == 3.0
    np.testing.assert_allclose(trace.w[1:, 0], path(4, 0.1)[1:])


# ---- divergence

def diverging(*args, **kwargs):
    with pytest.raises(FloatingPointError) as caught:
        minimize(*args, **kwargs)
    assert isinstance(caught.value, Divergence)
    assert f"diverged at step {caught.value.step}:" in str(caught.value)
    return caught.value


def test_divergence_keeps_everything_before_it():
    error = diverging(rosenbrock(), gradient_descent(0.1), [-1.2, 1.0], steps=100)
    good = minimize(rosenbrock(), gradient_descent(0.1), [-1.2, 1.0], steps=error.step - 1)
    for name in ("step", "w", "loss", "lr"):
        np.testing.assert_array_equal(getattr(error.trace, name), getattr(good, name))
        assert np.isfinite(getattr(error.trace, name)).all()
    assert f"at step {error.step - 1}" in str(error) and "smaller lr" in str(error)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gradient_that_is_not_finite_is_never_stepped_on(bad):
    stepped = []

    def update(g, state, w, lr):
        stepped.append(g)
        return -g, state

    error = diverging(quadratic([1.0]), Rule("watched", {}, lambda w: {}, update), [1.0], steps=9,
                      grad=lambda w, t: np.array([bad if t == 4 else 0.1]))
    assert error.step == 4 and len(stepped) == 3 and np.isfinite(stepped).all()
    assert "the gradient is" in str(error) and str(bad) in str(error)
    assert error.trace.w.shape == (4, 1)


@pytest.mark.parametrize("every, recorded", [(1, [0, 1, 2]), (2, [0, 2]), (10, [0])])
def test_weights_that_overflow_are_told_at_their_step(every, recorded):
    def update(g, state, w, lr):
        return -g * (np.inf if state["t"] == 3 else 0.1), state

    error = diverging(BOWL, Rule("explosive", {}, lambda w: {}, update), 3.0, 9, every=every)
    assert error.step == 3 and error.trace.step.tolist() == recorded
    assert "w is" in str(error)


def test_loss_that_overflows_is_told():
    error = diverging(lambda w: np.inf if w[0] < 0 else 1.0, gradient_descent(1.0), 2.5, 9, grad=lambda w, t: np.ones(1))
    assert error.step == 3 and error.trace.w[:, 0].tolist() == [2.5, 1.5, 0.5] and "the loss is inf" in str(error)


def test_many_weights_are_not_printed():
    error = diverging(quadratic(np.ones(50)), gradient_descent(1.0), np.ones(50), 2, grad=lambda w, t: np.nan * w)
    assert "the gradient is not finite" in str(error) and len(str(error)) < 200


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_a_start_without_a_loss_is_a_wrong_argument(loss):
    with pytest.raises(ValueError, match=f"w0 must have a finite loss, got {loss}"):
        minimize(lambda w: loss, gradient_descent(0.1), 1.0, steps=1, grad=lambda w, t: w)


# ---- wrong arguments

@pytest.mark.parametrize("changed, error, words", [
    ({"w0": np.nan}, ValueError, ("w0 must be finite", "nan")),
    ({"w0": [np.inf]}, ValueError, ("w0 must be finite", "inf")),
    ({"w0": "3"}, TypeError, ("w0 must be", "real numbers", "'3'")),
    ({"w0": None}, TypeError, ("w0 must be", "None")),
    ({"w0": [1j]}, TypeError, ("w0 must be", "1j")),
    ({"w0": [[1.0]]}, ValueError, ("w0 must have shape [D]", "(1, 1)")),
    ({"w0": [1.0, 2.0]}, ValueError, ("w must have shape [..., 1]", "(2,)")),
    ({"steps": 0}, ValueError, ("steps must be at least 1", "0")),
    ({"steps": -3}, ValueError, ("steps must be at least 1", "-3")),
    ({"steps": 2.0}, TypeError, ("steps must be a whole number", "2.0")),
    ({"steps": True}, TypeError, ("steps must be a whole number", "True")),
    ({"every": 0}, ValueError, ("every must be at least 1", "0")),
    ({"every": "2"}, TypeError, ("every must be a whole number", "'2'")),
    ({"rule": 0.1}, TypeError, ("rule must be a Rule", "0.1")),
    ({"rule": gradient_descent}, TypeError, ("rule must be a Rule", "gradient_descent")),
    ({"rule": clip_by_global_norm(1.0)}, TypeError, ("rule must be a Rule", "clip_by_global_norm")),
    ({"objective": 3}, TypeError, ("objective must be callable", "3")),
    ({"objective": abs}, TypeError, ("grad must be given",)),
    ({"objective": lambda w: w * np.ones(2), "grad": lambda w, t: w}, ValueError, ("objective must return one number", "(2,)")),
    ({"grad": 3}, TypeError, ("grad must be a function", "3")),
    ({"grad": lambda w, t: np.ones(3)}, ValueError, ("grad must return w's shape (1,)", "(3,)")),
    ({"grad": lambda w, t: 1.0}, ValueError, ("grad must return w's shape (1,)", "()")),
    ({"project": [1]}, TypeError, ("project must be a function", "[1]")),
    ({"project": lambda w: np.ones(2)}, ValueError, ("project must return w's shape (1,)", "(2,)")),
], ids=lambda x: "-".join(map(str, x)) if isinstance(x, dict) else "")
def test_wrong_argument_is_named(changed, error, words):
    arguments = {"objective": BOWL, "rule": gradient_descent(0.1), "w0": 3.0, "steps": 2} | changed
    with pytest.raises(error) as caught:
        minimize(**arguments)
    assert caught.type is error and all(word in str(caught.value) for word in words), str(caught.value)


# ---- intervals

def test_interval_equals_scipys_and_its_parts_have_names():
    values = np.random.default_rng(0).normal(3, 2, size=7)
    mean, half = mean_interval(values, level=0.9)
    low, high = stats.t.interval(0.9, 6, loc=values.mean(), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high), rel=1e-12)
    assert Interval(2.0, 0.5).excludes() and not Interval(0.4, 0.5).excludes()
    assert Interval(2.0, 0.5).excludes(2.6) and not Interval(2.0, 0.5).excludes(2.4)


def test_interval_covers_the_mean_as_often_as_it_says():
    samples = np.random.default_rng(1).normal(5, 3, size=(2000, 4))
    missed = np.mean([mean_interval(row).excludes(5) for row in samples])
    assert 0.035 < missed < 0.065


@pytest.mark.parametrize("values, level, error, words", [
    ([1.0], 0.95, ValueError, ("values", "at least 2", "(1,)")), ([[1.0, 2.0]], 0.95, ValueError, ("values", "(1, 2)")),
    ([1.0, np.nan], 0.95, ValueError, ("values must be finite", "nan")), ("ab", 0.95, TypeError, ("values", "'ab'")),
    ([1.0, 2.0], 1.0, ValueError, ("level", "< 1", "1.0")), ([1.0, 2.0], 0, ValueError, ("level", "> 0", "0")),
])
def test_wrong_interval_is_named(values, level, error, words):
    with pytest.raises(error) as caught:
        mean_interval(values, level)
    assert all(word in str(caught.value) for word in words)
