"""Independent sets: feasible on any graph, against brute force, and against what theory says of chance."""

import functools
import itertools
import math

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
    adam, annealed_independent_set, descent_independent_set, expected_size, gnn_independent_set, gradient_descent,
    greedy_independent_set, independent_set, is_independent, karate_club, optimal_independent_set, random_regular,
)
from course_lib.graphs import independent_sets, relaxed_sets
from course_lib.graphs.cuts import adjacency
from course_lib.graphs.extremal_cuts import Bins
from course_lib.graphs.local_cuts import colour_classes
from course_lib.graphs.relaxed_cuts import best_signs, node_network

F64 = torch.float64
QUICK = {
    "greedy": greedy_independent_set,
    "annealed": functools.partial(annealed_independent_set, sweeps=10),
    "descent": functools.partial(descent_independent_set, steps=15),
    "network": functools.partial(gnn_independent_set, epochs=3),
}
solvers = pytest.mark.parametrize("solver", QUICK.values(), ids=QUICK)


def independent(pairs, inside):
    return not any(inside[i] and inside[j] for i, j in pairs if i != j)


def maximal(pairs, inside):
    """Whether no node can be added."""
    return all(inside[node] or any(inside[j] for pair in pairs for i, j in (pair, pair[::-1]) if i == node != j)
               for node in range(len(inside)))


def subsets(nodes):
    return itertools.product((False, True), repeat=nodes)


def largest(pairs, nodes):
    return max(sum(inside) for inside in subsets(nodes) if independent(pairs, inside))


NAMED = {   # pairs, nodes, size of a largest independent set
    "karate": (*KARATE, 20),
    "star": ([(0, i) for i in range(1, 8)], 8, 7),
    "complete": (list(itertools.combinations(range(7), 2)), 7, 1),
    "odd ring": (ring(11), 11, 5),
    "Petersen": (list(networkx.petersen_graph().edges), 10, 4),
    "two triangles and a lone node": ([(0, 1), (1, 2), (2, 0), (4, 5), (5, 6), (6, 4)], 7, 3),
    "one node": ([], 1, 1),
    "a loop": ([(0, 0)], 1, 1),
    "three nodes": ([], 3, 3),
    "a pair thrice": ([(0, 1)] * 3, 2, 1),
}
named = pytest.mark.parametrize("graph", NAMED.values(), ids=NAMED)


def checked(inside, pairs, nodes, most):
    """An answer is an array of booleans, independent, and no node can be added."""
    assert type(inside) is np.ndarray and inside.dtype == bool and inside.shape == (nodes,)
    assert independent(pairs, inside) and maximal(pairs, inside) and inside.sum() <= most
    assert is_independent(both(pairs), inside)
    return int(inside.sum())


# ---- what a set is

@given(graph=graphs(), data=st.data())
def test_a_set_is_independent_where_no_pair_is_inside(graph, data):
    pairs, nodes = graph
    inside = data.draw(st.lists(st.booleans(), min_size=nodes, max_size=nodes))
    found = is_independent(both(pairs), inside)
    assert type(found) is bool and found == independent(pairs, inside)
    assert is_independent(torch.from_numpy(both(pairs)), torch.tensor(inside)) == found


@given(graph=graphs(), data=st.data())
def test_scores_make_a_set_from_the_highest_down(graph, data):
    pairs, nodes = graph
    score = data.draw(st.lists(st.sampled_from([-2.0, 0.0, 0.5, 0.5001, 3.0]), min_size=nodes, max_size=nodes))
    inside = [False] * nodes
    for node in sorted(range(nodes), key=lambda node: (-score[node], node)):
        inside[node] = True
        inside[node] = independent(pairs, inside)
    for same in (score, np.array(score), torch.tensor(score, dtype=F64), torch.tensor(score, requires_grad=True)):
        found = independent_set(both(pairs), same)
        assert found.tolist() == inside
        checked(found, pairs, nodes, nodes)


@given(graph=graphs(), data=st.data())
def test_a_set_that_is_independent_is_kept(graph, data):
    pairs, nodes = graph
    inside = data.draw(st.sampled_from([each for each in subsets(nodes) if independent(pairs, each)]))
    found = independent_set(both(pairs), np.array(inside, dtype=float))
    assert (found >= np.array(inside)).all()
    assert not maximal(pairs, inside) or found.tolist() == list(inside)


def test_of_equal_scores_the_first_comes_first_and_loops_do_not_count():
    assert independent_set(both(ring(6)), np.ones(6)).tolist() == [True, False] * 3
    assert independent_set(both([(0, 0), (0, 1)]), [1, 0]).tolist() == [True, False]
    assert is_independent(both([(0, 0)]), [True]) and not is_independent(both([(0, 0), (0, 1)]), [True, True])


@settings(max_examples=30)
@given(graph=graphs(), seed=st.integers(0, 99), penalty=st.sampled_from([0.5, 2.0]))
def test_the_expected_size_is_the_mean_over_all_draws(graph, seed, penalty):
    pairs, nodes = graph[0][:8], min(graph[1], 7)
    pairs = [(i % nodes, j % nodes) for i, j in pairs]
    pairs = [(i, j) for i, j in pairs if i != j]
    p = torch.rand(2, 3, nodes, generator=torch.Generator().manual_seed(seed), dtype=F64)
    found = expected_size(torch.from_numpy(both(pairs)), p, penalty)
    assert found.shape == (2, 3)
    for index in itertools.product(range(2), range(3)):
        one = p[index].tolist()
        mean = sum((sum(inside) - penalty * sum(inside[i] and inside[j] for i, j in pairs))
                   * math.prod(q if drawn else 1 - q for q, drawn in zip(one, inside)) for inside in subsets(nodes))
        assert found[index].item() == pytest.approx(mean, abs=1e-12)


@given(graph=graphs(), seed=st.integers(0, 99), penalty=st.sampled_from([0.5, 2.0]))
def test_the_gradient_of_the_expected_size(graph, seed, penalty):
    pairs, nodes = graph
    edges = torch.from_numpy(both([(i, j) for i, j in pairs if i != j]))
    A = torch.from_numpy(adjacency(both(pairs), nodes).toarray()).double()
    p = torch.rand(2, nodes, generator=torch.Generator().manual_seed(seed), dtype=F64).requires_grad_()
    found, = torch.autograd.grad(expected_size(edges, p, penalty).sum(), p)
    torch.testing.assert_close(found, 1 - penalty * p.detach() @ A, rtol=1e-12, atol=1e-12)


def maximisers(pairs, nodes, penalty):
    edges = torch.from_numpy(both(pairs))
    all_of_them = list(subsets(nodes))
    values = expected_size(edges, torch.tensor(all_of_them, dtype=F64), penalty)
    return [inside for inside, value in zip(all_of_them, values) if value == values.max()]


@settings(max_examples=40)
@given(graph=graphs(), penalty=st.sampled_from([1.125, 1.5, 4.0]))
def test_above_one_the_best_are_the_largest_independent_sets(graph, penalty):
    pairs, nodes = [(i, j) for i, j in graph[0] if i != j], graph[1]
    most = largest(pairs, nodes)
    expected = [inside for inside in subsets(nodes) if independent(pairs, inside) and sum(inside) == most]
    assert maximisers(pairs, nodes, penalty) == expected


def test_below_one_two_that_are_joined_are_best_and_at_one_it_is_a_tie():
    assert maximisers([(0, 1)], 2, 0.5) == [(True, True)]
    assert (True, True) in maximisers([(0, 1)], 2, 1.0)


# ---- every solver

@solvers
@settings(max_examples=40)
@given(graph=graphs(), seed=st.integers(0, 9))
def test_solvers_on_any_graph(solver, graph, seed):
    pairs, nodes = graph
    checked(solver(both(pairs), nodes, seed=seed), pairs, nodes, largest(pairs, nodes))


@solvers
@named
def test_solvers_on_named_graphs(solver, graph):
    pairs, nodes, most = graph
    for seed in range(3):
        checked(solver(both(pairs), nodes, seed=seed), pairs, nodes, most)


@settings(max_examples=60)
@given(graph=graphs())
def test_the_optimum_is_that_of_brute_force(graph):
    pairs, nodes = graph
    most = largest(pairs, nodes)
    assert checked(optimal_independent_set(both(pairs), nodes), pairs, nodes, most) == most


@named
def test_known_optima(graph):
    pairs, nodes, most = graph
    assert checked(optimal_independent_set(both(pairs), nodes), pairs, nodes, most) == most


@pytest.mark.parametrize("degree", [3, 4, 7])
def test_the_optimum_of_regular_graphs(degree):
    edges = random_regular(16, degree, seed=degree)
    bits = np.arange(2 ** 16)[:, None] >> np.arange(16) & 1
    i, j = np.array(pairs_of(edges)).T
    sizes = bits.sum(1)[(bits[:, i] & bits[:, j]).sum(1) == 0]
    assert optimal_independent_set(edges, 16).sum() == sizes.max()


@pytest.mark.parametrize("solver, least", [
    (annealed_independent_set, 20), (functools.partial(descent_independent_set, steps=400), 18),
    (functools.partial(gnn_independent_set, epochs=300), 17), (greedy_independent_set, 18),
], ids=["annealed", "descent", "network", "greedy"])
def test_the_karate_club_has_twenty_who_are_no_friends(solver, least):
    assert least <= checked(solver(karate_club().edge_index, 34, seed=0), *KARATE, 20)


@pytest.mark.parametrize("solver", [*QUICK.values(), lambda edges, nodes, seed: optimal_independent_set(edges, nodes)],
                         ids=[*QUICK, "optimal"])
def test_without_nodes_there_is_an_empty_set_or_an_error_that_says_so(solver):
    answers_for_no_nodes(solver)


@solvers
def test_the_seed_decides_and_nothing_else_is_touched(solver):
    is_decided_by_its_seed(solver, random_regular(30, 3, seed=0), 30)


@pytest.mark.parametrize("solver", [*QUICK.values(), lambda edges, nodes, seed: optimal_independent_set(edges, nodes)],
                         ids=[*QUICK, "optimal"])
def test_lists_arrays_and_tensors_are_the_same_graph(solver):
    takes_any_form_of_a_graph(solver, [*ring(5), (0, 1), (4, 4), (5, 1)], 7)


@solvers
def test_loops_change_nothing(solver):
    leaves_out_loops(solver)


# ---- fewest neighbours first

class Seen(Bins):
    """Bins that note which nodes are chosen."""

    chosen = []

    def ranked(self, rank, chance):
        node = super().ranked(rank, chance)
        self.chosen.append(node)
        return node


@settings(max_examples=60)
@given(graph=graphs(), seed=st.integers(0, 99))
@example(graph=KARATE, seed=0)
def test_greed_takes_a_node_with_the_fewest_neighbours_left(graph, seed):
    pairs, nodes = graph
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Seen, "chosen", [])
        patch.setattr(independent_sets, "Bins", Seen)
        inside = greedy_independent_set(both(pairs), nodes, seed)
        chosen = Seen.chosen[:int(inside.sum())]
    near = [{j for pair in pairs for i, j in (pair, pair[::-1]) if i == node != j} for node in range(nodes)]
    left = set(range(nodes))
    for node in chosen:
        assert node in left and len(near[node] & left) == min(len(near[other] & left) for other in left)
        left -= near[node] | {node}
    assert not left and sorted(chosen) == np.flatnonzero(inside).tolist()


def test_chance_decides_among_equals():
    square = both(ring(4))
    first = [tuple(greedy_independent_set(square, 4, seed)) for seed in range(1000)]
    counts = np.array([first.count((True, False) * 2), first.count((False, True) * 2)])
    assert counts.sum() == 1000 and ((counts - 500) ** 2 / 500).sum() < chi2.ppf(0.999, 1)
    stars = both([(0, 1), (2, 3), (4, 5)])
    found = np.array([greedy_independent_set(stars, 6, seed) for seed in range(1000)])
    assert abs(found.mean(0) - 0.5).max() < 0.06 and len({tuple(each) for each in found.tolist()}) == 8


def test_the_share_of_a_large_cubic_graph():
    edges = random_regular(4000, 3, seed=0)
    share = greedy_independent_set(edges, 4000, seed=0).mean()
    assert abs(share - (6 * math.log(1.5) - 2)) < 0.006


# ---- annealing

class Rows:
    """A matrix whose products with a set are noted."""

    def __init__(self, A, notes):
        self.A, self.notes = A, notes

    def __getitem__(self, rows):
        return Rows(self.A[rows], self.notes)

    def __matmul__(self, inside):
        self.notes.append(inside.astype(bool).tolist())
        return self.A @ inside

    def __getattr__(self, name):
        return getattr(self.A, name)


@pytest.fixture
def sets_seen(monkeypatch):
    """The sets before each class of nodes is asked by annealed_independent_set."""
    notes = []
    monkeypatch.setattr(independent_sets, "adjacency", lambda *graph: Rows(adjacency(*graph), notes))
    monkeypatch.setattr(independent_sets, "colour_classes", lambda rows: colour_classes(rows.A))
    return notes


def test_at_one_mu_sets_are_as_frequent_as_their_size_says(sets_seen, monkeypatch):
    pairs = [(0, 1), (1, 2), (2, 0), (2, 3)]
    monkeypatch.setattr(np, "linspace", lambda first, last, many: np.full(many, last))
    annealed_independent_set(both(pairs), 4, seed=0, sweeps=10_000, last=0.7)
    assert all(independent(pairs, inside) for inside in sets_seen)
    sets = [list(inside) for inside in subsets(4) if independent(pairs, inside)]
    weights = np.exp([0.7 * sum(inside) for inside in sets])
    counts = np.array([sets_seen[::3].count(inside) for inside in sets])       # three colours
    np.testing.assert_allclose(counts / 10_000, weights / weights.sum(), atol=0.02)


def test_mu_rises_from_zero_in_equal_steps(sets_seen):
    annealed_independent_set(both([]), 1, seed=0, sweeps=20_001, last=4.0)
    likely = 1 / (1 + np.exp(-np.linspace(0.0, 4.0, 20_001)))
    found = np.array(sets_seen)[1:, 0].reshape(10, -1).mean(1)
    np.testing.assert_allclose(found, likely[:-1].reshape(10, -1).mean(1), atol=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_annealing_returns_the_largest_that_was_met(sets_seen, monkeypatch, seed):
    best, classes = [], len(colour_classes(adjacency(both(KARATE[0]), 34)))
    monkeypatch.setattr(independent_sets, "independent_set", lambda edges, score: best.append(score > 0))
    annealed_independent_set(both(KARATE[0]), 34, seed, sweeps=9, last=0.5)
    after = sets_seen[::classes][1:]                                           # each sweep but the last
    assert len(after) == 8 and all(independent(KARATE[0], each) for each in [*sets_seen, *best])
    assert best[0].sum() >= max(map(sum, after)) and (best[0].sum() > max(map(sum, after)) or best[0].tolist() in after)


def test_after_annealing_what_can_be_added_is():
    assert all(annealed_independent_set(both([]), 6, seed, sweeps=1).all() for seed in range(5))


def test_annealing_by_default():
    edges = karate_club().edge_index
    expected = annealed_independent_set(edges, 34, 3, sweeps=1000, last=8.0)
    assert annealed_independent_set(edges, 34, 3).tolist() == expected.tolist()


# ---- relaxed

@pytest.fixture
def descents(monkeypatch):
    """The arguments of best_signs."""
    seen = []
    monkeypatch.setattr(relaxed_sets, "best_signs",
                        lambda x, w, *others: (seen.append((x, w, *others)), best_signs(x, w, *others))[1])
    return seen


@settings(max_examples=60)
@given(graph=graphs(), data=st.data())
def test_of_two_that_are_joined_the_one_with_the_smaller_number_leaves(graph, data):
    pairs, nodes = graph
    logits = data.draw(st.lists(st.sampled_from([-1.0, -0.0, 0.0, 0.5, 0.75, 2.0]), min_size=nodes, max_size=nodes))
    kept = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relaxed_sets, "best_signs", lambda x, w, value, rule, steps, decode:
                      (kept.append(decode(torch.tensor(logits))), best_signs(x, w, value, rule, steps, decode))[1])
        descent_independent_set(both(pairs), nodes, seed=0, steps=1)
    near = [{j for pair in pairs for i, j in (pair, pair[::-1]) if i == node != j} for node in range(nodes)]
    expected = [logits[node] > 0 and all((-logits[node], node) < (-logits[other], other) for other in near[node])
                for node in range(nodes)]
    assert kept[0].tolist() == expected


@pytest.mark.parametrize("penalty", [1.5, 3.0])
def test_a_descent_by_hand(penalty):
    edges = random_regular(30, 3, seed=2)
    near = [edges[1][edges[0] == node].tolist() for node in range(30)]
    A, met = torch.from_numpy(adjacency(edges, 30).toarray()).double(), []
    x = torch.from_numpy(0.1 * np.random.default_rng(7).standard_normal(30))
    for _ in range(31):
        met.append([bool(x[node] > 0 and x[node] > x[near[node]].max()) for node in range(30)])
        p = torch.sigmoid(x)
        x = x + 4 / (penalty * 3) * (1 - penalty * A @ p) * p * (1 - p)
    best = met[int(np.argmax([sum(each) for each in met]))]
    found = descent_independent_set(edges, 30, seed=7, steps=30, scale=0.1, penalty=penalty)
    assert found.tolist() == independent_set(edges, np.array(best, float)).tolist()


def test_the_rule_can_be_chosen(descents):
    edges = karate_club().edge_index
    by_default = descent_independent_set(edges, 34, seed=0, steps=20)
    chosen = descent_independent_set(edges, 34, seed=0, steps=20, rule=gradient_descent(4 / (2 * 17)))
    other = descent_independent_set(edges, 34, seed=0, steps=20, rule=adam(0.5))
    assert by_default.tolist() == chosen.tolist() and other.shape == (34,)
    assert descents[0][3] != descents[2][3] and [each[4] for each in descents] == [20] * 3
    assert 0.5e-12 < descents[0][1].std() < 2e-12 and torch.equal(descents[0][1], descents[2][1])


def test_the_network_learns_as_one_of_pytorch_geometric(monkeypatch):
    pairs, nodes, seen = [*ring(5), (0, 1), (4, 4), (5, 1), (6, 5)], 8, []
    edges = torch.from_numpy(both(pairs))
    monkeypatch.setattr(relaxed_sets, "expected_size", lambda edges, p, penalty: (
        seen.append(p.detach().clone()), expected_size(edges, p, penalty))[1])
    gnn_independent_set(edges, nodes, seed=3, embedding=4, epochs=15, lr=0.05, penalty=3.0)
    _, w = node_network(edges, nodes, 4, 3, True)
    vectors = torch.nn.Parameter(w[:nodes * 4].view(nodes, 4).clone())
    layers = torch.nn.ModuleList([TheirConv(4, 2), TheirConv(2, 1)])
    torch.nn.utils.vector_to_parameters(w[nodes * 4:].clone(), layers.parameters())
    optimizer = torch.optim.Adam([vectors, *layers.parameters()], lr=0.05)
    A = torch.from_numpy(adjacency(edges, nodes).toarray()).float()
    assert len(seen) == 31
    for p in seen[1::2]:
        q = torch.sigmoid(layers[1](layers[0](vectors, edges).relu(), edges)[:, 0])
        torch.testing.assert_close(p, q.detach(), rtol=1e-3, atol=1e-4)
        optimizer.zero_grad()
        (1.5 * q @ A @ q - q.sum()).backward()
        optimizer.step()


# ---- what is wrong with an argument

SQUARE = both(ring(4))
EVERY = {**QUICK, "optimal": optimal_independent_set}


@pytest.mark.parametrize("solver", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("edge_index, nodes, error, message", [
    ([[0, 1, 1], [1, 0, 2]], 3, ValueError, "edge_index .*both directions.*1 → 2"),
    ([[0.0, 1.0], [1.0, 0.0]], 2, TypeError, "edge_index .*float"),
    ([[0, 5], [5, 0]], 3, ValueError, "edge_index .*0 to 2.* 5"),
    ([[0, -1], [-1, 0]], 3, ValueError, "edge_index .*-1"),
    (SQUARE, -4, ValueError, "nodes .*-4"),
    (SQUARE, 4.0, TypeError, "nodes .*4.0"),
])
def test_wrong_graphs(solver, edge_index, nodes, error, message):
    options = {"seed": 0} if solver in QUICK.values() else {}
    with pytest.raises(error, match=message):
        solver(edge_index, nodes, **options)


@solvers
@pytest.mark.parametrize("seed, error", [(-1, ValueError), (0.5, TypeError), (None, TypeError), (True, TypeError)])
def test_wrong_seeds(solver, seed, error):
    with pytest.raises(error, match=f"seed .*{seed}"):
        solver(SQUARE, 4, seed=seed)


@pytest.mark.parametrize("solver, name, value, error", [
    (annealed_independent_set, "sweeps", 0, ValueError), (annealed_independent_set, "sweeps", 1.5, TypeError),
    (annealed_independent_set, "last", 0, ValueError), (annealed_independent_set, "last", math.inf, ValueError),
    (descent_independent_set, "steps", 0, ValueError), (descent_independent_set, "scale", 0, ValueError),
    (descent_independent_set, "penalty", 0, ValueError), (descent_independent_set, "penalty", -2, ValueError),
    (descent_independent_set, "rule", 0.1, TypeError), (descent_independent_set, "penalty", "2", TypeError),
    (gnn_independent_set, "penalty", 0, ValueError), (gnn_independent_set, "epochs", 0, ValueError),
    (gnn_independent_set, "embedding", 0, ValueError), (gnn_independent_set, "lr", -1.0, ValueError),
])
def test_wrong_options(solver, name, value, error):
    with pytest.raises(error, match=f"{name} must .*{value}"):
        solver(SQUARE, 4, seed=0, **{name: value})


@pytest.mark.parametrize("seconds, error", [(0, ValueError), (-1, ValueError), ("1", TypeError)])
def test_wrong_seconds(seconds, error):
    for edges in (SQUARE, both([])):
        with pytest.raises(error, match=f"seconds must .*{seconds}"):
            optimal_independent_set(edges, 4, seconds=seconds)


def test_no_proof_in_time():
    with pytest.raises(TimeoutError, match="seconds .*0.001"):
        optimal_independent_set(random_regular(600, 4, seed=0), 600, seconds=0.001)


@pytest.mark.parametrize("call, value, error, message", [
    (is_independent, [0, 1, 0, 1], TypeError, "inside .*int"),
    (is_independent, [[True] * 4], ValueError, r"inside .*\[1, 4\]"),
    (is_independent, [True, False], ValueError, "edge_index .*0 to 1"),
    (independent_set, [1.0, math.nan, 0.0, 0.0], ValueError, "score .*nan"),
    (independent_set, np.ones((4, 1)), ValueError, r"score .*\[4, 1\]"),
    (independent_set, ["high"] * 4, TypeError, "score .*high"),
    (independent_set, [1.0, 0.0], ValueError, "edge_index .*0 to 1"),
])
def test_wrong_sets_and_scores(call, value, error, message):
    with pytest.raises(error, match=message):
        call(SQUARE, value)


def test_sets_want_both_directions_too():
    for call, value in ((is_independent, [True, False]), (independent_set, [1.0, 0.0])):
        with pytest.raises(ValueError, match="both directions.*0 → 1"):
            call([[0], [1]], value)
