"""The same step by everyone who offers it: the rules here, torch.optim, Keras on TensorFlow, optax on JAX.

A contender makes `steps` steps when it is called, always with the same gradients, and returns when they are done.
All have the same settings, and none looks whether a gradient is finite. Gradients are ordinary numbers and the
learning rate is small, so no weight grows and nothing becomes denormal, which would slow a CPU tenfold. (The one
exception: torch's foreach form of Nesterov's step adds the velocity into the gradient itself. With a gradient that
stays, its numbers overflow; a step takes as long.)
"""

import os
from typing import NamedTuple

import numpy as np

from benchmarks.run import ROOT, pin

RATE = 1e-6
TORCH = ("loop", "foreach", "fused")   # torch's ways to make a step; on a CPU it takes the first unless told
PATHS = {"loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}


class Twins(NamedTuple):
    """One rule under the names that each library has for it, with its settings; None where it has not."""

    ours: tuple
    torch: tuple | None
    keras: tuple | None
    optax: tuple | None


EPS = {"epsilon": 1e-8}
TWINS = {
    "gradient_descent": Twins(("gradient_descent", {}), ("SGD", {}), ("SGD", {}), ("sgd", {})),
    "momentum": Twins(
        ("momentum", {"beta": 0.9}), *[(name, {"momentum": 0.9}) for name in ("SGD", "SGD", "sgd")]),
    "nesterov": Twins(
        ("momentum", {"beta": 0.9, "nesterov": True}),
        *[(name, {"momentum": 0.9, "nesterov": True}) for name in ("SGD", "SGD", "sgd")]),
    "adagrad": Twins(
        ("adagrad", {}), ("Adagrad", {}), ("Adagrad", {"initial_accumulator_value": 0.0, "epsilon": 1e-10}),
        ("adagrad", {"initial_accumulator_value": 0.0, "eps": 1e-10})),
    "rmsprop": Twins(
        ("rmsprop", {}), ("RMSprop", {}), ("RMSprop", {"rho": 0.99, **EPS}),
        ("rmsprop", {"decay": 0.99, "eps_in_sqrt": False})),
    "adadelta": Twins(
        ("adadelta", {}), ("Adadelta", {}), ("Adadelta", {"rho": 0.9, "epsilon": 1e-6}), ("adadelta", {})),
    "adam": Twins(("adam", {}), ("Adam", {}), ("Adam", EPS), ("adam", {})),
    "adamw": Twins(
        ("adamw", {}), ("AdamW", {}), ("AdamW", {"weight_decay": 0.01, **EPS}), ("adamw", {"weight_decay": 0.01})),
    "nadam": Twins(("nadam", {}), ("NAdam", {}), ("Nadam", EPS), ("nadam", {})),
    "sign_descent": Twins(("sign_descent", {}), None, None, ("sign_sgd", {})),
    "lion": Twins(("lion", {}), None, ("Lion", {}), ("lion", {"weight_decay": 0.0})),
}


def depends_on():
    """Return the files, and the pins, on which the time of an optimizer's step depends: torch's and the yardsticks'."""
    library = ROOT / "course_lib"
    files = [*(library / "update_rules").glob("*.py"), *(library / "kernels").glob("*.py")]
    files += [library / "frameworks" / f"{name}.py" for name in ("torch_optimizer", "parameter_groups", "watched_steps")]
    files += [ROOT / "benchmarks" / f"{name}.py" for name in ("contenders", "timing")]
    pins = [pin(name) for name in ("torch", "keras", "tensorflow", "jax", "optax")]
    return [file.relative_to(ROOT).as_posix() for file in files], pins


def draw(shapes, seed=0):
    """Return weights and gradients of these shapes, as lists of float32 arrays."""
    rng = np.random.default_rng(seed)
    return [[rng.standard_normal(shape, dtype=np.float32) for shape in shapes] for _ in range(2)]


def rule_of(name):
    """Make the rule."""
    from course_lib import update_rules

    function, settings = TWINS[name].ours
    return getattr(update_rules, function)(lr=RATE, **settings)


def bytes_moved(rule):
    """Return the bytes of float32 that a step must read and write, a parameter: w and the state twice, g once."""
    state = rule.init(np.zeros(2, np.float32))
    arrays = sum(np.shape(entry) == (2,) for entry in state.values())
    return 4 * (3 + 2 * arrays)


def ours(rule, weights, gradients, check_finite=False, **options):
    """The rule as an optimizer of PyTorch."""
    from course_lib import TorchOptimizer

    optimizer = TorchOptimizer(_parameters(weights, gradients), rule, check_finite=check_finite, **options)
    return _steps_of(optimizer)


def torchs(name, path, weights, gradients):
    """torch.optim, by one of its paths; None where it has not got it."""
    import torch

    if TWINS[name].torch is None:
        return None
    kind, settings = TWINS[name].torch
    try:
        optimizer = getattr(torch.optim, kind)(_parameters(weights, gradients), lr=RATE, **settings, **PATHS[path])
    except TypeError:   # RMSprop, Adadelta and NAdam have no argument `fused`
        return None
    return _steps_of(optimizer)


def kerass(name, weights, gradients):
    """The optimizer of Keras on TensorFlow as `fit` runs it: in a graph, on a CPU without XLA (jit_compile="auto")."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    if TWINS[name].keras is None:
        return None
    kind, settings = TWINS[name].keras
    optimizer = getattr(keras.optimizers, kind)(RATE, **settings)
    variables = [keras.Variable(each) for each in weights]
    constants = [tf.constant(each) for each in gradients]
    optimizer.build(variables)

    @tf.function(jit_compile=False)
    def step():
        optimizer.apply(constants, variables)

    def run(steps):
        for _ in range(steps):
            step()

    run.weights = lambda: [each.value.numpy() for each in variables]
    return run


def optaxs(name, weights, gradients):
    """The optimizer of optax, compiled by XLA; the old weights and state are given up for the new ones."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax
    import optax

    if TWINS[name].optax is None:
        return None
    function, settings = TWINS[name].optax
    optimizer = getattr(optax, function)(RATE, **settings)
    constants = [jax.numpy.array(each) for each in gradients]
    held = [jax.numpy.array(each) for each in weights]
    held = [held, optimizer.init(held)]

    def update(w, state, g):
        delta, state = optimizer.update(g, state, w)
        return optax.apply_updates(w, delta), state

    step = jax.jit(update, donate_argnums=(0, 1))

    def run(steps):
        for _ in range(steps):
            held[:] = step(*held, constants)
        jax.block_until_ready(held)

    run.weights = lambda: [np.array(each) for each in held[0]]
    return run


def copy(size):
    """Copy a float32 buffer of this size into another: the yardstick of the memory."""
    import torch

    source, target = torch.ones(size), torch.zeros(size)

    def run(steps):
        for _ in range(steps):
            target.copy_(source)

    return run


def _parameters(weights, gradients):
    import torch

    parameters = [torch.nn.Parameter(torch.tensor(each)) for each in weights]
    for parameter, gradient in zip(parameters, gradients):
        parameter.grad = torch.tensor(gradient)
    return parameters


def _steps_of(optimizer):
    def run(steps):
        for _ in range(steps):
            optimizer.step()

    parameters = optimizer.param_groups[0]["params"]
    run.weights = lambda: [each.detach().numpy().copy() for each in parameters]
    return run
