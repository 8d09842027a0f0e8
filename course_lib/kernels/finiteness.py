"""Whether gradients are finite, found at the speed of memory."""

import math

import torch


def finite(gs):
    """Which of these arrays hold numbers alone, neither NaN nor infinity.

    A sum is finite only if all its terms are, and PyTorch reads a vector in several places
    at once to add it up. The sum of numbers can overflow too: only then each is looked at.

    Parameters
    ----------
    gs : list of dense tensors

    Returns
    -------
    list of bool

    Examples
    --------
    >>> finite([torch.ones(3), torch.tensor([1.0, float("nan")]), torch.full((9,), 1e38)])
    [True, False, True]
    """
    half = torch.float16  # the sum of a thousand of its numbers may overflow
    sums = [g.sum() if g.dtype != half else g.sum(dtype=torch.float32) for g in gs]
    if sums[0].is_cpu:
        values = [each.item() for each in sums]
    else:  # waits for a GPU once
        values = torch.stack([each.to(sums[0]) for each in sums]).tolist()
    return [math.isfinite(x) or bool(g.isfinite().all()) for x, g in zip(values, gs)]
