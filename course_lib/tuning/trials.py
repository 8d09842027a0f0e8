"""Trials of a search, and the file in which they are kept as they finish."""

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Trial:
    """One setting that was tried.

    Attributes
    ----------
    x : dict
        The setting, by name.
    value : float
        What the objective returned; NaN if it failed.
    status : str
        "ok" or "failed".
    reason : str
        Why it failed; empty otherwise.
    """

    x: dict
    value: float
    status: str = "ok"
    reason: str = ""


@dataclass(frozen=True)
class Result:
    """What a search found.

    Attributes
    ----------
    x : dict
        The best setting, by name; None if every trial failed.
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


def tried(objective, x):
    """What the objective returns for a setting, and why it failed, if it did.

    Returns
    -------
    (value, reason)
        NaN and a reason where it raised an exception.
    """
    try:
        return float(objective(dict(x))), ""
    except Exception as error:
        return math.nan, f"{type(error).__name__}: {error}"


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
            file.write(json.dumps(asdict(trial)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _trial(line, where):
    try:
        found = json.loads(line)
        return Trial(found["x"], float(found["value"]), found["status"], found["reason"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"path must be a file of trials; {where} is none: {error}") from error
