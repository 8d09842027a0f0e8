"""What operators cannot say, for NumPy, PyTorch and TensorFlow alike.

Each function looks at the type of its array and calls the framework it comes from. No
framework is imported here: whoever made the array has loaded it already.
"""

import math
import sys
from itertools import accumulate

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
    """√x, elementwise; on PyTorch its derivative at 0 is taken as 0, not as infinity.

    A parameter that never had a gradient would otherwise turn the derivative of the whole
    step with respect to the learning rate into 0 · ∞.
    """
    lib = framework(x)
    if lib.__name__ == "torch" and lib.is_grad_enabled():
        return lib.where(x == 0, 0, lib.where(x == 0, 1, x).sqrt())
    return lib.sqrt(x)


def sign(x):
    """−1, 0 or 1, elementwise."""
    return framework(x).sign(x)


def cos(x):
    """cos x, elementwise, x in radians."""
    return framework(x).cos(x)


def where(condition, a, b):
    """a where the condition (an array or a bool) holds, b elsewhere, elementwise."""
    if isinstance(condition, bool):
        return a if condition else b
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
        return x.astype(np.promote_types(x.dtype, np.float32), copy=False)
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


def zeros_like(x):
    """Zeros in the shape, dtype and framework of x."""
    return framework(x).zeros_like(x)


def constant(values, like):
    """A NumPy array as an array of the framework, dtype and device of `like`."""
    lib = framework(like)
    if lib is np:
        return values.astype(like.dtype)
    if lib.__name__ == "torch":
        # Not lib.tensor, which torch.compile takes for a copy of a tensor, with a warning.
        return lib.as_tensor(values.copy(), dtype=like.dtype, device=like.device)
    return lib.constant(values, dtype=like.dtype)


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


def flatten(xs):
    """All entries of a list of arrays, as one vector of the widest dtype among them."""
    lib = framework(xs[0])
    if lib.__name__ == "torch":
        return lib.cat([x.reshape(-1) for x in xs])
    if lib is np:
        return np.concatenate([np.ravel(x) for x in xs])
    widest = max((x.dtype for x in xs), key=lambda dtype: dtype.size)
    return lib.concat([lib.reshape(lib.cast(x, widest), [-1]) for x in xs], axis=0)


def unflatten(flat, like):
    """The opposite of `flatten`: a vector as arrays of the shapes and dtypes of `like`."""
    sizes = [math.prod(x.shape) for x in like]
    if framework(flat).__name__ == "tensorflow":
        pieces = framework(flat).split(flat, sizes)
        pieces = [framework(flat).reshape(piece, x.shape) for piece, x in zip(pieces, like)]
    else:
        ends = list(accumulate(sizes))
        pieces = [flat[end - size : end].reshape(x.shape) for size, end, x in zip(sizes, ends, like)]
    return [cast_like(piece, like=x) for piece, x in zip(pieces, like)]
