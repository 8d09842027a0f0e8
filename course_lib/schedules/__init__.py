"""Learning-rate schedules: pure functions from the number of steps made to the rate.

>>> from course_lib.schedules import cosine_decay, warmup
>>> rate = warmup(cosine_decay(lr=0.8, steps=100), steps=4)
>>> [round(rate(step), 3) for step in range(5)]
[0.2, 0.4, 0.6, 0.8, 0.8]
"""

from course_lib.schedules.combining import join, warmup
from course_lib.schedules.cycles import cosine_restarts, cyclic, one_cycle
from course_lib.schedules.decays import (
    constant, cosine_decay, exponential_decay, inverse_time_decay, polynomial_decay, step_decay,
)
from course_lib.schedules.plateau import Plateau
from course_lib.schedules.schedule import Schedule

__all__ = [
    "Schedule", "constant", "step_decay", "exponential_decay", "inverse_time_decay",
    "polynomial_decay", "cosine_decay", "cosine_restarts", "cyclic", "one_cycle", "warmup",
    "join", "Plateau",
]
