"""Cuts against plain counting, brute force, known optima and bounds; what their docstrings promise is held to."""

import functools
import itertools
import math
import random

from graph_solvers import (
    KARATE, answers_for_no_nodes, both, graphs, is_decided_by_its_seed, leaves_out_loops, pairs_of, ring,
    takes_any_form_of_a_graph,
)
import networkx
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from torch_geometric.nn import GCNConv as TheirConv

from course_lib import (
    adam, annealed_cut, cut_bound, cut_score, cut_value, cut_vectors, descent_cut, expected_cut, extremal_cut, gnn_cut,
    goemans_williamson_cut, gradient_descent, greedy_cut, karate_club, optimal_cut, random_regular, relaxed_value,
)
from course_lib.graphs import exact_solutions, extremal_cuts, local_cuts, relaxed_cuts, semidefinite_cuts
from course_lib.graphs.cuts import adjacency
from course_lib.graphs.extremal_cuts import Bins
from course_lib.graphs.relaxed_cuts import node_network

F64 = torch.float64
QUICK = {
    "greedy": greedy_cut,
    "annealed": functools.partial(annealed_cut, sweeps=20),
    "extremal": functools.partial(extremal_cut, steps=50),
    "vectors": functools.partial(goemans_williamson_cut, rounds=3),
    "descent": functools.partial(descent_cut, steps=20),
    "network": functools.partial(gnn_cut, epochs=3),
}
PAW = [(0, 1), (1, 2), (2, 0), (2, 3), (2, 3)]     # a triangle with a double tail
solvers = pytest.mark.parametrize("solver", QUICK.values(), ids=QUICK)


def plain_cut(pairs, side):
    return sum(bool(side[i]) != bool(side[j]) for i, j in pairs)


def sides(nodes):
    """All that are different: a side and its complement cut the same."""
    return ((False, *rest) for rest in itertools.product((False, True), repeat=nodes - 1)) if nodes else [()]


def largest_cut(pairs, nodes):
    return max(plain_cut(pairs, side) for side in sides(nodes))


NAMED = {   # pairs, nodes, largest cut
    "karate": (*KARATE, 61),
    "star": ([(0, i) for i in range(1, 8)], 8, 7),
    "complete": (list(itertools.combinations(range(7), 2)), 7, 12),
    "odd ring": (ring(11), 11, 10),
    "even ring": (ring(12), 12, 12),
    "Petersen": (list(networkx.petersen_graph().edges), 10, 12),
    "two triangles and a lone node": ([(0, 1), (1, 2), (2, 0), (4, 5), (5, 6), (6, 4)], 7, 4),
    "one node": ([], 1, 0),
    "a loop": ([(0, 0)], 1, 0),
    "three nodes": ([], 3, 0),
    "a pair thrice": ([(0, 1)] * 3, 2, 3),
}
named = pytest.mark.parametrize("graph", NAMED.values(), ids=NAMED)


def checked(side, pairs, nodes, most):
    """A cut is an array of booleans that cuts no more than is possible."""
    assert type(side) is np.ndarray and side.dtype == bool and side.shape == (nodes,)
    assert cut_value(both(pairs), side) == plain_cut(pairs, side) <= most
    return plain_cut(pairs, side)


# ---- what a cut is worth

@given(graph=graphs(), data=st.data())
def test_the_value_is_that_of_plain_counting(graph, data):
    pairs, nodes = graph
    side = data.draw(st.lists(st.booleans(), min_size=nodes, max_size=nodes))
    cut = cut_value(both(pairs), side)
    assert type(cut) is int and cut == plain_cut(pairs, side)
    for same in (np.array(side), torch.tensor(side), [not each for each in side]):
        assert cut_value(torch.from_numpy(both(pairs)), same) == cut


@given(graph=graphs())
def test_the_matrix_counts_pairs(graph):
    pairs, nodes = graph
    expected = np.zeros((nodes, nodes), int)
    for i, j in pairs:
        expected[i, j] += i != j
        expected[j, i] += i != j
    A = adjacency(both(pairs), nodes)
    assert A.dtype == np.int64 and A.has_canonical_format and (A.data > 0).all()
    np.testing.assert_array_equal(A.toarray(), expected)


@settings(max_examples=30)
@given(graph=graphs(), seed=st.integers(0, 99))
def test_the_expected_cut_is_the_mean_over_all_tosses(graph, seed):
    pairs, nodes = graph[0][:8], min(graph[1], 7)
    pairs = [(i % nodes, j % nodes) for i, j in pairs]
    pairs = [(i, j) for i, j in pairs if i != j]
    p = torch.rand(2, 3, nodes, generator=torch.Generator().manual_seed(seed), dtype=F64)
    found = expected_cut(torch.from_numpy(both(pairs)), p)
    assert found.shape == (2, 3)
    for index in itertools.product(range(2), range(3)):
        one = p[index].tolist()
        mean = sum(plain_cut(pairs, coins) * math.prod(q if coin else 1 - q for q, coin in zip(one, coins))
                   for coins in itertools.product((False, True), repeat=nodes))
        assert found[index].item() == pytest.approx(mean, abs=1e-12)


@given(graph=graphs(), seed=st.integers(0, 99))
def test_at_zeros_and_ones_the_expected_cut_is_the_cut(graph, seed):
    pairs, nodes = graph
    side = np.random.default_rng(seed).random(nodes) < 0.5
    assert expected_cut(torch.from_numpy(both(pairs)), torch.from_numpy(side).double()).item() == plain_cut(pairs, side)


@given(graph=graphs(), seed=st.integers(0, 99))
def test_the_gradient_of_the_expected_cut(graph, seed):
    pairs, nodes = graph
    edges = torch.from_numpy(both([(i, j) for i, j in pairs if i != j]))
    A = torch.from_numpy(adjacency(both(pairs), nodes).toarray()).double()
    p = torch.rand(3, nodes, generator=torch.Generator().manual_seed(seed), dtype=F64).requires_grad_()
    found, = torch.autograd.grad(expected_cut(edges, p).sum(), p)
    torch.testing.assert_close(found, A.sum(1) - 2 * p.detach() @ A, rtol=1e-12, atol=1e-12)


@given(graph=graphs(), seed=st.integers(0, 99))
@example(graph=(KARATE[0], 34), seed=0)
def test_the_score_is_its_formula(graph, seed):
    pairs, nodes = graph
    side = np.random.default_rng(seed).random(nodes) < 0.5
    edges = sum(i != j for i, j in pairs)
    if edges:
        quarter = 2 * edges / nodes / 4
        expected = (plain_cut(pairs, side) / nodes - quarter) / math.sqrt(quarter)
        assert cut_score(both(pairs), side) == pytest.approx(expected, abs=1e-12)
    else:
        with pytest.raises(ValueError, match="edge_index must hold an edge"):
            cut_score(both(pairs), side)


def test_half_of_the_edges_score_nothing():
    assert cut_score(both(ring(8)), [True, True, False, False] * 2) == 0
    assert cut_score(both(ring(8)), [True, False] * 4) == pytest.approx(math.sqrt(0.5))


# ---- every solver

@solvers
@settings(max_examples=40)
@given(graph=graphs(), seed=st.integers(0, 9))
def test_solvers_on_any_graph(solver, graph, seed):
    pairs, nodes = graph
    checked(solver(both(pairs), nodes, seed=seed), pairs, nodes, largest_cut(pairs, nodes))


@solvers
@named
def test_solvers_on_named_graphs(solver, graph):
    pairs, nodes, most = graph
    for seed in range(3):
        checked(solver(both(pairs), nodes, seed=seed), pairs, nodes, most)


@solvers
def test_solvers_on_a_regular_graph(solver):
    edge_index = random_regular(14, 3, seed=1)
    pairs = pairs_of(edge_index)
    checked(solver(edge_index, 14, seed=0), pairs, 14, largest_cut(pairs, 14))


@pytest.mark.parametrize("solver, least", [
    (annealed_cut, 61), (extremal_cut, 61), (goemans_williamson_cut, 60), (greedy_cut, 50),
    (functools.partial(descent_cut, steps=500), 59), (functools.partial(gnn_cut, epochs=400), 57),
], ids=["annealed", "extremal", "vectors", "greedy", "descent", "network"])
def test_the_karate_club_is_cut_well(solver, least):
    assert least <= checked(solver(karate_club().edge_index, 34, seed=0), *KARATE, 61)


@pytest.mark.parametrize("solver", [*QUICK.values(), lambda edge_index, nodes, seed: optimal_cut(edge_index, nodes)],
                         ids=[*QUICK, "optimal"])
def test_without_nodes_there_is_an_empty_cut_or_an_error_that_says_so(solver):
    answers_for_no_nodes(solver)


@solvers
def test_the_seed_decides_and_nothing_else_is_touched(solver):
    is_decided_by_its_seed(solver, karate_club().edge_index, 34)


@solvers
def test_loops_change_nothing(solver):
    leaves_out_loops(solver)


@pytest.mark.parametrize("solver", [*QUICK.values(), lambda edge_index, nodes, seed: optimal_cut(edge_index, nodes)],
                         ids=[*QUICK, "optimal"])
def test_lists_arrays_and_tensors_are_the_same_graph(solver):
    takes_any_form_of_a_graph(solver, PAW + [(4, 4), (5, 1)], 7)


# ---- one flip at a time

@settings(max_examples=60)
@given(graph=graphs(), seed=st.integers(0, 99))
@example(graph=KARATE, seed=0)
def test_no_flip_improves_what_greed_has_found(graph, seed):
    pairs, nodes = graph
    side = greedy_cut(both(pairs), nodes, seed)
    for node in range(nodes):
        own = [(i, j) for i, j in pairs if node in (i, j) and i != j]
        assert 2 * plain_cut(own, side) >= len(own)


def test_greed_starts_anywhere():
    starts = np.array([greedy_cut(both([]), 6, seed) for seed in range(400)])
    assert abs(starts.mean(0) - 0.5).max() < 0.1 and len({tuple(start) for start in starts.tolist()}) == 64


@given(graph=graphs())
@example(graph=KARATE)
def test_classes_have_no_edge_inside_and_hold_each_node_once(graph):
    pairs, nodes = graph
    classes = local_cuts.colour_classes(adjacency(both(pairs), nodes))
    assert sorted(np.concatenate(classes).tolist()) == list(range(nodes)) and all(len(each) for each in classes)
    colour = {node: number for number, each in enumerate(classes) for node in each.tolist()}
    assert all(colour[i] != colour[j] for i, j in pairs if i != j)


@pytest.fixture
def sweeps_seen(monkeypatch):
    """The sides at the start and after each sweep of annealed_cut."""
    seen, cut = [], local_cuts._cut
    monkeypatch.setattr(local_cuts, "_cut", lambda A, spins: (seen.append((spins > 0).tolist()), cut(A, spins))[1])
    return seen


def test_at_one_temperature_sides_are_as_frequent_as_boltzmann_says(sweeps_seen):
    annealed_cut(both(PAW), 4, seed=0, sweeps=20_000, hottest=2.0, coldest=2.0)
    states = list(itertools.product((False, True), repeat=4))
    weights = np.exp([plain_cut(PAW, state) / 2.0 for state in states])
    counts = [sweeps_seen.count(list(state)) for state in states]
    np.testing.assert_allclose(np.array(counts) / len(sweeps_seen), weights / weights.sum(), atol=0.008)


def test_the_temperature_falls_in_equal_steps(sweeps_seen):
    annealed_cut([[0, 1], [1, 0]], 2, seed=0, sweeps=20_000, hottest=4.0, coldest=0.25)
    found = np.mean(np.reshape([a != b for a, b in sweeps_seen[1:]], (10, -1)), 1)
    likely = 1 / (1 + np.exp(-1 / np.linspace(4.0, 0.25, 20_000)))     # whatever the side of the first to be asked
    np.testing.assert_allclose(found, likely.reshape(10, -1).mean(1), atol=0.04)


@pytest.mark.parametrize("seed", range(5))
def test_annealing_returns_the_best_that_was_met(sweeps_seen, seed):
    side = annealed_cut(both(KARATE[0]), 34, seed, sweeps=7, hottest=9.0, coldest=8.0)
    cuts = [plain_cut(KARATE[0], state) for state in sweeps_seen]
    assert len(cuts) == 8 and plain_cut(KARATE[0], side) == max(cuts)


def test_greedy_goes_on_from_sides_that_are_given():
    edges = random_regular(40, 3, seed=0)
    side = cut_vectors(edges, 40, seed=1)[:, 0] > 0
    polished = greedy_cut(edges, 40, seed=0, start=side)
    assert cut_value(edges, polished) > cut_value(edges, side) and (polished != side).sum() < 20
    assert np.array_equal(greedy_cut(edges, 40, seed=5, start=torch.from_numpy(polished)), polished)
    for wrong, error in ((side[:-1], ValueError), (side.astype(int), TypeError)):
        with pytest.raises(error, match="start must"):
            greedy_cut(edges, 40, seed=0, start=wrong)


def test_temperatures_by_default(sweeps_seen):
    def met(**temperatures):
        sweeps_seen.clear()
        annealed_cut(karate_club().edge_index, 34, 0, sweeps=20, **temperatures)
        return sweeps_seen.copy()

    mean = 2 * len(KARATE[0]) / 34
    assert met() == met(hottest=mean / 6, coldest=0.05) != met(hottest=mean / 5)
    assert met(coldest=9) == met(coldest=9, hottest=9) != met()


def test_cold_is_no_reason_to_warn():
    pairs, nodes, most = NAMED["star"]
    assert checked(annealed_cut(both(pairs), nodes, seed=0, sweeps=5, coldest=1e-5), pairs, nodes, most) == most


# ---- the worst first

@given(start=st.lists(st.integers(-4, 4), min_size=1, max_size=8), data=st.data())
def test_bins_are_a_sorted_list(start, data):
    bins, gain = Bins(list(start), most=4), list(start)
    moves = data.draw(st.lists(st.tuples(st.integers(0, len(start) - 1), st.integers(-4, 4)), max_size=20))
    for node, value in [(0, start[0]), *moves]:
        bins.move(node, value)
        gain[node] = value
        assert bins.gain == gain
        place = 0
        order = sorted(range(len(gain)), key=lambda node: -gain[node])
        for _, equals in itertools.groupby(order, gain.__getitem__):
            equals = set(equals)
            for rank in range(place, place + len(equals)):
                inside = len(equals)
                assert {bins.ranked(rank, (k + 0.5) / inside) for k in range(inside)} == equals
                assert {bins.ranked(rank, 0.0), bins.ranked(rank, math.nextafter(1, 0))} <= equals
            place += len(equals)


def test_chance_is_fair_among_equals():
    rng, bins = np.random.default_rng(0), Bins([3, 1, 1, 1, -2, 1, 1], most=3)
    for node, gain in [(1, 3), (1, 1), (4, 1), (4, -2), (2, 0), (2, 1)]:
        bins.move(node, gain)
    drawn = [bins.ranked(int(rng.integers(1, 6)), rng.random()) for _ in range(5000)]
    counts = np.array([drawn.count(node) for node in (1, 2, 3, 5, 6)])
    assert counts.sum() == 5000 and ((counts - 1000) ** 2 / 1000).sum() < chi2.ppf(0.999, 4)


class Seen(Bins):
    """Bins that note what is asked of them."""

    made = []

    def __init__(self, gain, most):
        self.start, self.asked = list(gain), []
        super().__init__(gain, most)
        self.made.append(self)

    def ranked(self, rank, chance):
        node = super().ranked(rank, chance)
        self.asked.append((rank, node, self.gain[node]))
        return node


@pytest.fixture
def seen(monkeypatch):
    """The Bins that extremal_cut makes."""
    monkeypatch.setattr(Seen, "made", [])
    monkeypatch.setattr(extremal_cuts, "Bins", Seen)
    return Seen.made


@pytest.mark.parametrize("tau", [0.5, 1.3, 3])
def test_ranks_are_drawn_by_the_power_law(seen, tau):
    extremal_cut(both(ring(12)), 12, seed=3, steps=20_000, tau=tau)
    counts = np.bincount([rank for rank, _, _ in seen[0].asked], minlength=12)
    law = np.array([k ** -tau for k in range(1, 13)])
    law *= 20_000 / law.sum()
    assert len(counts) == 12 and ((counts - law) ** 2 / law).sum() < chi2.ppf(0.999, 11)


def gains(pairs, side):
    """What each flip would add, by counting twice."""
    flipped = [[each ^ (node == other) for other, each in enumerate(side)] for node in range(len(side))]
    return [plain_cut(pairs, other) - plain_cut(pairs, side) for other in flipped]


@settings(max_examples=25)
@given(graph=graphs(), seed=st.integers(0, 99))
def test_extremal_flips_replayed_by_hand(graph, seed):
    pairs, nodes = graph
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Seen, "made", [])
        patch.setattr(extremal_cuts, "Bins", Seen)
        patch.setattr(extremal_cuts, "BLOCK", 7)
        found = extremal_cut(both(pairs), nodes, seed, steps=20)
        bins, = Seen.made
    assert len(bins.asked) == (20 if any(i != j for i, j in pairs) else 0)
    starts = [side for side in itertools.product((False, True), repeat=nodes) if gains(pairs, side) == bins.start]
    assert found.tolist() in [replayed(pairs, list(side), bins.asked) for side in starts]


def replayed(pairs, side, asked):
    """The first of the best sides on the way, or None where the way is not the one that was taken."""
    best = list(side)
    for rank, node, gain in asked:
        now = gains(pairs, side)
        if gain != now[node] or not sum(each > gain for each in now) <= rank < sum(each >= gain for each in now):
            return None
        side[node] = not side[node]
        best = list(side) if plain_cut(pairs, side) > plain_cut(pairs, best) else best
    return best


def naive_extremal_cut(pairs, nodes, steps, tau, rng):
    """The same search, sorted anew at each step."""
    side = (rng.random(nodes) < 0.5).tolist()
    law = np.arange(1, nodes + 1) ** -float(tau)
    most = plain_cut(pairs, side)
    for _ in range(steps):
        gain = gains(pairs, side)
        order = sorted(range(nodes), key=lambda node: (-gain[node], rng.random()))
        node = order[rng.choice(nodes, p=law / law.sum())]
        side[node] = not side[node]
        most = max(most, plain_cut(pairs, side))
    return most


@pytest.mark.parametrize("tau", [0.5, 3.0])
def test_a_naive_extremal_search_is_as_good(tau):
    pairs, rng = list(networkx.petersen_graph().edges), np.random.default_rng(0)
    naive = np.array([naive_extremal_cut(pairs, 10, 6, tau, rng) for _ in range(400)])
    ours = np.array([plain_cut(pairs, extremal_cut(both(pairs), 10, seed, steps=6, tau=tau)) for seed in range(1000)])
    apart = math.sqrt(naive.var() / len(naive) + ours.var() / len(ours))
    assert abs(naive.mean() - ours.mean()) < 3.5 * apart


def test_steps_and_tau_by_default():
    edges = karate_club().edge_index
    assert extremal_cut(edges, 34, 5).tolist() == extremal_cut(edges, 34, 5, steps=800 * 34, tau=1.3).tolist()


# ---- vectors

@settings(max_examples=40)
@given(graph=graphs())
def test_between_the_largest_cut_and_the_bound_lies_the_relaxed_value(graph):
    pairs, nodes = graph
    edges, most = both(pairs), largest_cut(pairs, nodes)
    v = cut_vectors(edges, nodes, tolerance=1e-9)
    assert v.shape[0] == nodes and v.shape[1] >= math.sqrt(2 * nodes)
    np.testing.assert_allclose((v * v).sum(1), 1, rtol=1e-12)
    value, bound = relaxed_value(edges, v), cut_bound(edges, nodes, v)
    assert most - 1e-3 <= value <= bound + 1e-9 and most <= bound + 1e-9
    assert bound - value <= 0.02 * max(1, most)


@settings(max_examples=60)
@given(graph=graphs(), seed=st.integers(0, 99), width=st.integers(1, 4), scale=st.sampled_from([0.0, 0.1, 1.0, 30.0]))
def test_any_vectors_give_a_bound(graph, seed, width, scale):
    pairs, nodes = graph
    v = scale * np.random.default_rng(seed).standard_normal((nodes, width))
    assert cut_bound(both(pairs), nodes, v) >= largest_cut(pairs, nodes) - 1e-9


@settings(max_examples=40)
@given(graph=graphs(), seed=st.integers(0, 99))
def test_vectors_of_one_number_are_a_cut(graph, seed):
    pairs, nodes = graph
    side = np.random.default_rng(seed).random(nodes) < 0.5
    assert relaxed_value(both(pairs), np.where(side, 1.0, -1.0)[:, None]) == plain_cut(pairs, side)


def test_the_relaxed_value_by_hand():
    v = np.random.default_rng(0).standard_normal((4, 3))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    assert relaxed_value(both(PAW), v) == pytest.approx(sum((1 - v[i] @ v[j]) / 2 for i, j in PAW))


@pytest.mark.parametrize("nodes", [3, 5, 7, 11])
def test_odd_rings(nodes):
    expected = nodes / 2 * (1 + math.cos(math.pi / nodes))
    v = cut_vectors(both(ring(nodes)), nodes, tolerance=1e-11)
    assert relaxed_value(both(ring(nodes)), v) == pytest.approx(expected, abs=1e-5)
    assert cut_bound(both(ring(nodes)), nodes, v) == pytest.approx(expected, abs=2e-3)
    assert cut_bound(both(ring(nodes)), nodes) >= expected - 1e-9


@pytest.mark.parametrize("graph", [networkx.complete_bipartite_graph(3, 5), networkx.random_labeled_tree(20, seed=0),
                                   networkx.hypercube_graph(4)], ids=["complete", "tree", "cube"])
def test_a_bipartite_graph_is_cut_altogether(graph):
    graph = networkx.convert_node_labels_to_integers(graph)
    edges, nodes, most = both(graph.edges), len(graph), graph.number_of_edges()
    v = cut_vectors(edges, nodes, tolerance=1e-10)
    assert relaxed_value(edges, v) == pytest.approx(most, abs=1e-3)
    assert cut_bound(edges, nodes, v) == pytest.approx(most, abs=1e-2)
    assert cut_value(edges, optimal_cut(edges, nodes)) == most
    assert cut_value(edges, goemans_williamson_cut(edges, nodes, seed=0)) == most


def test_the_karate_clubs_relaxed_value():
    edges = karate_club().edge_index
    v = cut_vectors(edges, 34)
    assert relaxed_value(edges, v) == pytest.approx(63.49, abs=0.01)
    assert cut_bound(edges, 34, v) == pytest.approx(63.49, abs=0.01) and cut_bound(edges, 34) == cut_bound(edges, 34, v)
    assert relaxed_value(edges, cut_vectors(edges, 34, seed=1)) == pytest.approx(relaxed_value(edges, v), abs=2e-3)
    assert cut_vectors(edges, 34).tolist() == v.tolist() != cut_vectors(edges, 34, seed=1).tolist()


def test_each_sweep_gains_until_a_share_is_too_small():
    edges = karate_club().edge_index
    values = [relaxed_value(edges, cut_vectors(edges, 34, sweeps=many, tolerance=1e-15)) for many in range(1, 30)]
    assert all(b > a for a, b in zip(values, values[1:]))
    shares = np.diff(values) / (2 * np.array(values[1:]) - 78)       # the sum of all |pull| is −2 Σ_edges v · v
    for tolerance in (1e-2, 1e-3):
        value = relaxed_value(edges, cut_vectors(edges, 34, tolerance=tolerance))
        at = int(np.argmin(np.abs(np.array(values) - value)))
        assert values[at] == pytest.approx(value, abs=1e-9)
        assert shares[at - 1] <= 1.1 * tolerance <= 1.3 * shares[at - 2]


def test_a_thousand_sweeps_leave_each_vector_opposite_to_its_neighbours():
    v = cut_vectors(both(PAW), 4, tolerance=1e-15)
    pull = adjacency(both(PAW), 4) @ v
    np.testing.assert_allclose(v, -pull / np.linalg.norm(pull, axis=1, keepdims=True), atol=1e-5)


def torus(length):
    graph = networkx.grid_2d_graph(length, length, periodic=True)
    return [(length * a + b, length * c + d) for (a, b), (c, d) in graph.edges]


@pytest.mark.parametrize("dense", [0, 10 ** 6])
@pytest.mark.parametrize("copies", [1, 3])
def test_many_nodes_have_the_bound_of_few(monkeypatch, copies, dense):
    monkeypatch.setattr(semidefinite_cuts, "DENSE", dense, raising=False)
    part = random_regular(120, 3, seed=0).numpy()
    edges, nodes = np.concatenate([part + 120 * each for each in range(copies)], 1), 120 * copies
    v = cut_vectors(edges, nodes, tolerance=1e-4)
    A = adjacency(edges, nodes).toarray()
    g = np.linalg.norm(A @ v, axis=1)
    exact = (A.sum() + g.sum() - nodes * np.linalg.eigvalsh(A + np.diag(g))[0]) / 4
    assert exact - 1e-6 <= cut_bound(edges, nodes, v) <= exact + 1e-6 * nodes


@pytest.mark.parametrize("dense", [None, 0])
@pytest.mark.parametrize("pairs, nodes", [(ring(302), 302), (ring(400), 400), (torus(20), 400), ([], 301)],
                         ids=["ring of 302", "ring of 400", "torus", "no edges"])
def test_many_nodes_that_can_be_cut_altogether_are_bounded_by_their_edges(monkeypatch, nodes, pairs, dense):
    if dense is not None:
        monkeypatch.setattr(semidefinite_cuts, "DENSE", dense, raising=False)
    side = networkx.bipartite.color(networkx.Graph(pairs))
    v = np.array([[1.0] if side.get(node) else [-1.0] for node in range(nodes)])
    assert len(pairs) - 1e-9 <= cut_bound(both(pairs), nodes, v) <= len(pairs) + 1e-2


def test_without_nodes_the_bound_is_zero_or_an_error_says_so():
    try:
        assert cut_bound(both([]), 0) == 0
    except ValueError as error:
        assert "nodes" in str(error)


def test_planes_separate_by_their_angle(monkeypatch):
    rng, pairs = np.random.default_rng(1), list(itertools.combinations(range(5), 2)) + [(0, 1)] * 3
    v = rng.standard_normal((5, 3))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    monkeypatch.setattr(semidefinite_cuts, "cut_vectors", lambda edge_index, nodes, seed: v)
    cuts = np.array([plain_cut(pairs, goemans_williamson_cut(both(pairs), 5, seed, rounds=1)) for seed in range(1500)])
    expected = sum(math.acos(v[i] @ v[j]) / math.pi for i, j in pairs)
    assert abs(cuts.mean() - expected) < 3.5 * cuts.std() / math.sqrt(len(cuts))
    best = [plain_cut(pairs, goemans_williamson_cut(both(pairs), 5, seed, rounds=60)) for seed in range(20)]
    assert min(best) >= cuts.max() - 1 > expected


@pytest.mark.parametrize("edges, nodes", [(karate_club().edge_index, 34), (random_regular(50, 3, seed=0), 50)],
                         ids=["karate", "regular"])
def test_one_plane_keeps_878_thousandths_on_average(edges, nodes):
    bound = cut_bound(edges, nodes, cut_vectors(edges, nodes))
    cuts = np.array([cut_value(edges, goemans_williamson_cut(edges, nodes, seed, rounds=1)) for seed in range(40)])
    assert 0.878 * bound <= cuts.mean() <= bound and cuts.std() > 0


def test_every_plane_cuts_four_edges_of_the_pentagon():
    pentagon = both(ring(5))
    assert [cut_value(pentagon, goemans_williamson_cut(pentagon, 5, seed, rounds=1)) for seed in range(60)] == [4] * 60


# ---- relaxed

@pytest.fixture
def probabilities(monkeypatch):
    """What a descent asks the value of: sides at even places, probabilities at odd ones."""
    seen, value = [], relaxed_cuts.mean_cut
    monkeypatch.setattr(relaxed_cuts, "mean_cut",
                        lambda edges, m: (seen.append((1 + m.detach()) / 2), value(edges, m))[1])
    return seen


def test_the_cut_of_means_is_the_expected_cut_and_keeps_the_smallest():
    pairs, nodes = PAW + [(3, 3)], 4
    p = torch.rand(3, nodes, generator=torch.Generator().manual_seed(0), dtype=F64)
    edges = torch.from_numpy(both(pairs))
    without = edges[:, edges[0] != edges[1]]
    torch.testing.assert_close(relaxed_cuts.mean_cut(edges, 2 * p - 1), expected_cut(without, p))
    m = (1e-200 * torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=F64)).requires_grad_()
    g, = torch.autograd.grad(relaxed_cuts.mean_cut(edges, m), m)
    A = torch.from_numpy(adjacency(edges, nodes).toarray()).double()
    torch.testing.assert_close(g, -A @ m.detach() / 2, rtol=1e-12, atol=0)


def test_from_a_tiny_start_descent_finds_the_lowest_eigenvector():
    edges, met = random_regular(60, 3, seed=1), []
    lowest = torch.linalg.eigh(torch.from_numpy(adjacency(edges, 60).toarray()).double())[1][:, 0]
    x = torch.from_numpy(1e-250 * np.random.default_rng(0).standard_normal(60))
    relaxed_cuts.best_signs(lambda x: x, x, lambda m: relaxed_cuts.mean_cut(edges, m), gradient_descent(4 / 3), 1200,
                            decode=lambda x: (met.append(x / x.abs().max()), x > 0)[1])
    along = [abs(float(x @ lowest / x.norm())) for x in met]
    assert along[0] < 0.5 and max(along) > 0.999


def test_near_zero_the_descent_is_a_matrix(probabilities):
    edges, rate = karate_club().edge_index, 0.3
    A = torch.from_numpy(adjacency(edges, 34).toarray()).double()
    descent_cut(edges, 34, seed=0, rule=gradient_descent(rate), steps=8, scale=1e-4)
    x = [torch.logit(p) for p in probabilities[1::2]]
    assert len(x) == 8 and 0.5e-4 < x[0].std() < 2e-4 and abs(x[0].mean()) < 1e-4
    for now, after in zip(x, x[1:]):
        torch.testing.assert_close(after, now - rate * (A @ now) / 8, rtol=1e-5, atol=1e-9)


def test_the_first_gradient_is_that_matrix_too():
    edges, x = karate_club().edge_index, 1e-4 * torch.randn(34, generator=torch.Generator().manual_seed(0), dtype=F64)
    A = torch.from_numpy(adjacency(edges, 34).toarray()).double()
    x.requires_grad_()
    g, = torch.autograd.grad(-expected_cut(edges, torch.sigmoid(x)), x)
    rule = gradient_descent(0.5)
    delta, _ = rule.update(g, rule.init(x.detach()), x.detach())
    torch.testing.assert_close(delta, -0.5 * (A @ x.detach()) / 8, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("solver", [QUICK["descent"], functools.partial(descent_cut, rule=adam(0.3), steps=20),
                                    functools.partial(gnn_cut, epochs=20, lr=0.3)], ids=["descent", "adam", "network"])
def test_a_descent_returns_the_best_that_was_met(probabilities, solver):
    side = solver(karate_club().edge_index, 34, seed=1)
    met = [plain_cut(KARATE[0], p.tolist()) for p in probabilities[0::2]]
    assert len(met) == 21 and len(probabilities) == 41 and plain_cut(KARATE[0], side) == max(met)
    for p, signs in zip(probabilities[1::2], probabilities[0::2]):
        assert torch.equal((p > 0.5).to(p.dtype), signs) or p.eq(0.5).any()


def test_a_descent_by_hand(probabilities):
    edges, x = karate_club().edge_index, torch.from_numpy(0.1 * np.random.default_rng(4).standard_normal(34))
    A, met = torch.from_numpy(adjacency(edges, 34).toarray()).double(), []
    side = descent_cut(edges, 34, seed=4, steps=40, scale=0.1)
    for found in probabilities[1::2]:
        met.append(plain_cut(KARATE[0], x > 0))
        p = torch.sigmoid(x)
        torch.testing.assert_close(found, p, rtol=1e-6, atol=1e-9)
        x = x + 4 / 17 * (A.sum(1) - 2 * A @ p) * p * (1 - p)           # 17 is the largest degree
    assert plain_cut(KARATE[0], side) == max(*met, plain_cut(KARATE[0], x > 0)) > met[0] and len(met) == 40


LONE = both(PAW + [(4, 4), (5, 1), (6, 5)]), 8      # a loop, and a node without edges


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("embedding", [None, 1, 5])
def test_the_network_is_that_of_pytorch_geometric(loops, embedding):
    edges, nodes = torch.from_numpy(LONE[0]), LONE[1]
    x, w = node_network(edges, nodes, embedding, 0, loops)
    width = embedding or 3                           # √8, rounded up
    theirs = torch.nn.ModuleList(TheirConv(a, b, add_self_loops=loops)
                                 for a, b in ((width, max(1, width // 2)), (max(1, width // 2), 1)))
    assert len(w) == nodes * width + sum(p.numel() for p in theirs.parameters())
    w = w + 0.1 * torch.randn(len(w), generator=torch.Generator().manual_seed(1))
    torch.nn.utils.vector_to_parameters(w[nodes * width:], theirs.parameters())
    hidden = theirs[0](w[:nodes * width].view(nodes, width), edges).relu()
    expected = theirs[1](hidden, edges)[:, 0].detach()
    torch.testing.assert_close(x(w), expected, rtol=1e-5, atol=1e-6)
    assert x(w).shape == (nodes,)


def test_vectors_start_normal_and_layers_as_layers_do():
    _, w = node_network(karate_club().edge_index, 34, 30, 0, True)
    vectors, rest = w[:34 * 30], w[34 * 30:]
    assert abs(vectors.mean()) < 0.1 and abs(vectors.std() - 1) < 0.1
    assert (rest[:15] == 0).all() and 0.9 < rest[15:15 + 450].abs().max() / math.sqrt(6 / 45) <= 1


def test_vectors_start_at_their_size():
    edges = karate_club().edge_index
    (_, one), (_, tenth) = (node_network(edges, 34, 8, 0, True, scale) for scale in (1.0, 0.1))
    vectors = 34 * 8
    torch.testing.assert_close(tenth[:vectors], one[:vectors] / 10)
    assert torch.equal(tenth[vectors:], one[vectors:])
    with pytest.raises(ValueError, match="scale must .*0"):
        gnn_cut(edges, 34, seed=0, scale=0)


@pytest.mark.parametrize("loops", [True, False])
def test_the_network_learns_as_one_of_pytorch_geometric(probabilities, loops):
    edges, nodes = torch.from_numpy(LONE[0]), LONE[1]
    gnn_cut(edges, nodes, seed=3, embedding=4, epochs=15, lr=0.05, self_loops=loops)
    _, w = node_network(edges, nodes, 4, 3, loops)
    vectors = torch.nn.Parameter(w[:nodes * 4].view(nodes, 4).clone())
    layers = torch.nn.ModuleList([TheirConv(4, 2, add_self_loops=loops), TheirConv(2, 1, add_self_loops=loops)])
    torch.nn.utils.vector_to_parameters(w[nodes * 4:].clone(), layers.parameters())
    optimizer = torch.optim.Adam([vectors, *layers.parameters()], lr=0.05)
    A = torch.from_numpy(adjacency(edges, nodes).toarray()).float()
    assert len(probabilities[1::2]) == 15
    for p in probabilities[1::2]:
        q = torch.sigmoid(layers[1](layers[0](vectors, edges).relu(), edges)[:, 0])
        torch.testing.assert_close(p, q.detach(), rtol=1e-3, atol=1e-4)
        optimizer.zero_grad()
        (-q @ A @ (1 - q)).backward()
        optimizer.step()


# ---- proved

@settings(max_examples=60)
@given(graph=graphs())
def test_the_optimum_is_that_of_brute_force(graph):
    pairs, nodes = graph
    most = largest_cut(pairs, nodes)
    assert checked(optimal_cut(both(pairs), nodes), pairs, nodes, most) == most


@named
def test_known_optima(graph):
    pairs, nodes, most = graph
    assert checked(optimal_cut(both(pairs), nodes), pairs, nodes, most) == most
    assert cut_bound(both(pairs), nodes) >= most - 1e-9


@pytest.mark.parametrize("degree", [3, 4, 7])
def test_the_optimum_of_regular_graphs(degree):
    edges = random_regular(16, degree, seed=degree)
    bits = np.arange(2 ** 15)[:, None] >> np.arange(16) & 1
    i, j = np.array(pairs_of(edges)).T
    assert cut_value(edges, optimal_cut(edges, 16)) == (bits[:, i] != bits[:, j]).sum(1).max()


@settings(max_examples=60)
@given(graph=graphs(least=3), seed=st.integers(0, 99), high=st.booleans())
@example(graph=(ring(3), 3), seed=0, high=True)
def test_inequalities_hold_for_every_cut_and_are_broken(graph, seed, high):
    pairs, nodes = np.array(sorted({(min(p), max(p)) for p in graph[0] if p[0] != p[1]})).reshape(-1, 2), graph[1]
    if not len(pairs):
        return
    y = np.random.default_rng(seed).random(len(pairs))
    y = 1 - 0.2 * y if high else y
    rows, limits = exact_solutions._broken_cycles(pairs, nodes, y)
    A = rows.toarray()
    assert (A[:, :nodes] == 0).all() and len(A) == len(limits) and (A[:, nodes:] @ y > limits).all()
    for side in sides(nodes):
        cut = np.array([side[i] != side[j] for i, j in pairs])
        assert (A[:, nodes:] @ cut <= limits).all()
        defining, most = exact_solutions._defining(pairs, nodes)
        assert (defining @ np.concatenate([side, cut]) <= most).all()
    triangles = [each for each in networkx.find_cliques(networkx.Graph(pairs.tolist())) if len(each) >= 3]
    assert len(limits) or not (high and triangles)


@pytest.mark.parametrize("seconds", [1e-3, 0.02])
def test_no_proof_in_time(seconds):
    with pytest.raises(TimeoutError, match=f"seconds .*{seconds}"):
        optimal_cut(random_regular(300, 3, seed=0), 300, seconds=seconds)


# ---- graphs drawn at random

@pytest.mark.parametrize("nodes, degree", [(2, 1), (10, 3), (9, 4), (6, 5), (60, 7)])
def test_a_regular_graph_is_simple_regular_and_of_both_directions(nodes, degree):
    edges = random_regular(nodes, degree, seed=0)
    pairs = list(zip(*edges.tolist()))
    assert edges.dtype == torch.int64 and edges.shape == (2, nodes * degree)
    assert len(set(pairs)) == len(pairs) and {(j, i) for i, j in pairs} == set(pairs) and all(i != j for i, j in pairs)
    assert edges[0].bincount(minlength=nodes).tolist() == [degree] * nodes


def test_the_seed_decides_which_regular_graph():
    state = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    first = random_regular(20, 3, seed=1)
    assert state == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert torch.equal(first, random_regular(20, 3, seed=1)) and not torch.equal(first, random_regular(20, 3, seed=2))
    assert len({random_regular(4, 1, seed=seed)[1, 0].item() for seed in range(30)}) > 1


@pytest.mark.parametrize("nodes, degree, named", [
    (3, 3, "degree .*3 and 3"), (4, 4, "degree .*4 and 4"), (5, 3, "degree .*3 and 5"),
    (5, 0, "degree .*0"), (0, 3, "nodes .*0"), (-2, 1, "nodes .*-2"),
])
def test_there_is_no_such_regular_graph(nodes, degree, named):
    with pytest.raises(ValueError, match=named):
        random_regular(nodes, degree, seed=0)


# ---- what is wrong with an argument

SQUARE = both(ring(4))
EVERY = {**QUICK, "optimal": optimal_cut, "relaxed": cut_vectors, "bound": cut_bound}


@pytest.mark.parametrize("solver", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("edge_index, nodes, error, message", [
    ([[0, 1, 1], [1, 0, 2]], 3, ValueError, "edge_index .*both directions.*1 → 2"),
    ([[0, 1, 0], [1, 0, 1]], 2, ValueError, "edge_index .*both directions.*0 → 1"),
    ([[0.0, 1.0], [1.0, 0.0]], 2, TypeError, "edge_index .*float"),
    ([[0, 5], [5, 0]], 3, ValueError, "edge_index .*0 to 2.* 5"),
    ([[0, -1], [-1, 0]], 3, ValueError, "edge_index .*-1"),
    ([0, 1], 2, ValueError, r"edge_index .*\[2\]"),
    ("graph", 2, TypeError, "edge_index .*graph"),
    (SQUARE, -4, ValueError, "nodes .*-4"),
    (SQUARE, 4.0, TypeError, "nodes .*4.0"),
])
def test_wrong_graphs(solver, edge_index, nodes, error, message):
    options = {"seed": 0} if solver in QUICK.values() else {}
    with pytest.raises(error, match=message):
        solver(edge_index, nodes, **options)


@pytest.mark.parametrize("solver", [*QUICK.values(), cut_vectors, lambda _, n, seed: random_regular(n, 2, seed)],
                         ids=[*QUICK, "relaxed", "regular"])
@pytest.mark.parametrize("seed, error", [(-1, ValueError), (0.5, TypeError), (None, TypeError), (True, TypeError)])
def test_wrong_seeds(solver, seed, error):
    with pytest.raises(error, match=f"seed .*{seed}"):
        solver(SQUARE, 4, seed=seed)


@pytest.mark.parametrize("solver, name, value, error", [
    (annealed_cut, "sweeps", 0, ValueError), (annealed_cut, "sweeps", 1.5, TypeError),
    (annealed_cut, "coldest", 0, ValueError), (annealed_cut, "hottest", 0.04, ValueError),
    (annealed_cut, "hottest", "hot", TypeError), (annealed_cut, "coldest", math.nan, ValueError),
    (extremal_cut, "steps", 0, ValueError), (extremal_cut, "steps", -3, ValueError),
    (extremal_cut, "tau", 0, ValueError), (extremal_cut, "tau", -1.3, ValueError),
    (extremal_cut, "tau", None, TypeError),
    (goemans_williamson_cut, "rounds", 0, ValueError), (goemans_williamson_cut, "rounds", 2.0, TypeError),
    (descent_cut, "steps", 0, ValueError), (descent_cut, "scale", 0, ValueError),
    (descent_cut, "scale", -1, ValueError),
    (descent_cut, "rule", 0.1, TypeError), (descent_cut, "rule", adam, TypeError),
    (gnn_cut, "epochs", 0, ValueError), (gnn_cut, "epochs", 2.5, TypeError), (gnn_cut, "embedding", 0, ValueError),
    (gnn_cut, "embedding", 2.0, TypeError), (gnn_cut, "lr", -1.0, ValueError),
])
def test_wrong_options(solver, name, value, error):
    shown = "<function adam" if value is adam else value
    with pytest.raises(error, match=f"{name} must .*{shown}"):
        solver(SQUARE, 4, seed=0, **{name: value})


def test_hottest_may_not_be_below_coldest():
    with pytest.raises(ValueError, match="hottest .*2.0.*got 1"):
        annealed_cut(SQUARE, 4, seed=0, hottest=1, coldest=2)


@pytest.mark.parametrize("call, name, value, error", [
    (cut_vectors, "tolerance", 0, ValueError), (cut_vectors, "tolerance", "x", TypeError),
    (cut_vectors, "sweeps", 0, ValueError), (optimal_cut, "seconds", 0, ValueError),
    (optimal_cut, "seconds", -1, ValueError), (optimal_cut, "seconds", "1", TypeError),
])
def test_wrong_numbers(call, name, value, error):
    for edges in (SQUARE, both([])):
        with pytest.raises(error, match=f"{name} must .*{value}"):
            call(edges, 4, **{name: value})


@pytest.mark.parametrize("call", [cut_value, cut_score])
@pytest.mark.parametrize("side, error, message", [
    ([0, 1, 0, 1], TypeError, "side .*int"), (torch.tensor([0.0, 1.0, 0.0, 1.0]), TypeError, "side .*float"),
    ([[True, False, True, False]], ValueError, r"side .*\[1, 4\]"), ([True, False], ValueError, "edge_index .*0 to 1"),
])
def test_wrong_sides(call, side, error, message):
    with pytest.raises(error, match=message):
        call(SQUARE, side)
