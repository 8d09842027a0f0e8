"""The family of tasks on which few-shot regression is usually shown: sine waves."""

import numpy as np
import torch

from course_lib.validation import count


def sinusoids(rng, *shape, points):
    """Tasks y = a sin(x − b), a from U(0.1, 5), b from U(0, π), x from U(−5, 5).

    Parameters
    ----------
    rng : numpy.random.Generator
    *shape : int
        How many tasks: `runs, tasks`, or `tasks`.
    points : int
        Samples of each.

    Returns
    -------
    (x, y) : tensors [*shape, points, 1], float32

    Raises
    ------
    TypeError, ValueError
        If a number is no whole number above 0.

    References
    ----------
    C. Finn, P. Abbeel, S. Levine, Model-agnostic meta-learning for fast adaptation of deep
    networks, ICML 2017, section 5.1.

    Examples
    --------
    >>> x, y = sinusoids(np.random.default_rng(0), 25, points=10)
    >>> x.shape, bool(y.abs().max() <= 5)
    (torch.Size([25, 10, 1]), True)
    """
    shape = tuple(count("shape", each) for each in shape)
    amplitude = rng.uniform(0.1, 5.0, (*shape, 1, 1))
    phase = rng.uniform(0.0, np.pi, (*shape, 1, 1))
    x = rng.uniform(-5.0, 5.0, (*shape, count("points", points), 1))
    y = amplitude * np.sin(x - phase)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
