"""Modules in a federation: parameters and buffers in one vector, against PyTorch's modules, optimizer and averages."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from course_lib import (
    ModuleLoss, adam, client_values, fedavg, fedprox, fedsgd, fine_tuned, gradient_descent, scaffold, simulate,
    simulate_buffered,
)
from course_lib.training import batch_order

F64 = torch.float64
SIZES = (4, 7, 2, 7)


def made(layers, seed=0, dtype=F64):
    """A module with weights of its own, and buffers that are no longer those it was made with."""
    torch.manual_seed(seed)
    module = nn.Sequential(*layers()).to(dtype)
    for name, buffer in module.named_buffers():
        if buffer.is_floating_point():
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    return module


def normed(seed=0, dtype=F64, momentum=0.1):
    def layers():
        return nn.Linear(3, 4), nn.BatchNorm1d(4, momentum=momentum), nn.Tanh(), nn.Linear(4, 2)

    return made(layers, seed=seed, dtype=dtype)


def convolved():
    return made(lambda: (nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)))


def plain(seed=0):
    return made(lambda: (nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), seed=seed)


def people(sizes=SIZES, shape=(3,), seed=0):
    rng = np.random.default_rng(seed)
    return [
        (torch.tensor(rng.standard_normal((n, *shape)) + i), torch.tensor(rng.integers(0, 2, n)))
        for i, n in enumerate(sizes)
    ]


def vector(module):
    """Parameters, then buffers that are floats."""
    kept = [b for b in module.buffers() if b.is_floating_point()]
    return torch.cat([each.detach().reshape(-1) for each in (*module.parameters(), *kept)])


def trained(module, client, rows, lr, mu=0.0):
    """A copy of the module after steps of PyTorch's SGD on the given rows."""
    module = deepcopy(module).train()
    start = [p.detach().clone() for p in module.parameters()]
    optimizer = torch.optim.SGD(module.parameters(), lr)
    for which in rows:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(client[0][which]), client[1][which])
        loss = loss + mu / 2 * sum((p - s).square().sum() for p, s in zip(module.parameters(), start))
        loss.backward()
        optimizer.step()
    return module


def rows_of(clients, ids, K, batch_size, seed, r):
    """The rows each chosen client takes in a round: shuffled by a seed of its own."""
    rng = np.random.default_rng([seed, r])
    rng.choice(len(clients), size=len(ids), replace=False)
    seeds = rng.integers(2**63, size=len(ids))
    sizes = [len(clients[i][1]) for i in ids]
    if batch_size is None:
        return [[np.arange(size)] * K for size in sizes]
    return [batch_order(size, min(size, batch_size), K, int(each)) for size, each in zip(sizes, seeds)]


# ---- what the vector is

def test_the_vector_is_parameters_and_then_buffers():
    module = normed()
    loss = ModuleLoss(module)
    assert (loss.parameters, loss.buffers) == (3 * 4 + 4 + 4 + 4 + 4 * 2 + 2, 8) and loss.start.shape == (42,)
    torch.testing.assert_close(loss.start, vector(module), rtol=0, atol=0)
    assert loss.start.dtype == F64 and not loss.start.requires_grad
    loss.start.zero_()
    assert (vector(module) == vector(normed())).all()


@pytest.mark.parametrize("make, shape", [(normed, (3,)), (plain, (3,)), (convolved, (1, 3, 3))])
def test_the_loss_is_the_modules_in_training_mode_and_buffers_are_what_it_leaves(make, shape):
    module, ((x, y),) = make(), people((5,), shape)
    loss = ModuleLoss(module)
    own = deepcopy(module).train()
    expected = nn.functional.cross_entropy(own(x), y)
    expected.backward()
    w = loss.start.clone().requires_grad_()
    value, after = loss.with_buffers(w, x, y)
    value.backward()
    torch.testing.assert_close(value, expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(loss(w, x, y), expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(after, vector(own)[loss.parameters :], rtol=1e-14, atol=0)
    g = torch.cat([p.grad.reshape(-1) for p in own.parameters()])
    torch.testing.assert_close(w.grad[: loss.parameters], g, rtol=1e-12, atol=1e-14)
    assert not after.requires_grad and (w.grad[loss.parameters :] == 0).all() and (w == loss.start).all()


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_uses_the_buffers_and_the_module_is_left_as_it_was(training):
    module, ((x, y),) = normed().train(training), people((5,))
    before, state = vector(module), deepcopy(module.state_dict())
    loss = ModuleLoss(module)
    w = loss.start + 0.1
    output = loss.predict(w, x)
    again = loss.module(w)
    assert not again.training and again is not module
    torch.testing.assert_close(vector(again), w, rtol=0, atol=0)
    torch.testing.assert_close(again(x), output, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(loss.evaluate(w, x, y), nn.functional.cross_entropy(output, y))
    torch.testing.assert_close(loss.predict(loss.start, x), deepcopy(module).eval()(x), rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(loss.module(w.numpy())(x), output, rtol=1e-14, atol=1e-14)
    assert (loss.predict(w, x[:1]) - output[:1]).abs().max() < 1e-12      # no sample sees another
    assert (loss(w, x, y) - loss.evaluate(w, x, y)).abs() > 1e-3
    loss.with_buffers(w, x, y)
    again(x).sum().backward()
    assert module.training is training and all(p.grad is None for p in module.parameters())
    assert (vector(module) == before).all()
    assert all((module.state_dict()[name] == old).all() for name, old in state.items())


def test_a_made_module_shares_nothing():
    loss = ModuleLoss(normed())
    first, second = loss.module(loss.start), loss.module(loss.start)
    with torch.no_grad():
        for each in (*first.parameters(), *first.buffers()):
            each.zero_()
    assert (vector(second) == loss.start).all() and (vector(loss.module(loss.start)) == loss.start).all()


def test_a_criterion_of_ones_own():
    x, y = people((5,))[0]
    loss = ModuleLoss(plain(), lambda output, y: output.square().mean() + 0 * y.sum())
    torch.testing.assert_close(loss(loss.start, x, y), plain()(x).square().mean())
    torch.testing.assert_close(loss.evaluate(loss.start, x, y), plain()(x).square().mean())


def test_a_module_without_buffers_is_like_any_loss():
    """Then batches may be filled up, and blocks be of clients of many sizes."""
    loss = ModuleLoss(plain())
    assert loss.buffers == 0 and loss.parameters == len(loss.start) == 26

    def by_hand(w, x, y):
        a, b, c, d = w.split([12, 4, 8, 2])
        return nn.functional.cross_entropy((x @ a.view(4, 3).T + b).tanh() @ c.view(2, 4).T + d, y)

    found = simulate(loss, loss.start, people(), fedavg(3, 0.1, batch_size=3), 2, seed=0)
    expected = simulate(by_hand, loss.start, people(), fedavg(3, 0.1, batch_size=3), 2, seed=0)
    np.testing.assert_allclose(found.w, expected.w, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-12)


# ---- a federation of modules

@pytest.mark.parametrize("make, shape, batch_size, mu, fraction", [
    (normed, (3,), None, 0.0, 1.0), (normed, (3,), 3, 0.0, 1.0), (normed, (3,), 3, 0.5, 0.5),
    (convolved, (1, 3, 3), 4, 0.0, 1.0),
], ids=["all rows", "batches", "fedprox, half the clients", "convolution"])
def test_parameters_and_buffers_are_those_of_a_loop_over_copies(make, shape, batch_size, mu, fraction):
    """Each client trains a copy by torch.optim.SGD; the server averages all tensors by size."""
    module, clients, K = make(), people(shape=shape), 3
    loss = ModuleLoss(module)
    algorithm = fedprox(K, 0.1, batch_size, mu=mu) if mu else fedavg(K, 0.1, batch_size)
    trace = simulate(loss, loss.start, clients, algorithm, 3, seed=6, fraction=fraction)
    for r, ids in enumerate(trace.chosen):
        rows = rows_of(clients, ids, K, batch_size, 6, r)
        copies = [trained(module, clients[i], mine, 0.1, mu) for i, mine in zip(ids, rows)]
        sizes = torch.tensor([SIZES[i] for i in ids], dtype=F64)
        averaged = (sizes / sizes.sum()) @ torch.stack([vector(each) for each in copies])
        np.testing.assert_allclose(trace.w[r + 1], averaged, rtol=1e-10, atol=1e-10)
        module = loss.module(averaged)
        values = [nn.functional.cross_entropy(module(x), y).item() for x, y in clients]
        np.testing.assert_allclose(trace.client_loss[r + 1], values, rtol=1e-9)


@pytest.mark.parametrize("server", [adam(0.05), gradient_descent(2.0)], ids=str)
@pytest.mark.parametrize("how", [{}, {"aggregate": lambda updates: updates.mean(0)}], ids=["mean", "another"])
def test_the_servers_rule_moves_parameters_alone(server, how):
    loss, clients = ModuleLoss(normed()), people()
    averaged = simulate(loss, loss.start, clients, fedavg(2, 0.1), 1, seed=0, **how).w
    trace = simulate(loss, loss.start, clients, fedavg(2, 0.1, server=server), 1, seed=0, **how).w
    P = loss.parameters
    np.testing.assert_allclose(trace[1, P:], averaged[1, P:], rtol=1e-12)
    w = averaged[0, :P]
    delta, _ = server.update(w - averaged[1, :P], server.init(w), w)
    np.testing.assert_allclose(trace[1, :P], w + delta, rtol=1e-9, atol=1e-9)


def test_scaffold_keeps_nothing_of_buffers():
    """With equal sizes: parameters by the corrected gradients, buffers by plain averaging."""
    clients, K, lr = people((5, 5)), 2, 0.1
    module = normed()
    loss = ModuleLoss(module)
    P = loss.parameters
    trace = simulate(loss, loss.start, clients, scaffold(K, lr), 3, seed=0)
    own = torch.zeros(2, P, dtype=F64)
    for r in range(3):
        start, shared, copies = vector(module), own.mean(0), []
        for i, (x, y) in enumerate(clients):
            copy = deepcopy(module).train()
            for _ in range(K):
                copy.zero_grad()
                nn.functional.cross_entropy(copy(x), y).backward()
                place = 0
                with torch.no_grad():
                    for p in copy.parameters():
                        change = (shared - own[i])[place : place + p.numel()].view(p.shape)
                        p -= lr * (p.grad + change)
                        place += p.numel()
            copies.append(vector(copy))
        own = torch.stack([own[i] - shared + (start - copy)[:P] / (K * lr) for i, copy in enumerate(copies)])
        averaged = torch.stack(copies).mean(0)
        np.testing.assert_allclose(trace.w[r + 1], averaged, rtol=1e-10, atol=1e-10)
        module = loss.module(averaged)


@pytest.mark.parametrize("make, shape", [(normed, (3,)), (convolved, (1, 3, 3))])
@pytest.mark.parametrize("algorithm", [fedavg(2, 0.1, 3), fedprox(2, 0.1, mu=1.0), scaffold(2, 0.1, 2)], ids=str)
def test_vectorised_is_the_loop(make, shape, algorithm):
    loss = ModuleLoss(make())
    loop, *others = (
        simulate(loss, loss.start, people(shape=shape), algorithm, 2, seed=0, fraction=0.75, **how)
        for how in ({"vectorize": False}, {}, {"block": 1})
    )
    for other in others:
        np.testing.assert_allclose(other.w, loop.w, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(other.client_loss, loop.client_loss, rtol=1e-10)


def test_clients_of_different_sizes_never_share_a_block():
    """Filling up would change a batch's mean and variance."""
    widths = []

    class Watched(ModuleLoss):
        def with_buffers(self, w, x, y):
            widths.append(len(x))
            return super().with_buffers(w, x, y)

    loss = Watched(normed())
    together = {"concurrency": 4, "buffer": 4, "duration": lambda rng, client: 1.0}
    simulate(loss, loss.start, people(), fedsgd(0.1), 1, seed=0)
    simulate_buffered(loss, loss.start, people(), fedsgd(0.1), 1, seed=0, **together)
    fine_tuned(loss, loss.start, people(), 1, 0.1, seed=0)
    assert set(widths) == {2, 4, 7}


def test_averaging_parameters_alone_would_be_something_else():
    """The running means end near those of everybody's features, not at the start's."""
    loss, clients = ModuleLoss(normed(momentum=0.9)), people()
    trace = simulate(loss, loss.start, clients, fedavg(3, 1e-6), 1, seed=0)
    means = trace.w[:, loss.parameters : loss.parameters + 4]
    with torch.no_grad():
        features = [normed()[0](x).mean(0).numpy() for x, _ in clients]
    expected = 1e-3 * means[0] + (1 - 1e-3) * np.average(features, axis=0, weights=SIZES)
    np.testing.assert_allclose(means[1], expected, rtol=1e-3, atol=1e-3)


def test_the_modules_own_precision_and_counters():
    module = normed(dtype=torch.float32)
    loss = ModuleLoss(module)
    trace = simulate(loss, loss.start, people(), fedavg(2, 0.1), 2, seed=0)
    assert trace.w.dtype == np.float32 and loss.start.dtype == torch.float32
    assert loss.module(trace.w[-1])[1].num_batches_tracked == module[1].num_batches_tracked == 0
    double = simulate(loss, loss.start.double(), people(), fedavg(2, 0.1), 2, seed=0)
    assert double.w.dtype == np.float64
    np.testing.assert_allclose(double.w, trace.w, rtol=1e-3, atol=1e-4)


def test_shared_parameters_stand_once():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(3, 3, bias=False)
            self.second = nn.Linear(3, 3, bias=False)
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.second(self.first(x).tanh())

    module = Tied().double()
    loss = ModuleLoss(module)
    x, y = people((5,))[0]
    assert loss.parameters == len(loss.start) == 9
    w = loss.start * 2
    torch.testing.assert_close(loss.predict(w, x), (x @ w.view(3, 3).T).tanh() @ w.view(3, 3).T)
    torch.testing.assert_close(loss.module(w)(x), loss.predict(w, x))


def test_values_and_personal_steps_of_modules():
    module, clients = normed(), people()
    loss = ModuleLoss(module)
    values = client_values(loss.evaluate, loss.start, clients)
    own = deepcopy(module).eval()
    np.testing.assert_allclose(values, [nn.functional.cross_entropy(own(x), y).item() for x, y in clients], rtol=1e-12)
    each = fine_tuned(loss, loss.start, clients, 3, 0.1, seed=0)
    for i, client in enumerate(clients):
        expected = vector(trained(module, client, [np.arange(SIZES[i])] * 3, 0.1))
        torch.testing.assert_close(each[i], expected, rtol=1e-10, atol=1e-10)


# ---- misuse

@pytest.mark.parametrize("call, error, words", [
    (lambda: ModuleLoss(None), TypeError, "module must be a torch.nn.Module, got None"),
    (lambda: ModuleLoss(nn.Linear), TypeError, "module must be a torch.nn.Module"),
    (lambda: ModuleLoss(nn.Linear(2, 2), criterion=None), TypeError, "criterion must be callable, got None"),
    (lambda: ModuleLoss(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))), ValueError,
     "module must not draw random numbers, got Dropout at '1'"),
    (lambda: ModuleLoss(nn.Dropout2d()), ValueError, "module must not draw random numbers, got Dropout2d"),
    (lambda: ModuleLoss(nn.AlphaDropout()), ValueError, "module must not draw random numbers, got AlphaDropout"),
    (lambda: ModuleLoss(nn.Sequential(nn.Linear(2, 2), nn.RReLU())), ValueError,
     "module must not draw random numbers, got RReLU at '1'"),
    (lambda: ModuleLoss(nn.LSTM(2, 2, num_layers=2, dropout=0.5)), ValueError,
     "module must not draw random numbers, got LSTM"),
    (lambda: ModuleLoss(nn.MultiheadAttention(2, 1, dropout=0.5)), ValueError,
     "module must not draw random numbers, got MultiheadAttention"),
    (lambda: ModuleLoss(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, momentum=None))), ValueError,
     "module must have a momentum at '1', got None"),
])
def test_wrong_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_what_draws_nothing_is_taken():
    ModuleLoss(nn.Sequential(nn.Linear(2, 2), nn.MultiheadAttention(2, 1), nn.LSTM(2, 2)))
    assert ModuleLoss(nn.BatchNorm1d(2, momentum=None, track_running_stats=False)).buffers == 0


def test_a_sum_is_refused_where_no_buffers_forbid_the_check():
    loss = ModuleLoss(plain(), lambda output, y: nn.functional.cross_entropy(output, y, reduction="sum"))
    with pytest.raises(ValueError, match="loss must be a mean over samples"):
        simulate(loss, loss.start, people(), fedsgd(0.1), 1, seed=0)
