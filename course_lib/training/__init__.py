"""Training: take an objective or a model, a rule and a number of steps, and go."""

from course_lib.training.intervals import Interval, mean_interval
from course_lib.training.minimization import Divergence, Trace, minimize

__all__ = ["minimize", "Trace", "Divergence", "mean_interval", "Interval"]
