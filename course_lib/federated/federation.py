"""A federation on one machine, under way: its clients' work, their messages, and a record of all."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.func import vmap

from course_lib.federated.aggregators import mean
from course_lib.federated.clients import value_of_all
from course_lib.federated.error_feedback import ErrorFeedback
from course_lib.federated.local_training import blocks, local_updates
from course_lib.federated.server import Message
from course_lib.training import Divergence, Trace


@dataclass(frozen=True, eq=False)
class FederatedTrace(Trace):
    """What a federation did, at its start and after every recorded round.

    Parameters
    ----------
    step, w, loss, lr
        As in `Trace`, a step being a round: loss is the mean of the clients' losses, in the
        algorithm's weights, lr the clients' rate in the round that led to each record.
    client_loss : array [records, clients]
    upload, download : arrays [records] of int
        Bytes so far that clients have sent, and that the server has.
    epsilon : array [records] or None
        With privacy, what has been promised so far, of w alone: the losses recorded here, and
        who was drawn or sent what, are no part of it.
    chosen : list of arrays of int
        Who was drawn, for every round, that which diverged included.
    missing : list of arrays of int
        Who of them sent nothing for the round.
    refused : list of lists of (client, reason)
        For every round, as in `Server`.
    """

    client_loss: np.ndarray
    upload: np.ndarray
    download: np.ndarray
    epsilon: np.ndarray | None
    chosen: list
    missing: list
    refused: list


class Federation:
    """Clients on one machine, and their server: all that changes from round to round."""

    def __init__(self, loss, data, server, batched=vmap, block=256, compress=None, faults=None):
        self.loss, self.data, self.server = loss, data, server
        self.batched, self.block, self.compress, self.faults = batched, block, compress, faults
        self.own = self.memory = None
        if server.shared is not None:
            self.own = server.w.new_zeros(len(data), len(server.w))
        if isinstance(compress, ErrorFeedback):
            self.memory = server.w.new_zeros(len(data), server.trained)
        if faults is not None:
            self.bad, self.late, self.before = faults.bad_clients(len(data), server.seed), [], server.w
        self.upload = self.download = 0
        self.records = []
        self.record()

    def round(self):
        """Draw clients, let them work, and let the server make its step."""
        server = self.server
        ids, seeds = server.draw()
        vectors = 1 if self.own is None else 2
        self.download += vectors * len(ids) * len(server.w) * server.w.element_size()
        if self.faults is not None:
            self._with_faults(ids, seeds)
        elif server.aggregate is mean:
            self._in_blocks(ids, seeds)
        else:
            work = self._all_work(ids, seeds, server.w)
            self._check_finite(ids, work["update"])
            self.upload += int(work["bytes"].sum())
            server.step(server.combined(work["arrived"], ids), self._keep(ids, work))
        if not server.w.isfinite().all():
            raise self._diverged("the server's step is not finite")

    def _in_blocks(self, ids, seeds):
        """A round whose updates are summed block by block."""
        server = self.server
        share = server.shares(ids)
        total, change = torch.zeros_like(server.w), None
        for where in self._blocks(ids):
            work = self._work(ids[where], seeds[where], server.w)
            arrived = work["arrived"]
            if server.privacy is None:
                self._check_finite(ids[where], work["update"])
            else:
                arrived = server.privacy.clipped(arrived)
            total += share[where] @ arrived
            kept = self._keep(ids[where], work)
            change = kept if change is None else change + kept
            self.upload += int(work["bytes"].sum())
        server.step(total, change)

    def _with_faults(self, ids, seeds):
        """A round in which each message is looked at."""
        server, faults, r = self.server, self.faults, self.server.round
        fates = faults.fates(ids, self.bad, np.random.default_rng([server.seed, r, 2]))
        start = server.w.repeat(len(ids), 1)
        start[[fate == "stale" for fate in fates]] = self.before
        work = self._all_work(ids, seeds, start) if len(ids) else None
        messages, self.late = self.late, []
        for j, (i, fate) in enumerate(zip(ids.tolist(), fates)):
            change = None if self.own is None else work["after"][j] - self.own[i]
            right = Message(i, r, work["arrived"][j], change)
            sent = faults.messages(fate, right, work["arrived"])
            self.upload += len(sent) * int(work["bytes"][j])
            (self.late if fate == "late" else messages).extend(sent)
        self.before = server.w
        accepted = np.isin(ids, server.take(messages))
        if accepted.any():
            self._keep(ids, work, accepted)
        if len(ids) and not work["update"].isfinite().all(1).any():
            raise self._diverged("no client's update is finite")

    def _blocks(self, ids):
        lengths = self.data.lengths(ids, self.server.algorithm.batch_size)
        return blocks(lengths, self.block, alike=self.server.trained < len(self.server.w))

    def _all_work(self, ids, seeds, start):
        """`_work` of all clients of a round, in their order."""
        parts, order = [], []
        for where in self._blocks(ids):
            parts.append(self._work(ids[where], seeds[where], start[where] if start.dim() == 2 else start))
            order.append(where)
        back = np.argsort(np.concatenate(order))
        work = {key: torch.cat([part[key] for part in parts])[back] for key in parts[0] if key != "bytes"}
        return work | {"bytes": np.concatenate([part["bytes"] for part in parts])[back]}

    def _work(self, ids, seeds, start):
        """What a block of clients does: its updates, how they arrive, in how many bytes, and what clients would keep."""
        server = self.server
        rate, trained, size = server.rate, server.trained, server.w.element_size()
        own = None if self.own is None else self.own[ids]
        update = local_updates(
            self.loss, self.data, server.algorithm, start, ids, rate, seeds, own, server.shared, self.batched
        )
        work = {"update": update, "arrived": update, "bytes": np.full(len(ids), size * len(server.w))}
        if self.compress is not None:
            moved = update[:, :trained]
            if self.memory is None:
                arrived, sent = self.compress.send(moved, seeds)
            else:
                arrived, sent, work["memory"] = self.compress.send(moved, self.memory[ids], seeds)
            work["arrived"] = torch.cat([arrived, update[:, trained:]], dim=1)
            work["bytes"] = sent + size * (len(server.w) - trained)
        if own is not None:
            after = server.algorithm.renew(update, own, server.shared, server.algorithm.local_steps * rate)
            after[:, trained:] = 0
            work["after"], work["bytes"] = after, work["bytes"] + size * len(server.w)
        return work

    def _keep(self, ids, work, accepted=slice(None)):
        """Let clients keep what they have become, those whose messages the server took; the sum of SCAFFOLD's changes."""
        ids = ids[accepted]
        if self.memory is not None:
            self.memory[ids] = work["memory"][accepted]
        if self.own is None:
            return None
        after = work["after"][accepted]
        change = (after - self.own[ids]).sum(0)
        self.own[ids] = after
        return change

    def _check_finite(self, ids, update):
        if not update.sum().isfinite():  # a sum is cheap; that of large numbers may overflow
            bad = ids[~update.isfinite().all(1).cpu().numpy()]
            if len(bad):
                raise self._diverged(f"the update of client {bad[0]} is not finite")

    def record(self):
        """Note where the federation stands."""
        server = self.server
        client_loss = value_of_all(
            getattr(self.loss, "evaluate", self.loss), server.w, self.data, self.batched, self.block
        )
        loss = float(np.average(client_loss, weights=server.weights))
        if not np.isfinite(loss):
            if not self.records:
                raise ValueError(f"w0 must have a finite loss, got {loss}")
            raise self._diverged("the loss is not finite")
        self.records.append((server.round, server.w.cpu().numpy(), loss, client_loss, self.upload, self.download))

    def trace(self):
        server = self.server
        step, w, loss, client_loss, upload, download = (np.array(each) for each in zip(*self.records))
        lr = np.array([server.algorithm.rate(r - 1) for r in step[1:]])
        epsilon = None
        if server.privacy is not None:
            epsilon = np.array([server.privacy.epsilon(server.fraction, int(r)) for r in step])
        told = (list(each) for each in (server.chosen, server.missing, server.refused))
        return FederatedTrace(step, w, loss, lr, client_loss, upload, download, epsilon, *told)

    def _diverged(self, what):
        step = len(self.server.chosen)
        last = self.records[-1]
        message = f"diverged in round {step}: {what}; last recorded loss {last[2]:.3g} after round {last[0]}. A smaller lr may help."
        return Divergence(message, step=step, trace=self.trace())
