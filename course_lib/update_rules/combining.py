"""Transforms and a rule, one after the other, as one rule."""

from course_lib.update_rules.rule import _REGISTRY, Rule, Transform, rebuild


def chain(*parts):
    """Gradient transforms, in order, then exactly one rule, as one rule.

    Parameters
    ----------
    *parts : Transform, …, Rule
        Each transform sees the gradient the one before it made.

    Returns
    -------
    Rule
        Its learning rate is the last part's. Its state is the last part's, beside the
        transforms' own under `"0.name"`, `"1.name"`, …

    Raises
    ------
    ValueError
        If there is no rule, more than one, or it is not last.

    Examples
    --------
    >>> import numpy as np
    >>> from course_lib import clip_by_global_norm, gradient_descent
    >>> rule = chain(clip_by_global_norm(1.0), gradient_descent(lr=0.1))
    >>> w = np.array([30.0, 40.0])
    >>> rule.update(w, rule.init(w), w)[0]
    array([-0.06, -0.08])
    """
    kinds = [type(part).__name__ for part in parts]
    wrong = not parts or not isinstance(parts[-1], Rule)
    if wrong or not all(isinstance(part, Transform) for part in parts[:-1]):
        raise ValueError(f"parts must be transforms, then exactly one rule, got {kinds}")
    *transforms, rule = parts
    if isinstance(rule, _Chain):
        transforms, rule = [*transforms, *rule._transforms], rule._rule
    return _Chain(transforms, rule)


class _Chain(Rule):
    def __init__(self, transforms, rule):
        self.name = "chain"
        self.settings = {
            "parts": [{"name": p.name, "settings": p.settings} for p in [*transforms, rule]]
        }
        self._transforms = transforms
        self._rule = rule

    def __repr__(self):
        return f"chain({', '.join(map(repr, (*self._transforms, self._rule)))})"

    @property
    def lr(self):
        return self._rule.lr

    def init(self, w):
        state = self._rule.init(w)
        for i, transform in enumerate(self._transforms):
            state |= {f"{i}.{key}": value for key, value in transform.init(w).items()}
        return state

    def update(self, g, state, w, lr=None):
        if not isinstance(state, dict):
            raise ValueError(f"state must come from init or the last update, got {state!r}")
        own = [{} for _ in self._transforms]
        rest = {}
        for key, value in state.items():
            head, dot, tail = key.partition(".")
            if dot and head.isdigit():
                own[int(head)][tail] = value
            else:
                rest[key] = value
        kept = {}
        for i, transform in enumerate(self._transforms):
            g, after = transform.update(g, own[i], w)
            kept |= {f"{i}.{key}": value for key, value in after.items()}
        delta, rest = self._rule.update(g, rest, w, lr)
        return delta, {**rest, **kept}


# A chain is saved as its parts, and rebuilt from them.
_REGISTRY["chain"] = lambda parts: chain(*(rebuild(**part) for part in parts))
