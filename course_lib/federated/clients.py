"""What a vector of parameters is worth to each client; and each client's own vector."""

import numpy as np
import torch
from torch.func import vmap

from course_lib.federated.algorithms import fedavg
from course_lib.federated.client_data import ClientData, parameters
from course_lib.federated.local_training import blocks, local_updates, mean_values
from course_lib.validation import count


def client_values(function, w, clients, *, block=256):
    """A function of each client's data: its loss, its share of errors.

    Parameters
    ----------
    function : callable
        `function(w, x, y) -> 0-d tensor`: a mean over samples.
    w : array or tensor [D] or [clients, D]
        One for all, or each client's own.
    clients : list of pairs (x, y)
        As in `simulate`.
    block : int
        How many clients are worked on at once, at most.

    Returns
    -------
    array [clients]

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    Examples
    --------
    >>> clients = [(torch.ones(2), torch.tensor([0.0, 2.0])), (torch.ones(1), torch.tensor([5.0]))]
    >>> client_values(lambda w, x, y: (w * x - y).square().mean(), torch.tensor([1.0]), clients)
    array([ 1., 16.])
    """
    if not callable(function):
        raise TypeError(f"function must be callable, got {function!r}")
    w, block = parameters("w", w, (1, 2)), count("block", block)
    data = ClientData(clients, like=w)
    if w.dim() == 2 and len(w) != len(data):
        raise ValueError(f"w must have shape [D] or [{len(data)}, D], got {list(w.shape)}")
    return value_of_all(function, w, data, vmap, block)


def fine_tuned(loss, w, clients, local_steps, lr, seed, batch_size=None, *, block=256):
    """Personal parameters: from the common ones each client goes on alone.

    Parameters
    ----------
    loss, clients
        As in `simulate`.
    w : array or tensor [D]
        Where all begin.
    local_steps, lr, batch_size
        As in `fedavg`.
    seed : int
        Decides in what order clients visit their samples.
    block : int
        How many clients are worked on at once, at most.

    Returns
    -------
    tensor [clients, D]

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong.

    References
    ----------
    T. Yu, E. Bagdasaryan and V. Shmatikov, Salvaging federated learning by local
    adaptation, 2020, arXiv:2002.04758.

    Examples
    --------
    >>> clients = [(torch.ones(1), torch.tensor([c])) for c in (0.0, 8.0)]
    >>> fine_tuned(lambda w, x, y: (w * x - y).square().mean() / 2, torch.tensor([4.0]), clients, 1, lr=0.5, seed=0)
    tensor([[2.],
            [6.]])
    """
    if not callable(loss):
        raise TypeError(f"loss must be callable, got {loss!r}")
    w, block, seed = parameters("w", w), count("block", block), count("seed", seed, least=0)
    data = ClientData(clients, like=w)
    check_is_mean(loss, w, data)
    algorithm = fedavg(local_steps, lr, batch_size)
    seeds = np.random.default_rng(seed).integers(2**63, size=len(data))
    own = torch.empty(len(data), len(w), dtype=w.dtype, device=w.device)
    alike = getattr(loss, "buffers", 0) > 0
    for ids in blocks(data.lengths(np.arange(len(data)), batch_size), block, alike):
        own[ids] = w + local_updates(loss, data, algorithm, w, ids, algorithm.rate(0), seeds[ids])
    bad = np.flatnonzero(~own.isfinite().all(1).cpu().numpy())
    if len(bad):
        raise FloatingPointError(f"the parameters of client {bad[0]} are not finite. A smaller lr may help.")
    return own


@torch.no_grad()
def value_of_all(function, w, data, batched, block):
    """`function`, a mean over samples, of all clients' data: an array [clients]."""
    values = np.empty(len(data))
    for ids in blocks(data.sizes, block):
        rows, lengths = data.all_rows(ids)
        mine = w[ids] if w.dim() == 2 else w.expand(len(ids), -1)
        values[ids] = mean_values(function, batched, mine, *data.fetch(rows), lengths).cpu().numpy()
    return values


@torch.no_grad()
def check_is_mean(loss, w, data):
    """A ValueError if loss is no mean over samples: filling up batches relies on it."""
    rows, _ = data.all_rows([int(data.sizes.argmax())])
    x, y = (each[0, :2] for each in data.fetch(rows))
    shape = getattr(loss(w, x, y), "shape", None)
    if shape != ():
        raise ValueError(f"loss must return a 0-d tensor, got shape {shape}")
    if getattr(loss, "buffers", 0) or data.sizes.max() < 2:
        return
    both, first, second = (float(loss(w, *part)) for part in ((x, y), (x[:1], y[:1]), (x[1:], y[1:])))
    if np.isfinite(both) and not np.isclose(both, (first + second) / 2, rtol=1e-3, atol=1e-6):
        raise ValueError(
            f"loss must be a mean over samples, got {both:.6g} for two samples "
            f"that have {first:.6g} and {second:.6g} alone"
        )
