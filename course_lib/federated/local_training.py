"""Clients at work: many at once by vmap, or one after the other, with the same numbers."""

import numpy as np
import torch
from torch.func import vmap

_ENOUGH = 16  # clients of one length are a block of their own


def one_by_one(function):
    """What `vmap` does for a function of a batch of one, without it."""
    return lambda w, *data: _batch_of_one(function(w[0], *(each[0] for each in data)))


def _batch_of_one(value):
    return tuple(each[None] for each in value) if isinstance(value, tuple) else value[None]


def blocks(lengths, most, alike=False):
    """Cut clients into blocks to be worked on together.

    Parameters
    ----------
    lengths : array [clients]
        How many samples a step of each takes.
    most : int
        How many clients a block may have.
    alike : bool
        Only clients of the same length share a block. Otherwise lengths that only a few
        have are put together, the longest at most twice the shortest, so that filling up
        costs less than half the work.

    Returns
    -------
    list of arrays of int
        Positions in `lengths`.
    """
    order = np.argsort(lengths, kind="stable")
    _, starts, counts = np.unique(lengths[order], return_index=True, return_counts=True)
    groups = [order[start : start + size] for start, size in zip(starts, counts)]
    joined = []
    for group in groups:
        last = joined[-1] if joined else None
        small = last is not None and len(last) < _ENOUGH and len(group) < _ENOUGH
        if small and not alike and lengths[group[0]] <= 2 * lengths[last[0]]:
            joined[-1] = np.concatenate([last, group])
        else:
            joined.append(group)
    return [group[i : i + most] for group in joined for i in range(0, len(group), most)]


def mean_values(function, batched, w, x, y, lengths):
    """Each client's mean over its true samples, where a batch was filled up with copies of its first.

    Parameters
    ----------
    function : callable
        `function(w, x, y)`: a mean over samples.
    batched : callable
        `vmap`, or `one_by_one` for a single client.
    w : tensor [clients, params]
    x, y : tensors [clients, longest, …]
    lengths : array [clients]
        How many samples are true. With N of them, n true, the mean m over all and the value
        f of the first, the mean over the true ones is (N m − (N − n) f) / n.

    Returns
    -------
    tensor [clients]
    """
    value = batched(function)(w, x, y)
    longest = x.shape[1]
    if (lengths == longest).all():
        return value
    true = torch.as_tensor(lengths, dtype=w.dtype, device=w.device)
    first = batched(function)(w, x[:, :1], y[:, :1])
    return (longest * value - (longest - true) * first) / true


@torch.enable_grad()
def local_updates(loss, data, algorithm, start, ids, rate, seeds, own=None, shared=None, batched=vmap):
    """How far each client of a block moves in K local steps.

    Parameters
    ----------
    loss : callable
        `loss(w, x, y)`, a mean over samples; with `.buffers` > 0 see `ModuleLoss`.
    data : ClientData
    algorithm : Algorithm
    start : tensor [params] or [clients, params]
    ids : array [clients] of int
    rate : float
        η.
    seeds : list of int
        Of each client's batches.
    own, shared : tensors [clients, params], [params], optional
        What the algorithm keeps at each client and at the server.
    batched : callable
        `vmap`, or `one_by_one` for a single client.

    Returns
    -------
    tensor [clients, params]

    Examples
    --------
    Half a step towards each client's own minimum:

    >>> from course_lib.federated import ClientData, fedavg
    >>> w = torch.tensor([4.0])
    >>> data = ClientData([(torch.ones(1), torch.tensor([c])) for c in (0.0, 8.0)], like=w)
    >>> def parabola(w, x, y):
    ...     return (w * x - y).square().mean() / 2
    >>> local_updates(parabola, data, fedavg(1, lr=0.5), w, ids=np.arange(2), rate=0.5, seeds=[0, 0])
    tensor([[-2.],
            [ 2.]])
    """
    rows, lengths = data.batch_rows(ids, algorithm.local_steps, algorithm.batch_size, seeds)
    buffers = getattr(loss, "buffers", 0)
    start = start.expand(len(ids), -1)
    d, w = start.new_zeros(start.shape), start.new_empty(start.shape, requires_grad=True)
    for k in range(algorithm.local_steps):
        if k == 0 or rows.strides[0]:  # the same rows at every step are fetched once
            x, y = data.fetch(rows[k])
        with torch.no_grad():
            torch.add(start, d, out=w)
        if buffers:
            value, after = batched(loss.with_buffers)(w, x, y)
        else:
            value = mean_values(loss, batched, w, x, y, lengths)
        (g,) = torch.autograd.grad(value.sum(), w)
        direction = algorithm.direction(g, d, own, shared)
        d += torch.mul(direction, -rate, out=g)  # into g's memory, which is free now
        if buffers:
            d[:, -buffers:] = after - start[:, -buffers:]
    return d
