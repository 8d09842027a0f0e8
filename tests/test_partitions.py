"""Partitions: nothing lost, nothing twice, nobody without samples; and the proportions that docstrings promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.federated import partition

LABELS = np.repeat(np.arange(10), 100)
WAYS = {
    "iid": lambda labels, clients, seed: partition.iid(len(labels), clients, seed),
    "quantity": lambda labels, clients, seed: partition.quantity(len(labels), clients, 0.8, seed),
    "shards": lambda labels, clients, seed: partition.shards(labels, clients, 2, seed),
    "dirichlet": lambda labels, clients, seed: partition.dirichlet(labels, clients, 0.8, seed),
}
ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
seeds = st.integers(0, 10_000)


def mixes(labels, parts):
    """How often each client has each label: [clients, labels]."""
    return np.array([np.bincount(labels[part], minlength=labels.max() + 1) for part in parts])


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b))


# ---- of every partition

@ways
@settings(max_examples=25)
@given(st.lists(st.integers(0, 4), min_size=40, max_size=90), st.integers(1, 6), seeds)
def test_every_sample_has_one_client_and_every_client_a_sample(way, labels, clients, seed):
    labels = np.array(labels)
    before = labels.copy()
    parts = way(labels, clients, seed)
    assert type(parts) is list and len(parts) == clients
    assert all(type(part) is np.ndarray and part.dtype.kind == "i" and len(part) for part in parts)
    assert all((np.diff(part) > 0).all() for part in parts)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    np.testing.assert_array_equal(labels, before)


@ways
def test_the_seed_decides(way):
    assert same(way(LABELS, 7, 3), way(LABELS, 7, 3)) and not same(way(LABELS, 7, 3), way(LABELS, 7, 4))


@ways
def test_one_client_has_all(way):
    assert same(way(LABELS, 1, 0), [np.arange(1000)])


@ways
def test_no_client_is_like_another(way):
    """A partition is random: no client owns the first samples, and no one has the same share for every seed."""
    first = [np.flatnonzero([0 in part for part in way(LABELS, 4, seed)])[0] for seed in range(60)]
    counts = np.bincount(first, minlength=4)
    assert counts.min() >= 6 and counts.max() <= 26         # of 60 tosses of a fair die of four: ±3 deviations


@pytest.mark.parametrize("kind", [list, tuple, lambda labels: labels.astype("i1"), lambda labels: labels.astype(str)])
def test_labels_may_be_anything_that_sorts(kind):
    for way in (WAYS["shards"], WAYS["dirichlet"]):
        assert same(way(kind(LABELS), 5, 1), way(LABELS, 5, 1))


# ---- iid

@given(st.integers(1, 60), st.data(), seeds)
def test_equal_parts_differ_by_one_sample_at_most(samples, data, seed):
    sizes = [len(part) for part in partition.iid(samples, data.draw(st.integers(1, samples)), seed)]
    assert max(sizes) - min(sizes) <= 1 and sum(sizes) == samples


# ---- quantity

@pytest.mark.parametrize("alpha", [0.3, 1.0, 5.0])
def test_shares_have_the_mean_and_the_variance_of_dirichlet(alpha):
    clients = 4
    sizes = [[len(part) for part in partition.quantity(4000, clients, alpha, seed)] for seed in range(600)]
    shares = np.array(sizes) / 4000
    np.testing.assert_allclose(shares.mean(0), 1 / clients, atol=0.03)
    # An empty client is rare enough (a share below 1/8000) not to change the variance much.
    expected = (clients - 1) / clients**2 / (clients * alpha + 1)
    np.testing.assert_allclose(shares.var(0).mean(), expected, rtol=0.15)


def test_sizes_are_alike_for_a_large_alpha_and_apart_for_a_small_one():
    assert np.ptp([len(part) for part in partition.quantity(1000, 5, 1e6, 0)]) <= 4
    sizes = np.array([sorted(len(part) for part in partition.quantity(10_000, 2, 0.05, seed)) for seed in range(50)])
    assert np.median(sizes[:, 1]) > 9000


def test_what_a_client_holds_looks_like_the_whole():
    counts = mixes(LABELS, partition.quantity(1000, 3, 5.0, 0))
    np.testing.assert_allclose(counts / counts.sum(1, keepdims=True), 0.1, atol=0.06)


# ---- shards

def test_as_many_shards_as_samples_are_single_samples():
    assert sorted(len(part) for part in partition.shards([0, 1, 2, 3, 4, 5], 3, 2, seed=0)) == [2, 2, 2]
    assert same(sorted(partition.shards([5, 6], 2, 1, seed=0), key=lambda part: part[0]), [[0], [1]])
    assert same(sorted(partition.iid(2, 2, seed=0), key=lambda part: part[0]), [[0], [1]])


@settings(max_examples=40)
@given(st.lists(st.integers(0, 5), min_size=24, max_size=80), st.integers(1, 6), st.integers(1, 4), seeds)
def test_shards_are_equal_and_of_neighbouring_labels(labels, clients, each, seed):
    labels = np.array(labels)
    parts = partition.shards(labels, clients, each, seed)
    short, long = len(labels) // (clients * each), -(-len(labels) // (clients * each))
    for part in parts:
        assert each * short <= len(part) <= each * long
    # Sorted labels, cut k − 1 times, change within shards at most as often as there are labels to change to.
    assert sum(len(np.unique(labels[part])) for part in parts) <= clients * each + len(np.unique(labels)) - 1


@pytest.mark.parametrize("each", [1, 2, 5])
def test_shards_that_fit_the_labels_hold_one_each(each):
    """Ten shards of a label: nobody knows more labels than it got shards."""
    counts = mixes(LABELS, partition.shards(LABELS, 100 // each, each, seed=2))
    assert (counts.sum(1) == 10 * each).all() and ((counts > 0).sum(1) <= each).all() and (counts % 10 == 0).all()


def test_two_shards_at_borders_are_three_or_four_labels_at_most():
    labels = np.repeat(np.arange(5), 13)
    assert (mixes(labels, partition.shards(labels, 4, 2, 0)) > 0).sum(1).max() <= 4


def test_which_samples_of_a_label_share_a_shard_is_chance():
    parts = partition.shards(np.zeros(100, int), 2, 1, seed=0)
    assert 10 < (parts[0] < 50).sum() < 40


# ---- dirichlet

def test_a_large_alpha_gives_everybody_the_mix_of_the_whole():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    counts = mixes(labels, partition.dirichlet(labels, 5, 1e4, seed=0))
    np.testing.assert_allclose(counts, np.tile([120, 60, 20], (5, 1)), rtol=0.1)


def test_a_small_alpha_gives_each_label_to_one_client():
    counts = np.concatenate([mixes(LABELS, partition.dirichlet(LABELS, 2, 0.01, seed)) for seed in range(8)], axis=1)
    owned = counts.max(0) / counts.sum(0)
    assert np.median(owned) == 1.0 and (owned > 0.95).mean() > 0.9


@pytest.mark.parametrize("alpha", [0.5, 3.0])
def test_each_label_is_shared_as_dirichlet_says(alpha):
    """Shares of a label: mean 1/C, and the variance of a Dirichlet; two labels independent of one another."""
    labels, clients = np.repeat([0, 1], 300), 3
    counts = np.array([mixes(labels, partition.dirichlet(labels, clients, alpha, seed)) for seed in range(600)]) / 300
    np.testing.assert_allclose(counts.mean(0), 1 / clients, atol=0.04)
    expected = (clients - 1) / clients**2 / (clients * alpha + 1)
    np.testing.assert_allclose(counts.var(0).mean(), expected, rtol=0.15)
    assert abs(np.corrcoef(counts[:, 0, 0], counts[:, 0, 1])[0, 1]) < 0.15


def test_samples_of_a_label_are_dealt_at_random():
    part = partition.dirichlet(np.zeros(200, int), 2, 1e4, seed=0)[0]
    assert 30 < (part < 100).sum() < 70


def test_it_draws_again_until_nobody_is_empty():
    """Two labels and three clients, each label nearly owned: most draws leave somebody out."""
    labels = np.repeat([0, 1], 40)
    for seed in range(20):
        assert min(len(part) for part in partition.dirichlet(labels, 3, 0.15, seed)) >= 1


# ---- misuse

@pytest.mark.parametrize("call, error, words", [
    (lambda: partition.iid(3, 4, 0), ValueError, "clients must be at most 3, the number of samples, got 4"),
    (lambda: partition.iid(0, 1, 0), ValueError, "samples must be at least 1"),
    (lambda: partition.iid(3.0, 1, 0), TypeError, "samples must be a whole number"),
    (lambda: partition.iid(3, 0, 0), ValueError, "clients must be at least 1"),
    (lambda: partition.iid(3, True, 0), TypeError, "clients must be a whole number"),
    (lambda: partition.iid(3, 1, -1), ValueError, "seed must be at least 0"),
    (lambda: partition.iid(3, 1, None), TypeError, "seed must be a whole number"),
    (lambda: partition.quantity(3, 4, 1.0, 0), ValueError, "clients must be at most 3"),
    (lambda: partition.quantity(3, 2, 0.0, 0), ValueError, "alpha must be finite and > 0"),
    (lambda: partition.quantity(3, 2, np.nan, 0), ValueError, "alpha must be finite"),
    (lambda: partition.quantity(100, 3, 1e-6, 0), ValueError,
     "clients=3 and alpha=1e-06 left a client empty in 1000 draws"),
    (lambda: partition.shards([0, 1, 2], 4, 1, 0), ValueError, "clients must be at most 3"),
    (lambda: partition.shards([0, 1, 2], 2, 2, 0), ValueError,
     "shards_per_client must leave each of 4 shards a sample of 3"),
    (lambda: partition.shards([0, 1, 2], 1, 0, 0), ValueError, "shards_per_client must be at least 1"),
    (lambda: partition.shards([0, 1, 2], 1, 1.0, 0), TypeError, "shards_per_client must be a whole number"),
    (lambda: partition.shards([[0, 1]], 1, 1, 0), ValueError, r"labels must have shape \[samples\], got \(1, 2\)"),
    (lambda: partition.shards([], 1, 1, 0), ValueError, "labels must have shape"),
    (lambda: partition.dirichlet([[0], [1]], 1, 1.0, 0), ValueError,
     r"labels must have shape \[samples\], got \(2, 1\)"),
    (lambda: partition.dirichlet([0, 1], 3, 1.0, 0), ValueError, "clients must be at most 2"),
    (lambda: partition.dirichlet([0, 1], 2, -1.0, 0), ValueError, "alpha must be finite and > 0"),
    (lambda: partition.dirichlet([0, 1], 2, 0, 0), ValueError, "alpha must be finite and > 0"),
    (lambda: partition.dirichlet([0, 1], 2, "1", 0), TypeError, "alpha must be a number"),
    (lambda: partition.dirichlet([0, 1], 2, 1.0, -1), ValueError, "seed must be at least 0"),
    (lambda: partition.dirichlet(LABELS[:300], 5, 1e-9, 0), ValueError,
     "clients=5 and alpha=1e-09 left a client empty in 1000 draws: take fewer clients, or a larger alpha"),
])
def test_wrong_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
