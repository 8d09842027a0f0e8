"""What an update rule is, and the one place where a rule meets its caller."""

import numpy as np

from course_lib.update_rules.arrays import cast_like, framework, is_tensor, scalar
from course_lib.validation import finite_array, number


class Rule:
    """An optimizer as two pure functions.

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

    def init(self, w):
        """The state before the first update of w (any shape): a dict, with `t` = 0."""
        w = parameters("w", w)
        return {**self._init(w), "t": scalar(0, like=w)}

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
        if not isinstance(state, dict) or "t" not in state:
            raise ValueError(f"state must come from init or the last update, got {state!r}")
        lr = self.lr if lr is None else lr
        if callable(lr):
            step = state["t"] if is_tensor(state["t"]) else int(state["t"])
            lr = setting("lr", lr(step), least=0)
        elif lr is not None:
            lr = setting("lr", lr, least=0)
        t = state["t"] + 1
        delta, state = self._formula(g, {**state, "t": t}, w, lr)
        if delta.shape != w.shape:
            raise ValueError(f"lr must broadcast to w's shape {tuple(w.shape)}, got {tuple(delta.shape)}")
        return cast_like(delta, like=w), {**state, "t": t}


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
    """

    def __init__(self, name, settings, init, update):
        self.name = name
        self.settings = dict(settings)
        self._init = init
        self._formula = update

    __repr__ = Rule.__repr__

    def init(self, w):
        """The state before the first update of w: a dict."""
        return self._init(parameters("w", w))

    def update(self, g, state, w):
        """The changed gradient, in g's dtype, and the next state; nothing is modified."""
        g, w = gradient_at(g, w)
        changed, state = self._formula(g, state, w)
        return cast_like(changed, like=g), state


def parameters(name, x):
    """x as an array of floats (a Python number as a NumPy scalar), or an error naming it."""
    if isinstance(x, (int, float)) and not isinstance(x, bool):
        return np.float64(x)
    dtype = getattr(x, "dtype", None)
    if dtype is None or not hasattr(x, "shape"):
        raise TypeError(f"{name} must be an array or a tensor, got {x!r}")
    library = framework(x)
    if library is np:
        # Kind "V": floats that NumPy itself does not know, such as bfloat16.
        floating = dtype.kind in "fV"
    elif library.__name__ == "torch":
        floating = dtype.is_floating_point
    else:
        floating = dtype.is_floating
    if not floating:
        raise TypeError(f"{name} must have a float dtype, got {dtype}")
    return x


def gradient_at(g, w):
    """g and w as arrays of floats of one shape, or an error naming the one that is wrong."""
    g, w = parameters("g", g), parameters("w", w)
    if g.shape != w.shape:
        raise ValueError(f"g must have w's shape {tuple(w.shape)}, got {tuple(g.shape)}")
    return g, w


def setting(name, value, **bounds):
    """A setting of a rule: a number is checked; a schedule or a tensor is taken as it is.

    A branch on a tensor's value would break `vmap` and `torch.compile`.
    """
    if callable(value) or is_tensor(value):
        return value
    if isinstance(value, np.ndarray) and value.ndim:
        for entry in finite_array(name, value).flat:
            number(name, entry, **bounds)
        return value
    return number(name, value, **bounds)


_REGISTRY = {}


def register(factory):
    """Make a rule or transform known by name, so that it can be rebuilt from its settings.

    Parameters
    ----------
    factory : callable
        `factory(**settings)` returns a `Rule` or `Transform` named `factory.__name__`.

    Returns
    -------
    callable
        The factory itself, so that `@register` may stand above its definition.

    Raises
    ------
    TypeError, ValueError
        If it is not callable, or its name belongs to a rule of another module.
    """
    if not callable(factory):
        raise TypeError(f"factory must be a function that makes a rule, got {factory!r}")
    name = factory.__name__
    # Running a notebook's cell twice may register again; taking another's name may not.
    if name in _REGISTRY and _REGISTRY[name].__module__ != factory.__module__:
        raise ValueError(f"factory must have a name of its own, {name!r} is taken")
    _REGISTRY[name] = factory
    return factory


def rebuild(name, settings):
    """The rule or transform with this name and these settings.

    Parameters
    ----------
    name : str
        A name of the book, or one given to `register`.
    settings : dict
        What `rule.settings` said.

    Raises
    ------
    ValueError
        If no rule of that name is registered.

    Examples
    --------
    >>> from course_lib import gradient_descent
    >>> rule = gradient_descent(lr=0.1)
    >>> rebuild(rule.name, rule.settings)
    gradient_descent(lr=0.1)
    """
    if name not in _REGISTRY:
        known = ", ".join(sorted(_REGISTRY))
        raise ValueError(f"name must be a registered rule ({known}), got {name!r}: call register first")
    return _REGISTRY[name](**settings)
