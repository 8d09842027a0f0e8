"""The package of fast steps loads late, and knows where to compute."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from course_lib.kernels import best_device

ROOT = Path(__file__).resolve().parent.parent


def test_the_package_loads_neither_torch_nor_triton():
    program = "import course_lib.kernels, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "triton"} & set(loaded.stdout.split())


@pytest.mark.parametrize("cuda, mps, best", [
    (True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu"),
])
def test_the_best_device(cuda, mps, best, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert best_device() == torch.device(best)
