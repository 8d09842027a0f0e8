"""Triton and TensorFlow in one process, in the order that both survive.

TensorFlow from 2.20 on shows its copy of LLVM to whatever is loaded later, and Triton from 3.7
on crashes when it meets it (https://github.com/tensorflow/tensorflow/issues/124205). The other
way round they get along. PyTorch loads Triton on its own, with the first optimizer.
"""

import sys

__all__ = ["load_triton_first"]


def load_triton_first():
    """Load Triton, if it is there, unless TensorFlow was quicker: then keep it out.

    Whoever asks for Triton later gets an ImportError instead of a crash; on a CPU nobody
    misses it.

    Examples
    --------
    >>> load_triton_first()
    """
    if "triton" in sys.modules:
        return
    if "tensorflow" in sys.modules:
        sys.modules["triton"] = None
        return
    try:
        import triton  # noqa: F401
    except ImportError:
        pass
