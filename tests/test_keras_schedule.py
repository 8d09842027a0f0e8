"""Schedules of the book inside Keras's own optimizers: the same rates in `fit`, saved with the model."""

import numpy as np
import pytest

from course_lib.schedules import Schedule, cosine_decay, cyclic, join, one_cycle, step_decay, warmup
from course_lib.update_rules import gradient_descent
from rule_runs import label

keras = pytest.importorskip("keras")
KerasSchedule, KerasOptimizer = (getattr(pytest.importorskip("course_lib.frameworks"), name)
                                 for name in ("KerasSchedule", "KerasOptimizer"))
SCHEDULES = [
    warmup(cosine_decay(0.5, 4), 3), one_cycle(0.5, 8), cyclic(0.1, 0.4, 2), step_decay(0.3, 0.5, 2),
    join([cosine_decay(0.5, 3), step_decay(0.2, 0.5, 2)], [3]),
]
# Keras's own fault, when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES, ids=label)


def line(optimizer):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(optimizer, loss=lambda y, p: -p)   # its gradient is −1: every step is the rate
    return model


def path(model, steps):
    weights = [float(model.get_weights()[0][0, 0])]
    for _ in range(steps):
        model.fit(np.ones((1, 1)), np.ones((1, 1)), verbose=0)
        weights.append(float(model.get_weights()[0][0, 0]))
    return np.diff(weights)


@every_schedule
@pytest.mark.parametrize("make", [
    lambda schedule: keras.optimizers.SGD(KerasSchedule(schedule)),
    lambda schedule: KerasOptimizer(gradient_descent(schedule)),
    lambda schedule: KerasOptimizer(gradient_descent(KerasSchedule(schedule))),
], ids=["Keras's own", "ours", "ours, a schedule of Keras"])
def test_keras_steps_at_the_rates_of_the_schedule(make, schedule):
    rates = path(line(make(schedule)), 8)
    np.testing.assert_allclose(rates, [schedule(step) for step in range(8)], rtol=1e-5, atol=1e-7)


@every_schedule
def test_saved_with_a_model_it_goes_on(schedule, tmp_path):
    model = line(keras.optimizers.SGD(KerasSchedule(schedule)))
    path(model, 3)
    file = tmp_path / "model.keras"
    model.compile(model.optimizer, loss="mse")   # a function of one's own as loss cannot be saved
    model.save(file)
    again = keras.models.load_model(file)
    assert repr(again.optimizer._learning_rate.schedule) == repr(schedule)
    again.compile(again.optimizer, loss=lambda y, p: -p)
    np.testing.assert_allclose(path(again, 5), [schedule(step) for step in range(3, 8)], rtol=1e-4, atol=1e-6)


def test_what_cannot_be_used_or_saved_says_so():
    with pytest.raises(TypeError, match="schedule must be a function of the step, got 0.1"):
        KerasSchedule(0.1)
    plain = KerasSchedule(lambda step: 0.5 / (1 + step))
    assert float(plain(1)) == 0.25
    with pytest.raises(ValueError, match="schedule cannot be saved"):
        plain.get_config()
    with pytest.raises(ValueError, match="'halving'.*register"):
        KerasSchedule(Schedule("halving", {}, lambda step: 0.5**step)).get_config()
