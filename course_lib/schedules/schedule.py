"""What a schedule is: a pure function of the number of steps made."""

import numpy as np

from course_lib.update_rules.arrays import widen
from course_lib.validation import finite_array, number


class Schedule:
    """A function from the number of steps made to a learning rate.

    Parameters
    ----------
    name : str
        The name under which it is saved.
    settings : dict
        The arguments it was made with.
    function : callable
        `function(step) -> rate`, in operators and the functions of `arrays.py`; `step`
        comes as a number, or as an array or tensor of floats.

    Examples
    --------
    >>> import numpy as np
    >>> halving = Schedule("halving", {"lr": 1.0}, lambda step: 1.0 * 0.5**step)
    >>> halving(2), halving(np.arange(3))
    (0.25, array([1.  , 0.5 , 0.25]))
    """

    def __init__(self, name, settings, function):
        self.name = name
        self.settings = dict(settings)
        self._function = function

    def __repr__(self):
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.settings.items())})"

    def __call__(self, step):
        """The rate after `step` steps (from 0): a float, or floats in the shape of `step`."""
        rate = self._function(_steps(step))
        return float(rate) if isinstance(rate, (int, np.number)) else rate


def _steps(step):
    """Steps as a number (an int where it is whole) or as floats, or an error if below 0."""
    if "bool" in str(getattr(step, "dtype", "")):
        raise TypeError(f"step must be a number or an array of numbers, got {step!r}")
    if hasattr(step, "shape") and not isinstance(step, (np.ndarray, np.generic)):
        return widen(step / 1)  # no look at its values: a branch would break `vmap`
    if getattr(step, "ndim", 0):
        step = widen(finite_array("step", step))
        number("step", step.min(initial=0), least=0)
        return step
    step = number("step", step, least=0)
    return int(step) if step.is_integer() else step
