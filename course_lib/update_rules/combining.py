"""Transforms and a rule, one after the other, as one rule."""

from course_lib.update_rules.arrays import widen
from course_lib.update_rules.inputs import check_lengths, check_state, gradient_at
from course_lib.update_rules.registry import _REGISTRY
from course_lib.update_rules.rule import Rule, Transform


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
    return _Chain([*transforms, *(rule._parts if isinstance(rule, _Chain) else [rule])])


class Combined(Rule):
    """A rule made of parts, the last of them a rule: one array is a model of one array."""

    def __init__(self, name, settings, parts):
        if not isinstance(parts[-1], Rule):
            raise TypeError(f"rule must be a Rule, such as adam(lr=1e-3), got {parts[-1]!r}")
        super().__init__(name, settings, None, None)
        self._parts = parts

    @property
    def lr(self):
        return self._parts[-1].lr

    @property
    def options(self):
        own = {key: value for key, value in self.settings.items() if key not in ("rule", "parts")}
        found = [own, *(part.options for part in self._parts)]
        names = [name for options in found for name in options]
        return {
            name: value
            for options in found
            for name, value in options.items()
            if names.count(name) == 1  # of two parts' equal names neither can be meant
        }

    def replace(self, **changes):
        self._refuse_unknown(changes)
        parts = [
            part.replace(**{key: changes[key] for key in part.options if key in changes})
            for part in self._parts
        ]
        own = {key: changes.get(key, value) for key, value in self.settings.items()}
        return self._rebuilt(parts, own)

    def update(self, g, state, w, lr=None):
        (delta,), (state,) = self.update_all([g], [state], [w], lr)
        return delta, state


class _Chain(Combined):
    def __init__(self, parts):
        super().__init__("chain", {"parts": parts}, parts)

    def __repr__(self):
        return f"chain({', '.join(map(repr, self._parts))})"

    def _rebuilt(self, parts, own):
        return chain(*parts)

    def init(self, w):
        *transforms, rule = self._parts
        state = rule.init(w)
        for i, transform in enumerate(transforms):
            state |= {f"{i}.{key}": value for key, value in transform.init(w).items()}
        return state

    def update_all(self, gs, states, ws, lr=None, rules=None):
        rules = rules or [self] * len(ws)
        check_lengths(gs=gs, states=states, ws=ws, rules=rules)
        pairs = [gradient_at(g, w) for g, w in zip(gs, ws)]
        gs, ws_wide = [widen(g) for g, _ in pairs], [widen(w) for _, w in pairs]
        *transforms, last = self._parts
        kept = [{} for _ in ws]
        for i, transform in enumerate(transforms):
            own = [_own(i, state) for state in states]
            gs, own = transform.update_all(gs, own, ws_wide, [rule._parts[i] for rule in rules])
            for keep, after in zip(kept, own):
                keep |= {f"{i}.{key}": value for key, value in after.items()}
        rest = [_rest(state) for state in states]
        deltas, rest = last.update_all(gs, rest, ws, lr, [rule._parts[-1] for rule in rules])
        return deltas, [{**state, **keep} for state, keep in zip(rest, kept)]


def _own(i, state):
    check_state(state)
    head = f"{i}."
    return {key[len(head):]: value for key, value in state.items() if key.startswith(head)}


def _rest(state):
    return {key: value for key, value in state.items() if not key.partition(".")[0].isdigit()}


# Saved as its parts, and rebuilt from them.
_REGISTRY["chain"] = lambda parts: chain(*parts)
