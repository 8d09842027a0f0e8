"""Each rule against its twin in torch.optim: fifty random steps in float64, with hard gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_runs import random

from course_lib.update_rules import (
    adadelta, adagrad, adam, adamw, add_decayed_weights, chain, gradient_descent, momentum, nadam, rmsprop,
)

STEPS = 50
rates = st.just(0.0) | st.floats(1e-6, 10)
# torch computes 1 − (1 − β) where m is all but forgotten: far below 1e-3 that has no digits left.
betas = st.just(0.0) | st.floats(1e-3, 0.999)
decays = st.floats(0, 1)
few = settings(max_examples=50)


@st.composite
def problems(draw):
    """Draw where to start, gradients with zeros, huge and tiny entries, and an ε that is 0 only if no gradient is."""
    shape, seed = draw(st.lists(st.integers(0, 3), max_size=3)), draw(st.integers(0, 9999))
    exponents = draw(st.sampled_from([(0,), (0, -3), (100,), (-100,), (0, 100), (-100, 0, 100)]))
    zeros = draw(st.sampled_from([0, 0.2, 0.95]))
    rng = np.random.default_rng(seed)
    gradients = rng.standard_normal((STEPS, *shape)) * 10.0 ** rng.choice(exponents, (STEPS, *shape))
    gradients *= rng.random((STEPS, *shape)) >= zeros
    start = draw(st.sampled_from([0.0, 1.0])) * rng.standard_normal(shape)
    return start, gradients, draw(st.floats(1e-12, 1) if zeros else st.just(0.0) | st.floats(1e-12, 1))


def check_twin(rule, twin, start, gradients, ours=None):
    """Assert that both take the same way: to 1e-9 of its length, by which rounding grows."""
    ours = gradients if ours is None else ours
    w, state, length = start, rule.init(start), np.abs(start)
    theirs = torch.nn.Parameter(torch.tensor(start))
    optimizer = twin([theirs])
    for t in range(len(gradients)):
        delta, state = rule.update(ours[t], state, w)
        w, length = w + delta, length + np.abs(delta)
        theirs.grad = torch.tensor(gradients[t])
        optimizer.step()
        error = np.abs(w - theirs.detach().numpy())
        assert np.isfinite(w).all() and (error <= 1e-9 * length).all(), f"step {t + 1}: off by {np.max(error)}"


@pytest.fixture(scope="module", autouse=True)
def wide_scalars():
    """Let torch keep its own scalars, such as NAdam's product of μ, in float64 too."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@few
@given(problems(), rates)
def test_gradient_descent(problem, lr):
    start, gradients, _ = problem
    check_twin(gradient_descent(lr), lambda p: torch.optim.SGD(p, lr), start, gradients)


@few
@given(problems(), rates, betas.filter(bool), st.booleans())
def test_momentum(problem, lr, beta, nesterov):
    start, gradients, _ = problem
    rule = momentum(lr, beta, nesterov=nesterov)
    check_twin(rule, lambda p: torch.optim.SGD(p, lr, momentum=beta, nesterov=nesterov), start, gradients)


@few
@given(problems(), st.floats(1e-3, 10), betas.filter(bool), st.floats(0, 0.999))
def test_momentum_dampened_but_for_torchs_first_step(problem, lr, beta, dampening):
    start, gradients, _ = problem
    longer = gradients.copy()
    longer[0] /= 1 - dampening
    twin = lambda p: torch.optim.SGD(p, lr, momentum=beta, dampening=dampening)   # noqa: E731
    check_twin(momentum(lr, beta, dampening), twin, start, gradients, ours=longer)


def test_torch_does_not_dampen_the_first_step():
    w, g = np.zeros(3), np.array([1.0, -2.0, 3.0])
    theirs = torch.nn.Parameter(torch.tensor(w))
    theirs.grad = torch.tensor(g)
    torch.optim.SGD([theirs], 1.0, momentum=0.9, dampening=0.75).step()
    rule = momentum(1.0, 0.9, dampening=0.75)
    np.testing.assert_array_equal(theirs.detach().numpy(), -g)
    np.testing.assert_array_equal(rule.update(g, rule.init(w), w)[0], -g / 4)


@few
@given(problems(), rates)
def test_adagrad(problem, lr):
    start, gradients, eps = problem
    check_twin(adagrad(lr, eps), lambda p: torch.optim.Adagrad(p, lr, eps=eps), start, gradients)


@few
@given(problems(), rates, betas, st.just(0.0) | betas)
def test_rmsprop(problem, lr, rho, friction):
    start, gradients, eps = problem
    twin = lambda p: torch.optim.RMSprop(p, lr, alpha=rho, eps=eps, momentum=friction)   # noqa: E731
    check_twin(rmsprop(lr, rho, eps, friction), twin, start, gradients)


@few
@given(st.integers(0, 9999), st.sampled_from([1e-100, 1.0, 1e100]), rates, st.floats(0.5, 0.999), st.just(0.0) | betas)
def test_rmsprop_centred(seed, scale, lr, rho, friction):
    # v − a² cancels where gradients hardly change, or one of them outweighs all others; torch then takes the root of
    # a negative number, and both answers are rounding errors. So: signs that vary, sizes that are alike, a long memory.
    rng = np.random.default_rng(seed)
    gradients = scale * rng.choice([-1, 1], (STEPS, 4)) * rng.uniform(0.5, 2, (STEPS, 4))
    gradients[:, 0] = 0
    eps = 1e-8 * scale
    twin = lambda p: torch.optim.RMSprop(p, lr, rho, eps, momentum=friction, centered=True)   # noqa: E731
    check_twin(rmsprop(lr, rho, eps, friction, centered=True), twin, random(4, seed), gradients)


@few
@given(problems(), rates, betas, st.floats(1e-12, 1))
def test_adadelta(problem, lr, rho, eps):
    start, gradients, _ = problem
    check_twin(adadelta(lr, rho, eps), lambda p: torch.optim.Adadelta(p, lr, rho, eps), start, gradients)


@few
@given(problems(), rates, betas, betas, st.booleans())
def test_adam(problem, lr, beta1, beta2, amsgrad):
    start, gradients, eps = problem
    twin = lambda p: torch.optim.Adam(p, lr, (beta1, beta2), eps, amsgrad=amsgrad)   # noqa: E731
    check_twin(adam(lr, beta1, beta2, eps, amsgrad), twin, start, gradients)


@few
@given(problems(), rates, betas, betas, decays, st.booleans())
def test_adamw(problem, lr, beta1, beta2, decay, amsgrad):
    start, gradients, eps = problem
    twin = lambda p: torch.optim.AdamW(p, lr, (beta1, beta2), eps, decay, amsgrad=amsgrad)   # noqa: E731
    check_twin(adamw(lr, beta1, beta2, eps, decay, amsgrad), twin, start, gradients)


@few
@given(problems(), rates, betas, betas, st.floats(0, 2))
def test_nadam(problem, lr, beta1, beta2, fade):
    start, gradients, eps = problem
    twin = lambda p: torch.optim.NAdam(p, lr, (beta1, beta2), eps, momentum_decay=fade)   # noqa: E731
    check_twin(nadam(lr, beta1, beta2, eps, fade), twin, start, gradients)


@pytest.mark.parametrize("rule, twin", [
    (momentum(0.1), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.3)),
    (adagrad(0.1), lambda p: torch.optim.Adagrad(p, 0.1, weight_decay=0.3)),
    (rmsprop(0.1), lambda p: torch.optim.RMSprop(p, 0.1, weight_decay=0.3)),
    (adadelta(), lambda p: torch.optim.Adadelta(p, 1.0, weight_decay=0.3)),
    (adam(0.1), lambda p: torch.optim.Adam(p, 0.1, weight_decay=0.3)),
    (nadam(0.1), lambda p: torch.optim.NAdam(p, 0.1, weight_decay=0.3)),
], ids=lambda value: getattr(value, "name", None))
def test_torchs_weight_decay_is_in_the_gradient(rule, twin):
    check_twin(chain(add_decayed_weights(0.3), rule), twin, random((3, 2)), random((STEPS, 3, 2), 1))


def test_defaults_are_torchs():
    for rule, twin in (
        (adagrad(), torch.optim.Adagrad), (rmsprop(), torch.optim.RMSprop), (adadelta(), torch.optim.Adadelta),
        (adam(), torch.optim.Adam), (adamw(), torch.optim.AdamW), (nadam(), torch.optim.NAdam),
    ):
        check_twin(rule, twin, random((3, 2)), random((STEPS, 3, 2), 1))
