"""Early stopping against Keras's own, by itself and in a fit."""

import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from checkpoint_runs import halving, data, network, run
from hypothesis import given
from hypothesis import strategies as st

from course_lib import EarlyStopping
from course_lib.training import fit
from course_lib.update_rules import adam, gradient_descent

ROOT = Path(__file__).resolve().parent.parent
EIGHTHS = st.integers(-20, 20).map(lambda n: n / 8)   # exact also in Keras's float32


# ---- by itself

@given(losses=st.lists(EIGHTHS | st.just(math.nan), min_size=1, max_size=25), patience=st.integers(1, 4),
       min_delta=st.sampled_from([0.0, 0.125, 1.0]), first=EIGHTHS)
def test_it_stops_where_keras_does(losses, patience, min_delta, first):
    from keras.callbacks import EarlyStopping as Reference

    losses = [first, *losses]   # of a first NaN Keras makes a best that nothing betters
    ours = EarlyStopping(patience, min_delta)
    keras = Reference("val_loss", min_delta, patience, mode="min")
    keras.set_model(SimpleNamespace(stop_training=False))
    keras.on_train_begin()
    for epoch, loss in enumerate(losses):
        keras.on_epoch_end(epoch, {"val_loss": loss})
        assert ours.observe(loss) == ours.should_stop == keras.model.stop_training, (epoch, loss)
        assert (ours.best, ours.best_index) == (keras.best, keras.best_epoch)
        if keras.model.stop_training:
            break
    assert ours.observations == epoch + 1


def test_what_is_not_finite_is_never_best():
    stopping = EarlyStopping(2)
    assert [stopping.observe(loss) for loss in (math.nan, math.inf, -math.inf)] == [False, False, True]
    assert stopping.best == math.inf and stopping.best_index is None
    stopping.observe(5.0)
    assert (stopping.best, stopping.best_index, stopping.should_stop) == (5.0, 3, False)


@given(st.lists(EIGHTHS | st.just(math.nan), max_size=12), st.integers(0, 12))
def test_its_state_is_json_and_it_goes_on_from_it(losses, at):
    whole, first, second = (EarlyStopping(3, 0.25) for _ in range(3))
    for loss in losses[:at]:
        first.observe(loss)
    second.load_state_dict(json.loads(json.dumps(first.state_dict(), allow_nan=False)))
    said = [second.observe(loss) for loss in losses[at:]]
    assert [whole.observe(loss) for loss in losses][at:] == said
    assert whole.state_dict() == second.state_dict() and whole.best == second.best
    second.reset()
    assert second.state_dict() == EarlyStopping(3).state_dict()


@pytest.mark.parametrize("make, error, told", [
    (lambda: EarlyStopping(0), ValueError, "patience must be at least 1"),
    (lambda: EarlyStopping(1.0), TypeError, "patience must be a whole number"),
    (lambda: EarlyStopping(1, -0.1), ValueError, "min_delta must be finite and >= 0"),
    (lambda: EarlyStopping(1, 0, "yes"), ValueError, "restore_best must be one of"),
    (lambda: EarlyStopping(1).load_state_dict({"best": 1.0}), ValueError, "state_dict must hold best, best_index"),
])
def test_bad_arguments_are_named(make, error, told):
    with pytest.raises(error, match=told):
        make()


@pytest.mark.parametrize("best, index, seen", [
    (1.0, None, 3), (None, 1, 3), (1.0, 3, 3), (math.nan, 1, 3), (1.0, 1, -1),
])
def test_a_wrong_state_changes_nothing(best, index, seen):
    stopping = EarlyStopping(2)
    stopping.observe(7.0)
    with pytest.raises(ValueError, match="best|observations"):
        stopping.load_state_dict({"best": best, "best_index": index, "observations": seen})
    assert stopping.state_dict() == {"best": 7.0, "best_index": 0, "observations": 1}


def test_it_needs_no_torch():
    program = "import sys; from course_lib import EarlyStopping; EarlyStopping(1); print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.strip() == "False"


# ---- in a fit

def test_a_fit_stops_and_gives_the_best_weights_back():
    plain, whole = network(), []
    for epochs in range(1, 13):   # what the weights are after each number of epochs
        plain = network()
        history = run(plain, epochs=epochs, rule=adam(0.02))
        whole.append(plain.state_dict())
    losses = history.validation_loss
    stopping, module = EarlyStopping(patience=3), network()
    stopping.observe(-100.0)   # a fit begins afresh, and leaves what it is given alone
    stopped = run(module, epochs=12, rule=adam(0.02), stopping=stopping)
    assert stopping.state_dict() == {"best": -100.0, "best_index": 0, "observations": 1}
    best, end = stopped.best_epoch, len(stopped.validation_loss) - 1
    assert 0 < best == end - 3 < 9 and best == losses[: end + 1].argmin() and stopped.stopped
    assert np.array_equal(stopped.validation_loss, losses[: end + 1]) and len(stopped.loss) == 3 * end
    for name, value in module.state_dict().items():   # batch normalisation's buffers too
        assert torch.equal(value, whole[best - 1][name])
    kept = network()
    history = run(kept, epochs=12, rule=adam(0.02), stopping=EarlyStopping(3, restore_best=False))
    assert history.best_epoch == best
    for name, value in kept.state_dict().items():
        assert torch.equal(value, whole[end - 1][name])


def test_the_weights_before_training_may_be_the_best():
    module, before = network(), network().state_dict()
    history = run(module, epochs=5, rule=gradient_descent(50.0), stopping=EarlyStopping(2))
    assert history.best_epoch == 0 and history.stopped and len(history.validation_loss) == 3
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_without_a_stop_the_best_come_back_at_the_end():
    history = run(network(), epochs=3, stopping=EarlyStopping(100))
    assert not history.stopped and history.best_epoch == history.validation_loss.argmin()
    last = run(network(), epochs=2, rule=gradient_descent(50.0), stopping=EarlyStopping(2))
    assert not last.stopped, "it said stop where the fit was over"
    plain = run(network())
    assert plain.best_epoch is None and not plain.stopped


def test_a_scheduler_hears_of_each_epoch_and_sets_the_next_rate():
    plateau = halving(0.2)
    history = run(network(), epochs=12, plateau=plateau, rule=adam(7.0))
    twin, expected = halving(0.2), []
    for loss in history.validation_loss[1:]:   # not of the one before training
        expected += 3 * [twin.lr]
        twin.observe(loss)
    assert history.lr.tolist() == expected and len(set(expected)) > 2
    assert plateau.state_dict() == halving(0.2).state_dict()


OK = {"module": network(), "train": data(), "rule": adam(), "epochs": 1, "batch_size": 5, "seed": 0}
OK |= {"validation": data(1)}


@pytest.mark.parametrize("change, error, told", [
    ({"stopping": 3}, TypeError, "stopping must be an EarlyStopping, got 3"),
    ({"stopping": EarlyStopping(1), "validation": None}, ValueError, "stopping must have validation data"),
    ({"plateau": 0.1}, TypeError, "plateau must be a Plateau, got 0.1"),
    ({"plateau": halving}, TypeError, "plateau must be a Plateau"),
    ({"plateau": halving(0.1), "validation": None}, ValueError, "plateau must have validation data"),
    ({"plateau": halving(0.1), "rule": adam(lambda step: 0.1)}, ValueError, "plateau must have a rule with a number"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_bad_arguments_of_fit_are_named(change, error, told):
    with pytest.raises(error) as caught:
        fit(**{**OK, **change})
    assert told in str(caught.value)


def test_a_module_that_keeps_something_else_is_refused():
    class Keeper(torch.nn.Linear):
        def get_extra_state(self):
            return {"mine": 1}

        def set_extra_state(self, state):
            pass

    with pytest.raises(TypeError, match="module must keep tensors alone in its state, got _extra_state of type dict"):
        fit(**{**OK, "module": Keeper(4, 3).double(), "stopping": EarlyStopping(1)})
