"""Graph convolution against PyTorch Geometric, dense matrices, finite differences and hand-made graphs."""

import copy
import functools
import gc
import pickle
import weakref

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, vmap
from torch_geometric.nn import GCNConv as TheirConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm as their_norm

from course_lib.graphs import GCN, GCNConv, Propagation, dense_matrix, gather_scatter, gcn_norm
from course_lib.graphs.propagation import _dots

F64, TOLERANCE = torch.float64, {torch.float32: 1e-6, torch.float64: 1e-12}
EDGES = torch.tensor([[0, 1, 2, 2, 0, 0, 3, 3], [1, 0, 0, 2, 1, 3, 3, 3]])   # 4 lone; loops, one of them twice
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.25, 1.5, 0.0, 3.0, 0.5])
weight = st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.5, 3.0])
dtypes = st.sampled_from([torch.float32, F64])


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@st.composite
def graphs(draw, weighted=st.booleans(), rectangular=False):
    """Few nodes for many edges: so there are loops, pairs that stand twice, zeros, and nodes without edges."""
    sources = draw(st.integers(1, 6))
    targets = draw(st.integers(1, 6)) if rectangular else sources
    pairs = draw(st.lists(st.tuples(st.integers(0, sources - 1), st.integers(0, targets - 1)), max_size=12))
    edges = torch.tensor(pairs, dtype=draw(st.sampled_from([torch.int64, torch.int32]))).reshape(-1, 2).T
    weights = draw(st.lists(weight, min_size=len(pairs), max_size=len(pairs))) if draw(weighted) else None
    weights = None if weights is None else torch.tensor(weights, dtype=F64)
    return (edges, weights, targets, sources) if rectangular else (edges, weights, targets)


def close(found, expected, tolerance):
    assert found.shape == expected.shape and found.dtype == expected.dtype
    if expected.numel():
        assert (found - expected).abs().max() <= tolerance * max(1.0, expected.abs().max().item()), (found, expected)


def normal(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def repeated_loops(edges):
    """Of several loops at one node, those before the last."""
    loops = (edges[0] == edges[1]).tolist()
    return torch.tensor([loop and node in edges[0, i + 1:][edges[0, i + 1:] == edges[1, i + 1:]].tolist()
                         for i, (loop, node) in enumerate(zip(loops, edges[0].tolist()))], dtype=torch.bool)


# ---- against PyTorch Geometric

@given(graph=graphs(), loops=st.booleans(), dtype=dtypes)
@example(graph=(EDGES, WEIGHTS.double(), 5), loops=True, dtype=F64)
def test_weights_are_theirs(graph, loops, dtype):
    edges, weights, nodes = graph
    weights = None if weights is None else weights.to(dtype)
    theirs = their_norm(edges.long(), weights, nodes, add_self_loops=loops, dtype=dtype)
    ours = gcn_norm(edges, nodes, weights, add_self_loops=loops, dtype=dtype)
    assert ours[0].dtype == torch.int64 and torch.equal(ours[0], theirs[0])
    close(ours[1], theirs[1], TOLERANCE[dtype])


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@settings(max_examples=120)
@given(graph=graphs(), widths=st.sampled_from([(2, 4), (3, 3), (4, 2), (1, 1)]), batch=st.sampled_from([(), (2,), (2, 3)]),
       options=st.sampled_from([{}, {"normalize": False}, {"add_self_loops": False}, {"bias": False}]),
       dtype=dtypes, seed=st.integers(0, 99))
@example(graph=(EDGES, WEIGHTS.double(), 5), widths=(2, 4), batch=(2,), options={}, dtype=F64, seed=0)
def test_outputs_and_gradients_are_theirs(device, graph, widths, batch, options, dtype, seed):
    edges, weights, nodes = graph
    torch.manual_seed(seed)
    theirs = TheirConv(*widths, **options).to(dtype)
    torch.manual_seed(seed)
    ours = GCNConv(*widths, **options).to(dtype)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert all(torch.equal(ours.state_dict()[key], value) for key, value in theirs.state_dict().items())
    ours.to(device)
    found = []
    for conv, index, where in ((theirs, edges.long(), "cpu"), (ours, edges, device)):
        x = normal(*batch, nodes, widths[0], dtype=dtype, seed=seed).to(where).requires_grad_()
        w = None if weights is None else weights.to(where, dtype, copy=True).requires_grad_()
        out = conv(x, index.to(where), w)
        out.backward(normal(*out.shape, dtype=dtype, seed=seed + 1).to(where))
        found.append([each.cpu() for each in (out.detach(), x.grad, *(p.grad for p in conv.parameters()))]
                     + ([] if w is None else [w.grad.cpu()]))
    expected, seen = found
    if weights is not None:
        # Where a degree is 0 their gradient is NaN; loops that are overwritten get one that has no meaning.
        undefined = expected[-1].isnan()
        looped = options.get("normalize", True) and options.get("add_self_loops", True)
        repeated = repeated_loops(edges) & looped
        idle = undefined | repeated
        assert (seen[-1][idle] == 0).all() and seen[-1].isfinite().all() and (weights[undefined & ~repeated] == 0).all()
        expected[-1] = expected[-1].masked_fill(idle, 0.0)
    for a, b in zip(seen, expected, strict=True):
        close(a, b, TOLERANCE[dtype])


def test_states_load_in_either_direction():
    for a, b in [(GCNConv(3, 2), TheirConv(3, 2)), (TheirConv(3, 2), GCNConv(3, 2))]:
        torch.nn.init.normal_(a.bias)
        b.load_state_dict(a.state_dict())
        close(b(normal(5, 3), EDGES, WEIGHTS), a(normal(5, 3), EDGES, WEIGHTS), 1e-6)
    assert list(GCNConv(3, 2, bias=False).state_dict()) == ["lin.weight"] and (GCNConv(3, 2).bias == 0).all()


def test_a_loop_that_is_overwritten_has_no_gradient_here():
    grads = []
    for norm in (lambda w: gcn_norm(EDGES, 5, w), lambda w: their_norm(EDGES, w, 5)):
        w = WEIGHTS.double().requires_grad_()
        weights = norm(w)[1]
        (weights * torch.arange(1.0, len(weights) + 1)).sum().backward()
        grads.append(w.grad)
    assert grads[0][6] == 0 != grads[1][6] and torch.equal(grads[0] != grads[1], torch.arange(8) == 6)
    assert gradcheck(lambda w: gcn_norm(EDGES, 5, w)[1], WEIGHTS.double().requires_grad_())


def test_a_degree_of_zero_has_a_finite_gradient_here():
    edges, grads = torch.tensor([[0, 1], [0, 1]]), []
    for norm in (lambda w: gcn_norm(edges, 2, w), lambda w: their_norm(edges, w, 2)):
        w = torch.tensor([0.0, 2.0], requires_grad=True)
        norm(w)[1].sum().backward()
        grads.append(w.grad)
    assert grads[0].tolist() == [0, 0] and grads[1][0].isnan()
    w = torch.tensor([1.0, 2.0], dtype=F64, requires_grad=True)
    assert gradcheck(lambda w: gcn_norm(edges.flip(0)[:, [0, 1, 1]], 2, torch.cat([w, w[1:]]), add_self_loops=False)[1], w)


def test_negative_weights_that_leave_positive_degrees_are_taken():
    weights = torch.tensor([-0.5, -0.25, 0.5, 1.5, -0.25, 0.5, 3.0, 0.5])
    close(gcn_norm(EDGES, 5, weights)[1], their_norm(EDGES, weights, 5)[1], 1e-6)


@given(graph=graphs(), data=st.data(), depth=st.integers(1, 2))
def test_the_order_of_the_nodes_does_not_matter(graph, data, depth):
    edges, weights, nodes = graph
    order = torch.tensor(data.draw(st.permutations(range(nodes))))        # new -> old
    place = torch.argsort(order)                                          # old -> new
    torch.manual_seed(0)
    model, x = GCN([3, 4, 2][:depth + 1]).double(), normal(nodes, 3, dtype=F64)
    close(model(x[order], place[edges.long()], weights), model(x, edges, weights)[order], 1e-12)


# ---- one product, three ways

@given(graph=graphs(rectangular=True), width=st.integers(1, 3), seed=st.integers(0, 99))
def test_sparse_matrices_are_scipys(graph, width, seed):
    edges, weights, targets, sources = graph
    P = Propagation(edges, weights, targets, sources, dtype=F64)
    values = np.ones(edges.shape[1]) if weights is None else weights.numpy()
    expected = scipy.sparse.csr_matrix((values, edges.numpy()[::-1]), shape=(targets, sources))
    expected.sum_duplicates()
    for ours, theirs in zip(P.csr(), (expected.indptr, expected.indices, expected.data), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-15)
    x, y = normal(sources, width, dtype=F64, seed=seed), normal(2, targets, width, dtype=F64, seed=seed)
    dense = torch.from_numpy(expected.toarray())
    assert P.shape == (targets, sources) and torch.equal(P.dense(), dense) and torch.equal(P.T.dense(), dense.T)
    close(P @ x, dense @ x, 1e-13)
    close(P @ x[:, 0], dense @ x[:, 0], 1e-13)
    close(P.T @ y, dense.T @ y, 1e-13)
    assert P.T.T is P and P.T is P.T
    np.testing.assert_array_equal(P.T.csr()[0], expected.tocsc().indptr)


@given(graph=graphs(), width=st.integers(1, 3), shape=st.sampled_from([(), (2,), (2, 1, 3)]))
def test_the_three_forms_agree(graph, width, shape):
    edges, weights, nodes = graph
    edges, weights = gcn_norm(edges, nodes, weights, dtype=F64)
    x = normal(nodes, width, dtype=F64)
    expected = dense_matrix(edges, weights, nodes) @ x
    close(gather_scatter(x, edges, weights), expected, 1e-14)
    P = Propagation(edges, weights, nodes)
    close(P @ x, expected, 1e-14)
    close(P.dense(), dense_matrix(edges, weights, nodes), 1e-15)
    x = normal(*shape, nodes, width, dtype=F64)
    close(P @ x, P.dense() @ x, 1e-14)


@settings(max_examples=15)
@given(graph=graphs(weighted=st.just(True), rectangular=True), shape=st.sampled_from([(), (2,)]))
def test_first_and_second_derivatives(graph, shape):
    edges, weights, targets, sources = graph
    inputs = weights.requires_grad_(), normal(*shape, sources, 2, dtype=F64).requires_grad_()

    def product(w, x):
        return Propagation(edges, w, targets, sources) @ x

    assert gradcheck(product, inputs) and gradgradcheck(product, inputs)
    P = Propagation(edges, weights.detach(), targets, sources)
    assert gradcheck(P.__matmul__, inputs[1]) and gradgradcheck(P.__matmul__, inputs[1])


def test_gradients_of_gradients_and_twice_the_same_graph():
    w, x = WEIGHTS.double().requires_grad_(), normal(5, 3, dtype=F64).requires_grad_()
    found = []
    for product in (lambda w: Propagation(EDGES, w, 5) @ x, lambda w: dense_matrix(EDGES, w, 5) @ x):
        loss = product(w).pow(3).sum()
        first = torch.autograd.grad(loss, (w, x), create_graph=True)
        again = torch.autograd.grad(loss, (w, x), create_graph=True)
        assert all(torch.equal(a, b) for a, b in zip(first, again))
        second = torch.autograd.grad(sum(g.pow(2).sum() for g in first), (w, x), create_graph=True)
        found.append([*first, *second, *torch.autograd.grad(sum(g.sum() for g in second), (w, x))])
    for a, b in zip(*found, strict=True):
        close(a, b, 1e-11)


@pytest.mark.parametrize("shape", [(0, 5, 3), (5, 0), (2, 5, 0)], ids=str)
def test_nothing_to_multiply(shape):
    assert (Propagation(EDGES, WEIGHTS, 5) @ torch.zeros(shape)).shape == shape


@pytest.mark.parametrize("sources", [3, 0])
def test_no_edges_and_no_nodes(sources):
    P = Propagation(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0), 4, sources)
    assert (P @ torch.ones(2, sources, 3)).shape == (2, 4, 3) and not (P @ torch.ones(sources, 3)).any()
    assert (P.T @ torch.ones(4, 3)).shape == (sources, 3) and (P @ torch.ones(sources)).tolist() == [0] * 4
    edges, weights = gcn_norm(torch.zeros(2, 0, dtype=torch.int64), 0)
    assert edges.shape == (2, 0) and weights.shape == (0,)


def test_the_transpose_learns_as_well():
    w, y = WEIGHTS.double().requires_grad_(), normal(5, 2, dtype=F64)
    P = Propagation(EDGES, w, 5)
    with torch.no_grad():
        assert not P.T.values.requires_grad
    expected, = torch.autograd.grad((dense_matrix(EDGES, w, 5).T @ y).pow(2).sum(), w)
    for _ in range(2):
        close(torch.autograd.grad((P.T @ y).pow(2).sum(), w, retain_graph=True)[0], expected, 1e-12)


@pytest.mark.parametrize("numbers", [1, 7, 2**24])
def test_dots_in_pieces(numbers):
    P, g, x = Propagation(EDGES, WEIGHTS, 5), normal(5, 3), normal(5, 3, seed=1)
    close(_dots(g, x, P.layout, numbers), (g @ x.T)[P.layout.rows, P.layout.columns], 1e-6)


def with_weights(P, values, x):
    """The product with other values in the places of P."""
    other = copy.copy(P)
    other._set(values, P.layout)
    return other @ x


def by_hand(P, values, x):
    """The same by a dense matrix."""
    return torch.zeros(P.shape, dtype=values.dtype).index_put((P.layout.rows, P.layout.columns), values) @ x


def test_forward_derivatives():
    P, x = Propagation.normalized(EDGES, 5, WEIGHTS.double()), normal(5, 2, dtype=F64)
    dense, step = P.dense(), normal(5, 2, dtype=F64, seed=1)
    f, g = (lambda x: (P @ x).pow(3).sum()), (lambda x: (dense @ x).pow(3).sum())
    close(torch.func.jvp(f, (x,), (step,))[1], torch.func.jvp(g, (x,), (step,))[1], 1e-12)
    close(torch.func.hessian(f)(x), torch.func.hessian(g)(x), 1e-12)
    close(torch.func.jacrev(torch.func.jacrev(f))(x), torch.func.hessian(g)(x), 1e-12)
    at, along = (P.values, x), (normal(len(P.values), dtype=F64, seed=2), step)
    ours, theirs = (torch.func.jvp(lambda v, x: with_values(v, x).pow(2).sum(), at, along)[1]
                    for with_values in (functools.partial(with_weights, P), functools.partial(by_hand, P)))
    close(ours, theirs, 1e-12)


def test_function_transforms():
    P, xs = Propagation.normalized(EDGES, 5, WEIGHTS), normal(6, 5, 3)
    dense = P.dense()
    close(vmap(P.__matmul__)(xs), dense @ xs, 1e-6)
    close(vmap(P.__matmul__, in_dims=2, out_dims=1)(xs.movedim(0, 2)), (dense @ xs).movedim(0, 1), 1e-6)
    close(vmap(P.__matmul__)(xs[..., 0]), xs[..., 0] @ dense.T, 1e-6)
    close(vmap(vmap(P.__matmul__))(xs.reshape(2, 3, 5, 3)), (dense @ xs).reshape(2, 3, 5, 3), 1e-6)
    values = normal(6, len(P.values), seed=1)
    product, plain = functools.partial(with_weights, P), functools.partial(by_hand, P)
    for dims in ((0, 0), (0, None), (None, 0)):
        inputs = [each if dim == 0 else each[0] for each, dim in zip((values, xs), dims)]
        close(vmap(product, dims)(*inputs), vmap(plain, dims)(*inputs), 1e-6)
        for argnum in (0, 1):
            ours, theirs = (vmap(grad(lambda v, x: f(v, x).pow(3).sum(), argnum), dims)(*inputs) for f in (product, plain))
            close(ours, theirs, 1e-6)
    close(grad(lambda w: (Propagation(EDGES, w, 5) @ xs[0]).pow(3).sum())(WEIGHTS),
          grad(lambda w: (dense_matrix(EDGES, w, 5) @ xs[0]).pow(3).sum())(WEIGHTS), 1e-6)


def test_a_loss_for_every_member_of_an_ensemble():
    model, P, x = GCN([3, 5, 2]).double(), Propagation.normalized(EDGES, 5, dtype=F64), normal(5, 3, dtype=F64)
    weights = {key: torch.stack([p.detach() + normal(*p.shape, dtype=F64, seed=seed) for seed in range(4)])
               for key, p in model.named_parameters()}

    def loss(weights, graph):
        return functional_call(model, weights, (x, graph)).pow(2).mean()

    together = vmap(grad(loss), (0, None))(weights, P)
    for member in range(4):
        own = {key: value[member].clone().requires_grad_() for key, value in weights.items()}
        value = own["convs.0.lin.weight"], own["convs.0.bias"], own["convs.1.lin.weight"], own["convs.1.bias"]
        hidden = (P.dense() @ x @ value[0].T + value[1]).relu()
        expected = (P.dense() @ hidden @ value[2].T + value[3]).pow(2).mean()
        close(loss(own, P), expected, 1e-12)
        close(loss(own, EDGES), expected, 1e-12)
        expected.backward()
        for key in own:
            close(together[key][member], own[key].grad, 1e-12)


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 2e-2), (torch.float16, 3e-3)])
def test_coarse_numbers(dtype, tolerance):
    P, x = Propagation.normalized(EDGES, 5, WEIGHTS), normal(5, 4)
    close(P @ x.to(dtype), (P @ x).to(dtype), tolerance)
    for widths in ((4, 2), (4, 6)):
        model, expected = GCNConv(*widths), []
        coarse = copy.deepcopy(model).to(dtype)
        for conv, inputs in ((model, x), (coarse, x.to(dtype))):
            out = conv(inputs, EDGES, WEIGHTS)
            out.sum().backward()
            expected.append((out, conv.lin.weight.grad))
        for fine, rough in zip(*expected):
            close(rough, fine.to(dtype), tolerance)


@pytest.mark.parametrize("widths", [(4, 2), (4, 6)], ids=str)
def test_autocast(widths):
    model, x, w = GCNConv(*widths), normal(5, 4), WEIGHTS.clone().requires_grad_()
    expected = torch.autograd.grad(model(x, EDGES, w).sum(), (w, *model.parameters()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = torch.autograd.grad(model(x, EDGES, w).sum(), (w, *model.parameters()))
        assert GCN([4, 6, 2])(x, EDGES, w).isfinite().all()
    for a, b in zip(found, expected, strict=True):
        close(a, b, 2e-2)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning", "ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("change", [copy.deepcopy, functools.partial(torch.compile, backend="eager")], ids=["copy", "eager"])
def test_a_copy_and_a_compiled_model_give_the_same(change):
    model, x, P = GCN([4, 6, 2]), normal(5, 4), Propagation.normalized(EDGES, 5, WEIGHTS)
    expected = model(x, EDGES, WEIGHTS)
    expected.sum().backward()
    other = change(model)
    grads = [p.grad.clone() for p in model.parameters()]
    for graph in ((EDGES, WEIGHTS), (P,), (EDGES, WEIGHTS)):
        other.zero_grad()
        out = other(x, *graph)
        close(out, expected, 1e-6)
        out.sum().backward()
        for p, g in zip(other.parameters(), grads, strict=True):
            close(p.grad, g, 1e-6)
    torch._dynamo.reset()


# ---- what a layer keeps

@pytest.fixture
def prepared(monkeypatch):
    """Return the matrices in the order in which they are made."""
    made, init = [], Propagation.__init__

    def counted(self, *arguments, **options):
        init(self, *arguments, **options)
        made.append(self)

    monkeypatch.setattr(Propagation, "__init__", counted)
    return made


@pytest.mark.parametrize("options", [{}, {"normalize": False}], ids=str)
def test_the_same_tensors_are_prepared_once_and_changed_ones_anew(prepared, options):
    conv, edges, weights, x = GCNConv(3, 2, **options).requires_grad_(False), EDGES.clone(), WEIGHTS.clone(), normal(5, 3)
    steps = 0

    def check(times, x=x, weights=weights):
        nonlocal steps
        steps += times
        fresh = GCNConv(3, 2, **options).to(x.dtype)
        fresh.load_state_dict(conv.state_dict())
        for _ in range(3):
            found = conv(x, edges, weights)
            assert len(prepared) == steps
        assert torch.equal(found, fresh(x, edges, weights))
        prepared.pop()

    check(1)
    check(0)
    for write in (lambda: edges[0, 0].fill_(3), lambda: weights[0].fill_(2.5), lambda: weights.mul_(2)):
        write()
        check(1)
    check(1, normal(7, 3))
    check(1)
    check(1, weights=None)
    check(1)
    check(1, weights=weights.clone())
    edges = edges.clone()
    check(1)
    conv.double()
    check(1, x.double())
    check(0, x.double())
    check(0, normal(2, 5, 3).double())
    conv.bfloat16()
    check(1, x.bfloat16())


@pytest.mark.parametrize("before", ["nothing", "another", "no_grad", "constant"])
def test_weights_that_learn_are_prepared_at_each_call(before):
    conv, x, weights = GCNConv(3, 2), normal(5, 3), WEIGHTS.clone().requires_grad_(before != "constant")
    with torch.set_grad_enabled(before == "another"):
        if before != "nothing":
            conv(x, EDGES, weights)
    weights.requires_grad_()
    for _ in range(2):
        weights.grad = None
        conv(x, EDGES, weights).sum().backward()
        expected, = torch.autograd.grad(copy.deepcopy(conv)(x, EDGES.clone(), weights).sum(), weights)
        assert weights.grad is not None and torch.equal(weights.grad, expected) and conv._last is None


def test_tensors_of_inference_mode_are_never_kept():
    conv, x = GCNConv(3, 2), normal(5, 3)
    with torch.inference_mode():
        edges, weights = EDGES.clone(), WEIGHTS.clone()
        for write in (lambda: None, lambda: edges[0, 0].fill_(3), lambda: weights[0].fill_(2.5)):
            write()
            assert torch.equal(conv(x, edges, weights), copy.deepcopy(conv)(x, edges, weights))
            assert conv._last is None


def test_after_inference_one_can_train():
    conv, x = GCNConv(3, 2), normal(5, 3)
    with torch.inference_mode():
        expected = conv(x, EDGES, WEIGHTS)
    out = conv(x, EDGES, WEIGHTS)
    out.sum().backward()
    assert torch.equal(out, expected)


def test_a_matrix_and_its_transpose_go_together_when_the_first_goes():
    gc.collect()
    gc.disable()
    try:
        P, x = Propagation.normalized(EDGES, 5), normal(5, 2).requires_grad_()
        (P @ x).sum().backward()
        assert P.T.T is P and P.T is P.T
        gone = [weakref.ref(P), weakref.ref(P.T)]
        del P
        assert [each() for each in gone] == [None, None]
    finally:
        gc.enable()


def test_a_network_prepares_its_graph_once(prepared):
    net = GCN([3, 4, 4, 2])
    for _ in range(3):
        net(normal(5, 3), EDGES, WEIGHTS)
    assert len(prepared) == 1
    expected = net(normal(5, 3), Propagation.normalized(EDGES, 5, WEIGHTS))
    close(net(normal(5, 3), EDGES, WEIGHTS), expected, 1e-6)
    for copied in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert all(conv._last is None for conv in copied.convs)
        close(copied(normal(5, 3), EDGES, WEIGHTS), expected, 1e-6)
    again = copy.deepcopy(Propagation.normalized(EDGES, 5, WEIGHTS))
    again = pickle.loads(pickle.dumps(again))
    close(net(normal(5, 3), again), expected, 1e-6)
