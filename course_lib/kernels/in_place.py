"""A rule's step, written over the weights and the state it was made from."""

import torch

from course_lib.update_rules.arrays import scalar


def whole_step(rules, keys, rule):
    """One step in place of one or several arrays, as a function of their tensors.

    Parameters
    ----------
    rules : list of Rule
        For each array: `rule` itself, or the same with other settings.
    keys : list of lists of str
        For each array the names of the entries of its state.
    rule : Rule

    Returns
    -------
    callable
        Takes w, g, η and the entries of the state of the first array, of the second, and so
        on; returns an empty list.
    """

    def step(*tensors):
        left = iter(tensors)
        ws, gs, rates, states = [], [], [], []
        for own in keys:
            for each in (ws, gs, rates):
                each.append(next(left))
            states.append({key: next(left) for key in own})
        return in_place(rules, ws, gs, rates, states, rule)

    return step


def in_place(rules, ws, gs, rates, states, rule):
    """One step of a model as the rule says it, written into the weights and the states."""
    lrs = rates if rule.lr is not None else None
    deltas, after = rule.update_all(gs, states, ws, lrs, rules)
    # A state may remember what is about to change: w itself, or another of its entries.
    after = [
        {key: _copy(key, new[key], like=value) for key, value in state.items()}
        for state, new in zip(states, after)
    ]
    for w, delta, state, new in zip(ws, deltas, states, after):
        w.add_(delta)
        for key, value in state.items():
            value.copy_(new[key])
    return []


def _copy(key, value, like):
    if not isinstance(value, torch.Tensor):
        return torch.full_like(like, value)
    if value.shape != like.shape:
        raise ValueError(
            f"state[{key!r}] must keep its shape {tuple(like.shape)}, which init gave it, "
            f"got {tuple(value.shape)}"
        )
    return value.clone()


def apart(w, g, state):
    """g, after `separate` unless w, g and the entries of the state lie in different places."""
    try:
        if not overlap([w, g, *state.values()]):
            return g
    except (AttributeError, RuntimeError):  # something is no tensor, or has no memory
        pass
    return separate(w, g, state)


def overlap(tensors):
    """Does one of the tensors begin in memory before another has ended?"""
    ranges = sorted(map(_stretch, tensors))
    return any(end > start for (_, end), (start, _) in zip(ranges, ranges[1:]))


def _stretch(x):
    """Where a tensor begins and ends in memory."""
    last = sum((n - 1) * step for n, step in zip(x.shape, x.stride())) if x.numel() else -1
    return x.data_ptr(), x.data_ptr() + (last + 1) * x.element_size()


def separate(w, g, state):
    """Give each entry of a state memory of its own, plain numbers too; return g with its own.

    What is written in place must not be what something else is read from.
    """
    for name, x in (("w", w), ("g", g)):
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"{name} must be a tensor of PyTorch, got {type(x).__name__}")
        if x.layout != torch.strided:
            raise TypeError(f"{name} must be dense, got {x.layout}")
    if not isinstance(state, dict):
        raise TypeError(f"state must be what rule.init(w) gave, got {type(state).__name__}")
    for key, value in state.items():
        if not isinstance(value, (torch.Tensor, int, float)):
            raise TypeError(f"state[{key!r}] must be a tensor or a number, got {value!r}")
    taken = {w.untyped_storage().data_ptr()}
    if g.untyped_storage().data_ptr() in taken:
        g = g.clone()
    taken.add(g.untyped_storage().data_ptr())
    for key, value in state.items():
        if not isinstance(value, torch.Tensor):
            state[key] = scalar(value, like=w)
        elif value.untyped_storage().data_ptr() in taken:
            state[key] = value.clone()
        taken.add(state[key].untyped_storage().data_ptr())
    return g


def check_entries(state, expected):
    """An error unless a state has the entries of another, in their shapes."""
    for key, value in expected.items():
        shape = tuple(getattr(value, "shape", ()))
        found = f"one of shape {tuple(state[key].shape)}" if key in state else "none"
        if key not in state or tuple(state[key].shape) != shape:
            raise ValueError(f"state[{key!r}] must have shape {shape}, as from rule.init(w), got {found}")
