"""The page of the library is complete where PyTorch and Keras are not installed: the site is built there, too."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from course_lib import frameworks, graphs, kernels, multi_task, training, transfer, tuning
from tools.site import library

LATE = frameworks, graphs, kernels, multi_task, training, transfer, tuning
ROOT = Path(__file__).resolve().parent.parent
MOCKED = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]["autodoc_mock_imports"]
PROGRAM = """
import inspect, json, sys
from types import SimpleNamespace

mocked = json.loads(sys.argv[1])

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in mocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
for name in mocked:
    try:
        __import__(name)
        sys.exit(f"{name} can be imported")
    except ModuleNotFoundError:
        pass

from sphinx.ext.autodoc.mock import ismock

from course_lib import frameworks, graphs, kernels, multi_task, training, transfer, tuning
from tools.site import library

events = {}
app = SimpleNamespace(connect=events.__setitem__, add_directive=print, add_css_file=print, add_config_value=print)
sys.stdout = sys.stderr
library.setup(app)
events["config-inited"](app, SimpleNamespace(autodoc_mock_imports=mocked))
sys.stdout = sys.__stdout__

found = {}
for module in (frameworks, graphs, kernels, multi_task, training, transfer, tuning):
    for name in module.__all__:
        try:
            thing = getattr(module, name)
        except ModuleNotFoundError as error:
            found[name] = str(error)
            continue
        ours = not ismock(thing) and thing.__module__.startswith("course_lib.")
        kind = "class" if inspect.isclass(thing) else "function" if inspect.isfunction(thing) else "neither"
        found[name] = kind if ours and thing.__name__ == name and thing.__doc__ else "a mock"
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    """What autodoc finds of the modules that load PyTorch and Keras late, by name."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(MOCKED)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_the_frameworks_are_mocked():
    assert {"torch", "tensorflow", "keras", "sklearn"} <= set(MOCKED)


@pytest.mark.parametrize("name, kind", [
    ("TorchOptimizer", "class"), ("KerasOptimizer", "class"), ("Comparison", "class"), ("Task", "class"),
    ("Network", "class"), ("BayesSearchCV", "class"), ("triton_adamw", "function"), ("task_gradients", "function"),
    ("compare", "function"), ("fit", "function"), ("logistic_task", "function"), ("sharpness", "function"),
])
def test_what_needs_a_framework_is_found_without_it(found, name, kind):
    assert found[name] == kind


def test_every_public_name_is_found(found):
    assert set(found) == {name for module in LATE for name in module.__all__}
    assert set(found.values()) == {"class", "function"}, found


def test_bars_in_a_docstring_are_bars():
    lines = ["η exp(−rate (g · u) / (|g| |u|))", ">>> state | more", "    plain"]
    library.plain_bars(None, "function", "f", None, None, lines)
    assert lines == ["η exp(−rate (g · u) / (\\|g\\| \\|u\\|))", ">>> state | more", "    plain"]
