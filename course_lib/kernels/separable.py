"""What a rule must see of a parameter: its numbers, its number of dimensions, or all of it."""

import torch

_SHAPES = [(3, 4), (5, 2), (2, 3, 2), (6,), (1,)]


def seen_by(rule):
    """How much of an array's shape a rule's step depends on, found by trying.

    Parameters
    ----------
    rule : Rule

    Returns
    -------
    str
        "numbers" if every number has a step of its own, as in Adam, so that parameters of
        any shapes may lie in one vector; "dimensions" if matrices and vectors differ, as
        with weight decay on matrices only; otherwise "arrays", as with one rate a layer.
        The norm of a whole model, as in clipping, counts as seen in any case.
    """
    flat = all(_alike(rule, shapes, (-1,)) for shapes in ([_SHAPES[0], _SHAPES[3], ()], _SHAPES))
    if flat:
        return "numbers"
    same = [_SHAPES[:2], [(2, 3, 2), (1, 2, 5)], _SHAPES[3:]]
    if all(_alike(rule, shapes, joined(len(shapes[0]))) for shapes in same):
        return "dimensions"
    return "arrays"


def joined(dimensions):
    """The shape in which arrays of so many dimensions lie one after the other."""
    return (1,) * (dimensions - 1) + (-1,)


def masks(rule):
    """The masks, among the settings of a rule and of its parts, that are functions of w."""
    own = rule.settings.get("mask")
    inner = [mask for part in getattr(rule, "_parts", ()) for mask in masks(part)]
    return [own, *inner] if callable(own) else inner


def _alike(rule, shapes, together):
    """Does the rule make the same steps for arrays apart and for one array of them all?"""
    draw = torch.Generator().manual_seed(0)
    shapes = [torch.Size(shape) for shape in shapes]

    def join(xs):
        return torch.cat([x.reshape(-1) for x in xs]).reshape(together)

    def random():
        return [torch.randn(shape, generator=draw, dtype=torch.float64) for shape in shapes]

    lr = None if rule.lr is None else 0.1
    moved = 0
    try:
        apart = random()
        whole = join(apart)
        states, state = [rule.init(w) for w in apart], rule.init(whole)
        for _ in range(500):  # a rule that gathers gradients seldom moves
            gs = random()
            deltas, states = rule.update_all(gs, states, apart, lr)
            (delta,), (state,) = rule.update_all([join(gs)], [state], [whole], lr)
            if not torch.allclose(join(deltas), delta, rtol=1e-9, atol=1e-12):
                return False
            apart = [w + step for w, step in zip(apart, deltas)]
            whole = whole + delta
            moved += bool(delta.any())
            if moved == 4:
                return _same_state(states, state, whole)
    except Exception:  # it wants shapes of its own
        return False
    return False


def _same_state(states, state, whole):
    """Are the entries of the states numbers that all share, or arrays like the parameters?"""
    for key, value in state.items():
        parts = [each[key] for each in states]
        if not isinstance(value, torch.Tensor) or value.ndim == 0:
            if any(float(part) != float(value) for part in parts):
                return False
        elif value.numel() != whole.numel() or not torch.allclose(
            torch.cat([part.reshape(-1) for part in parts]), value.reshape(-1)
        ):
            return False
    return True
