"""What a function to minimise can say about itself."""

from dataclasses import dataclass
from typing import Callable

import numpy as np


@dataclass(frozen=True, eq=False)
class Objective:
    """A function from w [..., D] to f(w) [...], and what is known about it.

    Parameters
    ----------
    name : str
    dimension : int
        D.
    value, gradient : callable
        f and ∇f on float arrays of shape [..., D].
    minimum : float or None
        The least value, where known.
    minimizers : array [points, D] or None
        All points (or a chosen few) where the minimum is attained.
    smoothness : float or None
        L: the largest curvature anywhere, so that ‖∇f(a) − ∇f(b)‖ ≤ L‖a − b‖. None
        where there is no such bound.
    strong_convexity : float or None
        μ: the least curvature anywhere, where f is convex; else None.
    hessian : array [D, D] or None
        The matrix of second derivatives, where it is the same everywhere.
    """

    name: str
    dimension: int
    value: Callable
    gradient: Callable
    minimum: float | None = None
    minimizers: np.ndarray | None = None
    smoothness: float | None = None
    strong_convexity: float | None = None
    hessian: np.ndarray | None = None

    @property
    def minimizer(self):
        """One point [D] where the minimum is attained, or None."""
        return None if self.minimizers is None else self.minimizers[0]

    def __call__(self, w):
        """f(w) for w of shape [..., D] (or a plain number where D = 1)."""
        return self.value(self._points(w))[()]

    def grad(self, w):
        """∇f(w), in the shape of w."""
        return self.gradient(self._points(w)).reshape(np.shape(w))[()]

    def _points(self, w):
        w = np.asarray(w)
        # Kind "V": floats that NumPy itself does not know, such as bfloat16.
        if w.dtype.kind in "biuV":
            w = w.astype(float)
        if w.dtype.kind != "f":
            raise TypeError(f"w must be an array of real numbers, got {w!r}")
        if self.dimension == 1 and w.ndim == 0:
            w = w[None]
        if w.ndim == 0 or w.shape[-1] != self.dimension:
            raise ValueError(
                f"w must have shape [..., {self.dimension}] for {self.name}, got {np.shape(w)}"
            )
        return w
