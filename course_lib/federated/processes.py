"""Flower's commands as processes of their own, started quickly and surely ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace


class Processes:
    """The processes of a federation: all are killed in the end, whatever happens; also if this one is."""

    def __init__(self, folder, framework):
        self.folder, self.born = folder, {}
        environment = os.environ | {
            "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.05",
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            "TMPDIR": str(folder),
        }
        with open(folder / "nursery.log", "wb") as log:
            self.nursery = subprocess.Popen(
                [sys.executable, "-c", f"from course_lib.federated.processes import nursery; nursery({framework!r})"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True,
                start_new_session=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.nursery.stdin.close()  # which it takes as the order to kill all and end
        self.nursery.wait()
        self.nursery.stdout.close()

    def start(self, name, *command):
        """Start a command that belongs to `name`; what it says goes to a file."""
        home = self.folder / f"home-{name}"
        home.mkdir(exist_ok=True)
        log = self.folder / f"{name}.log"
        order = {"command": [str(part) for part in command], "home": str(home), "log": str(log)}
        self.born.setdefault(name, []).append(self._ask("start", order))
        return self.born[name][-1]

    def kill(self, name):
        """kill -9 all that belongs to `name`, and what that has started."""
        for pid in self.born.pop(name):
            self._ask("kill", pid)

    def ended(self, name, pid):
        """Whether a process has ended well; a RuntimeError, with what it said last, if badly."""
        code = self._ask("code", pid)
        if code:
            said = (self.folder / f"{name}.log").read_text(errors="replace").strip().splitlines()[-12:]
            raise RuntimeError("\n".join([f"{name} has failed. It said last:", *said]))
        return code == 0

    def check(self):
        """A RuntimeError if a process has failed."""
        for name, pids in self.born.items():
            for pid in pids:
                self.ended(name, pid)

    def _ask(self, *order):
        try:
            self.nursery.stdin.write(json.dumps(order) + "\n")
            self.nursery.stdin.flush()
            return json.loads(self.nursery.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            raise RuntimeError((self.folder / "nursery.log").read_text(errors="replace")) from None


def nursery(framework):
    """A process that loads every library once, which takes seconds, and then forks those of the federation.

    It reads orders, a line each, and answers each with a line: start a command (its number), kill one with all its group,
    say its exit code (null while it runs). When nothing more can be read it kills all.
    """
    import flwr.supernode.cli.flwr_clientapp  # noqa: F401
    import flwr.supercore.cli.flower_superexec  # noqa: F401
    if framework == "keras":
        import keras  # noqa: F401

    from course_lib.federated.digits_federation import federation

    federation(1, 0)  # and the data
    codes = {}

    def code(pid):
        if codes[pid] is None:
            done, status = os.waitpid(pid, os.WNOHANG)
            codes[pid] = os.waitstatus_to_exitcode(status) if done else None
        return codes[pid]

    def start(order):
        pid = _fork(order["command"], order)
        codes[pid] = None
        return pid

    def kill(pid):
        if code(pid) is None:
            os.killpg(pid, signal.SIGKILL)
            codes[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    orders = {"start": start, "kill": kill, "code": code}
    for line in sys.stdin:
        name, order = json.loads(line)
        print(json.dumps(orders[name](order)), flush=True)
    for pid in codes:
        kill(pid)


def _fork(command, order=None):
    """Run one of Flower's commands in a fork of this process: its number. With an order it gets a group of its own."""
    pid = os.fork()
    if pid:
        if order:
            _own_group(pid)
        return pid
    code = 1
    try:
        if order:
            _own_group(0)
            os.chdir(Path(order["home"]).parent)
            os.environ["FLWR_HOME"] = order["home"]
            log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
                os.dup2(file, number)
        _run(command)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _own_group(pid):
    try:
        os.setpgid(pid, 0)
    except (PermissionError, ProcessLookupError):  # it has one, or has ended
        pass


def _run(command):
    """What the command would do in a shell. SuperExec forks to answer a message, where by itself it starts a new Python."""
    from flwr.supercore.superexec.executor import subprocess_executor

    if command[0] == "flower-superexec":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for what it forks
        subprocess_executor.subprocess = SimpleNamespace(Popen=lambda command, **_: _fork(command), DEVNULL=None)
    else:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    sys.argv = command
    (entry,) = entry_points(group="console_scripts", name=command[0])
    entry.load()()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def until_open(address, processes, seconds=120):
    host, port = address.split(":")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        processes.check()
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing answers at {address} after {seconds} seconds")
