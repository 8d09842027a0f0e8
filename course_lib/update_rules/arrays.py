"""What operators cannot say, for NumPy, PyTorch and TensorFlow alike.

Each function looks at the type of its array and calls the framework it comes from. No
framework is imported here: whoever made the array has loaded it already.
"""

import sys

import numpy as np


def framework(x):
    """The module whose functions understand `x`: torch, tensorflow or numpy."""
    for library, array in (("torch", "Tensor"), ("tensorflow", "Tensor"), ("tensorflow", "Variable")):
        loaded = getattr(sys.modules.get(library), array, None)
        if loaded is not None and isinstance(x, loaded):
            return sys.modules[library]
    return np


def is_tensor(x):
    """True for an array of PyTorch or TensorFlow, whose values must not be branched on."""
    return framework(x) is not np


def sqrt(x):
    """√x, elementwise."""
    return framework(x).sqrt(x)


def sign(x):
    """−1, 0 or 1, elementwise."""
    return framework(x).sign(x)


def cos(x):
    """cos x, elementwise, x in radians."""
    return framework(x).cos(x)


def where(condition, a, b):
    """a where the condition holds, b elsewhere, elementwise."""
    return framework(condition).where(condition, a, b)


def maximum(x, floor):
    """max(x, floor), elementwise; `floor` is a number or an array of x's dtype."""
    lib = framework(x)
    if lib.__name__ == "torch":
        return x.clamp(min=floor)
    return lib.maximum(x, floor)


def widen(x):
    """x in float32 at least: where float16 would overflow or lose its small numbers."""
    lib = framework(x)
    if lib.__name__ == "torch":
        return x.to(lib.promote_types(x.dtype, lib.float32))
    if lib is np:
        return x.astype(np.promote_types(x.dtype, np.float32))
    return x if x.dtype == lib.float64 else lib.cast(x, lib.float32)


def norm(x):
    """√Σx² over all entries, 0-d, in float32 at least.

    Summed in float64, or the squares of 1e20 would overflow float32; where the device
    has no float64, in float32.
    """
    lib = framework(x)
    if lib.__name__ == "torch":
        dtype = lib.float32 if x.device.type == "mps" else lib.float64
        return lib.linalg.vector_norm(x, dtype=dtype).to(widen(x).dtype)
    if lib is np:
        return cast_like(np.sqrt(np.sum(np.square(x.astype(np.float64)))), like=widen(x))
    return lib.cast(lib.norm(lib.cast(x, lib.float64)), widen(x).dtype)


def scalar(value, like):
    """A number of a rule's state: a Python float on NumPy, a 0-d tensor beside a tensor.

    It never takes the dtype of the parameters: in bfloat16, .999 is 1. On PyTorch it is
    float64, or float32 on a device that has no float64. TensorFlow does not mix dtypes,
    so there it is float32 beside anything but float64.
    """
    lib = framework(like)
    if lib is np:
        return float(value)
    if lib.__name__ == "torch":
        dtype = lib.float32 if like.device.type == "mps" else lib.float64
        return lib.tensor(value, dtype=dtype, device=like.device)
    return lib.constant(value, dtype=like.dtype if like.dtype == lib.float64 else lib.float32)


def cast_like(x, like):
    """x in the dtype of `like`: a 0-d float64 scalar of the state may have widened it."""
    if getattr(x, "dtype", None) == like.dtype:
        return x
    lib = framework(like)
    if lib.__name__ == "torch":
        return x.to(like.dtype)
    if lib is np:
        return np.asarray(x, dtype=like.dtype)[()]
    return lib.cast(x, like.dtype)
