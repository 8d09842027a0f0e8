"""Regression by a Gaussian process: a guess everywhere, and how sure it is."""

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from course_lib.tuning.covariances import COVARIANCES, square_distances
from course_lib.validation import finite_array, number, one_of

# Where fitted settings may lie, for inputs in the unit cube and values of variance 1.
BOUNDS = {"lengthscale": (0.02, 20.0), "variance": (1e-2, 1e3), "noise": (1e-8, 1.0)}
STARTS = ((0.3, 1.0, 1e-4), (1.0, 1.0, 1e-2))  # of the search for them


class GaussianProcess:
    """A Gaussian process with mean 0, over inputs [n, D].

        y = f(x) + ε,    cov(f(x), f(x')) = s² k(r),    r² = Σ ((x_d − x'_d)/ℓ_d)²

    A setting that is left out is fitted, to the largest marginal likelihood, in the units of
    values that are shifted and scaled to mean 0 and variance 1. With all given, nothing is
    shifted or scaled. A few trials can make an input look irrelevant that is not; with a prior
    of the lengthscales it takes more of them.

    Parameters
    ----------
    kernel : str
        "rbf", k = exp(−r²/2); "matern52", k = (1 + √5 r + 5r²/3) exp(−√5 r); "matern32".
    lengthscale : float or array [D], optional
        ℓ > 0, in units of the inputs.
    variance : float, optional
        s² > 0, of f.
    noise : float, optional
        The variance of ε, at least 0.
    prior : pair of floats, optional
        Median m and deviation d: then each log ℓ that is fitted has a normal density around
        log m with deviation d, and likelihood times density is maximised over log ℓ.

    Attributes
    ----------
    lengthscale : array [D]
    variance, noise : float
        After `fit`: those in use, in the units of the values that the process sees.
    shift, scale : float
        What the values were shifted and divided by.

    Raises
    ------
    TypeError, ValueError
        If a setting is out of range, or, from `fit` and `predict`, an array is not finite
        or has the wrong shape.

    References
    ----------
    C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, MIT Press
    2006, algorithm 2.1 and section 5.4.1.

    Examples
    --------
    >>> process = GaussianProcess("rbf", lengthscale=1.0, variance=1.0, noise=1e-6)
    >>> mean, std = process.fit([[0.0], [1.0]], [0.0, 1.0]).predict([[0.5], [1.0], [9.0]])
    >>> mean.round(3), std.round(3)    # between the data, on them, far from them
    (array([0.549, 1.   , 0.   ]), array([0.175, 0.001, 1.   ]))
    """

    def __init__(self, kernel="matern52", lengthscale=None, variance=None, noise=None, prior=None):
        self.kernel = one_of("kernel", kernel, tuple(COVARIANCES))
        self.given = {
            "lengthscale": None if lengthscale is None else _positive("lengthscale", lengthscale),
            "variance": None if variance is None else number("variance", variance, above=0),
            "noise": None if noise is None else number("noise", noise, least=0),
        }
        self.prior = None if prior is None else _prior(prior)

    def fit(self, X, y):
        """Take these values y [n] at the inputs X [n, D], and fit what is not given.

        Returns
        -------
        GaussianProcess
            Itself.
        """
        y = self._take(X, y)
        D = self.X.shape[1]
        given = self.given["lengthscale"]
        if given is not None and given.size not in (1, D):
            raise ValueError(f"lengthscale must be one number or {D}, got {given.size}")
        free = [name for name, value in self.given.items() if value is None]
        self.shift, self.scale = (y.mean(), y.std() or 1.0) if free else (0.0, 1.0)
        self.y = (y - self.shift) / self.scale
        if free:
            self._search(free, D)
        else:
            self._set(**self.given)
        return self

    def refit(self, X, y):
        """The same settings, shift and scale with other data: fast, for a point more."""
        self.y = (self._take(X, y) - self.shift) / self.scale
        self._set(self.lengthscale, self.variance, self.noise)
        return self

    def predict(self, X):
        """The mean [m] and the standard deviation [m] of f at X [m, D], without the noise.

        Returns
        -------
        (mean, std) : arrays [m]
        """
        X = _matrix("X", X, self.X.shape[1])
        k, _ = self._covariance(X)
        mean = k @ self._alpha
        v = solve_triangular(self._L, k.T, lower=True)
        std = np.sqrt(np.maximum(self.variance - (v**2).sum(0), 0.0))
        return self.shift + self.scale * mean, self.scale * std

    def slopes(self, x):
        """Mean and deviation at one point x [D], and the gradients [D] of both.

        Returns
        -------
        (mean, std, mean_slope, std_slope)
        """
        x = np.asarray(x, dtype=float)
        k, h = self._covariance(x[None])
        differences = (x - self.X) / self.lengthscale**2
        dk = -self.variance * h[0][:, None] * differences  # [n, D]
        v = cho_solve((self._L, True), k[0])
        variance = max(self.variance - k[0] @ v, 1e-18)
        std = np.sqrt(variance)
        return (
            self.shift + self.scale * (k[0] @ self._alpha), self.scale * std,
            self.scale * (dk.T @ self._alpha), self.scale * (-(dk.T @ v) / std),
        )

    def samples(self, X, rng, number=1):
        """Functions drawn from the process, given the data, at X [m, D]: array [number, m]."""
        X = _matrix("X", X, self.X.shape[1])
        k, _ = self._covariance(X)
        v = solve_triangular(self._L, k.T, lower=True)
        prior, _ = COVARIANCES[self.kernel](square_distances(X, X, self.lengthscale))
        L = _cholesky(self.variance * prior - v.T @ v)
        drawn = k @ self._alpha + rng.standard_normal((number, len(X))) @ L.T
        return self.shift + self.scale * drawn

    def log_likelihood(self):
        """The logarithm of the marginal likelihood of the (scaled) values, and its gradient.

        Returns
        -------
        (float, array [D + 2])
            The gradient with respect to the logarithms of the D lengthscales, the variance
            and the noise.
        """
        n = len(self.y)
        inverse = cho_solve((self._L, True), np.eye(n))
        value = -self.y @ self._alpha / 2 - np.log(np.diag(self._L)).sum() - n * np.log(2 * np.pi) / 2
        W = np.outer(self._alpha, self._alpha) - inverse
        k, h = self._covariance(self.X)
        weighted = self.variance * W * h
        scaled = self.X / self.lengthscale
        square = scaled**2
        # Σ W h (a_i − a_j)² by sums over rows: no array [n, n, D] is needed.
        by_length = weighted.sum(1) @ square - np.einsum("id,id->d", scaled, weighted @ scaled)
        return value, np.append(by_length, [(W * k).sum() / 2, self.noise * np.trace(W) / 2])

    def _take(self, X, y):
        """Keep the inputs, and return the values, both checked."""
        X, y = _matrix("X", X), finite_array("y", y)
        if y.shape != (len(X),) or not len(y):
            raise ValueError(f"y must be one value for each of {len(X)} inputs, got shape {y.shape}")
        self.X = X
        return y

    def _covariance(self, X):
        k, h = COVARIANCES[self.kernel](square_distances(X, self.X, self.lengthscale))
        return self.variance * k, h

    def _set(self, lengthscale, variance, noise):
        self.lengthscale = np.broadcast_to(lengthscale, self.X.shape[1:]).astype(float)
        self.variance, self.noise = float(variance), float(noise)
        k, _ = self._covariance(self.X)
        k[np.diag_indices_from(k)] += self.noise
        self._L = _cholesky(k)
        self._alpha = cho_solve((self._L, True), self.y)

    def _search(self, free, D):
        """Maximise the likelihood over the logarithms of what is not given."""
        names = ["lengthscale"] * D + ["variance", "noise"]
        chosen = np.array([name in free for name in names])
        fixed = np.concatenate([np.broadcast_to(1.0 if self.given[name] is None else self.given[name], size)
                                for name, size in (("lengthscale", D), ("variance", 1), ("noise", 1))])

        def settings(theta):
            values = np.where(chosen, 1.0, fixed)
            values[chosen] = np.exp(theta)
            return values[:D], values[D], values[D + 1]

        def loss(theta):
            self._set(*settings(theta))
            value, slope = self.log_likelihood()
            if self.prior is not None:
                away = (np.log(self.lengthscale) - self.prior[0]) / self.prior[1]
                value -= away @ away / 2
                slope[:D] -= away / self.prior[1]
            return -value, -slope[chosen]

        bounds = np.log([BOUNDS[name] for name in names])[chosen]
        found = []
        for start in STARTS:
            theta = np.log(np.array([start[0]] * D + [*start[1:]]))[chosen]
            found.append(minimize(loss, theta, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}))
        self._set(*settings(min(found, key=lambda each: each.fun).x))


def _cholesky(K):
    """The lower factor of a covariance matrix, with as little added to its diagonal as it takes."""
    for jitter in (0.0, *10.0 ** np.arange(-14, -3)):
        try:
            return np.linalg.cholesky(K + jitter * np.trace(K) / len(K) * np.eye(len(K)))
        except np.linalg.LinAlgError:
            continue
    raise ValueError("the covariance matrix must be positive definite; are the inputs finite?")


def _matrix(name, X, width=None):
    X = finite_array(name, X)
    if X.ndim != 2 or (width is not None and X.shape[1] != width):
        raise ValueError(f"{name} must have shape [n, {width or 'D'}], got {X.shape}")
    return X


def _prior(pair):
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"prior must be a pair (median, deviation of the logarithm), got {pair!r}")
    return np.log(number("prior median", pair[0], above=0)), number("prior deviation", pair[1], above=0)


def _positive(name, values):
    values = finite_array(name, values)
    if values.ndim > 1 or not (values > 0).all():
        raise ValueError(f"{name} must be above 0, one number or one for each input, got {values!r}")
    return np.atleast_1d(values)
