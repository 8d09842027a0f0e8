"""How sure a mean over a few seeds is."""

from typing import NamedTuple

import numpy as np

from course_lib.validation import finite_array, number


class Interval(NamedTuple):
    """A mean with its confidence interval.

    Parameters
    ----------
    mean : float
    half_width : float
        The interval is mean ± half_width; both in the data's units.
    """

    mean: float
    half_width: float

    def excludes(self, value=0.0):
        """True where `value` lies outside the interval."""
        return abs(self.mean - value) > self.half_width


def mean_interval(values, level=0.95):
    """The mean of independent measurements, with Student's confidence interval.

    Parameters
    ----------
    values : array [n]
        At least two; one for each seed.
    level : float
        Between 0 and 1.

    Returns
    -------
    Interval
        mean ± t · s/√n, with t the quantile for n − 1 degrees of freedom. To compare two
        methods on the same seeds, pass the differences, and ask whether it excludes 0.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two values, or one is not finite.

    References
    ----------
    Student, The probable error of a mean, Biometrika 6 (1908), 1–25.

    Examples
    --------
    >>> print("%.2f ± %.2f" % mean_interval([1.0, 2.0, 3.0]))
    2.00 ± 2.48
    """
    from scipy.stats import t

    values = finite_array("values", values)
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(f"values must be a list of at least 2 numbers, got shape {values.shape}")
    level = number("level", level, above=0, below=1)
    error = values.std(ddof=1) / np.sqrt(len(values))
    return Interval(float(values.mean()), float(t.ppf((1 + level) / 2, len(values) - 1) * error))
