"""Time to import course_lib against the time to import NumPy: fresh interpreters in turn, the median of each."""

import statistics
import subprocess
import sys

from benchmarks.run import ROOT, fingerprint

RUNS = 21
FILES = """
import sys, {module}
from pathlib import Path
files = [m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] == {module!r}]
print(*(Path(file).resolve().relative_to(Path.cwd()).as_posix() for file in files))
"""
TIME = "import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"


def python(program):
    """Return what a fresh interpreter prints when it runs a program in the repository."""
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def subjects():
    """The package, with a hash of the modules that importing it loads."""
    files = python(FILES.format(module="course_lib")).split()
    return {"course_lib": fingerprint(__file__, files)}


def measure(subject):
    """Import both in turn; return the medians and their ratio."""
    times = {subject: [], "numpy": []}
    for _ in range(RUNS):
        for module, seconds in times.items():
            seconds.append(float(python(TIME.format(module=module))))
    ours, numpys = (statistics.median(seconds) for seconds in times.values())
    return {"seconds": round(ours, 4), "numpy_seconds": round(numpys, 4), "ratio": round(ours / numpys, 2)}
