"""What a rule accepts, and the errors that name what it does not."""

import numpy as np

from course_lib.update_rules.arrays import cast_like, constant, framework, is_tensor
from course_lib.validation import finite_array, number


def parameters(name, x):
    """x as an array of floats (a Python number as a NumPy scalar), or an error naming it."""
    if isinstance(x, (int, float)) and not isinstance(x, bool):
        return np.float64(x)
    dtype = getattr(x, "dtype", None)
    if dtype is None or not hasattr(x, "shape"):
        raise TypeError(f"{name} must be an array or a tensor, got {x!r}")
    library = framework(x)
    if library is np:
        # Kind "V": floats that NumPy itself does not know, such as bfloat16.
        floating = dtype.kind in "fV"
    elif library.__name__ == "torch":
        floating = dtype.is_floating_point
    else:
        floating = dtype.is_floating
    if not floating:
        raise TypeError(f"{name} must have a float dtype, got {dtype}")
    return x


def gradient_at(g, w):
    """g and w as arrays of floats of one shape, or an error naming the one that is wrong."""
    g, w = parameters("g", g), parameters("w", w)
    if g.shape != w.shape:
        raise ValueError(f"g must have w's shape {tuple(w.shape)}, got {tuple(g.shape)}")
    return g, w


def check_state(state):
    """An error unless it is a state that came from a rule."""
    if not isinstance(state, dict) or "t" not in state:
        raise ValueError(f"state must come from init or the last update, got {state!r}")


def setting(name, value, **bounds):
    """A setting of a rule: a number is checked, a tensor is taken as it is.

    A branch on a tensor's value would break `vmap` and `torch.compile`.
    """
    if is_tensor(value):
        return value
    if isinstance(value, np.ndarray) and value.ndim:
        for entry in finite_array(name, value).flat:
            number(name, entry, **bounds)
        return value
    return number(name, value, **bounds)


def learning_rate(lr):
    """The setting that may be a schedule too: a function of the number of steps made."""
    return lr if callable(lr) else setting("lr", lr, least=0)


def check_fits(name, x, w):
    """An error that names x, unless it is a number or broadcasts to w's shape."""
    shape, whole = tuple(getattr(x, "shape", ())), tuple(w.shape)
    sizes = zip(shape[::-1], whole[::-1])
    if len(shape) > len(whole) or any(size not in (1, full) for size, full in sizes):
        raise ValueError(f"{name} must broadcast to w's shape {whole}, got shape {shape}")


def check_lengths(**lists):
    """An error that names lists which should be equally long and are not."""
    lengths = [len(entries) for entries in lists.values()]
    if len(set(lengths)) > 1:
        raise ValueError(f"{', '.join(lists)} must have equal lengths, got {lengths}")


def switch(name, value):
    """A setting that is on or off."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def mask_setting(mask):
    """A mask for some of the parameters: None, a function of w, or an array of 0 and 1."""
    if mask is None or callable(mask) or is_tensor(mask):
        return mask
    mask = np.array(mask)
    if mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
        raise ValueError(f"mask must be an array of 0 and 1, or a function of w, got {mask!r}")
    return mask


def masked(w, mask):
    """w where the mask lets it pass and 0 elsewhere, or an error that names the mask."""
    if mask is None:
        return w
    chosen = mask(w) if callable(mask) else mask
    if isinstance(chosen, (bool, int, float)):
        return float(chosen) * w
    check_fits("mask", chosen, w)
    if not is_tensor(chosen):
        chosen = constant(chosen, like=w)
    return cast_like(chosen, like=w) * w
