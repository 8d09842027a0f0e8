"""Trials in processes of their own: several at a time, each with a time limit."""

import math
import time
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait

from joblib.externals.loky import ProcessPoolExecutor

from course_lib.tuning.trials import tried
from course_lib.validation import count, number


class Workers:
    """Processes that try settings; what ends one of them ends its trial alone.

    Parameters
    ----------
    objective : callable
        Also one that was defined in a notebook: it is sent by cloudpickle.
    workers : int
        How many processes.
    timeout : float, optional
        Seconds after which a trial is ended, with its process.
    retries : int
        How often a trial is begun again whose process died.

    Raises
    ------
    TypeError, ValueError
        If a number is out of range.

    References
    ----------
    The processes are those of loky, https://loky.readthedocs.io, as joblib brings it.

    Examples
    --------
    >>> with Workers(lambda x: x["a"] ** 2, workers=1) as workers:
    ...     workers.submit({"a": 3.0})
    ...     workers.finished()
    [({'a': 3.0}, 9.0, '')]
    """

    def __init__(self, objective, workers, timeout=None, retries=1):
        self.objective = objective
        self.timeout = math.inf if timeout is None else number("timeout", timeout, above=0)
        self.retries = count("retries", retries, least=0)
        self._idle = [_Process() for _ in range(count("workers", workers))]
        self._busy = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self._idle + self._busy:
            process.end()

    @property
    def free(self):
        """How many settings can be submitted before one must finish."""
        return len(self._idle)

    def submit(self, x):
        """Begin to try a setting."""
        process = self._idle.pop()
        self._busy.append(process)
        process.begin(self.objective, x, self.timeout, tries=1)

    def finished(self):
        """Wait until a trial or more has ended; return each as (x, value, reason)."""
        ended = []
        while not ended:
            patience = min(process.deadline for process in self._busy) - time.monotonic()
            wait([process.future for process in self._busy], min(max(patience, 0), 3600), FIRST_COMPLETED)
            ended = [found for process in list(self._busy) for found in self._outcome(process)]
        return ended

    def _outcome(self, process):
        x = process.x
        if process.future.done():
            try:
                value, reason = process.future.result()
            except BrokenExecutor:
                process.end()
                if process.tries <= self.retries:
                    process.begin(self.objective, x, self.timeout, process.tries + 1)
                    return []
                value, reason = math.nan, "the process of the trial died"
            except Exception as error:  # such as an objective that cannot be sent
                value, reason = math.nan, f"{type(error).__name__}: {error}"
        elif time.monotonic() >= process.deadline:
            process.end()
            value, reason = math.nan, f"no value within {self.timeout:g} s"
        else:
            return []
        self._busy.remove(process)
        self._idle.append(process)
        return [(x, value, reason)]


class _Process:
    """One process, started when it is first needed and again after it was ended."""

    def __init__(self):
        self.pool = self.future = None

    def begin(self, objective, x, timeout, tries):
        if self.pool is None:
            self.pool = ProcessPoolExecutor(max_workers=1)
            self.pool.submit(int).result()  # started: from here on the time counts
        self.x, self.tries = x, tries
        self.deadline = time.monotonic() + timeout
        self.future = self.pool.submit(tried, objective, x)

    def end(self):
        if self.pool is not None:
            patience = time.monotonic() + 1
            while not (self.future is None or self.future.running() or self.future.done()) and time.monotonic() < patience:
                time.sleep(1e-3)  # loky stumbles over what is taken back while it is handed over
            self.pool.shutdown(wait=True, kill_workers=True)
            self.pool = None
