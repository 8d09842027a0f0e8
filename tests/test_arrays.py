"""The few functions that operators cannot say: the same answer from NumPy, PyTorch and TensorFlow."""

import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.update_rules import arrays

X = np.array([[-2.25, -0.0, 0.0], [0.25, 1.0, 9.0]])
FUNCTIONS = {
    "sign": (lambda x: arrays.sign(x), np.sign(X)),
    "cos": (lambda x: arrays.cos(x), np.cos(X)),
    "sqrt": (lambda x: arrays.sqrt(x * x), np.abs(X)),
    "maximum of a number": (lambda x: arrays.maximum(x, 0.5), np.maximum(X, 0.5)),
    "maximum of an array": (lambda x: arrays.maximum(x, 1 - x), np.maximum(X, 1 - X)),
    "where": (lambda x: arrays.where(x > 0, x, 3 * x), np.where(X > 0, X, 3 * X)),
    "norm": (lambda x: arrays.norm(x), np.linalg.norm(X)),
}


def tensorflow():
    return pytest.importorskip("tensorflow")


LIBRARIES = {
    "numpy": lambda x, dtype: np.array(x, dtype),
    "torch": lambda x, dtype: torch.tensor(x, dtype=getattr(torch, dtype)),
    "tensorflow": lambda x, dtype: tensorflow().constant(x, dtype),
    "tensorflow variable": lambda x, dtype: tensorflow().Variable(tensorflow().constant(x, dtype)),
}
every_library = pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)


@every_library
@pytest.mark.parametrize("name", FUNCTIONS)
def test_libraries_agree(make, name):
    function, expected = FUNCTIONS[name]
    for dtype, precision in (("float64", 1e-15), ("float32", 1e-6)):
        found = function(make(X, dtype))
        assert dtype in str(found.dtype), f"{name} turned {dtype} into {found.dtype}"
        np.testing.assert_allclose(np.asarray(found), expected, rtol=precision, atol=precision)


@every_library
def test_framework_is_recognised(make):
    x = make(X, "float64")
    assert arrays.framework(x).__name__ == type(x).__module__.partition(".")[0]
    assert arrays.is_tensor(x) is not isinstance(x, np.ndarray)


def test_plain_numbers_belong_to_numpy():
    assert [arrays.framework(x) for x in (1.0, np.float32(1), None, "x")] == [np] * 4
    assert not arrays.is_tensor(1.0)


def test_no_framework_is_loaded():
    program = (
        "import sys, numpy as np\n"
        "from course_lib.update_rules import arrays\n"
        "arrays.norm(np.ones(3)), arrays.scalar(1, np.ones(3))\n"
        "print(*{'torch', 'tensorflow', 'keras'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


# ---- the norm

HUGE = {"float16": 6e4, "bfloat16": 1e38, "float32": 1e38}
TINY = {"float16": 6e-8, "bfloat16": 1e-38, "float32": 1e-40}


def narrow(library, values, dtype):
    """Return values rounded to a narrow dtype, of NumPy or PyTorch."""
    rounded = np.asarray(values).astype(getattr(ml_dtypes, dtype, None) or dtype)
    if library == "torch":
        return torch.tensor(rounded.astype(np.float64)).to(getattr(torch, dtype))
    return rounded


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", HUGE)
@pytest.mark.parametrize("scale", [HUGE, TINY], ids=["huge", "tiny"])
def test_norm_neither_overflows_nor_underflows(library, dtype, scale):
    value = narrow(library, scale[dtype] * np.array([1.0, -1.0, 0.5]), dtype)
    exact = np.linalg.norm(np.asarray(value.double() if library == "torch" else value).astype(np.float64))
    assert float(arrays.norm(value)) == pytest.approx(exact, rel=1e-6, abs=1e-44)
    assert "float32" in str(arrays.norm(value).dtype) and arrays.norm(value).shape == ()


@given(st.lists(st.floats(-1e100, 1e100), max_size=6))
def test_norm_is_the_euclidean_one(values):
    x = np.array(values)
    assert arrays.norm(x) == pytest.approx(float(np.linalg.norm(x)), rel=1e-14, abs=1e-150)
    assert float(arrays.norm(torch.tensor(x))) == pytest.approx(float(np.linalg.norm(x)), rel=1e-14, abs=1e-150)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")   # when forward mode is first used
def test_derivative_of_the_root_is_0_at_0():
    def total(x):
        return arrays.sqrt(x).sum()

    x = torch.tensor([0.0, 4.0, 0.0], dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    total(leaf).backward()
    for derivative in (leaf.grad, torch.func.grad(total)(x), torch.func.vmap(torch.func.grad(total))(x[None])[0],
                       torch.func.grad(lambda x: torch.func.vmap(total)(x[None]).sum())(x)):
        assert derivative.tolist() == [0, 0.25, 0]
    assert torch.func.hessian(total)(x).diagonal().tolist() == [0, -1 / 32, 0]


def test_root_of_numbers_below_0_is_told_in_every_mode():
    x = torch.tensor([-1.0, torch.nan, 5e-324, torch.inf], dtype=torch.float64)
    expected = [torch.nan, torch.nan, 5e-324**0.5, torch.inf]
    for found in (arrays.sqrt(x), arrays.sqrt(x.clone().requires_grad_()).detach()):
        np.testing.assert_array_equal(found, expected)
    with torch.no_grad():
        np.testing.assert_array_equal(arrays.sqrt(x), expected)


def test_norm_of_zero_has_a_finite_gradient():
    x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    arrays.norm(x).backward()
    assert x.grad.tolist() == [0, 0, 0]


# ---- dtypes

@every_library
@pytest.mark.parametrize("dtype, wide", [("float16", "float32"), ("float32", "float32"), ("float64", "float64")])
def test_widen_is_float32_at_least_and_exact(make, dtype, wide):
    x = make(X, dtype)
    assert wide in str(arrays.widen(x).dtype)
    np.testing.assert_array_equal(np.asarray(arrays.widen(x)), np.asarray(x))


def test_widen_knows_bfloat16():
    assert arrays.widen(X.astype(ml_dtypes.bfloat16)).dtype == np.float32
    assert arrays.widen(torch.ones(2, dtype=torch.bfloat16)).dtype == torch.float32


def test_scalar_never_takes_a_narrow_dtype():
    assert type(arrays.scalar(0.999, like=X.astype(ml_dtypes.bfloat16))) is float
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        beta = arrays.scalar(0.999, like=torch.ones(3, dtype=dtype))
        assert beta.dtype == torch.float64 and beta.shape == () and beta.item() == 0.999


def test_scalar_beside_tensorflow_can_be_multiplied():
    tf = tensorflow()
    for dtype, kept in ((tf.bfloat16, tf.float32), (tf.float32, tf.float32), (tf.float64, tf.float64)):
        assert arrays.scalar(0.999, like=tf.ones(3, dtype)).dtype == kept


@every_library
def test_cast_like_takes_the_dtype_and_keeps_what_has_it(make):
    wide, narrow_ = make(X, "float64"), make(X, "float32")
    assert arrays.cast_like(narrow_, like=narrow_) is narrow_
    cast = arrays.cast_like(wide, like=narrow_)
    assert cast.dtype == narrow_.dtype
    np.testing.assert_array_equal(np.asarray(cast), X.astype(np.float32))


def test_cast_like_takes_python_numbers_and_numpy_scalars():
    assert arrays.cast_like(2.5, like=np.float32(1)).dtype == np.float32
    assert arrays.cast_like(np.float64(2.5), like=np.float16(1)) == 2.5


# ---- several arrays

@every_library
def test_a_flat_vector_goes_back_into_its_arrays(make):
    xs = [make(np.arange(n).reshape(shape) + 0.5, dtype) for n, shape, dtype in (
        (6, (2, 3), "float32"), (1, (), "float64"), (0, (0, 2), "float16"), (3, (3, 1), "float16"),
    )]
    flat = arrays.flatten(xs)
    assert "float64" in str(flat.dtype) and tuple(flat.shape) == (10,)
    np.testing.assert_array_equal(np.asarray(flat), [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 0.5, 0.5, 1.5, 2.5])
    for back, x in zip(arrays.unflatten(2 * flat, like=xs), xs, strict=True):
        assert back.dtype == x.dtype and back.shape == x.shape
        np.testing.assert_array_equal(np.asarray(back), 2 * np.asarray(x))


@every_library
def test_constant_takes_dtype_and_framework(make):
    like = make(X, "float32")
    found = arrays.constant(np.array([True, False]), like=like)
    assert found.dtype == like.dtype and arrays.framework(found) is arrays.framework(like)
    np.testing.assert_array_equal(np.asarray(found), [1, 0])


def test_where_takes_a_bool_for_all():
    assert arrays.where(True, "a", "b") == "a" and arrays.where(False, "a", "b") == "b"
