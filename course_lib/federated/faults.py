"""What goes wrong with clients: some drop out, some are late, some send what they should not."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from course_lib.federated.server import Message
from course_lib.validation import count, number, one_of

KINDS = ("nan", "huge", "stale", "repeated")


@dataclass(frozen=True)
class Faults:
    """Faults of clients, and how strict the server is.

    Each client of a round drops out with the chance `drop`: nothing of it arrives. It is late with the chance `late`: its
    message arrives in the next round, and is refused as stale. Some clients are bad, the same in all rounds; each time one
    answers in time it does one of `kinds`, drawn anew:

    - "nan": one of its numbers is NaN;
    - "huge": its update is a million times too long;
    - "stale": it worked on the parameters of the round before (in round 0, of this one), and says so;
    - "repeated": its message is right, and comes twice, of which one counts;
    - a function `attack(own [D], everyone [m, D]) -> [D]`: what it sends in place of its own update, knowing all others'.

    What the server refuses is said in `Server`; an attack it cannot tell from an update is for the aggregator.

    Parameters
    ----------
    drop, late : float
        Chances, each in [0, 1).
    bad : float or sequence of int
        The share of clients that are bad, rounded to a number of them and drawn once; or which they are.
    kinds : sequence of str and callables
        All alike likely.
    limit : float or None
        As in `Server`.
    quorum : int
        As in `Server`.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> Faults(drop=0.2, bad=0.3).kinds
    ('nan', 'huge', 'stale', 'repeated')
    >>> sign_flip = Faults(bad=[3, 7], kinds=[lambda own, everyone: -own])
    """

    drop: float = 0.0
    late: float = 0.0
    bad: float | tuple = 0.0
    kinds: tuple = field(default=KINDS)
    limit: float | None = 10.0
    quorum: int = 1

    def __post_init__(self):
        number("drop", self.drop, least=0, below=1)
        number("late", self.late, least=0, below=1)
        if np.ndim(self.bad) == 0:
            number("bad", self.bad, least=0, most=1)
        else:
            object.__setattr__(self, "bad", tuple(count("bad", i, least=0) for i in self.bad))
        if isinstance(self.kinds, str) or not isinstance(self.kinds, Sequence) or not self.kinds:
            raise TypeError(f"kinds must be a list of names and functions, got {self.kinds!r}")
        for kind in self.kinds:
            if not callable(kind):
                one_of("kinds", kind, KINDS)
        object.__setattr__(self, "kinds", tuple(self.kinds))
        if self.limit is not None:
            number("limit", self.limit, least=1)
        count("quorum", self.quorum)

    def bad_clients(self, clients, seed):
        """Which clients are bad, array [clients] of bool."""
        if isinstance(self.bad, tuple):
            if any(i >= clients for i in self.bad):
                raise ValueError(f"bad must be below {clients}, the number of clients, got {max(self.bad)}")
            ids = list(self.bad)
        else:
            ids = np.random.default_rng([seed, 0, 3]).permutation(clients)[: round(self.bad * clients)]
        return np.isin(np.arange(clients), ids)

    def fates(self, ids, bad, rng):
        """What happens to each client of a round: "lost", "late", "right" or one of `kinds`, a list [m]."""
        lost, late = rng.random(len(ids)) < self.drop, rng.random(len(ids)) < self.late
        kinds = rng.integers(len(self.kinds), size=len(ids))
        return [
            "lost" if gone else "late" if after else self.kinds[kind] if wrong else "right"
            for gone, after, wrong, kind in zip(lost, late, bad[ids], kinds)
        ]

    def messages(self, fate, message, everyone):
        """What arrives in place of a right message, a list; `everyone` [m, D] are the round's right updates."""
        if fate == "lost":
            return []
        if fate == "nan":
            return [_changed(message, lambda part: torch.cat([part[:1] * torch.nan, part[1:]]))]
        if fate == "huge":
            return [_changed(message, lambda part: 1e6 * part)]
        if fate == "stale":
            return [Message(message.client, message.round - 1, message.update, message.change)]
        if fate == "repeated":
            return [message, message]
        if callable(fate):
            update = fate(message.update.clone(), everyone.clone())
            try:
                update = torch.as_tensor(update).to(message.update)
            except (TypeError, ValueError, RuntimeError):
                raise TypeError(f"kinds must hold attacks that return a tensor, such as -own, got {update!r}") from None
            return [Message(message.client, message.round, update, message.change)]
        return [message]


def _changed(message, change):
    part = None if message.change is None else change(message.change)
    return Message(message.client, message.round, change(message.update), part)
