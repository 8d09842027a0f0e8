"""Run a command only when what it depends on has changed.

    python tools/fresh.py STAMP INPUT... -- COMMAND...

The contents of the inputs (files, or folders with all below them) are hashed together with the
command. When the hash differs from the one kept in STAMP, the command runs and, if it succeeds,
the hash is kept. Times are not looked at: a fresh clone and a change of branch give files new times
and old contents. Standard library only, and old syntax: it runs before there is an environment.
"""

import hashlib
import os
import subprocess
import sys

IGNORED = ("__pycache__", ".ipynb_checkpoints", ".pytest_cache")


def files_below(path):
    """Yield `path` itself if it is a file, else every file below it, in a fixed order."""
    if os.path.isfile(path):
        yield path
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(f for f in folders if f not in IGNORED)
        for name in sorted(names):
            yield os.path.join(folder, name)


def fingerprint(inputs, command):
    """Return the hash of the command and of every input's name and contents."""
    total = hashlib.sha256(repr(command).encode())
    for path in inputs:
        for name in files_below(path):
            with open(name, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
            total.update((name + "\0" + content + "\n").encode())
    return total.hexdigest()


def read(stamp):
    """Return the hash kept in `stamp`, or None."""
    if not os.path.isfile(stamp):
        return None
    with open(stamp) as file:
        return file.read().strip()


def main(arguments):
    """Run the command if need be; return its exit status."""
    split = arguments.index("--")
    stamp, inputs, command = arguments[0], arguments[1:split], arguments[split + 1:]
    now = fingerprint(inputs, command)
    if read(stamp) == now:
        return 0
    if os.path.exists(stamp):
        os.remove(stamp)          # a command that fails half-way must run again
    status = subprocess.call(command)
    if status == 0:
        os.makedirs(os.path.dirname(stamp) or ".", exist_ok=True)
        with open(stamp, "w") as file:
            file.write(now + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
