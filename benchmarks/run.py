"""Run every benchmark whose subject has changed, and keep the results.

A benchmark is a module in this folder with a docstring that says what it measures, and two functions:

    subjects() -> {name: fingerprint}   what there is to measure, and a hash of all that the result depends on
    measure(name) -> dict               the numbers of one subject

A row of results/NAME.json is kept as long as its fingerprint holds, so a change is measured and nothing else is. What
a chapter reads stands in the library instead, in course_lib/results, and so goes wherever the chapter goes.
"""

import hashlib
import importlib
import json
import os
import platform
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
IN_LIBRARY = ("schedule_table",)
NAMES = sorted(file.stem for file in HERE.glob("*.py") if file.stem not in ("__init__", "run"))


def fingerprint(benchmark, files, *others):
    """Return the hash of a benchmark's own file, of the files it measures (paths in the repository), of other text."""
    total = hashlib.sha256()
    for file in [Path(benchmark), *(ROOT / name for name in sorted(files))]:
        total.update(file.name.encode() + b"\0" + file.read_bytes().replace(b"\r\n", b"\n"))
    return "sha256:" + hashlib.sha256("\0".join([total.hexdigest(), *others]).encode()).hexdigest()


def machine():
    """Describe the machine: a time means nothing without it."""
    model = platform.processor() or platform.machine()
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        models = [line.partition(":")[2].strip() for line in listed.read_text().splitlines() if "model name" in line]
        model = models[0] if models else model
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def file_of(name):
    """Return where the result of a benchmark stands."""
    return (ROOT / "course_lib" if name in IN_LIBRARY else HERE) / "results" / f"{name}.json"


def result(name):
    """Return the committed result of a benchmark, an empty one if there is none."""
    file = file_of(name)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"rows": []}


def refresh(name, force=False):
    """Measure what has changed in one benchmark and write its result."""
    module = importlib.import_module(f"benchmarks.{name}")
    kept = {row["subject"]: row for row in result(name)["rows"]}
    rows = []
    for subject, mark in module.subjects().items():
        row = kept.get(subject, {})
        if force or row.get("fingerprint") != mark:
            numbers = module.measure(subject)
            print(f"{name}: {subject}: {str(numbers)[:200]}", flush=True)
            row = {"subject": subject, "fingerprint": mark, "machine": machine(), **numbers}
        rows.append(row)
    text = json.dumps({"measures": module.__doc__.strip(), "rows": rows}, indent=1, ensure_ascii=False) + "\n"
    file_of(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    chosen = [name for name in sys.argv[1:] if name != "--force"] or NAMES
    for name in chosen:
        refresh(name, force="--force" in sys.argv)
    print("results are current")
