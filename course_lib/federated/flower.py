"""The same federation run by Flower's simulation, https://flower.ai, on Ray's processes; and quietly."""

import logging
import os
import shutil
import sys
import tempfile
import warnings
from contextlib import ExitStack, contextmanager
from unittest import mock

from course_lib.federated.aggregators import mean
from course_lib.federated.client_data import parameters
from course_lib.federated.flower_nodes import INSTALL, flower_apps, missing_module
from course_lib.federated.server import Server
from course_lib.federated.workers import TorchWorker
from course_lib.validation import count

_LONGEST = 40  # characters of a folder's name that leave room for Ray's sockets in it


def flower_simulate(
    loss, w0, clients, algorithm, rounds, seed, fraction=1.0, aggregate=mean,
    *, worker=TorchWorker, timeout=600.0, cores=None, **options,
):
    """`simulate`, run by Flower: each client a node of its simulation, on Ray's processes.

    The weights are those of `simulate` up to rounding.

    Parameters
    ----------
    loss, w0, clients, algorithm, rounds, seed, fraction, aggregate
        As in `simulate`.
    worker : callable
        `worker(loss, clients, algorithm, w0)`: what clients work with. With `KerasWorker`, loss is a function that makes
        a Keras model.
    timeout : float
        How many seconds the server waits for the answers of a round.
    cores : int, optional
        How many clients work at a time; None for all the machine's. If Ray runs already its own number holds, and it is
        left running.
    **options
        `privacy`, `limit`, `quorum` of `Server`.

    Returns
    -------
    Server
        After its last round: `.w`, `.chosen`, `.missing`, `.refused`.

    Raises
    ------
    ImportError
        If Flower or Ray is not installed.
    TypeError, ValueError
        If an argument is wrong.
    RuntimeError
        If all clients of a round fail; it says how the first did.

    Notes
    -----
    Functions go to other processes: what cloudpickle cannot send (an open file, a lock) they must not hold.

    Examples
    --------
    >>> import torch
    >>> from course_lib.federated import fedavg
    >>> def parabola(w, x, y):
    ...     return (w * x - y).square().mean() / 2
    >>> clients = [(torch.ones(1), torch.tensor([c])) for c in (0.0, 8.0)]
    >>> flower_simulate(parabola, torch.zeros(1), clients, fedavg(1, 0.5), rounds=3, seed=0).w  # doctest: +SKIP
    tensor([3.5000])
    """
    made, w = worker(loss, clients, algorithm, w0), parameters("w0", w0).clone()
    server = Server(
        w, algorithm, made.sizes, seed, fraction=fraction, aggregate=aggregate, buffers=made.buffers, **options
    )
    cores = None if cores is None else count("cores", cores)
    if any(missing_module(name) for name in ("flwr", "ray")):
        raise ImportError(INSTALL)
    with ExitStack() as stack:
        stack.enter_context(_quiet())
        ray = stack.enter_context(_ray(cores))
        from flwr.simulation import run_simulation

        stored = ray.put((worker, loss, clients, algorithm, w0))

        def make_worker():
            import ray

            make, *arguments = ray.get(stored)
            return make(*arguments)

        apps = flower_apps(make_worker, server, rounds, timeout, arrival=max(timeout, 600.0))
        run_simulation(*apps, len(clients), backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}})
    return server


@contextmanager
def _quiet():
    """Keep Flower from talking to the screen, to its makers and to the home folder, and put back what it changes."""
    home = tempfile.mkdtemp(prefix="flower-")
    environment = {
        "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "FLWR_HOME": home,
        "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_worker_niceness": "0",  # Ray's 15 lets clients starve wherever anything else runs
    }
    try:
        with mock.patch.dict(os.environ, environment), warnings.catch_warnings():
            _load_flower()
            logger = logging.getLogger("flwr")
            before = logger.level
            logger.setLevel(logging.CRITICAL)
            try:
                yield
            finally:
                logger.setLevel(before)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _load_flower():
    """Load Flower's simulation without TensorFlow, which it loads wherever it can find it, and which takes seconds."""
    hidden = {} if "tensorflow" in sys.modules else {"tensorflow": None}
    with mock.patch.dict(sys.modules, hidden):
        import flwr.server.superlink.fleet.vce.backend.raybackend  # noqa: F401
        loaded = {name: module for name, module in sys.modules.items() if module is not None}
    sys.modules.update(loaded)


@contextmanager
def _ray(cores):
    """Ray: the one that runs already, or one that is stopped again. Flower by itself would stop either."""
    import ray
    from flwr.server.superlink.fleet.vce.backend import raybackend

    mine = not ray.is_initialized()
    if mine:
        short = len(tempfile.gettempdir()) <= _LONGEST - len("/ray-01234567")
        folder = tempfile.mkdtemp(prefix="ray-", dir=None if short else "/tmp")
        os.environ["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)  # for Ray's processes
        ray.init(num_cpus=cores, include_dashboard=False, logging_level="error", log_to_driver=False, _temp_dir=folder)
    try:
        with mock.patch.object(raybackend.ray, "shutdown", lambda: None):
            with mock.patch.object(raybackend, "ClientAppActor", ray.remote(_Actor)):
                yield ray
    finally:
        if mine:
            ray.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


class _Actor:
    """One of Ray's processes, as Flower's own `ClientAppActor`; but that would load TensorFlow in each of them."""

    def run(self, make_app, message, client, context):
        from flwr.clientapp.client_app import ClientAppException

        try:
            return client, make_app()(message=message, context=context), context
        except Exception as error:
            raise ClientAppException(f"{type(error).__name__}: {error}") from None

    def terminate(self):
        import ray

        ray.actor.exit_actor()
