"""Whole numbers as bits: of given widths, or in Elias's γ code, which tells its own."""

import numpy as np


def written(numbers, widths):
    """Numbers ≥ 0 one after the other, the most significant bit first, in so many bits each: an array of 0 and 1.

    Examples
    --------
    >>> written([5, 1], [4, 2])
    array([0, 1, 0, 1, 0, 1], dtype=uint8)
    """
    numbers, widths = np.asarray(numbers, dtype=np.int64), np.asarray(widths, dtype=np.int64)
    which = np.repeat(np.arange(len(widths)), widths)
    place = np.arange(len(which)) - np.repeat(np.cumsum(widths) - widths, widths)
    return (numbers[which] >> (widths[which] - 1 - place) & 1).astype(np.uint8)


def read(bits, widths):
    """The numbers that `written` wrote in these widths, all alike: an array [len(widths)]."""
    width = widths[0]
    return bits[: len(widths) * width].reshape(len(widths), width).astype(np.int64) @ (1 << np.arange(width)[::-1])


def gamma_widths(numbers):
    """How many bits numbers ≥ 1 take in the γ code: 2⌊log₂ n⌋ + 1, which is n with as many zeros before it as bits follow its first.

    Examples
    --------
    >>> gamma_widths([1, 2, 3, 4])
    array([1, 3, 3, 5])
    """
    return 2 * (np.frexp(np.asarray(numbers, dtype=float))[1].astype(np.int64) - 1) + 1


class GammaReader:
    """Reads numbers in the γ code, and single bits, from an array of 0 and 1.

    Examples
    --------
    >>> numbers = [3, 1, 12]
    >>> reader = GammaReader(written(numbers, gamma_widths(numbers)))
    >>> [reader.number() for _ in numbers]
    [3, 1, 12]
    """

    def __init__(self, bits):
        self._bits, self._at = bits, 0
        self._ones = np.flatnonzero(bits)

    def bit(self):
        self._at += 1
        return int(self._bits[self._at - 1])

    def number(self):
        first = self._ones[np.searchsorted(self._ones, self._at)]
        end = 2 * first - self._at + 1
        self._at = end
        return int(self._bits[first:end] @ (1 << np.arange(end - first)[::-1]))
