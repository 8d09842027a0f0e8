"""Each rule against its twin in Keras, in float64; and where Keras puts η or ε elsewhere, the difference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_runs import random

from course_lib.update_rules import adadelta, adagrad, adam, adamw, lion, momentum, nadam, rmsprop

keras = pytest.importorskip("keras")
optimizers = keras.optimizers

# Keras rounds a Python number to float32 on its way to float64: only numbers that float32 has are the same.
rates = st.floats(2**-10, 8, width=32)
betas = st.floats(2**-10, 1 - 2**-10, width=32)
shares = st.floats(2**-10, 1, width=32)
B1, B2, LR, DECAY = 1 - 2**-3, 1 - 2**-5, 2**-3, 2**-2
seeds = st.integers(0, 9999)
few = settings(max_examples=8)


@pytest.fixture(scope="module", autouse=True)
def wide_floats():
    """Let Keras keep its learning rate in float64 too."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx(before)


def hard_gradients(seed, count=20):
    """Return gradients of very different sizes, some of them 0."""
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.integers(-8, 8, (2, 3))
    return sizes * rng.standard_normal((count, 2, 3)) * (rng.random((count, 2, 3)) > 0.2)


def gradients_away_from_zero(seed, count=20):
    """Return gradients between 0.5 and 2 in size."""
    rng = np.random.default_rng(seed)
    return rng.choice([-1, 1], (count, 2, 3)) * rng.uniform(0.5, 2, (count, 2, 3))


def largest_error(rule, twin, gradients, lrs=None):
    """Return how far the two ways part, in units of their length."""
    w = random((2, 3))
    state, length, worst = rule.init(w), np.abs(w), 0
    theirs = keras.Variable(w, dtype="float64")
    for t, g in enumerate(gradients):
        if lrs is not None:
            twin.learning_rate = lrs[t]
        delta, state = rule.update(g, state, w, lr=None if lrs is None else lrs[t])
        w, length = w + delta, length + np.abs(delta)
        twin.apply_gradients([(keras.ops.convert_to_tensor(g, dtype="float64"), theirs)])
        worst = max(worst, np.max(np.abs(w - theirs.value.numpy()) / length))
    return worst


# ---- the same conventions

@few
@given(seeds, rates, betas, st.booleans())
def test_momentum_at_a_constant_rate(seed, lr, beta, nesterov):
    twin = optimizers.SGD(lr, momentum=beta, nesterov=nesterov)
    assert largest_error(momentum(lr, beta, nesterov=nesterov), twin, hard_gradients(seed)) < 1e-9


@few
@given(seeds, rates, betas, shares)
def test_adadelta(seed, lr, rho, eps):
    assert largest_error(adadelta(lr, rho, eps), optimizers.Adadelta(lr, rho, eps), hard_gradients(seed)) < 1e-9


@few
@given(seeds, rates, betas, betas, shares)
def test_nadam_whose_momentum_decays_at_1(seed, lr, beta1, beta2, eps):
    rule = nadam(lr, beta1, beta2, eps, momentum_decay=1)
    # Keras's own .96 is rounded to float32 too.
    assert largest_error(rule, optimizers.Nadam(lr, beta1, beta2, eps), hard_gradients(seed)) < 1e-7


@few
@given(seeds, rates, betas, betas, st.just(0.0) | shares)
def test_lion(seed, lr, beta1, beta2, decay):
    twin = optimizers.Lion(lr, beta1, beta2, weight_decay=decay or None)
    assert largest_error(lion(lr, beta1, beta2, decay), twin, hard_gradients(seed)) < 1e-9


# ---- ε elsewhere: the same where it does not matter, different where it does

TINY = 1e-30
ELSEWHERE = {
    "adagrad": (lambda eps: adagrad(LR, eps), lambda eps: optimizers.Adagrad(LR, 0.0, eps)),
    "rmsprop": (lambda eps: rmsprop(LR, B1, eps, B2), lambda eps: optimizers.RMSprop(LR, B1, B2, eps)),
    "rmsprop centred": (lambda eps: rmsprop(LR, B1, eps, centered=True),
                        lambda eps: optimizers.RMSprop(LR, B1, 0.0, eps, centered=True)),
    "adam": (lambda eps: adam(LR, B1, B2, eps), lambda eps: optimizers.Adam(LR, B1, B2, eps)),
    "adam amsgrad": (lambda eps: adam(LR, B1, B2, eps, amsgrad=True),
                     lambda eps: optimizers.Adam(LR, B1, B2, eps, amsgrad=True)),
    "adamw": (lambda eps: adamw(LR, B1, B2, eps, DECAY), lambda eps: optimizers.AdamW(LR, DECAY, B1, B2, eps)),
}


@pytest.mark.parametrize("ours, theirs", ELSEWHERE.values(), ids=ELSEWHERE)
def test_equal_where_eps_does_not_matter(ours, theirs):
    for seed in range(3):
        assert largest_error(ours(TINY), theirs(TINY), gradients_away_from_zero(seed)) < 1e-9


@pytest.mark.parametrize("ours, theirs", ELSEWHERE.values(), ids=ELSEWHERE)
def test_different_where_eps_matters(ours, theirs):
    assert largest_error(ours(0.01), theirs(0.01), gradients_away_from_zero(0)) > 1e-3


def first_step(optimizer, g):
    w = keras.Variable(np.zeros(1), dtype="float64")
    optimizer.apply_gradients([(keras.ops.convert_to_tensor([g], dtype="float64"), w)])
    return float(w.value.numpy()[0])


@pytest.mark.parametrize("g", [1e-3, 1.0, 1e3])
def test_where_keras_puts_eps(g):
    eps, lr = 0.01, 1.0
    assert first_step(optimizers.Adam(lr, 0.9, 0.99, eps), -g) == pytest.approx(g / (g + eps / np.sqrt(1 - 0.99)))
    assert first_step(optimizers.RMSprop(lr, 0.75, 0.0, eps), -g) == pytest.approx(g / np.sqrt(0.25 * g**2 + eps))
    assert first_step(optimizers.Adagrad(lr, 0.0, eps), -g) == pytest.approx(g / np.sqrt(g**2 + eps))
    for rule, root in ((adam(lr, 0.9, 0.99, eps), g), (rmsprop(lr, 0.75, eps), g / 2), (adagrad(lr, eps), g)):
        delta, _ = rule.update(np.array([-g]), rule.init(np.zeros(1)), np.zeros(1))
        np.testing.assert_allclose(delta, g / (root + eps), rtol=1e-12)


# ---- η elsewhere

def test_keras_has_the_rate_inside_the_velocity():
    gradients, lrs = gradients_away_from_zero(0), [LR] * 10 + [LR / 8] * 10
    assert largest_error(momentum(LR, B1), optimizers.SGD(LR, momentum=B1), gradients[:10], lrs) < 1e-9
    assert largest_error(momentum(LR, B1), optimizers.SGD(LR, momentum=B1), gradients, lrs) > 0.01
    # Ours drops at once; Keras's velocity goes on at the old rate and fades by β.
    ones = np.ones((12, 2, 3))
    rule, twin = momentum(1.0, beta=0.5), optimizers.SGD(1.0, momentum=0.5)
    theirs = keras.Variable(np.zeros((2, 3)), dtype="float64")
    state = rule.init(ones[0])
    for t, g in enumerate(ones):
        lr = 1.0 if t < 11 else 0.0
        twin.learning_rate = lr
        before = theirs.value.numpy()
        twin.apply_gradients([(keras.ops.convert_to_tensor(g, dtype="float64"), theirs)])
        delta, state = rule.update(g, state, g, lr=lr)
    np.testing.assert_array_equal(delta, 0)
    np.testing.assert_allclose(theirs.value.numpy() - before, -1, rtol=1e-3)


def test_keras_starts_adagrad_at_a_tenth():
    assert first_step(optimizers.Adagrad(1.0, epsilon=0.0), -0.3) == pytest.approx(0.3 / np.sqrt(0.1 + 0.09))
    assert adagrad(1.0).update(np.full(1, -0.3), {"s": np.zeros(1), "t": 0.0}, np.zeros(1))[0] == pytest.approx(1)
