"""A real federation on this machine: a server and several clients, each a process of its own, talking over the network.

    python -m course_lib.federated.deployment --clients 5 --rounds 5 --framework torch --kill 2 --join-late 4

trains a network with 32 hidden units on the digits, which are dealt among the clients. One client is killed in the middle
of a round and one joins late, if asked for. In the end the weights are compared with those of `simulate`, or of the same
clients' work without Flower where some were missing.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

from course_lib.federated.processes import Processes, free_port, until_open
from course_lib.validation import count

_APP = """
from course_lib.federated.digits_federation import apps
both = apps(**{settings!r})
server = both[0]
client = both[1]
"""
_PROJECT = """
[project]
name = "digits"
version = "1.0.0"
license = "MIT"
dependencies = []
[tool.flwr.app]
publisher = "reader"
[tool.flwr.app.components]
serverapp = "federation:server"
clientapp = "federation:client"
[tool.flwr.app.config]
"""


def deploy(
    clients, rounds, framework="torch", seed=0, kill=None, kill_round=1, late=None, join_round=2, timeout=20.0, say=print
):
    """Run a federation of real processes on this machine.

    Parameters
    ----------
    clients, rounds : int
    framework : str
        "torch" or "keras".
    seed : int
    kill : int, optional
        A client whose processes are killed while it works in round `kill_round`.
    late : int, optional
        A client that is started when round `join_round` − 1 has ended.
    timeout : float
        Seconds that the server waits for answers, and for clients to come.
    say : callable
        Gets a line for each round.

    Returns
    -------
    w : array [D]
    log : list of dicts
        For each round: missing, refused, accuracy.

    Raises
    ------
    ImportError
        If Flower is not installed.
    ValueError
        If an argument is wrong.
    RuntimeError
        If a process ends that should not.
    """
    from course_lib.federated.flower_nodes import INSTALL, missing_module

    if missing_module("flwr"):
        raise ImportError(INSTALL)
    clients, rounds = count("clients", clients), count("rounds", rounds)
    _check(clients, rounds, kill, kill_round, late, join_round)
    with tempfile.TemporaryDirectory(prefix="federation-") as folder, Processes(Path(folder), framework) as processes:
        folder = Path(folder)
        settings = dict(
            folder=str(folder), clients=clients, rounds=rounds, framework=framework, seed=seed, timeout=timeout, late=late,
            join_round=join_round, kill=kill, pause=2.0,
        )
        (folder / "app").mkdir()
        (folder / "app" / "pyproject.toml").write_text(_PROJECT)
        (folder / "app" / "federation.py").write_text(_APP.format(settings=settings))
        address, transport = _start_server(processes)
        say(f"server on {address}, {transport}")
        for client in range(clients):
            if client != late:
                _start_client(processes, client, address)
        log, alive = [], {client for client in range(clients) if client != late}
        while not (folder / "result.npz").exists():
            processes.check()
            if (folder / "failed").exists():
                raise RuntimeError(f"the server has failed with {(folder / 'failed').read_text()}")
            if kill in alive and _length(folder / f"working-{kill}") > kill_round:
                processes.kill(f"client-{kill}")
                alive.remove(kill)
                say(f"round {kill_round}: client {kill} killed at work")
            if late is not None and late not in alive and len(log) >= join_round:
                _start_client(processes, late, address)
                alive.add(late)
                say(f"client {late} started")
            log = _told(folder, log, clients, say)
            time.sleep(0.05)
        log = _told(folder, log, clients, say)
        with np.load(folder / "result.npz") as result:
            return result["w"], log


def _start_server(processes):
    """SuperLink, its SuperExec, and the run of the server's app; where clients connect, and how."""
    grpc = tuple(int(part) for part in version("flwr").split(".")[:2]) < (1, 40)
    http, fleet, control = (f"127.0.0.1:{free_port()}" for _ in range(3))
    more = ["--fleet-api-address", fleet, "--control-api-address", control] if grpc else []
    port = http.split(":")[1]
    processes.start(
        "server", "flower-superlink", "--insecure", "--isolation", "process", "--host", "127.0.0.1", "--port", port, *more
    )
    until_open(http, processes)
    processes.start("server", "flower-superexec", "--insecure", "--runtime-api-address", http)
    (processes.folder / "home-run").mkdir()
    config = f'[superlink.here]\naddress = "{http}"\ninsecure = true\n'
    (processes.folder / "home-run" / "config.toml").write_text(config)
    run = processes.start("run", "flwr", "run", processes.folder / "app", "here")
    while not processes.ended("run", run):
        time.sleep(0.05)
    return (fleet, "over gRPC") if grpc else (http, "over HTTP, as Flower from 1.40 on")


def _start_client(processes, client, address):
    """A SuperNode, and the SuperExec that does its work."""
    name, port = f"client-{client}", free_port()
    processes.start(
        name, "flower-supernode", "--insecure", "--superlink", address, "--isolation", "process",
        "--host", "127.0.0.1", "--port", port, "--node-config", f"partition-id={client}",
    )
    until_open(f"127.0.0.1:{port}", processes)
    processes.start(name, "flower-superexec", "--insecure", "--runtime-api-address", f"127.0.0.1:{port}")


def _told(folder, log, clients, say):
    """All rounds that the server has told of; a line for each new one."""
    path = folder / "rounds.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    rounds = [json.loads(line) for line in lines if line.endswith("\n")]
    for r in range(len(log), len(rounds)):
        answered = sorted(set(range(clients)) - set(rounds[r]["missing"]))
        missing, refused = (rounds[r][name] or "none" for name in ("missing", "refused"))
        say(f"round {r}: answered {answered}, missing {missing}, refused {refused}, accuracy {rounds[r]['accuracy']:.3f}")
    return rounds


def _length(path):
    return path.stat().st_size if path.exists() else 0


def _check(clients, rounds, kill, kill_round, late, join_round):
    for name, client, when, r in (("kill", kill, "kill_round", kill_round), ("late", late, "join_round", join_round)):
        if client is not None:
            if not 0 <= client < clients:
                raise ValueError(f"{name} must be a client, 0 to {clients - 1}, got {client}")
            if not 0 <= r < rounds:
                raise ValueError(f"{when} must be a round, 0 to {rounds - 1}, got {r}")
    if late is not None and late == kill:
        raise ValueError(f"late must be another client than kill, got {late}")


def main(arguments=None):
    """The command: see `--help`."""
    parser = argparse.ArgumentParser(prog="python -m course_lib.federated.deployment", description=__doc__.split("\n\n")[0])
    parser.add_argument("--clients", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--framework", choices=["torch", "keras"], default="torch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kill", type=int, metavar="CLIENT", help="kill -9 this client while it works")
    parser.add_argument("--kill-round", type=int, default=1, metavar="ROUND")
    parser.add_argument("--join-late", type=int, metavar="CLIENT", dest="late", help="start this client late")
    parser.add_argument("--join-round", type=int, default=2, metavar="ROUND")
    parser.add_argument("--timeout", type=float, default=20.0, help="seconds that the server waits for answers")
    settings = vars(parser.parse_args(arguments))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        w, log = deploy(**settings)
        from course_lib.federated.digits_federation import without_flower

        expected = without_flower([each["missing"] for each in log], clients=settings["clients"], seed=settings["seed"])
    except KeyboardInterrupt:
        sys.exit("stopped: all processes are ended")
    except (ImportError, ValueError, RuntimeError) as error:
        sys.exit(str(error))
    print(f"largest difference to the same rounds without Flower: {np.abs(w - expected).max():.1e}")


if __name__ == "__main__":
    main()
