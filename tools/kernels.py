"""How a chapter is run: its own kernel, in an empty folder, against the built package and not the source tree.

`jupyter_client` looks for kernels under JUPYTER_PATH first, so a "python3" written there is the one that nbval
and nbclient start, whatever else is installed on the machine.
"""

import json
import os
import shutil
import sys

from tools import chapters

BUILD = chapters.ROOT / "_build"
WHEEL = BUILD / "wheel"
GUARD = """\
import course_lib, os
assert course_lib.__file__.startswith(os.environ["DESCENT_WHEEL"]), f"course_lib came from {course_lib.__file__}"
"""


def write_spec(folder, environment=None):
    """Write the kernel to `folder`, for use as JUPYTER_PATH; `environment` is set in the kernel alone."""
    own = {"PYTHONPATH": str(WHEEL), "DESCENT_WHEEL": str(WHEEL), "IPYTHONDIR": str(BUILD / "ipython")}
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"],
        "display_name": "Python 3",
        "language": "python",
        "env": {**own, **(environment or {})},
    }
    place = folder / "kernels" / "python3"
    place.mkdir(parents=True, exist_ok=True)
    (place / "kernel.json").write_text(json.dumps(spec, indent=1))


def stage(folder, paths):
    """Copy each chapter into an empty folder of its own, with a last cell that checks which package it used."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in paths:
        notebook = chapters.read(path)
        notebook.cells.append(chapters.nbformat.v4.new_code_cell(GUARD))
        place = folder / path.stem
        place.mkdir(parents=True)
        (place / path.name).write_text(chapters.text_of(notebook), encoding="utf-8")


def environments():
    """Return the environments in which the committed outputs must come out the same, by name."""
    return {"one thread": threads(1), "two threads": threads(2), "plainest instruction set": plainest()}


def threads(count):
    """Return the settings by which NumPy, PyTorch and TensorFlow use `count` threads."""
    names = ("OMP", "OPENBLAS", "MKL", "TF_NUM_INTRAOP", "TF_NUM_INTEROP")
    return {f"{name}_THREADS" if name.startswith("TF") else f"{name}_NUM_THREADS": str(count) for name in names}


def plainest():
    """Return the settings by which every library leaves out the instructions that not all processors have."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    intel = os.uname().machine in ("x86_64", "amd64")
    return {
        "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in __cpu_dispatch__ if __cpu_features__[name]),
        "OPENBLAS_CORETYPE": "Nehalem" if intel else "ARMV8",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41" if intel else "DEFAULT",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "MKL_CBWR": "COMPATIBLE",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2" if intel else "",
    }
