"""A federation without rounds: the server steps whenever enough updates have come in, however old they are."""

from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
import torch
from torch.func import vmap

from course_lib.federated.clients import value_of_all
from course_lib.federated.local_training import blocks, local_updates
from course_lib.federated.simulation import prepared
from course_lib.notebook import progress
from course_lib.training import Divergence, Trace
from course_lib.validation import count, number


@dataclass(frozen=True, eq=False)
class BufferedTrace(Trace):
    """What a buffered federation did, at its start and after every recorded step of the server.

    Parameters
    ----------
    step, w, loss, lr
        As in `Trace`: a step is one of the server's.
    time : array [records]
        When the step was made, in the units of the durations.
    staleness : array [steps, buffer] of int
        For each update that went into a step: how many steps the server had made since the
        client began.
    clients : array [steps, buffer] of int
        Whose updates these were.
    """

    time: np.ndarray
    staleness: np.ndarray
    clients: np.ndarray


def inverse_root(staleness):
    """1/√(1 + τ): how much an update counts that is τ server steps old."""
    return 1 / np.sqrt(1 + staleness)


def simulate_buffered(
    loss, w0, clients, algorithm, steps, seed, *, concurrency, buffer, duration, weight=inverse_root, every=1, until=None,
):
    """Buffered asynchronous aggregation (FedBuff): nobody waits for the slowest.

    A number of clients is always at work. Whoever is done sends its update, and a client
    drawn among the idle begins from the server's present parameters. As soon as
    the buffer is full the server makes a step,

        w ← server step by  Σᵢ pᵢ s(τᵢ) dᵢ,

    where pᵢ are the algorithm's weights, summing to 1 over the buffer, and τᵢ is how many
    steps the server has made since client i began. Old updates count less, and the others
    not more for it.

    Parameters
    ----------
    loss, w0, clients
        As in `simulate`.
    algorithm : Algorithm
        One whose clients keep nothing between rounds: not `scaffold`. A schedule as its
        rate is called with the steps that the server had made when a client began.
    steps : int
        How many the server makes.
    seed : int
    concurrency : int
        How many clients are at work at any time, at most all.
    buffer : int
        How many updates make a step, at most `concurrency`.
    duration : callable
        `duration(rng, client) -> float > 0`: how long a client's work takes this time, in
        any unit; `rng` is a NumPy generator.
    weight : callable
        `weight(staleness [buffer]) -> [buffer]`, not negative.
    every, until
        As in `simulate`.

    Returns
    -------
    BufferedTrace

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.
    Divergence
        If something is no longer finite; it names the step.

    References
    ----------
    J. Nguyen et al., Federated learning with buffered asynchronous aggregation, AISTATS
    2022, arXiv:2106.06639, Algorithm 1.

    Examples
    --------
    >>> from course_lib.federated import fedavg
    >>> clients = [(torch.ones(1), torch.tensor([c])) for c in (0.0, 1.0, 2.0, 3.0)]
    >>> def parabola(w, x, y):
    ...     return (w * x - y).square().mean() / 2
    >>> trace = simulate_buffered(
    ...     parabola, torch.zeros(1), clients, fedavg(1, 0.1), steps=3, seed=0,
    ...     concurrency=3, buffer=2, duration=lambda rng, client: 1 + client)
    >>> trace.time.tolist()
    [0.0, 2.0, 3.0, 4.0]
    """
    w, data = prepared(loss, w0, clients, algorithm, until)
    if algorithm.renew is not None:
        raise ValueError(f"algorithm must keep nothing at its clients, got {algorithm!r}")
    for name, function in (("duration", duration), ("weight", weight)):
        if not callable(function):
            raise TypeError(f"{name} must be a function, got {function!r}")
    steps, every = count("steps", steps), count("every", every)
    concurrency, buffer = count("concurrency", concurrency), count("buffer", buffer)
    if concurrency > len(data):
        raise ValueError(f"concurrency must be at most {len(data)}, the clients, got {concurrency}")
    if buffer > concurrency:
        raise ValueError(f"buffer must be at most {concurrency}, the concurrency, got {buffer}")
    arrivals = _Arrivals(len(data), concurrency, duration, count("seed", seed, least=0))
    return _run(loss, w, data, algorithm, steps, buffer, arrivals, weight, every, until)


class _Arrivals:
    """Who is at work, since which step of the server, and who is done next."""

    def __init__(self, clients, concurrency, duration, seed):
        self._rng = np.random.default_rng(seed)
        self._duration = duration
        order = self._rng.permutation(clients)
        self._idle = list(order[concurrency:])
        self._working = [self._begun(0.0, int(i), 0) for i in order[:concurrency]]
        heapify(self._working)
        self._done, self._now = [], 0.0

    def _begun(self, now, client, version):
        takes = number("duration", self._duration(self._rng, client), above=0)
        return now + takes, client, version, int(self._rng.integers(2**63))

    def next(self, version):
        """The next to be done: (time, client, the server's step it began from, seed of its batches).

        Those done before are replaced when time goes on, after a step of the server at the same moment.
        """
        if self._done and (not self._working or self._working[0][0] > self._now):
            for client in self._done:
                self._replace(client, version)
            self._done = []
        self._now, client, *rest = heappop(self._working)
        self._done.append(client)
        return self._now, client, *rest

    def versions(self):
        """The steps of the server that somebody at work began from."""
        return {version for _, _, version, _ in self._working}

    def _replace(self, client, version):
        """Let somebody idle begin where `client` is done."""
        self._idle.append(client)
        drawn = self._idle.pop(int(self._rng.integers(len(self._idle))))
        heappush(self._working, self._begun(self._now, int(drawn), version))


def _run(loss, w, data, algorithm, steps, buffer, arrivals, weight, every, until):
    trained = len(w) - getattr(loss, "buffers", 0)
    weights = data.sizes.astype(float) if algorithm.by_size else np.ones(len(data))
    state = algorithm.server.init(w[:trained])
    versions, records, ages, who, now = {0: w}, [], [], [], 0.0

    def record(step):
        values = value_of_all(getattr(loss, "evaluate", loss), w, data, vmap, 256)
        value = float(np.average(values, weights=weights))
        if np.isfinite(value):
            records.append((step, w.cpu().numpy(), value, now))
        elif not records:
            raise ValueError(f"w0 must have a finite loss, got {value}")
        return np.isfinite(value)

    def trace():
        step, points, losses, times = (np.array(each) for each in zip(*records))
        lr = np.array([algorithm.rate(max(s - 1, 0)) for s in step[1:]])
        shape = (-1, buffer)
        return BufferedTrace(step, points, losses, lr, times, np.array(ages).reshape(shape), np.array(who).reshape(shape))

    record(0)
    for t in progress(range(1, steps + 1), algorithm.name):
        arrived = []
        for _ in range(buffer):
            now, client, version, seed = arrivals.next(t - 1)
            arrived.append((client, version, seed))
        ids, began, seeds = (np.array(each) for each in zip(*arrived))
        ages.append(t - 1 - began)
        who.append(ids)
        share = weights[ids] / weights[ids].sum() * _counted(weight, ages[-1])
        update = _sum_of_updates(loss, data, algorithm, versions, w, ids, began, seeds, torch.tensor(share).to(w))
        step, state = algorithm.server.update(-update[:trained], state, w[:trained])
        w = w + torch.cat([step, update[trained:]])
        fine = bool(w.isfinite().all())
        done = t == steps or (fine and until is not None and bool(until(w)))
        if fine and (done or t % every == 0):
            fine = record(t)
        if not fine:
            raise Divergence(f"diverged at step {t}: the parameters or the loss are not finite. A smaller lr may help.", t, trace())
        if done:
            break
        versions[t] = w
        needed = {*arrivals.versions(), t}
        versions = {version: at for version, at in versions.items() if version in needed}
    return trace()


def _counted(weight, staleness):
    counts = np.asarray(weight(staleness), dtype=float)
    if counts.shape != staleness.shape or not (counts >= 0).all() or not np.isfinite(counts).all():
        raise ValueError(f"weight must return finite numbers >= 0, as many as staleness, got {counts}")
    return counts


def _sum_of_updates(loss, data, algorithm, versions, w, ids, began, seeds, share):
    """Σ share · update over the buffer, of clients that began from different versions; w is the server's."""
    buffers = getattr(loss, "buffers", 0)
    rates = np.array([algorithm.rate(int(version)) for version in began])
    total = 0
    for rate in np.unique(rates):
        mine = np.flatnonzero(rates == rate)
        for part in blocks(data.lengths(ids[mine], algorithm.batch_size), 256, alike=buffers > 0):
            where = mine[part]
            start = torch.stack([versions[version] for version in began[where]])
            moved = local_updates(loss, data, algorithm, start, ids[where], float(rate), seeds[where])
            if buffers:  # the server nears the client's: old changes to a variance could make it negative
                moved[:, -buffers:] += (start - w)[:, -buffers:]
            total = total + share[where] @ moved
    return total
