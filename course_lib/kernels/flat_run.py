"""Parameters that lie together and have made the same steps, as one array."""

import torch

from course_lib.kernels.flat_buffers import dense
from course_lib.kernels.in_place import separate


class Run:
    """Parameters next to each other that have made the same steps, as one array.

    Attributes
    ----------
    params : list of parameters
    w : tensor
        Their memory: [D], or [1, …, D] where the rule must see the number of dimensions.
    state : dict
        Of arrays like w and of numbers that all of them share.
    rule : Rule
        Whose state this is.
    """

    def __init__(self, params, w, gradients, state, rule):
        self.params, self.w, self.state, self.rule = params, w, state, rule
        self.device = w.device
        self.gradients = gradients
        self._unbind()

    def _unbind(self):
        self.program = self.rate = self.layout = None
        self.entries = ()
        self.known = set()  # where gradients have lain apart from all that a step writes

    @property
    def g(self):
        """Their gradients, in one array like w."""
        if self.gradients is not None:
            return self.gradients
        return dense(self.params[0].grad)

    def bind(self, program, tensors, apart):
        """Keep what makes a step: its gradient comes and goes, and must not be held."""
        _, g, self.rate, *self.entries = tensors
        self.program, self.layout = program, (g.dtype, g.stride())
        if len(self.known) > 99:
            self.known.clear()
        if apart:
            self.known.add(g.data_ptr())

    def fits(self, g):
        """Can the program that is bound take this gradient?"""
        if self.gradients is not None:
            return True
        return g.data_ptr() in self.known and self.layout == (g.dtype, g.stride())

    @torch.no_grad()
    def follow(self, rule):
        """Go on with other settings, which may want more in the state; say if they do."""
        self.rule = rule
        self._unbind()
        more = {k: v for k, v in rule.init(self.w).items() if k not in self.state}
        self.state |= more
        separate(self.w, self.g, self.state)
        return bool(more)

    def part(self, params, start):
        """Some of its parameters, which begin at `start`, as a run of their own."""
        end = start + sum(w.numel() for w in params)
        state = {
            key: value[..., start:end] if value.shape == self.w.shape else value.clone()
            for key, value in self.state.items()
        }
        gradients = self.gradients[..., start:end]
        return Run(params, self.w[..., start:end], gradients, state, self.rule)

    def states(self):
        """The state of each parameter: views of the arrays, and the numbers that all share."""
        if self.gradients is None:
            return [self.state]
        lengths = [w.numel() for w in self.params]
        each = [dict(self.state) for _ in self.params]
        for key, value in self.state.items():
            if value.shape == self.w.shape:
                for state, w, piece in zip(each, self.params, value.view(-1).split(lengths)):
                    state[key] = piece.view(w.shape)
        return each
