"""How a server makes one update of many: functions of updates [clients, params] that return [params]."""

import torch

from course_lib.validation import count


def mean(updates, weights=None):
    """The weighted mean of the updates.

    Parameters
    ----------
    updates : tensor [clients, params]
    weights : tensor [clients], optional
        Not negative; they need not sum to 1. None: all alike.

    Returns
    -------
    tensor [params]

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import torch
    >>> mean(torch.tensor([[1.0, 0.0], [4.0, 3.0]]), weights=torch.tensor([2.0, 1.0]))
    tensor([2., 1.])
    """
    _check_shape(updates)
    if weights is None:
        return updates.mean(0)
    if weights.shape != updates.shape[:1]:
        raise ValueError(f"weights must have shape [{len(updates)}], got {list(weights.shape)}")
    return (weights / weights.sum()).to(updates.dtype) @ updates


def median(updates):
    """Each coordinate's median over the clients; of an even number the mean of the two in the middle.

    Parameters
    ----------
    updates : tensor [clients, params]

    Returns
    -------
    tensor [params]

    Raises
    ------
    ValueError
        If they have another shape, or are not finite.

    References
    ----------
    D. Yin et al., Byzantine-robust distributed learning: towards optimal statistical rates, ICML 2018, arXiv:1803.01498.

    Examples
    --------
    `torch.median` would give 1 and 3:

    >>> median(torch.tensor([[0.0, 3.0], [1.0, 3.0], [2.0, 4.0], [100.0, -100.0]]))
    tensor([1.5000, 3.0000])
    """
    _check_finite(updates)
    return trimmed_mean(updates, (len(updates) - 1) // 2)


def trimmed_mean(updates, trim):
    """Each coordinate's mean over the clients, without the largest and the smallest.

    Parameters
    ----------
    updates : tensor [clients, params]
    trim : int
        How many are left out at each end, less than half of the clients.

    Returns
    -------
    tensor [params]

    Raises
    ------
    TypeError, ValueError
        If trim is no whole number ≥ 0 or leaves nobody, or updates have another shape or are not finite.

    References
    ----------
    Yin et al. 2018, arXiv:1803.01498.

    Examples
    --------
    >>> trimmed_mean(torch.tensor([[0.0], [1.0], [3.0], [100.0]]), trim=1)
    tensor([2.])
    """
    _check_finite(updates)
    clients, trim = len(updates), count("trim", trim, least=0)
    if 2 * trim >= clients:
        raise ValueError(f"trim must be less than half of {clients} clients, got {trim}")
    return updates.sort(dim=0).values[trim : clients - trim].mean(0)


def krum(updates, byzantine):
    """The update that has the nearest neighbours: the least sum of squared distances to the C − f − 2 nearest others.

    Parameters
    ----------
    updates : tensor [clients, params]
        Of C clients.
    byzantine : int
        f, how many may be bad: C ≥ 2f + 3.

    Returns
    -------
    tensor [params]
        One of the updates, whatever else the others say.

    Raises
    ------
    TypeError, ValueError
        If byzantine is no whole number ≥ 0, there are too few clients for it, or updates have another shape or are not
        finite.

    References
    ----------
    P. Blanchard et al., Machine learning with adversaries: Byzantine tolerant gradient descent, NeurIPS 2017,
    arXiv:1703.02757, section 4.

    Examples
    --------
    >>> krum(torch.tensor([[0.0], [1.0], [1.5], [3.0], [100.0]]), byzantine=1)
    tensor([1.])
    """
    _check_finite(updates)
    clients, byzantine = len(updates), count("byzantine", byzantine, least=0)
    if clients < 2 * byzantine + 3:
        raise ValueError(f"byzantine must be at most (clients - 3) / 2 with {clients} clients, got {byzantine}")
    distance = torch.cdist(updates, updates, compute_mode="donot_use_mm_for_euclid_dist").square()
    nearest = distance.sort(dim=1).values[:, 1 : clients - byzantine - 1]  # the first is the update itself
    return updates[nearest.sum(1).argmin()].clone()


def _check_shape(updates):
    if updates.dim() != 2 or not len(updates):
        raise ValueError(f"updates must have shape [clients, params], got {list(updates.shape)}")


def _check_finite(updates):
    _check_shape(updates)
    if not updates.isfinite().all():
        raise ValueError("updates must be finite, got NaN or infinity in them")
