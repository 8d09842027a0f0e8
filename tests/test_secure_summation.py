"""Secure summation: exact whoever leaves, refused when too many do, and nothing to be seen in what the server is sent."""

import itertools
import re
from math import comb

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from course_lib.federated import fixed_point, secure_summation
from course_lib.federated.fixed_point import from_fixed_point, secure_mean, to_fixed_point
from course_lib.federated.secure_summation import masked_updates, secure_sum, shamir_secret, shamir_shares

PRIME = 2**255 - 19


def vectors(clients, length, seed=0, dtype=np.int64):
    info = np.iinfo(dtype)
    return np.random.default_rng(seed).integers(info.min, info.max, size=(clients, length), dtype=dtype, endpoint=True)


def plain_sum(updates, without=()):
    """Return the sum modulo 2³², in Python's own integers."""
    kept = [row for i, row in enumerate(np.asarray(updates).tolist()) if i not in without]
    return np.array([sum(column) % 2**32 for column in zip(*kept)], np.uint32)


# ---- exact

@pytest.mark.parametrize("clients, threshold", [(2, 2), (3, 2), (4, 2), (4, 3), (5, 3), (5, 5)])
def test_every_way_to_leave(clients, threshold):
    """Each client stays, drops or falls silent: exact while enough answer, refused otherwise."""
    updates = vectors(clients, 3, seed=clients)
    refused = 0
    for fates in itertools.product(("stays", "drops", "is silent"), repeat=clients):
        dropped = [i for i, fate in enumerate(fates) if fate == "drops"]
        silent = [i for i, fate in enumerate(fates) if fate == "is silent"]
        if fates.count("stays") >= threshold:
            total = secure_sum(updates, seed=7, threshold=threshold, dropped=dropped, silent=silent)
            np.testing.assert_array_equal(total, plain_sum(updates, dropped))
        else:
            refused += 1
            message = (f"dropped and silent must leave threshold={threshold} of {clients} clients, got "
                       f"{fates.count('stays')} that answer: {len(dropped)} dropped, {len(silent)} silent")
            with pytest.raises(ValueError, match=f"^{message}$"):
                secure_sum(updates, seed=7, threshold=threshold, dropped=dropped, silent=silent)
    assert refused == sum(comb(clients, stay) * 2 ** (clients - stay) for stay in range(threshold))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_anyone_may_leave(data):
    clients = data.draw(st.integers(2, 9))
    threshold = data.draw(st.integers(2, clients))
    leaving = data.draw(st.permutations(range(clients)))[: data.draw(st.integers(0, clients - threshold))]
    cut = data.draw(st.integers(0, len(leaving)))
    dtype = data.draw(st.sampled_from([np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64]))
    updates = vectors(clients, data.draw(st.integers(0, 5)), data.draw(st.integers(0, 99)), dtype)
    before = updates.copy()
    seed = data.draw(st.integers(0, 2**63))
    total = secure_sum(updates, seed, threshold=threshold, dropped=leaving[:cut], silent=leaving[cut:])
    assert total.dtype == np.uint32 and total.shape == updates.shape[1:]
    np.testing.assert_array_equal(total, plain_sum(updates, leaving[:cut]) if updates.size else np.zeros(0, np.uint32))
    np.testing.assert_array_equal(updates, before)


def test_a_hundred_clients():
    updates = vectors(100, 20)
    leaving = np.random.default_rng(1).permutation(100)[:33]
    total = secure_sum(updates, seed=0, dropped=leaving[:20], silent=leaving[20:])
    np.testing.assert_array_equal(total, plain_sum(updates, leaving[:20]))
    with pytest.raises(ValueError, match="threshold=67 of 100 clients, got 66 that answer: 34 dropped, 0 silent"):
        secure_sum(updates, seed=0, dropped=range(34))


def test_sums_wrap_and_negative_numbers_are_their_complement():
    assert secure_sum([[2**32 - 1], [2]], seed=0).tolist() == [1]
    assert secure_sum([[-1], [-2**31], [2**40 + 3]], seed=0).tolist() == [2**31 + 2]
    assert secure_sum(np.array([[-5], [3]], np.int8), seed=0).view(np.int32).tolist() == [-2]


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.int64])
def test_tensors_are_summed(dtype):
    updates = torch.tensor([[1, 2], [3, 100], [0, 27]]).to(dtype)
    total = secure_sum(updates, seed=0)
    assert type(total) is np.ndarray and total.dtype == np.uint32 and total.tolist() == [4, 129]


@pytest.mark.parametrize("clients, least", [(2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (9, 7), (10, 7)])
def test_by_default_more_than_two_thirds_must_answer(clients, least):
    updates = vectors(clients, 1)
    secure_sum(updates, seed=0, dropped=range(clients - least))
    with pytest.raises(ValueError, match=f"threshold={least} of {clients} clients, got {least - 1} that answer"):
        secure_sum(updates, seed=0, silent=range(clients - least + 1))
    assert 3 * least > 2 * clients and (3 * (least - 1) <= 2 * clients or least == 2)


# ---- what the server sees

def bits(numbers):
    return np.unpackbits(np.ascontiguousarray(numbers).view(np.uint8))


def looks_uniform(numbers):
    """Say whether bits at every place, bytes and pairs of bits are as even as chance makes them, by χ² at 10⁻⁵."""
    b = bits(numbers)
    for counts in (np.bincount(b, minlength=2), np.bincount(numbers.view(np.uint8), minlength=256),
                   np.bincount(2 * b[:-1:2] + b[1::2], minlength=4),
                   *np.stack([np.bincount(place, minlength=2) for place in b.reshape(-1, 32).T])):
        expected = counts.sum() / len(counts)
        statistic = ((counts - expected) ** 2 / expected).sum()
        if statistic > chi2.ppf(1 - 1e-5, len(counts) - 1):
            return False
    return True


@pytest.fixture(scope="module")
def sent():
    """What four clients with nothing but zeros send."""
    return masked_updates(np.zeros((4, 20_000), int), seed=3)


def test_zeros_look_random(sent):
    assert not looks_uniform(np.arange(20_000, dtype=np.uint32))
    assert sent.dtype == np.uint32 and sent.shape == (4, 20_000)
    for vector in sent:
        assert looks_uniform(vector)


def test_sums_of_some_look_random_and_the_sum_of_all_is_under_the_own_masks(sent):
    """Of whatever clients: pairs' masks cancel where both are in the sum, and each one's own mask never does."""
    for many in (1, 2, 3, 4):
        for some in itertools.combinations(range(4), many):
            assert looks_uniform(sent[list(some)].sum(0, dtype=np.uint32))
    own = [secure_summation._mask(secret, 20_000) for secret in secure_summation._secrets(4, 3)[2]]
    np.testing.assert_array_equal(sent.sum(0, dtype=np.uint32), np.sum(own, 0, dtype=np.uint32))
    for three in itertools.combinations(range(4), 3):  # without one, the masks of its pairs stay
        residue = sent[list(three)].sum(0, dtype=np.uint32) - np.sum([own[i] for i in three], 0, dtype=np.uint32)
        assert looks_uniform(residue)


def test_no_two_masks_are_alike(sent):
    pairs = [a - b for a, b in itertools.combinations(sent, 2)] + [a + b for a, b in itertools.combinations(sent, 2)]
    for vector in pairs:
        assert looks_uniform(vector)


def test_masks_hide_but_do_not_change_the_vector(sent):
    updates = vectors(4, 20_000, seed=9)
    np.testing.assert_array_equal(masked_updates(updates, seed=3) - sent, updates.astype(np.uint32))


def test_masks_follow_the_published_formula():
    """y_i = x_i + PRG(b_i) + Σ_{j>i} PRG(s_ij) − Σ_{j<i} PRG(s_ij), with s_ij of i's key and j's public one."""
    updates = vectors(5, 4)
    keys, public_keys, own = secure_summation._secrets(5, 11)
    for i, sent in enumerate(masked_updates(updates, seed=11)):
        expected = updates[i].astype(np.uint32) + secure_summation._mask(own[i], 4)
        for j in range(5):
            if j != i:
                shared = secure_summation._mask(pow(public_keys[j], keys[i], PRIME), 4)
                expected = expected + shared if j > i else expected - shared
        np.testing.assert_array_equal(sent, expected)


def test_the_seed_decides():
    updates = np.zeros((3, 50), int)
    np.testing.assert_array_equal(masked_updates(updates, seed=1), masked_updates(updates, seed=1))
    for one, other in itertools.combinations(range(4), 2):
        assert not (masked_updates(updates, seed=one) == masked_updates(updates, seed=other)).any()


def test_of_every_client_one_secret_is_told_and_only_by_those_who_answer(monkeypatch):
    told = []

    def recorded(shares):
        told.append((shamir_secret(shares), [x for x, _ in shares]))
        return told[-1][0]

    monkeypatch.setattr(secure_summation, "shamir_secret", recorded)
    secure_sum(vectors(8, 2), seed=5, threshold=4, dropped=[2, 0], silent=[1])
    keys, _, own = secure_summation._secrets(8, 5)
    assert sorted(secret for secret, _ in told) == sorted([keys[0], keys[2]] + [own[i] for i in (1, 3, 4, 5, 6, 7)])
    assert all(places == [4, 5, 6, 7] for _, places in told)  # of clients 3 to 6: places count from 1


def test_every_secret_is_shared_among_all_by_a_line_of_its_own(monkeypatch):
    """With a threshold of 2 shares lie on lines: no slope comes twice, and none is a secret."""
    dealt = []

    def recorded(secret, clients, threshold, rng):
        shares = shamir_shares(secret, clients, threshold, rng)
        dealt.append((secret, clients, threshold, (shares[1][1] - shares[0][1]) % PRIME))
        return shares

    monkeypatch.setattr(secure_summation, "shamir_shares", recorded)
    secure_sum(vectors(5, 2), seed=5, threshold=2)
    keys, _, own = secure_summation._secrets(5, 5)
    assert sorted(secret for secret, *_ in dealt) == sorted(keys + own)
    assert {(clients, threshold) for _, clients, threshold, _ in dealt} == {(5, 2)}
    assert len({slope for *_, slope in dealt} | set(keys) | set(own)) == 20
    secure_sum(vectors(5, 2), seed=5)
    assert {(clients, threshold) for _, clients, threshold, _ in dealt[10:]} == {(5, 4)}


# ---- shared secrets

@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_so_many_shares_tell_the_secret(data):
    secret = data.draw(st.one_of(st.integers(0, PRIME - 1), st.sampled_from([0, 1, PRIME - 1])))
    clients = data.draw(st.integers(2, 12))
    threshold = data.draw(st.integers(2, clients))
    shares = shamir_shares(secret, clients, threshold, np.random.default_rng(data.draw(st.integers(0, 2**32))))
    assert [x for x, _ in shares] == list(range(1, clients + 1)) and all(0 <= y < PRIME for _, y in shares)
    some = data.draw(st.permutations(shares))[: data.draw(st.integers(threshold, clients))]
    assert shamir_secret(some) == secret
    assert shamir_secret(some[: threshold - 1]) != secret


def test_every_subset_of_shares():
    shares = shamir_shares(123456789, clients=7, threshold=4, rng=np.random.default_rng(0))
    for many in range(1, 8):
        for some in itertools.combinations(shares, many):
            assert (shamir_secret(some) == 123456789) is (many >= 4)


def value_at(points, x):
    """Return the value at x of the polynomial of least degree through the points, modulo the prime."""
    return shamir_secret([(place - x, value) for place, value in points])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, PRIME - 1), st.integers(0, PRIME - 1), st.integers(2, 6), st.integers(0, 1000))
def test_too_few_shares_fit_every_secret(secret, other, threshold, seed):
    """Threshold − 1 shares and any other secret lie on one polynomial of the right degree: all secrets are as likely."""
    shares = shamir_shares(secret, clients=8, threshold=threshold, rng=np.random.default_rng(seed))
    seen = shares[: threshold - 1]
    forged = [(x, value_at([(0, other), *seen], x)) for x in range(1, 9)]
    assert forged[: threshold - 1] == seen
    assert shamir_secret(forged[-threshold:]) == shamir_secret(forged) == other


def test_one_share_is_uniform_whatever_the_secret():
    rng = np.random.default_rng(0)
    for secret in (0, PRIME - 1):
        shares = [shamir_shares(secret, 3, 2, rng)[1][1] for _ in range(2000)]
        counts = np.bincount([y * 16 // PRIME for y in shares], minlength=16)
        assert ((counts - 125) ** 2 / 125).sum() < chi2.ppf(1 - 1e-5, 15)


# ---- fixed point and the mean

@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.floats(-100, 100), min_size=3, max_size=3), min_size=2, max_size=6), st.floats(1e-2, 1e6))
def test_fixed_point_is_right_to_half_a_step(rows, scale):
    x = np.array(rows)
    clients = len(x)
    fixed = to_fixed_point(x, scale, clients)
    assert fixed.dtype == np.int64
    assert np.abs(fixed / scale - x).max() <= 0.5 / scale * (1 + 1e-9) + 1e-13
    total = from_fixed_point(secure_sum(fixed, seed=0), scale)
    assert total.dtype == np.float64
    np.testing.assert_allclose(total, fixed.sum(0) / scale, rtol=1e-15)
    assert np.abs(total / clients - x.mean(0)).max() <= 0.5 / scale * (1 + 1e-9) + 1e-12


def test_fixed_point_rounds_to_nearest_and_keeps_the_sign():
    np.testing.assert_array_equal(to_fixed_point(np.array([0.24, 0.26, -0.24, -0.26]), 2, 3), [0, 1, 0, -1])
    np.testing.assert_array_equal(from_fixed_point(np.array([0, 7, 2**31 - 1, 2**31, 2**32 - 1], np.uint32), 2),
                                  [0, 3.5, 2**30 - 0.5, -(2**30), -0.5])


def test_fixed_point_is_refused_where_a_sum_could_pass_its_room():
    edge = np.array([2.0**31 / 4 - 1])
    assert from_fixed_point(secure_sum([to_fixed_point(edge, 1, 4)] * 4, seed=0), 1) == 2**31 - 4
    assert from_fixed_point(secure_sum([to_fixed_point(-edge, 1, 4)] * 4, seed=0), 1) == 4 - 2**31
    for x in (edge + 1, -edge - 1):
        message = "x must have |x| · scale · clients < 2**31, got max |x| = 5.36871e+08 with scale=1 and clients=4"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            to_fixed_point(x, 1, 4)
    with pytest.raises(ValueError, match="got max .x. = 1e.300 with scale=1e.300"):
        to_fixed_point(np.array([1e300]), 1e300, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_mean_of_tensors(dtype):
    updates = torch.randn(6, 40, generator=torch.Generator().manual_seed(0)).to(dtype)
    before = updates.clone()
    mean = secure_mean(scale=2**20, seed=0)(updates)
    assert mean.dtype == dtype and mean.shape == (40,) and torch.equal(updates, before)
    exact = updates.double().mean(0)
    assert (mean.double() - exact).abs().max() <= 0.5 / 2**20 + exact.abs().max() * torch.finfo(dtype).eps
    weights = updates.clone().requires_grad_()
    assert torch.equal(secure_mean(scale=2**20, seed=0)(weights), mean)


def test_every_call_has_masks_of_its_own(monkeypatch):
    seeds = []

    def recorded(updates, seed, **rest):
        seeds.append(seed)
        return secure_sum(updates, seed, **rest)

    monkeypatch.setattr(fixed_point, "secure_sum", recorded)
    for _ in range(2):
        aggregate = secure_mean(scale=100, seed=4)
        for _ in range(3):
            aggregate(torch.ones(3, 2))
    assert len(set(seeds[:3])) == 3 and seeds[:3] == seeds[3:]
    secure_mean(scale=100, seed=5)(torch.ones(3, 2))
    assert seeds[-1] not in seeds[:-1]


def test_a_federation_learns_the_same():
    from course_lib.federated import fedavg, simulate

    def parabola(w, h, c):
        return (h * (w - c).square()).mean() / 2

    clients = [(torch.tensor([1.0]), torch.tensor([c])) for c in (0.0, 1.0, 5.0)]
    trace = simulate(parabola, torch.zeros(1), clients, fedavg(3, 0.2), 30, 0, aggregate=secure_mean(scale=2**24, seed=0))
    assert trace.w[-1, 0] == pytest.approx(2.0, abs=1e-5)


# ---- errors

@pytest.mark.parametrize("change, error, message", [
    (dict(updates=np.ones((3, 2))), TypeError, "updates must be integers, got float64: to_fixed_point makes them of floats"),
    (dict(updates=torch.ones(3, 2, dtype=torch.bfloat16)), TypeError, "updates must be integers, got float64: to_"),
    (dict(updates=np.ones((3, 2), bool)), TypeError, "updates must be integers, got bool"),
    (dict(updates=[1, 2]), ValueError, "updates must have shape [clients, D], two clients at least, got [2]"),
    (dict(updates=[[1, 2]]), ValueError, "updates must have shape [clients, D], two clients at least, got [1, 2]"),
    (dict(seed=-1), ValueError, "seed must be at least 0, got -1"),
    (dict(seed=1.0), TypeError, "seed must be a whole number, got 1.0"),
    (dict(threshold=1), ValueError, "threshold must be at least 2, got 1"),
    (dict(threshold=4), ValueError, "threshold must be at most 3, the number of clients, got 4"),
    (dict(threshold=2.0), TypeError, "threshold must be a whole number, got 2.0"),
    (dict(dropped=[3]), ValueError, "dropped must number clients from 0 to 2, got 3"),
    (dict(silent=[-1]), ValueError, "silent must be at least 0, got -1"),
    (dict(silent=["a"]), TypeError, "silent must be a whole number, got 'a'"),
])
def test_a_wrong_argument_of_the_sum_is_named(change, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        secure_sum(**dict(updates=np.ones((3, 2), int), seed=0) | change)


@pytest.mark.parametrize("call, error, message", [
    (lambda: shamir_shares(PRIME, 3, 2, np.random.default_rng(0)), ValueError, "secret must be < 2**255 - 19, got 5789"),
    (lambda: shamir_shares(-1, 3, 2, np.random.default_rng(0)), ValueError, "secret must be at least 0"),
    (lambda: shamir_shares(1, 3, 4, np.random.default_rng(0)), ValueError, "threshold must be at most 3"),
    (lambda: shamir_shares(1, 1, 2, np.random.default_rng(0)), ValueError, "clients must be at least 2"),
    (lambda: shamir_secret([]), ValueError, "shares must be of different clients, one at least, got those of []"),
    (lambda: shamir_secret([(1, 5), (2, 6), (1, 5)]), ValueError, "shares must be of different clients"),
    (lambda: to_fixed_point(np.array([np.nan]), 1, 2), ValueError, "x must be finite"),
    (lambda: to_fixed_point(["a"], 1, 2), TypeError, "x must be an array of real numbers"),
    (lambda: to_fixed_point(np.ones(2), 0, 2), ValueError, "scale must be finite and > 0, got 0"),
    (lambda: to_fixed_point(np.ones(2), 1, 0), ValueError, "clients must be at least 1, got 0"),
    (lambda: from_fixed_point(np.ones(2, np.int64), 1), TypeError, "total must be an array of uint32"),
    (lambda: from_fixed_point(np.ones(2, np.uint32), -1), ValueError, "scale must be finite and > 0, got -1"),
    (lambda: secure_mean(scale=0, seed=0), ValueError, "scale must be finite and > 0"),
    (lambda: secure_mean(scale=1, seed=-1), ValueError, "seed must be at least 0"),
    (lambda: secure_mean(scale=1, seed=0, threshold=1), ValueError, "threshold must be at least 2"),
    (lambda: secure_mean(scale=1, seed=0)(torch.tensor([[1], [2]])), TypeError, "updates must be floats, got torch.int64"),
    (lambda: secure_mean(scale=1, seed=0, threshold=4)(torch.ones(3, 2)), ValueError, "threshold must be at most 3"),
    (lambda: secure_mean(scale=1, seed=0)(torch.ones(3)), ValueError, "updates must have shape [clients, D]"),
    (lambda: secure_mean(scale=1e9, seed=0)(torch.ones(3, 2)), ValueError, "x must have |x| · scale · clients < 2**31"),
])
def test_any_other_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match="^" + re.escape(message)):
        call()
