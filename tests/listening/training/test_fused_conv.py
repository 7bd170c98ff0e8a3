"""The fused kernels against PyTorch's own operations in float64.

Most inputs are small integers: float32 then holds every sum exactly, so results must be equal to
the last bit, even where a convolution output is exactly zero, at the kink of ReLU.
"""

from __future__ import annotations

import numba
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from mechanical_ears.listening.training.fused_conv import convolve_relu_pool, pooled_length


def reference(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.avg_pool1d(functional.relu(functional.conv1d(x, weight, bias)), 4)


def integers(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randint(-3, 4, shape, generator=generator).float()


def both(x: Tensor, weight: Tensor, bias: Tensor, dy: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Output and gradients of the fused kernel, and of PyTorch in float64."""
    results = []
    for operation, dtype in ((convolve_relu_pool, torch.float32), (reference, torch.float64)):
        leaves = [t.detach().to(dtype).requires_grad_() for t in (x, weight, bias)]
        y = operation(*leaves)
        y.backward(dy.to(dtype))
        results.append([y.detach(), *(leaf.grad for leaf in leaves)])
    return results[0], results[1]


# 1024 pooled outputs fill four tiles; lengths about that meet every case at the tiles' edges.
@given(
    batch=st.integers(1, 3),
    inputs=st.integers(1, 5),
    outputs=st.integers(1, 5),
    samples=st.integers(12, 60) | st.integers(1018, 1050) | st.integers(4090, 4110),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_equals_separate_operations_exactly(batch, inputs, outputs, samples, seed):
    generator = torch.Generator().manual_seed(seed)
    x = integers(batch, inputs, samples, generator=generator)
    weight = integers(outputs, inputs, 9, generator=generator)
    bias = integers(outputs, generator=generator)
    dy = integers(batch, outputs, (samples - 8) // 4, generator=generator)
    fused_all, exact = both(x, weight, bias, dy)
    for name, fused, expected in zip(("y", "dx", "dw", "db"), fused_all, exact, strict=True):
        assert torch.equal(fused.double(), expected), name


@pytest.mark.parametrize(
    ("inputs", "outputs", "samples"),
    [(1, 4, 64_000), (4, 8, 15_998), (8, 12, 3_997), (12, 16, 997)],
)
def test_the_articles_layers(inputs, outputs, samples):
    generator = torch.Generator().manual_seed(samples)
    x = torch.randn(2, inputs, samples, generator=generator)
    weight = torch.randn(outputs, inputs, 9, generator=generator)
    bias = torch.randn(outputs, generator=generator)
    # Within rounding of the kink, float32 and float64 may disagree on the gradient: leave it out.
    exact = functional.conv1d(x.double(), weight.double(), bias.double()).unfold(2, 4, 4)
    dy = torch.randn(exact.shape[:3], generator=generator) * (exact.abs().amin(3) > 1e-4)
    for fused, expected in zip(*both(x, weight, bias, dy), strict=True):
        assert (fused - expected).abs().max() < 2e-6 * expected.abs().max()


def test_same_bits_in_every_run_and_with_any_number_of_threads():
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(5, 3, 2_000, generator=generator)
    weight = torch.randn(2, 3, 9, generator=generator)
    bias = torch.randn(2, generator=generator)
    dy = torch.randn(5, 2, 498, generator=generator)
    threads = torch.get_num_threads()
    runs = []
    try:
        for count in (threads, threads, 1):
            torch.set_num_threads(count)
            runs.append(both(x, weight, bias, dy)[0])
    finally:
        torch.set_num_threads(threads)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_numba_keeps_its_number_of_threads():
    before = numba.get_num_threads()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        x, weight = torch.zeros(1, 1, 100, requires_grad=True), torch.zeros(1, 1, 9)
        convolve_relu_pool(x, weight, torch.zeros(1)).sum().backward()
    finally:
        torch.set_num_threads(threads)
    assert numba.get_num_threads() == before


def test_accepts_views_that_are_not_contiguous():
    generator = torch.Generator().manual_seed(6)
    x = integers(100, 2, 2, generator=generator).permute(2, 1, 0)
    weight = integers(9, 3, 2, generator=generator).permute(1, 2, 0)
    bias = integers(6, generator=generator)[::2]
    dy = integers(2, 23, 3, generator=generator).transpose(1, 2)
    fused_all, exact = both(x, weight, bias, dy)
    assert all(torch.equal(a.double(), b) for a, b in zip(fused_all, exact, strict=True))


def test_leaves_out_the_gradient_of_an_input_that_needs_none():
    weight = torch.ones(1, 1, 9, requires_grad=True)
    convolve_relu_pool(torch.ones(1, 1, 12), weight, torch.zeros(1)).sum().backward()
    assert torch.equal(weight.grad, torch.ones(1, 1, 9))


def test_not_a_number_stays_visible():
    x = torch.zeros(1, 1, 40)
    x[0, 0, 20] = torch.nan
    y = convolve_relu_pool(x, torch.ones(1, 1, 9), torch.zeros(1))
    # Convolution outputs 12 to 20 see sample 20: pools 3 to 5 of 8.
    assert y[0, 0].isnan().tolist() == [False] * 3 + [True] * 3 + [False] * 2


def test_pooled_lengths_of_the_article():
    lengths = [64_000]
    for _ in range(4):
        lengths.append(pooled_length(lengths[-1]))
    assert lengths == [64_000, 15_998, 3_997, 997, 247]


@pytest.mark.parametrize(
    ("x", "weight", "bias", "message"),
    [
        (torch.zeros(1, 1, 11), torch.zeros(1, 1, 9), torch.zeros(1), "11 samples, need 12"),
        (torch.zeros(1, 2, 20), torch.zeros(1, 1, 9), torch.zeros(1), r"need \(batch, 1, samples"),
        (torch.zeros(20), torch.zeros(1, 1, 9), torch.zeros(1), r"x is \(20,\)"),
        (torch.zeros(1, 1, 20), torch.zeros(1, 1, 8), torch.zeros(1), r"need \(out, in, 9\)"),
        (torch.zeros(1, 1, 20), torch.zeros(3, 1, 9), torch.zeros(1), r"bias .* need \(3,\)"),
        (torch.zeros(1, 1, 20).double(), torch.zeros(1, 1, 9), torch.zeros(1), "float64 on cpu"),
    ],
)
def test_says_what_shape_it_needs(x, weight, bias, message):
    with pytest.raises(ValueError, match=message):
        convolve_relu_pool(x, weight, bias)
