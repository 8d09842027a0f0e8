"""Exercises that check themselves: offline, with a hint where the answer is wrong.

>>> check("gradient-descent-1", 1 / 3)
✓ gradient-descent-1
>>> check("gradient-descent-1", 2 / 3)
✗ gradient-descent-1: The curvature of 3(w − 1)² is its second derivative, 6, not 3.
"""

from course_lib.exercises.exercise import EXERCISES, Exercise, check
from course_lib.exercises import on_gradient_descent  # noqa: F401  (adds its exercises)
from course_lib.exercises import on_stochastic  # noqa: F401
from course_lib.exercises import on_momentum  # noqa: F401
from course_lib.exercises import on_adagrad  # noqa: F401
from course_lib.exercises import on_adam  # noqa: F401
from course_lib.exercises import on_schedules  # noqa: F401
from course_lib.exercises import on_stopping  # noqa: F401
from course_lib.exercises import on_fast, on_fast_code  # noqa: F401
from course_lib.exercises import on_multi_task  # noqa: F401
from course_lib.exercises import on_transfer  # noqa: F401
from course_lib.exercises import on_bayesian  # noqa: F401
from course_lib.exercises import on_evolution  # noqa: F401
from course_lib.exercises import on_gcn  # noqa: F401
from course_lib.exercises import on_maxcut  # noqa: F401
from course_lib.exercises import on_learned  # noqa: F401
from course_lib.exercises import on_federated  # noqa: F401
from course_lib.exercises import on_privacy  # noqa: F401

__all__ = ["check", "Exercise", "EXERCISES"]
