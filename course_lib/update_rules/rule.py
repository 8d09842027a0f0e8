"""What an update rule is, and the one place where a rule meets its caller."""

from course_lib.update_rules.arrays import (
    cast_like, flatten, is_tensor, scalar, unflatten, widen,
)
from course_lib.update_rules.inputs import (
    check_fits, check_lengths, check_state, gradient_at, parameters, setting,
)
from course_lib.update_rules.registry import rebuild


class Rule:
    """An optimizer as two pure functions.

    The formulas run in float32 at least: for narrower parameters the gradient comes
    widened, the state stays wide, and the step is rounded at the end. In bfloat16 alone
    a moving average with β = .999 would never forget.

    Parameters
    ----------
    name : str
        The name under which the rule is saved.
    settings : dict
        The arguments it was made with. `lr`, where there is one, may be overridden at
        each update.
    init : callable
        `init(w) -> state`: a dict of arrays and scalars, empty for a rule without memory.
    update : callable
        `update(g, state, w, lr) -> (delta, state)`: the formulas. `state["t"]` is the
        number of this step, from 1, and is kept by the class; `lr` is a number or a
        tensor, never a schedule. It must not write into what it is given.

    Examples
    --------
    A rule of one's own: step against the sign of the gradient.

    >>> import numpy as np
    >>> def sign_step(lr):
    ...     def update(g, state, w, lr):
    ...         return -lr * np.sign(g), state
    ...     return Rule("sign_step", {"lr": lr}, lambda w: {}, update)
    >>> rule = sign_step(lr=0.5)
    >>> w = np.array([3.0, -1.0])
    >>> rule.update(w, rule.init(w), w)[0]
    array([-0.5,  0.5])
    """

    def __init__(self, name, settings, init, update):
        self.name = name
        self.settings = dict(settings)
        self._init = init
        self._formula = update

    def __repr__(self):
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.settings.items())})"

    @property
    def lr(self):
        """The learning rate the rule was made with (a number, a tensor, a schedule) or None."""
        return self.settings.get("lr")

    @property
    def options(self):
        """Every setting that `replace` may change, by name, also of the parts of a chain."""
        return dict(self.settings)

    def replace(self, **changes):
        """The same rule with some settings changed; a ValueError names one it has not."""
        self._refuse_unknown(changes)
        return rebuild(self.name, {**self.settings, **changes}) if changes else self

    def _refuse_unknown(self, changes):
        unknown = sorted(changes.keys() - self.options.keys())
        if unknown:
            raise ValueError(f"{unknown[0]} is no setting, or not of one part alone, of {self!r}")

    def init(self, w):
        """The state before the first update of w (any shape): a dict, with `t` = 0."""
        w = parameters("w", w)
        return {**self._init(widen(w)), "t": scalar(0, like=w)}

    def update(self, g, state, w, lr=None):
        """The step to add to w, and the next state; nothing passed in is modified.

        Parameters
        ----------
        g : array of w's shape
            The gradient at w.
        state : dict
            From `init`, or from the last update.
        w : array of any shape and float dtype
            The parameters: NumPy, PyTorch or TensorFlow.
        lr : number, tensor, array that broadcasts with w, or schedule, optional
            Used instead of the rule's own learning rate.

        Returns
        -------
        (delta, state) : (array like w, dict)
            w + delta are the next parameters.

        Raises
        ------
        TypeError, ValueError
            If an argument is no array of floats, the shapes disagree, or lr is negative.
        """
        g, w = gradient_at(g, w)
        check_state(state)
        lr = self.lr if lr is None else lr
        if callable(lr):
            step = state["t"] if is_tensor(state["t"]) else int(state["t"])
            lr = setting("lr", lr(step), least=0)
        elif lr is not None:
            lr = setting("lr", lr, least=0)
        check_fits("lr", lr, w)
        t = state["t"] + 1
        delta, state = self._formula(widen(g), {**state, "t": t}, widen(w), lr)
        if delta.shape != w.shape:
            raise ValueError(f"delta must have w's shape {tuple(w.shape)}, got {tuple(delta.shape)}")
        return cast_like(delta, like=w), {**state, "t": t}

    def update_all(self, gs, states, ws, lr=None, rules=None):
        """One step of a whole model: lists of gradients, states and parameters.

        What looks at the whole model, such as clipping by the global norm, sees all of it
        here; everything else treats each array alone, as `update` does.

        Parameters
        ----------
        gs, states, ws : lists of equal length
            One gradient, state and array of parameters each, of any shapes.
        lr : as in `update`, or a list with one for each array
        rules : list of Rule, optional
            For each array this rule, made with other settings (see `replace`).

        Returns
        -------
        (deltas, states) : lists
        """
        lrs = lr if isinstance(lr, list) else [lr] * len(ws)
        rules = rules or [self] * len(ws)
        check_lengths(gs=gs, states=states, ws=ws, lr=lrs, rules=rules)
        each = zip(rules, gs, states, ws, lrs)
        steps = [rule.update(g, state, w, lr) for rule, g, state, w, lr in each]
        return [delta for delta, _ in steps], [state for _, state in steps]


class Transform:
    """A change made to the gradient before a rule sees it.

    Parameters
    ----------
    name, settings
        As in `Rule`.
    init : callable
        `init(w) -> state`.
    update : callable
        `update(g, state, w) -> (g, state)`.
    whole_model : bool
        True where the formula is about the model and not about each number alone, such as
        its norm: `update_all` then shows it all arrays as one vector.
    """

    def __init__(self, name, settings, init, update, whole_model=False):
        self.name = name
        self.settings = dict(settings)
        self._init = init
        self._formula = update
        self._whole_model = whole_model

    __repr__ = Rule.__repr__
    options = Rule.options
    replace = Rule.replace
    _refuse_unknown = Rule._refuse_unknown

    def init(self, w):
        """The state before the first update of w: a dict."""
        return self._init(widen(parameters("w", w)))

    def update(self, g, state, w):
        """The changed gradient, in g's dtype, and the next state; nothing is modified."""
        g, w = gradient_at(g, w)
        changed, state = self._formula(widen(g), state, widen(w))
        return cast_like(changed, like=g), state

    def update_all(self, gs, states, ws, transforms=None):
        """The changed gradients of a whole model, and the next states: lists.

        `transforms` may hold this transform made with other settings, for each array one.
        """
        transforms = transforms or [self] * len(ws)
        check_lengths(gs=gs, states=states, ws=ws, transforms=transforms)
        if self._whole_model and len(ws) > 1:
            differ = [each for each in transforms if each.settings != self.settings]
            if differ:
                raise ValueError(f"{self!r} is about the whole model, got also {differ[0]!r}")
            pairs = [gradient_at(g, w) for g, w in zip(gs, ws)]
            g, w = (flatten([widen(x) for x in xs]) for xs in zip(*pairs))
            g, state = self.update(g, _join(states, ws), w)
            return unflatten(g, like=gs), _part(state, states, ws)
        each = zip(transforms, gs, states, ws)
        changed = [transform.update(g, state, w) for transform, g, state, w in each]
        return [g for g, _ in changed], [state for _, state in changed]


def _is_array(key, states, ws):
    return all(getattr(state[key], "shape", None) == w.shape for state, w in zip(states, ws))


def _join(states, ws):
    """One state for all: arrays like the parameters one after the other, scalars the first's."""
    return {
        key: flatten([state[key] for state in states]) if _is_array(key, states, ws) else value
        for key, value in states[0].items()
    }


def _part(state, states, ws):
    parts = [dict(state) for _ in ws]
    for key in state:
        if key in states[0] and _is_array(key, states, ws):
            for part, own in zip(parts, unflatten(state[key], [s[key] for s in states])):
                part[key] = own
    return parts
