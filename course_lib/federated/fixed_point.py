"""Floats as whole numbers that can be added modulo 2³², and the mean that is made of them."""

import numpy as np

from course_lib.federated.secure_summation import secure_sum
from course_lib.validation import count, finite_array, number

__all__ = ["to_fixed_point", "from_fixed_point", "secure_mean"]


def to_fixed_point(x, scale, clients):
    """Floats as whole numbers: x · scale, rounded to the nearest.

    Parameters
    ----------
    x : array of float
    scale : float
        Steps in a unit, > 0.
    clients : int
        How many such arrays are to be added.

    Returns
    -------
    array of int64, of x's shape

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, or |x| · scale · clients is not below 2³¹: the sum might not fit.

    Examples
    --------
    >>> to_fixed_point(np.array([0.5, -0.26]), scale=10, clients=2)
    array([ 5, -3])
    """
    x, scale, clients = finite_array("x", x), number("scale", scale, above=0), count("clients", clients)
    with np.errstate(over="ignore"):
        scaled = np.rint(x.astype(float) * scale)
    if float(np.abs(scaled).max(initial=0)) * clients >= 2**31:
        raise ValueError(f"x must have |x| · scale · clients < 2**31, got max |x| = {np.abs(x).max():g} "
                         f"with scale={scale:g} and clients={clients}")
    return scaled.astype(np.int64)


def from_fixed_point(total, scale):
    """A sum of such whole numbers, modulo 2³², as floats.

    Parameters
    ----------
    total : array of uint32
    scale : float
        As in `to_fixed_point`.

    Returns
    -------
    array of float64, of total's shape
        Numbers from 2³¹ on count as negative.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> from_fixed_point(np.array([5, 2**32 - 3], np.uint32), scale=10)
    array([ 0.5, -0.3])
    """
    if getattr(total, "dtype", None) != np.uint32:
        raise TypeError(f"total must be an array of uint32, got {total!r}")
    return np.asarray(total).view(np.int32) / number("scale", scale, above=0)


def secure_mean(scale, seed, threshold=None):
    """An aggregator: the mean of updates in fixed point, by `secure_sum` with new secrets at each call.

    Parameters
    ----------
    scale, seed, threshold
        As in `to_fixed_point` and `secure_sum`.

    Returns
    -------
    callable
        `aggregate(updates)`: float tensor [clients, D] -> [D], dtype and device kept, off by
        1/(2 scale) at most before the dtype rounds. It raises what those functions raise.

    Examples
    --------
    >>> import torch
    >>> secure_mean(scale=2**16, seed=0)(torch.tensor([[1.0, 0.0], [0.5, -1.0]]))
    tensor([ 0.7500, -0.5000])
    """
    scale = number("scale", scale, above=0)
    rng = np.random.default_rng(count("seed", seed, least=0))
    threshold = None if threshold is None else count("threshold", threshold, least=2)

    def aggregate(updates):
        if not updates.is_floating_point():
            raise TypeError(f"updates must be floats, got {updates.dtype}: secure_sum takes integers")
        integers = to_fixed_point(updates.detach().double().cpu().numpy(), scale, len(updates))
        total = secure_sum(integers, int(rng.integers(2**63)), threshold=threshold)
        return updates.new_tensor(from_fixed_point(total, scale) / len(updates))

    return aggregate
