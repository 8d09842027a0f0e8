"""Trials of a search, and the file in which they are kept as they finish."""

import copy
import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True)
class Trial:
    """One setting that was tried.

    Attributes
    ----------
    x : dict
        The setting, by name; where vectors are searched, the vector [D].
    value : float
        What the objective returned; NaN if it failed.
    status : str
        "ok" or "failed".
    reason : str
        Why it failed; empty otherwise.
    budget : number or None
        How long it was trained in all, where trials differ in that.
    """

    x: dict
    value: float
    status: str = "ok"
    reason: str = ""
    budget: float | None = None


@dataclass(frozen=True)
class Result:
    """What a search found.

    Attributes
    ----------
    x : dict
        The best setting, by name, or the best vector [D]; None if every trial failed.
    value : float
        Its value; NaN if every trial failed.
    history : list of Trial
        All trials, in the order in which they were made.
    """

    x: dict
    value: float
    history: list


def best_of(history):
    """The result of a list of trials."""
    done = [trial for trial in history if trial.status == "ok"]
    best = min(done, key=lambda trial: trial.value, default=Trial(None, math.nan))
    return Result(best.x, best.value, list(history))


class Kept(NamedTuple):
    """A value, and what an objective wants back when it goes on from there."""

    value: float
    state: Any


def tried(objective, asked):
    """What the objective returns for a setting, and why it failed, if it did.

    Returns
    -------
    (value, reason)
        A float or `Kept`; NaN and a reason where it raised an exception.
    """
    try:
        found = objective(copy.copy(asked))
        return (found if isinstance(found, Kept) else float(found)), ""
    except Exception as error:
        return math.nan, f"{type(error).__name__}: {error}"


def outcome(x, value, reason="", budget=None):
    """The trial of a setting: failed if its value is not finite."""
    value = float(value)
    ok = math.isfinite(value)
    given = reason or ("" if ok else f"the value is {value}")
    return Trial(x, value if ok else math.nan, "ok" if ok else "failed", given, budget)


class TrialFile:
    """Trials as lines of JSON, each written and forced to the disk as it finishes.

    Parameters
    ----------
    path : str or path
        Made if it is not there. Of a file that was cut off while a line was written, all
        whole lines are kept and the rest is overwritten.

    Attributes
    ----------
    trials : list of Trial
        Those that were in the file.

    Raises
    ------
    ValueError
        If a line other than the last is no trial; nothing is overwritten then.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.trials, whole = [], 0
        content = self.path.read_bytes() if self.path.exists() else b""
        lines = content.split(b"\n")
        for i, line in enumerate(lines[:-1]):  # what follows the last newline was cut off
            if line.strip():
                self.trials.append(_trial(line, f"{self.path}, line {i + 1}"))
            whole += len(line) + 1
        if whole < len(content):
            with open(self.path, "r+b") as file:
                file.truncate(whole)

    def append(self, trial):
        """Write one more trial."""
        with open(self.path, "ab") as file:
            kept = {name: value for name, value in asdict(trial).items() if value is not None}
            file.write(json.dumps(kept, default=np.ndarray.tolist).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _trial(line, where):
    try:
        found = json.loads(line)
        return Trial(found["x"], float(found["value"]), found["status"], found["reason"], found.get("budget"))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"path must be a file of trials; {where} is none: {error}") from error
