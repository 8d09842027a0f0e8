"""A schedule of the book as one of Keras."""

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

import course_lib.schedules  # noqa: F401 (makes them known, so that a saved schedule is found)
from course_lib.update_rules import describe, rebuild


@keras.saving.register_keras_serializable(package="course_lib")
class KerasSchedule(LearningRateSchedule):
    """Run any schedule in an optimizer of Keras.

    Parameters
    ----------
    schedule : callable
        A `Schedule`, or any function of the step that takes a float tensor. To be saved
        with a model it must be registered.

    Raises
    ------
    TypeError
        If it is no function. On saving, a ValueError if it is not registered.

    References
    ----------
    https://keras.io/api/optimizers/learning_rate_schedules/

    Examples
    --------
    >>> from course_lib.schedules import cosine_decay, warmup
    >>> schedule = KerasSchedule(warmup(cosine_decay(0.4, steps=10), steps=4))
    >>> optimizer = keras.optimizers.SGD(schedule)
    >>> round(float(optimizer.learning_rate), 4)
    0.1
    """

    def __init__(self, schedule):
        if not callable(schedule):
            raise TypeError(f"schedule must be a function of the step, got {schedule!r}")
        self.schedule = schedule

    def __call__(self, step):
        """The rate at a step, a 0-d tensor."""
        return self.schedule(ops.cast(step, keras.config.floatx()))

    def get_config(self):
        """What makes it again, as JSON."""
        if not hasattr(self.schedule, "settings"):
            raise ValueError(
                f"schedule cannot be saved, got {self.schedule!r}: make it a Schedule and call register"
            )
        return {"schedule": describe(self.schedule)}

    @classmethod
    def from_config(cls, config):
        """The schedule that `get_config` described."""
        return cls(rebuild(**config["schedule"]))
