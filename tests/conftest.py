"""What all tests share: which may be skipped, and how Hypothesis searches."""

import os
from importlib.util import find_spec

import pytest
from hypothesis import settings

from course_lib.kernels.triton_first import load_triton_first

load_triton_first()   # a worker that loads TensorFlow for one test may need Triton for another

# A shared machine is sometimes slow, which is no error; and what fails in CI must fail again on a desk.
settings.register_profile("book", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("book")


@pytest.fixture
def traced(monkeypatch):
    """Let what is traced run as it is, in milliseconds, where the compiler takes seconds; return the graphs."""
    import torch

    graphs = []

    def keep(graph, tensors, options):
        graphs.append(graph)
        return torch.no_grad()(graph.forward)

    monkeypatch.setattr("course_lib.kernels.compiling._program", keep)
    return graphs


@pytest.fixture
def untraced(monkeypatch):
    """Let compiled steps run one operation at a time, as without a compiler; return what would be compiled."""
    import torch

    from course_lib.kernels import compiling, flat_steps

    programs = []

    def keep(function, tensors, rule):
        programs.append(function)
        return torch.no_grad()(function)

    monkeypatch.setattr(compiling, "compiled", keep)
    monkeypatch.setattr(flat_steps, "compiled", keep)
    return programs


def gpu_is_there():
    """Say whether PyTorch sees a GPU."""
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def pytest_collection_modifyitems(items):
    """Skip what needs a GPU or Triton where there is none; PyTorch is loaded only if a test asks."""
    if find_spec("triton") is None:
        for item in items:
            if isinstance(item, pytest.DoctestItem) and item.path.name in ("triton_kernel.py", "interpreting.py"):
                item.add_marker(pytest.mark.skip(reason="needs Triton, which is made for Linux alone"))
    needy = [item for item in items if item.get_closest_marker("gpu")]
    if needy and not gpu_is_there():
        for item in needy:
            item.add_marker(pytest.mark.skip(reason="needs a GPU"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a skipped test is a failed one, unless it needs a GPU."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and "CI" in os.environ and not item.get_closest_marker("gpu"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
