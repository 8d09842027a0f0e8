"""Update rules: gradient in, step out.

A rule is two pure functions. `init(w)` makes its state, `update(g, state, w)` returns the
step and the next state; adding the step is the caller's. The same lines run on NumPy
arrays, PyTorch tensors and TensorFlow tensors.

>>> import numpy as np
>>> from course_lib import gradient_descent
>>> w = np.array([1.0, -2.0])
>>> rule = gradient_descent(lr=0.1)
>>> state = rule.init(w)
>>> delta, state = rule.update(2 * w, state, w)
>>> w + delta
array([ 0.8, -1.6])
>>> state["t"]
1.0
"""

from course_lib.update_rules.combining import chain
from course_lib.update_rules.descent import gradient_descent
from course_lib.update_rules.rule import Rule, Transform, rebuild, register
from course_lib.update_rules.transforms import add_decayed_weights, clip_by_global_norm

__all__ = [
    "Rule", "Transform", "gradient_descent", "chain", "clip_by_global_norm",
    "add_decayed_weights", "register", "rebuild",
]
