"""What is searched: named numbers and choices, and their place in a unit cube."""

import math
from numbers import Integral

import numpy as np
from scipy.stats import qmc

from course_lib.validation import finite_array, number


class Space:
    """The settings that a search may choose from.

    Parameters
    ----------
    dimensions : dict
        Name -> (low, high) for a number between them, (low, high, "log") where factors
        count and not differences, two ints for an integer, both ends included, a list for a
        choice among its entries.

    Attributes
    ----------
    names : tuple of str
    width : int
        How many coordinates a setting has in the unit cube: one for a number, one for each
        entry of a choice.

    Raises
    ------
    TypeError, ValueError
        If a dimension is none of these, or is empty; the message names it.

    Examples
    --------
    >>> space = Space({"C": (1e-2, 1e2, "log"), "degree": (1, 4), "kernel": ["rbf", "poly"]})
    >>> space.encode({"C": 1.0, "degree": 3, "kernel": "poly"})
    array([0.5  , 0.625, 0.   , 1.   ])
    >>> space.decode([0.5, 0.6, 0.0, 1.0])["degree"]
    3
    """

    def __init__(self, dimensions):
        if not isinstance(dimensions, dict) or not dimensions:
            raise TypeError(f"dimensions must be a dict of one dimension or more, got {dimensions!r}")
        self.dimensions = {name: _dimension(name, given) for name, given in dimensions.items()}
        self.names = tuple(self.dimensions)
        self.width = sum(each.width for each in self.dimensions.values())

    def __repr__(self):
        return f"Space({', '.join(f'{name}={each!r}' for name, each in self.dimensions.items())})"

    def encode(self, x):
        """The place [width] of a setting, a dict by name, in the unit cube.

        Raises
        ------
        TypeError, ValueError
            If a name is missing or unknown, or a value lies outside of its dimension.
        """
        if not isinstance(x, dict) or set(x) != set(self.names):
            raise ValueError(f"x must be a dict with the keys {', '.join(self.names)}, got {x!r}")
        return np.concatenate([each.encode(x[name]) for name, each in self.dimensions.items()])

    def decode(self, u):
        """The setting, a dict by name, nearest to a place [width] in the unit cube."""
        x, start = {}, 0
        for name, each in self.dimensions.items():
            x[name] = each.decode(np.clip(u[start : start + each.width], 0, 1))
            start += each.width
        return x

    def own(self, x):
        """A copy of a setting."""
        return dict(x)

    def folded(self, u):
        """The place in the cube of one that may lie outside: reflected at the faces, as often as needed."""
        return 1 - np.abs(1 - np.mod(u, 2))

    def snapped(self, places):
        """The places [n, width] of the nearest settings: integers and choices sit at fixed ones."""
        if all(isinstance(each, Number) for each in self.dimensions.values()):
            return np.clip(places, 0, 1)
        return np.array([self.encode(self.decode(u)) for u in places])

    def spread(self, number, seed):
        """Settings that fill the space evenly, in the order of a scrambled Sobol sequence.

        Parameters
        ----------
        number : int
        seed : int or numpy.random.Generator

        Returns
        -------
        array [number, width]
            Their places.
        """
        points = qmc.Sobol(self.width, seed=seed).random_base2(max(1, math.ceil(math.log2(max(number, 2)))))
        return self.snapped(points[:number])


class Vectors:
    """All vectors [D]: what is searched where no space is given.

    Parameters
    ----------
    width : int
        D.
    """

    def __init__(self, width):
        self.width = width

    def encode(self, x):
        """The vector itself, as a new array of floats."""
        x = finite_array("x", x).astype(float)
        if x.shape != (self.width,):
            raise ValueError(f"x must be a vector of {self.width} numbers, got shape {list(x.shape)}")
        return x

    own = encode

    def decode(self, u):
        """The vector itself."""
        return np.array(u, dtype=float)

    def folded(self, u):
        """The place itself: there are no faces."""
        return u


class Number:
    """A number between two ends, on a linear or a logarithmic scale."""

    width = 1

    def __init__(self, name, low, high, log):
        self.name, self.low, self.high, self.log = name, float(low), float(high), log
        if log and low <= 0:
            raise ValueError(f"dimension {name!r} must be above 0 for a logarithmic scale, got {low!r}")

    def __repr__(self):
        return f"({self.low:g}, {self.high:g}{', log' if self.log else ''})"

    def encode(self, value):
        value = number(self.name, value, least=self.low, most=self.high)
        a, b, v = (np.log([self.low, self.high, value]) if self.log else (self.low, self.high, value))
        return np.array([(v - a) / (b - a)])

    def decode(self, u):
        u = float(u[0])
        if self.log:
            found = math.exp((1 - u) * math.log(self.low) + u * math.log(self.high))
        else:
            found = (1 - u) * self.low + u * self.high
        return min(max(found, self.low), self.high)


class Integer:
    """A whole number, both ends included; each has an equal part of the unit interval."""

    width = 1

    def __init__(self, name, low, high):
        self.name, self.low, self.high = name, low, high

    def __repr__(self):
        return f"({self.low}, {self.high})"

    def encode(self, value):
        value = number(self.name, value, least=self.low, most=self.high)
        if value != round(value):
            raise ValueError(f"{self.name} must be a whole number, got {value!r}")
        return np.array([(value - self.low + 0.5) / (self.high - self.low + 1)])

    def decode(self, u):
        return int(min(self.low + math.floor(float(u[0]) * (self.high - self.low + 1)), self.high))


class Choice:
    """One of several values, none nearer to another than any other."""

    def __init__(self, name, values):
        self.name, self.values, self.width = name, list(values), len(values)

    def __repr__(self):
        return repr(self.values)

    def encode(self, value):
        found = [i for i, each in enumerate(self.values) if each is value or each == value]
        if not found:
            raise ValueError(f"{self.name} must be one of {self.values!r}, got {value!r}")
        return np.eye(self.width)[found[0]]

    def decode(self, u):
        return self.values[int(np.argmax(u))]


def _dimension(name, given):
    if not isinstance(name, str):
        raise TypeError(f"dimensions must have names that are strings, got {name!r}")
    if isinstance(given, list):
        if not given or any(a == b and type(a) is type(b) for i, a in enumerate(given) for b in given[:i]):
            raise ValueError(f"dimension {name!r} must be a list of different values, got {given!r}")
        return Choice(name, given)
    if not isinstance(given, tuple) or len(given) not in (2, 3) or (len(given) == 3 and given[2] != "log"):
        raise ValueError(f'dimension {name!r} must be (low, high), (low, high, "log") or a list, got {given!r}')
    low, high = (number(f"dimension {name!r}", end) for end in given[:2])
    if not low < high:
        raise ValueError(f"dimension {name!r} must have its low end below its high end, got {given!r}")
    whole = all(isinstance(end, Integral) for end in given[:2])
    if whole and len(given) == 2:
        return Integer(name, int(low), int(high))
    return Number(name, low, high, len(given) == 3)
