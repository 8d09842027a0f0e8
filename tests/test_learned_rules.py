"""Rules made of rules, and their training: against formulas, closed forms, symmetries and finite differences."""

import copy
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rule_runs import array, label, numbers, random, steps

from course_lib import (
    Problems, Propagation, TorchOptimizer, adadelta, adagrad, adam, adamw, chain, clip_by_global_norm,
    decay_to_zero, describe, edge_features, edge_gate, gated_mixture, gradient_descent, graph_quadratics, laplacian,
    largest_curvatures, lion, learn_numbers, minimize, mixture, momentum, nadam, network_rule, network_start,
    neuron_means, penalised, rebuild, rmsprop, robust_penalised, run_rule, sign_descent, small_networks,
    task_graphs, tensor_means, weight_ema,
)
from course_lib.graphs import network_families
from course_lib.objectives import quadratic

F64 = torch.float64
LR = 0.125   # a power of two: a product with it is exact
RULES = {
    "gradient_descent": gradient_descent, "momentum": lambda lr: momentum(lr, dampening=0.25),
    "nesterov": lambda lr: momentum(lr, beta=0.8, nesterov=True), "adagrad": adagrad, "rmsprop": rmsprop,
    "rmsprop centred": lambda lr: rmsprop(lr, rho=0.9, momentum=0.5, centered=True), "adadelta": adadelta,
    "adam": adam, "amsgrad": lambda lr: adam(lr, amsgrad=True), "adamw": lambda lr: adamw(lr, weight_decay=0.25),
    "nadam": nadam, "sign_descent": sign_descent, "lion": lambda lr: lion(lr, weight_decay=0.25),
    "decay": decay_to_zero,
}
every_rule = pytest.mark.parametrize("make", RULES.values(), ids=RULES)
every_library = pytest.mark.parametrize("library", ["numpy", "torch", "tensorflow"])
BASE = [gradient_descent(1.0), momentum(1.0, 0.9, dampening=0.9), decay_to_zero()]


def tensor(values, **options):
    return torch.tensor(np.asarray(values), dtype=F64, **options)


def generator(seed=0):
    return np.random.default_rng(seed)


# ---- a mixture

@every_rule
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_mixture_of_one_rule_is_that_rule(library, make):
    w, gradients = array(library, random(4)), [array(library, g) for g in random((6, 4), 1)]
    for c, lr in ((LR, 1.0), (1.0, LR), (0.5, 0.25)):
        rule = mixture([make(9.0)], [[c]], lr=lr)
        np.testing.assert_array_equal(steps(rule, w, gradients), steps(make(LR), w, gradients))


@every_rule
def test_a_mixture_of_one_rule_is_that_rule_through_minimize(make):
    objective = quadratic([1.0, 2.0, 5.0], rotation_seed=0)
    found, expected = (minimize(objective, rule, np.ones(3), 20) for rule in (mixture([make(1.0)], [[LR]]), make(LR)))
    np.testing.assert_array_equal(found.w, expected.w)


@every_library
def test_a_mixture_is_the_sum_of_the_steps(library):
    w, gradients = array(library, random(4)), [array(library, g) for g in random((6, 4), 1)]
    parts, c = [adam(1.0), momentum(1.0), adam(1.0, beta1=0.5)], [0.5, 0.25, -0.75]
    expected = sum(a * steps(rule, w, gradients) for a, rule in zip(c, parts))
    np.testing.assert_allclose(steps(mixture(parts, [c]), w, gradients), expected, rtol=1e-12, atol=1e-15)


@every_library
def test_decay_pulls_to_zero_and_along_messages_to_the_neighbours(library):
    w, g = array(library, [[3.0], [1.0]]), array(library, [[7.0], [-7.0]])
    rule = decay_to_zero(lr=0.25)
    assert numbers(rule.update(g, rule.init(w), w)[0]).tolist() == [[-0.75], [-0.25]]
    half = mixture([decay_to_zero()], [[0.5], [-0.5]], lambda x: x[:1] + x[1:] - x)
    assert numbers(half.update(g, half.init(w), w)[0]).tolist() == [[-1.0], [1.0]]


@given(st.integers(0, 4), st.integers(1, 3), st.integers(0, 100))
def test_horners_messages_are_the_polynomial(K, J, seed):
    rng, parts = generator(seed), [gradient_descent(1.0), momentum(1.0), adam(1.0)][:J]
    c, P, w, calls = rng.standard_normal((1 + K, J)), rng.standard_normal((5, 5)) / 3, rng.standard_normal((5, 2)), []

    def message(x):
        calls.append(1)
        return P @ x

    rule = mixture(parts, c, message, lr=0.5)
    gradients = rng.standard_normal((3, 5, 2))
    units = np.stack([steps(part.replace(lr=1.0), w, gradients) for part in parts])
    powers = np.stack([np.linalg.matrix_power(P, k) for k in range(1 + K)])
    expected = 0.5 * np.einsum("kj,kab,jtbd->tad", c, powers, units)
    np.testing.assert_allclose(steps(rule, w, gradients), expected, rtol=1e-9, atol=1e-12)
    assert len(calls) == 3 * K


@every_library
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32", "float64"])
def test_dtypes_are_kept(library, dtype):
    """bfloat16's products with P are those of float32: messages are passed in the formulas' width."""
    w, widths = array(library, random((3, 2)), dtype), set()

    def message(x):
        widths.add(str(x.dtype))
        return (x + x) / 4

    rule = mixture([adam(1.0), gradient_descent(1.0)], [[0.5, 0.1], [0.2, 0.3]], message)
    state = rule.init(w)
    for seed in range(3):
        delta, state = rule.update(array(library, random((3, 2), seed), dtype), state, w)
        assert delta.dtype == w.dtype and tuple(delta.shape) == (3, 2)
    assert len(widths) == 1 and ("64" if dtype == "float64" else "32") in widths.pop()
    wide = steps(rule, random((3, 2)), [random((3, 2), seed) for seed in range(3)])[-1]
    tolerance = {"bfloat16": 4e-2, "float16": 4e-3, "float32": 1e-5, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(numbers(delta), wide, rtol=tolerance, atol=tolerance)


def test_float64_numbers_do_not_widen_the_weights():
    c, w = tensor([[0.5, 0.25, 0.0]], requires_grad=True), torch.ones(3)
    delta, _ = mixture(BASE, c).update(w, mixture(BASE, c).init(w), w)
    assert delta.dtype == torch.float32
    delta.sum().backward()
    assert c.grad.dtype == F64 and (c.grad != 0).all()


def test_a_propagation_is_a_message():
    P = Propagation.normalized([[0, 1, 1, 2], [1, 0, 2, 1]], nodes=3, dtype=F64)
    w, g = tensor(random((3, 1))), tensor(random((3, 1), 1))
    rule = mixture(BASE[:1], [[0.5], [0.25]], P.__matmul__)
    delta, _ = rule.update(g, rule.init(w), w)
    torch.testing.assert_close(delta, -(0.5 * g + 0.25 * (P @ g)), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("rule", [
    mixture([adam(1.0), momentum(1.0)], [[0.5, 0.25], [0.125, 0.5]], lambda x: x.flip(-1)),
    network_rule(tensor(random(2 + 4 * 8)), hidden=8),
    network_rule(tensor(random(3 + 8 * 8)), neuron_means([(1, 2)]), hidden=8),
], ids=["mixture", "alone", "neurons"])
def test_runs_side_by_side_are_those_one_after_the_other(rule):
    ws, gradients = tensor(random((3, 4))), tensor(random((5, 3, 4), 1))
    states, moved = torch.func.vmap(rule.init)(ws), []
    for g in gradients:
        deltas, states = torch.func.vmap(rule.update)(g, states, ws)
        moved.append(deltas)
    for i, w in enumerate(ws):
        np.testing.assert_allclose(torch.stack(moved)[:, i].detach(), steps(rule, w, gradients[:, i]), rtol=1e-9)


def test_a_grid_of_coefficients_runs_by_vmap():
    w, g = tensor(random(4)), tensor(random(4, 1))

    def step(c):
        rule = mixture(BASE[:2], c[None])
        return rule.update(g, rule.init(w), w)[0]

    c = tensor(random((5, 2), 2))
    torch.testing.assert_close(torch.func.vmap(step)(c), -(c[:, :1] + c[:, 1:] * 0.1) * g, rtol=1e-9, atol=1e-12)


def pure_rules():
    adjacency = torch.ones(4, 4, dtype=F64) - torch.eye(4, dtype=F64)
    yield mixture([adam(1.0), *BASE], [[0.5, 0.1, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]], lambda x: 0.5 * x)
    yield gated_mixture(BASE, random((2, 3)), edge_gate(tensor(random(13)), 2), adjacency)
    yield network_rule(tensor(random(3 + 8 * 2)), lambda x: (x, x.mean() + 0 * x, x.mean() + 0 * x), hidden=2)


@pytest.mark.parametrize("rule", [*pure_rules()], ids=lambda rule: rule.name)
def test_nothing_that_is_given_is_modified(rule):
    w, g = tensor(random((4, 2))), tensor(random((4, 2), 1))
    _, state = rule.update(g, rule.init(w), w)
    before, settings_ = copy.deepcopy(state), repr(rule.settings)
    first, _ = rule.update(g, state, w)
    again, after = rule.update(g, state, w)
    assert (w.numpy() == random((4, 2))).all() and (g.numpy() == random((4, 2), 1)).all()
    assert state.keys() == before.keys() == after.keys() and repr(rule.settings) == settings_
    assert all(torch.equal(state[key], before[key]) for key in state) and torch.equal(first, again)


def test_the_rate_is_a_number_a_schedule_or_one_for_each_row():
    w, g = tensor(random((3, 2))), tensor(random((3, 2), 1))
    rates = tensor([[0.5], [1.0], [0.25]])
    for lr, expected in ((0.5, -0.5 * g), (lambda t: 0.25 + t, -0.25 * g), (rates, -rates * g)):
        rule = mixture([gradient_descent(1.0)], [[1.0]], lr=lr)
        assert torch.equal(rule.update(g, rule.init(w), w)[0], expected)
    rule = mixture(BASE[:1], [[1.0]])
    assert torch.equal(rule.update(g, rule.init(w), w, lr=rates)[0], -rates * g)


def test_a_chain_goes_around_a_mixture_and_sees_the_whole_model():
    ws = [random(3), random((2, 2), 1)]
    rule, states = chain(clip_by_global_norm(1.0), mixture([gradient_descent(1.0), momentum(1.0)], [[0.5, 0.25]])), None
    length = np.sqrt(sum((w**2).sum() for w in ws))
    for step in range(3):
        deltas, states = rule.update_all(ws, states or [rule.init(w) for w in ws], ws)
        for delta, w in zip(deltas, ws):
            velocity = sum(0.9**i for i in range(step + 1))
            np.testing.assert_allclose(delta, -(0.5 + 0.25 * velocity) * w / length, rtol=1e-9)


def test_a_mixture_of_mixtures_and_of_many_rules_keeps_its_memories_apart():
    w, gradients = random(4), random((5, 4), 1)
    betas = np.linspace(0.05, 0.9, 12)
    c, parts = random(12, 2), [momentum(1.0, beta) for beta in betas]
    expected = sum(a * steps(rule, w, gradients) for a, rule in zip(c, parts))
    np.testing.assert_allclose(steps(mixture(parts, c[None]), w, gradients), expected, rtol=1e-9, atol=1e-12)
    nested = mixture([mixture(parts[:6], c[None, :6]), mixture(parts[6:], c[None, 6:])], [[1.0, 1.0]])
    np.testing.assert_allclose(steps(nested, w, gradients), expected, rtol=1e-9, atol=1e-12)


def test_it_is_described_and_made_again():
    w, gradients = tensor(random((2, 2))), tensor(random((3, 2, 2), 1))
    network = network_rule(tensor(random(3 + 8)), tensor_means, hidden=1, lr=0.5)
    for rule in (mixture([adam(0.5), decay_to_zero()], np.array([[0.5, 0.25]]), lr=0.5), network):
        expected = steps(rule, w, gradients)
        np.testing.assert_allclose(steps(rule.replace(lr=0.25), w, gradients), expected / 2, rtol=1e-12)
        described = json.loads(json.dumps(describe(rule)))
        if rule.name == "mixture":
            np.testing.assert_array_equal(steps(rebuild(**described), w, gradients), expected)
    with pytest.raises(ValueError, match="message cannot be saved"):
        describe(mixture([adam(0.5)], [[0.5], [0.5]], lambda x: x))


def test_torch_optimizer_steps_by_a_mixture():
    w = torch.nn.Parameter(tensor(random(4)))
    w.grad = tensor(random(4, 1))
    before = w.detach().clone()
    TorchOptimizer([w], mixture([gradient_descent(1.0)], [[0.5]])).step()
    torch.testing.assert_close(w.detach(), before - 0.5 * w.grad, rtol=1e-12, atol=0)


# ---- edges that can be closed

def clique(nodes, dtype=F64):
    return torch.ones(nodes, nodes, dtype=dtype) - torch.eye(nodes, dtype=dtype)


def gated(theta, hidden, adjacency, lr=1.0):
    return gated_mixture(BASE, theta[:6].view(2, 3), edge_gate(theta[6:], hidden), adjacency, lr)


def one_step(rule, w, g, updates=2):
    state = rule.init(w)
    for _ in range(updates):
        delta, state = rule.update(g, state, w)
    return delta


def test_closed_edges_carry_nothing_and_open_ones_are_a_mixture():
    w, g, c = tensor(random((5, 3))), tensor(random((5, 3), 1)), random((2, 3), 2)
    A = clique(5)
    alone = one_step(mixture(BASE, c[:1]), w, g)
    for shut in (gated_mixture(BASE, c, lambda x: x[..., 0] - 1e9, A), gated_mixture(BASE, c, None, 0 * A)):
        torch.testing.assert_close(one_step(shut, w, g), alone, rtol=1e-12, atol=1e-15)
    walk = A / A.sum(1, keepdim=True)
    linear = one_step(mixture(BASE, c, lambda x: walk @ x - x), w, g)
    for wide in (gated_mixture(BASE, c, None, A), gated_mixture(BASE, c, lambda x: x[..., 0] + 1e9, A)):
        torch.testing.assert_close(one_step(wide, w, g), linear, rtol=1e-12, atol=1e-15)
    half = one_step(gated_mixture(BASE, c, lambda x: 0 * x[..., 0], A), w, g)
    torch.testing.assert_close(half, (alone + linear) / 2, rtol=1e-12, atol=1e-15)


def test_a_gated_mixture_is_its_formula():
    """By loops, on a graph whose degrees differ, with edges that are open more in one direction."""
    A = clique(4)
    A[0, 1] = A[1, 0] = A[0, 2] = A[2, 0] = 0
    w, gradients, c = tensor(random((4, 3))), tensor(random((3, 4, 3), 1)), random((2, 3), 2)
    gate = edge_gate(tensor(random(1 + 6 * 2, 3)), 2)
    u = [steps(rule, w, gradients)[-1] for rule in BASE]
    open_, d = torch.sigmoid(gate(edge_features(tensor(u[0]), w))), A.sum(1)
    x0, x1 = (sum(number * unit for number, unit in zip(row, u)) for row in c)
    a = (A * open_ / d[:, None]).numpy()
    expected = [0.5 * (x0[t] + sum(a[t, s] * (x1[s] - x1[t]) for s in range(4))) for t in range(4)]
    np.testing.assert_allclose(steps(gated_mixture(BASE, c, gate, A, lr=0.5), w, gradients)[-1], expected, rtol=1e-9)
    assert (open_ - open_.T).abs().max() > 0.01


def test_a_task_without_neighbours_is_alone():
    A = clique(4)
    A[0], A[:, 0] = 0, 0
    w, g, theta = tensor(random((4, 3))), tensor(random((4, 3), 1)), tensor(random(6 + 5, 2))
    alone = one_step(mixture(BASE, theta[:3][None]), w, g)
    delta = one_step(gated(theta, 0, A), w, g)
    torch.testing.assert_close(delta[0], alone[0], rtol=1e-12, atol=1e-15)
    assert (delta[1:] - alone[1:]).abs().min() > 1e-6


@pytest.mark.parametrize("hidden", [0, 3])
def test_permuted_tasks_have_permuted_steps(hidden):
    rng = generator(3)
    A = np.triu(rng.random((2, 6, 6)) < 0.5, 1)
    A, order = tensor((A | A.swapaxes(1, 2)).astype(float)), torch.tensor(rng.permutation(6))
    theta = tensor(rng.standard_normal(6 + 1 + (6 * hidden or 4)))
    w, g = tensor(rng.standard_normal((2, 6, 3))), tensor(rng.standard_normal((2, 6, 3)))
    delta = one_step(gated(theta, hidden, A), w, g)
    again = one_step(gated(theta, hidden, A[:, order][:, :, order]), w[:, order], g[:, order])
    torch.testing.assert_close(again, delta[:, order], rtol=1e-9, atol=1e-12)


def test_an_edge_is_judged_by_four_cosines_of_any_scale():
    u, w = tensor(random((3, 4))), tensor(random((3, 4), 1))
    found = edge_features(u, w)

    def cosine(a, b):
        return a @ b / a.norm() / b.norm()

    for t in range(3):
        for s in range(3):
            if s != t:
                way = w[s] - w[t]
                expected = [cosine(u[t], u[s]), cosine(w[t], w[s]), cosine(u[t], way), cosine(u[s], -way)]
                torch.testing.assert_close(found[t, s], torch.stack(expected), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(edge_features(100 * u, w), found, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(edge_features(u, 100 * w)[~torch.eye(3, dtype=bool)], found[~torch.eye(3, dtype=bool)])
    assert torch.isfinite(edge_features(0 * u, 0 * w)).all()


def test_a_gate_is_the_network_that_it_says():
    x, theta = tensor(random((2, 5, 4))), tensor(random(1 + 6 * 3, 1))
    A, a, B = theta[1:13].view(4, 3), theta[13:16], theta[16:]
    torch.testing.assert_close(edge_gate(theta, 3)(x), theta[0] + torch.tanh(x @ A + a) @ B)
    torch.testing.assert_close(edge_gate(theta[:5])(x), theta[0] + x @ theta[1:5])
    assert edge_gate(theta[:5])(x.float()).dtype == torch.float32


def test_rates_by_curvature_make_tasks_of_any_scale_alike():
    """Of plain steps: a task whose samples are 10 times as large descends as before, and rests where it rests."""
    batch = task_graphs(generator(), problems=2)
    H, h, A = (batch.graph[key] for key in ("hessian", "slope", "adjacency"))
    top = largest_curvatures(H)
    np.testing.assert_allclose(top[..., 0], np.linalg.eigvalsh(H.numpy()).max(-1), rtol=1e-9)
    c, ends = [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], []
    for scale in (1.0, 100.0):
        scaled = Problems(batch.w0, lambda w, t: scale * batch.grad(w, t), batch.loss)
        ends.append(run_rule(gated_mixture(BASE, c, None, A, 1 / (scale * top)), scaled, 20))
    torch.testing.assert_close(*ends, rtol=1e-9, atol=1e-12)
    assert (ends[0][-1] < batch.loss(batch.w0)).all()


# ---- rules for networks

def test_a_rule_for_networks_starts_as_adam():
    w, gradients = tensor(random(6)), tensor(random((4, 6), 1))
    means = neuron_means([(2, 2)])
    for theta, rule in (
        (2, network_rule(network_start(0, lr=LR))),
        (34, network_rule(network_start(0, hidden=8, lr=LR), hidden=8)),
        (3, network_rule(network_start(0, means, lr=LR), means)),
        (67, network_rule(network_start(0, means, hidden=8, lr=LR), means, hidden=8)),
    ):
        assert rule.settings["theta"].shape == (theta,)
        np.testing.assert_allclose(steps(rule, w, gradients), steps(adam(LR, 0.9, 0.99), w, gradients), rtol=1e-9)


def explicit_means(x, m, n):
    """By loops: into the same neuron, out of the same, of the layer."""
    X = x.reshape(m + 1, n)
    rows = [[[X[:, j].mean(), X[i].mean(), X.mean()] for j in range(n)] for i in range(m + 1)]
    return np.array(rows).reshape(-1, 3).T


def test_means_of_neurons_are_those_of_loops():
    x = random(3 * 4 + 5 * 3)
    found = torch.stack(neuron_means([(2, 4), (4, 3)])(tensor(x)))
    expected = np.hstack([explicit_means(x[:12], 2, 4), explicit_means(x[12:], 4, 3)])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    batch = tensor(random((2, 27)))
    for each, one in zip(neuron_means([(2, 4), (4, 3)])(batch), neuron_means([(2, 4), (4, 3)])(batch[1])):
        assert torch.equal(each[1], one)


def test_means_of_a_tensor_are_those_of_neurons():
    matrix = random((4, 3))                                       # PyTorch's [outputs, inputs], no biases
    found = tensor_means(tensor(matrix))
    np.testing.assert_allclose(found[0], np.broadcast_to(matrix.mean(1, keepdims=True), (4, 3)), rtol=1e-12)
    np.testing.assert_allclose(found[1], np.broadcast_to(matrix.mean(0), (4, 3)), rtol=1e-12)
    np.testing.assert_allclose(found[2], matrix.mean(), rtol=1e-12)
    bias = tensor(random(5))
    into, out, layer = tensor_means(bias)
    assert torch.equal(into, bias) and torch.allclose(out, bias.mean()) and torch.allclose(layer, bias.mean())
    assert all(part.shape == (4, 3, 2, 2) for part in tensor_means(tensor(random((4, 3, 2, 2)))))


def test_a_rule_for_networks_is_its_formulas():
    theta, w, gradients = tensor(random(3 + 8 * 2) / 3), tensor(random(9, 1)), tensor(random((6, 9), 2))
    means = neuron_means([(2, 3)])
    found = steps(network_rule(theta, means, hidden=2, lr=0.5), w, gradients)
    u1, u2 = (steps(adam(1.0, beta, 0.99), w, gradients) for beta in (0.9, 0.5))
    m = v = 0.0
    assert (np.sign(u1) != np.sign(u2)).any()
    for t, g in enumerate(gradients.numpy(), 1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.99**t)
        into, out, layer = explicit_means(v_hat, 2, 3)
        u3 = -m_hat / np.sqrt(into * out / layer)
        x = np.stack([u1[t - 1] * np.sign(u2[t - 1]), *(np.log(v_hat / part) / 4 for part in (into, out, layer))], 1)
        c, A, a, B = np.split(theta.numpy(), [3, 11, 13])
        o = np.tanh(x @ A.reshape(4, 2) + a) @ B.reshape(2, 3)
        expected = 0.5 * sum(c[j] * np.exp(o[:, j]) * u for j, u in enumerate((u1[t - 1], u2[t - 1], u3)))
        np.testing.assert_allclose(found[t - 1], expected, rtol=1e-6)


@pytest.mark.parametrize("hidden", [0, 4])
def test_permuted_neurons_have_permuted_steps(hidden):
    """Two layers 3–5–2: a hidden neuron takes its column, its bias and its row with it."""
    means, order = neuron_means([(3, 5), (5, 2)]), generator(5).permutation(5)
    place = np.arange(20 + 12)
    first, second = place[:20].reshape(4, 5), place[20:].reshape(6, 2)
    turned = torch.tensor(np.concatenate([first[:, order].ravel(), second[np.append(order, 5)].ravel()]))
    rule = network_rule(tensor(random(3 + 8 * hidden)), means, hidden=hidden)
    w, gradients = tensor(random(32, 1)), tensor(random((3, 32), 2))
    found = steps(rule, w[turned], gradients[:, turned])
    np.testing.assert_allclose(found, steps(rule, w, gradients)[:, turned.numpy()], rtol=1e-9)


def test_messages_change_the_step_and_reach_no_further_than_a_layer():
    means = neuron_means([(3, 5), (5, 2)])
    rule, w, g = network_rule(tensor([0.0, 0.0, 1.0]), means), tensor(random(32)), tensor(random(32, 1))
    other = g.clone()
    other[0] *= 3
    moved = (one_step(rule, w, other) - one_step(rule, w, g)).abs() > 1e-9
    assert moved[:20].all() and not moved[20:].any()


def test_a_module_is_trained_by_a_rule_for_networks():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net, x = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)), torch.randn(32, 4)
    y = x.sum(1, keepdim=True)
    theta = network_start(0, tensor_means, hidden=8, lr=0.02)
    optimizer = TorchOptimizer(net.parameters(), network_rule(theta, tensor_means, hidden=8))
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = ((net(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0] and all(p.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_torch_rules_keep_the_dtype(dtype):
    w = torch.tensor(random((4, 3))).to(dtype)
    theta = tensor(random(6 + 13))
    for rule in (gated(theta, 2, clique(4)), network_rule(theta, tensor_means, hidden=2)):
        delta, wide = (one_step(rule, w.to(kind), w.to(kind)) for kind in (dtype, F64))
        assert delta.dtype == dtype
        torch.testing.assert_close(delta.to(F64), wide, rtol=0.05 if dtype == torch.bfloat16 else 1e-3, atol=1e-3)


# ---- training

def test_a_run_is_the_loop():
    batch, rule = graph_quadratics(generator(), 3, 10), adam(0.1)
    w, state = batch.w0, rule.init(batch.w0)
    losses = run_rule(rule, batch, 4)
    assert losses.shape == (4, 3)
    for t in range(4):
        delta, state = rule.update(batch.grad(w, t), state, w)
        w = w + delta
        assert torch.equal(losses[t], batch.loss(w))


def families():
    """Name -> problems, numbers and the rule of these numbers."""
    rng, sizes = generator(7), [(16, 4), (4, 4)]
    start = network_start(0, neuron_means(sizes), hidden=2, lr=0.05)
    return {
        "mixture": (
            graph_quadratics(generator(), 2, 8), tensor([0.05, 0.02, 0.01, 0.03, 0.01, 0.02]),
            lambda theta, p: mixture(BASE, theta.view(2, 3), p.graph["message"])),
        "gated": (
            task_graphs(generator(), 2, tasks=4, size=2, features=3, lies=0.5), tensor(rng.standard_normal(6 + 13) / 5),
            lambda theta, p: gated(theta, 2, p.graph["adjacency"], 1 / largest_curvatures(p.graph["hessian"]))),
        "network": (
            small_networks(generator(), 2, widths=(4,), samples=16, batch=8),
            start + tensor(rng.standard_normal(19) / 50),
            lambda theta, p: network_rule(theta, neuron_means(p.graph), hidden=2)),
    }


@pytest.mark.parametrize("family", families(), ids=families())
def test_the_gradient_of_the_objective_is_that_of_finite_differences(family):
    problems, theta, make_rule = families()[family]

    def objective(theta):
        return run_rule(make_rule(theta, problems), problems, 5)[-1].log().mean()

    numbers_ = theta.clone().requires_grad_()
    slope, = torch.autograd.grad(objective(numbers_), numbers_)
    for i in range(len(theta)):
        ends = [objective(theta + h * torch.eye(len(theta), dtype=F64)[i]).item() for h in (1e-6, -1e-6)]
        assert slope[i].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-4, abs=1e-6), i
    assert slope.abs().min() > 0


def bowls(curvatures):
    c = tensor(curvatures)
    return Problems(torch.ones_like(c), lambda w, t: c * w, lambda w: (c * w * w).sum(-1) + 1e-3)


def by_rate(theta, problems):
    return mixture([gradient_descent(1.0)], theta[None])


def test_training_takes_steps_of_the_books_adam():
    """The first has the length of the rate, whatever the gradient; a tensor has one for each number."""
    problems = bowls([[1.0, 4.0]])
    make_rule = lambda theta, p: mixture([gradient_descent(1.0), momentum(1.0)], theta[None])   # noqa: E731
    for lr in (0.01, tensor([0.01, 0.03])):
        theta, _ = learn_numbers(make_rule, tensor([0.1, 0.02]), lambda i: problems, updates=1, unroll=3, lr=lr)
        moved = (theta - tensor([0.1, 0.02])).abs()
        torch.testing.assert_close(moved, lr * torch.ones(2, dtype=F64), rtol=1e-4, atol=0)


@pytest.mark.parametrize("clip", [0.5, 100.0])
def test_training_is_the_explicit_loop(clip):
    """Adam, β₂ = .99, its rate falling by a cosine, behind a clip."""
    theta, seen = tensor([0.05]), []
    sample = lambda i: bowls([[1.0, 3.0 + i]])   # noqa: E731
    found, history = learn_numbers(by_rate, theta, sample, updates=4, unroll=3, lr=0.1, clip=clip)
    rule = adam(beta2=0.99)
    state = rule.init(theta)
    for i in range(4):
        numbers_, problems = theta.clone().requires_grad_(), bowls([[1.0, 3.0 + i]])
        value = run_rule(by_rate(numbers_, problems), problems, 3)[-1].log().mean()
        slope, = torch.autograd.grad(value, numbers_)
        slope = slope * min(1.0, clip / slope.norm())
        delta, state = rule.update(slope, state, theta, lr=0.05 * (1 + np.cos(np.pi * i / 4)))
        theta, seen = theta + delta, [*seen, value.item()]
    torch.testing.assert_close(found, theta, rtol=1e-9, atol=0)
    np.testing.assert_allclose(history, seen, rtol=1e-9)
    assert found.requires_grad is False and isinstance(history, np.ndarray)


def test_training_finds_the_best_rate_and_changes_nothing():
    start = tensor([0.1])
    theta, history = learn_numbers(by_rate, start, lambda i: bowls([[1.0, 4.0]]), updates=150, unroll=1, lr=0.02)
    assert history[-1] < history[0]
    best = min(np.linspace(0.01, 1, 1000), key=lambda lr: (1 - lr) ** 2 + 4 * (1 - 4 * lr) ** 2)
    assert theta.item() == pytest.approx(best, rel=1e-2) and start.item() == 0.1 and not start.requires_grad


def test_a_score_of_ones_own_is_what_is_trained():
    theta, history = learn_numbers(by_rate, tensor([0.1]), lambda i: bowls([[1.0]]), updates=5, unroll=2,
                                score=lambda losses: losses.sum())
    assert history[0] == pytest.approx(0.9**2 + 0.9**4 + 2e-3, rel=1e-9)


def test_a_batch_that_blows_up_is_left_out_and_counted():
    wild = bowls([[1e200]])
    sample = lambda i: wild if i in (1, 2) else bowls([[1.0, 4.0]])   # noqa: E731
    theta, history = learn_numbers(by_rate, tensor([0.1]), sample, updates=5, unroll=3)
    assert np.isnan(history).tolist() == [False, True, True, False, False] and torch.isfinite(theta).all()
    lost, history = learn_numbers(by_rate, tensor([0.1]), lambda i: wild, updates=3, unroll=3)
    assert lost.item() == 0.1 and np.isnan(history).all()


def test_training_works_where_gradients_are_off_and_is_repeatable():
    sample = lambda i: small_networks(generator(i), 2, widths=(4,), samples=16, batch=8)   # noqa: E731
    def make_rule(theta, p):
        return network_rule(theta)

    with torch.no_grad():
        first = learn_numbers(make_rule, network_start(0), sample, updates=2, unroll=3)
    again = learn_numbers(make_rule, network_start(0), sample, updates=2, unroll=3)
    assert torch.equal(first[0], again[0]) and (first[1] == again[1]).all()


# ---- families

def autograd(loss, w):
    w = w.clone().requires_grad_()
    return torch.autograd.grad(loss(w), w)[0]


def test_quadratics_are_what_they_say():
    batch = graph_quadratics(generator(), 3, 12, neighbors=3, shift=0.1)
    H, b = batch.graph["H"].numpy(), batch.graph["b"].numpy()
    w = tensor(random((3, 12)))
    for i in range(3):
        off = H[i] - np.diag(np.diag(H[i]))
        assert set(np.unique(off)) == {-1.0, 0.0} and ((off < 0).sum(1) >= 3).all() and np.allclose(H[i], H[i].T)
        np.testing.assert_allclose(H[i].sum(1), 0.1, rtol=1e-9)
        best = np.linalg.solve(H[i], b[i])
        value = lambda w: w @ H[i] @ w / 2 - b[i] @ w             # noqa: E731
        share = (value(w[i].numpy()) - value(best)) / (value(0 * best) - value(best))
        assert batch.loss(w)[i].item() == pytest.approx(share, rel=1e-9)
        np.testing.assert_allclose(batch.grad(w, 0)[i], H[i] @ w[i].numpy() - b[i], rtol=1e-9, atol=1e-12)
        root = np.sqrt(-off.sum(1))
        message = -off @ (w[i].numpy() / root) / root
        np.testing.assert_allclose(batch.graph["message"](w)[i], message, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(batch.graph["eigenvalues"], np.linalg.eigvalsh(H), rtol=1e-9)
    torch.testing.assert_close(batch.loss(batch.w0), torch.ones(3, dtype=F64))


def test_related_regressions_are_what_they_say():
    batch = task_graphs(generator(), 400, tasks=6, size=3, features=2, samples=4, noise=0.5, spread=0.3)
    A, H = batch.graph["adjacency"], batch.graph["hessian"]
    block = torch.block_diag(clique(3), clique(3))
    assert torch.equal(A, block.expand_as(A)) and torch.allclose(H, H.mT)
    assert batch.loss(batch.w0).mean().item() == pytest.approx(2.0, rel=0.1)      # |w*|² a task

    def value(w):
        return torch.einsum("bti,btij,btj->", w, H, w) / 2 - (batch.graph["slope"] * w).sum()

    w = tensor(random(batch.w0.shape))
    torch.testing.assert_close(batch.grad(w, 0), autograd(value, w), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("lies", [0.0, 0.3, 1.0])
def test_so_many_edges_lie(lies):
    batch = task_graphs(generator(), 200, lies=lies)
    A, inside = batch.graph["adjacency"], torch.block_diag(*[clique(4)] * 6)
    assert torch.equal(A, A.mT) and (A.diagonal(dim1=1, dim2=2) == 0).all() and ((A == 0) | (A == 1)).all()
    kept = (A * inside).sum() / inside.sum() / 200
    random_hit = lies * 36 / (24 * 23 / 2)                        # a lie may join a true pair by chance
    assert kept.item() == pytest.approx(1 - lies + lies * random_hit, abs=0.03)


def test_penalties_are_solved_in_closed_form():
    batch, rng = task_graphs(generator(), 2, tasks=4, size=2, features=3, lies=0.5), generator(1)
    Q = tensor(rng.standard_normal((2, 4, 4)))
    Q = Q @ Q.mT + torch.eye(4, dtype=F64)
    for each in (Q, Q[0]):
        w = penalised(batch, each)

        def value(w):
            H, h = batch.graph["hessian"], batch.graph["slope"]
            own = torch.einsum("bti,btij,btj->", w, H, w) / 2 - (h * w).sum()
            return own + torch.einsum("bst,bsi,bti->", each.expand(2, 4, 4), w, w) / 2

        assert autograd(value, w).abs().max() < 1e-9
    alone = penalised(batch, 0.5 * torch.eye(4, dtype=F64))
    direct = np.linalg.solve(batch.graph["hessian"].numpy() + 0.5 * np.eye(3), batch.graph["slope"].numpy()[..., None])
    np.testing.assert_allclose(alone, direct[..., 0], rtol=1e-9)


def test_the_laplacian_is_a_sum_over_edges():
    A = task_graphs(generator(), 1, lies=0.4).graph["adjacency"][0]
    x = tensor(random(24))
    by_hand = sum((x[i] - x[j]) ** 2 for i in range(24) for j in range(i) if A[i, j])
    torch.testing.assert_close(x @ laplacian(A) @ x, by_hand, rtol=1e-9, atol=0)


def test_the_posterior_is_the_best_linear_estimator():
    """Against the mean of w* given y of the joint Gaussian, and against penalties near it."""
    rng, tasks, size, features, samples, noise, spread = generator(2), 4, 2, 2, 3, 0.5, 0.4
    shape = {"tasks": tasks, "size": size, "features": features, "samples": samples}
    batch = task_graphs(generator(0), 300, **shape, noise=noise, spread=spread)
    posterior, Q = penalised(batch, batch.graph["prior"]), batch.graph["prior"]
    group = np.arange(tasks) // size
    K = np.kron((1 - spread**2) * (group[:, None] == group) + spread**2 * np.eye(tasks), np.eye(features))
    H, h = batch.graph["hessian"][0].numpy(), batch.graph["slope"][0].numpy()
    data = np.zeros((tasks * features,) * 2)
    for t in range(tasks):
        data[t * features : (t + 1) * features, t * features : (t + 1) * features] = H[t]
    expected = np.linalg.solve(np.linalg.inv(K) + data * samples / noise**2, h.ravel() * samples / noise**2)
    np.testing.assert_allclose(posterior[0].ravel(), expected, rtol=1e-9)
    least = batch.loss(posterior).mean()
    for _ in range(10):
        other = tensor(rng.standard_normal((tasks, tasks)) / 5)
        assert batch.loss(penalised(batch, Q + other @ other.T)).mean() > least
    for factor in (0.25, 4.0):
        assert batch.loss(penalised(batch, factor * Q)).mean() > least
    assert batch.loss(0.9 * posterior).mean() > least and batch.loss(1.1 * posterior).mean() > least


def test_a_robust_penalty_is_a_point_of_rest_of_its_sum():
    batch = task_graphs(generator(), 2, tasks=6, size=3, features=2, lies=0.5)
    A, H, h = (batch.graph[key] for key in ("adjacency", "hessian", "slope"))
    w = robust_penalised(batch, 0.3, 0.05, 1.5, rounds=300)

    def value(w):
        square = ((w[:, :, None] - w[:, None]) ** 2).sum(-1)
        edges = 0.3 * 1.5**2 * (A * (1 - (-square / (2 * 1.5**2)).exp())).sum() / 2
        return torch.einsum("bti,btij,btj->", w, H, w) / 2 - (h * w).sum() + edges + 0.05 * (w * w).sum() / 2

    assert autograd(value, w).abs().max() < 1e-8
    wide = robust_penalised(batch, 0.3, 0.05, 1e6, rounds=1)
    quadratic_ = penalised(batch, 0.3 * laplacian(A) + 0.05 * torch.eye(6, dtype=F64))
    torch.testing.assert_close(wide, quadratic_, rtol=1e-6, atol=1e-9)
    first = penalised(batch, 0.05 * torch.eye(6, dtype=F64))
    again = robust_penalised(batch, 1e-9, 0.05, 1.0, rounds=1)
    torch.testing.assert_close(again, first, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("data, inputs, classes, samples", [
    ("digits 0-4", 16, 4, 128), ("digits 5-9", 16, 4, 128), ("wine", 13, 3, 128), ("breast_cancer", 30, 2, 128),
    ("moons", 2, 2, 128),
])
def test_small_networks_are_what_they_say(data, inputs, classes, samples):
    batch = small_networks(generator(), 2, data, widths=(5, 3), flipped=0.0)
    assert batch.graph == [(inputs, 5), (5, 3), (3, classes)] and batch.w0.dtype == F64
    w = batch.w0.clone()
    assert torch.equal(batch.grad(w, 3), batch.grad(w, 3)) and not torch.equal(batch.grad(w, 3), batch.grad(w, 4))
    assert not batch.grad(w, 0).requires_grad and batch.grad(w.requires_grad_(), 0).requires_grad
    assert (batch.loss(batch.w0) < 2 * np.log(classes)).all()
    assert (batch.loss(0 * batch.w0) - np.log(classes)).abs().max() < 1e-9
    assert (run_rule(adam(0.05), batch, 60)[-1] < 0.8 * batch.loss(batch.w0)).all()


def test_minibatches_are_unbiased():
    batch = small_networks(generator(), 1, widths=(3,), samples=16, batch=32)
    w = batch.w0
    whole = autograd(lambda w: batch.loss(w).sum(), w)
    mean = torch.stack([batch.grad(w, t) for t in range(800)]).mean(0)
    assert (mean - whole).norm() < 0.06 * whole.norm()


def test_labels_are_flipped_and_inputs_scaled():
    rng = generator(3)
    x, y = network_families.DATA["digits 0-4"](rng, 400)
    assert x.shape == (400, 16) and (np.bincount(y) == 100).all()
    images, digits = network_families._standard("digits")
    assert np.allclose(images.mean(0), 0, atol=1e-9) and np.allclose(images.std(0), 1, atol=1e-6)
    assert len(digits) == 1797
    clean, noisy = (small_networks(generator(), 4, flipped=share) for share in (0.0, 0.8))
    ends = [run_rule(adam(0.05, 0.5), batch, 100)[-1].mean() for batch in (clean, noisy)]
    assert ends[0] < 0.1 and ends[1] > 5 * ends[0]
    one, ten = (small_networks(generator(), 2, scale=scale) for scale in (1.0, 10.0))
    first = one.w0.clone()
    first[:, :256] *= 10                                          # the matrix of the first layer
    torch.testing.assert_close(ten.loss(one.w0), one.loss(first), rtol=1e-9, atol=1e-12)


def test_draws_are_repeatable_and_differ():
    for family, sizes in ((graph_quadratics, (2, 9)), (task_graphs, (2,)), (small_networks, (2,))):
        a, b, c = (family(generator(seed), *sizes) for seed in (0, 0, 1))
        w = torch.ones_like(a.w0)
        assert torch.equal(a.grad(w, 2), b.grad(w, 2)) and torch.equal(a.loss(w), b.loss(w)) and torch.equal(a.w0, b.w0)
        assert not torch.equal(a.grad(w, 2), c.grad(w, 2))


# ---- what is learned

def test_six_numbers_learn_the_prior():
    """On a clique of four the numbers at rest imply two ridges: of the mean, and of deviations from it."""
    batch = task_graphs(generator(10**6), 64)

    def make_rule(theta, problems):
        A = problems.graph["adjacency"]
        return mixture(BASE, theta.view(2, 3), lambda x: A @ x / A.sum(-1, keepdim=True))

    theta, history = learn_numbers(make_rule, tensor([0.1, 0, 0, 0, 0, 0]), lambda i: task_graphs(generator(i), 8),
                                updates=200, unroll=25)
    (a0, b0, r0), (a1, b1, r1) = theta.view(2, 3).tolist()
    ridge = (r0 - r1 / 3) / (a0 + b0 - (a1 + b1) / 3)
    assert ridge == pytest.approx(0.25 / 6 / 0.09, rel=0.1)
    least = batch.loss(penalised(batch, batch.graph["prior"])).mean()
    found = run_rule(make_rule(theta, batch), batch, 25)[-1].mean()
    assert least < found < 1.03 * least and not np.isnan(history).any()


# ---- misuse

A4, B6 = clique(4), [[0.1] * 3, [0.1] * 3]
TASKS = task_graphs(generator(), 1, tasks=4, size=2)


@pytest.mark.parametrize("make, error, words", [
    (lambda: mixture([], [[1.0]]), TypeError, "rules must be a list of rules"),
    (lambda: mixture(adam(), [[1.0]]), TypeError, "rules must be a list of rules"),
    (lambda: mixture([adam(), "adam"], [[1.0, 1.0]]), TypeError, "rules must be a list of rules"),
    (lambda: mixture([chain(adam())], [[1.0]]), ValueError, "rules must be rules that are made of no others"),
    (lambda: mixture([weight_ema(adam())], [[1.0]]), ValueError, "put it around the mixture"),
    (lambda: mixture([adam()], [1.0]), ValueError, r"coefficients must have shape \[1 \+ messages, 1\], got \[1\]"),
    (lambda: mixture([adam()], [[1.0, 2.0]]), ValueError, r"shape \[1 \+ messages, 1\], got \[1, 2\]"),
    (lambda: mixture([adam()], torch.ones(0, 1)), ValueError, r"coefficients must have shape .* got \[0, 1\]"),
    (lambda: mixture([adam()], [[np.nan]]), ValueError, "coefficients must be finite"),
    (lambda: mixture([adam()], "one"), TypeError, "coefficients must be an array"),
    (lambda: mixture([adam()], [[1.0], [1.0]]), TypeError, "message must be a function of the steps for 2 rows"),
    (lambda: mixture([adam()], [[1.0]], lr=-1.0), ValueError, "lr must be finite and >= 0"),
    (lambda: decay_to_zero(lr=-1.0), ValueError, "lr must be finite and >= 0"),
    (lambda: gated_mixture([], B6, None, A4), TypeError, "rules must be a list of rules"),
    (lambda: gated_mixture(BASE, B6[:1], None, A4), ValueError, r"coefficients must have shape \[2, 3\], got \[1, 3\]"),
    (lambda: gated_mixture(BASE, B6, 1.0, A4), TypeError, "gate must be a function"),
    (lambda: gated_mixture(BASE, B6, None, A4.numpy()), TypeError, "adjacency must be a tensor"),
    (lambda: gated_mixture(BASE, B6, None, A4[:3]), ValueError, r"adjacency must have shape .* got \[3, 4\]"),
    (lambda: gated_mixture(BASE, B6, None, A4, lr=np.inf), ValueError, "lr must be finite"),
    (lambda: one_step(gated_mixture(BASE, B6, None, A4), tensor(random((3, 2))), tensor(random((3, 2)))), ValueError,
     r"w must have shape \[..., 4 tasks, D\], got \[3, 2\]"),
    (lambda: edge_gate(np.ones(5)), TypeError, "theta must be a tensor"),
    (lambda: edge_gate(torch.ones(6)), ValueError, r"theta must hold 5 numbers, got shape \[6\]"),
    (lambda: edge_gate(torch.ones(5), hidden=2), ValueError, "theta must hold 13 numbers"),
    (lambda: edge_gate(torch.ones(5), hidden=-1), ValueError, "hidden must be at least 0"),
    (lambda: network_rule(torch.ones(3)), ValueError, "theta must hold 2 numbers"),
    (lambda: network_rule(torch.ones(2), tensor_means), ValueError, "theta must hold 3 numbers"),
    (lambda: network_rule(torch.ones(3), tensor_means, hidden=1), ValueError, "theta must hold 11 numbers"),
    (lambda: network_rule([0.1, 0.1]), TypeError, "theta must be a tensor"),
    (lambda: network_rule(torch.ones(2), [(1, 2)]), TypeError, "means must be a function of the weights"),
    (lambda: network_rule(torch.ones(2), hidden=0.5), TypeError, "hidden must be a whole number"),
    (lambda: network_rule(torch.ones(2), lr=-1.0), ValueError, "lr must be finite and >= 0"),
    (lambda: network_start(-1), ValueError, "seed must be at least 0"),
    (lambda: network_start(0, lr=0.0), ValueError, "lr must be finite and > 0"),
    (lambda: neuron_means(3), TypeError, "sizes must be a list of pairs"),
    (lambda: neuron_means([]), TypeError, "sizes must be a list of pairs"),
    (lambda: neuron_means([(1, 2, 3)]), ValueError, "sizes must be pairs"),
    (lambda: neuron_means([(0, 2)]), ValueError, "sizes must be at least 1"),
    (lambda: run_rule("adam", TASKS, 3), TypeError, "rule must be a Rule"),
    (lambda: run_rule(adam(), A4, 3), TypeError, "problems must be Problems"),
    (lambda: run_rule(adam(), TASKS, 0), ValueError, "steps must be at least 1"),
    (lambda: graph_quadratics(0, 2, 9), TypeError, "rng must be a numpy.random.Generator"),
    (lambda: graph_quadratics(generator(), 0, 9), ValueError, "problems must be at least 1"),
    (lambda: graph_quadratics(generator(), 2, 4), ValueError, "neighbors must be fewer than the 4 nodes, got 4"),
    (lambda: graph_quadratics(generator(), 2, 1), ValueError, "nodes must be at least 2"),
    (lambda: graph_quadratics(generator(), 2, 9, shift=0.0), ValueError, "shift must be finite and > 0"),
    (lambda: task_graphs(None, 2), TypeError, "rng must be a numpy.random.Generator"),
    (lambda: task_graphs(generator(), 2, size=5), ValueError, "size must divide the 24 tasks, got 5"),
    (lambda: task_graphs(generator(), 2, noise=0.0), ValueError, "noise must be finite and > 0"),
    (lambda: task_graphs(generator(), 2, spread=0.0), ValueError, "spread must be finite and > 0 and <= 1"),
    (lambda: task_graphs(generator(), 2, lies=1.5), ValueError, "lies must be finite and >= 0 and <= 1"),
    (lambda: task_graphs(generator(), 2, samples=0), ValueError, "samples must be at least 1"),
    (lambda: robust_penalised(TASKS, 0.0, 0.1, 1.0), ValueError, "pull must be finite and > 0"),
    (lambda: robust_penalised(TASKS, 0.1, 0.0, 1.0), ValueError, "ridge must be finite and > 0"),
    (lambda: robust_penalised(TASKS, 0.1, 0.1, -1.0), ValueError, "width must be finite and > 0"),
    (lambda: robust_penalised(TASKS, 0.1, 0.1, 1.0, rounds=0), ValueError, "rounds must be at least 1"),
    (lambda: penalised(A4, A4), TypeError, "problems must be those of task_graphs"),
    (lambda: penalised(TASKS, A4[:3]), ValueError, r"Q must have shape \[..., 4, 4\], got \[3, 4\]"),
    (lambda: small_networks(0, 2), TypeError, "rng must be a numpy.random.Generator"),
    (lambda: small_networks(generator(), 2, "mnist"), ValueError, "data must be one of 'digits 0-4'"),
    (lambda: small_networks(generator(), 2, widths=(0,)), ValueError, "widths must be at least 1"),
    (lambda: small_networks(generator(), 2, widths=16), TypeError, "widths must be a sequence"),
    (lambda: small_networks(generator(), 2, samples=4), ValueError, "samples must be at least 8"),
    (lambda: small_networks(generator(), 2, batch=0), ValueError, "batch must be at least 1"),
    (lambda: small_networks(generator(), 2, flipped=1.0), ValueError, "flipped must be finite and >= 0 and < 1"),
    (lambda: small_networks(generator(), 2, scale=0.0), ValueError, "scale must be finite and > 0"),
], ids=label)
def test_wrong_arguments_are_named(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("wrong, error, words", [
    ({"make_rule": adam()}, TypeError, "make_rule must be a function"),
    ({"sample": TASKS}, TypeError, "sample must be a function"),
    ({"score": 1.0}, TypeError, "score must be a function"),
    ({"theta": [0.1]}, TypeError, "theta must be a tensor of floats"),
    ({"theta": torch.tensor([1])}, TypeError, "theta must be a tensor of floats"),
    ({"theta": torch.ones(1, 1)}, ValueError, r"theta must be a vector, got shape \[1, 1\]"),
    ({"updates": 0}, ValueError, "updates must be at least 1"),
    ({"unroll": 0}, ValueError, "unroll must be at least 1"),
    ({"lr": 0.0}, ValueError, "lr must be finite and > 0"),
    ({"lr": torch.ones(2)}, ValueError, "lr must be a number > 0, or a tensor of 1 of them"),
    ({"lr": torch.tensor([-1.0])}, ValueError, "lr must be a number > 0, or a tensor of 1 of them"),
    ({"clip": 0.0}, ValueError, "clip must be finite and > 0"),
    ({"make_rule": lambda theta, problems: theta}, TypeError, "make_rule must return Rule"),
    ({"sample": lambda i: None}, TypeError, "sample must return Problems"),
], ids=label)
def test_wrong_arguments_of_training_are_named(wrong, error, words):
    right = {"make_rule": by_rate, "theta": tensor([0.1]), "sample": lambda i: bowls([[1.0]])}
    with pytest.raises(error, match=words):
        learn_numbers(**{**right, "updates": 1, "unroll": 1, **wrong})
