"""A federation's server, whatever carries its messages: it draws clients, checks what they send, averages, makes a step."""

from collections import deque
from dataclasses import dataclass
from statistics import median_low

import numpy as np
import torch

from course_lib.federated.aggregators import mean
from course_lib.federated.algorithms import Algorithm
from course_lib.federated.client_data import parameters
from course_lib.federated.client_privacy import ClientPrivacy
from course_lib.validation import count, number


@dataclass(frozen=True, eq=False)
class Message:
    """What a client sends.

    Parameters
    ----------
    client : int
    round : int
        For which round it is, counted from 0.
    update : tensor [D]
        How far the client has moved.
    change : tensor [D], optional
        By how much what it keeps has changed (SCAFFOLD).
    """

    client: int
    round: int
    update: torch.Tensor
    change: torch.Tensor | None = None


class Server:
    """The parameters, and all that happens to them. `simulate` and the Flower apps have the same one.

    A round is `draw()`, the clients' work, and `take(messages)`. A message is refused if it is "malformed" (another shape or
    dtype), "not asked" (for this round, by a client that was not drawn), "stale" (for another round), "not finite",
    "repeated" (the client's second), or "too large" (longer than `limit` times the median length of this round's and the
    hundred before that came so far). Refused messages are counted in `refused` and enter no average.

    Parameters
    ----------
    w : tensor [D]
        Parameters, then buffers.
    algorithm : Algorithm
    sizes : array [clients] of int
        How many samples each has.
    seed : int
        Decides who takes part, and the seeds of their batches.
    fraction : float
        The share of clients a round, as in `simulate`.
    aggregate : callable
        As in `simulate`.
    buffers : int
        How many numbers at the end of w are averaged without the server's rule.
    privacy : ClientPrivacy, optional
    limit : float, optional
        None: no message is too large. Nor is any with privacy: whom a median shuts out depends on everyone.
    quorum : int
        With fewer accepted updates a round makes no step; with privacy it does, of noise. It counts as a round.

    Attributes
    ----------
    w : tensor [D]
    shared : tensor [D] or None
        SCAFFOLD's z.
    chosen, missing : lists of arrays of int
        For each round, who was drawn, and who of them sent nothing for it.
    refused : list of lists of (client, reason)
        For each round.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> from course_lib.federated import fedavg
    >>> server = Server(torch.zeros(2), fedavg(1, 0.1), sizes=[1, 1, 2], seed=0)
    >>> ids, seeds = server.draw()
    >>> good, bad = torch.tensor([1.0, 2.0]), torch.tensor([1.0, float("nan")])
    >>> server.take([Message(0, 0, good), Message(2, 0, bad), Message(0, 0, good)])
    [0]
    >>> server.w, server.missing, server.refused
    (tensor([1., 2.]), [array([1])], [[(2, 'not finite'), (0, 'repeated')]])
    """

    def __init__(
        self, w, algorithm, sizes, seed, *, fraction=1.0, aggregate=mean, buffers=0, privacy=None, limit=None, quorum=1
    ):
        if not isinstance(algorithm, Algorithm):
            raise TypeError(f"algorithm must be one such as fedavg(5, lr=0.1), got {algorithm!r}")
        if not callable(aggregate):
            raise TypeError(f"aggregate must be a function, got {aggregate!r}")
        if privacy is not None:
            _check_privacy(privacy, algorithm, aggregate, buffers)
        self.w, self.algorithm, self.aggregate, self.privacy = parameters("w", w), algorithm, aggregate, privacy
        self.seed = count("seed", seed, least=0)
        self.fraction = number("fraction", fraction, above=0, most=1)
        self.limit = None if limit is None else number("limit", limit, least=1)
        self.quorum = count("quorum", quorum)
        self.trained = len(self.w) - count("buffers", buffers, least=0)
        sizes = np.array([count("sizes", int(size)) for size in sizes], dtype=float)
        self.weights = sizes if algorithm.by_size and privacy is None else np.ones(len(sizes))
        self.shared = None if algorithm.renew is None else torch.zeros_like(self.w)
        self.chosen, self.missing, self.refused = [], [], []
        self._lengths = deque(maxlen=100)
        self._state = algorithm.server.init(self.w[: self.trained])

    @property
    def round(self):
        """Which round it is, counted from 0: how many have been made."""
        return len(self.refused)

    @property
    def rate(self):
        """η of the clients in this round."""
        return self.algorithm.rate(self.round)

    def draw(self):
        """Who takes part in this round, in order, and a seed for the batches of each: arrays [m].

        A share of all of fixed size; with privacy everyone by a coin of its own, as its accountant assumes: perhaps nobody.
        """
        rng = np.random.default_rng([self.seed, self.round])
        clients = len(self.weights)
        if self.privacy is None:
            many = max(1, round(self.fraction * clients))
            ids = np.sort(rng.choice(clients, size=many, replace=False))
        else:
            ids = np.flatnonzero(rng.random(clients) < self.fraction)
        self.chosen.append(ids)
        return ids, rng.integers(2**63, size=len(ids))

    def shares(self, ids):
        """Each update's part in the mean, tensor [m]. With privacy the sum is divided by how many are expected, not by m."""
        mine = self.weights[ids]
        total = mine.sum() if self.privacy is None else self.fraction * len(self.weights)
        return torch.tensor(mine / total).to(self.w)

    def take(self, messages):
        """Check the messages that have arrived, average what is accepted, make the step, and close the round.

        Returns the clients whose messages were accepted, a list of int.
        """
        current = {message.client for message in messages if message.round == self.round}
        missing = np.array([i for i in self.chosen[-1] if i not in current], dtype=int)
        accepted, refused = self._checked(messages)
        if len(accepted) < self.quorum and self.privacy is None:
            self.close(missing, refused)
            return []
        change = None if self.shared is None else sum(message.change for message in accepted)
        self.step(self._aggregated(accepted), change, missing, refused)
        return [message.client for message in accepted]

    def step(self, update, change=None, missing=(), refused=()):
        """Make the step that an average asks for, update [D], and close the round; change [D] is the sum of what clients keep."""
        if self.privacy is not None:
            expected = self.fraction * len(self.weights)
            rng = np.random.default_rng([self.seed, self.round, 1])
            update = update + self.privacy.noise(update, rng) / expected
        if change is not None:
            self.shared = self.shared + change / len(self.weights)
        step, self._state = self.algorithm.server.update(-update[: self.trained], self._state, self.w[: self.trained])
        self.w = self.w + torch.cat([step, update[self.trained :]])
        self.close(missing, refused)

    def close(self, missing=(), refused=()):
        """End the round without a step."""
        self.missing.append(np.array(missing, dtype=int))
        self.refused.append(list(refused))

    def combined(self, updates, ids):
        """One update of many [m, D]: by the algorithm's weights, or by another rule without any."""
        if self.aggregate is mean:
            return self.shares(ids) @ updates
        total = self.aggregate(updates)
        if not isinstance(total, torch.Tensor) or total.shape != self.w.shape:
            got = list(total.shape) if isinstance(total, torch.Tensor) else type(total).__name__
            raise ValueError(f"aggregate must return a tensor of shape {list(self.w.shape)}, got {got}")
        return total.to(self.w)

    def _aggregated(self, accepted):
        if not accepted:
            return torch.zeros_like(self.w)
        updates = torch.stack([message.update for message in accepted])
        if self.privacy is not None:
            updates = self.privacy.clipped(updates)
        return self.combined(updates, np.array([message.client for message in accepted]))

    def _checked(self, messages):
        accepted, refused, seen = [], [], set()
        for message in messages:
            reason = self._wrong(message, seen)
            if reason:
                refused.append((message.client, reason))
            else:
                seen.add(message.client)
                accepted.append(message)
        if self.limit is None or self.privacy is not None or not accepted:
            return accepted, refused
        lengths = [_length(message) for message in accepted]
        most = self.limit * median_low([*lengths, *self._lengths])
        refused += [(message.client, "too large") for message, length in zip(accepted, lengths) if length > most]
        self._lengths.extend(lengths)  # those refused as well: a lasting change becomes the usual
        return [message for message, length in zip(accepted, lengths) if length <= most], refused

    def _wrong(self, message, seen):
        """Why a message is refused, whatever the others are; or None."""
        parts = [message.update] + ([] if self.shared is None else [message.change])
        if any(getattr(part, "shape", None) != self.w.shape or part.dtype != self.w.dtype for part in parts):
            return "malformed"
        if message.round != self.round:
            return "stale"
        if message.client not in self.chosen[-1]:
            return "not asked"
        if not all(part.isfinite().all() for part in parts):
            return "not finite"
        return "repeated" if message.client in seen else None


def _length(message):
    """The larger of the lengths of what it brings, in float64: squares of large float32 overflow."""
    parts = [part.double().norm() for part in (message.update, message.change) if part is not None]
    return max(float(part) for part in parts)


def _check_privacy(privacy, algorithm, aggregate, buffers):
    if not isinstance(privacy, ClientPrivacy):
        raise TypeError(f"privacy must be a ClientPrivacy or None, got {privacy!r}")
    if algorithm.renew is not None:
        raise ValueError(f"privacy needs an algorithm whose clients send one vector, got {algorithm!r}")
    if aggregate is not mean:
        raise ValueError(f"privacy needs aggregate=mean, whose change by one client is bounded, got {aggregate!r}")
    if buffers:
        raise ValueError(f"privacy needs a loss without buffers, got {buffers}: noise could make a variance negative")
