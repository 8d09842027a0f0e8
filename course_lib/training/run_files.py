"""The file of a fit: of which run it is, when it is written, and how the run goes on from it."""

import hashlib
import json
import re

from course_lib.training.checkpoints import raw_array, read_checkpoint, temporary_file, write_checkpoint
from course_lib.training.module_state import tensors_of
from course_lib.update_rules import describe

_VERSION = 1


class RunFile:
    """Keeps a run in a file.

    Parameters
    ----------
    checkpoint : Checkpoint
    marks : dict
        From `marks_of`: by what the run is told from others.
    """

    def __init__(self, checkpoint, marks):
        self.path, self.every, self.marks = checkpoint.path, checkpoint.every, marks

    def keep(self, run, last):
        """Write the run, if it is time, or if this was its last step."""
        due = run.at_epoch_end if self.every is None else len(run.steps) % self.every == 0
        if due or last:
            write_checkpoint(self.path, {"fit": _VERSION, "marks": self.marks, **run.state()})

    def resume(self, run, epochs):
        """Let the run go on from the file, where there is one, or raise and leave its module alone."""
        temporary_file(self.path).unlink(missing_ok=True)  # of a run that was killed as it wrote
        if not self.path.exists():
            return
        state = read_checkpoint(self.path)
        if not isinstance(state, dict) or state.get("fit") != _VERSION:
            raise ValueError(f"{self.path} is no checkpoint of this version of fit")
        wrong = differences(state.get("marks", {}), self.marks)
        if wrong:
            raise ValueError(f"checkpoint {self.path} belongs to another run: {'; '.join(wrong)}")
        made = -(-len(state["steps"]) // run.per_epoch)
        if made > epochs:
            raise ValueError(f"epochs must be at least {made}, which {self.path} has begun, got {epochs}")
        try:
            run.load(state)
        except Exception as error:
            raise ValueError(f"{self.path} is no checkpoint of fit, or is damaged: {error!r}") from error


def marks_of(run, rule, seed, check_finite):
    """By what a run is told from others: everything its numbers depend on, but the initial weights.

    Parameters
    ----------
    run : Run
        Before its first step.
    rule : Rule
    seed : int
    check_finite : bool or "skip"

    Returns
    -------
    dict
        Name -> number, string or None.

    Raises
    ------
    ValueError
        If the rule, or something among its settings, is not registered.
    """
    try:
        described = json.dumps(describe(rule))
    except ValueError as error:
        raise ValueError(f"rule must be registered, to be told from others in a checkpoint: {error}") from None
    marks = {
        "rule": described,
        "batch_size": run.batch_size,
        "seed": seed,
        "check_finite": check_finite,
        "train": _digest(run.train),
        "validation": run.held_out and _digest(run.held_out),
        "loss": _name(run.loss),
        "stopping": repr(run.stopping),
        "plateau": run.plateau and f"{run.plateau!r} {run.plateau.state_dict()}",
        "device": run.train[0].device.type,
        "module": _without_addresses(repr(run.module)),
        "trained": ", ".join(name for name, p in run.module.named_parameters() if p.requires_grad),
    }
    for name, value in tensors_of(run.module).items():
        marks[f"module's {name}"] = f"{value.dtype} {list(value.shape)}".removeprefix("torch.")
    return marks


def differences(was, now):
    """What differs between the marks of two runs: a list of "batch_size was 16, is 32"."""
    said = []
    for name in {**was, **now}:
        old, new = str(was.get(name, "absent")), str(now.get(name, "absent"))
        if old != new:
            lines = zip(old.splitlines(), new.splitlines())
            old, new = next((pair for pair in lines if pair[0] != pair[1]), (old, new))
            said.append(f"{name} was {old.strip()}, is {new.strip()}")
    return said


def _digest(data):
    """SHA-256 of the shapes, dtypes and bytes of x and y."""
    found = hashlib.sha256()
    for tensor in data:
        found.update(f"{tensor.dtype} {list(tensor.shape)};".encode())
        found.update(raw_array(tensor).tobytes())
    return f"SHA-256 {found.hexdigest()}"


def _name(function):
    home = function if hasattr(function, "__qualname__") else type(function)
    return f"{home.__module__}.{home.__qualname__}"


def _without_addresses(text):
    return re.sub(r" at 0x[0-9a-f]+", "", text)
