"""Private federations: their limit without noise, the noise measured, and what one client can do to a step."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2
from test_federated import regressions, squares
from test_federated_modules import normed, people

from course_lib import adam, fedavg, fedprox, fedsgd, gradient_descent, scaffold, simulate
from course_lib.federated import (
    ClientPrivacy, ErrorFeedback, Faults, Message, ModuleLoss, Server, mean, median, rdp_epsilon, top_k,
)

F64, F32 = torch.float64, torch.float32
OPEN = ClientPrivacy(clip=1e9, noise_multiplier=0.0, delta=1e-5)


def flat(w, x, y):
    """A loss that asks for nothing: whatever moves is noise."""
    return (0 * w).sum() + (0 * x).mean()


def nothing(clients):
    return [(np.ones((1, 1)), np.ones(1))] * clients


# ---- without noise

@pytest.mark.parametrize("algorithm", [
    fedavg(3, 0.05), fedavg(3, 0.05, batch_size=2), fedavg(2, 0.05, server=adam(0.1)), fedprox(3, 0.05, mu=0.7),
    fedsgd(0.05, server=gradient_descent(0.5)),
], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_without_noise_or_clipping_all_clients_are_averaged_alike(algorithm, dtype):
    """With q = 1 everyone takes part. Seeds of batches are others, but one sample each has one order."""
    clients = regressions() if algorithm.batch_size is None else regressions([1] * 6)
    w0 = np.ones(3, dtype)
    private = simulate(squares, w0, clients, algorithm, 5, seed=0, privacy=OPEN)
    plain = simulate(squares, w0, clients, algorithm, 5, seed=0, aggregate=lambda updates: mean(updates))
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    np.testing.assert_allclose(private.w, plain.w, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(private.loss, private.client_loss.mean(1), rtol=1e-12)
    assert private.w.dtype == dtype and all(len(ids) == len(clients) for ids in private.chosen)
    np.testing.assert_array_equal(private.upload, plain.upload)


@pytest.mark.parametrize("clip", [0.02, 0.3])
@pytest.mark.parametrize("compress", [None, top_k(1), ErrorFeedback(top_k(1))], ids=repr)
def test_a_round_is_the_clipped_sum_over_how_many_are_expected(clip, compress):
    """One step of descent each, in NumPy: what arrives is clipped, and what the message left out is remembered."""
    clients, w, q = regressions(), np.ones(3), 0.6
    given = {"fraction": q, "privacy": ClientPrivacy(clip, 0.0, 1e-5), "compress": compress}
    trace = simulate(squares, w, clients, fedsgd(0.05), 6, seed=2, **given)
    memory, clipped = np.zeros((7, 3)), 0
    for r, ids in enumerate(trace.chosen):
        total = np.zeros(3)
        for i in ids:
            x, y = clients[i]
            d = -0.05 * x.T @ (x @ w - y) / len(y)
            if compress is not None:
                wanted = d + (memory[i] if isinstance(compress, ErrorFeedback) else 0)
                d = np.where(np.arange(3) == np.abs(wanted).argmax(), wanted, 0)
                memory[i] = wanted - d
            length = np.linalg.norm(d)
            clipped += length > clip
            total += d * min(1, clip / length)
        w = w + total / (q * 7)
        np.testing.assert_allclose(trace.w[r + 1], w, rtol=1e-11, atol=1e-13)
    assert 0 < clipped < sum(map(len, trace.chosen)) or clip == 0.02


@settings(max_examples=50)
@given(st.lists(st.lists(st.sampled_from([0.0, 1e-30, 1e30]) | st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3),
                min_size=1, max_size=5), st.floats(0.01, 100), st.sampled_from([F32, F64]))
def test_no_update_is_longer_than_the_clip_and_shorter_ones_stay(rows, clip, dtype):
    updates = torch.tensor(rows, dtype=dtype)
    before = updates.clone()
    found = ClientPrivacy(clip, 1.0, 1e-5).clipped(updates)
    assert found.dtype == dtype and found.shape == updates.shape and torch.equal(updates, before)
    for old, new in zip(updates.double(), found.double()):
        length = old.norm()
        assert new.norm() <= clip * (1 + 1e-6)
        if length <= clip:
            assert torch.equal(new, old)
        else:
            torch.testing.assert_close(new, old * clip / length, rtol=1e-6, atol=1e-35)


# ---- the noise

@pytest.mark.parametrize("clip, sigma, q, clients", [(0.5, 1.3, 0.5, 10), (2.0, 0.7, 1.0, 4), (1.0, 3.0, 0.04, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_noise_of_a_step_has_the_deviation_of_the_sums_over_how_many_are_expected(clip, sigma, q, clients, dtype):
    D, rounds = 5000, 4
    privacy = ClientPrivacy(clip, sigma, 1e-5)
    trace = simulate(flat, np.zeros(D, dtype), nothing(clients), fedavg(2, 0.1), rounds, 0, q, privacy=privacy)
    steps = np.diff(trace.w.astype(float), axis=0) / (sigma * clip / (q * clients))
    assert trace.w.dtype == dtype
    assert np.abs(steps.mean(1)).max() < 4.5 / np.sqrt(D)
    for step in steps:
        assert chi2.ppf(1e-4, D) < (step**2).sum() < chi2.ppf(1 - 1e-4, D)
    correlation = np.corrcoef(steps) - np.eye(rounds)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(D)      # rounds have noise of their own
    other = simulate(flat, np.zeros(D, dtype), nothing(clients), fedavg(2, 0.1), 1, 1, q, privacy=privacy).w[1]
    assert abs(np.corrcoef(steps[0], other)[0, 1]) < 4.5 / np.sqrt(D)
    again = simulate(flat, np.zeros(D, dtype), nothing(clients), fedavg(2, 0.1), 1, 0, q, privacy=privacy).w[1]
    np.testing.assert_array_equal(again, trace.w[1])


def test_the_noise_has_a_stream_of_its_own():
    """Nor is it who takes part, drawn again."""
    privacy = ClientPrivacy(1.0, 1.0, 1e-5)
    server = Server(torch.zeros(50, dtype=F64), fedsgd(0.1), [1] * 5, seed=3, privacy=privacy)
    server.draw()
    server.take([])
    drawn = np.random.default_rng([3, 0])
    drawn.random(5)
    for rng in (np.random.default_rng([3, 0]), drawn, np.random.default_rng(3)):
        assert np.abs(server.w.numpy() * 5 - rng.standard_normal(50)).max() > 0.1
    noise = privacy.noise(torch.zeros(4, dtype=F32), np.random.default_rng(1))
    assert noise.dtype == F32 and noise.shape == (4,)
    torch.testing.assert_close(noise.double().numpy(), np.random.default_rng(1).standard_normal(4), rtol=1e-6, atol=0)


def test_the_servers_rule_gets_the_noisy_mean():
    given = {"seed": 0, "privacy": ClientPrivacy(0.5, 1.0, 1e-5), "fraction": 0.7}
    plain = simulate(squares, np.ones(3), regressions(), fedsgd(0.1), 1, **given).w
    for rate in (0.5, 2.0):
        algorithm = fedsgd(0.1, server=gradient_descent(rate))
        other = simulate(squares, np.ones(3), regressions(), algorithm, 1, **given).w
        np.testing.assert_allclose(other[1] - 1, rate * (plain[1] - 1), rtol=1e-12)


# ---- one client

def step(messages, clients, clip, q, sigma=0.0, seed=0, **more):
    server = Server(
        torch.zeros(3, dtype=F64), fedsgd(0.1), [1] * clients, seed, fraction=q,
        privacy=ClientPrivacy(clip, sigma, 1e-5), **more
    )
    ids, _ = server.draw()
    server.take([message for message in messages if message.client in ids])
    return ids, server.w.numpy()


@settings(max_examples=60)
@given(st.integers(0, 1000), st.integers(1, 8), st.floats(0.05, 1), st.floats(0.1, 10), st.sampled_from([0.0, 1.0]),
       st.sampled_from([0.01, 1.0, 1e6]), st.sampled_from([None, 1.0, 10.0]), st.integers(1, 3))
def test_without_one_client_a_step_moves_by_no_more_than_the_bound(seed, clients, q, clip, sigma, scale, limit, quorum):
    """clip/(qC) for a client less, with the same draws; and twice that for another in its place, whatever is sent."""
    rng = np.random.default_rng(seed)
    sent = scale ** rng.uniform(-1, 1, (clients, 1)) * rng.standard_normal((clients, 3))
    messages = [Message(i, 0, torch.tensor(row)) for i, row in enumerate(sent)]
    given = {"clients": clients, "clip": clip, "q": q, "sigma": sigma, "seed": seed, "limit": limit, "quorum": quorum}
    ids, whole = step(messages, **given)
    bound = clip / (q * clients)
    for i in range(clients):
        others = messages[:i] + messages[i + 1 :]
        _, less = step(others, **given)
        move = np.linalg.norm(whole - less)
        assert move <= bound * (1 + 1e-9)
        alone = min(clip, np.linalg.norm(sent[i])) / (q * clients)
        assert move == pytest.approx(alone if i in ids else 0.0, rel=1e-6, abs=1e-9 * bound)
        for row in (-messages[i].update, torch.full((3,), np.nan, dtype=F64), torch.full((3,), 1e300, dtype=F64)):
            _, changed = step([*others, Message(i, 0, row)], **given)
            assert np.linalg.norm(whole - changed) <= 2 * bound * (1 + 1e-9)


@pytest.mark.parametrize("compress", [None, top_k(2)], ids=repr)
def test_data_of_one_client_move_a_run_by_no_more_than_the_bound(compress):
    """The same draws and noise, and a client whose data ask for nothing: a round differs by at most clip/(qC)."""
    clients, q, clip = regressions(), 0.7, 0.05
    given = {"seed": 1, "fraction": q, "privacy": ClientPrivacy(clip, 2.0, 1e-5), "compress": compress}
    trace = simulate(squares, np.ones(3), clients, fedavg(3, 0.05), 1, **given)
    moves = []
    for i in range(7):
        without = [*clients]
        without[i] = tuple(0 * part for part in clients[i])
        other = simulate(squares, np.ones(3), without, fedavg(3, 0.05), 1, **given)
        assert other.chosen[0].tolist() == trace.chosen[0].tolist()
        moves.append(np.linalg.norm(other.w[1] - trace.w[1]))
    assert max(moves) <= clip / (q * 7) * (1 + 1e-9)
    assert [move > 0 for move in moves] == [i in trace.chosen[0] for i in range(7)]


# ---- who takes part

def drawn(clients, q, rounds, seed=0):
    server = Server(torch.zeros(1), fedsgd(0.1), [1] * clients, seed, fraction=q, privacy=OPEN)
    out = []
    for _ in range(rounds):
        ids, seeds = server.draw()
        assert len(seeds) == len(ids) and (np.diff(ids) > 0).all()
        out.append(np.isin(np.arange(clients), ids))
        server.close()
    return np.array(out)


@pytest.mark.parametrize("clients, q", [(12, 0.25), (40, 0.05), (5, 0.9)])
def test_each_client_tosses_a_coin_of_its_own(clients, q):
    """How many take part is binomial; each as often as the others; and no two together more often than by chance."""
    rounds = 2000
    there = drawn(clients, q, rounds)
    many = np.bincount(there.sum(1), minlength=clients + 1)
    expected = rounds * binom.pmf(np.arange(clients + 1), clients, q)
    common = expected > 5
    tail = [expected[~common].sum()], [many[~common].sum()]
    e, n = np.append(expected[common], tail[0]), np.append(many[common], tail[1])
    assert ((n - e) ** 2 / e).sum() < chi2.ppf(0.9999, len(e) - 1) + 5
    assert np.abs(there.mean(0) - q).max() < 4.5 * np.sqrt(q * (1 - q) / rounds)
    together = np.corrcoef(there.T) - np.eye(clients)
    assert np.abs(together).max() < 5 / np.sqrt(rounds)
    assert drawn(clients, 1.0, 3).all()


def test_rounds_with_nobody_are_rounds():
    privacy = ClientPrivacy(0.1, 0.0, 1e-5)
    trace = simulate(squares, np.ones(3), regressions([3, 4]), fedavg(2, 0.05), 30, seed=0, fraction=0.1, privacy=privacy)
    many = np.array([len(ids) for ids in trace.chosen])
    assert {0, 1} <= set(many) and trace.step.tolist() == list(range(31))
    np.testing.assert_array_equal(np.abs(np.diff(trace.w, axis=0)).max(1) > 0, many > 0)
    np.testing.assert_array_equal(trace.upload, np.append(0, np.cumsum(many)) * 24)
    np.testing.assert_array_equal(trace.download, trace.upload)
    noisy = simulate(squares, np.ones(3), regressions([3, 4]), fedavg(2, 0.05), 30, seed=0, fraction=0.1,
                     privacy=ClientPrivacy(0.1, 1.0, 1e-5))
    assert (np.diff(noisy.w, axis=0) != 0).all()       # noise comes all the same: nobody is told that nobody was there


@pytest.mark.parametrize("faults", [
    Faults(drop=0.3, late=0.2, bad=0.5, kinds=["huge", "stale", "repeated"]), Faults(quorum=3),
], ids=["all kinds", "quorum"])
def test_faults_go_with_privacy_and_every_round_has_its_noise(faults):
    privacy = ClientPrivacy(0.1, 1.0, 1e-5)
    trace = simulate(squares, np.ones(3), regressions(), fedavg(2, 0.05), 20, 0, 0.2, privacy=privacy, faults=faults)
    assert (np.diff(trace.w, axis=0) != 0).all() and any(len(ids) == 0 for ids in trace.chosen)
    assert not [reason for refused in trace.refused for _, reason in refused if reason == "too large"]


def test_no_faults_change_nothing_but_rounding():
    given = {"seed": 0, "fraction": 0.4, "privacy": ClientPrivacy(0.1, 1.0, 1e-5)}
    plain = simulate(squares, np.ones(3), regressions(), fedavg(2, 0.05), 8, **given)
    looked = simulate(squares, np.ones(3), regressions(), fedavg(2, 0.05), 8, faults=Faults(), **given)
    np.testing.assert_allclose(looked.w, plain.w, rtol=1e-13, atol=1e-14)
    assert [ids.tolist() for ids in looked.chosen] == [ids.tolist() for ids in plain.chosen]


# ---- blocks

@pytest.mark.parametrize("compress", [None, ErrorFeedback(top_k(1))], ids=repr)
def test_blocks_change_no_draw_and_only_rounding(compress):
    given = {"seed": 4, "fraction": 0.6, "privacy": ClientPrivacy(0.1, 1.0, 1e-5), "compress": compress}
    whole, *others = (
        simulate(squares, np.ones(3), regressions(), fedavg(3, 0.05, batch_size=2), 6, **given, **how)
        for how in ({}, {"block": 1}, {"block": 3}, {"vectorize": False})
    )
    for other in others:
        np.testing.assert_allclose(other.w, whole.w, rtol=1e-12, atol=1e-12)
        assert [ids.tolist() for ids in other.chosen] == [ids.tolist() for ids in whole.chosen]
        np.testing.assert_array_equal(other.upload, whole.upload)
        np.testing.assert_array_equal(other.epsilon, whole.epsilon)


# ---- what is promised

@pytest.mark.parametrize("conversion", ["classical", "tight"])
def test_epsilon_of_each_record_is_that_of_its_rounds(conversion):
    privacy = ClientPrivacy(1.0, 1.5, 1e-3, conversion)
    trace = simulate(flat, np.zeros(1), nothing(5), fedsgd(0.1), 7, seed=0, fraction=0.3, privacy=privacy, every=3)
    assert trace.step.tolist() == [0, 3, 6, 7]
    assert trace.epsilon.tolist() == [rdp_epsilon(0.3, 1.5, r, 1e-3, conversion) for r in (0, 3, 6, 7)]
    assert trace.epsilon[0] == 0 and (np.diff(trace.epsilon) > 0).all()
    assert privacy.epsilon(0.3, 7) == trace.epsilon[-1]


def test_no_noise_promises_nothing_and_no_privacy_says_nothing():
    trace = simulate(squares, np.ones(3), regressions(), fedsgd(0.1), 2, seed=0, privacy=OPEN)
    assert trace.epsilon.tolist() == [0, np.inf, np.inf]
    assert simulate(squares, np.ones(3), regressions(), fedsgd(0.1), 2, seed=0).epsilon is None


# ---- misuse

@pytest.mark.parametrize("wrong, error, words", [
    ({"algorithm": scaffold(1, 0.1)}, ValueError, "privacy needs an algorithm whose clients send one vector, got scaff"),
    ({"aggregate": median}, ValueError, "privacy needs aggregate=mean, whose change .* is bounded, got <function median"),
    ({"aggregate": lambda updates: mean(updates)}, ValueError, "privacy needs aggregate=mean"),
    ({"privacy": 1.0}, TypeError, "privacy must be a ClientPrivacy or None, got 1.0"),
    ({"privacy": ClientPrivacy}, TypeError, "privacy must be a ClientPrivacy or None"),
])
def test_what_privacy_cannot_go_with_is_named(wrong, error, words):
    with pytest.raises(error, match=words):
        simulate(**{"loss": squares, "w0": np.ones(3), "clients": regressions(), "algorithm": fedsgd(0.1), "rounds": 1,
                    "seed": 0, "privacy": OPEN, **wrong})


def test_buffers_are_refused():
    loss = ModuleLoss(normed())
    with pytest.raises(ValueError, match="privacy needs a loss without buffers, got 8: noise could make a variance"):
        simulate(loss, loss.start, people(), fedsgd(0.1), 1, seed=0, privacy=OPEN)


@pytest.mark.parametrize("wrong, error, words", [
    ({"clip": 0.0}, ValueError, "clip must be finite and > 0, got 0.0"),
    ({"clip": np.inf}, ValueError, "clip must be finite"),
    ({"clip": None}, TypeError, "clip must be a number"),
    ({"noise_multiplier": -0.1}, ValueError, "noise_multiplier must be finite and >= 0, got -0.1"),
    ({"noise_multiplier": "1"}, TypeError, "noise_multiplier must be a number"),
    ({"delta": 0.0}, ValueError, "delta must be finite and > 0 and < 1, got 0.0"),
    ({"delta": 1.0}, ValueError, "delta must be"),
    ({"delta": None}, TypeError, "delta must be a number"),
    ({"conversion": "loose"}, ValueError, "conversion must be one of 'classical', 'tight', got 'loose'"),
])
def test_wrong_arguments_of_a_promise_are_named(wrong, error, words):
    with pytest.raises(error, match=words):
        ClientPrivacy(**{"clip": 1.0, "noise_multiplier": 1.0, "delta": 1e-5, **wrong})


def test_an_update_that_is_not_finite_counts_as_zero_and_ends_no_run():
    """One client of four explodes; the step is that of the three others, and no error tells of it."""
    clients = [(np.full((2, 1), h), np.ones(2)) for h in (1.0, 1.0, 1e3, 1.0)]
    privacy = ClientPrivacy(clip=1.0, noise_multiplier=0.0, delta=1e-5)
    runs = {}
    for name, faults in (("plain", None), ("checked", Faults())):
        runs[name] = simulate(squares, np.zeros(1, np.float32), clients, fedavg(30, 0.5), 1, 0, privacy=privacy, faults=faults)
    alone = simulate(squares, np.zeros(1, np.float32), clients[:1], fedavg(30, 0.5), 1, 0, privacy=privacy)
    for run in runs.values():
        assert run.w[1, 0] == pytest.approx(0.75 * alone.w[1, 0], rel=1e-6)
    assert runs["checked"].refused == [[(2, "not finite")]]
