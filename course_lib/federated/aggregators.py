"""How a server makes one update of many: functions of updates [clients, params] that return [params]."""


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
    if updates.dim() != 2 or not len(updates):
        raise ValueError(f"updates must have shape [clients, params], got {list(updates.shape)}")
    if weights is None:
        return updates.mean(0)
    if weights.shape != updates.shape[:1]:
        raise ValueError(f"weights must have shape [{len(updates)}], got {list(weights.shape)}")
    return (weights / weights.sum()).to(updates.dtype) @ updates
