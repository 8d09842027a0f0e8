"""Real data that ships inside scikit-learn, split once and scaled honestly."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from course_lib.validation import count, number, one_of

__all__ = ["load", "Dataset", "Split", "NAMES"]

NAMES = ("digits", "breast_cancer", "diabetes", "iris")


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a dataset: x [samples, features], y [samples]."""

    x: np.ndarray
    y: np.ndarray

    def __len__(self):
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset in three parts that share no sample.

    Parameters
    ----------
    name : str
    train, validation, test : Split
    classes : int or None
        How many labels there are; None for a regression.
    feature_names : tuple of str
    target_scale : float
        A regression's y is in units of this many of the original's; 1 for labels.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: int | None
    feature_names: tuple
    target_scale: float


def load(name, seed=0, *, standardize=True, validation=0.2, test=0.2):
    """Load a dataset, split it, and scale it by what the training part alone knows.

    Parameters
    ----------
    name : str
        "digits" (1797 × 64 pixels, 10 classes), "breast_cancer" (569 × 30 measurements,
        2 classes), "diabetes" (442 × 10, regression) or "iris" (150 × 4, 3 classes).
    seed : int
        Which random split; labels keep their proportions in every part.
    standardize : bool
        Give each feature (and the target of a regression) mean 0 and deviation 1 on the
        training part, with the same shift and scale in the others. A feature that is
        constant there is only shifted. Otherwise the numbers are the original ones.
    validation, test : float
        Their shares of the samples, each > 0, together < 1.

    Returns
    -------
    Dataset
        float64 features; int64 labels, or float64 targets.

    Raises
    ------
    TypeError, ValueError
        If the name is unknown or an argument is out of range.

    Examples
    --------
    >>> data = load("iris")
    >>> data.train.x.shape, data.validation.x.shape, data.test.x.shape
    ((90, 4), (30, 4), (30, 4))
    """
    one_of("name", name, NAMES)
    seed = count("seed", seed, least=0)
    number("seed", seed, below=2**32)
    if not isinstance(standardize, bool):
        raise TypeError(f"standardize must be True or False, got {standardize!r}")
    validation = number("validation", validation, above=0, below=1)
    test = number("test", test, above=0, below=1 - validation)

    x, y, features = _raw(name)
    classes = None if name == "diabetes" else int(y.max()) + 1
    try:
        parts = _indices(y, classes, seed, validation, test)
    except ValueError:
        raise ValueError(
            "validation and test must leave every part a sample of each class, "
            f"got {validation} and {test}"
        ) from None
    train = parts[0]
    target_scale = 1.0
    if standardize:
        shift, scale = x[train].mean(0), x[train].std(0)
        x = (x - shift) / np.where(scale > 0, scale, 1.0)
        if classes is None:
            target_scale = float(y[train].std())
            y = (y - y[train].mean()) / target_scale
    splits = [Split(x[part], y[part]) for part in parts]
    return Dataset(name, *splits, classes, features, target_scale)


@lru_cache
def _raw(name):
    """The data as shipped; kept in memory, and never written into."""
    from sklearn import datasets

    if name == "diabetes":
        raw = datasets.load_diabetes(scaled=False)
    else:
        raw = getattr(datasets, f"load_{name}")()
    x = np.asarray(raw.data, dtype=np.float64)
    y = np.asarray(raw.target, dtype=np.float64 if name == "diabetes" else np.int64)
    return x, y, tuple(map(str, raw.feature_names))


def _indices(y, classes, seed, validation, test):
    from sklearn.model_selection import train_test_split

    labels = y if classes else None
    rest, test_part = train_test_split(
        np.arange(len(y)), test_size=test, random_state=seed, stratify=labels
    )
    train, validation_part = train_test_split(
        rest,
        test_size=validation / (1 - test),
        random_state=seed,
        stratify=labels[rest] if classes else None,
    )
    return train, validation_part, test_part
