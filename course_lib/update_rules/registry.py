"""Names of rules, so that one can be saved as JSON and made again."""

import numpy as np

from course_lib.update_rules.arrays import framework

_REGISTRY = {}


def register(factory):
    """Make a rule, transform or schedule known by name, so that it can be rebuilt.

    A function passed as a setting (a mask) is made known in the same way.

    Parameters
    ----------
    factory : callable
        `factory(**settings)` returns a `Rule`, `Transform` or `Schedule` whose name is
        `factory.__name__`.

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
    """The rule, transform or schedule with this name and these settings.

    Parameters
    ----------
    name : str
        A name of the book, or one given to `register`.
    settings : dict
        What `rule.settings` said, or what `describe(rule)["settings"]` did.

    Raises
    ------
    ValueError
        If nothing of that name is registered.

    Examples
    --------
    >>> from course_lib import gradient_descent
    >>> rule = gradient_descent(lr=0.1)
    >>> rebuild(rule.name, rule.settings)
    gradient_descent(lr=0.1)
    """
    factory = _known(name)
    return factory(**{key: _from_json(value) for key, value in settings.items()})


def describe(part):
    """A rule, transform or schedule as numbers, strings, lists and dicts: JSON.

    Parameters
    ----------
    part : Rule, Transform or Schedule

    Returns
    -------
    dict
        `{"name": …, "settings": …}`, such that `rebuild(**…)` makes it again.

    Raises
    ------
    ValueError
        If it, or something among its settings, is not registered and cannot be saved.

    Examples
    --------
    >>> from course_lib import add_decayed_weights, chain, gradient_descent
    >>> describe(chain(add_decayed_weights(0.5), gradient_descent(lr=0.1)))["name"]
    'chain'
    """
    _known(part.name)
    return {
        "name": part.name,
        "settings": {key: _to_json(key, value) for key, value in part.settings.items()},
    }


def _known(name):
    if name not in _REGISTRY:
        known = ", ".join(sorted(_REGISTRY))
        raise ValueError(f"name must be a registered one ({known}), got {name!r}: call register first")
    return _REGISTRY[name]


def _to_json(key, value):
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "settings") and hasattr(value, "name"):
        return describe(value)
    if isinstance(value, dict):
        return {name: _to_json(key, entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_json(key, entry) for entry in value]
    if hasattr(value, "shape"):
        is_torch = framework(value).__name__ == "torch"
        values = value.tolist() if is_torch else np.asarray(value).tolist()
        return {"array": values} if isinstance(values, list) else values
    if _REGISTRY.get(getattr(value, "__name__", None)) is value:
        return {"function": value.__name__}
    raise ValueError(f"{key} cannot be saved, got {value!r}: call register first")


def _from_json(value):
    if isinstance(value, list):
        return [_from_json(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"name", "settings"}:
        return rebuild(**value)
    if value.keys() == {"array"}:
        return np.array(value["array"])
    if value.keys() == {"function"}:
        return _known(value["function"])
    return {key: _from_json(entry) for key, entry in value.items()}
