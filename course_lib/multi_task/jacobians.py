"""The gradients of several losses of a PyTorch module, in one backward pass."""

import warnings

import numpy as np
import torch

from course_lib.kernels.flat_buffers import dense
from course_lib.validation import one_of

# Entries of gradients that go through the graph at once; more are no faster, and held twice.
ON_CPU, ON_DEVICE = 1 << 22, 1 << 28


def task_gradients(losses, params, *, features=None, out=None, batched=None):
    """The gradient of each loss, as the rows of a matrix.

    All losses go backward through the graph together: what a linear layer does T times to a
    batch, it does once to T batches. (Where G is large, some losses at a time: on a CPU as
    many as make four million entries.)

    Parameters
    ----------
    losses : sequence of 0-d tensors, or tensor [T]
    params : torch.nn.Module, or iterable of tensors
        With respect to which: those of a module that require a gradient. Give the shared
        layers alone to leave the heads out.
    features : tensor or sequence of tensors, optional
        What the shared layers hand to the heads, where all paths from `params` to the losses
        go through. Then each loss goes back through its own head only, and through
        the shared layers all go together; without, every head sees the rows of all tasks,
        zeros but for its own.
    out : tensor [T, D], optional
        Where to write them, such as the matrix of the last step: memory that is fresh from the
        system costs as much as some of the passes.
    batched : bool, optional
        True: in one pass, or an error where an operation does not allow it. False: one pass
        after the other. None: the first where it can be done, else the second.

    Returns
    -------
    tensor [T, D]
        Parameters in order, flat; 0 where a loss does not depend on one. It is `out`, if that
        is given. The graph of the losses is kept, until they go.

    Raises
    ------
    TypeError, ValueError
        If the losses are not scalars that need a gradient, or there are no such parameters.

    Examples
    --------
    >>> layer = torch.nn.Linear(2, 2, bias=False)
    >>> losses = layer(torch.tensor([[1.0, 2.0]])).mean(0)
    >>> task_gradients(losses, layer)
    tensor([[1., 2., 0., 0.],
            [0., 0., 1., 2.]])
    """
    losses, params = _losses(losses), parameters_of("params", params)
    one_of("batched", batched, (None, True, False))
    if features is None:
        ways = [([loss], [torch.ones_like(loss)]) for loss in losses]
    else:
        outputs = [features] if isinstance(features, torch.Tensor) else list(features)
        ways = [(outputs, _backward([loss], outputs, None)) for loss in losses]
    G = _matrix(out, len(losses), params)
    if batched is not False:
        try:
            return _together(ways, params, G)
        except RuntimeError:
            if batched:
                raise
    return _in_turn(ways, params, G)


def write_gradient(d, params):
    """Put the pieces of a flat direction into the `.grad` of the parameters.

    Then any optimizer makes the step: `TorchOptimizer` with any rule, or one of torch's own.

    Parameters
    ----------
    d : tensor [D]
        What a combiner made of `task_gradients(losses, params)`.
    params : torch.nn.Module, or iterable of tensors
        The same as there. A gradient they have is overwritten.

    Raises
    ------
    TypeError, ValueError
        If d has not as many entries as the parameters.

    Examples
    --------
    >>> layer = torch.nn.Linear(2, 1)
    >>> write_gradient(torch.tensor([1.0, 2.0, 3.0]), layer)
    >>> layer.weight.grad, layer.bias.grad
    (tensor([[1., 2.]]), tensor([3.]))
    """
    params = parameters_of("params", params)
    sizes = [w.numel() for w in params]
    if not isinstance(d, torch.Tensor) or d.shape != (sum(sizes),):
        raise ValueError(f"d must be a tensor [{sum(sizes)}], got {d!r}")
    for w, piece in zip(params, d.detach().split(sizes)):
        piece = piece.view_as(w).to(w)
        if w.grad is None:
            w.grad = piece.clone()
        else:
            w.grad.copy_(piece)


def combined_backward(losses, combiner, shared, heads=(), *, features=None):
    """Instead of `sum(losses).backward()`: combine the gradients of the shared parameters.

    Parameters
    ----------
    losses : sequence of 0-d tensors, or tensor [T]
    combiner : callable
        `combiner(G) -> d`, such as `mgda`; with more arguments,
        `lambda G: pcgrad(G, rng)`.
    shared : torch.nn.Module, or iterable of tensors
        Their `.grad` becomes the combined direction.
    heads : torch.nn.Module, or iterable of tensors
        Parameters that belong to one task each: there is nothing to combine, and their `.grad`
        becomes that of the sum of the losses.
    features : tensor or sequence of tensors, optional
        As in `task_gradients`.

    Returns
    -------
    tensor [T, D]
        The gradients of the shared parameters before they were combined.

    Examples
    --------
    >>> from course_lib import TorchOptimizer, adam
    >>> from course_lib.multi_task import mgda
    >>> trunk, heads = torch.nn.Linear(3, 4), torch.nn.ModuleList([torch.nn.Linear(4, 1), torch.nn.Linear(4, 2)])
    >>> optimizer = TorchOptimizer([*trunk.parameters(), *heads.parameters()], adam(lr=0.01))
    >>> z = trunk(torch.ones(5, 3)).relu()
    >>> losses = [head(z).square().mean() for head in heads]
    >>> G = combined_backward(losses, mgda, trunk, heads)
    >>> optimizer.step()
    >>> G.shape
    torch.Size([2, 16])
    """
    losses = _losses(losses)
    heads = parameters_of("heads", heads, least=0)
    G = task_gradients(losses, shared, features=features)
    d = combiner(G)
    own = _backward(losses, heads, None) if heads else []
    write_gradient(d, shared)
    if heads:
        write_gradient(torch.cat([g.flatten() for g in own]), heads)
    return G


def parameters_of(name, params, least=1):
    """The parameters of a module that require a gradient, or those given, as a list."""
    if isinstance(params, torch.nn.Module):
        params = [w for w in params.parameters() if w.requires_grad]
    params = [params] if isinstance(params, torch.Tensor) else list(params)
    wrong = [w for w in params if not isinstance(w, torch.Tensor) or not w.requires_grad]
    if wrong or len(params) < least:
        raise ValueError(f"{name} must be a module or tensors that require a gradient, got {wrong or params!r}")
    return params


def _losses(losses):
    losses = list(losses)
    good = [isinstance(each, torch.Tensor) and each.dim() == 0 and each.requires_grad for each in losses]
    if not losses or not all(good):
        raise ValueError(f"losses must be 0-d tensors with a graph, one a task, got {losses!r}")
    return losses


def _backward(outputs, inputs, rows):
    return torch.autograd.grad(
        outputs, inputs, rows, retain_graph=True, allow_unused=True, materialize_grads=True)


def _together(ways, params, G):
    at_once = max(1, (ON_CPU if G.device.type == "cpu" else ON_DEVICE) // G.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # some operations are slower this way, and say so
        for start in range(0, len(G), at_once):
            part = slice(start, start + at_once)
            outputs, rows = _joined(ways[part])
            gradients = torch.func.vmap(lambda *row: _backward(outputs, params, row))(*rows)
            torch.cat([g.flatten(1) for g in gradients], dim=1, out=G[part])
    return G


def _joined(ways):
    """The outputs that some losses go back from together, and for each the rows [losses, *shape]."""
    outputs = ways[0][0]
    if all(a is b for other, _ in ways for a, b in zip(other, outputs)):
        return outputs, [torch.stack(rows) for rows in zip(*(rows for _, rows in ways))]
    losses = torch.stack([loss for (loss,), _ in ways])
    return [losses], [torch.eye(len(losses)).to(losses)]


def _in_turn(ways, params, G):
    for part, (outputs, row) in zip(G, ways):
        torch.cat([dense(g).flatten() for g in _backward(outputs, params, row)], out=part)
    return G


def _matrix(out, tasks, params):
    dtype = torch.cat([w.detach().flatten()[:0] for w in params]).dtype
    shape, device = (tasks, sum(w.numel() for w in params)), params[0].device
    if out is not None:
        if not isinstance(out, torch.Tensor) or (out.shape, out.dtype, out.device) != (shape, dtype, device):
            raise ValueError(f"out must be a tensor {list(shape)} of {dtype} on {device}, got {out!r}")
        return out.detach()
    if device.type == "cpu" and dtype in (torch.float32, torch.float64):
        # NumPy asks Linux for large pages, which cost a third as much.
        return torch.from_numpy(np.empty(shape, str(dtype).removeprefix("torch.")))
    return torch.empty(shape, dtype=dtype, device=device)
