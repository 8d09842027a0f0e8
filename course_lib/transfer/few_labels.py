"""Some classes of the digits, few of them labelled, where they stand or moved about."""

import numpy as np
import torch

from course_lib import datasets
from course_lib.training.tasks import Draw, Task
from course_lib.validation import count, finite_array

_PIXELS = 8


def digit_images(classes, seed, *, canvas=8, copies=1, labels=None, change=None):
    """Images of some digits, in the three parts of one split.

    Parameters
    ----------
    classes : list of int
        Which digits; their labels are their positions in this list.
    seed : int
        Which split, and where the images are moved.
    canvas : int
        Side of the picture, at least 8: each image stands at a random place on it.
    copies : int
        How often each training image is taken, each time at a new place.
    labels : int, optional
        How many training images of each class, before copying; None for all.
    change : callable, optional
        `change(x)`, applied to images [n, 8, 8] with values from 0 to 1.

    Returns
    -------
    train, validation, test : pairs (x, y)
        x [samples, canvas²] of float32, y [samples] of int.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or there are not so many labels.

    Examples
    --------
    >>> train, validation, test = digit_images([5, 6], seed=0, canvas=10, copies=3, labels=4)
    >>> train[0].shape, np.bincount(train[1])
    ((24, 100), array([12, 12]))
    """
    canvas, copies = count("canvas", canvas, least=_PIXELS), count("copies", copies)
    if len(set(classes)) < max(2, len(classes)) or not set(classes) <= set(range(10)):
        raise ValueError(f"classes must be at least two different digits, got {classes!r}")
    data, rng = datasets.load("digits", seed, standardize=False), np.random.default_rng(seed)
    parts = [_chosen(split, classes) for split in (data.train, data.validation, data.test)]
    if labels is not None:
        parts[0] = _first_of_each(*parts[0], len(classes), count("labels", labels))
    parts[0] = tuple(np.concatenate([each] * copies) for each in parts[0])
    if change is not None:
        parts = [(finite_array("change(x)", change(x)), y) for x, y in parts]
    return tuple((_placed(rng, x, canvas), y) for x, y in parts)


def digit_task(network, start, classes, *, labels, batch_size=None, name="digits", **images):
    """A task for `compare`: learn digits from few labels, from a given start.

    Validation and test parts are cut to the same sizes for every seed.

    Parameters
    ----------
    network : Network
    start : callable
        `start(seed) -> w0 [D]`, a tensor.
    classes : list of int
    labels : int
        Labelled images of each class.
    batch_size : int or None
        Samples a step; None for all.
    name : str
    **images
        `canvas`, `copies` and `change`, as in `digit_images`.

    Returns
    -------
    Task
        Its loss is the cross-entropy, its metric the share of errors.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong, as in `digit_images`.
    """
    held_out = 34 * len(classes)  # every digit has so many in both parts of every split

    def draw(seed):
        train, *others = digit_images(classes, seed, labels=labels, **images)
        parts = [train, *((x[:held_out], y[:held_out]) for x, y in others)]
        return Draw(start(seed), *((torch.tensor(x), torch.tensor(y)) for x, y in parts))

    return Task(name, draw, network.cross_entropy, network.error_rate, "share of errors", batch_size)


def _chosen(split, classes):
    where = [np.flatnonzero(np.asarray(classes) == y) for y in split.y]
    kept = np.array([len(each) == 1 for each in where])
    x = split.x[kept].reshape(-1, _PIXELS, _PIXELS) / 16
    return x, np.array([int(each[0]) for each in where if len(each)])


def _first_of_each(x, y, classes, labels):
    if np.bincount(y, minlength=classes).min() < labels:
        raise ValueError(f"labels must be at most {np.bincount(y).min()}, the images of a class, got {labels}")
    rows = np.concatenate([np.flatnonzero(y == c)[:labels] for c in range(classes)])
    return x[rows], y[rows]


def _placed(rng, x, canvas):
    """Each image at a random place on an empty canvas, as a row."""
    room = canvas - _PIXELS + 1
    picture = np.zeros((len(x), canvas, canvas), dtype=np.float32)
    down, right = rng.integers(0, room, (2, len(x)))
    rows = down[:, None, None] + np.arange(_PIXELS)[:, None]
    columns = right[:, None, None] + np.arange(_PIXELS)
    picture[np.arange(len(x))[:, None, None], rows, columns] = x
    return picture.reshape(len(x), -1)
