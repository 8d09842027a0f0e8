"""Triton kernels without a GPU: Triton's own interpreter, in Python and NumPy."""

from contextlib import contextmanager
from threading import Lock

import numpy as np
import torch

__all__ = ["Interpreted"]

_ONE_AT_A_TIME = Lock()


class Interpreted:
    """A Triton kernel that runs line by line in Python, on tensors of the CPU.

    It is launched as a compiled kernel is. Triton's switch for this, `TRITON_INTERPRET`,
    must be set before any kernel is made and is then meant for all of them, those of
    `torch.compile` too; here one kernel is interpreted, and nothing is set.

    Parameters
    ----------
    kernel : function
        As it stands below `@triton.jit`. Its module must know `triton.language`.

    Raises
    ------
    ImportError
        If Triton is missing, or older than 3.6: until then one interpreted launch spoilt
        all kernels compiled after it.

    References
    ----------
    https://github.com/triton-lang/triton/pull/8735 for the older versions.

    Examples
    --------
    >>> from course_lib import adamw
    >>> from course_lib.kernels import adamw_kernel
    >>> w, g = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -3.0])
    >>> state, lr = adamw().init(w), torch.tensor(0.5, dtype=torch.float64)
    >>> launch = Interpreted(adamw_kernel)[(1,)]
    >>> launch(w, g, state["m"], state["v"], lr, state["beta1_power"], state["beta2_power"],
    ...        size=2, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, BLOCK=16)
    >>> w
    tensor([0.5000, 2.5000])
    """

    def __init__(self, kernel):
        try:
            import triton
            from triton.runtime import interpreter
        except ImportError:
            raise ImportError("a Triton kernel needs the package triton") from None
        if tuple(map(int, triton.__version__.split(".")[:2])) < (3, 6):
            raise ImportError(
                f"a Triton kernel on the CPU needs Triton 3.6 or later, got {triton.__version__}"
            )
        self._function = interpreter.InterpretedFunction(kernel)
        self._builder = interpreter.interpreter_builder

    def __getitem__(self, grid):
        def launch(*args, **kwargs):
            # The interpreter changes triton.language while it runs. As on a GPU, 0/0 is NaN
            # and nobody is warned.
            with _ONE_AT_A_TIME, np.errstate(all="ignore"), _rounding(self._builder):
                self._function[grid](*args, **kwargs)

        return launch


@contextmanager
def _rounding(builder):
    """Round to the nearest bfloat16, as a GPU does, where the interpreter cuts digits off."""
    cut_off = builder.create_fp_trunc

    def round_to_nearest(value, block_type):
        result = cut_off(value, block_type)
        if result.dtype.is_bf16() and value.data.dtype == np.float32:
            rounded = torch.from_numpy(value.data).to(torch.bfloat16)
            result.data = rounded.view(torch.int16).numpy().view(np.uint16)
        return result

    builder.create_fp_trunc = round_to_nearest
    try:
        yield
    finally:
        del builder.create_fp_trunc
