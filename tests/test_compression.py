"""Compressed messages against their own bytes, an encoder of strings, exact moments, and a federation by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_federated import bowls, regressions, squares
from test_federated_modules import normed, people

from course_lib.federated import (
    ClientData, Compressor, ErrorFeedback, ModuleLoss, Server, fedavg, fedsgd, qsgd, scaffold, simulate, top_k,
)
from course_lib.federated.bit_codes import GammaReader, gamma_widths, read, written
from course_lib.federated.federation import Federation
from course_lib.training import Divergence

F64, F32 = torch.float64, torch.float32
some = settings(max_examples=60)
wholes = st.integers(1, 10**6)
dtypes = pytest.mark.parametrize("dtype", [F32, F64], ids=["float32", "float64"])


def same_bits(a, b):
    """Equal in dtype and in every bit: −0 is not 0, and NaN is itself."""
    return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()


def bits_of(message):
    return "".join(f"{byte:08b}" for byte in message)


def gamma(n):
    """n in Elias's γ code, a string."""
    return "0" * (n.bit_length() - 1) + f"{n:b}"


def padded(bits):
    return bits + "0" * (-len(bits) % 8)


def vectors(longest=12):
    """Lists of numbers: with zeros of both signs, ties, and any sizes at all."""
    few = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 0.5])
    return st.lists(few | st.floats(-1e6, 1e6, width=32), min_size=1, max_size=longest)


# ---- bits

@given(st.lists(wholes, min_size=1, max_size=20))
def test_gamma_codes_are_those_of_the_definition_and_are_read_back(numbers):
    bits = written(numbers, gamma_widths(numbers))
    assert bits.dtype == np.uint8 and "".join(map(str, bits)) == "".join(map(gamma, numbers))
    reader = GammaReader(bits)
    assert [reader.number() for _ in numbers] == numbers
    assert gamma_widths(numbers).sum() == len(bits)


@given(st.lists(st.tuples(wholes, st.integers(0, 1)), min_size=1, max_size=10))
def test_single_bits_may_stand_between_the_numbers(pairs):
    fields = [field for n, bit in pairs for field in ((n, gamma_widths([n])[0]), (bit, 1))]
    reader = GammaReader(written(*zip(*fields)))
    assert [(reader.number(), reader.bit()) for _ in pairs] == pairs


@given(st.integers(1, 40), st.data())
def test_numbers_of_one_width_are_read_back(width, data):
    numbers = data.draw(st.lists(st.integers(0, 2**width - 1), min_size=1, max_size=9))
    widths = np.full(len(numbers), width)
    bits = written(numbers, widths)
    assert "".join(map(str, bits)) == "".join(f"{n:0{width}b}" for n in numbers)
    assert read(np.append(bits, [1, 1, 1]), widths).tolist() == numbers      # what follows is left alone


def test_widths_of_powers_of_two_are_exact():
    powers = 2 ** np.arange(1, 53)
    for numbers in (powers - 1, powers, powers + 1):
        assert gamma_widths(numbers).tolist() == [2 * int(n).bit_length() - 1 for n in numbers]


# ---- a message says what arrives

def as_said(compressor, updates, seeds):
    """What `send` says of a batch of updates, compared with each message and with sending it alone."""
    before = updates.clone()
    arrived, size = compressor.send(updates, seeds)
    assert arrived.shape == updates.shape and arrived.dtype == updates.dtype and size.shape == (len(updates),)
    assert size.dtype.kind == "i"
    for update, seed, got, length in zip(updates, seeds, arrived, size):
        message = compressor.pack(update, seed)
        assert type(message) is bytes and len(message) == length
        assert same_bits(compressor.unpack(message, torch.zeros_like(update)), got)
        alone, alone_size = compressor.send(update[None], [seed])
        assert same_bits(alone[0], got) and alone_size[0] == length
    assert same_bits(updates, before)
    return arrived, size


@dtypes
@some
@given(st.data())
def test_top_k_arrives_as_packed(dtype, data):
    rows = data.draw(vectors())
    D = len(rows)
    updates = torch.tensor([rows, rows[::-1], [0.0] * D], dtype=dtype)
    k = data.draw(st.integers(1, D))
    arrived, size = as_said(top_k(k), updates, [0, 1, 2])
    for update, got in zip(updates.numpy(), arrived.numpy()):
        kept = np.argsort(-np.abs(update), kind="stable")[:k]      # of equal sizes the first
        expected = np.zeros(D, update.dtype)
        expected[kept] = update[kept]
        assert got.tobytes() == expected.tobytes()
    place = max(1, int(np.ceil(np.log2(D))))
    assert (size == k * dtype.itemsize + np.ceil(k * place / 8)).all()


@dtypes
@some
@given(vectors(), st.integers(1, 9) | st.just(300), st.integers(0, 2**63 - 1))
def test_qsgd_arrives_as_packed_on_one_of_the_two_levels_next_to_it(dtype, row, s, seed):
    updates = torch.tensor([row, row[::-1], [0.0] * len(row)], dtype=dtype)
    arrived, size = as_said(qsgd(s), updates, [seed, seed // 2, 7])
    assert same_bits(arrived[2], torch.zeros_like(arrived[2]))
    v = updates[:2].double().numpy()
    length = np.linalg.norm(v, axis=1, keepdims=True)
    x = s * np.abs(v) / np.where(length, length, 1)
    level = np.abs(arrived[:2].double().numpy()) * s / np.where(length, length, 1)
    level[(length < 1e-30)[:, 0]] = x[(length < 1e-30)[:, 0]] = 0       # numbers that have few digits are all off
    slack = 1e-5 * (1 + s)
    assert (level > np.floor(x - slack) - slack).all() and (level < np.ceil(x + slack) + slack).all()
    assert np.abs(level - level.round()).max() < slack
    assert ((arrived[:2].double().numpy() * v) >= 0).all()
    p = x - np.floor(x)
    variance = (p * (1 - p)).sum(1) / s**2
    assert (variance <= min(len(row) / s**2, len(row) ** 0.5 / s) + 1e-12).all()


@dtypes
def test_top_k_is_values_and_then_places_and_nothing_else(dtype):
    update = torch.tensor([0.5, -3.0, 2.0, 3.0, 0.0, -0.5], dtype=dtype)
    message = top_k(4).pack(update, 0)
    values = update[[1, 3, 2, 0]].numpy().tobytes()
    assert message[: len(values)] == values
    assert bits_of(message[len(values) :]) == padded("".join(f"{i:03b}" for i in (1, 3, 2, 0)))


@dtypes
def test_qsgd_is_the_length_and_then_gaps_signs_and_levels(dtype):
    update = torch.tensor([0.0, -3.0, 0.0, 0.0, 4.0, 0.0], dtype=dtype)      # ‖v‖ = 5: levels 3 and 4 of 5, by no chance
    message = qsgd(5).pack(update, 3)
    length = torch.tensor([5.0], dtype=dtype).numpy().tobytes()
    assert message[: len(length)] == length
    assert bits_of(message[len(length) :]) == padded(gamma(2) + "1" + gamma(3) + gamma(3) + "0" + gamma(4) + gamma(2))
    assert same_bits(qsgd(5).unpack(message, torch.zeros_like(update)), update)
    nothing = qsgd(5).pack(torch.zeros(6, dtype=dtype), 3)
    assert nothing == bytes(dtype.itemsize) + bytes([0b00111000])       # no length, and seven places to the end


@pytest.mark.parametrize("compressor", [top_k(1), qsgd(1), qsgd(7)], ids=repr)
@dtypes
def test_one_number_arrives_whole(compressor, dtype):
    for value in (3.7, -1e-30, 0.0):
        arrived, size = as_said(compressor, torch.tensor([[value]], dtype=dtype), [5])
        assert arrived[0, 0] == torch.tensor(value, dtype=dtype) and size[0] <= dtype.itemsize + 2


@dtypes
def test_all_coordinates_arrive_to_the_bit(dtype):
    updates = torch.randn(3, 9, dtype=dtype, generator=torch.Generator().manual_seed(0))
    updates[0, 0], updates[1] = -0.0, 0.0
    arrived, size = as_said(top_k(9), updates, [0, 0, 0])
    assert same_bits(arrived, updates) and (size == 9 * dtype.itemsize + 5).all()


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_the_length_of_large_and_small_numbers_neither_overflows_nor_vanishes(scale):
    update = torch.tensor([[3.0, 0.0, -4.0]]) * scale
    arrived, _ = as_said(qsgd(5), update, [0])
    torch.testing.assert_close(arrived, update, rtol=1e-6, atol=0)


@pytest.mark.parametrize("compressor", [top_k(2), qsgd(3)], ids=repr)
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@dtypes
def test_what_is_not_finite_does_not_arrive_as_if_it_were(compressor, wrong, dtype):
    """Without a warning on the way: whoever gets it looks at it."""
    arrived, size = compressor.send(torch.tensor([[1.0, wrong, 0.0], [3.0, 0.0, -4.0]], dtype=dtype), [0, 1])
    assert not arrived[0].isfinite().all() and arrived[1].isfinite().all() and (size <= 2 * dtype.itemsize + 3).all()


def test_half_precision_travels_in_two_bytes():
    update = torch.tensor([[3.0, 0.0, -4.0]], dtype=torch.float16)
    for compressor, size in ((top_k(1), 3), (qsgd(5), 4)):
        assert as_said(compressor, update, [0])[1].tolist() == [size]


# ---- QSGD in the mean

@pytest.mark.parametrize("s, D", [(1, 6), (2, 40), (5, 6), (16, 1)])
def test_qsgd_is_right_in_the_mean_and_as_far_off_as_its_levels_say(s, D):
    """E ‖Q(v) − v‖² = Σ p(1 − p) ‖v‖² / s² with p = s|v|/‖v‖ less its floor."""
    draws = 3000
    v = np.random.default_rng(D).standard_normal(D)
    arrived = qsgd(s).send(torch.tensor(v).expand(draws, D), np.arange(draws))[0].numpy()
    length = np.linalg.norm(v)
    p = s * np.abs(v) / length % 1
    spread = length / s * np.sqrt(p * (1 - p))
    assert (np.abs(arrived.mean(0) - v) <= 4.5 * spread / np.sqrt(draws) + 1e-12).all()
    off = ((arrived - v) ** 2).sum(1)
    exact = (spread**2).sum()
    assert abs(off.mean() - exact) <= 4.5 * off.std() / np.sqrt(draws) + 1e-12
    assert exact <= min(D / s**2, D**0.5 / s) * length**2


def test_coordinates_and_seeds_are_rounded_apart():
    arrived = qsgd(1).send(torch.full((400, 64), 1.0, dtype=F64), np.arange(400))[0].numpy() / 8      # p = 1/8
    counts = np.cov(arrived.T) - np.diag(arrived.var(0))
    assert np.abs(counts).max() < 6 * (1 / 8 * 7 / 8) / 20
    assert len({row.tobytes() for row in arrived}) == 400
    again = qsgd(1).send(torch.full((2, 64), 1.0, dtype=F64), [3, 3])[0].numpy() / 8
    assert (again == arrived[3]).all()


def test_a_seed_rounds_otherwise_than_it_orders_batches():
    """The seeds are those of the batches; what is drawn from them is not."""
    u = np.random.default_rng(9).random(50)
    v = torch.full((1, 50), 0.5, dtype=F64)
    level = qsgd(1).send(v, [9])[0].numpy()[0] > 0
    assert (level != (0.5 / np.sqrt(50 * 0.25) + u >= 1)).any()


# ---- error feedback

@pytest.mark.parametrize("compressor", [top_k(2), qsgd(1)], ids=repr)
def test_what_arrived_and_the_memory_are_all_that_was_sent(compressor):
    rng = np.random.default_rng(0)
    updates = torch.tensor(rng.standard_normal((30, 4, 7)))
    memory, arrived = torch.zeros(4, 7, dtype=F64), torch.zeros(4, 7, dtype=F64)
    for t, update in enumerate(updates):
        before = memory.clone()
        got, size, after = ErrorFeedback(compressor).send(update, memory, [4 * t + i for i in range(4)])
        expected, expected_size = compressor.send(update + memory, [4 * t + i for i in range(4)])
        assert same_bits(got, expected) and (size == expected_size).all() and same_bits(memory, before)
        arrived, memory = arrived + got, after
    torch.testing.assert_close(arrived + memory, updates.sum(0), rtol=1e-12, atol=1e-12)
    assert (memory != 0).any()


def test_compressors_show_their_settings():
    assert repr(top_k(3)) == "top_k(k=3)" and repr(qsgd(2)) == "qsgd(levels=2)"
    assert repr(ErrorFeedback(qsgd(2))) == "ErrorFeedback(qsgd(levels=2))"
    assert top_k(3).settings == {"k": 3} and isinstance(qsgd(2), Compressor)


# ---- in a federation

COMPRESSORS = [top_k(1), top_k(2), qsgd(3), ErrorFeedback(top_k(1)), ErrorFeedback(qsgd(2))]


@pytest.mark.parametrize("compress", COMPRESSORS, ids=repr)
@pytest.mark.parametrize("algorithm", [fedavg(2, 0.05, batch_size=2), scaffold(2, 0.05)], ids=["fedavg", "scaffold"])
def test_a_message_is_the_same_whatever_block_its_client_is_in(compress, algorithm):
    whole, *others = (
        simulate(squares, np.ones(3), regressions(), algorithm, 4, seed=3, fraction=0.8, compress=compress, **how)
        for how in ({}, {"block": 1}, {"block": 3}, {"vectorize": False})
    )
    for other in others:
        np.testing.assert_allclose(other.w, whole.w, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(other.upload, whole.upload)
        np.testing.assert_array_equal(other.download, whole.download)


def moved(clients, w, i, lr=0.05):
    x, y = clients[i]
    return -lr * x.T @ (x @ w - y) / len(y)


@pytest.mark.parametrize("feedback", [False, True])
@pytest.mark.parametrize("how", [{}, {"aggregate": lambda updates: updates.mean(0)}, {"block": 2}],
                         ids=["by size", "another", "blocks"])
def test_clients_remember_from_one_of_their_rounds_to_the_next(feedback, how):
    """Top-1 in NumPy: only the memory of those that take part changes."""
    clients, w = regressions(), np.ones(3)
    compress = ErrorFeedback(top_k(1)) if feedback else top_k(1)
    trace = simulate(squares, w, clients, fedsgd(0.05), 8, seed=1, fraction=0.4, compress=compress, **how)
    memory = np.zeros((7, 3))
    for r, ids in enumerate(trace.chosen):
        arrived = []
        for i in ids:
            wanted = moved(clients, w, i) + feedback * memory[i]
            largest = np.abs(wanted).argmax()
            arrived.append(np.where(np.arange(3) == largest, wanted, 0))
            memory[i] = wanted - arrived[-1]
        sizes = None if "aggregate" in how else [len(clients[i][1]) for i in ids]
        w = w + np.average(arrived, axis=0, weights=sizes)
        np.testing.assert_allclose(trace.w[r + 1], w, rtol=1e-12, atol=1e-12)


def test_what_arrives_in_a_run_and_the_memories_are_all_updates():
    """Each client's updates, the memories at the end, and the server's steps: nothing is lost on the way."""
    clients = [(x[:2], y[:2]) for x, y in regressions([2, 3, 4, 5])]
    w = torch.ones(3, dtype=F64)
    data = ClientData(clients, like=w)
    server = Server(w, fedsgd(0.05), data.sizes, 0, fraction=0.5)
    run = Federation(squares, data, server, compress=ErrorFeedback(top_k(1)))
    wanted = np.zeros(3)
    for _ in range(10):
        start, kept = server.w.numpy().copy(), run.memory.clone()
        run.round()
        ids = server.chosen[-1]
        wanted += sum(moved(clients, start, i) for i in ids)
        rest = np.setdiff1d(np.arange(4), ids)
        assert (run.memory[rest] == kept[rest]).all() and (run.memory[ids] != kept[ids]).any(1).all()
    came = 2 * (server.w.numpy() - 1)       # the mean is of two clients a round, alike in size
    np.testing.assert_allclose(came + run.memory.sum(0).numpy(), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("algorithm", [fedavg(2, 0.05), scaffold(2, 0.05)], ids=["fedavg", "scaffold"])
@pytest.mark.parametrize("compress", [top_k(3), ErrorFeedback(top_k(3))], ids=repr)
def test_sending_all_coordinates_changes_no_bit(algorithm, compress):
    plain = simulate(squares, np.ones(3), regressions(), algorithm, 4, seed=0, fraction=0.7)
    sent = simulate(squares, np.ones(3), regressions(), algorithm, 4, seed=0, fraction=0.7, compress=compress)
    np.testing.assert_array_equal(sent.w, plain.w)
    np.testing.assert_array_equal(sent.loss, plain.loss)
    assert (sent.upload[1:] > plain.upload[1:]).all() and (sent.download == plain.download).all()


@pytest.mark.parametrize("algorithm, vectors", [(fedavg(2, 0.05), 1), (scaffold(2, 0.05), 2)], ids=["fedavg", "scaffold"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("how", [{}, {"aggregate": lambda updates: updates.mean(0)}, {"block": 2}],
                         ids=["by size", "another", "blocks"])
def test_bytes_are_those_of_all_messages_so_far(algorithm, vectors, dtype, how):
    """Seven clients, four a round, of three numbers each; records are thinned, the counts go on."""
    size, given = np.dtype(dtype).itemsize, {"seed": 0, "fraction": 0.5, "every": 2, **how}
    rounds = np.array([0, 2, 4, 5])
    trace = simulate(squares, np.ones(3, dtype), regressions(), algorithm, 5, **given)
    assert trace.upload.dtype.kind == trace.download.dtype.kind == "i"
    np.testing.assert_array_equal(trace.upload, rounds * 4 * 3 * vectors * size)
    np.testing.assert_array_equal(trace.download, rounds * 4 * 3 * vectors * size)
    for compress in (top_k(2), ErrorFeedback(top_k(2))):
        sent = simulate(squares, np.ones(3, dtype), regressions(), algorithm, 5, compress=compress, **given)
        other = 3 * size * (vectors - 1)      # what SCAFFOLD sends besides is whole
        np.testing.assert_array_equal(sent.upload, rounds * 4 * (2 * size + 1 + other))
        np.testing.assert_array_equal(sent.download, trace.download)


@pytest.mark.parametrize("how", [{}, {"block": 2}, {"aggregate": lambda updates: updates.mean(0)}],
                         ids=["by size", "blocks", "another"])
def test_bytes_of_qsgd_are_those_of_its_messages(how):
    """Each message of the first round is packed again, from the client's own step."""
    clients = regressions()
    trace = simulate(squares, np.ones(3), clients, fedsgd(0.05), 1, seed=4, fraction=0.6, compress=qsgd(4), **how)
    ids, seeds = Server(torch.ones(3), fedsgd(0.05), [1] * 7, 4, fraction=0.6).draw()
    assert ids.tolist() == trace.chosen[0].tolist()
    messages = [qsgd(4).pack(torch.tensor(moved(clients, np.ones(3), i)), seed) for i, seed in zip(ids, seeds)]
    arrived = [qsgd(4).unpack(each, torch.zeros(3, dtype=F64)).numpy() for each in messages]
    assert trace.upload.tolist() == [0, sum(map(len, messages))]
    sizes = None if "aggregate" in how else [len(clients[i][1]) for i in ids]
    np.testing.assert_allclose(trace.w[1] - 1, np.average(arrived, axis=0, weights=sizes), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("make, vectors", [(fedavg, 1), (scaffold, 2)])
def test_buffers_are_sent_whole(make, vectors):
    """34 parameters and 8 running means and variances: 4 values of 8 bytes, 4 places of 6 bits, 8 buffers of 8 bytes."""
    loss = ModuleLoss(normed())
    P, D = loss.parameters, len(loss.start)
    assert (P, D) == (34, 42)
    plain = simulate(loss, loss.start, people(), make(2, 0.1), 1, seed=0)
    for compress in (top_k(4), ErrorFeedback(top_k(4))):
        sent = simulate(loss, loss.start, people(), make(2, 0.1), 1, seed=0, compress=compress)
        np.testing.assert_array_equal(sent.w[:, P:], plain.w[:, P:])
        assert (sent.w[1, :P] != plain.w[1, :P]).sum() >= 10 and (sent.w[1, :P] != sent.w[0, :P]).sum() <= 16
        assert sent.upload.tolist() == [0, 4 * (4 * 8 + 3 + 8 * 8 + (vectors - 1) * D * 8)]
        assert sent.download.tolist() == plain.download.tolist() == [0, 4 * vectors * D * 8]
    whole = simulate(loss, loss.start, people(), make(2, 0.1), 3, seed=0, compress=ErrorFeedback(top_k(P)))
    np.testing.assert_array_equal(whole.w, simulate(loss, loss.start, people(), make(2, 0.1), 3, seed=0).w)


def test_with_memory_few_coordinates_find_the_minimum():
    """What the top coordinate leaves out comes later, and the mean of the clients' minima is reached."""
    rng = np.random.default_rng(2)
    c = rng.standard_normal((5, 6))
    clients = [(np.ones((1, 6)), each[None]) for each in c]
    far = [
        np.abs(simulate(bowls, np.zeros(6), clients, fedsgd(0.02), 200, 0, compress=how, every=200).w[-1] - c.mean(0)).max()
        for how in (ErrorFeedback(top_k(1)), top_k(1))
    ]
    assert far[0] < 0.1 < 0.3 < far[1]


@pytest.mark.parametrize("compress", COMPRESSORS, ids=repr)
def test_a_client_that_diverges_is_named_all_the_same(compress):
    clients = [(np.full((2, 3), h), np.ones(2)) for h in (1.0, 1.0, 1e3, 1.0)]
    for lr in (1.0, 1e30):      # to NaN, and to infinity
        with pytest.raises(Divergence, match="the update of client . is not finite"):
            simulate(squares, np.zeros(3, np.float32), clients, fedavg(9, lr), 9, seed=0, compress=compress)


# ---- misuse

@pytest.mark.parametrize("call, error, words", [
    (lambda: top_k(0), ValueError, "k must be at least 1, got 0"),
    (lambda: top_k(2.0), TypeError, "k must be a whole number, got 2.0"),
    (lambda: top_k(True), TypeError, "k must be a whole number"),
    (lambda: qsgd(0), ValueError, "levels must be at least 1, got 0"),
    (lambda: qsgd("4"), TypeError, "levels must be a whole number, got '4'"),
    (lambda: ErrorFeedback(top_k), TypeError, r"compressor must be one such as top_k\(100\), got <function top_k"),
    (lambda: ErrorFeedback(ErrorFeedback(top_k(1))), TypeError, r"compressor must be .* got ErrorFeedback"),
    (lambda: top_k(4).send(torch.ones(2, 3), [0, 0]), ValueError, "k must be at most 3, the length of an update, got 4"),
    (lambda: top_k(4).pack(torch.ones(3), 0), ValueError, "k must be at most 3, the length of an update, got 4"),
])
def test_wrong_arguments_of_compressors_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("compress, error, words", [
    (top_k, TypeError, r"compress must be one such as ErrorFeedback\(top_k\(100\)\) or None, got <function"),
    ("top_k", TypeError, "compress must be .* got 'top_k'"),
    (top_k(4), ValueError, "k must be at most 3, the length of an update, got 4"),
    (ErrorFeedback(top_k(4)), ValueError, "k must be at most 3"),
])
def test_wrong_compressors_of_a_simulation_are_named(compress, error, words):
    with pytest.raises(error, match=words):
        simulate(squares, np.ones(3), regressions(), fedsgd(0.1), 1, seed=0, compress=compress)


def test_k_counts_parameters_and_no_buffers():
    loss = ModuleLoss(normed())
    with pytest.raises(ValueError, match="k must be at most 34, the length of an update, got 35"):
        simulate(loss, loss.start, people(), fedsgd(0.1), 1, seed=0, compress=top_k(35))
