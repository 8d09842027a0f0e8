"""The functions to minimise: slopes, minima and curvatures are what the library says they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import objectives
from course_lib.objectives import Objective, branin, hartmann6, huber, quadratic, rosenbrock

# Each with the box in which it is usually studied.
CASES = {
    "quadratic": (quadratic([0.5, 2.0, 10.0], rotation_seed=3), (-5, 5)),
    "flat quadratic": (quadratic([0.0, 1.0]), (-5, 5)),
    "saddle quadratic": (quadratic([-1.0, 4.0], rotation_seed=1), (-5, 5)),
    "document_quadratic": (objectives.document_quadratic(), (-10, 10)),
    "huber": (huber(0.7), (-5, 5)),
    "saddle": (objectives.saddle(), (-3, 3)),
    "rosenbrock": (rosenbrock(), (-2, 2)),
    "rosenbrock in 5": (rosenbrock(5), (-2, 2)),
    "beale": (objectives.beale(), (-4.5, 4.5)),
    "himmelblau": (objectives.himmelblau(), (-5, 5)),
    "rastrigin": (objectives.rastrigin(), (-5.12, 5.12)),
    "rastrigin in 1": (objectives.rastrigin(1), (-5.12, 5.12)),
    "branin": (branin(), (-5, 15)),
    "hartmann6": (hartmann6(), (0, 1)),
}
every_case = pytest.mark.parametrize("name", CASES)


def points(name, count, seed=0):
    f, (low, high) = CASES[name]
    return np.random.default_rng(seed).uniform(low, high, size=(count, f.dimension))


def test_every_objective_has_a_case():
    made = set(objectives.__all__) - {"Objective"}
    tested = {f.name for f, _ in CASES.values()}
    assert made == tested, f"add to CASES: {sorted(made - tested)}"


@given(st.data())
@settings(max_examples=25)
@every_case
def test_gradient_is_the_central_difference(name, data):
    f, (low, high) = CASES[name]
    entry = st.floats(low, high, allow_subnormal=False)
    w = np.array(data.draw(st.lists(entry, min_size=f.dimension, max_size=f.dimension)))
    h = 1e-5
    slopes = [(f(w + h * e) - f(w - h * e)) / (2 * h) for e in np.eye(f.dimension)]
    # The second difference's own error: curvature of third order, and rounding of f / h.
    np.testing.assert_allclose(f.grad(w), slopes, rtol=1e-6, atol=1e-8 * (1 + abs(f(w))) + 2e-5)


@every_case
def test_many_points_at_once_equal_a_loop(name):
    f, _ = CASES[name]
    w = points(name, 6).reshape(2, 3, f.dimension)
    values, slopes = f(w), f.grad(w)
    assert values.shape == (2, 3) and slopes.shape == w.shape
    for index in np.ndindex(2, 3):
        assert f(w[index]) == pytest.approx(values[index], rel=1e-13)
        np.testing.assert_allclose(f.grad(w[index]), slopes[index], rtol=1e-12, atol=1e-12)
    assert np.ndim(f(w[0, 0])) == 0


@every_case
def test_points_stay_unchanged_and_float32_is_kept(name):
    f, _ = CASES[name]
    w = points(name, 2).astype(np.float32)
    before = w.copy()
    assert f.grad(w).shape == w.shape
    f(w)
    np.testing.assert_array_equal(w, before)
    np.testing.assert_allclose(f(w), f(w.astype(float)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", [name for name, (f, _) in CASES.items() if f.minimum is not None])
def test_the_minimum_is_the_least_value(name):
    f, _ = CASES[name]
    for minimizer in f.minimizers:
        assert f(minimizer) == pytest.approx(f.minimum, abs=1e-10)
        np.testing.assert_allclose(f.grad(minimizer), 0, atol=2e-5)
        nearby = minimizer + 1e-3 * np.random.default_rng(0).standard_normal((200, f.dimension))
        assert f(nearby).min() >= f.minimum - 1e-12
    assert f(points(name, 20_000)).min() >= f.minimum
    np.testing.assert_array_equal(f.minimizer, f.minimizers[0])


def test_minimizers_are_different_points():
    for name, many in (("himmelblau", 4), ("branin", 3), ("hartmann6", 1)):
        found = CASES[name][0].minimizers
        assert len(found) == many
        assert all(np.linalg.norm(a - b) > 1 for i, a in enumerate(found) for b in found[:i])


@pytest.mark.parametrize("name", ["saddle", "saddle quadratic"])
def test_a_saddle_promises_no_minimum(name):
    f, _ = CASES[name]
    assert f.minimum is None and f.minimizer is None and f.strong_convexity is None
    down = np.linalg.eigh(f.hessian)[1][:, 0]
    assert f(1e6 * down) < -1e11


# ---- curvature

@pytest.mark.parametrize("name", [name for name, (f, _) in CASES.items() if f.smoothness is not None])
def test_curvature_bounds_hold_between_any_two_points(name):
    f, _ = CASES[name]
    a, b = points(name, 5000), points(name, 5000, seed=1)
    a[:2500] = b[:2500] + 1e-3 * (a[:2500] - b[:2500])   # close pairs come nearest to the bound
    apart, change = a - b, f.grad(a) - f.grad(b)
    curvature = np.linalg.norm(change, axis=-1) / np.linalg.norm(apart, axis=-1)
    assert curvature.max() <= f.smoothness * (1 + 1e-8)
    assert curvature.max() >= 0.95 * f.smoothness, "the bound is not tight"
    if f.strong_convexity is not None:
        along = (change * apart).sum(-1) / (apart * apart).sum(-1)
        assert along.min() >= f.strong_convexity - 1e-8


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=6), st.integers(0, 50))
def test_rotation_keeps_the_eigenvalues(eigenvalues, seed):
    plain, turned = quadratic(eigenvalues), quadratic(eigenvalues, rotation_seed=seed)
    np.testing.assert_allclose(np.linalg.eigvalsh(turned.hessian), np.sort(eigenvalues), atol=1e-10)
    np.testing.assert_array_equal(plain.hessian, np.diag(eigenvalues))
    assert turned.smoothness == np.abs(eigenvalues).max()
    convex = min(eigenvalues) >= 0
    assert turned.strong_convexity == (min(eigenvalues) if convex else None)
    assert turned.minimum == (0.0 if convex else None)


def test_rotation_turns_and_is_decided_by_its_seed():
    turned = quadratic([1.0, 9.0], rotation_seed=1).hessian
    np.testing.assert_array_equal(turned, quadratic([1.0, 9.0], rotation_seed=1).hessian)
    assert abs(turned[0, 1]) > 0.1 and not np.allclose(turned, quadratic([1.0, 9.0], rotation_seed=2).hessian)
    np.testing.assert_array_equal(turned, turned.T)


@every_case
def test_hessian_is_the_change_of_the_gradient(name):
    f, _ = CASES[name]
    if f.hessian is None:
        assert name in {"huber", "beale", "himmelblau", "branin", "hartmann6"} or name.startswith(("rosen", "rastr"))
        return
    a, b = points(name, 2)
    np.testing.assert_allclose(f.grad(a) - f.grad(b), f.hessian @ (a - b), atol=1e-11)


# ---- values that are published, or done by hand

@pytest.mark.parametrize("f, w, value", [
    (branin(), [np.pi, 2.275], 0.397887), (branin(), [-np.pi, 12.275], 0.397887), (branin(), [9.42478, 2.475], 0.397887),
    (hartmann6(), [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573], -3.32237),
    (rosenbrock(), [-1.2, 1.0], 24.2), (objectives.beale(), [0.0, 0.0], 14.203125),
    (objectives.himmelblau(), [0.0, 0.0], 170.0), (objectives.rastrigin(3), [1.0, -1.0, 2.0], 6.0),
    (objectives.document_quadratic(), 3.0, 25.0), (objectives.saddle(), [2.0, 4.0], -6.0),
    (huber(0.5), 0.25, 0.03125), (huber(0.5), -2.0, 0.875), (quadratic([1.0, 10.0]), [1.0, 1.0], 5.5),
], ids=lambda x: getattr(x, "name", None))
def test_known_values(f, w, value):
    assert f(w) == pytest.approx(value, abs=5e-6)


def test_one_dimension_takes_plain_numbers():
    f = objectives.document_quadratic()
    assert f.grad(3.0) == 10.0 and np.shape(f.grad(3.0)) == () and f.grad(np.array([3.0])).shape == (1,)
    assert f(3) == f(np.array([3.0])) == 25.0


# ---- wrong arguments

@pytest.mark.parametrize("call, error, words", [
    (lambda: quadratic([]), ValueError, ("eigenvalues", "at least one", "[]")),
    (lambda: quadratic(3.0), ValueError, ("eigenvalues", "list", "3.0")),
    (lambda: quadratic([[1.0]]), ValueError, ("eigenvalues", "[[1.0]]")),
    (lambda: quadratic([1.0, np.nan]), ValueError, ("eigenvalues", "finite", "nan")),
    (lambda: quadratic(["1"]), TypeError, ("eigenvalues", "a number", "'1'")),
    (lambda: quadratic([1.0], rotation_seed=-1), ValueError, ("rotation_seed", "at least 0", "-1")),
    (lambda: quadratic([1.0], rotation_seed=0.5), TypeError, ("rotation_seed", "whole", "0.5")),
    (lambda: huber(0), ValueError, ("knee", "> 0", "got 0")),
    (lambda: huber("1"), TypeError, ("knee", "'1'")),
    (lambda: rosenbrock(1), ValueError, ("d must", "at least 2", "got 1")),
    (lambda: rosenbrock(2.0), TypeError, ("d must", "whole", "2.0")),
    (lambda: objectives.rastrigin(0), ValueError, ("d must", "at least 1", "got 0")),
    (lambda: branin()([1.0]), ValueError, ("w must", "[..., 2]", "branin", "(1,)")),
    (lambda: branin().grad(1.0), ValueError, ("w must", "[..., 2]", "()")),
    (lambda: branin()(["a", "b"]), TypeError, ("w must", "numbers", "'a'")),
    (lambda: branin()(None), TypeError, ("w must", "numbers", "None")),
    (lambda: branin()([1j, 0]), TypeError, ("w must", "real numbers", "1.j")),
])
def test_wrong_argument_is_named(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert caught.type is error and all(word in str(caught.value) for word in words), str(caught.value)


def test_an_objective_of_ones_own():
    f = Objective("quartic", 1, lambda w: (w**4)[..., 0], lambda w: 4 * w**3)
    assert f(2.0) == 16.0 and f.grad(2.0) == 32.0 and f.minimizer is None
