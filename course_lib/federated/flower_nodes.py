"""A federation as a pair of Flower apps, https://flower.ai.

Flower carries messages; who takes part, what a client does and what the server makes of it are `Server` and a worker.
"""

import os
import sys
import time
from importlib.util import find_spec

import numpy as np
import torch

from course_lib.federated.server import Message, Server
from course_lib.validation import count, number

INSTALL = 'Flower is not installed, or its simulation is not: pip install "flwr[simulation]>=1.38"'
_POLL = 0.05  # seconds between two looks for answers
_workers = {}  # a process makes a worker once, not for every message


def flower_apps(make_worker, server, rounds, timeout=60.0, *, arrival=60.0, wait_for=None, after_round=None):
    """A federation as a Flower `ServerApp` and `ClientApp`.

    Before every round the server asks each new node which client it is and how many samples it has: newcomers join, and a
    client that comes back as another node takes its old place. A client of the round that is not connected, fails, or does
    not answer in time is missing. It gets no more work until it has answered; that answer is refused as stale.

    Parameters
    ----------
    make_worker : callable
        `make_worker()`: a `TorchWorker`, a `KerasWorker`, or what has their two faces. It is called once in each client's
        process.
    server : Server
        Its `.w`, `.missing`, … say what came of it. Its `sizes` are replaced by what the clients say.
    rounds : int
    timeout : float
        How many seconds the server waits for the answers of a round.
    arrival : float
        How many seconds it waits for clients to come.
    wait_for : callable, optional
        `wait_for(round)`: how many clients must have come before the round begins; None for all, before the first. After
        `arrival` seconds it begins all the same.
    after_round : callable, optional
        `after_round(server)`

    Returns
    -------
    ServerApp, ClientApp
        A node's number is the "partition-id" in its configuration, from 0.

    Raises
    ------
    ImportError
        If Flower is not installed.
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> from course_lib.federated import fedavg
    >>> server = Server(torch.zeros(1), fedavg(1, 0.5), sizes=[1, 1], seed=0)
    >>> apps = flower_apps(lambda: None, server, rounds=3)  # doctest: +SKIP
    """
    if not callable(make_worker):
        raise TypeError(f"make_worker must be a function that returns a worker, got {make_worker!r}")
    if not isinstance(server, Server):
        raise TypeError(f"server must be a Server, got {server!r}")
    rounds, timeout = count("rounds", rounds), number("timeout", timeout, above=0)
    arrival = number("arrival", arrival, above=0)
    if missing_module("flwr"):
        raise ImportError(INSTALL)
    from flwr.serverapp import ServerApp

    app = ServerApp()
    wait_for = wait_for or (lambda r: 0 if r else len(server.weights))

    @app.main()
    def main(grid, context):
        talk = _Talk(grid, server, timeout, arrival)
        for r in range(rounds):
            talk.meet(wait_for(r))
            talk.round()
            if after_round is not None:
                after_round(server)

    return app, client_app(make_worker, server.algorithm, server.trained)


def client_app(make_worker, algorithm, trained):
    """A `ClientApp` that answers what `flower_apps` asks; `trained` says how many of the D numbers are no buffers."""
    from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
    from flwr.app import Message as FlowerMessage
    from flwr.clientapp import ClientApp

    app, key = ClientApp(), f"{os.getpid()} {time.time_ns()}"

    def worker():
        return _made(key, make_worker)

    @app.query()
    def introduce(message, context):
        client = int(context.node_config["partition-id"])
        me = MetricRecord({"client": client, "samples": int(worker().sizes[client])})
        return FlowerMessage(RecordDict({"me": me}), reply_to=message)

    @app.train()
    def train(message, context):
        task, (w, *shared) = message.content["task"], message.content["arrays"].to_numpy_ndarrays()
        client, rate, kept = int(context.node_config["partition-id"]), task["rate"], context.state
        if not shared:
            answer = [worker()(client, w, rate, task["seed"])]
        else:
            own = _own(kept, task["counted"], w)
            update = worker()(client, w, rate, task["seed"], own, shared[0])
            after = algorithm.renew(update, own, shared[0], algorithm.local_steps * rate)
            after[trained:] = 0
            kept["own"], kept["after"] = ArrayRecord([own]), ArrayRecord([after])
            kept["round"] = ConfigRecord({"round": task["round"]})
            answer = [update, after - own]
        content = {"arrays": ArrayRecord(answer), "task": ConfigRecord({"round": task["round"]})}
        return FlowerMessage(RecordDict(content), reply_to=message)

    return app


def _made(key, make_worker):
    """The worker of this process. (A function of the module: inside `client_app` each message would bring its own copy.)"""
    if key not in _workers:
        _workers[key] = make_worker()
    return _workers[key]


def _own(kept, counted, w):
    """What a client keeps: what it made of it last time, if the server counted that answer, or else what it had before."""
    if "round" not in kept:
        return np.zeros_like(w)
    last = "after" if kept["round"]["round"] == counted else "own"
    return kept[last].to_numpy_ndarrays()[0].copy()


class _Talk:
    """The server's side of the conversation: who is which node, and which answers are still awaited."""

    def __init__(self, grid, server, timeout, arrival):
        self.grid, self.server, self.timeout, self.arrival = grid, server, timeout, arrival
        self.nodes, self.met, self.awaited = {}, set(), {}  # awaited: message id -> client, None for an introduction
        self.counted = {}  # client -> the last round in which its answer was counted

    def meet(self, many):
        """Ask every new node which client it is, and wait until so many clients have come."""
        end = time.monotonic() + self.arrival
        while True:
            new = [node for node in self.grid.get_node_ids() if node not in self.met]
            self.met.update(new)
            asked = self._send([self._message("query", node, {}) for node in new], [None] * len(new))
            self._await(asked, end)
            if len(self.nodes) >= many or time.monotonic() > end:
                return
            time.sleep(_POLL)

    def round(self):
        """Send the clients of this round to work, and give the server their answers, with late ones to earlier rounds."""
        from flwr.app import ArrayRecord, ConfigRecord

        server, messages, asked = self.server, [], []
        ids, seeds = server.draw()
        arrays = ArrayRecord([part.cpu().numpy() for part in (server.w, server.shared) if part is not None])
        busy = set(self.awaited.values())
        for client, seed in zip(ids.tolist(), seeds.tolist()):
            if client in self.nodes and client not in busy:
                counted = self.counted.get(client, -1)
                task = {"round": server.round, "rate": server.rate, "seed": seed, "counted": counted}
                messages.append(self._message("train", self.nodes[client], {"arrays": arrays, "task": ConfigRecord(task)}))
                asked.append(client)
        answers, failed = self._await(self._send(messages, asked), time.monotonic() + self.timeout)
        if failed and len(failed) == len(ids):
            raise RuntimeError(f"all {len(ids)} clients failed in round {server.round}, the first with {failed[0]}")
        this = server.round
        accepted = server.take(sorted(answers, key=lambda message: message.client))
        self.counted.update((client, this) for client in accepted)

    def _message(self, kind, node, content):
        from flwr.app import Message as FlowerMessage
        from flwr.app import RecordDict

        return FlowerMessage(RecordDict(content), dst_node_id=node, message_type=kind, group_id=str(self.server.round))

    def _send(self, messages, clients):
        """Send messages; their ids, each of them noted with its client."""
        sent = dict(zip(self.grid.push_messages(messages), clients)) if messages else {}
        self.awaited.update(sent)
        return set(sent)

    def _await(self, wanted, end):
        """Collect what comes, until all that is wanted has or time is over: messages, and what clients failed with."""
        answers, failed = [], []
        while True:
            for reply in self.grid.pull_messages(list(self.awaited)) if self.awaited else []:
                client = self.awaited.pop(reply.metadata.reply_to_message_id)
                if reply.has_error():
                    failed.append(reply.error.reason)
                elif client is None:
                    self._introduced(reply)
                else:
                    answers.append(self._answer(client, reply.content))
            if not wanted & self.awaited.keys() or time.monotonic() > end:
                return answers, failed
            time.sleep(_POLL)

    def _introduced(self, reply):
        client, samples = (reply.content["me"][name] for name in ("client", "samples"))
        if 0 <= client < len(self.server.weights) and samples > 0:
            self.nodes[client] = reply.metadata.src_node_id
            self.awaited = {message: i for message, i in self.awaited.items() if i != client}
            self.counted.pop(client, None)
            if self.server.algorithm.by_size and self.server.privacy is None:
                self.server.weights[client] = samples

    def _answer(self, client, content):
        parts = [torch.tensor(part).to(self.server.w.device) for part in content["arrays"].to_numpy_ndarrays()]
        return Message(client, content["task"]["round"], *parts[:2])


def missing_module(name):
    """Whether a module cannot be found; it is not loaded."""
    return name not in sys.modules and find_spec(name) is None
