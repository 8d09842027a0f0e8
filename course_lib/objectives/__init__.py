"""Functions to minimise, with gradient, known minimum and curvature constants.

Each is called on `w` of shape [..., D], one point or many at once, and gives [...].

>>> f = quadratic([1.0, 10.0])
>>> print(f([1.0, 1.0]), f.grad([1.0, 1.0]))
5.5 [ 1. 10.]
>>> f.smoothness, f.strong_convexity
(10.0, 1.0)
"""

from course_lib.objectives.convex import document_quadratic, huber, quadratic
from course_lib.objectives.landscapes import (
    beale, branin, hartmann6, himmelblau, rastrigin, rosenbrock, saddle,
)
from course_lib.objectives.objective import Objective

__all__ = [
    "Objective", "quadratic", "document_quadratic", "rosenbrock", "beale", "himmelblau",
    "rastrigin", "huber", "saddle", "branin", "hartmann6",
]
