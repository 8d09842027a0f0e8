"""A PyTorch module as the loss of one vector, its buffers included."""

from copy import deepcopy

import torch
from torch.func import functional_call


class ModuleLoss:
    """The loss of a module as a function of one vector that holds parameters *and* buffers.

    Batch normalisation keeps running means and variances, which no optimizer sees and which
    `module.parameters()` leaves out; a federation that averages parameters alone evaluates
    its model with the means and variances of nobody. Here they stand at the end of the
    vector: a local step replaces them by what the module makes of them, and the server
    averages them with the rest, whatever its rule does to the parameters.

    Parameters
    ----------
    module : torch.nn.Module
        Left unchanged. It must not draw random numbers (dropout), and its buffers must be
        floats, or counters that nothing depends on.
    criterion : callable
        `criterion(output, y) -> 0-d tensor`: a mean over samples.

    Attributes
    ----------
    start : tensor [D]
        The module's parameters, then its buffers.
    parameters, buffers : int
        How many numbers are of either kind; frozen parameters, which nothing changes, stand
        with the buffers.

    Raises
    ------
    TypeError, ValueError
        If an argument is wrong or the module draws random numbers.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    >>> loss = ModuleLoss(net)
    >>> loss.parameters, loss.buffers, len(loss.start)
    (21, 6, 27)
    """

    def __init__(self, module, criterion=torch.nn.functional.cross_entropy):
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"module must be a torch.nn.Module, got {module!r}")
        if not callable(criterion):
            raise TypeError(f"criterion must be callable, got {criterion!r}")
        for name, part in module.named_modules():
            if "Dropout" in type(part).__name__ or type(part) is torch.nn.RReLU or getattr(part, "dropout", 0):
                raise ValueError(f"module must not draw random numbers, got {type(part).__name__} at {name!r}")
            if getattr(part, "track_running_stats", False) and part.momentum is None:
                raise ValueError(f"module must have a momentum at {name!r}, got None: a cumulative mean counts batches")
        self.criterion = criterion
        self._training, self._evaluated = deepcopy(module).train(), deepcopy(module).eval()
        parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        if not parameters:
            raise ValueError(f"module must have parameters to train, got {module!r}")
        frozen = {name: p for name, p in module.named_parameters() if not p.requires_grad}
        buffers = dict(module.named_buffers())
        self._counters = {name: b for name, b in buffers.items() if not b.is_floating_point()}
        kept = frozen | {name: b for name, b in buffers.items() if b.is_floating_point()}
        self._shapes = {name: each.shape for name, each in (parameters | kept).items()}
        self._buffer_names = list(kept)
        self.parameters = sum(p.numel() for p in parameters.values())
        self.buffers = sum(b.numel() for b in kept.values())
        self.start = torch.cat([each.detach().reshape(-1) for each in (parameters | kept).values()])

    def __call__(self, w, x, y):
        """The loss of a batch in training mode: w [D], x [samples, …], y [samples]."""
        return self.with_buffers(w, x, y)[0]

    def with_buffers(self, w, x, y):
        """The loss of a batch in training mode, and the buffers [buffers] after it."""
        tensors = self._tensors(w)
        # The module writes into its buffers: into copies, which no gradient sees.
        tensors |= {name: tensors[name].detach().clone() for name in self._buffer_names}
        value = self.criterion(functional_call(self._training, tensors, (x,)), y)
        after = [tensors[name].reshape(-1) for name in self._buffer_names]
        return value, torch.cat(after) if after else w[:0].detach()

    def predict(self, w, x):
        """The module's output in evaluation mode."""
        return functional_call(self._evaluated, self._tensors(w), (x,))

    def evaluate(self, w, x, y):
        """The loss in evaluation mode: running means and variances in place of the batch's."""
        return self.criterion(self.predict(w, x), y)

    def module(self, w):
        """A module with these parameters and buffers, in evaluation mode."""
        made = deepcopy(self._evaluated)
        tensors = self._tensors(torch.as_tensor(w).to(self.start))
        with torch.no_grad():
            for name, each in {**dict(made.named_parameters()), **dict(made.named_buffers())}.items():
                if name in tensors:
                    each.copy_(tensors[name])
        return made

    def _tensors(self, w):
        pieces = w.split([shape.numel() for shape in self._shapes.values()])
        tensors = {name: piece.view(shape) for (name, shape), piece in zip(self._shapes.items(), pieces)}
        return tensors | {name: counter.clone() for name, counter in self._counters.items()}
