"""Buffered federations against a simulation of their events, and against rounds where both must agree."""

import heapq

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import (
    BufferedTrace, Divergence, ModuleLoss, adam, fedavg, fedprox, fedsgd, fine_tuned, gradient_descent, minimize,
    scaffold, simulate, simulate_buffered,
)
from course_lib.federated import ClientData
from course_lib.federated.asynchronous import inverse_root

F64 = torch.float64
SIZES = (3, 1, 8, 2, 5)


def squares(w, x, y):
    return (x @ w - y).square().mean() / 2


def regressions(sizes=SIZES, D=3, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((n, D)), rng.standard_normal(n)) for n in sizes]


def alike(rng, client):
    return 1.0


def own_pace(rng, client):
    return 1.0 + client


def random_pace(rng, client):
    return float(rng.exponential()) + 0.1


def ones(staleness):
    return np.ones(len(staleness))


def buffered(algorithm=None, steps=4, **changes):
    arguments = {
        "loss": squares, "w0": np.ones(3), "clients": regressions(), "seed": 0,
        "concurrency": 3, "buffer": 2, "duration": random_pace,
    }
    return simulate_buffered(algorithm=algorithm or fedavg(2, 0.1), steps=steps, **{**arguments, **changes})


class Watch:
    """A duration that notes who begins, and when the server's generator was asked."""

    def __init__(self, pace):
        self.pace, self.begun = pace, []

    def __call__(self, rng, client):
        takes = self.pace(rng, client)
        self.begun.append((client, takes))
        return takes


def events(begun, concurrency, buffer, steps):
    """When the server steps, whose updates it takes and how old they are, told who began in which order for how long.

    Who is done is replaced when time goes on: after a step of the server at the same moment.
    """
    begun = iter(begun)
    queue = [(takes, client, 0) for client, takes in (next(begun) for _ in range(concurrency))]
    heapq.heapify(queue)
    times, who, ages, free = [], [], [], 0
    now = 0.0
    for step in range(steps):
        mine = []
        for _ in range(buffer):
            if free and (not queue or queue[0][0] > now):
                for _ in range(free):
                    client, takes = next(begun)
                    assert client not in {busy for _, busy, _ in queue}, "nobody works twice at once"
                    heapq.heappush(queue, (now + takes, client, step))
                free = 0
            now, client, since = heapq.heappop(queue)
            free += 1
            mine.append((client, step - since))
        times.append(now)
        who.append([client for client, _ in mine])
        ages.append([age for _, age in mine])
    return times, who, ages


# ---- as rounds

@pytest.mark.parametrize("algorithm", [
    fedavg(3, 0.1), fedprox(3, 0.1, mu=1.0), fedsgd(0.2), fedavg(2, 0.1, server=adam(0.1)),
    fedavg(2, lambda t: 0.1 / (1 + t)),
], ids=["fedavg", "fedprox", "fedsgd", "server", "schedule"])
@pytest.mark.parametrize("weight", [ones, inverse_root])
def test_clients_that_all_take_as_long_and_fill_the_buffer_make_rounds(algorithm, weight):
    trace = buffered(algorithm, concurrency=5, buffer=5, duration=alike, weight=weight)
    rounds = simulate(squares, np.ones(3), regressions(), algorithm, rounds=4, seed=0)
    assert trace.time.tolist() == [0, 1, 2, 3, 4] and (trace.staleness == 0).all()
    assert all(sorted(row) == [0, 1, 2, 3, 4] for row in trace.clients.tolist())
    for name in ("step", "w", "loss", "lr"):
        np.testing.assert_allclose(getattr(trace, name), getattr(rounds, name), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("many", [1, 3])
def test_a_buffer_of_all_at_work_has_no_old_updates_where_they_end_together(many):
    trace = buffered(concurrency=many, buffer=many, duration=alike, steps=6)
    assert (trace.staleness == 0).all() and trace.time.tolist() == list(range(7))


def test_one_client_alone_descends():
    x, y = regressions([6])[0]
    trace = buffered(fedsgd(0.1), clients=[(x, y)], concurrency=1, buffer=1, steps=8)

    def grad(w, t):
        return x.T @ (x @ w - y) / 6

    plain = minimize(lambda w: ((x @ w - y) ** 2).mean() / 2, gradient_descent(0.1), np.ones(3), 8, grad=grad)
    np.testing.assert_allclose(trace.w, plain.w, rtol=1e-12)
    np.testing.assert_allclose(trace.loss, plain.loss, rtol=1e-12)


# ---- events

@settings(max_examples=12)
@given(st.integers(1, 5), st.data(), st.sampled_from([alike, own_pace, random_pace]), st.integers(0, 999))
def test_times_clients_and_staleness_are_those_of_the_events(concurrency, data, pace, seed):
    buffer, steps = data.draw(st.integers(1, concurrency)), 5
    watch = Watch(pace)
    trace = buffered(fedsgd(0.1), steps, concurrency=concurrency, buffer=buffer, duration=watch, seed=seed)
    times, who, ages = events(watch.begun, concurrency, buffer, steps)
    np.testing.assert_allclose(trace.time, [0.0, *times], rtol=1e-12)
    assert trace.clients.tolist() == who and trace.staleness.tolist() == ages
    assert trace.clients.shape == trace.staleness.shape == (steps, buffer)
    assert trace.staleness.dtype.kind == trace.clients.dtype.kind == "i"
    assert (trace.staleness >= 0).all() and (trace.staleness <= np.arange(steps)[:, None]).all()
    assert (np.diff(trace.time) >= 0).all() and len({client for client, _ in watch.begun[:concurrency]}) == concurrency


def test_a_slow_client_comes_late_and_old():
    """Two clients, one ten times as fast: it steps ten times before the other's first update, begun at the start."""
    trace = buffered(fedsgd(0.01), 11, clients=regressions([2, 2]), concurrency=2, buffer=1,
                     duration=lambda rng, client: (1.0, 9.5)[client])
    assert trace.time.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9.5, 10]
    assert trace.clients.ravel().tolist() == [0] * 9 + [1, 0] and trace.staleness.ravel().tolist() == [0] * 9 + [9, 1]


def test_everybody_is_drawn():
    """With one at work at a time, whoever is idle may be next, the last one included."""
    trace = buffered(fedsgd(0.01), 200, clients=[(np.ones((1, 3)), np.ones(1))] * 4, concurrency=1, buffer=1, every=500)
    who = trace.clients.ravel()
    counts = np.bincount(who, minlength=4)
    assert counts.min() > 30 and counts.max() < 72
    assert len({tuple(who[i : i + 4]) for i in range(197)}) > 40      # by chance, and not in turns


# ---- steps

def moved(i, w, lr):
    """How far client i gets in two steps from w."""
    return fine_tuned(squares, w, [regressions()[i]], 2, lr, seed=0)[0].numpy() - w


@pytest.mark.parametrize("weight, factor", [
    (ones, lambda s: 1.0), (inverse_root, lambda s: (1 + s) ** -0.5), (None, lambda s: (1 + s) ** -0.5),
    (lambda s: 3.0 * (s > 0), lambda s: 3.0 * (s > 0)),
], ids=["ones", "root", "default", "old alone"])
@pytest.mark.parametrize("server", [gradient_descent(1.0), adam(0.1), gradient_descent(2.0)], ids=str)
def test_a_step_is_the_weighted_sum_of_updates_from_where_each_began(weight, factor, server):
    """Weights by size sum to 1 over the buffer; those of age multiply them and are not divided out."""
    given = {} if weight is None else {"weight": weight}
    trace = buffered(fedavg(2, 0.1, server=server), 8, concurrency=4, buffer=3, duration=random_pace, seed=3, **given)
    assert trace.staleness.max() >= 1 and trace.staleness.min() == 0
    w, state = trace.w[0], server.init(trace.w[0])
    for t, (ids, ages) in enumerate(zip(trace.clients, trace.staleness)):
        sizes = np.array([SIZES[i] for i in ids])
        moves = [moved(i, trace.w[t - age], 0.1) for i, age in zip(ids, ages)]
        mean = (sizes / sizes.sum() * factor(ages)) @ np.array(moves)
        delta, state = server.update(-mean, state, w)
        w = w + delta
        np.testing.assert_allclose(trace.w[t + 1], w, rtol=1e-9, atol=1e-10)


def test_a_schedule_is_called_with_the_steps_made_when_a_client_began():
    rates = [0.1, 0.05, 0.02, 0.01, 0.004, 0.003]
    trace = buffered(fedavg(2, lambda t: rates[t]), 6, concurrency=4, weight=ones, seed=3)
    assert trace.staleness.max() >= 1
    for t, (ids, ages) in enumerate(zip(trace.clients, trace.staleness)):
        sizes = np.array([SIZES[i] for i in ids])
        moves = [moved(i, trace.w[t - age], rates[t - age]) for i, age in zip(ids, ages)]
        np.testing.assert_allclose(trace.w[t + 1], trace.w[t] + sizes / sizes.sum() @ np.array(moves), rtol=1e-10)
    np.testing.assert_allclose(trace.lr, rates, rtol=1e-15)


def test_the_seed_decides():
    first, again, other = (buffered(fedavg(3, 0.1, batch_size=2), seed=seed) for seed in (0, 0, 1))
    for name in ("w", "time", "clients", "staleness", "loss"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.w[-1] != other.w[-1]).any() and (first.time[1:] != other.time[1:]).all()


def test_batches_are_drawn_anew_each_time():
    """A server that stands still at first: the client goes from the same place twice, and ends elsewhere."""
    client = regressions([9])
    still = fedavg(2, 0.1, batch_size=2, server=gradient_descent(lambda t: 0.0 if t == 0 else 1.0))
    late = buffered(still, 2, clients=client, concurrency=1, buffer=1).w
    early = buffered(fedavg(2, 0.1, batch_size=2), 1, clients=client, concurrency=1, buffer=1).w
    assert (late[1] == 1).all() and (late[2] != early[1]).any()


def test_no_two_pieces_of_work_share_an_order_of_samples(monkeypatch):
    used, batch_rows = [], ClientData.batch_rows

    def noting(self, ids, steps, batch_size, seeds):
        used.extend(map(int, seeds))
        return batch_rows(self, ids, steps, batch_size, seeds)

    monkeypatch.setattr(ClientData, "batch_rows", noting)
    algorithm = fedavg(1, lambda t: 0.1 / (1 + t), batch_size=2)      # a block for each rate
    trace = buffered(algorithm, 8, concurrency=5, buffer=3)
    assert trace.staleness.max() >= 1 and len(used) == len(set(used)) == 24


def test_who_begins_is_chance():
    first = set()
    for seed in range(8):
        watch = Watch(alike)
        buffered(fedsgd(0.1), 1, duration=watch, concurrency=2, buffer=1, seed=seed)
        first.add(frozenset(client for client, _ in watch.begun[:2]))
    assert len(first) > 2


def test_what_is_given_is_left_alone_and_the_dtype_is_kept():
    clients, kept, w0 = regressions(), regressions(), np.ones(3, np.float32)
    trace = buffered(clients=clients, w0=w0)
    assert trace.w.dtype == np.float32 and (w0 == 1).all()
    for pair, before in zip(clients, kept):
        np.testing.assert_array_equal(pair[0], before[0])


# ---- what is recorded

def test_records_are_the_start_every_so_many_steps_and_the_end():
    whole, thin = buffered(steps=7), buffered(steps=7, every=3)
    assert isinstance(whole, BufferedTrace) and whole.step.tolist() == list(range(8)) and whole.lr.tolist() == [0.1] * 7
    assert thin.step.tolist() == [0, 3, 6, 7] and len(thin.lr) == 3 and thin.clients.shape == (7, 2)
    for name in ("w", "loss", "time"):
        np.testing.assert_array_equal(getattr(thin, name), getattr(whole, name)[thin.step])
    np.testing.assert_array_equal(thin.staleness, whole.staleness)
    losses = [((x @ whole.w[-1] - y) ** 2).mean() / 2 for x, y in regressions()]
    assert whole.loss[-1] == pytest.approx(np.average(losses, weights=SIZES), rel=1e-12)


def test_until_ends_the_run_and_its_end_is_recorded():
    asked = []

    def until(w):
        asked.append(w.clone())
        return len(asked) == 4

    trace = buffered(steps=9, every=3, until=until)
    assert trace.step.tolist() == [0, 3, 4] and len(asked) == 4 == len(trace.clients)
    np.testing.assert_array_equal(trace.w[-1], asked[-1])


# ---- modules

def test_running_variances_stay_positive_however_old_updates_are():
    """A fast client and slow ones whose features are far apart: plain sums of old changes would cross zero."""
    torch.manual_seed(0)
    loss = ModuleLoss(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2, momentum=0.9)).double())
    rng = np.random.default_rng(0)
    clients = [(rng.standard_normal((4, 2)) * scale, rng.integers(0, 2, 4)) for scale in (30.0, 0.01, 0.01, 0.01)]
    trace = buffered(fedavg(2, 1e-3), 25, loss=loss, w0=loss.start, clients=clients, concurrency=4, buffer=1,
                     duration=lambda rng, client: 1 + 3 * rng.random() * client)
    variances = trace.w[:, loss.parameters + 2 :]
    assert trace.staleness.max() >= 3 and (variances > 0).all() and np.ptp(np.log(variances), axis=0).min() > 1


@pytest.mark.parametrize("server", [gradient_descent(1.0), adam(0.1)], ids=str)
def test_buffers_near_those_of_the_clients_whatever_the_servers_rule(server):
    """b ← b + Σ pᵢ sᵢ (bᵢ − b), with the server's present b; parameters by what they moved since each began."""
    torch.manual_seed(0)
    loss = ModuleLoss(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2, momentum=0.5)).double())
    rng, P = np.random.default_rng(0), loss.parameters
    clients = [(rng.standard_normal((n, 2)) + n, rng.integers(0, 2, n)) for n in (2, 3, 5, 4)]
    algorithm = fedavg(2, 0.1, server=server)
    trace = buffered(algorithm, 6, loss=loss, w0=loss.start, clients=clients, concurrency=4, seed=1)
    assert trace.staleness.max() >= 1
    state = server.init(trace.w[0, :P])
    for t, (ids, ages) in enumerate(zip(trace.clients, trace.staleness)):
        sizes = np.array([len(clients[i][1]) for i in ids])
        share = sizes / sizes.sum() / np.sqrt(1 + ages)
        began, w = trace.w[t - ages], trace.w[t]
        ends = [fine_tuned(loss, start, [clients[i]], 2, 0.1, seed=0)[0] for i, start in zip(ids, began)]
        ends = torch.stack(ends).numpy()
        delta, state = server.update(-share @ (ends - began)[:, :P], state, w[:P])
        np.testing.assert_allclose(trace.w[t + 1, :P], w[:P] + delta, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(trace.w[t + 1, P:], w[P:] + share @ (ends[:, P:] - w[P:]), rtol=1e-9, atol=1e-9)
    values = [loss.evaluate(torch.tensor(trace.w[-1]), *map(torch.tensor, client)).item() for client in clients]
    assert trace.loss[-1] == pytest.approx(np.average(values, weights=[2, 3, 5, 4]), rel=1e-9)


# ---- misuse

@pytest.mark.parametrize("wrong, error, words", [
    ({"algorithm": scaffold(1, 0.1)}, ValueError, "algorithm must keep nothing at its clients, got scaffold"),
    ({"algorithm": adam(0.1)}, TypeError, "algorithm must be one such as fedavg"),
    ({"loss": None}, TypeError, "loss must be callable"),
    ({"loss": lambda w, x, y: (x @ w - y).square().sum()}, ValueError, "loss must be a mean over samples"),
    ({"loss": lambda w, x, y: squares(w, x, y) / 0.0}, ValueError, "w0 must have a finite loss"),
    ({"w0": np.ones((3, 1))}, ValueError, "w0 must be floats of shape"),
    ({"w0": np.full(3, np.nan)}, ValueError, "w0 must be finite"),
    ({"clients": []}, TypeError, "clients must be a list"),
    ({"clients": [(np.ones((0, 3)), np.ones(0))]}, ValueError, r"clients\[0\] must have as many x as y, at least one"),
    ({"steps": 0}, ValueError, "steps must be at least 1"),
    ({"steps": 1.5}, TypeError, "steps must be a whole number"),
    ({"seed": -1}, ValueError, "seed must be at least 0"),
    ({"seed": None}, TypeError, "seed must be a whole number"),
    ({"concurrency": 0}, ValueError, "concurrency must be at least 1"),
    ({"concurrency": 6}, ValueError, "concurrency must be at most 5, the clients, got 6"),
    ({"buffer": 0}, ValueError, "buffer must be at least 1"),
    ({"buffer": 4}, ValueError, "buffer must be at most 3, the concurrency, got 4"),
    ({"every": 0}, ValueError, "every must be at least 1"),
    ({"until": 1}, TypeError, "until must be a function or None"),
    ({"duration": 1.0}, TypeError, "duration must be a function, got 1.0"),
    ({"duration": lambda rng, client: 0.0}, ValueError, "duration must be finite and > 0"),
    ({"duration": lambda rng, client: np.nan}, ValueError, "duration must be finite"),
    ({"duration": lambda rng, client: None}, TypeError, "duration must be a number"),
    ({"weight": None}, TypeError, "weight must be a function, got None"),
    ({"weight": lambda staleness: -ones(staleness)}, ValueError, "weight must"),
    ({"weight": lambda staleness: ones(staleness) * np.nan}, ValueError, "weight must"),
    ({"weight": lambda staleness: np.ones(3)}, ValueError, "weight must"),
])
def test_wrong_arguments_are_named(wrong, error, words):
    with pytest.raises(error, match=words):
        buffered(**wrong)


# ---- divergence

def test_a_run_that_diverges_names_the_step_and_keeps_what_was():
    with pytest.raises(Divergence, match=r"diverged at step \d+: .*not finite.* A smaller lr may help") as caught:
        buffered(fedavg(4, 50.0), 80, w0=np.ones(3, np.float32), every=2)
    error = caught.value
    kept = error.trace
    assert isinstance(kept, BufferedTrace) and f"step {error.step}:" in str(error) and kept.step[-1] < error.step
    assert (kept.step % 2 == 0).all() and len(kept.lr) == len(kept.step) - 1 == len(kept.time) - 1
    assert np.isfinite(kept.w).all() and np.isfinite(kept.loss).all() and kept.clients.shape == (error.step, 2)


def test_a_loss_that_is_not_finite_ends_the_run_and_is_not_recorded():
    def runaway(w, x, y):
        return -(x * w.exp()).mean()

    with pytest.raises(Divergence, match="diverged at step 4") as caught:
        one = [(np.ones((1, 1)), np.ones(1))]
        buffered(fedsgd(1.0), 9, loss=runaway, w0=np.zeros(1, np.float32), clients=one, concurrency=1, buffer=1)
    assert caught.value.step == 4 and caught.value.trace.step.tolist() == [0, 1, 2, 3]
    assert np.isfinite(caught.value.trace.loss).all()
