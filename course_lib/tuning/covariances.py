"""How alike two inputs are: the covariances of Gaussian processes, and their slopes.

Each is a function of r² = Σ ((x_d − x'_d)/ℓ_d)². Their slopes all have one form, with the h
of the table below:

    ∂k/∂log ℓ_d = s² h(r) ((x_d − x'_d)/ℓ_d)²,    ∂k/∂x_d = −s² h(r) (x_d − x'_d)/ℓ_d²
"""

import numpy as np


def _rbf(r2):
    k = np.exp(-r2 / 2)
    return k, k


def _matern32(r2):
    r = np.sqrt(3 * r2)
    e = np.exp(-r)
    return (1 + r) * e, 3 * e


def _matern52(r2):
    r = np.sqrt(5 * r2)
    e = np.exp(-r)
    return (1 + r + r**2 / 3) * e, 5 / 3 * (1 + r) * e


# name -> function of r² [...] that returns k/s² and h, arrays like it
COVARIANCES = {"rbf": _rbf, "matern32": _matern32, "matern52": _matern52}


def square_distances(X, Z, lengthscale):
    """r² between all rows of X [n, D] and Z [m, D]: array [n, m]."""
    a, b = X / lengthscale, Z / lengthscale
    r2 = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.maximum(r2, 0.0)
