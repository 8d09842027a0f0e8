"""Federated algorithms against closed forms, a plain loop over clients, and what their docstrings promise."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from torch.func import vmap

from course_lib import (
    Divergence, FederatedTrace, adam, client_values, fedavg, fedprox, fedsgd, fine_tuned, gradient_descent, minimize,
    momentum, scaffold, simulate,
)
from course_lib.federated import Algorithm, ClientData, mean
from course_lib.federated.local_training import blocks, mean_values, one_by_one

F64, F32 = torch.float64, torch.float32
SIZES = (3, 1, 8, 2, 5, 3, 13)
few = settings(max_examples=10)
seeds = st.integers(0, 10_000)


def squares(w, x, y):
    """Linear regression: x [samples, D], y [samples]."""
    return (x @ w - y).square().mean() / 2


def bowls(w, h, c):
    """½ Σ h (w − c)², one problem for each of D numbers: h, c [samples, D]."""
    return (h * (w - c).square()).sum(-1).mean() / 2


def bowl(w, H, c):
    """½ (w − c)ᵀ H (w − c): H [samples, D, D], c [samples, D]."""
    away = (w - c)[:, :, None]
    return (away * (H @ away)).sum((1, 2)).mean() / 2


def regressions(sizes=SIZES, D=3, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((n, D)), rng.standard_normal(n)) for n in sizes]


def copies(values, sizes):
    """Each client's one sample (h, c), as often as its size says."""
    return [tuple(np.repeat(each[None], n, 0) for each in pair) for pair, n in zip(values, sizes)]


def descent(i, K, lr, clients):
    """Which rows each of K steps takes: all."""
    return [np.arange(len(clients[i][1]))] * K


def by_hand(clients, w, K, lr, chosen, mu=0.0, controls=False, server=None, rows=descent):
    """The server's parameters after each round, from the papers: one client after the other, in NumPy."""
    server = server or gradient_descent(1.0)
    own, state, path = np.zeros((len(clients), len(w))), server.init(w), [w]
    for r, ids in enumerate(chosen):
        c, renewed, moves = own.mean(0), own.copy(), []
        eta = lr(r) if callable(lr) else lr
        for i in ids:
            z, (x, y) = w.copy(), clients[i]
            for which in rows(i, K, r, clients):
                g = x[which].T @ (x[which] @ z - y[which]) / len(which) + mu * (z - w)
                z = z - eta * (g - own[i] + c if controls else g)
            moves.append(z - w)
            renewed[i] = own[i] - c + (w - z) / (K * eta)
        own = renewed if controls else own
        weights = np.array([1 if controls else len(clients[i][1]) for i in ids], float)
        delta, state = server.update(-np.average(moves, axis=0, weights=weights), state, w)
        w = w + delta
        path.append(w)
    return np.array(path)


ALGORITHMS = {
    "fedsgd": (lambda **more: fedsgd(0.05), {}),
    "fedavg": (lambda **more: fedavg(4, 0.05, **more), {}),
    "fedprox": (lambda **more: fedprox(4, 0.05, mu=0.7, **more), {"mu": 0.7}),
    "scaffold": (lambda **more: scaffold(4, 0.05, **more), {"controls": True}),
}
algorithms = pytest.mark.parametrize("make, options", ALGORITHMS.values(), ids=ALGORITHMS)


# ---- closed forms

def after_one_round(algorithm, clients, loss, w):
    return simulate(loss, w, clients, algorithm, rounds=1, seed=0).w[-1]


@few
@given(seeds, st.integers(1, 6), st.lists(st.integers(1, 4), min_size=1, max_size=5), st.sampled_from([0.0, 0.5, 3.0]),
       st.floats(0.2, 2.0), st.booleans())
def test_a_round_is_the_closed_form_and_the_fixed_point_stays(seed, K, sizes, mu, speed, prox):
    """w − s Σ pᵢ aᵢ (w − cᵢ), which a server's rate s makes faster and moves nowhere."""
    rng = np.random.default_rng(seed)
    h, c = rng.uniform(0.1, 4.0, (len(sizes), 20)), rng.standard_normal((len(sizes), 20))
    lr, mu, p = 0.2, mu * prox, np.array(sizes)[:, None] / sum(sizes)
    a = h / (h + mu) * (1 - (1 - lr * (h + mu)) ** K)
    server = gradient_descent(speed)
    algorithm = fedprox(K, lr, server=server, mu=mu) if prox else fedavg(K, lr, server=server)
    clients, start = copies(zip(h, c), sizes), rng.standard_normal(20)
    fixed = (p * a * c).sum(0) / (p * a).sum(0)
    left = (1 - speed * (p * a).sum(0)) ** 3
    trace = simulate(bowls, start, clients, algorithm, rounds=3, seed=seed)
    np.testing.assert_allclose(trace.w[-1], fixed + left * (start - fixed), rtol=1e-12, atol=1e-12)
    stayed = simulate(bowls, fixed, clients, algorithm, rounds=2, seed=seed).w[-1]
    np.testing.assert_allclose(stayed, fixed, rtol=1e-12, atol=1e-12)


@few
@given(seeds, st.integers(1, 6), st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_a_round_is_the_closed_form_of_matrices(seed, K, sizes):
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((len(sizes), 3, 3))
    H, c = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(3), rng.standard_normal((len(sizes), 3))
    lr, p = 0.02, np.array(sizes) / sum(sizes)
    QH = [sum(np.linalg.matrix_power(np.eye(3) - lr * each, k) for k in range(K)) @ each for each in H]
    whole = sum(share * each for share, each in zip(p, QH))
    fixed = np.linalg.solve(whole, sum(share * each @ centre for share, each, centre in zip(p, QH, c)))
    clients, start = copies(zip(H, c), sizes), rng.standard_normal(3)
    trace = simulate(bowl, start, clients, fedavg(K, lr), rounds=2, seed=0)
    left = np.linalg.matrix_power(np.eye(3) - lr * whole, 2) @ (start - fixed)
    np.testing.assert_allclose(trace.w[-1], fixed + left, rtol=1e-10, atol=1e-12 * (1 + abs(fixed).max()))


@pytest.mark.parametrize("algorithm, limit", [
    (fedavg(1, 0.05), 0.909), (fedavg(10, 0.05), 0.713), (fedavg(100, 0.05), 0.501), (fedsgd(0.05), 0.909),
    (fedprox(100, 0.05, mu=1.0), 0.645), (fedprox(10, 0.05, mu=0.0), 0.713),
], ids=str)
def test_two_parabolas_end_where_the_book_says(algorithm, limit):
    """A round is w ↦ b + A w: two starts tell both, and so the limit b / (1 − A)."""
    clients = [(np.array([[h]]), np.array([[c]])) for h, c in ((1.0, 0.0), (10.0, 1.0))]
    b, ahead = (after_one_round(algorithm, clients, bowls, np.array([start]))[0] for start in (0.0, 1.0))
    assert b / (1 - (ahead - b)) == pytest.approx(limit, abs=5e-4)


def test_proximal_steps_solved_exactly_meet_at_weighted_centres():
    """aᵢ = h / (h + μ) in the limit K → ∞: (1/2 · 0 + 10/11 · 1) / (1/2 + 10/11) = 20/31."""
    a = np.array([1, 10]) / np.array([2, 11])
    assert a[1] / a.sum() == pytest.approx(20 / 31) == pytest.approx(0.645, abs=5e-4)
    clients = [(np.array([[h]]), np.array([[c]])) for h, c in ((1.0, 0.0), (10.0, 1.0))]
    stays = after_one_round(fedprox(300, 0.05, mu=1.0), clients, bowls, np.array([20 / 31]))
    assert stays[0] == pytest.approx(20 / 31, abs=1e-12)


@pytest.mark.parametrize("K, lr, rounds", [(1, 0.7, 40), (3, 0.25, 45), (6, 0.15, 55)])
def test_scaffold_reaches_the_minimum_of_the_uniform_mean(K, lr, rounds):
    rng = np.random.default_rng(K)
    h, c = rng.uniform(0.5, 2.0, (4, 30)), rng.standard_normal((4, 30))
    clients = copies(zip(h, c), (1, 5, 2, 1))
    trace = simulate(bowls, np.zeros(30), clients, scaffold(K, lr), rounds, seed=0, every=1000)
    np.testing.assert_allclose(trace.w[-1], (h * c).sum(0) / h.sum(0), rtol=1e-12, atol=1e-12)
    drifted = simulate(bowls, trace.w[-1], clients, fedavg(max(K, 2), lr), rounds=1, seed=0).w[-1]
    assert np.abs(drifted - trace.w[-1]).max() > 1e-2


def test_scaffold_reaches_the_minimum_for_matrices():
    rng = np.random.default_rng(5)
    roots, c = rng.standard_normal((3, 4, 4)), rng.standard_normal((3, 4))
    H = roots @ roots.transpose(0, 2, 1) / 4 + np.eye(4)
    best = np.linalg.solve(H.sum(0), np.einsum("nij,nj->i", H, c))
    trace = simulate(bowl, np.zeros(4), copies(zip(H, c), (2, 1, 3)), scaffold(3, 0.15), rounds=70, seed=0, every=1000)
    np.testing.assert_allclose(trace.w[-1], best, rtol=1e-12, atol=1e-12)


# ---- iterates

@algorithms
@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.15])
def test_iterates_are_those_of_a_plain_loop(make, options, fraction):
    clients, algorithm = regressions(), make()
    trace = simulate(squares, np.ones(3), clients, algorithm, rounds=5, seed=1, fraction=fraction)
    expected = by_hand(clients, np.ones(3), algorithm.local_steps, 0.05, trace.chosen, **options)
    np.testing.assert_allclose(trace.w, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "scaffold"])
@pytest.mark.parametrize("vectorize", [True, False])
def test_batches_are_drawn_without_replacement_and_iterates_follow_them(name, vectorize):
    """A loss that sees each batch tells, run one by one, which rows were drawn; vmapped it ends in the same place."""
    make, options = ALGORITHMS[name]
    clients, seen = regressions(), []

    def spying(w, x, y):
        if w.requires_grad:
            seen.append(y.tolist())
        return squares(w, x, y)

    algorithm = make(batch_size=3)
    loop = simulate(spying, np.ones(3), clients, algorithm, 3, seed=0, fraction=0.75, vectorize=False)
    owner = {y: (i, row) for i, (_, ys) in enumerate(clients) for row, y in enumerate(ys)}
    batches, taken = {}, iter(seen)
    for r, ids in enumerate(loop.chosen):
        for _ in ids:
            mine = [[owner[y] for y in next(taken)] for _ in range(4)]
            (i,) = {i for batch in mine for i, _ in batch}
            batches[i, r] = [np.array([row for _, row in batch]) for batch in mine]
    assert next(taken, None) is None and sorted({i for i, r in batches if r == 0}) == loop.chosen[0].tolist()
    for (i, r), mine in batches.items():
        size = len(clients[i][1])
        epoch = max(1, size // 3)
        assert all(len(batch) == min(size, 3) for batch in mine)
        for start in range(0, 4, epoch):
            rows = np.concatenate(mine[start : start + epoch])
            assert len(set(rows)) == len(rows)
    big = [np.concatenate(mine).tolist() for (i, _), mine in batches.items() if len(clients[i][1]) >= 8]
    assert all(rows != sorted(rows) for rows in big) and len(set(map(tuple, big))) == len(big) >= 2
    expected = by_hand(
        clients, np.ones(3), 4, 0.05, loop.chosen, **options, rows=lambda i, K, r, clients: batches[i, r])
    trace = simulate(squares, np.ones(3), clients, algorithm, 3, seed=0, fraction=0.75, vectorize=vectorize)
    np.testing.assert_allclose(trace.w, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("vectorize", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lr", [0.3, 0.07, 1e-3])
def test_one_client_with_one_step_is_descent_bit_for_bit(lr, dtype, vectorize):
    rng = np.random.default_rng(0)
    h, c = (rng.uniform(0.5, 2.0, (1, 5)).astype(dtype) for _ in range(2))

    class Bowls:
        def __call__(self, w):
            return bowls(*map(torch.tensor, (w, h, c))).item()

        def grad(self, w):
            w = torch.tensor(w, requires_grad=True)
            bowls(w, torch.tensor(h), torch.tensor(c)).backward()
            return w.grad.numpy()

    start = rng.standard_normal(5).astype(dtype)
    trace = simulate(bowls, start, [(h, c)], fedsgd(lr), rounds=12, seed=0, vectorize=vectorize)
    plain = minimize(Bowls(), gradient_descent(lr), start, 12)
    assert trace.w.dtype == plain.w.dtype == dtype
    np.testing.assert_array_equal(trace.w, plain.w)
    np.testing.assert_array_equal(trace.loss, plain.loss)
    np.testing.assert_array_equal(trace.lr, plain.lr)


def descended(clients, w, lr, steps):
    """Gradient descent on the mean over all samples of some clients together."""
    x, y = (np.concatenate(each) for each in zip(*clients))
    for _ in range(steps):
        w = w - lr * x.T @ (x @ w - y) / len(y)
    return w


def test_one_step_of_all_clients_is_a_step_on_the_mean():
    trace = simulate(squares, np.ones(3), regressions(), fedsgd(0.1), rounds=5, seed=0)
    for r, w in enumerate(trace.w):
        np.testing.assert_allclose(w, descended(regressions(), np.ones(3), 0.1, r), rtol=1e-12)


@pytest.mark.parametrize(
    "make", [fedavg, scaffold, lambda K, lr: fedprox(K, lr, mu=0.0)], ids=["fedavg", "scaffold", "fedprox"])
def test_steps_of_one_client_or_of_twins_are_steps_of_descent(make):
    one = regressions([6])
    for clients in (one, one * 4):
        trace = simulate(squares, np.ones(3), clients, make(5, 0.1), rounds=2, seed=0)
        np.testing.assert_allclose(trace.w[-1], descended(one, np.ones(3), 0.1, 10), rtol=1e-12)


# ---- many at once, and one by one

@algorithms
@pytest.mark.parametrize("batch_size, fraction", [(None, 1.0), (3, 1.0), (4, 0.5)])
def test_vectorised_is_the_loop_in_blocks_of_any_size(make, options, batch_size, fraction):
    algorithm, clients = make(batch_size=batch_size), regressions((3, 1, 8, 2, 5))
    single = {"w0": np.ones(3, np.float32)}
    given = {"loss": squares, "w0": np.ones(3), "clients": clients, "algorithm": algorithm, "fraction": fraction}
    loop, *others, rough, rough_loop = (
        simulate(rounds=2, seed=2, **{**given, **how})
        for how in ({"vectorize": False}, {"block": 1}, {"block": 3}, {}, single, {**single, "vectorize": False})
    )
    assert rough.w.dtype == rough_loop.w.dtype == np.float32 and loop.w.dtype == np.float64
    pairs = [(other, loop, 1e-12) for other in others]
    for other, plain, tolerance in (*pairs, (rough, rough_loop, 1e-5), (rough, loop, 1e-5)):
        assert other.client_loss.dtype == np.float64
        np.testing.assert_allclose(other.w, plain.w, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(other.client_loss, plain.client_loss, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(other.chosen, plain.chosen)


def test_the_loop_sees_no_more_than_a_sample_and_vmap_no_more_than_a_block(monkeypatch):
    widths = []

    def watched(function, batched=vmap):
        def call(w, *data):
            widths.append(len(w))
            return batched(function)(w, *data)
        return call

    monkeypatch.setattr("course_lib.federated.simulation.vmap", watched)
    simulate(squares, np.ones(3), regressions([2] * 9), fedavg(1, 0.1), 1, seed=0, block=4)
    assert max(widths) == 4 and widths.count(1) == widths.count(4) / 2 > 0
    simulate(squares, np.ones(3), regressions([2] * 9), fedavg(1, 0.1), 1, seed=0)
    assert max(widths) == 9
    watched_before = len(widths)
    simulate(squares, np.ones(3), regressions([2] * 9), fedavg(1, 0.1), 1, seed=0, vectorize=False)
    assert len(widths) == watched_before


@algorithms
def test_the_seed_decides(make, options):
    def run(seed, **more):
        return simulate(squares, np.ones(3), regressions(), make(batch_size=2), 3, seed=seed, **more)

    first, again, other = (run(seed, fraction=0.5) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.w, again.w)
    np.testing.assert_array_equal(first.chosen, again.chosen)
    assert (first.w[-1] != other.w[-1]).any() and not np.array_equal(first.chosen, other.chosen)
    if make is not ALGORITHMS["fedsgd"][0]:
        assert (run(3).w[-1] != run(4).w[-1]).any()     # the batches are drawn anew too


def test_what_is_given_is_left_alone():
    clients, w0 = regressions(), np.ones(3)
    kept = regressions()
    simulate(squares, w0, clients, scaffold(2, 0.1, batch_size=2), 2, seed=0)
    client_values(squares, w0, clients)
    fine_tuned(squares, w0, clients, 2, 0.1, seed=0)
    assert (w0 == 1).all()
    for pair, before in zip(clients, kept):
        for part, old in zip(pair, before):
            np.testing.assert_array_equal(part, old)
    start = torch.ones(3, dtype=F64, requires_grad=True)
    trace = simulate(squares, start, clients, fedavg(2, 0.1), 2, seed=0)
    assert (start == 1).all() and start.grad is None
    trace.w[0] = 7.0
    assert (start == 1).all()


def test_arrays_and_tensors_are_alike():
    clients, w0 = regressions(), np.ones(3)
    tensors = [tuple(torch.tensor(part) for part in pair) for pair in clients]
    expected = simulate(squares, w0, clients, fedavg(2, 0.1), 2, seed=0)
    for given, start in ((tensors, torch.tensor(w0)), (tuple(map(list, clients)), torch.tensor(w0))):
        np.testing.assert_array_equal(simulate(squares, start, given, fedavg(2, 0.1), 2, seed=0).w, expected.w)
    # Data of another precision take that of w0; whole numbers stay whole.
    single = simulate(squares, w0.astype(np.float32), clients, fedavg(2, 0.1), 2, seed=0)
    assert single.w.dtype == np.float32
    data = ClientData([(np.ones((2, 1), np.float16), np.array([1, 0], np.int8))], like=torch.zeros(1, dtype=F64))
    assert [part.dtype for part in data.fetch(np.array([[0, 1]]))] == [F64, torch.int64]


def test_arrays_that_are_read_only_or_run_backwards_are_taken():
    x, y = regressions([4])[0]
    frozen = x.copy(), y.copy()
    for part in frozen:
        part.flags.writeable = False
    expected = simulate(squares, np.ones(3), [(x, y)], fedsgd(0.1), 2, seed=0)
    for pair in (frozen, (x[::-1].copy()[::-1], y[::-1].copy()[::-1])):
        np.testing.assert_array_equal(simulate(squares, np.ones(3), [pair], fedsgd(0.1), 2, seed=0).w, expected.w)


def test_half_precision_is_kept():
    trace = simulate(squares, np.ones(3, np.float16), regressions([2, 2]), fedavg(2, 0.1), 2, seed=0)
    assert trace.w.dtype == np.float16 and (trace.w[-1] != 1).any()


def test_no_gradient_is_recorded_by_the_caller_or_missed():
    with torch.no_grad():
        quiet = simulate(squares, np.ones(3), regressions(), fedavg(2, 0.1), 2, seed=0)
    np.testing.assert_array_equal(quiet.w, simulate(squares, np.ones(3), regressions(), fedavg(2, 0.1), 2, seed=0).w)


# ---- filling up

def quartic(w, x, y):
    return (x @ w - y).pow(4).mean()


@settings(max_examples=10)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), seeds)
def test_a_batch_that_was_filled_up_has_the_mean_and_gradient_of_its_own(sizes, seed):
    clients = regressions(sizes, seed=seed)
    data = ClientData(clients, like=torch.zeros(1, dtype=F64))
    w = torch.randn(len(sizes), 3, generator=torch.Generator().manual_seed(seed), dtype=F64, requires_grad=True)
    rows, lengths = data.all_rows(np.arange(len(sizes)))
    assert rows.shape == (len(sizes), max(sizes)) and lengths.tolist() == sizes
    values = mean_values(quartic, vmap, w, *data.fetch(rows), lengths)
    (g,) = torch.autograd.grad(values.sum(), w)
    for i, (x, y) in enumerate(clients):
        alone = w[i].detach().requires_grad_()
        value = quartic(alone, torch.tensor(x), torch.tensor(y))
        value.backward()
        torch.testing.assert_close(values[i], value, rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(g[i], alone.grad, rtol=1e-11, atol=1e-11)
        filled = (part[i : i + 1] for part in data.fetch(rows))
        one = mean_values(quartic, one_by_one, w[i : i + 1], *filled, lengths[[i]])
        torch.testing.assert_close(one[0], value, rtol=1e-11, atol=1e-11)


def test_rows_that_fill_up_are_copies_of_the_clients_first():
    data = ClientData(regressions([2, 4]), like=torch.zeros(1, dtype=F64))
    rows, lengths = data.all_rows(np.array([1, 0]))
    assert rows.tolist() == [[2, 3, 4, 5], [0, 1, 0, 0]] and lengths.tolist() == [4, 2]
    rows, lengths = data.batch_rows(np.array([0, 1]), 2, 3, [5, 6])
    assert rows.shape == (2, 2, 3) and lengths.tolist() == [2, 3]
    assert (rows[:, 0, 2] == rows[:, 0, 0]).all() and set(rows[:, 1].ravel()) <= {2, 3, 4, 5}
    assert data.lengths(np.array([1, 0]), 3).tolist() == [3, 2] and data.lengths(np.array([1]), None).tolist() == [4]
    whole, _ = data.batch_rows(np.array([0, 1]), 5, 4, [5, 6])
    assert whole.shape == (5, 2, 4) and whole.strides[0] == 0      # nothing to draw, nothing to fetch twice


@given(st.lists(st.integers(1, 40), min_size=1, max_size=80), st.integers(1, 30), st.booleans())
def test_blocks_hold_every_client_once_and_are_near_in_length(lengths, most, alike):
    lengths = np.array(lengths)
    found = blocks(lengths, most, alike)
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), np.arange(len(lengths)))
    for block in found:
        own = lengths[block]
        assert 1 <= len(block) <= most and own.max() <= 2 * own.min()
        assert not alike or own.min() == own.max()


def lengths_of(blocks, lengths):
    return [np.asarray(lengths)[block].tolist() for block in blocks]


def test_few_of_a_length_are_put_together_and_many_stay_alone():
    def found(lengths, most=256, **more):
        return lengths_of(blocks(np.array(lengths), most, **more), lengths)

    assert found([8, 4, 6, 7, 5]) == [[4, 5, 6, 7, 8]]
    assert found([4, 8, 9]) == [[4, 8], [9]]
    assert found([8, 4, 6], alike=True) == [[4], [6], [8]]
    assert found([5] * 16 + [6]) == [[5] * 16, [6]] and found([6] * 16 + [5]) == [[5], [6] * 16]
    assert found([5] * 15 + [6] * 15) == [[5] * 15 + [6] * 15]
    assert found([5] * 15 + [6] * 15 + [7]) == [[5] * 15 + [6] * 15, [7]]
    assert found([3] * 5, most=2) == [[3, 3], [3, 3], [3]]


# ---- who takes part

def rounds_of(clients, rounds, **more):
    """Who took part: of `clients` alike, with nothing to learn."""
    data = [(np.ones((1, 1)), np.ones(1))] * clients
    return simulate(squares, np.ones(1), data, fedsgd(0.1), rounds, every=10_000, **more).chosen


@pytest.mark.parametrize("fraction, many", [(1.0, 10), (0.5, 5), (0.34, 3), (0.36, 4), (0.1, 1), (1e-9, 1)])
def test_so_many_clients_take_part(fraction, many):
    chosen = rounds_of(10, 8, seed=0, fraction=fraction)
    assert type(chosen) is list and len(chosen) == 8
    for ids in chosen:
        assert ids.dtype.kind == "i" and len(ids) == len(set(ids)) == many and set(ids) <= set(range(10))
    assert many == 10 or len({tuple(ids) for ids in chosen}) > 1


def test_all_clients_are_drawn_equally_often():
    """Counts of draws without replacement: their χ² statistic shrinks by 1 − p, and has C − 1 degrees of freedom."""
    rounds, p = 200, 0.3
    counts = np.bincount(np.concatenate(rounds_of(10, rounds, seed=0, fraction=p)), minlength=10)
    statistic = ((counts - rounds * p) ** 2 / (rounds * p)).sum() / (1 - p) * 9 / 10
    assert chi2.ppf(0.001, 9) < statistic < chi2.ppf(0.999, 9)


def test_rounds_are_drawn_apart():
    pairs = [tuple(ids) for ids in rounds_of(10, 60, seed=0, fraction=0.2)]
    assert len(set(pairs)) > 25
    assert pairs[:3] == [tuple(ids) for ids in rounds_of(10, 3, seed=0, fraction=0.2)]
    assert pairs[1:9] != [tuple(ids) for ids in rounds_of(10, 8, seed=1, fraction=0.2)]     # no seed is another's later


# ---- the server

@pytest.mark.parametrize(
    "server", [adam(0.1), momentum(0.5, beta=0.9), gradient_descent(2.0), gradient_descent(0.3)], ids=str)
@algorithms
def test_the_server_steps_against_minus_the_mean(make, options, server):
    if make is ALGORITHMS["fedsgd"][0]:
        algorithm = fedsgd(0.05, server=server)
    else:
        algorithm = make(server=server)
    trace = simulate(squares, np.ones(3), regressions(), algorithm, rounds=4, seed=0, fraction=0.7)
    expected = by_hand(regressions(), np.ones(3), algorithm.local_steps, 0.05, trace.chosen, server=server, **options)
    np.testing.assert_allclose(trace.w, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("make, options", [(fedavg, {}), (scaffold, {"controls": True})])
def test_a_schedule_is_called_with_the_rounds_made(make, options):
    asked = []

    def schedule(r):
        asked.append(r)
        return 0.1 / (1 + r)

    trace = simulate(squares, np.ones(3), regressions(), make(3, schedule), rounds=5, seed=0, fraction=0.5, every=2)
    assert set(asked) == set(range(5)) and all(type(r) is int or isinstance(r, np.integer) for r in asked)
    path = by_hand(regressions(), np.ones(3), 3, lambda r: 0.1 / (1 + r), trace.chosen, **options)
    np.testing.assert_allclose(trace.w, path[[0, 2, 4, 5]], rtol=1e-12)
    np.testing.assert_allclose(trace.lr, [0.1 / 2, 0.1 / 4, 0.1 / 5], rtol=1e-15)


def test_a_servers_schedule_counts_rounds_too():
    server = gradient_descent(lambda t: float(t == 1))
    trace = simulate(squares, np.ones(3), regressions(), fedavg(1, 0.1, server=server), 3, seed=0)
    moved = np.abs(np.diff(trace.w, axis=0)).max(1)
    assert moved[0] == moved[2] == 0 < moved[1]


# ---- aggregates

def test_the_mean_is_that_of_numpy():
    u, p = torch.randn(5, 3, dtype=F64), torch.rand(5, dtype=F64)
    np.testing.assert_allclose(mean(u), u.numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(mean(u, p), np.average(u, axis=0, weights=p), rtol=1e-12)
    assert mean(u.float(), p).dtype == F32


@pytest.mark.parametrize("call, words", [
    (lambda: mean(torch.ones(3)), r"updates must have shape \[clients, params\], got \[3\]"),
    (lambda: mean(torch.ones(0, 3)), r"updates must have shape \[clients, params\], got \[0, 3\]"),
    (lambda: mean(torch.ones(2, 3), torch.ones(3)), r"weights must have shape \[2\], got \[3\]"),
    (lambda: mean(torch.ones(2, 3), torch.ones(2, 1)), r"weights must have shape \[2\], got \[2, 1\]"),
])
def test_the_mean_names_what_does_not_fit(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("block", [1, 2, 256])
@pytest.mark.parametrize("vectorize", [True, False])
def test_another_aggregate_gets_all_updates_in_the_order_of_the_chosen(block, vectorize):
    clients, got = regressions(), []

    def last(updates):
        got.append(updates.clone())
        return 2 * updates[-1]

    how = {"block": block, "vectorize": vectorize}
    trace = simulate(squares, np.ones(3), clients, fedavg(3, 0.1), 3, seed=5, fraction=0.6, aggregate=last, **how)
    for r, ids in enumerate(trace.chosen):
        alone = fine_tuned(squares, trace.w[r], clients, 3, 0.1, seed=0).numpy() - trace.w[r]
        assert got[r].shape == (4, 3)
        np.testing.assert_allclose(got[r], alone[ids], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(trace.w[r + 1] - trace.w[r], 2 * alone[ids[-1]], rtol=1e-10, atol=1e-12)


def test_an_equal_mean_of_ones_own_weighs_all_alike():
    clients = regressions()
    own = simulate(squares, np.ones(3), clients, fedavg(2, 0.1), 2, seed=0, aggregate=lambda updates: mean(updates)).w
    alike = simulate(squares, np.ones(3), clients, scaffold(2, 0.1), 1, seed=0).w
    np.testing.assert_allclose(own[1], alike[1], rtol=1e-12)
    by_size = simulate(squares, np.ones(3), clients, fedavg(2, 0.1), 1, seed=0).w
    assert np.abs(own[1] - by_size[1]).max() > 1e-3


def test_the_aggregate_may_have_another_dtype():
    w0 = np.ones(3, np.float32)
    trace = simulate(squares, w0, regressions(), fedsgd(0.1), 2, seed=0, aggregate=lambda u: u.double().mean(0))
    assert trace.w.dtype == np.float32


@pytest.mark.parametrize("wrong, words", [
    (lambda u: u, r"aggregate must return .*shape \[3\], got \[7, 3\]"),
    (lambda u: u.mean(), r"aggregate must return .*shape \[3\], got \[\]"),
    (lambda u: None, r"aggregate must return .*shape \[3\], got NoneType"),
    (lambda u: u.mean(0).numpy(), r"aggregate must return a tensor"),
])
def test_an_aggregate_of_another_shape_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        simulate(squares, np.ones(3), regressions(), fedsgd(0.1), 1, seed=0, aggregate=wrong)


# ---- an algorithm of one's own

def test_an_algorithm_is_what_its_functions_say():
    """Steps against the sign; and one that adds up what it has moved so far, to see what `renew` gets."""
    plain = gradient_descent(1.0)
    signs = Algorithm("signs", {"a": 1}, 3, 0.01, None, plain, True, direction=lambda g, d, own, shared: g.sign())
    assert repr(signs) == "signs(a=1)"
    trace = simulate(squares, np.full(3, 9.0), regressions([20]), signs, 1, seed=0)
    np.testing.assert_allclose(np.abs(trace.w[1] - 9.0), 0.03, rtol=1e-9)
    distances = []

    def renew(d, own, shared, distance):
        distances.append(distance)
        return own + d

    def direction(g, d, own, shared):
        return own + 10 * shared + 1 + 0 * d

    sums = Algorithm("sums", {}, 2, 0.1, None, plain, False, direction, renew)
    trace = simulate(squares, np.zeros(3), regressions([1, 2, 3]), sums, 3, seed=0, block=1)
    w = own = 0.0
    for r in range(3):     # every client is alike, and sees what all kept after the last round alone
        d = -0.2 * (11 * own + 1)
        w, own = w + d, own + d
        np.testing.assert_allclose(trace.w[r + 1], w, rtol=1e-12)
    assert distances == [pytest.approx(0.2)] * 9


def test_names_and_settings_are_shown():
    assert repr(fedprox(2, 0.1, 8, mu=1)) == (
        "fedprox(local_steps=2, lr=0.1, batch_size=8, server=gradient_descent(lr=1.0), mu=1.0)")
    assert repr(scaffold(2, 0.1)).startswith("scaffold(local_steps=2, lr=0.1, batch_size=None")
    assert repr(fedsgd(0.1)) == repr(fedavg(1, 0.1)) and fedsgd(0.1, adam(0.2)).server.name == "adam"
    assert [make().by_size for make, _ in ALGORITHMS.values()] == [True, True, True, False]


# ---- what is recorded

def test_records_are_the_start_every_so_many_rounds_and_the_end():
    clients, algorithm = regressions(), fedavg(2, 0.1)
    whole = simulate(squares, np.ones(3), clients, algorithm, 7, seed=0, fraction=0.5)
    assert isinstance(whole, FederatedTrace) and whole.step.tolist() == list(range(8))
    assert whole.w.shape == (8, 3) and whole.loss.shape == (8,) and whole.lr.shape == (7,)
    assert whole.client_loss.shape == (8, 7)
    thin = simulate(squares, np.ones(3), clients, algorithm, 7, seed=0, fraction=0.5, every=3)
    assert thin.step.tolist() == [0, 3, 6, 7] and len(thin.chosen) == 7 and thin.lr.tolist() == [0.1] * 3
    for name in ("w", "loss", "client_loss"):
        np.testing.assert_array_equal(getattr(thin, name), getattr(whole, name)[thin.step])
    assert simulate(squares, np.ones(3), clients, algorithm, 6, seed=0, every=3).step.tolist() == [0, 3, 6]
    assert simulate(squares, np.ones(3), clients, algorithm, 2, seed=0, every=9).step.tolist() == [0, 2]


def test_until_ends_the_run_and_its_end_is_recorded():
    asked = []

    def until(w):
        asked.append(w.clone())
        return len(asked) == 4

    trace = simulate(squares, np.ones(3), regressions(), fedavg(2, 0.1), 9, seed=0, every=3, until=until)
    assert trace.step.tolist() == [0, 3, 4] and len(trace.chosen) == 4 and len(asked) == 4
    np.testing.assert_array_equal(trace.w[-1], asked[-1])
    never = simulate(squares, np.ones(3), regressions(), fedavg(2, 0.1), 3, seed=0, until=lambda w: torch.tensor(False))
    assert never.step.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("algorithm", [fedavg(2, 0.1), scaffold(2, 0.1)], ids=["by size", "alike"])
def test_losses_are_those_of_the_clients_and_their_mean(algorithm):
    clients = regressions()
    trace = simulate(squares, np.ones(3), clients, algorithm, 2, seed=0, fraction=0.5)
    for w, row, loss in zip(trace.w, trace.client_loss, trace.loss):
        np.testing.assert_allclose(row, [((x @ w - y) ** 2).mean() / 2 for x, y in clients], rtol=1e-12)
        weights = SIZES if algorithm.by_size else None
        assert loss == pytest.approx(np.average(row, weights=weights), rel=1e-12)


# ---- values and personal parameters

@pytest.mark.parametrize("block", [1, 2, 256])
def test_values_of_one_vector_and_of_one_each(block):
    clients = regressions()
    own = np.random.default_rng(1).standard_normal((7, 3))
    for w in (own[0], own):
        each = np.broadcast_to(w, (7, 3))
        expected = [((x @ v - y) ** 2).mean() / 2 for v, (x, y) in zip(each, clients)]
        found = client_values(squares, w, clients, block=block)
        assert type(found) is np.ndarray and found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    errors = client_values(lambda w, x, y: (x @ w > 0).ne(y > 0).double().mean(), own[0], clients)
    np.testing.assert_allclose(errors, [((x @ own[0] > 0) != (y > 0)).mean() for x, y in clients], rtol=1e-12)


@pytest.mark.parametrize("block", [1, 3, 256])
def test_each_client_goes_on_alone(block):
    clients = regressions()
    own = fine_tuned(squares, np.ones(3), clients, 4, 0.1, seed=0, block=block)
    assert own.shape == (7, 3) and own.dtype == F64 and not own.requires_grad
    for i, client in enumerate(clients):
        np.testing.assert_allclose(own[i], descended([client], np.ones(3), 0.1, 4), rtol=1e-12)
    assert fine_tuned(squares, torch.ones(3), clients, 1, lambda t: 0.1, seed=0).dtype == F32


def test_batches_of_personal_steps_are_decided_by_the_seed():
    clients = regressions()
    first, again, other = (fine_tuned(squares, np.ones(3), clients, 3, 0.1, seed, batch_size=2) for seed in (0, 0, 1))
    assert (first == again).all() and (first[2] != other[2]).any()
    loop = fine_tuned(squares, np.ones(3), clients, 3, 0.1, 0, batch_size=2, block=1)
    torch.testing.assert_close(loop, first, rtol=1e-12, atol=1e-12)
    twins = fine_tuned(squares, np.ones(3), [clients[-1]] * 2, 3, 0.1, 0, batch_size=2)
    assert (twins[0] != twins[1]).any()     # each in an order of its own


# ---- misuse

X, Y = np.ones((2, 3)), np.array([0.0, 1.0])
NAN = np.array([0.0, np.nan])


def summed(w, x, y):
    return (x @ w - y).square().sum()


BAD_CLIENTS = [
    ([], TypeError, r"clients must be a list of pairs \(x, y\)"),
    (None, TypeError, "clients must be a list of pairs"),
    ([(X, Y), (X[:0], Y[:0])], ValueError, r"clients\[1\] must have as many x as y, at least one"),
    ([(X, Y[:1])], ValueError, r"clients\[0\] must have as many x as y, at least one, got shapes \[2, 3\] and \[1\]"),
    ([(X, np.float64(1.0))], ValueError, r"clients\[0\] must have as many x as y"),
    ([(np.float64(1.0), Y)], ValueError, r"clients\[0\] must have as many x as y"),
    ([(X, Y), (X, NAN)], ValueError, r"clients\[1\] must be finite, got NaN or infinity in y"),
    ([(X * np.inf, Y)], ValueError, r"clients\[0\] must be finite, got NaN or infinity in x"),
    ([(X, Y), (X[:, :2], Y)], ValueError, "clients must have the same shape of x but for the samples"),
    ([(X, Y), (X, Y[:, None])], ValueError, "clients must have the same shape of y but for the samples"),
    ([(X, Y, Y)], TypeError, r"clients\[0\] must be a pair"),
    ([(X, "ab")], TypeError, r"clients\[0\] must be a pair"),
    ([3], TypeError, r"clients\[0\] must be a pair"),
]
BAD_STARTS = [
    (np.ones((1, 3)), ValueError, r"must be floats of shape \[D\], got torch.float64 of shape \[1, 3\]"),
    (np.ones(3, int), ValueError, r"must be floats of shape \[D\], got torch.int64 of shape \[3\]"),
    (1.0, ValueError, r"must be floats of shape \[D\]"),
    (np.array([1.0, np.nan, 0.0]), ValueError, "must be finite, got NaN or infinity"),
    (None, TypeError, "must be an array|must be floats"),
    ("abc", TypeError, "must be an array|must be floats"),
]


@pytest.mark.parametrize("wrong, error, words", [
    *[({"clients": clients}, error, words) for clients, error, words in BAD_CLIENTS],
    *[({"w0": w0}, error, f"w0 {words}") for w0, error, words in BAD_STARTS],
    ({"loss": None}, TypeError, "loss must be callable, got None"),
    ({"loss": summed}, ValueError, "loss must be a mean over samples, got 13 for two samples that have 9 and 4 alone"),
    ({"loss": lambda w, x, y: (x @ w - y).square()}, ValueError, "loss must"),
    ({"loss": lambda w, x, y: (x @ w - y).square().mean(0, keepdim=True)}, ValueError, "loss must"),
    ({"loss": lambda w, x, y: squares(w, x, y) / 0.0}, ValueError, "w0 must have a finite loss, got inf"),
    ({"loss": lambda w, x, y: squares(w, x, y) + np.nan}, ValueError, "w0 must have a finite loss, got nan"),
    ({"algorithm": gradient_descent(0.1)}, TypeError, "algorithm must be one such as fedavg"),
    ({"algorithm": fedavg}, TypeError, "algorithm must be one such as fedavg"),
    ({"rounds": 0}, ValueError, "rounds must be at least 1"),
    ({"rounds": 2.0}, TypeError, "rounds must be a whole number"),
    ({"seed": -1}, ValueError, "seed must be at least 0"),
    ({"seed": None}, TypeError, "seed must be a whole number"),
    ({"fraction": 0}, ValueError, "fraction must be finite and > 0 and <= 1, got 0"),
    ({"fraction": 1.1}, ValueError, "fraction must be finite and > 0 and <= 1, got 1.1"),
    ({"fraction": "all"}, TypeError, "fraction must be a number"),
    ({"every": 0}, ValueError, "every must be at least 1"),
    ({"block": 0}, ValueError, "block must be at least 1"),
    ({"until": 3}, TypeError, "until must be a function or None, got 3"),
    ({"aggregate": "mean"}, TypeError, "aggregate must be a function, got 'mean'"),
    ({"algorithm": fedavg(1, lambda r: -0.1)}, ValueError, "lr must be finite and > 0"),
    ({"algorithm": fedavg(1, lambda r: "big")}, TypeError, "lr must be a number"),
])
def test_wrong_arguments_of_a_simulation_are_named(wrong, error, words):
    right = {"loss": squares, "w0": np.ones(3), "clients": [(X, Y)], "algorithm": fedsgd(0.1), "rounds": 1, "seed": 0}
    with pytest.raises(error, match=words):
        simulate(**{**right, **wrong})


@pytest.mark.parametrize(
    "make", [fedavg, scaffold, lambda **given: fedprox(**given, mu=1.0)], ids=["fedavg", "scaffold", "fedprox"])
@pytest.mark.parametrize("wrong, error, words", [
    ({"local_steps": 0}, ValueError, "local_steps must be at least 1, got 0"),
    ({"local_steps": 1.5}, TypeError, "local_steps must be a whole number"),
    ({"lr": 0}, ValueError, "lr must be finite and > 0, got 0"),
    ({"lr": -0.1}, ValueError, "lr must be finite and > 0"),
    ({"lr": np.nan}, ValueError, "lr must be finite"),
    ({"lr": None}, TypeError, "lr must be a number"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ({"batch_size": 2.0}, TypeError, "batch_size must be a whole number"),
    ({"server": 1.0}, TypeError, r"server must be a Rule, such as gradient_descent\(1.0\), got 1.0"),
    ({"server": adam}, TypeError, "server must be a Rule"),
])
def test_wrong_arguments_of_an_algorithm_are_named(make, wrong, error, words):
    with pytest.raises(error, match=words):
        make(**{"local_steps": 1, "lr": 0.1, **wrong})


@pytest.mark.parametrize("call, error, words", [
    (lambda: fedprox(1, 0.1, mu=-1.0), ValueError, "mu must be finite and >= 0"),
    (lambda: fedprox(1, 0.1, mu=None), TypeError, "mu must be a number"),
    (lambda: fedprox(1, 0.1), TypeError, "mu"),
    (lambda: fedsgd(0.0), ValueError, "lr must be finite and > 0"),
    (lambda: fedsgd(0.1, server=None), TypeError, "server must be a Rule"),
])
def test_wrong_arguments_of_single_algorithms_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("wrong, error, words", [
    *[({"clients": clients}, error, words) for clients, error, words in BAD_CLIENTS],
    ({"function": None}, TypeError, "function must be"),
    ({"w": np.ones((2, 3))}, ValueError, r"w must have shape \[D\] or \[1, D\], got \[2, 3\]"),
    ({"w": np.ones((1, 1, 3))}, ValueError, "w must "),
    ({"w": np.ones(3, int)}, ValueError, "w must "),
    ({"w": np.full(3, np.nan)}, ValueError, "w must be finite"),
    ({"w": None}, TypeError, "w must "),
    ({"block": 0}, ValueError, "block must be at least 1"),
    ({"block": -1}, ValueError, "block must be at least 1"),
])
def test_wrong_arguments_of_values_are_named(wrong, error, words):
    with pytest.raises(error, match=words):
        client_values(**{"function": squares, "w": np.ones(3), "clients": [(X, Y)], **wrong})


@pytest.mark.parametrize("wrong, error, words", [
    *[({"clients": clients}, error, words) for clients, error, words in BAD_CLIENTS],
    *[({"w": w}, error, f"w {words}") for w, error, words in BAD_STARTS],
    ({"loss": None}, TypeError, "loss must be callable"),
    ({"loss": summed}, ValueError, "loss must be a mean over samples"),
    ({"local_steps": 0}, ValueError, "local_steps must be at least 1"),
    ({"lr": 0.0}, ValueError, "lr must be finite and > 0"),
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
    ({"seed": -1}, ValueError, "seed must be at least 0"),
    ({"seed": None}, TypeError, "seed must be a whole number"),
    ({"block": 0}, ValueError, "block must be at least 1"),
    ({"lr": 1e200, "local_steps": 5}, FloatingPointError, "not finite"),
])
def test_wrong_arguments_of_personal_steps_are_named(wrong, error, words):
    right = {"loss": squares, "w": np.ones(3), "clients": [(X, Y)], "local_steps": 1, "lr": 0.1, "seed": 0}
    with pytest.raises(error, match=words):
        fine_tuned(**{**right, **wrong})


def test_data_too_large_for_the_precision_are_named():
    with pytest.raises(ValueError, match=r"clients\[0\] must be finite"):
        simulate(squares, np.ones(3, np.float32), [(X * 1e200, Y)], fedsgd(0.1), 1, seed=0)


def test_a_mean_of_two_samples_that_rounding_blurs_is_still_a_mean():
    for dtype in (np.float16, np.float32):
        for seed in range(20):
            simulate(squares, np.ones(3, dtype), regressions([2], seed=seed), fedsgd(1e-3), 1, seed=0)


# ---- divergence

@pytest.mark.parametrize("vectorize", [True, False])
def test_a_client_whose_update_is_not_finite_is_named(vectorize):
    """Only the third client explodes: its curvature is a thousand, and η = 1."""
    clients = [(np.full((2, 1), h), np.ones(2)) for h in (1.0, 1.0, 1e3, 1.0)]
    with pytest.raises(Divergence, match=r"diverged in round \d+: the update of client 2 is not finite") as caught:
        simulate(squares, np.zeros(1, np.float32), clients, fedavg(4, 1.0), 50, seed=0, vectorize=vectorize, every=2)
    error = caught.value
    assert isinstance(error, FloatingPointError) and f"round {error.step}:" in str(error)
    kept = error.trace
    assert isinstance(kept, FederatedTrace) and len(kept.chosen) == error.step and kept.step[-1] < error.step
    assert (kept.step % 2 == 0).all() and len(kept.lr) == len(kept.step) - 1
    assert np.isfinite(kept.w).all() and np.isfinite(kept.loss).all()
    assert f"last recorded loss {kept.loss[-1]:.3g} after round {kept.step[-1]}. A smaller lr may help." in str(error)


def test_a_servers_step_that_is_not_finite_is_named():
    factor = itertools.chain([1.0, 1.0], itertools.repeat(np.nan))

    def spoiled(updates):
        return updates.mean(0) * next(factor)

    with pytest.raises(Divergence, match="diverged in round 3: the server's step is not finite") as caught:
        simulate(squares, np.ones(3), regressions(), fedsgd(0.1), 9, seed=0, aggregate=spoiled)
    assert caught.value.step == 3 and caught.value.trace.step.tolist() == [0, 1, 2]


def test_a_loss_that_is_not_finite_is_named():
    """−x eʷ runs away: its value overflows before w does."""
    def runaway(w, x, y):
        return -(x * w.exp()).mean()

    with pytest.raises(Divergence, match="diverged in round 4: the loss is not finite") as caught:
        simulate(runaway, np.zeros(1, np.float32), [(np.ones((1, 1)), np.ones(1))], fedsgd(1.0), 9, seed=0)
    assert caught.value.step == 4 and caught.value.trace.step.tolist() == [0, 1, 2, 3]
    assert np.isfinite(caught.value.trace.loss).all()
