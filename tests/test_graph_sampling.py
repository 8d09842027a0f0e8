"""Sampled blocks against the exact product; graphs to learn on; and what is wrong with an argument."""

from itertools import combinations, product

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

import course_lib.graphs.sampling as sampling
from course_lib import adam, compare
from course_lib.graphs import (
    GCN, GCNConv, NeighborSampler, Propagation, both_directions, dense_matrix, gcn_norm, karate_club, planted_partition,
    neighbor_graph, node_task,
)

F64 = torch.float64
EDGES, NODES = torch.tensor([[0, 1], [1, 2]]), 3


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def random_matrix(seed, nodes, entries, loops):
    """A matrix of which some weights are 0 and some rows are empty, as int64, float64."""
    rng = np.random.default_rng(seed)
    edges = torch.from_numpy(rng.integers(0, nodes, (2, entries)))
    edges = edges if loops else edges[:, edges[0] != edges[1]]
    weights = torch.from_numpy(rng.integers(0, 5, edges.shape[1]) / 2)
    return Propagation.normalized(edges, nodes, weights) if loops else Propagation(edges, weights, nodes)


matrices = st.builds(random_matrix, st.integers(0, 9999), st.integers(1, 8), st.integers(0, 40), st.booleans())
fans = st.none() | st.integers(1, 9)


def spread(block, nodes, columns):
    """The block as a dense matrix of all columns."""
    return block.dense() @ torch.eye(columns, dtype=block.values.dtype)[nodes]


# ---- sampled blocks

@given(P=matrices, data=st.data(), layers=st.integers(1, 2), fanout=st.sampled_from([None, 8, 100]))
def test_with_all_neighbours_the_blocks_are_exact(P, data, layers, fanout):
    targets = data.draw(st.lists(st.integers(0, P.shape[0] - 1), min_size=1, unique=True))
    torch.manual_seed(0)
    model, x = GCN([3, 4, 2][:layers + 1]).double(), torch.randn(P.shape[1], 3, dtype=F64)
    nodes, blocks = NeighborSampler(*P.csr()).sample(targets, [fanout] * layers, np.random.default_rng(0))
    torch.testing.assert_close(model(x[nodes], blocks), model(x, P)[targets], rtol=1e-12, atol=1e-12)
    if layers == 1:
        assert torch.equal(spread(blocks[0], nodes, P.shape[1]), P.dense()[targets])
        heard = P.layout.columns[np.isin(P.layout.rows, targets)]
        assert nodes.tolist() == targets + np.setdiff1d(heard, targets).tolist()


@settings(max_examples=200)
@given(P=matrices, data=st.data(), fanouts=st.lists(fans, min_size=1, max_size=3), seed=st.integers(0, 99))
def test_what_a_block_holds(P, data, fanouts, seed):
    starts, columns, values = P.csr()
    targets = data.draw(st.lists(st.integers(0, P.shape[0] - 1), min_size=1, unique=True))
    nodes, blocks = NeighborSampler(starts, columns, values).sample(targets, fanouts, np.random.default_rng(seed))
    assert len(blocks) == len(fanouts) and nodes.dtype == np.int64 and len(nodes) == blocks[0].shape[1]
    assert blocks[-1].shape[0] == len(targets) and len(set(nodes.tolist())) == len(nodes)
    assert all(before.shape[0] == after.shape[1] for before, after in zip(blocks, blocks[1:]))
    rows = np.asarray(nodes)
    for block, fanout in zip(blocks, fanouts):
        heard, rows = rows, rows[:block.shape[0]]
        begins, places, weights = block.csr()
        for row, target in enumerate(rows):
            mine = slice(starts[target], starts[target + 1])
            full = dict(zip(columns[mine].tolist(), values[mine].tolist()))
            part = slice(begins[row], begins[row + 1])
            found = dict(zip(heard[places[part]].tolist(), weights[part].tolist()))
            d = len(full) - (target in full)
            k = d if fanout is None else min(d, fanout)
            assert (target in found) == (target in full) and len(found) - (target in full) == k
            expected = {node: full[node] * (1 if node == target else d / k) for node in found}
            assert found == pytest.approx(expected, rel=1e-14)
    assert rows.tolist() == targets


@given(P=matrices, fanouts=st.lists(fans, min_size=1, max_size=3), seed=st.integers(0, 99))
def test_the_generator_determines_the_draw(P, fanouts, seed):
    sampler, targets = NeighborSampler(*P.csr()), np.arange(P.shape[0])[::-1]
    (nodes, blocks), (again, others) = (sampler.sample(targets, fanouts, np.random.default_rng(seed)) for _ in range(2))
    assert (nodes == again).all()
    assert all((a == b).all() for one, two in zip(blocks, others) for a, b in zip(one.csr(), two.csr()))
    rng = np.random.default_rng(seed)
    if fanouts == [1] and (np.diff(sampler.starts) > 6).any():
        assert len({sampler.sample(targets, fanouts, rng)[1][0].dense().numpy().tobytes() for _ in range(40)}) > 1


@pytest.mark.parametrize("loops", [False, True])
@pytest.mark.parametrize("fanout", [1, 2, 3, 6])
def test_the_mean_over_all_draws_is_the_exact_row(fanout, loops, monkeypatch):
    P = random_matrix(5, 8, 40, loops)
    for target in range(8):
        d = len(set(P.layout.columns[P.layout.rows == target].tolist()) - {target})
        subsets = [[*subset] + [-1] * (fanout - min(d, fanout)) for subset in combinations(range(d), min(d, fanout))]
        mean = 0
        for subset in subsets:
            monkeypatch.setattr(sampling, "_without_replacement", lambda sizes, many, rng: np.array([subset]))
            nodes, blocks = NeighborSampler(*P.csr()).sample([target], [fanout], np.random.default_rng(0))
            mean += spread(blocks[0], nodes, 8) / len(subsets)
        torch.testing.assert_close(mean, P.dense()[[target]], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("fanouts", [[1], [3], [2, 2], [3, 1]], ids=str)
def test_the_mean_over_many_draws_is_the_exact_product(fanouts):
    P, targets, rng = random_matrix(5, 8, 80, True), [6, 1, 4], np.random.default_rng(0)
    sampler, draws = NeighborSampler(*P.csr()), []
    for _ in range(1500):
        nodes, blocks = sampler.sample(targets, fanouts, rng)
        matrix = torch.eye(len(nodes), dtype=F64)
        for block in blocks:
            matrix = block @ matrix
        draws.append(matrix @ torch.eye(8, dtype=F64)[nodes])
    draws, exact = torch.stack(draws), torch.linalg.matrix_power(P.dense(), len(fanouts))[targets]
    error = draws.std(0) / len(draws) ** 0.5
    assert (draws.std(0) > 0.01).sum() > 5 and ((draws.mean(0) - exact).abs() <= 4 * error + 1e-12).all()


@pytest.mark.parametrize("size, many", [(5, 1), (5, 2), (6, 3), (6, 5), (4, 4), (3, 5)])
def test_every_subset_is_as_likely(size, many):
    runs, k = 6000, min(size, many)
    sizes = np.repeat([size, 0, 9], [runs, 5, 5])
    drawn = sampling._without_replacement(sizes, many, np.random.default_rng(1))
    assert drawn.shape == (len(sizes), many) and (drawn[:runs, k:] == -1).all() and (drawn[runs:runs + 5] == -1).all()
    subsets = np.sort(drawn[:runs, :k])
    assert (np.diff(subsets) > 0).all() and subsets.min() >= 0 and subsets.max() < size
    counts = np.unique(subsets, axis=0, return_counts=True)[1]
    expected = len(list(combinations(range(size), k)))
    assert len(counts) == expected and ((counts - runs / expected) ** 2).sum() * expected / runs <= chi2.ppf(0.999, expected)


@pytest.mark.parametrize("index, value", [*product(["int32", "int64", "uint32"], ["float32", "float64"])])
def test_files_are_read_where_they_lie(tmp_path, index, value):
    arrays = [a.astype(kind) for a, kind in zip(random_matrix(5, 8, 40, True).csr(), (index, index, value))]
    for name, array in zip("abc", arrays):
        np.save(tmp_path / f"{name}.npy", array)
    mapped = NeighborSampler(*(np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "abc"))
    assert all(isinstance(array, np.memmap) for array in (mapped.starts, mapped.columns, mapped.values))
    for fanout in (None, 2):
        both = mapped, NeighborSampler(*arrays)
        (a, (one,)), (b, (two,)) = (each.sample([5, 2], [fanout], np.random.default_rng(3)) for each in both)
        assert (a == b).all() and torch.equal(one.dense(), two.dense()) and one.values.dtype == getattr(torch, value)


def test_a_network_learns_from_blocks():
    P, x = random_matrix(5, 8, 40, True), torch.randn(8, 3, dtype=F64)
    model, sampler = GCN([3, 4, 2]).double(), NeighborSampler(*P.csr())
    nodes, blocks = sampler.sample([1, 6], [2, 2], np.random.default_rng(0))
    first, second = (block.dense() for block in blocks)
    W, b, V, c = (p for conv in model.convs for p in (conv.lin.weight, conv.bias))
    expected = second @ (first @ x[nodes] @ W.T + b).relu() @ V.T + c
    found = model(x[nodes], blocks)
    torch.testing.assert_close(found, expected)
    for a, b in zip(*(torch.autograd.grad(out.pow(2).sum(), [*model.parameters()]) for out in (found, expected))):
        torch.testing.assert_close(a, b)


# ---- graphs to learn on

def test_the_karate_club():
    club, theirs = karate_club(), networkx.karate_club_graph()
    pairs = {tuple(pair) for pair in club.edge_index.T.tolist()}
    assert club.nodes == 34 and club.edge_index.shape == (2, 156) and len(pairs) == 156
    assert pairs == set(theirs.edges) | {(b, a) for a, b in theirs.edges}
    assert [["Mr. Hi", "Officer"][label] for label in club.labels.tolist()] == [theirs.nodes[i]["club"] for i in range(34)]
    assert club.labels[0] == 0 and club.labels[33] == 1


@given(quarter=st.integers(1, 5), degree=st.integers(1, 6), same=st.integers(0, 6), seed=st.integers(0, 99))
def test_planted_partitions_are_exact_at_every_node(quarter, degree, same, seed):
    same, nodes = min(same, degree), 4 * quarter
    graph = planted_partition(nodes, degree, same, seed)
    source, target = graph.edge_index
    assert graph.nodes == nodes and graph.labels.tolist() == [0] * (nodes // 2) + [1] * (nodes // 2)
    assert all(torch.bincount(ends, minlength=nodes).tolist() == [degree] * nodes for ends in graph.edge_index)
    equal = (graph.labels[source] == graph.labels[target]).double()
    assert torch.bincount(target, equal, minlength=nodes).tolist() == [same] * nodes and (source != target).all()
    dense = dense_matrix(graph.edge_index, None, nodes)
    assert torch.equal(dense, dense.T)
    assert torch.equal(graph.edge_index, planted_partition(nodes, degree, same, seed).edge_index)


def test_planted_partitions_of_other_seeds_differ():
    assert len({tuple(planted_partition(40, 3, 2, seed).edge_index.flatten().tolist()) for seed in range(20)}) == 20


@given(samples=st.integers(2, 12), features=st.integers(1, 3), k=st.integers(1, 11), seed=st.integers(0, 999))
def test_neighbour_graphs_by_brute_force(samples, features, k, seed):
    x, k = np.random.default_rng(seed).standard_normal((samples, features)), min(k, samples - 1)
    near = [sorted(set(range(samples)) - {i}, key=lambda j: np.linalg.norm(x[i] - x[j]))[:k] for i in range(samples)]
    pairs = sorted({pair for i, js in enumerate(near) for j in js for pair in ((i, j), (j, i))})
    edges = neighbor_graph(x, k)
    assert edges.dtype == torch.int64 and [tuple(pair) for pair in edges.T.tolist()] == pairs


def test_neighbours_at_the_same_place():
    source, target = neighbor_graph(np.zeros((6, 2)), 2)
    assert (source != target).all() and (torch.bincount(target) >= 2).all()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=9))
def test_both_directions(pairs):
    edges = both_directions(np.array(pairs, dtype=np.int32).reshape(-1, 2))
    assert edges.T.tolist() == [[a, b] for a, b in pairs] + [[b, a] for a, b in pairs if a != b]


# ---- nodes with labels as a task

def small_task(make=lambda: GCN([4, 3, 2]), per_class=3, validation=6, **other):
    graph = planted_partition(24, 3, 2, 0)
    x = torch.randn(24, 4, generator=torch.Generator().manual_seed(0)) + graph.labels[:, None]
    given = {"graph": Propagation.normalized(graph.edge_index, 24), "features": x, "labels": graph.labels, **other}
    return node_task(make, per_class=per_class, validation=validation, **given)


def test_splits_of_a_node_task():
    task, seen = small_task(), set()
    labels = planted_partition(24, 3, 2, 0).labels
    for seed in range(5):
        before = torch.random.get_rng_state()
        draw = task.draw(seed)
        assert torch.equal(torch.random.get_rng_state(), before)
        parts = [nodes for nodes, _ in draw[1:]]
        assert [len(part) for part in parts] == [6, 6, 12] and sorted(torch.cat(parts).tolist()) == list(range(24))
        assert torch.bincount(labels[parts[0]]).tolist() == [3, 3]
        assert all(torch.equal(y, labels[nodes]) for nodes, y in draw[1:])
        torch.manual_seed(seed)
        assert torch.equal(draw.w0, torch.cat([p.detach().flatten() for p in GCN([4, 3, 2]).parameters()]))
        assert torch.equal(draw.w0, task.draw(seed).w0) and torch.equal(parts[0], task.draw(seed).train[0])
        seen.add((tuple(parts[0].tolist()), tuple(draw.w0.tolist())))
    assert len(seen) == 5


def test_a_node_task_is_cross_entropy_and_is_learnt():
    task, runs = small_task(), []
    draw, model = task.draw(1), GCN([4, 3, 2])
    torch.nn.utils.vector_to_parameters(draw.w0, model.parameters())
    graph = planted_partition(24, 3, 2, 0)
    x = torch.randn(24, 4, generator=torch.Generator().manual_seed(0)) + graph.labels[:, None]
    z, y = model(x, graph.edge_index)[draw.test[0]], draw.test[1]
    torch.testing.assert_close(task.loss(draw.w0, *draw.test), torch.nn.functional.cross_entropy(z, y))
    assert task.metric(draw.w0, *draw.test).item() == pytest.approx((z.argmax(1) != y).double().mean().item())
    for batched in (True, False):
        runs.append(compare({"adam": adam}, task, [0.01, 0.1], 2, 15, every=5, batched=batched)["adam"])
    for name in ("loss", "test", "validation", "checks"):
        np.testing.assert_allclose(getattr(runs[0], name), getattr(runs[1], name), rtol=1e-4)
    assert (runs[0].loss[1, :, -1] < runs[0].loss[1, :, 0]).all()


# ---- what is wrong

def norm(weights=None, edges=EDGES, nodes=NODES, **options):
    return gcn_norm(edges, nodes, weights, **options)


def multiplied(x, **options):
    return Propagation(EDGES, None, NODES, **options) @ x


def called(x, *graph, conv=GCNConv):
    return conv(2, 2)(x, *(graph or (EDGES,)))


def sampled(targets=(0,), fanouts=(1,), rng=np.random.default_rng(0), csr=Propagation(EDGES, None, NODES).csr()):
    return NeighborSampler(*csr).sample(targets, fanouts, rng)


ONE, FLOATS, X = np.array([0, 1]), np.ones(1), torch.ones(NODES, 2)
GRAPH = Propagation(EDGES, None, NODES)


@pytest.mark.parametrize("make", [
    lambda edges: gcn_norm(edges, NODES), lambda edges: dense_matrix(edges, None, NODES),
    lambda edges: Propagation(edges, None, NODES), lambda edges: GCNConv(2, 2)(X, edges),
    lambda edges: GCNConv(2, 2, normalize=False)(X, edges),
], ids=["gcn_norm", "dense_matrix", "Propagation", "GCNConv", "without normalize"])
@pytest.mark.parametrize("edges, error, words", [
    ([[0, 3], [1, 1]], ValueError, r"edge_index must name nodes that exist \(0 to 2\), got the source 3"),
    ([[0, 1], [1, -1]], ValueError, "edge_index .* got the target -1"),
    ([[0.0], [1.0]], TypeError, "edge_index must hold integers"),
    ([[True], [False]], TypeError, "edge_index must hold integers"), ([[1j], [0j]], TypeError, "edge_index must hold integers"),
    ([0, 1], ValueError, r"edge_index must have shape \[2, edges\]"), ([[0, 1]], ValueError, "edge_index must have shape"),
    ([[0, 1, 2]] * 3, ValueError, "edge_index must have shape"), ("ab", TypeError, "edge_index must be a tensor"),
    ([[0, 1], [1]], TypeError, "edge_index must be a tensor"), (None, TypeError, "edge_index must be a tensor"),
], ids=str)
def test_wrong_edges_are_named(make, edges, error, words):
    with pytest.raises(error, match=words):
        make(edges)
    if isinstance(edges, list) and len({len(np.atleast_1d(row)) for row in edges}) == 1:
        with pytest.raises(error, match=words):
            make(torch.tensor(edges))


@pytest.mark.parametrize("make, error, words", [
    (lambda: norm(edges=[[0], [0]], nodes=0), ValueError, r"edge_index .*\(none, as there are no nodes\), got the source 0"),
    (lambda: Propagation([[2], [0]], None, 1, 2), ValueError, r"edge_index .*\(0 to 1\), got the source 2"),
    (lambda: Propagation([[0], [2]], None, 1, 3), ValueError, r"edge_index .*\(0 to 0\), got the target 2"),
    (lambda: norm(nodes=3.0), TypeError, "nodes must be a whole number"),
    (lambda: norm(nodes=-1), ValueError, "nodes must be at least 0"),
    (lambda: Propagation(EDGES, None, 3, -1), ValueError, "sources must be at least 0"),
    (lambda: norm([1.0]), ValueError, r"edge_weight must have shape \[2\]"),
    (lambda: norm([[1.0, 1.0]]), ValueError, "edge_weight must have shape"),
    (lambda: norm([1.0, np.nan]), ValueError, "edge_weight must be finite, got nan for edge 1"),
    (lambda: norm([-np.inf, 1.0]), ValueError, "edge_weight must be finite, got -inf for edge 0"),
    (lambda: norm([1j, 1.0]), TypeError, "edge_weight must hold real numbers"),
    (lambda: norm([True, False]), TypeError, "edge_weight must hold real numbers"),
    (lambda: norm("ab"), TypeError, "edge_weight must be a tensor"),
    (lambda: norm([-1.0, 1.0]), ValueError, "edge_weight must leave every node a degree > 0, got 0 at node 1"),
    (lambda: norm([1.0, -3.0]), ValueError, "edge_weight .* got -2 at node 2"),
    (lambda: norm([1.0, -0.5], add_self_loops=False), ValueError, "edge_weight .* got -0.5 at node 2"),
    (lambda: called(X, EDGES, torch.tensor([-1.0, 1.0])), ValueError, "edge_weight .* node 1"),
    (lambda: multiplied(X.double()), TypeError, "x must be no finer than the matrix, whose dtype is torch.float32"),
    (lambda: multiplied(X.long()), TypeError, "x must be a tensor of floats"),
    (lambda: multiplied(X + 1j), TypeError, "x must be a tensor of floats"),
    (lambda: multiplied([[1.0]] * 3), TypeError, "x must be a tensor of floats"),
    (lambda: multiplied(X.half(), dtype=torch.bfloat16), TypeError, "x must be no finer"),
    (lambda: multiplied(X[:2]), ValueError, r"x must have shape \[3, width\], got \[2, 2\]"),
    (lambda: multiplied(torch.tensor(1.0)), ValueError, "x must have shape"),
    (lambda: multiplied(torch.ones(2)), ValueError, "x must have shape"),
    (lambda: called(X[:, :1]), ValueError, r"x must have shape \[nodes, 2\], got \[3, 1\]"),
    (lambda: called(X[0]), ValueError, "x must have shape"),
    (lambda: called([[1.0, 1.0]] * 3), ValueError, "x must have shape"),
    (lambda: called(X[:2], GRAPH), ValueError, r"x must have shape \[3, width\]"),
    (lambda: called(X, GRAPH, torch.ones(2)), TypeError, "edge_weight must be None where edge_index is a Propagation"),
    (lambda: GCNConv(2, 2, normalize=False, add_self_loops=True), ValueError, "add_self_loops must be False"),
    (lambda: GCNConv(0, 2), ValueError, "in_features must be at least 1"),
    (lambda: GCNConv(2, 2.5), TypeError, "out_features must be a whole number"),
    (lambda: GCN([3]), ValueError, "widths must name at least"), (lambda: GCN([]), ValueError, "widths must name at least"),
    (lambda: GCN([3, 0]), ValueError, "widths must be at least 1"),
    (lambda: GCN([3, "a"]), TypeError, "widths must be a whole"),
    (lambda: GCN([2, 2])(X, [GRAPH] * 2), ValueError, "must hold a Propagation for each of 1 layers, got"),
    (lambda: GCN([2, 2, 2])(X, [GRAPH]), ValueError, "edge_index must hold"),
    (lambda: both_directions([[0.5, 1.0]]), TypeError, "pairs must hold integers"),
    (lambda: both_directions([[True, False]]), TypeError, "pairs must hold integers"),
    (lambda: both_directions([0, 1]), ValueError, "pairs must have shape"),
    (lambda: both_directions([[0, 1, 2]]), ValueError, "pairs must have shape"),
    (lambda: both_directions("ab"), TypeError, "pairs must be an array"),
    (lambda: planted_partition(6, 2, 1, 0), ValueError, "nodes must be divisible by 4"),
    (lambda: planted_partition(0, 2, 1, 0), ValueError, "nodes must be at least 4"),
    (lambda: planted_partition(8, 0, 0, 0), ValueError, "degree must be at least 1"),
    (lambda: planted_partition(8, 2, 3, 0), ValueError, "same must be finite and <= 2"),
    (lambda: planted_partition(8, 2, -1, 0), ValueError, "same must be at least 0"),
    (lambda: planted_partition(8, 2, 1, -1), ValueError, "seed must be at least 0"),
    (lambda: neighbor_graph([1.0, 2.0], 1), ValueError, "x must have shape"),
    (lambda: neighbor_graph([[1.0], [np.nan]], 1), ValueError, "x must be finite"),
    (lambda: neighbor_graph([[1.0], [2.0]], 2), ValueError, "k must be finite and <= 1"),
    (lambda: neighbor_graph([[1.0], [2.0]], 0), ValueError, "k must be at least 1"),
    (lambda: small_task(per_class=0), ValueError, "per_class must be at least 1"),
    (lambda: small_task(validation=1.5), TypeError, "validation must be a whole number"),
    (lambda: small_task(per_class=13), ValueError, r"labels must leave 13 a class, 6 and a test, got \[12, 12\]"),
    (lambda: small_task(validation=18), ValueError, "labels must leave"),
    (lambda: small_task(labels=torch.zeros(23, dtype=torch.int64)), ValueError, r"labels must have shape \[24\]"),
    (lambda: small_task(make=lambda: torch.nn.BatchNorm1d(3)), TypeError, "make must return a torch.nn.Module without buffers"),
    (lambda: small_task(make=lambda: None), TypeError, "make must return"),
    (lambda: NeighborSampler([0, 1], ONE[:1], FLOATS), TypeError, "starts must be a vector of integers"),
    (lambda: NeighborSampler(ONE, FLOATS, FLOATS), TypeError, "columns must be a vector of integers"),
    (lambda: NeighborSampler(ONE, ONE[:1], ONE[:1]), TypeError, "values must be a vector of floats"),
    (lambda: NeighborSampler(ONE, ONE[:1], FLOATS[None]), TypeError, "values must be a vector of floats"),
    (lambda: NeighborSampler(ONE, ONE, np.ones(2)), ValueError, "starts must rise from 0 to 2"),
    (lambda: NeighborSampler(ONE[:0], ONE[:0], FLOATS[:0]), ValueError, "starts must rise"),
    (lambda: NeighborSampler(ONE[1:], ONE[:1], FLOATS), ValueError, "starts must rise"),
    (lambda: NeighborSampler(np.array([0, 2, 1]), ONE[:1], FLOATS), ValueError, "starts must rise"),
    (lambda: NeighborSampler(np.array([0, 3, 3, 3]), np.array([2, 0, 1]), np.ones(3)), ValueError, "columns must ascend"),
    (lambda: NeighborSampler(np.array([0, 2, 2, 2]), np.array([1, 1]), np.ones(2)), ValueError, "columns must ascend"),
    (lambda: NeighborSampler(np.array([0, 1]), np.array([1]), np.ones(1)), ValueError, "columns must be nodes from 0 to 0"),
    (lambda: NeighborSampler(np.array([0, 1]), np.array([-1]), np.ones(1)), ValueError, "columns must be nodes"),
    (lambda: Propagation([[0], [0]], None, 1, dtype=torch.int64), TypeError, "dtype must be one of floats"),
    (lambda: NeighborSampler(ONE, ONE[:1], np.ones(2)), ValueError, "values must hold 1 numbers"),
    (lambda: sampled(targets=[]), TypeError, "targets must be one or more"),
    (lambda: sampled(targets=[0.0]), TypeError, "targets must be one or more"),
    (lambda: sampled(targets=1), TypeError, "targets must be one or more"),
    (lambda: sampled(targets=[3]), ValueError, "targets must be different nodes from 0 to 2"),
    (lambda: sampled(targets=[-1]), ValueError, "targets must be"),
    (lambda: sampled(targets=[1, 1]), ValueError, "targets must be"),
    (lambda: sampled(fanouts=[]), ValueError, "fanouts must name at least one layer"),
    (lambda: sampled(fanouts=[0]), ValueError, "fanouts must be at least 1"),
    (lambda: sampled(fanouts=5), TypeError, "fanouts must be a list"),
    (lambda: sampled(fanouts=[1.5]), TypeError, "fanouts must be a whole number"),
    (lambda: sampled(rng=0), TypeError, "rng must be a numpy.random.Generator"),
    (lambda: sampled(rng=np.random), TypeError, "rng must be"),
])
def test_wrong_arguments_are_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_columns_are_looked_at_in_pieces():
    P = Propagation.normalized(planted_partition(40, 5, 2, seed=0).edge_index, 40)
    starts, columns, values = P.csr()
    sampler = NeighborSampler(starts, columns, values)
    for piece in (1, 2, 7, 1000):
        sampler._check_columns(piece)
        for at in range(len(columns) - 1):
            if at + 1 in starts:
                continue
            sampler.columns = columns.copy()
            sampler.columns[[at, at + 1]] = columns[[at + 1, at]]
            with pytest.raises(ValueError, match="ascend"):
                sampler._check_columns(piece)
        sampler.columns = columns


def test_arrays_of_a_matrix_in_half_precision():
    starts, columns, values = Propagation.normalized([[0, 1], [1, 0]], 2, dtype=torch.bfloat16).csr()
    assert values.dtype == np.float32 and values.tolist() == [0.5] * 4


@pytest.mark.parametrize("widths, dtype", [
    ((2, 3), torch.int64), ((2, 2), torch.int64), ((2, 2), F64), ((2, 3), F64),
])
def test_a_layer_names_an_x_of_another_dtype(widths, dtype):
    with pytest.raises(TypeError, match="x must"):
        GCNConv(*widths)(X.to(dtype), EDGES)
