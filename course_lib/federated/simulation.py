"""A federation on one machine: rounds of local work and averaging."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.func import vmap

from course_lib.federated.aggregators import mean
from course_lib.federated.algorithms import Algorithm
from course_lib.federated.client_data import ClientData, parameters
from course_lib.federated.local_training import blocks, local_updates, one_by_one
from course_lib.federated.clients import check_is_mean, value_of_all
from course_lib.notebook import progress
from course_lib.training import Divergence, Trace
from course_lib.validation import count, number


@dataclass(frozen=True, eq=False)
class FederatedTrace(Trace):
    """What a federation did, at its start and after every recorded round.

    Parameters
    ----------
    step, w, loss, lr
        As in `Trace`, a step being a round: loss is the mean of the clients' losses, in the
        algorithm's weights, lr the clients' rate in the round that led to each record.
    client_loss : array [records, clients]
    chosen : list of arrays of int
        Who took part, for every round.
    """

    client_loss: np.ndarray
    chosen: list


def simulate(
    loss, w0, clients, algorithm, rounds, seed, fraction=1.0, aggregate=mean,
    *, every=1, until=None, vectorize=True, block=256,
):
    """Train one vector of parameters with many clients whose data stay where they are.

    Parameters
    ----------
    loss : callable
        `loss(w, x, y) -> 0-d tensor`: the mean over samples, for w [D]. It is run under
        `torch.func.vmap`, so it must not branch on values. A `ModuleLoss` may have buffers.
    w0 : array or tensor [D]
        The start, left unchanged. Its float dtype and device are kept.
    clients : list of pairs (x, y)
        x [samples, …], y [samples, …], of any sizes.
    algorithm : Algorithm
        `fedsgd`, `fedavg`, `fedprox` or `scaffold`.
    rounds : int
    seed : int
        Decides who takes part and in what order clients visit their samples.
    fraction : float
        The share of clients, 0 < fraction ≤ 1, drawn anew for each round, all alike and at
        least one. Their weights are divided by their sum.
    aggregate : callable
        `aggregate(updates [clients, D]) -> [D]`. `mean` weighs clients as the algorithm
        says, and is summed block by block: no more than a block's updates are ever held.
        Any other function gets all updates of the round at once, and no weights.
    every : int
        Record every so many rounds; the start and the end are always recorded.
    until : callable, optional
        `until(w) -> bool`, asked after each round: True ends the run.
    vectorize : bool
        Work on a block of clients at once; otherwise on one after the other. The numbers
        agree to rounding.
    block : int
        How many clients at once, at most: memory grows with it, not with the clients.

    Returns
    -------
    FederatedTrace

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong; among others, if a client has no samples or NaN in them, or
        loss is no mean over samples.
    Divergence
        A `FloatingPointError`, if an update, the parameters or a recorded loss are no
        longer finite. It names the round and keeps the trace.

    Examples
    --------
    Two clients with the losses ½ h (w − c)²; the mean of both is least at 10/11.

    >>> def parabola(w, h, c):
    ...     return (h * (w - c).square()).mean() / 2
    >>> clients = [(torch.tensor([h]), torch.tensor([c])) for h, c in ((1.0, 0.0), (10.0, 1.0))]
    >>> from course_lib.federated import fedavg, scaffold
    >>> for algorithm in fedavg(1, 0.05), fedavg(100, 0.05), scaffold(100, 0.05):
    ...     trace = simulate(parabola, torch.zeros(1), clients, algorithm, rounds=200, seed=0)
    ...     print(f"{trace.w[-1, 0]:.3f}")
    0.909
    0.501
    0.909
    """
    if not callable(aggregate):
        raise TypeError(f"aggregate must be a function, got {aggregate!r}")
    if not isinstance(vectorize, bool):
        raise TypeError(f"vectorize must be True or False, got {vectorize!r}")
    w, data = prepared(loss, w0, clients, algorithm, until)
    rounds, every, block = count("rounds", rounds), count("every", every), count("block", block)
    seed = count("seed", seed, least=0)
    fraction = number("fraction", fraction, above=0, most=1)
    run = Federation(
        loss, w, data, algorithm, seed, aggregate, vmap if vectorize else one_by_one, block if vectorize else 1
    )
    many = max(1, round(fraction * len(data)))
    for r in progress(range(rounds), algorithm.name):
        run.round(many)
        done = r + 1 == rounds or (until is not None and bool(until(run.w)))
        if done or (r + 1) % every == 0:
            run.record()
        if done:
            break
    return run.trace()


def prepared(loss, w0, clients, algorithm, until):
    """A federation's start, a tensor of its own, and its data, all checked."""
    if not callable(loss):
        raise TypeError(f"loss must be callable, got {loss!r}")
    if not isinstance(algorithm, Algorithm):
        raise TypeError(f"algorithm must be one such as fedavg(5, lr=0.1), got {algorithm!r}")
    if until is not None and not callable(until):
        raise TypeError(f"until must be a function or None, got {until!r}")
    w = parameters("w0", w0).clone()
    data = ClientData(clients, like=w)
    check_is_mean(loss, w, data)
    return w, data


class Federation:
    """A federation under way: all that changes from round to round."""

    def __init__(self, loss, w, data, algorithm, seed, aggregate, batched, block):
        self.loss, self.w, self.data, self.algorithm = loss, w, data, algorithm
        self.seed, self.aggregate, self.batched, self.block = seed, aggregate, batched, block
        self.trained = len(w) - getattr(loss, "buffers", 0)  # the rest are buffers
        self.state = algorithm.server.init(w[: self.trained])
        self.own = self.shared = None
        if algorithm.renew is not None:
            self.own = w.new_zeros(len(data), len(w))
            self.shared = w.new_zeros(len(w))
        self.chosen, self.records = [], []
        self.weights = data.sizes.astype(float) if algorithm.by_size else np.ones(len(data))
        self.record()

    def round(self, many):
        """Draw clients, let them work, and make the server's step."""
        r = len(self.chosen)
        rng = np.random.default_rng([self.seed, r])
        ids = np.sort(rng.choice(len(self.data), size=many, replace=False))
        seeds = rng.integers(2**63, size=many)
        self.chosen.append(ids)
        update = self._aggregated(ids, seeds, self.algorithm.rate(r))
        step, self.state = self.algorithm.server.update(
            -update[: self.trained], self.state, self.w[: self.trained]
        )
        self.w = self.w + torch.cat([step, update[self.trained :]])
        if not self.w.isfinite().all():
            raise self._diverged("the server's step is not finite")

    def _aggregated(self, ids, seeds, rate):
        lengths = self.data.lengths(ids, self.algorithm.batch_size)
        weights = torch.tensor(self.weights[ids] / self.weights[ids].sum()).to(self.w)
        total, kept, change = torch.zeros_like(self.w), {}, 0
        for where in blocks(lengths, self.block, alike=self.trained < len(self.w)):
            update = self._block(ids[where], seeds[where], rate)
            if self.aggregate is mean:
                total += weights[where] @ update
            else:
                kept.update(zip(where.tolist(), update))
            if self.own is not None:
                change = change + self._renew(ids[where], update, rate)
        if self.own is not None:
            self.shared = self.shared + change / len(self.data)
        if self.aggregate is mean:
            return total
        total = self.aggregate(torch.stack([kept[j] for j in range(len(ids))]))
        if not isinstance(total, torch.Tensor) or total.shape != self.w.shape:
            got = list(total.shape) if isinstance(total, torch.Tensor) else repr(total)
            raise ValueError(f"aggregate must return a tensor of shape {list(self.w.shape)}, got {got}")
        return total.to(self.w)

    def _block(self, ids, seeds, rate):
        own = None if self.own is None else self.own[ids]
        update = local_updates(
            self.loss, self.data, self.algorithm, self.w, ids, rate, seeds, own, self.shared, self.batched
        )
        if not update.sum().isfinite():  # a sum is cheap; that of large numbers may overflow
            bad = ids[~update.isfinite().all(1).cpu().numpy()]
            if len(bad):
                raise self._diverged(f"the update of client {bad[0]} is not finite")
        return update

    def _renew(self, ids, update, rate):
        """Let clients renew what they keep; the sum of the changes."""
        before = self.own[ids]
        after = self.algorithm.renew(update, before, self.shared, self.algorithm.local_steps * rate)
        after[:, self.trained :] = 0
        self.own[ids] = after
        return (after - before).sum(0)

    def record(self):
        """Note where the federation stands."""
        client_loss = value_of_all(getattr(self.loss, "evaluate", self.loss), self.w, self.data, self.batched, self.block)
        loss = float(np.average(client_loss, weights=self.weights))
        if not np.isfinite(loss):
            if not self.records:
                raise ValueError(f"w0 must have a finite loss, got {loss}")
            raise self._diverged("the loss is not finite")
        self.records.append((len(self.chosen), self.w.cpu().numpy(), loss, client_loss))

    def trace(self):
        step, w, loss, client_loss = (np.array(each) for each in zip(*self.records))
        lr = np.array([self.algorithm.rate(r - 1) for r in step[1:]])
        return FederatedTrace(step, w, loss, lr, client_loss, self.chosen)

    def _diverged(self, what):
        step = len(self.chosen)
        last = self.records[-1]
        message = f"diverged in round {step}: {what}; last recorded loss {last[2]:.3g} after round {last[0]}. A smaller lr may help."
        return Divergence(message, step=step, trace=self.trace())
