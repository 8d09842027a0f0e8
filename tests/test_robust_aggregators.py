"""Robust averages against NumPy, SciPy and a plain loop, and what a few bad clients can do to each."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import trim_mean
from test_federated import by_hand, regressions, squares

from course_lib.federated import fedsgd, krum, mean, median, simulate, trimmed_mean

F64, F32 = torch.float64, torch.float32
seeds = st.integers(0, 10_000)
some = settings(max_examples=60)


def drawn(seed, clients, D, dtype=F64, ties=False):
    """Updates at random; with ties, of few values."""
    rng = np.random.default_rng(seed)
    u = rng.integers(-2, 3, (clients, D)).astype(float) if ties else rng.standard_normal((clients, D))
    return torch.tensor(u, dtype=dtype)


def krum_by_hand(u, f):
    """Every client's score, from the paper: one pair after the other, in NumPy."""
    scores = []
    for i in range(len(u)):
        distances = sorted(((u[i] - u[j]) ** 2).sum() for j in range(len(u)) if j != i)
        scores.append(sum(distances[: len(u) - f - 2]))
    return np.array(scores)


# ---- what they are

@some
@given(seeds, st.integers(1, 12), st.integers(1, 6), st.booleans())
def test_the_median_is_that_of_numpy(seed, clients, D, ties):
    u = drawn(seed, clients, D, ties=ties)
    np.testing.assert_allclose(median(u), np.median(u.numpy(), axis=0), rtol=1e-15, atol=1e-15)


@some
@given(seeds, st.integers(1, 12), st.integers(1, 6), st.data())
def test_the_trimmed_mean_is_that_of_scipy(seed, clients, D, data):
    trim = data.draw(st.integers(0, (clients - 1) // 2))
    u = drawn(seed, clients, D)
    expected = trim_mean(u.numpy(), (trim + 0.5) / clients, axis=0)      # SciPy cuts ⌊share · clients⌋
    np.testing.assert_allclose(trimmed_mean(u, trim), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(trimmed_mean(u, 0), mean(u), rtol=1e-12, atol=1e-14)


@some
@given(seeds, st.integers(3, 13), st.integers(1, 6), st.data())
def test_krum_is_the_papers_loop(seed, clients, D, data):
    f = data.draw(st.integers(0, (clients - 3) // 2))
    u = drawn(seed, clients, D)
    np.testing.assert_array_equal(krum(u, f), u[krum_by_hand(u.numpy(), f).argmin()])


@some
@given(seeds, st.integers(3, 9), st.data())
def test_of_equal_scores_krum_takes_one_of_the_best(seed, clients, data):
    f = data.draw(st.integers(0, (clients - 3) // 2))
    u = drawn(seed, clients, 2, ties=True)
    scores = krum_by_hand(u.numpy(), f)
    best = u[np.flatnonzero(scores <= scores.min() + 1e-9)].tolist()
    assert krum(u, f).tolist() in best


def test_twins_are_neighbours_that_count():
    """Two at the same place have distance 0 to each other, which is no distance to itself."""
    u = torch.tensor([[5.0], [5.0], [0.0], [1.0], [2.0]])
    assert krum(u, 0).tolist() == [2.0] and krum(u, 1).tolist() == [1.0]
    assert krum_by_hand(u.numpy(), 1).tolist() == [9.0, 9.0, 5.0, 2.0, 5.0]


@pytest.mark.parametrize("rule", [median, lambda u: trimmed_mean(u, 2), lambda u: krum(u, 2)],
                         ids=["median", "trimmed_mean", "krum"])
@given(seeds, st.permutations(range(8)))
@settings(max_examples=20)
def test_the_order_of_the_clients_is_nothing(rule, seed, order):
    u = drawn(seed, 8, 4)
    np.testing.assert_allclose(rule(u[list(order)]), rule(u), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("rule", [median, lambda u: trimmed_mean(u, 1), lambda u: krum(u, 1)],
                         ids=["median", "trimmed_mean", "krum"])
@pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])
def test_precision_is_kept_and_what_is_given_left_alone(rule, dtype):
    u = drawn(0, 6, 4, dtype)
    before = u.clone()
    found = rule(u)
    assert found.dtype == dtype and found.shape == (4,) and (u == before).all()
    moved = rule(2 * u + 3)
    torch.testing.assert_close(moved, 2 * rule(u) + 3, rtol=1e-5, atol=1e-5)


def test_krum_sees_small_differences_of_large_numbers():
    """All in 64ths, exact in float32; a distance by ‖a‖² + ‖b‖² − 2ab would drown."""
    u = torch.tensor(np.random.default_rng(0).integers(-64, 65, (40, 9, 30)) / 64, dtype=F32)
    for each in u:
        assert torch.equal(krum(each + 4096, 2), krum(each, 2) + 4096)


# ---- what a few can do

ANY = st.sampled_from([-1e30, 1e30, 0.0]) | st.floats(-1e3, 1e3)


@some
@given(seeds, st.integers(0, 4), st.integers(1, 4), st.data())
def test_bad_clients_never_carry_median_or_trimmed_mean_out_of_the_good_ones_range(seed, f, more, data):
    good = drawn(seed, f + more, 3)
    bad = torch.tensor(data.draw(st.lists(st.lists(ANY, min_size=3, max_size=3), min_size=f, max_size=f)), dtype=F64)
    u = torch.cat([bad.reshape(f, 3), good])
    low, high = good.min(0).values - 1e-12, good.max(0).values + 1e-12
    for found in (median(u), trimmed_mean(u, f)):
        assert (found >= low).all() and (found <= high).all()


@some
@given(seeds, st.integers(1, 3), st.integers(0, 3), st.sampled_from([1e3, 1e12, 1e25]), st.booleans())
def test_krum_takes_an_honest_one_where_the_bad_are_far(seed, f, more, away, together):
    """Also if the bad stand together: f of them have too few neighbours of their own."""
    good = drawn(seed, f + 3 + more, 4, F32)
    signs = torch.ones(f, 1) if together else torch.tensor([[1.0], [-1.0], [2.0]])[:f]
    u = torch.cat([good, away * signs * torch.ones(f, 4)])
    found = krum(u, f)
    assert found.tolist() in good.tolist()


def test_one_client_carries_the_mean_anywhere():
    good = drawn(0, 9, 3)
    for wanted in (torch.tensor([7.0, -1e6, 1e9], dtype=F64), torch.zeros(3, dtype=F64)):
        bad = 10 * wanted - good.sum(0)
        torch.testing.assert_close(mean(torch.cat([good, bad[None]])), wanted, rtol=1e-9, atol=1e-9)


def test_one_more_than_half_carries_the_median_too():
    u = torch.cat([drawn(0, 4, 3), torch.full((5, 3), 1e6, dtype=F64)])
    assert (median(u) == 1e6).all() and (trimmed_mean(u, 4) == 1e6).all()


def cosine(a, b):
    return float(a @ b / a.norm() / b.norm())


def test_six_of_twenty_clients_turn_the_mean_round_and_no_other():
    """True update all ones, noise ½, dimension 50, and −100 in every number of six: 300 seeds."""
    truth, found = torch.ones(50, dtype=F64), []
    rules = mean, median, lambda u: u.median(0).values, lambda u: krum(u, 6), lambda u: trimmed_mean(u, 6)
    for seed in range(300):
        u = torch.tensor(1 + 0.5 * np.random.default_rng(seed).standard_normal((20, 50)))
        u[:6] = -100.0
        found.append([cosine(rule(u), truth) for rule in rules])
    average, spread = np.mean(found, 0), np.std(found, 0)
    assert average[0] == pytest.approx(-1.0, abs=5e-3)
    assert average[1] == pytest.approx(0.974, abs=1e-3) and spread[1] == pytest.approx(0.006, abs=1e-3)
    assert average[2] == pytest.approx(0.967, abs=1e-3)       # torch.median takes the lower of the two
    assert average[3] == pytest.approx(0.924, abs=4e-3) and spread[3] == pytest.approx(0.012, abs=3e-3)
    assert average[4] > 0.95


# ---- in a federation

RULES = {
    "median": (median, lambda u: np.median(u, axis=0)),
    "trimmed_mean": (lambda u: trimmed_mean(u, 2), lambda u: np.sort(u, axis=0)[2:-2].mean(0)),
    "krum": (lambda u: krum(u, 1), lambda u: u[krum_by_hand(u, 1).argmin()]),
}


@pytest.mark.parametrize("rule, expected", RULES.values(), ids=RULES)
def test_a_federations_step_is_the_rule_of_its_clients_steps(rule, expected):
    clients, w = regressions(), np.ones(3)
    trace = simulate(squares, w, clients, fedsgd(0.05), 4, seed=0, fraction=0.8, aggregate=rule)
    for r, ids in enumerate(trace.chosen):
        moves = np.stack([by_hand(clients, w, 1, 0.05, [[i]])[1] - w for i in ids])
        w = w + expected(moves)
        np.testing.assert_allclose(trace.w[r + 1], w, rtol=1e-12, atol=1e-12)


# ---- misuse

@pytest.mark.parametrize("rule", [median, lambda u: trimmed_mean(u, 0), lambda u: krum(u, 0)],
                         ids=["median", "trimmed_mean", "krum"])
@pytest.mark.parametrize("updates, words", [
    (torch.ones(3), r"updates must have shape \[clients, params\], got \[3\]"),
    (torch.ones(0, 3), r"updates must have shape \[clients, params\], got \[0, 3\]"),
    (torch.ones(4, 3, 1), r"updates must have shape \[clients, params\], got \[4, 3, 1\]"),
    (torch.tensor([[1.0], [np.nan], [0.0]]), "updates must be finite, got NaN or infinity in them"),
    (torch.tensor([[1.0], [-np.inf], [0.0]]), "updates must be finite, got NaN or infinity in them"),
])
def test_updates_that_do_not_fit_are_named(rule, updates, words):
    with pytest.raises(ValueError, match=words):
        rule(updates)


U = torch.ones(6, 2)


@pytest.mark.parametrize("call, error, words", [
    (lambda: trimmed_mean(U, 3), ValueError, "trim must be less than half of 6 clients, got 3"),
    (lambda: trimmed_mean(U[:1], 1), ValueError, "trim must be less than half of 1 clients, got 1"),
    (lambda: trimmed_mean(U, -1), ValueError, "trim must be at least 0, got -1"),
    (lambda: trimmed_mean(U, 0.1), TypeError, "trim must be a whole number, got 0.1"),
    (lambda: krum(U, 2), ValueError, r"byzantine must be at most \(clients - 3\) / 2 with 6 clients, got 2"),
    (lambda: krum(U[:2], 0), ValueError, r"byzantine must be at most \(clients - 3\) / 2 with 2 clients, got 0"),
    (lambda: krum(U, -1), ValueError, "byzantine must be at least 0, got -1"),
    (lambda: krum(U, 1.0), TypeError, "byzantine must be a whole number, got 1.0"),
])
def test_wrong_arguments_of_aggregators_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_most_that_may_be_bad_are_allowed():
    assert krum(U[:5], 1).shape == krum(U[:3], 0).shape == trimmed_mean(U[:5], 2).shape == (2,)
