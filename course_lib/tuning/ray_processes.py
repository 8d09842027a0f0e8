"""Processes of a Ray cluster, https://docs.ray.io: one actor each, which takes one CPU."""

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # sends nothing unless told to
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what its next version does, and warns of

import ray  # noqa: E402
from ray.exceptions import RayActorError  # noqa: E402

DIED = RayActorError


def start(workers):
    """Connect to a cluster, or start one here; returns what stops it again.

    Raises
    ------
    ValueError
        If the cluster has fewer CPUs than workers.
    """
    stop = _nothing
    if not ray.is_initialized():
        here = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers, "include_dashboard": False}
        ray.init(logging_level="error", log_to_driver=False, **here)
        stop = ray.shutdown
    cpus = int(ray.cluster_resources().get("CPU", 0))
    if workers > cpus:
        stop()
        raise ValueError(f"workers must be at most {cpus}, the CPUs of the Ray cluster, got {workers}")
    return stop


class Process:
    """One actor, started when it is first needed and again after it was ended."""

    def __init__(self):
        self.actor = self.future = None

    def ready(self):
        """Wait until the actor is there."""
        if self.actor is None:
            self.actor = ray.remote(num_cpus=1)(_Caller).remote()
            ray.get(self.actor.call.remote(int))

    def submit(self, function, *arguments):
        """A future of what the function returns, called in the actor."""
        return self.actor.call.remote(function, *arguments).future()

    def end(self):
        """Kill the actor, whatever it does."""
        if self.actor is not None:
            ray.kill(self.actor)
            self.actor = None


class _Caller:
    def call(self, function, *arguments):
        return function(*arguments)


def _nothing():
    pass
