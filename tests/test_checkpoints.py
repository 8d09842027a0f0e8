"""Checkpoints: a run goes on to the last bit, wherever it was interrupted; a damaged or strange file is refused."""

import io
import multiprocessing
import os
import pickle
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_runs import halving, data, network, outcome, run, same, to_be_killed
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from ml_dtypes import bfloat16
from torch import nn

from course_lib import EarlyStopping
from course_lib.schedules import cosine_decay
from course_lib.training import Checkpoint, Divergence, fit, read_checkpoint, write_checkpoint
from course_lib.update_rules import (
    Rule, accumulate_gradients, adam, chain, clip_by_global_norm, gradient_descent, momentum, weight_ema,
)

RULES = {
    "adam": adam(0.02),
    "schedule": momentum(cosine_decay(0.1, 9), nesterov=True),
    "chain": chain(clip_by_global_norm(0.5), adam(0.02, amsgrad=True)),
    "average": weight_ema(adam(0.02), decay=0.9),
    "gathered": accumulate_gradients(momentum(0.1), steps=2),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.npz"


# ---- the file

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.integers(-2**200, 2**200)
LEAVES |= arrays.arrays(st.sampled_from([np.float64, np.float32, np.int8, np.uint64, bool, np.complex64, ">i4"]),
                        arrays.array_shapes(min_dims=0, min_side=0, max_side=3))
LEAVES |= st.sampled_from([np.float32(0.1), np.float64("nan"), np.int16(3)])
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(
    st.text(max_size=3) | st.integers(-9, 2**70), inner, max_size=3), max_leaves=8)


@given(TREES)
def test_a_tree_comes_back(tmp_path_factory, tree):
    path = tmp_path_factory.getbasetemp() / "tree.npz"
    write_checkpoint(str(path), tree)
    assert same(read_checkpoint(path), tree)
    assert not Path(f"{path}.tmp").exists()


def test_tensors_of_every_dtype_come_back(path):
    names = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16",
             "int8", "uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128"]
    bits = torch.tensor(np.random.default_rng(0).integers(0, 256, (3, 16), dtype=np.uint8))   # NaN of all kinds as well
    tensors = {name: bits.view(getattr(torch, name)) for name in names if name != "bool"}
    tensors |= {"bool": bits > 100, "0-d": torch.tensor(0.1, dtype=torch.bfloat16), "empty": torch.zeros(0, 3)}
    tensors |= {"turned": torch.arange(6.0).view(2, 3).T, "conjugate": torch.tensor([1 + 2j]).conj()}
    write_checkpoint(path, tensors)
    for name, back in read_checkpoint(path).items():
        kept = tensors[name].resolve_conj().contiguous()
        assert (back.dtype, back.shape) == (kept.dtype, kept.shape), name
        if len(back.shape) and back.numel():
            back, kept = back.view(torch.uint8), kept.view(torch.uint8)
        assert torch.equal(back, kept), name


@pytest.mark.parametrize("tree, told", [
    ({"a": object()}, "got object"), ({1.5: 0}, "strings and ints as keys, got 1.5"), ({"a": {1, 2}}, "got set"),
    (np.array([None]), "dtype object"), (np.zeros(2, bfloat16), "dtype bfloat16"), (1j, "got complex"),
    (torch.eye(2).to_sparse(), "must be dense"), (np.zeros(1, "i4,f8"), "must hold numbers"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_what_has_no_place_in_a_file_is_named(path, tree, told):
    path.write_text("before")
    with pytest.raises(TypeError) as caught:
        write_checkpoint(path, tree)
    assert told in str(caught.value) and path.read_text() == "before" and os.listdir(path.parent) == ["run.npz"]


SMALL = {"t": 2**70, "w": torch.tensor([0.1, 2.0], dtype=torch.bfloat16), "x": ["é", None, float("nan")]}


def test_every_single_bit_that_is_flipped_is_noticed_or_makes_no_difference(path):
    write_checkpoint(path, SMALL)
    whole, refused = path.read_bytes(), 0
    for place in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            assert same(read_checkpoint(path), SMALL), f"bit {place} made a difference"
        except ValueError as error:
            assert str(error).startswith(f"{path} is no checkpoint, or is damaged: ")
            refused += 1
    assert refused > 6 * len(whole), "what zip says twice, and times, may differ; little else"


def test_every_truncation_is_noticed(path):
    write_checkpoint(path, SMALL)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is no checkpoint, or is damaged"):
            read_checkpoint(path)


class Malicious:
    """What, unpickled, creates a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def foreign_files(target):
    """Yield (name, bytes) of files that are no checkpoints; some run code when they are unpickled."""
    yield "empty", b""
    yield "text", b"w = 1\n" * 99
    yield "pickle", pickle.dumps(Malicious(target))
    for name, save in {
        "npy": lambda file: np.save(file, np.ones(3)),
        "npy of objects": lambda file: np.save(file, np.array([Malicious(target)]), allow_pickle=True),
        "npz": lambda file: np.savez(file, w=np.ones(3)),
        "npz of objects": lambda file: np.savez(file, tree=np.array([Malicious(target)])),
        "npz with a tree": lambda file: np.savez(file, tree=np.frombuffer(b'{"tree": 1}', np.uint8)),
        "torch": lambda file: torch.save({"w": Malicious(target)}, file),
    }.items():
        file = io.BytesIO()
        save(file)
        yield name, file.getvalue()


def test_foreign_files_are_refused_and_not_run(path):
    target = path.parent / "created"
    for name, content in foreign_files(target):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no checkpoint, or is damaged"):
            read_checkpoint(path)
        assert not target.exists(), name
    pickle.loads(pickle.dumps(Malicious(target)))
    assert target.exists(), "it would have worked"
    with pytest.raises(FileNotFoundError):
        read_checkpoint(path.parent / "none")


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()], ids=repr)
def test_a_crash_as_it_is_written_leaves_the_old_file(path, monkeypatch, name, error):
    write_checkpoint(path, "old")

    def crash(*_):
        raise error

    monkeypatch.setattr(os, name, crash)
    with pytest.raises(type(error)):
        write_checkpoint(path, "new")
    assert read_checkpoint(path) == "old" and os.listdir(path.parent) == ["run.npz"]


def test_it_is_on_the_disk_before_it_gets_its_name_and_the_name_after(path, monkeypatch):
    calls, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append(os.fstat(handle).st_ino), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda old, new: (calls.append((old, new)), replace(old, new)))
    write_checkpoint(path, "new")
    assert calls == [path.stat().st_ino, (Path(f"{path}.tmp"), path), path.parent.stat().st_ino]


def test_where_a_folder_cannot_be_forced_to_the_disk_it_is_written_all_the_same(path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    write_checkpoint(path, "new")
    assert read_checkpoint(path) == "new"


# ---- a run that is interrupted

def resumed(path, at, every, make=network, **changes):
    """Fit, interrupted before step `at` (from 0), and again from the file, in another module; return what came out."""
    path.unlink(missing_ok=True)
    keep = Checkpoint(path, every)
    assert run(make(), keep, stop_at=at, **changes) is None
    assert path.exists() == (at >= (every or 3))
    module = make() if not path.exists() else make(seed=99)   # the file's weights are what counts
    torch.manual_seed(at)
    history = run(module, keep, **changes)
    return outcome(module, history)


@pytest.mark.parametrize("every", [1, 2, None])
@pytest.mark.parametrize("rule", RULES)
def test_interrupted_at_any_step_it_ends_the_same(path, rule, every):
    module = network()
    whole = outcome(module, run(module, rule=RULES[rule]))
    for at in range(9):
        assert same(resumed(path, at, every, rule=RULES[rule]), whole), f"interrupted before step {at}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_every_dtype(path, dtype):
    def make(seed=0):
        return network(seed, dtype)

    module = make()
    whole = outcome(module, run(module, rule=RULES["average"]))
    assert whole["module"]["0.weight"].dtype == dtype
    for at in range(9):
        assert same(resumed(path, at, 1, make, rule=RULES["average"]), whole), at


@pytest.mark.parametrize("watch", [
    {"stopping": EarlyStopping(2)}, {"stopping": EarlyStopping(2, restore_best=False)}, {"plateau": halving(0.05)},
    {"plateau": halving(0.05), "stopping": EarlyStopping(2, min_delta=0.01)}, {"check_finite": "skip"},
], ids=lambda watch: " ".join(watch))
def test_with_what_watches_the_validation_loss(path, watch):
    changes = {"epochs": 4, "rule": adam(0.1), **watch}
    module = network()
    whole = outcome(module, run(module, **changes))
    steps = len(whole["loss"])
    assert whole["stopped"] == ("stopping" in watch)
    assert (steps, whole["best_epoch"]) == ((9, 1) if whole["stopped"] else (12, None))
    for at in range(steps):
        assert same(resumed(path, at, 2, **changes), whole), at


def test_a_finished_run_is_read_and_may_be_made_longer(path):
    watched = {"stopping": EarlyStopping(9), "rule": adam(0.2)}   # its best weights come back, and are not gone on from
    for epochs in (1, 2, 4, 5):
        alone = network()
        whole = outcome(alone, run(alone, epochs=epochs, **watched))
        module = network(seed=epochs - 1)
        assert same(outcome(module, run(module, path, epochs=epochs, **watched)), whole), epochs
        again = network(seed=8)
        assert same(outcome(again, run(again, path, stop_at=0, epochs=epochs, **watched)), whole), "no step is made"
    with pytest.raises(ValueError, match="epochs must be at least 5, which .*run.npz has begun, got 4"):
        run(network(), path, epochs=4, **watched)


def test_a_run_that_stopped_stays_stopped(path):
    first = run(network(), path, epochs=20, stopping=EarlyStopping(1))
    longer = run(network(seed=3), path, stop_at=0, epochs=40, stopping=EarlyStopping(1))
    assert first.stopped and longer.stopped and np.array_equal(first.loss, longer.loss)
    ended = run(network(), path, stop_at=0, epochs=len(first.validation_loss) - 1, stopping=EarlyStopping(1))
    assert not ended.stopped, "it was over anyway"


class Remembering(nn.Linear):
    """A layer with a buffer that is in no state_dict, and counts its uses."""

    def __init__(self, seed=0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            super().__init__(4, 3, dtype=torch.float64)
        self.register_buffer("uses", torch.zeros(()), persistent=False)

    def forward(self, x):
        self.uses += 1
        return super().forward(x) / (1 + self.uses)


def test_buffers_outside_the_state_dict_count_too(path):
    module = Remembering()
    whole = outcome(module, run(module))
    assert same(resumed(path, 5, 1, Remembering), whole)


def test_divergence_leaves_the_last_good_file(path):
    class Breaking(nn.Linear):
        uses = 0

        def forward(self, x):
            self.uses += self.training
            return super().forward(x) * (torch.nan if self.uses > 5 else 1)

    torch.manual_seed(0)
    module = Breaking(4, 3).double()
    with pytest.raises(Divergence, match="diverged at step 6") as caught:
        run(module, Checkpoint(path, every=2))
    state = read_checkpoint(path)
    assert np.array_equal(state["steps"][:, 0], caught.value.trace.loss[:4]) and len(caught.value.trace.loss) == 5


# ---- a run that is killed

STEPS = 24
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["torch._dynamo", "IPython.display", "course_lib.training.fitting"])   # once for all


def started(path):
    """Start a run in a process of its own; return it and the number of its steps so far, which it shares."""
    counter = PROCESSES.Value("i", 0, lock=False)
    process = PROCESSES.Process(target=to_be_killed, args=(path, path.with_name("result.npz"), counter, STEPS // 3))
    process.start()
    return process, counter


def killed(path, steps, as_it_writes, rng):
    """Start a run, kill it at a step or while it writes the file after that; return whether it came to its end."""
    process, counter = started(path)
    limit = time.monotonic() + 60
    while counter.value < steps and process.is_alive():
        assert time.monotonic() < limit, "the run does not move"
        time.sleep(2e-4)
    if as_it_writes:
        while not Path(f"{path}.tmp").exists() and process.is_alive():
            time.sleep(5e-5)
    else:
        time.sleep(rng.uniform(0, 0.008))
    process.kill()
    process.join()
    over = process.exitcode == 0
    assert over or process.exitcode == -signal.SIGKILL
    process.close()
    return over


def test_killed_at_any_moment_it_ends_the_same(path):
    rng = random.Random()
    module = network()
    whole = outcome(module, run(module, epochs=STEPS // 3))
    early = leftover = 0
    for moment in range(20):
        path.unlink(missing_ok=True)
        early += not killed(path, rng.randint(1, STEPS // 2), moment % 2, rng)
        leftover += Path(f"{path}.tmp").exists()
        module = network()
        assert same(outcome(module, run(module, Checkpoint(path, every=1), epochs=STEPS // 3)), whole)
        assert not Path(f"{path}.tmp").exists()
    assert early >= 15, "the kills should hit the run"
    assert leftover >= 2, "some kills should hit the writing of the file"


def test_killed_again_and_again_it_comes_to_its_end(path):
    rng = random.Random()
    lives = 1
    while not killed(path, rng.randint(1, 4), lives % 2, rng):
        lives += 1
        assert lives < 100
    module = network()
    whole = outcome(module, run(module, epochs=STEPS // 3))
    assert same(read_checkpoint(path.with_name("result.npz")), whole) and lives > 4


# ---- refusals

@pytest.mark.parametrize("change, told", [
    ({"batch_size": 4}, "batch_size was 5, is 4"),
    ({"seed": 2}, "seed was 1, is 2"),
    ({"rule": adam(0.03)}, 'rule was {"name": "adam", "settings": {"lr": 0.02'),
    ({"rule": chain(clip_by_global_norm(1.0), adam(0.02))}, 'is {"name": "chain"'),
    ({"train": data(5)}, "train was SHA-256"),
    ({"train": (data()[0], data()[1][::-1].copy())}, "train was SHA-256"),
    ({"validation": data(5)}, "validation was SHA-256"),
    ({"validation": None}, ", is None"),
    ({"loss": nn.functional.cross_entropy}, "loss was checkpoint_runs.Loss, is torch.nn.functional.cross_entropy"),
    ({"stopping": EarlyStopping(2)}, "stopping was None, is EarlyStopping(patience=2"),
    ({"plateau": halving(0.1)}, "plateau was None, is Plateau(lr=0.1, factor=0.5, patience=0"),
    ({"check_finite": "skip"}, "check_finite was True, is skip"),
    ({"module": network(dtype=torch.float32)}, "module's 0.weight was float64 [6, 4], is float32 [6, 4]"),
    ({"module": nn.Sequential(*network(), nn.Identity())}, "(4): Identity()"),
    ({"module": nn.Sequential(*list(network())[:2], nn.Dropout(0.2), network()[3])},
     "module was (2): Dropout(p=0.3, inplace=False), is (2): Dropout(p=0.2, inplace=False)"),
    ({"module": network().requires_grad_(False).append(nn.Linear(3, 3).double())}, "trained was 0.weight, 0.bias"),
    ({"module": nn.Linear(4, 3).double()}, "module's 0.weight was float64 [6, 4], is absent"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_file_of_another_run_is_refused_and_what_differs_is_named(path, change, told):
    run(network(), path, epochs=1)
    module = change.pop("module", network(seed=3))
    before, kept = {k: v.clone() for k, v in module.state_dict().items()}, path.read_bytes()
    with pytest.raises(ValueError) as caught:
        run(module, path, **change)
    assert f"checkpoint {path} belongs to another run: " in str(caught.value) and told in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert path.read_bytes() == kept


def test_a_damaged_file_leaves_everything_as_it_was(path):
    run(network(), path, epochs=1)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    module = network(seed=3)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    for place in rng.integers(0, len(whole), 100):   # cut there, or one bit flipped
        for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1:]):
            path.write_bytes(damaged)
            try:
                read_checkpoint(path)
            except ValueError:
                with pytest.raises(ValueError, match="run.npz is no checkpoint, or is damaged"):
                    run(module, path, epochs=1)
    for name, content in foreign_files(path.parent / "created"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="run.npz is no checkpoint, or is damaged"):
            run(module, path, epochs=1)
        assert not (path.parent / "created").exists(), name
    for tree in (3, {"w": torch.ones(2)}, {"fit": 2}):
        write_checkpoint(path, tree)
        Path(f"{path}.tmp").write_text("what a killed run left")
        with pytest.raises(ValueError, match="run.npz is no checkpoint of this version of fit"):
            run(module, path, epochs=1)
        assert os.listdir(path.parent) == ["run.npz"]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), torch_state) and (np.random.get_state()[1] == numpy_state).all()


@pytest.mark.parametrize("part, value", [
    ("module", {"0.weight": torch.ones(6, 4)}), ("best", {}), ("optimizer", {"state": {}, "param_groups": []}),
    ("order", {"bit_generator": "MT19937"}), ("generators", {"cpu": torch.zeros(3, dtype=torch.uint8)}), ("checks", 3),
])
def test_a_file_with_a_part_that_does_not_fit_changes_nothing(path, part, value):
    run(network(), path, epochs=1)
    write_checkpoint(path, {**read_checkpoint(path), part: value})
    module, random_state = network(seed=3), torch.get_rng_state()
    before = {name: each.clone() for name, each in module.state_dict().items()}
    with pytest.raises(ValueError, match="run.npz is no checkpoint of fit, or is damaged"):
        run(module, path)
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


def sign_step(lr):
    return Rule("sign_step", {"lr": lr}, lambda w: {}, lambda g, state, w, lr: (-lr * g.sign(), state))


@pytest.mark.parametrize("change, error, told", [
    ({"checkpoint": 3}, TypeError, "checkpoint must be a path or a Checkpoint, got 3"),
    ({"checkpoint": "missing/run.npz"}, ValueError, "checkpoint must lie in a folder that exists, got 'missing/run"),
    ({"checkpoint": "course_lib"}, ValueError, "checkpoint must be a file, got the folder 'course_lib'"),
    ({"rule": sign_step(0.1)}, ValueError, "rule must be registered, to be told from others in a checkpoint: name"),
    ({"rule": gradient_descent(lambda step: 0.1)}, ValueError, "rule must be registered"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_bad_arguments_are_named_before_training(path, change, error, told):
    module = network()
    before = module[0].weight.clone()
    with pytest.raises(error) as caught:
        fit(**{"module": module, "train": data(), "rule": adam(), "epochs": 1, "batch_size": 5, "seed": 0,
               "checkpoint": path, **change})
    assert told in str(caught.value) and torch.equal(module[0].weight, before) and not path.exists()


@pytest.mark.parametrize("every, error", [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_every_is_a_number_of_steps(path, every, error):
    with pytest.raises(error, match="every must be"):
        Checkpoint(path, every)
