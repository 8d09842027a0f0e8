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

from course_lib.update_rules.adaptive import adadelta, adagrad, rmsprop
from course_lib.update_rules.combining import chain
from course_lib.update_rules.descent import gradient_descent
from course_lib.update_rules.heavy_ball import momentum
from course_lib.update_rules.moments import adam, adamw, nadam
from course_lib.update_rules.registry import describe, rebuild, register
from course_lib.update_rules.rule import Rule, Transform
from course_lib.update_rules.signs import lion, sign_descent
from course_lib.update_rules.transforms import (
    add_decayed_weights, clip_by_global_norm, matrices_only,
)
from course_lib.update_rules.wrappers import accumulate_gradients, weight_ema

__all__ = [
    "Rule", "Transform", "gradient_descent", "momentum", "adagrad", "rmsprop", "adadelta",
    "adam", "adamw", "nadam", "sign_descent", "lion", "chain", "clip_by_global_norm",
    "add_decayed_weights", "matrices_only", "accumulate_gradients", "weight_ema",
    "register", "rebuild", "describe",
]
