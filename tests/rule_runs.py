"""Arrays of every framework, and runs of a rule: what the tests of update rules share."""

import re

import ml_dtypes
import numpy as np
import pytest
import torch

DTYPES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16, "float32": np.float32, "float64": np.float64}
# Half the distance from 1 to the next number: the relative error of one rounding.
ROUNDING = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24}


def random(shape, seed=0):
    """Return normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


def array(library, values, dtype="float64"):
    """Return the values, rounded to a dtype, as an array of numpy, torch or tensorflow."""
    if library == "numpy":
        return np.asarray(values).astype(DTYPES[dtype])
    if library == "torch":
        return torch.tensor(np.asarray(values)).to(getattr(torch, dtype))
    return pytest.importorskip("tensorflow").constant(np.asarray(values).astype(DTYPES[dtype]))


def numbers(x):
    """Return the values of an array of any framework, as float64."""
    if isinstance(x, torch.Tensor):
        x = x.detach().double()
    return np.asarray(x.numpy() if hasattr(x, "numpy") else x).astype(np.float64)


def run(rule, w, gradients, **options):
    """Return the parameters and the state after one update for each gradient."""
    state = rule.init(w)
    for g in gradients:
        delta, state = rule.update(g, state, w, **options)
        w = w + delta
    return w, state


def steps(rule, w, gradients, **options):
    """Return the step of each update, as float64, while w stays where it is."""
    state, deltas = rule.init(w), []
    for g in gradients:
        delta, state = rule.update(g, state, w, **options)
        deltas.append(numbers(delta))
    return np.array(deltas)


def label(value):
    """Name a parameter of a test by its repr, without the address that differs from one process to the next."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
