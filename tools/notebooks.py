"""Run the chapters: keep new outputs, compare old ones, or lay the chapters out for the tests.

    python -m tools.notebooks run    execute what has changed, write the outputs into book/
    python -m tools.notebooks check  execute everything in three environments, compare, write nothing
    python -m tools.notebooks stage  copy the chapters to _build/nbval and their kernel to _build/kernel
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from tools import chapters, kernels

MODULES = """
import json, sys
print(json.dumps(sorted(os.path.relpath(m.__file__, os.environ["DESCENT_WHEEL"]).replace(os.sep, "/")
    for name, m in sys.modules.items() if name.partition(".")[0] == "course_lib")))
"""
SECONDS_PER_CELL = 300


def execute(path):
    """Run the chapter in a fresh kernel, top to bottom; return "" and write it, or say what is wrong."""
    notebook = chapters.read(path)
    notebook.cells.append(chapters.nbformat.v4.new_code_cell(kernels.GUARD + MODULES))
    at = {}
    with tempfile.TemporaryDirectory() as empty:
        client = NotebookClient(
            notebook, timeout=SECONDS_PER_CELL, kernel_name="python3", record_timing=False,
            coalesce_streams=True, resources={"metadata": {"path": empty}},
            on_cell_execute=lambda cell, cell_index: at.update(number=cell_index, cell=cell))
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            last = re.sub(r"\x1b\[[\d;]*m", "", str(error)).strip().splitlines()[-1]
            return f"{path.name}: {place(**at)}: {last}"
    modules = json.loads(notebook.cells.pop().outputs[0].text)
    wrong = faults(notebook)
    if wrong:
        return f"{path.name}: {wrong}"
    chapters.tidy(notebook)
    notebook.metadata["descent"] = {"modules": modules, "digest": chapters.digest(notebook, modules)}
    chapters.write(path, notebook)
    return ""


def place(number, cell):
    """Name a cell by its position in the notebook and by its first line."""
    return f"cell {number} ({cell.source.strip().partition(chr(10))[0]!r})"


def faults(notebook):
    """Return the first output that may not be committed, or ""."""
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            if output.get("name") == "stderr":
                return f"{place(number, cell)} writes to stderr: {text.strip().partition(chr(10))[0]}"
            if chapters.PATHS.search(text):
                return f"{place(number, cell)} prints a path: {chapters.PATHS.search(text).group()}"
    return ""


def run(paths, jobs, force):
    """Execute the chapters whose outputs are not current; return how many failed."""
    stale = [path for path in paths if force or not chapters.is_current(chapters.read(path))]
    if not stale:
        print(f"outputs are current: {len(paths)} chapters")
        return 0
    failed = 0
    kernels.write_spec(kernels.BUILD / "kernel")
    os.environ["JUPYTER_PATH"] = str(kernels.BUILD / "kernel")
    with ProcessPoolExecutor(jobs) as pool:
        for path, wrong in zip(stale, pool.map(execute, stale)):
            failed += bool(wrong)
            print(wrong or f"{path.name}: executed", flush=True)
    return failed


def check(paths, jobs):
    """Let nbval run the chapters in each environment; return in how many the outputs differ."""
    different = []
    for name, environment in kernels.environments().items():
        print(f"\n=== {name}", flush=True)
        folder = kernels.BUILD / "check" / name.replace(" ", "_")
        kernels.stage(folder / "chapters", paths)
        kernels.write_spec(folder / "kernel", environment)
        command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-n", str(jobs), "--dist", "loadfile",
                   "--tb=short", str(folder / "chapters")]
        status = subprocess.call(command, cwd=chapters.ROOT,
                                 env={**os.environ, "JUPYTER_PATH": str(folder / "kernel")})
        if status:
            different.append(name)
    print(f"\noutputs differ with: {', '.join(different)}" if different else "\noutputs agree everywhere")
    return len(different)


def main():
    """Read the command line; exit with 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "check", "stage"])
    parser.add_argument("--notebook", help="one chapter, by name")
    parser.add_argument("--jobs", type=int, default=1, help="how many to run at the same time")
    parser.add_argument("--force", action="store_true", help="run also those whose outputs are current")
    options = parser.parse_args()
    paths = chapters.paths(options.notebook)
    if options.what == "stage":
        kernels.stage(kernels.BUILD / "nbval", paths)
        kernels.write_spec(kernels.BUILD / "kernel")
        return 0
    if options.what == "check":
        return bool(check(paths, options.jobs))
    return bool(run(paths, options.jobs, options.force))


if __name__ == "__main__":
    sys.exit(main())
