"""Whether gradients are finite: by their sums, and one by one where a sum has overflowed."""

import pytest
import torch

from course_lib.kernels.finiteness import finite

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", [0, 7, 5000, -1])
def test_one_wrong_number_anywhere_is_found_and_the_array_named(dtype, wrong, where):
    gs = [torch.ones(9001, dtype=dtype) for _ in range(3)]
    gs[1][where] = wrong
    assert finite(gs) == [True, False, True]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_that_overflows_is_no_wrong_number(dtype):
    largest = torch.full((100,), torch.finfo(dtype).max, dtype=dtype)
    assert finite([largest, -largest, largest.view(10, 10).T]) == [True] * 3
    largest[50] = float("nan")
    assert finite([largest]) == [False]


def test_infinities_that_cancel_are_found():
    assert finite([torch.tensor([float("inf"), -float("inf")])]) == [False]


def test_of_every_shape_and_with_a_graph():
    with_graph = torch.ones(3, requires_grad=True) * 2
    assert finite([torch.ones(()), torch.ones(0), torch.ones(2, 3, 4)[:, ::2], with_graph]) == [True] * 4


@pytest.mark.gpu
def test_on_a_gpu_beside_a_cpu():
    gs = [torch.ones(9, device="cuda"), torch.ones(9), torch.full((9,), float("inf"), device="cuda")]
    assert finite(gs) == [True, True, False]
