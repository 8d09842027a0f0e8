"""The federation as Flower apps: the weights of `simulate`, in a simulation and in real processes, whoever is missing."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib.federated import (
    ClientData, ModuleLoss, fedavg, fedprox, local_updates, scaffold, simulate,
)
from course_lib.federated.local_training import one_by_one
from course_lib.federated.workers import KerasWorker, TorchWorker
from course_lib.update_rules import adam

ROOT = Path(__file__).resolve().parents[1]
SIZES = (20, 31, 12, 40)
CASES = {
    "batches of some": (fedavg(4, 0.1, batch_size=8), 0.5),
    "FedAdam": (fedavg(3, 0.1, batch_size=16, server=adam(0.05)), 1.0),
    "FedProx": (fedprox(4, 0.1, batch_size=8, mu=0.5), 1.0),
    "SCAFFOLD": (scaffold(4, 0.1, batch_size=8), 0.5),
}


def softmax(w, x, y):
    """Cross-entropy of a linear model, 5 inputs and 3 classes."""
    return torch.nn.functional.cross_entropy(x @ w.view(5, 3), y)


def failing(w, x, y):
    """A loss that fails as soon as there are more than the two samples on which it is tried."""
    if len(x) > 2:
        raise ArithmeticError("no such luck")
    return softmax(w, x, y)


def samples(seed=0, features=5, classes=3, sizes=SIZES):
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((n, features), dtype="f4"), rng.integers(classes, size=n)) for n in sizes]


def in_flower():
    """What the subprocess does: one case in a Ray that comes and goes, the others in one that must be there in the end."""
    import ray

    from course_lib.federated.flower import flower_simulate

    def weights(name):
        return flower_simulate(softmax, torch.zeros(15), samples(), *_arguments(name), cores=1).w.tolist()

    found = {"SCAFFOLD": weights("SCAFFOLD")}
    stopped = not ray.is_initialized()
    ray.init(num_cpus=1, _temp_dir=os.environ["RAYS"], include_dashboard=False, logging_level="error", log_to_driver=False)
    found |= {name: weights(name) for name in CASES if name not in found}
    try:
        flower_simulate(failing, torch.zeros(15), samples(), *_arguments("FedAdam"))
    except RuntimeError as error:
        failed = str(error)
    kept = ray.is_initialized()
    ray.shutdown()
    print(json.dumps({"weights": found, "stopped": stopped, "kept": kept, "failed": failed}))


def _arguments(name):
    algorithm, fraction = CASES[name]
    return algorithm, 3, 0, fraction


def environment(tmp_path, **more):
    """A home and a folder for temporary files that start empty; warnings are errors in no other library than ours."""
    (tmp_path / "t").mkdir()
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"HOME": str(tmp_path), "TMPDIR": str(tmp_path / "t"), "PYTHONPATH": paths, **more}


def running(tmp_path):
    """The processes that were given this folder: none must be left."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if str(tmp_path).encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_bytes())
        except OSError:
            pass
    return found


# ---- Flower's simulation


def test_flower_simulation_gives_the_weights_of_simulate_and_leaves_all_as_it_was():
    """All in one test: whatever starts Ray takes seconds."""
    pytest.importorskip("flwr")
    pytest.importorskip("ray")
    folder = Path(tempfile.mkdtemp(prefix="f"))  # Ray needs a short name
    done = subprocess.run(
        [sys.executable, "-c", "import test_flower; test_flower.in_flower()"], cwd=folder,
        env=environment(folder, RAYS=str(folder / "rays"), RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0", RAY_worker_niceness="0"),
        capture_output=True, text=True, timeout=400,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert done.stderr == ""
    found = json.loads(line)
    for name in CASES:
        algorithm, rounds, seed, fraction = _arguments(name)
        ours = simulate(softmax, torch.zeros(15), samples(), algorithm, rounds, seed, fraction)
        assert np.abs(ours.w[-1]).max() > 0.01
        np.testing.assert_allclose(found["weights"][name], ours.w[-1], atol=1e-6, err_msg=name)
    assert found["stopped"] and found["kept"]
    assert "all 4 clients failed in round 0" in found["failed"] and "no such luck" in found["failed"]
    assert {path.name for path in folder.iterdir()} == {"t", "rays"}  # "rays" is of the Ray that was there
    assert list((folder / "t").iterdir()) == []
    assert running(folder) == []
    shutil.rmtree(folder)


# ---- workers


@pytest.mark.parametrize("algorithm", [fedavg(5, 0.1), fedavg(6, 0.1, batch_size=8), fedprox(5, 0.1, mu=0.7)], ids=repr)
def test_a_torch_worker_does_what_simulate_does(algorithm):
    w, clients = torch.linspace(-1, 1, 15), samples()
    data, worker = ClientData(clients, like=w), TorchWorker(softmax, clients, algorithm, w)
    for i in range(len(clients)):
        update = local_updates(softmax, data, algorithm, w, np.array([i]), 0.1, [7 + i], batched=one_by_one)[0]
        np.testing.assert_array_equal(worker(i, w.numpy(), 0.1, 7 + i), update.numpy())


def network():
    import keras

    return keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(10)])


def normalised_network():
    import keras

    layers = [keras.layers.Dense(8), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((5,)), *layers])


def mlp(w, x, y):
    first, b, second, c = w.split([64 * 32, 32, 32 * 10, 10])
    return torch.nn.functional.cross_entropy((x @ first.view(64, 32) + b).relu() @ second.view(32, 10) + c, y)


@pytest.mark.parametrize("algorithm", [fedavg(5, 0.1, batch_size=8), fedprox(5, 0.1, mu=0.7), scaffold(5, 0.1)], ids=repr)
def test_a_keras_worker_moves_as_a_torch_worker(algorithm):
    pytest.importorskip("tensorflow")
    clients = samples(features=64, classes=10)
    keras = KerasWorker(network, clients, algorithm)
    ours = TorchWorker(mlp, clients, algorithm, keras.start)
    rng = np.random.default_rng(0)
    own, shared = (0.1 * rng.standard_normal(2410).astype("f4") for _ in "ab")
    theirs = keras(1, keras.start, 0.1, 3, own, shared)
    update = ours(1, keras.start, 0.1, 3, own, shared)
    assert keras.buffers == 0 and np.abs(update).max() > 1e-2
    np.testing.assert_allclose(theirs, update, atol=2e-6)


def test_batch_normalisation_moves_alike_but_for_the_moving_variance():
    """PyTorch's moving variance takes the batch's divided by n − 1, that of Keras by n."""
    pytest.importorskip("tensorflow")
    clients, algorithm, n = samples(), fedavg(1, 0.1), SIZES[1]
    keras = KerasWorker(normalised_network, clients, algorithm)
    net = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 3))
    loss = ModuleLoss(net)
    names = "kernel bias gamma beta kernel2 bias2 mean variance".split()
    k = dict(zip(names, np.split(keras.start, np.cumsum([40, 8, 8, 8, 24, 3, 8]))))
    flip = {"kernel": (5, 8), "kernel2": (8, 3)}
    start = np.concatenate([k[name].reshape(flip[name]).T.ravel() if name in flip else k[name] for name in names])
    update = TorchWorker(loss, clients, algorithm, start)(1, start, 0.1, 0)
    theirs = keras(1, keras.start, 0.1, 0)
    t = dict(zip(names, np.split(update, np.cumsum([40, 8, 8, 8, 24, 3, 8]))))
    u = dict(zip(names, np.split(theirs, np.cumsum([40, 8, 8, 8, 24, 3, 8]))))
    assert keras.buffers == loss.buffers == 16
    for name in names[:-1]:
        mine = t[name].reshape(flip[name][::-1]).T.ravel() if name in flip else t[name]
        np.testing.assert_allclose(u[name], mine, atol=1e-5)
    np.testing.assert_allclose(u["variance"] + 0.1, (t["variance"] + 0.1) * (n - 1) / n, atol=1e-5)


def test_workers_say_what_is_wrong():
    pytest.importorskip("tensorflow")
    import keras

    def dropping():
        return keras.Sequential([keras.Input((5,)), keras.layers.Dropout(0.5), keras.layers.Dense(3)])

    with pytest.raises(ValueError, match="draws no random numbers"):
        KerasWorker(dropping, samples(), fedavg(1, 0.1))
    with pytest.raises(ValueError, match=r"like must have shape \[2410\]"):
        KerasWorker(network, samples(features=64), fedavg(1, 0.1), np.zeros(3))
    with pytest.raises(TypeError, match="algorithm must be"):
        TorchWorker(softmax, samples(), "fedavg", torch.zeros(15))
    with pytest.raises(TypeError, match="make_model must return"):
        KerasWorker(lambda: None, samples(), fedavg(1, 0.1))


# ---- real processes


def test_a_client_killed_at_work_and_one_that_joins_late(tmp_path):
    pytest.importorskip("flwr")
    command = "--clients 3 --rounds 4 --kill 1 --kill-round 1 --join-late 2 --join-round 2 --timeout 15"
    done = subprocess.run(
        [sys.executable, "-m", "course_lib.federated.deployment", *command.split()], env=environment(tmp_path), cwd=ROOT,
        capture_output=True, text=True, timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    rounds = [line for line in lines if line.startswith("round ") and "answered" in line]
    assert len(rounds) == 4 and "round 1: client 1 killed at work" in lines and "client 2 started" in lines
    assert all("1" not in line.split("answered")[1].split("]")[0] for line in rounds[1:])
    assert all("2" not in line.split("answered")[1].split("]")[0] for line in rounds[:2])
    assert any("2" in line.split("answered")[1].split("]")[0] for line in rounds[2:])
    assert float(lines[-1].rsplit(" ", 1)[1]) < 1e-5
    assert list((tmp_path / "t").iterdir()) == [] and not (tmp_path / ".flwr").exists()
    assert running(tmp_path) == []


@pytest.mark.parametrize("wrong, says", [
    ("--kill 7", "kill must be a client, 0 to 4, got 7"), ("--kill 1 --join-late 1", "late must be another client"),
    ("--rounds 2 --join-late 1 --join-round 5", "join_round must be a round, 0 to 1, got 5"),
])
def test_the_command_says_what_is_wrong(wrong, says):
    from course_lib.federated.deployment import main

    pytest.importorskip("flwr")
    with pytest.raises(SystemExit, match=says):
        main(wrong.split())
