"""Processes of this machine, one pool of one process each, so that one can be ended alone.

They are those of loky, https://loky.readthedocs.io, as joblib brings it.
"""

import math
import time
from concurrent.futures import BrokenExecutor

from joblib.externals.loky import ProcessPoolExecutor, process_executor

DIED = BrokenExecutor


def start(workers):
    """Nothing has to be started; returns what stops it again."""
    return lambda: None


class Process:
    """One process, started when it is first needed and again after it was ended."""

    def __init__(self):
        self.pool = self.future = None

    def ready(self):
        """Wait until the process is there."""
        if self.pool is None:
            self.pool = ProcessPoolExecutor(max_workers=1)
            self.pool.submit(_may_grow).result()

    def submit(self, function, *arguments):
        """A future of what the function returns, called in the process."""
        return self.pool.submit(function, *arguments)

    def end(self):
        """Kill the process, whatever it does."""
        if self.pool is not None:
            patience = time.monotonic() + 1
            while not (self.future is None or self.future.running() or self.future.done()) and time.monotonic() < patience:
                time.sleep(1e-3)  # loky stumbles over what is taken back while it is handed over
            self.pool.shutdown(wait=True, kill_workers=True)
            self.pool = None


def _may_grow():
    """In the process: what its objective keeps, such as data, is no leak for which loky should replace it."""
    process_executor._MAX_MEMORY_LEAK_SIZE = math.inf
