"""Parameters that lie one after the other in memory, so that one loop can step them all."""

import math
import weakref
from collections import Counter

import torch

from course_lib.kernels.separable import joined, masks

# A parameter of so many numbers has a step of its own: a call costs less than to move its gradient.
LARGE = 1 << 16
# The share of a buffer's gradients that may be held twice until they are moved; or LARGE numbers.
_SHARE = 1 / 25


class Place:
    """Where a parameter lies: a stretch of a buffer, and the view of it that is its gradient."""

    def __init__(self, w, buffer, gradients, start):
        self.buffer = buffer
        self.start, self.end = start, start + w.numel()
        self.pointer = w.data_ptr()
        self.grad = None if gradients is None else gradients[start : self.end].view(w.shape)
        self.gradients = gradients


class FlatBuffers:
    """The small parameters of an optimizer, in a buffer for each group, dtype and device.

    While backward runs, gradients are copied into their places a few at a time, and the
    tensors they came in are freed: hardly any is held twice. The last few are copied when the
    step is made. A parameter that is large, alone of its kind, or shares its memory with
    something else stays where it is.

    Parameters
    ----------
    rule : Rule
    seen : str
        What the rule must see of a parameter, from `seen_by`.
    whole : bool
        Large parameters are moved as well.
    """

    def __init__(self, rule, seen, whole):
        self.masks = masks(rule)
        self.seen = seen
        self.large = math.inf if whole else LARGE
        self.places = {}
        self._hooks = {}

    def holds(self, w):
        """Is the parameter where it was put? `module.to` and `w.data = …` take it away."""
        place = self.places.get(w)
        return place is not None and place.pointer == w.data_ptr()

    def wants(self, w):
        """Has backward just made a gradient of this parameter that can be moved?"""
        g = w.grad
        return g is not None and not g.requires_grad and g.layout == torch.strided and self.holds(w)

    @torch.no_grad()
    def put(self, params):
        """Give a place to the parameters of a group that have none."""
        ws = [w for w in params if w.requires_grad and not self.holds(w)]
        owned = _owned_storages(ws)
        kinds = {}
        for w in ws:
            kind = self._kind(w) if _is_strided(w) and _address(w) in owned else None
            kinds.setdefault(kind, []).append(w)
        for kind, ws in kinds.items():
            if kind is None or len(ws) == 1:
                for w in ws:
                    self._leave(w)
            else:
                self._move(ws)

    @torch.no_grad()
    def collect(self, ws):
        """Bring the gradients of these parameters to their places, if they are not there yet."""
        pairs = [(w, self.places[w].grad) for w in ws]
        pairs = [(w, place) for w, place in pairs if place is not None and w.grad is not place]
        if pairs:
            torch._foreach_copy_([place for _, place in pairs], [dense(w.grad) for w, _ in pairs])
        for w, place in pairs:
            w.grad = place

    def _kind(self, w):
        """What parameters must have in common to share a buffer; None for one that may not."""
        if not w.is_contiguous() or self.seen == "arrays" or w.numel() >= self.large:
            return None
        if self.seen == "dimensions" and w.ndim == 0:
            return None
        shape = (1,) if self.seen == "numbers" else joined(w.ndim)
        # A mask that looks at more than the number of dimensions must be shown the parameter.
        flat = w.detach().view(shape if self.seen == "dimensions" else -1)
        for mask in self.masks:
            if not isinstance(mask(w), (bool, int, float)) or mask(w) != mask(flat):
                return None
        return w.dtype, w.device, len(shape)

    def _leave(self, w):
        self._unhook(w)
        self.places[w] = Place(w, None, None, 0)

    def _move(self, ws):
        size = sum(w.numel() for w in ws)
        buffer = torch.empty(size, dtype=ws[0].dtype, device=ws[0].device)
        start = 0
        for w in ws:
            piece = buffer[start : start + w.numel()].view(w.shape)
            piece.copy_(w)
            w.data = piece
            start += w.numel()
        gradients = torch.zeros_like(buffer)
        start, bunch, most = 0, [], max(LARGE, _SHARE * size)
        for w in ws:
            self._unhook(w)
            self.places[w] = Place(w, buffer, gradients, start)
            start += w.numel()
            if sum(each.numel() for each in bunch) + w.numel() > most:
                bunch = []  # backward comes to its first parameter last
                hook = _collector(self, bunch)
                self._hooks[w] = w.register_post_accumulate_grad_hook(hook)
            bunch.append(w)
        self.collect([w for w in ws if w.grad is not None])

    def _unhook(self, w):
        if w in self._hooks:
            self._hooks.pop(w).remove()


def _collector(buffers, bunch):
    """A hook that brings fresh gradients to their places, as long as the optimizer lives."""
    reference = weakref.ref(buffers)

    def hook(_):
        owner = reference()
        if owner is not None:
            owner.collect([w for w in bunch if owner.wants(w)])

    return hook


def dense(g):
    """A gradient as an ordinary tensor: that of an embedding may list its rows alone."""
    return g.to_dense() if g.is_sparse else g


def _is_strided(w):
    return type(w) in (torch.nn.Parameter, torch.Tensor) and w.layout == torch.strided


def _address(w):
    return w.untyped_storage().data_ptr()


def _owned_storages(ws):
    """The addresses of the memory that belongs to these parameters, without overlap, alone."""
    used, sizes, starts = Counter(), {}, Counter()
    for w in filter(_is_strided, ws):
        used[_address(w)] += w.numel() * w.element_size()
        sizes[_address(w)] = w.untyped_storage().nbytes()
        starts[w.data_ptr()] += 1
    shared = {_address(w) for w in filter(_is_strided, ws) if starts[w.data_ptr()] > 1}
    shared |= {_address(w) for w in filter(_is_strided, ws) if w.is_cpu and w.is_shared()}
    return {address for address in used if used[address] == sizes[address]} - shared
