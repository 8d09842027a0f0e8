"""Time to run each chapter, top to bottom in a fresh kernel, the start of the kernel included."""

import os
import tempfile
import time

from nbclient import NotebookClient

from benchmarks.run import fingerprint
from tools import chapters, kernels


def subjects():
    """The chapters, each with the digest of its code, library files and pins."""
    made = {path.stem: chapters.read(path).metadata.get("descent", {}) for path in chapters.paths()}
    return {name: fingerprint(__file__, [], outputs.get("digest", "")) for name, outputs in made.items()}


def measure(subject):
    """Run the chapter called `subject`."""
    notebook = chapters.read(chapters.paths(subject)[0])
    kernels.write_spec(kernels.BUILD / "kernel")
    os.environ["JUPYTER_PATH"] = str(kernels.BUILD / "kernel")
    with tempfile.TemporaryDirectory() as empty:
        client = NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": empty}})
        start = time.perf_counter()
        client.execute()
        return {"seconds": round(time.perf_counter() - start, 1)}
