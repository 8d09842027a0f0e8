"""A server that looks at every message, and runs in which clients fail: against the same without the bad messages."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_federated import by_hand, regressions, squares
from test_federated_modules import normed, people

from course_lib import Divergence, FederatedTrace, adam, fedavg, fedsgd, scaffold, simulate
from course_lib.federated import (
    Algorithm, ClientData, ErrorFeedback, Faults, Message, ModuleLoss, Server, local_updates, mean, median, qsgd, top_k,
    trimmed_mean,
)
from course_lib.federated.federation import Federation

F64, F32 = torch.float64, torch.float32
few = settings(max_examples=15)
ONE, TWO = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -1.0])
NAN = torch.tensor([0.0, float("nan")])


def server(clients=4, algorithm=None, D=2, dtype=F32, **more):
    """A server whose clients are alike, in its first round."""
    made = Server(torch.zeros(D, dtype=dtype), algorithm or fedavg(1, 0.1), [1] * clients, seed=0, **more)
    made.draw()
    return made


def ids_of(arrays):
    return [each.tolist() for each in arrays]


# ---- the server

def test_a_servers_round_is_the_mean_by_size_of_what_it_took():
    made = Server(torch.zeros(2), fedavg(1, 0.1), [1, 3, 5], seed=0)
    assert made.round == 0 and made.rate == 0.1
    ids, seeds = made.draw()
    assert ids.tolist() == [0, 1, 2] and len(seeds) == 3
    assert made.take([Message(1, 0, TWO), Message(0, 0, ONE)]) == [1, 0]
    torch.testing.assert_close(made.w, (ONE + 3 * TWO) / 4)
    assert made.round == 1 and ids_of(made.chosen) == [[0, 1, 2]]
    assert ids_of(made.missing) == [[2]] and made.refused == [[]] and made.missing[0].dtype.kind == "i"
    made.draw()
    assert made.take([Message(2, 1, ONE)]) == [2]
    torch.testing.assert_close(made.w, (ONE + 3 * TWO) / 4 + ONE)
    assert ids_of(made.missing) == [[2], [0, 1]] and made.refused == [[], []]


@pytest.mark.parametrize("message, reason, missing", [
    (Message(3, 0, ONE.double()), "malformed", []),
    (Message(3, 0, torch.ones(3)), "malformed", []),
    (Message(3, 0, ONE[None]), "malformed", []),
    (Message(3, 0, None), "malformed", []),
    (Message(3, 0, "ab"), "malformed", []),
    (Message(3, 0, np.ones(2, np.float32)), "malformed", []),
    (Message(3, 1, ONE), "stale", [3]),
    (Message(3, -1, ONE), "stale", [3]),
    (Message(3, -1, ONE[:1]), "malformed", [3]),
    (Message(3, -1, NAN), "stale", [3]),
    (Message(7, 0, ONE), "not asked", [3]),
    (Message(7, 0, NAN), "not asked", [3]),
    (Message(3, 0, NAN), "not finite", []),
    (Message(3, 0, NAN.nan_to_num(nan=np.inf)), "not finite", []),
    (Message(0, 0, TWO), "repeated", [3]),
    (Message(0, 0, NAN), "not finite", [3]),
    (Message(3, 0, 1e6 * ONE), "too large", []),
])
@pytest.mark.parametrize("last", [True, False])
def test_a_message_is_refused_for_its_reason_and_changes_no_bit(message, reason, missing, last):
    good = [Message(0, 0, ONE), Message(1, 0, TWO), Message(2, 0, ONE)]
    clean, made = server(limit=10.0), server(limit=10.0)
    clean.take(good)
    last = last or message.client == 0
    assert made.take([*good, message] if last else [message, *good]) == [0, 1, 2]
    assert made.refused == [[(message.client, reason)]] and ids_of(made.missing) == [missing]
    assert torch.equal(made.w, clean.w) and (made.w != 0).all() and made.round == 1


def test_who_was_not_drawn_is_not_asked():
    made = server(fraction=0.5)
    mine = made.chosen[-1].tolist()
    other = next(i for i in range(4) if i not in mine)
    assert made.take([Message(other, 0, ONE), Message(mine[0], 0, TWO)]) == mine[:1]
    assert made.refused == [[(other, "not asked")]] and torch.equal(made.w, TWO)
    assert ids_of(made.missing) == [mine[1:]]


@pytest.mark.parametrize("change, reason", [
    (None, "malformed"), (ONE[:1], "malformed"), (ONE.double(), "malformed"), (NAN, "not finite"),
    (1e9 * ONE, "too large"),
])
def test_what_scaffold_sends_besides_is_looked_at_too(change, reason):
    clean, made = (server(algorithm=scaffold(1, 0.1), limit=10.0) for _ in range(2))
    good = [Message(0, 0, ONE, TWO), Message(1, 0, ONE, ONE), Message(2, 0, TWO, ONE)]
    clean.take(good)
    assert made.take([*good, Message(3, 0, ONE, change)]) == [0, 1, 2]
    assert made.refused == [[(3, reason)]]
    assert torch.equal(made.w, clean.w) and torch.equal(made.shared, clean.shared)
    torch.testing.assert_close(made.shared, (TWO + 2 * ONE) / 4)      # of all clients, those that sent nothing too


def test_too_large_is_more_than_limit_times_the_median_of_those_that_passed():
    unit = torch.tensor([1.0, 0.0])

    def refused(lengths, limit, *others):
        made = server(clients=8, limit=limit)
        made.take([*(Message(i, 0, unit * length) for i, length in enumerate(lengths)), *others])
        return [i for i, reason in made.refused[0] if reason == "too large"]

    assert refused([1, 1, 1, 2, 2.01], 2) == [4]
    assert refused([1, 2, 3, 5], 2) == [3] and refused([1, 2, 3, 4], 2) == []       # of four the lower of the middle two
    assert refused([1e6, 1], 10) == [0] and refused([1e6], 10) == []                # of two, too; one alone is no measure
    assert refused([1, 1, 1, 2, 2.01], 1) == [3, 4]
    assert refused([1, 1, 1e30, 1e38, 1], 10) == [2, 3]        # squares would overflow
    assert refused([1e30, 1e30, 1e30, 1e32], 10) == [3]
    assert refused([1, 1, 1, 1e30], None) == []
    stale = [Message(i, 9, unit) for i in (5, 6, 7)]            # what is refused before counts for no median
    assert refused([5, 5, 20], 3, *stale) == [2] and refused([1, 20, 20], 3, *stale) == []


def test_the_last_hundred_that_came_are_a_measure_too():
    """Two rounds of sixty: the first twenty of all are forgotten; what was refused is remembered and wins in the end."""
    unit, made = torch.tensor([1.0, 0.0]), Server(torch.zeros(2), fedavg(1, 0.1), [1] * 60, seed=0, limit=2.0)

    def taken(*lengths):
        r, _ = made.round, made.draw()
        return made.take([Message(i, r, unit * length) for i, length in enumerate(lengths)])

    assert len(taken(*[1.0] * 20, *[2.0] * 40)) == 60        # the median of them is 2
    assert taken(4.1) == [] and taken(4.0) == [0]
    assert taken(*[4.1] * 30) == [] and made.refused[-1] == [(i, "too large") for i in range(30)]
    assert len(taken(*[4.1] * 30)) == 30                     # sixty-one of the last 122 are 4.1 or more
    assert len(taken(*[4.1] * 60)) == 60 and taken(8.3) == [] and taken(8.2) == [0]


def test_a_lasting_change_of_length_stops_a_run_for_a_while_only():
    """The clients' rate grows a hundredfold in round 4; nobody is bad."""
    faults = Faults(limit=10.0)
    trace = simulate(squares, np.ones(3), regressions(), fedavg(2, lambda r: 0.001 if r < 4 else 0.1), 30, 0, faults=faults)
    much = [len(refused) for refused in trace.refused]
    assert much[:4] == [0] * 4 and much[4] == 7 and sum(much[12:]) == 0 and trace.loss[-1] < 0.52


def test_below_the_quorum_nothing_happens_but_the_round_counts():
    asked = []
    made = server(algorithm=fedavg(1, lambda r: asked.append(r) or 0.1, server=adam(0.1)), quorum=3)
    start = made.w
    assert made.take([Message(0, 0, ONE), Message(1, 0, TWO), Message(2, 0, NAN)]) == []
    assert torch.equal(made.w, start) and made.round == 1 and made.rate == 0.1 and asked[-1] == 1
    assert ids_of(made.missing) == [[3]] and made.refused == [[(2, "not finite")]]
    made.draw()
    assert made.take([Message(i, 1, ONE) for i in range(3)]) == [0, 1, 2]
    torch.testing.assert_close(made.w, torch.full((2,), 0.1))       # Adam's first step, not its second
    made.draw()
    assert made.take([]) == [] and ids_of(made.missing)[-1] == [0, 1, 2, 3]


def test_quorum_counts_what_is_left_after_the_too_large():
    made = server(quorum=4, limit=10.0)
    assert made.take([Message(i, 0, ONE * (1e6 if i == 3 else 1)) for i in range(4)]) == []
    assert (made.w == 0).all() and made.refused == [[(3, "too large")]]


def test_another_aggregate_gets_the_accepted_updates():
    got = []
    made = server(aggregate=lambda updates: got.append(updates) or updates[0])
    made.take([Message(2, 0, TWO), Message(3, 0, NAN), Message(1, 0, ONE)])
    assert got[0].tolist() == [TWO.tolist(), ONE.tolist()] and torch.equal(made.w, TWO)


def test_buffers_are_averaged_past_the_servers_rule():
    made = Server(torch.zeros(3), fedavg(1, 0.1, server=adam(0.5)), [1, 1], seed=0, buffers=1)
    made.draw()
    made.take([Message(0, 0, torch.tensor([1.0, -2.0, 3.0])), Message(1, 0, torch.tensor([1.0, -2.0, 5.0]))])
    torch.testing.assert_close(made.w, torch.tensor([0.5, -0.5, 4.0]))


@pytest.mark.parametrize("wrong, error, words", [
    ({"algorithm": fedavg}, TypeError, "algorithm must be one such as fedavg"),
    ({"aggregate": "mean"}, TypeError, "aggregate must be a function, got 'mean'"),
    ({"privacy": 1.0}, TypeError, "privacy must be a ClientPrivacy or None, got 1.0"),
    ({"seed": -1}, ValueError, "seed must be at least 0"),
    ({"fraction": 0.0}, ValueError, "fraction must be finite and > 0 and <= 1"),
    ({"limit": 0.5}, ValueError, "limit must be finite and >= 1, got 0.5"),
    ({"limit": "no"}, TypeError, "limit must be a number"),
    ({"quorum": 0}, ValueError, "quorum must be at least 1, got 0"),
])
def test_wrong_arguments_of_a_server_are_named(wrong, error, words):
    with pytest.raises(error, match=words):
        Server(**{"w": torch.zeros(2), "algorithm": fedavg(1, 0.1), "sizes": [1, 1], "seed": 0, **wrong})


# ---- runs, watched

@pytest.fixture
def messages(monkeypatch):
    """All that servers get: for each round the messages, in order."""
    got, take = [], Server.take

    def watched(self, messages):
        got.append(list(messages))
        return take(self, messages)

    monkeypatch.setattr(Server, "take", watched)
    return got


def accepted_of(trace):
    """Who was taken in each round: those drawn that neither are missing nor were refused, but for a second message."""
    out = []
    for ids, missing, refused in zip(trace.chosen, trace.missing, trace.refused):
        lost = {i for i, reason in refused if reason not in ("repeated", "stale")}
        out.append([i for i in ids.tolist() if i not in lost and i not in missing])
    return out


def replayed(trace, messages, algorithm, clients, seed, w0, **more):
    """The path of a server that gets the accepted messages alone, each once, and looks at nothing."""
    made = Server(torch.tensor(w0), algorithm, [len(y) for _, y in clients], seed, **more)
    path = [w0]
    for r, (sent, taken) in enumerate(zip(messages, accepted_of(trace))):
        made.draw()
        good = {}
        for message in sent:
            if message.round == r and message.client in taken:
                good.setdefault(message.client, message)
        assert made.take(list(good.values())) == taken and made.refused[-1] == []
        path.append(made.w.numpy())
    return np.array(path)


FATES = {
    "nan": ({"bad": [1, 4], "kinds": ["nan"]}, "not finite"),
    "huge": ({"bad": [1, 4], "kinds": ["huge"]}, "too large"),
    "stale": ({"bad": [1, 4], "kinds": ["stale"]}, "stale"),
    "repeated": ({"bad": [1, 4], "kinds": ["repeated"]}, "repeated"),
    "an attack of another shape": ({"bad": [1, 4], "kinds": [lambda own, everyone: own[:2]]}, "malformed"),
}
ALGORITHMS = {
    "fedavg": (lambda: fedavg(3, 0.05), {}),
    "scaffold": (lambda: scaffold(3, 0.05), {"controls": True}),
    "adam": (lambda: fedavg(3, 0.05, server=adam(0.1)), {"server": adam(0.1)}),
}
algorithms = pytest.mark.parametrize("make, options", ALGORITHMS.values(), ids=ALGORITHMS)


@algorithms
@pytest.mark.parametrize("faults, reason", FATES.values(), ids=FATES)
def test_what_each_kind_sends_is_refused_for_its_reason_and_averaged_nowhere(make, options, faults, reason, messages):
    """The run is that of a loop in NumPy over the accepted clients, and of a server that got nothing else, to the bit."""
    clients, algorithm = regressions(), make()
    trace = simulate(squares, np.ones(3), clients, algorithm, 4, seed=0, fraction=0.85, faults=Faults(**faults))
    for ids, missing, refused, taken in zip(trace.chosen, trace.missing, trace.refused, accepted_of(trace)):
        bad = [i for i in ids.tolist() if i in (1, 4)]
        assert sorted(refused) == [(i, reason) for i in bad]
        assert missing.tolist() == (bad if reason == "stale" else [])
        assert taken == [i for i in ids.tolist() if i not in bad or reason == "repeated"]
    assert {i for ids in trace.chosen for i in ids.tolist()} == set(range(7))
    expected = by_hand(clients, np.ones(3), 3, 0.05, accepted_of(trace), **options)
    np.testing.assert_allclose(trace.w, expected, rtol=1e-9, atol=1e-11)
    same = replayed(trace, messages, algorithm, clients, 0, np.ones(3), fraction=0.85)
    np.testing.assert_array_equal(trace.w, same)


@algorithms
def test_who_drops_out_sends_nothing_and_keeps_nothing(make, options):
    clients, algorithm = regressions(), make()
    trace = simulate(squares, np.ones(3), clients, algorithm, 6, seed=3, faults=Faults(drop=0.4))
    gone = [set(ids.tolist()) for ids in trace.missing]
    assert all(refused == [] for refused in trace.refused) and len({len(each) for each in gone}) > 1
    assert any(gone) and not all(len(each) == 7 for each in gone)
    expected = by_hand(clients, np.ones(3), 3, 0.05, accepted_of(trace), **options)
    np.testing.assert_allclose(trace.w, expected, rtol=1e-9, atol=1e-11)
    vectors = 2 if options.get("controls") else 1
    came = np.cumsum([0, *(7 - len(each) for each in gone)])
    np.testing.assert_array_equal(trace.upload, came * 3 * 8 * vectors)
    np.testing.assert_array_equal(trace.download, np.arange(7) * 7 * 3 * 8 * vectors)


@algorithms
def test_who_is_late_is_missing_now_and_stale_in_the_next_round(make, options, messages):
    clients, algorithm = regressions(), make()
    trace = simulate(squares, np.ones(3), clients, algorithm, 6, seed=1, fraction=0.6, faults=Faults(late=0.3))
    late = [ids.tolist() for ids in trace.missing]
    assert trace.refused == [[(i, "stale") for i in before] for before in [[], *late[:-1]]]
    assert sum(map(len, late[:-1])) >= 3
    again = [i for before, ids in zip(late, trace.chosen[1:]) for i in before if i in ids]
    assert again        # a late client may be drawn again, and be taken in the same round
    expected = by_hand(clients, np.ones(3), 3, 0.05, accepted_of(trace), **options)
    np.testing.assert_allclose(trace.w, expected, rtol=1e-9, atol=1e-11)
    assert [m.round for m in messages[3]][: len(late[2])] == [2] * len(late[2])     # with its old round, and first
    vectors = 2 if options.get("controls") else 1
    assert trace.upload[-1] == 6 * 4 * 3 * 8 * vectors      # sent when it is sent


def test_stale_clients_worked_on_the_parameters_of_the_round_before(messages):
    clients = regressions()
    data = ClientData(clients, like=torch.zeros(1, dtype=F64))
    faults = Faults(bad=[0, 1], kinds=["stale"])
    trace = simulate(squares, np.ones(3), clients, fedavg(2, 0.05), 4, seed=0, faults=faults)
    for r, sent in enumerate(messages):
        assert [(m.client, m.round) for m in sent] == [(0, r - 1), (1, r - 1), *((i, r) for i in range(2, 7))]
        for message in sent:
            start = trace.w[max(0, r - 1) if message.client < 2 else r]
            ids = np.array([message.client])
            expected = local_updates(squares, data, fedavg(2, 0.05), torch.tensor(start), ids, 0.05, [0])[0]
            torch.testing.assert_close(message.update, expected, rtol=1e-10, atol=1e-13)


def test_nan_stands_in_one_number_and_huge_is_a_million_times_and_both_spoil_the_controls_too(messages):
    given = (squares, np.ones(3), regressions(), scaffold(2, 0.05), 1)
    for faults in (Faults(limit=None), Faults(bad=[2], kinds=["nan"]), Faults(bad=[2], kinds=["huge"])):
        simulate(*given, seed=0, faults=faults)
    right, nan, huge = ([sent[2].update, sent[2].change] for sent in messages)
    for a, b, c in zip(right, nan, huge):
        assert b.isnan().tolist() == [True, False, False] and torch.equal(a[1:], b[1:])
        torch.testing.assert_close(c, 1e6 * a, rtol=1e-14, atol=0)
    for sent in messages[1:]:
        assert [torch.equal(a.update, b.update) for a, b in zip(messages[0], sent)] == [i != 2 for i in range(7)]


# ---- everything at once

@pytest.mark.parametrize("how", [
    {}, {"compress": ErrorFeedback(top_k(1))}, {"compress": qsgd(4)}, {"aggregate": median}, {"block": 3},
    {"aggregate": lambda u: trimmed_mean(u, 1) if len(u) > 2 else median(u), "compress": top_k(2)},
], ids=["plain", "top_k", "qsgd", "median", "blocks", "trimmed, top_k"])
@algorithms
def test_every_client_drawn_is_accepted_once_or_missing_or_refused(make, options, how, messages):
    """A fifth drops out, a tenth is late, three in ten are bad in all ways: every message is accounted for."""
    rng = np.random.default_rng(0)
    clients = [(rng.standard_normal((n, 3)), rng.standard_normal(n)) for n in rng.integers(1, 8, 20)]
    faults = Faults(drop=0.2, late=0.1, bad=0.3)
    given = {"seed": 5, "fraction": 0.8, "faults": faults, **how}
    trace = simulate(squares, np.ones(3), clients, make(), 10, **given)
    assert len(trace.chosen) == len(trace.missing) == len(trace.refused) == len(messages) == 10
    reasons, late = [], []
    for r, (ids, missing, refused, sent, taken) in enumerate(
        zip(trace.chosen, trace.missing, trace.refused, messages, accepted_of(trace))
    ):
        assert len(sent) == len(taken) + len(refused)
        mine = [reason for reason in refused if reason[1] in ("not finite", "too large")]
        parts = [*taken, *missing.tolist(), *(i for i, _ in mine)]
        assert sorted(parts) == ids.tolist()
        stale = sorted(m.client for m in sent if m.round != r)
        assert stale == sorted(i for i, reason in refused if reason == "stale")
        assert stale[: len(late)] == late or set(late) <= set(stale)
        counted = [m.client for m in sent if m.round == r]
        twice = {i for i in counted if counted.count(i) == 2}
        assert sorted(i for i, reason in refused if reason == "repeated") == sorted(twice)
        assert set(ids.tolist()) - set(counted) == set(missing.tolist())
        reasons += [reason for _, reason in refused]
    assert set(reasons) == {"not finite", "too large", "stale", "repeated"}
    more = {"aggregate": how["aggregate"]} if "aggregate" in how else {}
    same = replayed(trace, messages, make(), clients, 5, np.ones(3), fraction=0.8, **more)
    np.testing.assert_array_equal(trace.w, same)
    assert trace.loss[-1] < trace.loss[0] and np.isfinite(trace.w).all()
    if not how:
        expected = by_hand(clients, np.ones(3), 3, 0.05, accepted_of(trace), **options)
        np.testing.assert_allclose(trace.w, expected, rtol=1e-8, atol=1e-10)
    again = simulate(squares, np.ones(3), clients, make(), 10, **given)
    np.testing.assert_array_equal(again.w, trace.w)
    assert again.refused == trace.refused and ids_of(again.missing) == ids_of(trace.missing)
    other = simulate(squares, np.ones(3), clients, make(), 2, **{**given, "seed": 6})
    assert other.refused != trace.refused[:2]


def federation(algorithm, faults, compress=None, seed=0, **more):
    w = torch.ones(3, dtype=F64)
    data = ClientData(regressions(), like=w)
    made = Server(w, algorithm, data.sizes, seed, limit=faults.limit, quorum=faults.quorum, **more)
    return Federation(squares, data, made, compress=compress, faults=faults)


@pytest.mark.parametrize("faults", [
    Faults(drop=0.3, late=0.1, bad=0.4), Faults(bad=[0, 3], kinds=[lambda own, everyone: -own]),
    Faults(drop=0.4, quorum=5),
], ids=["all kinds", "attack", "quorum"])
def test_scaffolds_shared_is_the_mean_of_what_clients_keep(faults):
    run = federation(scaffold(2, 0.05), faults, fraction=0.8)
    for _ in range(12):
        own = run.own.clone()
        run.round()
        torch.testing.assert_close(run.server.shared, run.own.mean(0), rtol=1e-11, atol=1e-13)
        trace = run.trace()
        changed = np.flatnonzero((run.own != own).any(1)).tolist()
        taken = accepted_of(trace)[-1]
        assert changed == (taken if len(taken) >= faults.quorum else [])


@pytest.mark.parametrize("faults", [Faults(drop=0.3, late=0.2, bad=0.4), Faults(drop=0.4, quorum=5)],
                         ids=["all kinds", "quorum"])
def test_only_those_that_were_accepted_change_their_memory(faults, messages):
    """What arrived and was taken, and the memory, are all updates of the rounds in which it was taken."""
    run = federation(fedsgd(0.05), faults, ErrorFeedback(top_k(1)), fraction=0.8)
    clients, wanted, arrived = regressions(), np.zeros((7, 3)), np.zeros((7, 3))
    short = 0
    for r in range(14):
        start, kept = run.server.w.numpy(), run.memory.clone()
        run.round()
        taken = accepted_of(run.trace())[-1]
        if len(taken) < faults.quorum:
            short, taken = short + 1, []
        assert np.flatnonzero((run.memory != kept).any(1)).tolist() == taken
        first = {m.client: m.update.numpy() for m in reversed(messages[r]) if m.round == r}
        for i in taken:
            x, y = clients[i]
            wanted[i] -= 0.05 * x.T @ (x @ start - y) / len(y)
            arrived[i] += first[i]
    assert short >= 2 or faults.quorum == 1
    np.testing.assert_allclose(arrived + run.memory.numpy(), wanted, rtol=1e-11, atol=1e-13)


def test_bytes_are_counted_when_they_are_sent():
    """Nothing of who drops out, twice of who repeats itself."""
    def sent(faults, compress=None):
        return simulate(squares, np.ones(3), regressions(), fedsgd(0.05), 2, seed=0, faults=faults, compress=compress).upload

    assert sent(Faults(limit=None)).tolist() == [0, 7 * 24, 14 * 24]
    assert sent(Faults(bad=[1, 4], kinds=["repeated"])).tolist() == [0, 9 * 24, 18 * 24]
    assert sent(Faults(bad=[1, 4], kinds=["nan"])).tolist() == [0, 7 * 24, 14 * 24]
    assert sent(Faults(bad=[1, 4], kinds=["repeated"]), top_k(2)).tolist() == [0, 9 * 17, 18 * 17]


def test_bytes_are_those_of_each_message_of_its_own_length():
    """QSGD's messages differ in length; each client's is packed again, from its own step."""
    clients, w, faults = regressions(D=40), np.ones(40), Faults(drop=0.4, limit=None)
    trace = simulate(squares, w, clients, fedsgd(0.05), 1, seed=4, faults=faults, compress=qsgd(9))
    ids, seeds = Server(torch.ones(40), fedsgd(0.05), [1] * 7, 4).draw()
    sizes = []
    for i, seed in zip(ids, seeds):
        x, y = clients[i]
        sizes.append(len(qsgd(9).pack(torch.tensor(-0.05 * x.T @ (x @ w - y) / len(y)), seed)))
    assert len(set(sizes)) > 1 and 0 < len(trace.missing[0]) < 7
    assert trace.upload[-1] == sum(size for i, size in zip(ids, sizes) if i not in trace.missing[0])


def test_what_scaffold_sends_and_keeps_of_buffers_is_zero(messages):
    loss = ModuleLoss(normed())
    data = ClientData(people(), like=loss.start)
    made = Server(loss.start, scaffold(2, 0.1), data.sizes, 0, buffers=loss.buffers)
    run = Federation(loss, data, made, faults=Faults())
    run.round()
    P = loss.parameters
    assert (run.own[:, P:] == 0).all() and (run.own[:, :P] != 0).any() and (made.shared[P:] == 0).all()
    assert all((message.change[P:] == 0).all() and (message.update[P:] != 0).any() for message in messages[0])


def test_below_the_quorum_a_run_stands_still():
    run = simulate(squares, np.ones(3), regressions(), scaffold(2, 0.05), 3, seed=0,
                   faults=Faults(bad=[0, 1, 2], kinds=["nan"], quorum=5))
    assert (run.w == 1).all() and run.step.tolist() == [0, 1, 2, 3]
    assert run.refused == [[(0, "not finite"), (1, "not finite"), (2, "not finite")]] * 3
    assert run.upload.tolist() == [0, *(7 * 2 * 24 * r for r in (1, 2, 3))]
    enough = simulate(squares, np.ones(3), regressions(), scaffold(2, 0.05), 3, seed=0,
                      faults=Faults(bad=[0, 1, 2], kinds=["nan"], quorum=4))
    assert (enough.w[1:] != 1).any(1).all()


def test_all_may_drop_out_of_a_round():
    faults = Faults(drop=0.7, late=0.3)
    trace = simulate(squares, np.ones(3), regressions([2, 3]), fedavg(2, 0.05), 12, seed=0, faults=faults)
    moved = np.abs(np.diff(trace.w, axis=0)).max(1) > 0
    assert (moved == [len(taken) > 0 for taken in accepted_of(trace)]).all() and 0 < moved.sum() < 12


# ---- no faults

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("algorithm", [fedavg(3, 0.05, batch_size=2), fedavg(2, 0.05, server=adam(0.1))],
                         ids=["batches", "adam"])
@pytest.mark.parametrize("how", [{}, {"compress": ErrorFeedback(top_k(1))}], ids=["plain", "top_k"])
def test_no_faults_change_no_bit_where_the_order_of_the_sum_is_the_same(algorithm, dtype, how):
    """Clients of one size are one block, summed in order, as the server sums messages."""
    clients = regressions([4] * 6)
    plain = simulate(squares, np.ones(3, dtype), clients, algorithm, 5, seed=0, fraction=0.7, **how)
    looked = simulate(squares, np.ones(3, dtype), clients, algorithm, 5, 0, 0.7, faults=Faults(limit=None), **how)
    np.testing.assert_array_equal(looked.w, plain.w)
    np.testing.assert_array_equal(looked.upload, plain.upload)
    np.testing.assert_array_equal(looked.download, plain.download)
    assert plain.refused == looked.refused == [[]] * 5
    assert ids_of(plain.missing) == ids_of(looked.missing) == [[]] * 5


@pytest.mark.parametrize("aggregate", [mean, median], ids=["mean", "median"])
@pytest.mark.parametrize("algorithm", [fedavg(3, 0.05), scaffold(3, 0.05)], ids=["fedavg", "scaffold"])
@pytest.mark.parametrize("block", [1, 2, 256])
def test_no_faults_change_nothing_but_the_order_of_sums(aggregate, algorithm, block):
    """Blocks go by length: the mean over blocks, and SCAFFOLD's sum of changes, add up in another order."""
    given = {"seed": 0, "fraction": 0.7, "aggregate": aggregate, "block": block}
    plain = simulate(squares, np.ones(3), regressions(), algorithm, 5, **given)
    looked = simulate(squares, np.ones(3), regressions(), algorithm, 5, faults=Faults(limit=None), **given)
    np.testing.assert_allclose(looked.w, plain.w, rtol=1e-13, atol=1e-14)
    if aggregate is median and algorithm.by_size:
        np.testing.assert_array_equal(looked.w, plain.w)


# ---- attacks

def test_an_attack_sends_what_it_makes_of_all_updates():
    """Two of seven clients send minus the sum of all, and are taken; the median hears them once each."""
    clients, w = regressions(), np.ones(3)
    seen = []

    def attack(own, everyone):
        seen.append((own.clone(), everyone.clone()))
        return -everyone.sum(0).numpy()

    for aggregate, rule in ((mean, None), (median, lambda u: np.median(u, axis=0))):
        seen.clear()
        faults = Faults(bad=[1, 5], kinds=[attack], limit=None)
        trace = simulate(squares, w, clients, fedsgd(0.05), 1, seed=0, aggregate=aggregate, faults=faults)
        moves = np.stack([by_hand(clients, w, 1, 0.05, [[i]])[1] - w for i in range(7)])
        for (own, everyone), i in zip(seen, (1, 5)):
            np.testing.assert_allclose(own, moves[i], rtol=1e-12)
            np.testing.assert_allclose(everyone, moves, rtol=1e-12)
        assert len(seen) == 2 and trace.refused == [[]]
        moves[[1, 5]] = -moves.sum(0)
        step = np.average(moves, axis=0, weights=[len(y) for _, y in clients]) if rule is None else rule(moves)
        np.testing.assert_allclose(trace.w[1] - w, step, rtol=1e-12)


def test_an_attacker_knows_of_others_what_they_send():
    seen = []
    faults = Faults(bad=[2], kinds=[lambda own, everyone: seen.append((own, everyone)) or own])
    simulate(squares, np.ones(3), regressions(), fedsgd(0.05), 1, seed=0, compress=top_k(1), faults=faults)
    ((own, everyone),) = seen
    assert ((everyone != 0).sum(1) == 1).all() and torch.equal(own, everyone[2])


def test_what_an_attacker_of_scaffold_keeps_and_says_of_it_is_right():
    """It lies about its update alone: in the first round the mean has two signs turned, and z is as without it."""
    plain, turned = (
        federation(scaffold(2, 0.05), Faults(bad=bad, kinds=[lambda own, everyone: -own], limit=None))
        for bad in ([], [1, 5])
    )
    for run in (plain, turned):
        run.round()
    assert turned.server.refused == [[]]
    torch.testing.assert_close(turned.own, plain.own, rtol=0, atol=0)
    torch.testing.assert_close(turned.server.shared, plain.server.shared, rtol=0, atol=0)
    moves = np.stack([by_hand(regressions(), np.ones(3), 2, 0.05, [[i]])[1] - 1 for i in range(7)])
    moves[[1, 5]] *= -1
    np.testing.assert_allclose(turned.server.w, 1 + moves.mean(0), rtol=1e-12)


@pytest.mark.parametrize("attack, reason", [
    (lambda own, everyone: own * np.nan, "not finite"), (lambda own, everyone: everyone, "malformed"),
    (lambda own, everyone: 1e9 * own, "too large"),
])
def test_an_attack_that_can_be_told_is_refused(attack, reason):
    trace = simulate(squares, np.ones(3), regressions(), fedsgd(0.05), 2, seed=0, faults=Faults(bad=[3], kinds=[attack]))
    assert trace.refused == [[(3, reason)]] * 2


def test_a_robust_rule_withstands_what_the_server_cannot_tell():
    """Six of twenty send minus thrice the right update: the mean stands nearly still, the median goes on."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 6, 3))
    clients = [(each, each @ np.array([1.0, -2.0, 3.0]) + 0.1 * rng.standard_normal(6)) for each in x]
    faults = Faults(bad=0.3, kinds=[lambda own, everyone: -3 * everyone.mean(0)])
    plain, robust = (
        simulate(squares, np.zeros(3), clients, fedavg(3, 0.1), 30, 0, aggregate=rule, faults=faults, every=30).w[-1]
        for rule in (mean, median)
    )
    assert np.abs(robust - [1, -2, 3]).max() < 0.3 < 1 < np.abs(plain - [1, -2, 3]).max()


# ---- who, and how often

@few
@given(st.integers(0, 1000), st.integers(1, 40), st.floats(0, 1))
def test_a_share_of_the_clients_is_bad_and_stays_so(seed, clients, share):
    bad = Faults(bad=share).bad_clients(clients, seed)
    assert bad.shape == (clients,) and bad.dtype == bool and bad.sum() == round(share * clients)
    assert (Faults(bad=share, drop=0.5).bad_clients(clients, seed) == bad).all()


def test_who_is_bad_is_drawn_by_the_seed_or_given():
    drawn = {tuple(Faults(bad=0.3).bad_clients(20, seed)) for seed in range(20)}
    assert len(drawn) > 15
    counts = np.sum([Faults(bad=0.3).bad_clients(20, seed) for seed in range(400)], axis=0)
    assert np.abs(counts - 120).max() < 4.5 * np.sqrt(400 * 0.3 * 0.7)
    for given_ids in ([1, 4], (4, 1), np.array([1, 4])):
        faults = Faults(bad=given_ids)
        assert faults.bad_clients(6, 3).tolist() == [False, True, False, False, True, False]
    assert not Faults(bad=[]).bad_clients(6, 0).any() and not Faults().bad_clients(6, 0).any()
    assert Faults(bad=[0]).bad_clients(2, 0).tolist() == [True, False]     # a list of one is no share
    assert Faults(bad=1).bad_clients(3, 0).all()


def test_fates_come_as_often_as_their_chances_say():
    many = 20_000
    bad = np.arange(many) % 2 == 0
    fates = np.array(Faults(drop=0.2, late=0.3, bad=0.5).fates(np.arange(many), bad, np.random.default_rng(0)))

    def near(these, among, p):
        n = among.sum()
        return abs((these & among).sum() - n * p) < 4.5 * np.sqrt(n * p * (1 - p))

    whole, lost, late = np.ones(many, bool), fates == "lost", fates == "late"
    assert near(lost, whole, 0.2) and near(late, ~lost, 0.3) and near(lost, bad, 0.2) and near(late, bad & ~lost, 0.3)
    rest = ~lost & ~late
    assert (fates[rest & ~bad] == "right").all() and not (fates[bad] == "right").any()
    for kind in ("nan", "huge", "stale", "repeated"):
        assert near(fates == kind, rest & bad, 0.25)
    some = Faults(drop=0.2).fates(np.array([5, 1]), np.array([False, True] * 3), np.random.default_rng(1))
    assert some[0] != "right" and some[1] != "right"     # clients 5 and 1 are bad, whatever their places


def test_each_round_has_fates_of_its_own():
    trace = simulate(squares, np.ones(3), regressions([2] * 10), fedsgd(0.05), 6, seed=0, faults=Faults(drop=0.5))
    assert len({tuple(each) for each in ids_of(trace.missing)}) >= 5
    other = simulate(squares, np.ones(3), regressions([2] * 10), fedsgd(0.05), 6, seed=1, faults=Faults(drop=0.5))
    assert ids_of(trace.missing)[1:] != ids_of(other.missing)[:-1] and ids_of(trace.missing) != ids_of(other.missing)


# ---- divergence

def test_a_round_of_nothing_finite_ends_the_run_and_keeps_the_trace():
    away = [(np.full((2, 1), 10.0), np.ones(2))] * 4
    with pytest.raises(Divergence, match="diverged in round 1: no client's update is finite; last recorded loss") as caught:
        simulate(squares, np.zeros(1, np.float32), away, fedavg(30, 1.0), 9, seed=0, faults=Faults(drop=0.2, late=0.2))
    assert caught.value.step == 1 and isinstance(caught.value.trace, FederatedTrace)
    assert np.isfinite(caught.value.trace.w).all() and len(caught.value.trace.chosen) == caught.value.step
    assert caught.value.trace.step.tolist() == [0] and len(caught.value.trace.refused[0] + list(caught.value.trace.missing[0])) == 4


@pytest.mark.parametrize("faults", [
    Faults(bad=[0, 1, 2], kinds=["nan"], quorum=7), Faults(bad=1.0, kinds=["stale"]), Faults(drop=0.999),
    Faults(bad=1.0, kinds=[lambda own, everyone: own[:1]]), Faults(bad=1.0, kinds=["nan"]),
], ids=["quorum", "stale", "nobody", "malformed", "all send NaN"])
def test_a_round_without_a_step_ends_no_run_while_clients_work_is_finite(faults):
    trace = simulate(squares, np.ones(3), regressions(), fedsgd(0.05), 3, seed=0, faults=faults)
    assert (trace.w == 1).all() and len(trace.refused) == 3


def test_one_client_that_diverges_is_refused_and_the_others_go_on():
    clients = [(np.full((2, 1), h), np.ones(2)) for h in (1.0, 1.0, 1e3, 1.0)]
    trace = simulate(squares, np.zeros(1, np.float32), clients, fedavg(20, 0.5), 9, seed=0, faults=Faults())
    assert trace.refused == [[(2, "not finite")]] * 9 and trace.w[-1] == pytest.approx(1.0, abs=1e-3)


def test_a_step_that_is_not_finite_ends_a_run_with_faults_too():
    with pytest.raises(Divergence, match="diverged in round 1: the server's step is not finite"):
        simulate(squares, np.ones(3), regressions(), fedsgd(0.05), 3, 0, faults=Faults(),
                 aggregate=lambda updates: updates[0] * np.nan)


def test_an_algorithm_of_ones_own_keeps_what_was_accepted():
    def direction(g, d, own, shared):
        return 1 + 0 * g

    def renew(d, own, shared, distance):
        return own + distance

    sums = Algorithm("sums", {}, 1, 0.1, None, fedavg(1, 0.1).server, False, direction, renew)
    run = federation(sums, Faults(drop=0.5))
    for _ in range(5):
        run.round()
    counts = np.bincount(np.concatenate(accepted_of(run.trace())), minlength=7)
    np.testing.assert_allclose(run.own[:, 0], 0.1 * counts, rtol=1e-12)
    np.testing.assert_allclose(run.server.shared[0], 0.1 * counts.mean(), rtol=1e-12)


# ---- misuse

@pytest.mark.parametrize("wrong, error, words", [
    ({"drop": 1.0}, ValueError, "drop must be finite and >= 0 and < 1, got 1.0"),
    ({"drop": -0.1}, ValueError, "drop must be"),
    ({"drop": None}, TypeError, "drop must be a number"),
    ({"late": 1.0}, ValueError, "late must be finite and >= 0 and < 1, got 1.0"),
    ({"late": np.nan}, ValueError, "late must be"),
    ({"bad": 1.1}, ValueError, "bad must be finite and >= 0 and <= 1, got 1.1"),
    ({"bad": True}, TypeError, "bad must be a number, got True"),
    ({"bad": "all"}, TypeError, "bad must be a number, got 'all'"),
    ({"bad": [0.5]}, TypeError, "bad must be a whole number, got 0.5"),
    ({"bad": [-1]}, ValueError, "bad must be at least 0, got -1"),
    ({"kinds": "nan"}, TypeError, "kinds must be a list of names and functions, got 'nan'"),
    ({"kinds": []}, TypeError, r"kinds must be a list of names and functions, got \[\]"),
    ({"kinds": None}, TypeError, "kinds must be a list of names and functions, got None"),
    ({"kinds": len}, TypeError, "kinds must be a list of names and functions"),
    ({"kinds": ["nan", "evil"]}, ValueError, "kinds must be one of 'nan', 'huge', 'stale', 'repeated', got 'evil'"),
    ({"kinds": [None]}, ValueError, "kinds must be one of .* got None"),
    ({"limit": 0.9}, ValueError, "limit must be finite and >= 1, got 0.9"),
    ({"limit": np.inf}, ValueError, "limit must be finite"),
    ({"quorum": 0}, ValueError, "quorum must be at least 1, got 0"),
    ({"quorum": 1.5}, TypeError, "quorum must be a whole number"),
])
def test_wrong_arguments_of_faults_are_named(wrong, error, words):
    with pytest.raises(error, match=words):
        Faults(**wrong)


@pytest.mark.parametrize("faults, error, words", [
    (Faults, TypeError, r"faults must be Faults\(...\) or None, got <class"),
    (0.2, TypeError, r"faults must be Faults\(...\) or None, got 0.2"),
    (Faults(bad=[0, 7]), ValueError, "bad must be below 7, the number of clients, got 7"),
])
def test_wrong_faults_of_a_simulation_are_named(faults, error, words):
    with pytest.raises(error, match=words):
        simulate(squares, np.ones(3), regressions(), fedsgd(0.1), 1, seed=0, faults=faults)
    simulate(squares, np.ones(3), regressions(), fedsgd(0.1), 1, seed=0, faults=Faults(bad=[0, 6]))


def test_faults_compare_by_what_they_say():
    assert Faults(bad=[1, 2]) == Faults(bad=(1, 2)) != Faults(bad=[1]) and Faults(kinds=["nan"]).kinds == ("nan",)


@pytest.mark.parametrize("nothing", [None, "own", object()])
def test_an_attack_must_return_numbers(nothing):
    faults = Faults(bad=[0], kinds=[lambda own, everyone: nothing])
    with pytest.raises(TypeError, match="kinds must hold attacks that return a tensor"):
        simulate(squares, np.ones(3), regressions(), fedsgd(0.05), 1, seed=0, faults=faults)


def test_an_attack_cannot_change_what_others_send():
    def attack(own, everyone):
        everyone *= 0
        own *= 0
        return own

    faults = Faults(bad=[0], kinds=[attack])
    touched = simulate(squares, np.ones(3), regressions(), fedsgd(0.05), 1, seed=0, faults=faults)
    faults = Faults(bad=[0], kinds=[lambda own, everyone: 0 * own])
    bare = simulate(squares, np.ones(3), regressions(), fedsgd(0.05), 1, seed=0, faults=faults)
    assert (touched.w == bare.w).all() and (touched.w[1] != 1).all()


@pytest.mark.parametrize("changed, words", [
    ({"w": [1]}, "w must be floats"), ({"w": torch.tensor([torch.nan])}, "w must be finite"), ({"sizes": [1, 0]}, "sizes must be at least 1"),
    ({"buffers": -1}, "buffers must be at least 0"),
])
def test_parameters_sizes_and_buffers_of_a_server_are_checked(changed, words):
    arguments = {"w": torch.zeros(2), "algorithm": fedavg(1, 0.1), "sizes": [1, 2], "seed": 0} | changed
    with pytest.raises(ValueError, match=words):
        Server(**arguments)
