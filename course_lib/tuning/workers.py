"""Trials in processes of their own: several at a time, each with a time limit."""

import math
import time
from concurrent.futures import FIRST_COMPLETED, wait
from importlib import import_module

from course_lib.tuning.trials import tried
from course_lib.validation import count, number, one_of

ENGINES = {"processes": "local_processes", "ray": "ray_processes"}


class Workers:
    """Processes that try settings; what ends one of them ends its trial alone.

    Parameters
    ----------
    objective : callable
        Also one that was defined in a notebook: it is sent by its code, not by its name.
    workers : int
        How many processes.
    timeout : float, optional
        Seconds after which a trial is ended, with its process. They count from when the
        process is there.
    retries : int
        How often a trial is begun again whose process died.
    engine : str
        "processes", of this machine, or "ray".

    Raises
    ------
    TypeError, ValueError
        If a number is out of range or the engine unknown, or, from `finished`, if the
        objective cannot be sent to a process.
    ImportError
        If the engine is not installed.

    Examples
    --------
    >>> with Workers(lambda x: x["a"] ** 2, workers=1) as workers:
    ...     workers.submit({"a": 3.0})
    ...     workers.finished()
    [({'a': 3.0}, 9.0, '')]
    """

    def __init__(self, objective, workers, timeout=None, retries=1, engine="processes"):
        self.objective = objective
        self.timeout = math.inf if timeout is None else number("timeout", timeout, above=0)
        self.retries = count("retries", retries, least=0)
        workers = count("workers", workers)
        self._engine = import_module(f"course_lib.tuning.{ENGINES[one_of('engine', engine, tuple(ENGINES))]}")
        self._stop = self._engine.start(workers)
        self._idle = [self._engine.Process() for _ in range(workers)]
        self._busy = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._idle + self._busy:
            process.end()
        self._stop()

    @property
    def free(self):
        """How many settings can be submitted before one must finish."""
        return len(self._idle)

    @property
    def busy(self):
        """How many trials have begun and not ended."""
        return len(self._busy)

    def submit(self, x):
        """Begin to try a setting."""
        self._begin(self._idle[-1], x, tries=1)
        self._busy.append(self._idle.pop())

    def finished(self, patient=True):
        """Wait until a trial or more has ended; return each as (x, value, reason).

        If not patient: those that have ended by now, or none.
        """
        while True:
            ended = [found for process in list(self._busy) for found in self._outcome(process)]
            if ended or not patient:
                return ended
            patience = min(process.deadline for process in self._busy) - time.monotonic()
            wait([process.future for process in self._busy], min(max(patience, 0), 3600), FIRST_COMPLETED)

    def _begin(self, process, x, tries):
        process.ready()
        process.x, process.tries, process.deadline = x, tries, time.monotonic() + self.timeout
        try:
            process.future = process.submit(tried, self.objective, x)
        except Exception as error:  # Ray tells at once, loky in the future
            raise _not_sent(error) from error

    def _outcome(self, process):
        x = process.x
        if process.future.done():
            try:
                value, reason = process.future.result()
            except self._engine.DIED:
                process.end()
                if process.tries <= self.retries:
                    self._begin(process, x, process.tries + 1)
                    return []
                value, reason = math.nan, "the process of the trial died"
            except Exception as error:
                raise _not_sent(error) from error
        elif time.monotonic() >= process.deadline:
            process.end()
            value, reason = math.nan, f"no value within {self.timeout:g} s"
        else:
            return []
        self._busy.remove(process)
        self._idle.append(process)
        return [(x, value, reason)]


def _not_sent(error):
    return TypeError(f"f must be one that can be sent to another process: {error}")
