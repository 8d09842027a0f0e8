"""The clients' samples in one place, so that any block of clients can be fetched at once."""

import numpy as np
import torch

from course_lib.training import batch_order


class ClientData:
    """All samples of all clients, one after the other.

    Parameters
    ----------
    clients : list of pairs (x, y)
        x [samples, …], y [samples, …]: arrays or tensors of any number of samples, at least
        one. Floats take the dtype given, whole numbers become int64.
    like : tensor
        Whose dtype and device the samples take.

    Attributes
    ----------
    sizes : array [clients] of int

    Raises
    ------
    TypeError, ValueError
        If a client is no pair of arrays of numbers, has no samples, fewer x than y, other
        shapes than the others, or NaN.

    Examples
    --------
    >>> data = ClientData([([[1.0], [2.0]], [0, 1]), ([[3.0]], [1])], like=torch.zeros(1))
    >>> len(data), data.sizes
    (2, array([2, 1]))
    """

    def __init__(self, clients, like):
        if not isinstance(clients, (list, tuple)) or not clients:
            raise TypeError(f"clients must be a list of pairs (x, y), got {clients!r}")
        pairs = [_pair(i, pair, like) for i, pair in enumerate(clients)]
        for k, part in enumerate("xy"):
            shapes = {tuple(pair[k].shape[1:]) for pair in pairs}
            if len(shapes) > 1:
                raise ValueError(f"clients must have the same shape of {part} but for the samples, got {sorted(shapes)}")
        self.sizes = np.array([len(x) for x, _ in pairs])
        self._first = np.cumsum(self.sizes) - self.sizes
        self._x, self._y = (torch.cat([pair[k] for pair in pairs]) for k in (0, 1))

    def __len__(self):
        return len(self.sizes)

    def fetch(self, rows):
        """The samples of `rows`, an array [clients, samples] of row numbers: x, y with these two dimensions first."""
        rows = torch.tensor(rows, device=self._x.device)
        return self._x[rows], self._y[rows]

    def all_rows(self, ids):
        """Row numbers [clients, longest] of all samples of some clients, and how many are true, [clients].

        Shorter clients are filled up with copies of their first sample.
        """
        sizes = self.sizes[ids]
        place = np.arange(sizes.max())
        place = np.where(place < sizes[:, None], place, 0)
        return self._first[ids, None] + place, sizes

    def batch_rows(self, ids, steps, batch_size, seeds):
        """Row numbers [steps, clients, longest] of the batches of some clients, and how many are true, [clients].

        Each client shuffles its samples anew every epoch and leaves out what is less than a
        batch. `seeds` has a whole number for each.
        """
        if batch_size is None or (self.sizes[ids] <= batch_size).all():
            rows, lengths = self.all_rows(ids)
            return np.broadcast_to(rows, (steps, *rows.shape)), lengths
        lengths = np.minimum(self.sizes[ids], batch_size)
        rows = np.empty((steps, len(ids), lengths.max()), dtype=int)
        for j, (i, length, seed) in enumerate(zip(ids, lengths, seeds)):
            order = batch_order(int(self.sizes[i]), int(length), steps, int(seed))
            rows[:, j, :length] = self._first[i] + order
            rows[:, j, length:] = self._first[i] + order[:, :1]
        return rows, lengths

    def lengths(self, ids, batch_size):
        """How many samples a step of each client takes, [clients]."""
        sizes = self.sizes[ids]
        return sizes if batch_size is None else np.minimum(sizes, batch_size)


def _pair(i, pair, like):
    name = f"clients[{i}]"
    try:
        x, y = (_tensor(part, like) for part in pair)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be a pair (x, y) of arrays of numbers, got {pair!r}") from None
    if not x.dim() or not y.dim() or len(x) != len(y) or not len(x):
        raise ValueError(
            f"{name} must have as many x as y, at least one, got shapes {list(x.shape)} and {list(y.shape)}"
        )
    for part, tensor in (("x", x), ("y", y)):
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{name} must be finite, got NaN or infinity in {part}")
    return x, y


def _tensor(part, like):
    # A copy of an array: PyTorch takes none that is read-only or runs backwards.
    tensor = torch.as_tensor(np.array(part) if isinstance(part, np.ndarray) else part)
    return tensor.to(like) if tensor.is_floating_point() else tensor.to(like.device, torch.int64)


def parameters(name, w, dimensions=(1,)):
    """w as a tensor of finite floats, or an error naming it."""
    try:
        w = torch.as_tensor(w).detach()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} must be an array or tensor of floats, got {w!r}") from None
    if w.dim() not in dimensions or not w.is_floating_point():
        raise ValueError(f"{name} must be floats of shape [D], got {w.dtype} of shape {list(w.shape)}")
    if w.dtype == torch.bfloat16:
        raise ValueError(f"{name} must have a dtype that NumPy knows, got {w.dtype}")
    if not w.isfinite().all():
        raise ValueError(f"{name} must be finite, got NaN or infinity in it")
    return w
