"""Run every benchmark whose subject has changed, and keep the results.

A benchmark is a module in this folder with a docstring that says what it measures, and two functions:

    subjects() -> {name: fingerprint}   what there is to measure, and a hash of all that the result depends on
    measure(name) -> dict               the numbers of one subject

It may also have

    VERSIONS                            the packages whose versions a row shall name
    table(rows) -> str                  a layout of its own for the page that people read
    available() -> bool                 False where it cannot be measured: what is committed then stays

A row of results/NAME.json is kept as long as its fingerprint holds, so a change is measured and nothing else is. What
a chapter reads stands in the library instead, in course_lib/results, and so goes wherever the chapter goes. The page
for people, results/NAME.md, is written from the JSON and nothing else.
"""

import datetime
import hashlib
import importlib
import importlib.metadata
import json
import os
import platform
import re
import sys
from pathlib import Path

from benchmarks.pages import page

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
IN_LIBRARY = (
    "schedule_table", "optimizer_step", "training_step", "multi_task_gradients", "meta_learning", "bayesian_search",
    "tuning_study", "evolution_runs", "tuning_race", "graph_products", "graph_depth", "cut_solvers",
    "learned_optimizers", "federated_rounds", "federated_study", "federated_defences", "federated_engines",
)
HELPERS = ("__init__", "run", "pages", "timing", "contenders")
NAMES = sorted(file.stem for file in HERE.glob("*.py") if file.stem not in HELPERS)
PINS = ("requirements.txt", "requirements-bench.txt")


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


def pin(package):
    """Return the line that pins a package, without its conditions: a fingerprint is the same on every machine."""
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in PINS)
    return re.search(rf"^{package}==[^\s;]+", text, re.M)[0]


def versions(packages):
    """Return the version of each package, None where it is not installed; TensorFlow may be tensorflow-cpu."""
    installed = {dist.name.lower().replace("_", "-"): dist.version for dist in importlib.metadata.distributions()}
    return {name: installed.get(name, installed.get(f"{name}-cpu")) for name in packages}


def file_of(name):
    """Return where the result of a benchmark stands."""
    return (ROOT / "course_lib" if name in IN_LIBRARY else HERE) / "results" / f"{name}.json"


def page_of(name):
    """Return where the page of a benchmark's result stands."""
    return HERE / "results" / f"{name}.md"


def result(name):
    """Return the committed result of a benchmark, an empty one if there is none."""
    file = file_of(name)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"rows": []}


def rendered(name):
    """Return the page that the committed result of a benchmark makes."""
    return page(name, result(name), getattr(importlib.import_module(f"benchmarks.{name}"), "table", None))


def write(name, rows):
    """Write the rows of a benchmark and their page."""
    module = importlib.import_module(f"benchmarks.{name}")
    text = json.dumps({"measures": module.__doc__.strip(), "rows": rows}, indent=1, ensure_ascii=False) + "\n"
    file_of(name).write_text(text, encoding="utf-8")
    page_of(name).write_text(rendered(name), encoding="utf-8")


def refresh(name, force=False):
    """Measure what has changed in one benchmark; write after each subject, so that an interruption loses one."""
    module = importlib.import_module(f"benchmarks.{name}")
    if not getattr(module, "available", lambda: True)():
        print(f"{name}: cannot be measured on this machine, stays as it is")
        return
    marks = module.subjects()
    kept = {row["subject"]: row for row in result(name)["rows"]}
    for subject, mark in marks.items():
        if force or kept.get(subject, {}).get("fingerprint") != mark:
            numbers = module.measure(subject)
            print(f"{name}: {subject}: {str(numbers)[:200]}", flush=True)
            kept[subject] = {
                "subject": subject, "fingerprint": mark, "machine": machine(),
                "versions": versions(getattr(module, "VERSIONS", ("numpy", "torch"))),
                "date": datetime.date.today().isoformat(), **numbers,
            }
            write(name, [kept[each] for each in marks if each in kept])
    write(name, [kept[subject] for subject in marks])


if __name__ == "__main__":
    chosen = [name for name in sys.argv[1:] if name != "--force"] or NAMES
    for name in chosen:
        refresh(name, force="--force" in sys.argv)
    print("results are current")
