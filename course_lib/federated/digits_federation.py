"""The federation that `deployment` runs: the digits dealt among clients, with PyTorch or Keras, and as two Flower apps."""

import json
import time
from pathlib import Path

import numpy as np

from course_lib.validation import one_of


def federation(clients, seed, framework="torch", **_):
    """Server, `make_worker` and the accuracy on test data: what all processes agree on.

    Parameters
    ----------
    clients, seed : int
    framework : str
        "torch" or "keras".

    Returns
    -------
    server : Server
    make_worker : callable
    accuracy : callable
        `accuracy(w [D]) -> float`

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> server, make_worker, accuracy = federation(clients=5, seed=0)
    >>> make_worker().sizes, len(server.w)
    (array([216, 216, 215, 215, 215]), 2410)
    """
    from course_lib.federated import Server, fedavg, partition
    from course_lib.federated.workers import KerasWorker, TorchWorker
    from course_lib.training import mlp_task

    one_of("framework", framework, ("torch", "keras"))
    task = mlp_task("digits", hidden=(32,))
    draw = task.draw(seed)
    w0, x, y = draw.w0.float(), draw.train[0].float(), draw.train[1]
    dealt = [(x[part], y[part]) for part in partition.iid(len(x), clients, seed)]
    algorithm = fedavg(5, lr=0.1, batch_size=32)

    def make_worker():
        if framework == "torch":
            return TorchWorker(task.loss, dealt, algorithm, w0)
        return KerasWorker(network, dealt, algorithm, w0)

    def accuracy(w):
        return 1 - float(task.metric(w, draw.test[0].float(), draw.test[1]))

    return Server(w0, algorithm, [len(part) for part, _ in dealt], seed), make_worker, accuracy


def network():
    """The network in Keras: 64–32–10."""
    import keras

    layers = [keras.Input((64,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(10)]
    return keras.Sequential(layers)


def apps(folder, rounds, timeout, late=None, join_round=0, kill=None, pause=0.0, **settings):
    """The two Flower apps of the processes, which leave word in a folder of how far they are.

    Parameters
    ----------
    folder : str
        Gets rounds.jsonl, a line for each round, result.npz in the end, and a file working-i for client i with a
        character for each round it has begun.
    rounds, timeout
        As in `flower_apps`.
    late : int, optional
        The client that the server does not wait for until the round `join_round`.
    kill, pause : int, float
        A client, and how many seconds it pauses in each round before it works.
    **settings
        Of `federation`.

    Returns
    -------
    ServerApp, ClientApp
    """
    from course_lib.federated.flower_nodes import flower_apps

    server, make, accuracy = federation(**settings)
    folder, clients = Path(folder), len(server.weights)

    def make_worker():
        worker = make()

        def work(client, *arguments):
            with open(folder / f"working-{client}", "a") as file:
                file.write(".")
            if client == kill:
                time.sleep(pause)
            return worker(client, *arguments)

        work.sizes = worker.sizes
        return work

    def wait_for(r):
        return clients - (late is not None and r < join_round)

    def after_round(server):
        line = {"missing": server.missing[-1].tolist(), "refused": server.refused[-1]}
        line["accuracy"] = accuracy(server.w)
        with open(folder / "rounds.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")
        if server.round == rounds:
            np.savez(folder / "result-partial.npz", w=server.w.numpy())
            (folder / "result-partial.npz").rename(folder / "result.npz")

    options = {"arrival": 120.0, "wait_for": wait_for, "after_round": after_round}
    run, client = flower_apps(make_worker, server, rounds, timeout, **options)
    return _telling(run, folder / "failed"), client


def _telling(run, path):
    """A server's app that writes into a file what it fails with: Flower shows its output to nobody."""
    from flwr.serverapp import ServerApp

    app = ServerApp()

    @app.main()
    def main(grid, context):
        try:
            run(grid, context)
        except Exception as error:
            path.write_text(f"{type(error).__name__}: {error}")
            raise

    return app


def without_flower(missing, **settings):
    """The weights [D] that the same federation reaches with PyTorch and no Flower, if these clients are missing.

    Parameters
    ----------
    missing : list of lists of int
        For each round.
    **settings
        Of `federation`, but for the framework.
    """
    from course_lib.federated import Message

    server, make_worker, _ = federation(**(settings | {"framework": "torch"}))
    worker = make_worker()
    for absent in missing:
        (ids, seeds), w = server.draw(), server.w.numpy()
        work = [(i, worker(i, w, server.rate, seed)) for i, seed in zip(ids, seeds) if i not in absent]
        server.take([Message(int(i), server.round, server.w.new_tensor(update)) for i, update in work])
    return server.w.numpy()
