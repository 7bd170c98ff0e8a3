"""Convolution, ReLU and average pooling in one pass over memory, forwards and backwards, on a CPU.

The article's four small convolutions hardly compute: libraries spend their time writing each
intermediate result to memory and reading it back. Here one compiled kernel computes a layer,

    y[o, p] = 1/4 · Σ_{j<4} max(0, a[o, 4p + j])
    a[o, t] = b[o] + Σ_i Σ_{k<9} w[o, i, k] · x[i, t + k]

on tiles that stay in the cache. The tiles are *polyphase* (Bellanger, Bonnerot and Coudreuse,
"Digital filtering by polyphase network", 1976): sample 4p + q of the input is element p of
phase q. Then the four convolution outputs of one pool need the twelve samples x[4p … 4p + 11],
which are twelve contiguous vectors over p: 12 loads serve 36 multiply-adds, nine weights and four
sums fit the 16 registers of AVX2, and pooling adds four vectors. Backwards, with
g[o, 4p + j] = dy[o, p] / 4 where a[o, 4p + j] > 0 (one bit of a mask kept by the forward pass),

    db[o] = Σ_t g[o, t]      dw[o, i, k] = Σ_t g[o, t] · x[i, t + k]
    dx[i, t] = Σ_o Σ_k w[o, i, k] · g[o, t − k]

have the same form. Weight gradients are summed note by note and then over the notes in their
order, so the gradient of a batch does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

KERNEL = 9  # taps of the convolution
POOL = 4  # convolution outputs averaged into one

_TILE = 256  # pooled outputs per tile; the article's lengths waste less than 3 % of the last tile
_REACH = (KERNEL - 1) // POOL  # groups of four samples that a convolution reaches beyond its own
_PHASE = _TILE + 8  # floats per phase of a tile: the tile, its reach, a whole number of vectors
_ROW = POOL * _PHASE  # floats per channel of a tile

Floats = NDArray[np.float32]
Mask = NDArray[np.uint8]

_FAST = {"contract", "reassoc", "nsz"}  # fused multiply-adds, sums in any order; NaN stays NaN
_Kernel = TypeVar("_Kernel", bound=Callable[..., np.float32 | None])


def _compiled(kernel: _Kernel) -> _Kernel:
    """Compile a kernel on its first call; machine code is cached beside the source."""
    return cast(_Kernel, numba.njit(cache=True, fastmath=_FAST, error_model="numpy")(kernel))


def _parallel(kernel: _Kernel) -> _Kernel:
    """As `_compiled`; ``numba.prange`` loops run on all threads."""
    compiler = numba.njit(cache=True, fastmath=_FAST, error_model="numpy", parallel=True)
    return cast(_Kernel, compiler(kernel))


def pooled_length(samples: int) -> int:
    """Number of pooled outputs for ``samples`` inputs; an incomplete pool is dropped."""
    return (samples - KERNEL + 1) // POOL


@_compiled
def _split(x: Floats, first: int, phases: Floats) -> None:
    """Copy sample 4(first + p) + q of ``x`` to element p of phase q; zeros beyond the end."""
    start = POOL * first
    whole = max(0, min(_TILE + _REACH, (x.size - start) // POOL))
    for p in range(whole):
        for q in range(POOL):
            phases[q * _PHASE + p] = x[start + POOL * p + q]
    for p in range(whole, _TILE + _REACH):
        for q in range(POOL):
            t = start + POOL * p + q
            phases[q * _PHASE + p] = x[t] if t < x.size else np.float32(0)


@_compiled
def _correlate(x: Floats, w: Floats, sums: Floats) -> None:
    """Add to ``sums`` (4 phases) the input phases ``x`` correlated with the nine taps ``w``.

    Each input is used up before the next is loaded; sum after sum, the registers overflow and it
    takes 1.7 times as long.
    """
    w0, w1, w2, w3, w4, w5, w6, w7, w8 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8]
    for p in range(_TILE):
        s0, s1 = sums[p], sums[p + _PHASE]
        s2, s3 = sums[p + 2 * _PHASE], sums[p + 3 * _PHASE]
        s0 += w0 * x[p]
        v = x[p + _PHASE]
        s0, s1 = s0 + w1 * v, s1 + w0 * v
        v = x[p + 2 * _PHASE]
        s0, s1, s2 = s0 + w2 * v, s1 + w1 * v, s2 + w0 * v
        v = x[p + 3 * _PHASE]
        s0, s1, s2, s3 = s0 + w3 * v, s1 + w2 * v, s2 + w1 * v, s3 + w0 * v
        v = x[p + 1]
        s0, s1, s2, s3 = s0 + w4 * v, s1 + w3 * v, s2 + w2 * v, s3 + w1 * v
        v = x[p + 1 + _PHASE]
        s0, s1, s2, s3 = s0 + w5 * v, s1 + w4 * v, s2 + w3 * v, s3 + w2 * v
        v = x[p + 1 + 2 * _PHASE]
        s0, s1, s2, s3 = s0 + w6 * v, s1 + w5 * v, s2 + w4 * v, s3 + w3 * v
        v = x[p + 1 + 3 * _PHASE]
        s0, s1, s2, s3 = s0 + w7 * v, s1 + w6 * v, s2 + w5 * v, s3 + w4 * v
        v = x[p + 2]
        s0, s1, s2, s3 = s0 + w8 * v, s1 + w7 * v, s2 + w6 * v, s3 + w5 * v
        v = x[p + 2 + _PHASE]
        s1, s2, s3 = s1 + w8 * v, s2 + w7 * v, s3 + w6 * v
        v = x[p + 2 + 2 * _PHASE]
        s2, s3 = s2 + w8 * v, s3 + w7 * v
        s3 += w8 * x[p + 2 + 3 * _PHASE]
        sums[p], sums[p + _PHASE] = s0, s1
        sums[p + 2 * _PHASE], sums[p + 3 * _PHASE] = s2, s3


@_compiled
def _pool(sums: Floats, y: Floats, mask: Mask) -> None:
    """ReLU and mean of the four phases, with one bit of ``mask`` per positive phase."""
    zero = np.float32(0)
    for p in range(y.size):
        a0, a1 = sums[p], sums[p + _PHASE]
        a2, a3 = sums[p + 2 * _PHASE], sums[p + 3 * _PHASE]
        # Written so that NaN stays NaN: a network that has diverged must not look healthy.
        r0, r1 = zero if a0 < zero else a0, zero if a1 < zero else a1
        r2, r3 = zero if a2 < zero else a2, zero if a3 < zero else a3
        y[p] = np.float32(1 / POOL) * ((r0 + r1) + (r2 + r3))
        mask[p] = (a0 > zero) | ((a1 > zero) << 1) | ((a2 > zero) << 2) | ((a3 > zero) << 3)


@_compiled
def _forward_note(x: Floats, w: Floats, b: Floats, y: Floats, mask: Mask) -> None:
    """One note: x (in, samples), w (out, in, 9), b (out,) → y, mask (out, pooled)."""
    phases = np.empty((x.shape[0], _ROW), np.float32)
    sums = np.empty(_ROW, np.float32)
    for first in range(0, y.shape[1], _TILE):
        last = min(first + _TILE, y.shape[1])
        for i in range(x.shape[0]):
            _split(x[i], first, phases[i])
        for o in range(y.shape[0]):
            sums[:] = b[o]
            for i in range(x.shape[0]):
                _correlate(phases[i], w[o, i], sums)
            _pool(sums, y[o, first:last], mask[o, first:last])


@_compiled
def _copy(source: Floats | Mask, target: Floats | Mask) -> None:
    """Copy without the check for overlap that a slice assignment makes."""
    for p in range(source.size):
        target[p] = source[p]


@_compiled
def _spread(dy: Floats, mask: Mask, first: int, phases: Floats, d: Floats, bits: Mask) -> None:
    """Gradient before pooling and ReLU, from pooled output first − 2 on; zeros outside.

    ``d`` and ``bits`` are buffers for a tile and its reach, zero-padded.
    """
    zero = np.float32(0)
    begin, end = max(first - _REACH, 0), min(first + _TILE, dy.size)
    edge = begin - (first - _REACH)
    d[:edge] = zero
    d[edge + end - begin :] = zero
    _copy(dy[begin:end], d[edge : edge + end - begin])
    _copy(mask[begin:end], bits[edge : edge + end - begin])
    for p in range(_TILE + _REACH):
        g = np.float32(1 / POOL) * d[p]
        phases[p] = g if bits[p] & 1 else zero
        phases[p + _PHASE] = g if bits[p] & 2 else zero
        phases[p + 2 * _PHASE] = g if bits[p] & 4 else zero
        phases[p + 3 * _PHASE] = g if bits[p] & 8 else zero


@_compiled
def _total(phases: Floats) -> np.float32:
    """Sum of the gradients of a tile, without the two groups of the tile before."""
    total = np.float32(0)
    for p in range(_REACH, _REACH + _TILE):
        total += (phases[p] + phases[p + _PHASE]) + (
            phases[p + 2 * _PHASE] + phases[p + 3 * _PHASE]
        )
    return total


@_compiled
def _accumulate(g: Floats, x: Floats, dw: Floats) -> None:
    """Add to the nine ``dw`` the products of gradient phases (from −2 on) and input phases."""
    zero = np.float32(0)
    d0, d1, d2, d3, d4, d5, d6, d7, d8 = zero, zero, zero, zero, zero, zero, zero, zero, zero
    for p in range(_TILE):
        g0, g1 = g[p + _REACH], g[p + _REACH + _PHASE]
        g2, g3 = g[p + _REACH + 2 * _PHASE], g[p + _REACH + 3 * _PHASE]
        x0, x1, x2, x3 = x[p], x[p + _PHASE], x[p + 2 * _PHASE], x[p + 3 * _PHASE]
        x4, x5, x6 = x[p + 1], x[p + 1 + _PHASE], x[p + 1 + 2 * _PHASE]
        x7, x8, x9 = x[p + 1 + 3 * _PHASE], x[p + 2], x[p + 2 + _PHASE]
        x10, x11 = x[p + 2 + 2 * _PHASE], x[p + 2 + 3 * _PHASE]
        d0 += g0 * x0 + g1 * x1 + g2 * x2 + g3 * x3
        d1 += g0 * x1 + g1 * x2 + g2 * x3 + g3 * x4
        d2 += g0 * x2 + g1 * x3 + g2 * x4 + g3 * x5
        d3 += g0 * x3 + g1 * x4 + g2 * x5 + g3 * x6
        d4 += g0 * x4 + g1 * x5 + g2 * x6 + g3 * x7
        d5 += g0 * x5 + g1 * x6 + g2 * x7 + g3 * x8
        d6 += g0 * x6 + g1 * x7 + g2 * x8 + g3 * x9
        d7 += g0 * x7 + g1 * x8 + g2 * x9 + g3 * x10
        d8 += g0 * x8 + g1 * x9 + g2 * x10 + g3 * x11
    for k, total in enumerate((d0, d1, d2, d3, d4, d5, d6, d7, d8)):
        dw[k] += total


@_compiled
def _join(phases: Floats, first: int, dx: Floats) -> None:
    """The inverse of `_split`: copy the four phases of a tile to ``dx``, up to its end."""
    start = POOL * first
    whole = min(_TILE, (dx.size - start) // POOL)
    for p in range(whole):
        for q in range(POOL):
            dx[start + POOL * p + q] = phases[q * _PHASE + p]
    for t in range(start + POOL * whole, min(start + POOL * _TILE, dx.size)):
        dx[t] = phases[(t - start) % POOL * _PHASE + (t - start) // POOL]


@_compiled
def _backward_note(
    x: Floats, flipped: Floats, mask: Mask, dy: Floats, dw: Floats, db: Floats, dx: Floats
) -> None:
    """One note: fills dw, db and (unless it has no channels) dx.

    ``flipped`` are the weights with their taps in reverse order: as the gradient's phases begin
    eight samples before those of dx, correlating them is the convolution that dx needs.
    """
    x_phases = np.empty((x.shape[0], _ROW), np.float32)
    g_phases = np.empty((dy.shape[0], _ROW), np.float32)
    d = np.empty(_TILE + _REACH, np.float32)
    bits = np.empty(_TILE + _REACH, np.uint8)
    sums = np.empty(_ROW, np.float32)
    dw[:] = 0
    db[:] = 0
    for first in range(0, dy.shape[1] + _REACH, _TILE):
        for o in range(dy.shape[0]):
            _spread(dy[o], mask[o], first, g_phases[o], d, bits)
            db[o] += _total(g_phases[o])
        for i in range(x.shape[0]):
            _split(x[i], first, x_phases[i])
            for o in range(dy.shape[0]):
                _accumulate(g_phases[o], x_phases[i], dw[o, i])
        for i in range(dx.shape[0]):
            sums[:] = 0
            for o in range(dy.shape[0]):
                _correlate(g_phases[o], flipped[o, i], sums)
            _join(sums, first, dx[i])
    for i in range(dx.shape[0]):
        dx[i, POOL * (dy.shape[1] + _REACH) :] = 0


@_parallel
def _forward(x: Floats, w: Floats, b: Floats, y: Floats, mask: Mask) -> None:
    for n in numba.prange(x.shape[0]):
        _forward_note(x[n], w, b, y[n], mask[n])


@_parallel
def _backward(
    x: Floats, flipped: Floats, mask: Mask, dy: Floats, dw: Floats, db: Floats, dx: Floats
) -> None:
    for n in numba.prange(x.shape[0]):
        _backward_note(x[n], flipped, mask[n], dy[n], dw[n], db[n], dx[n])


class _ConvolveReluPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x, weight, bias = x.contiguous(), weight.contiguous(), bias.contiguous()
        shape = (x.shape[0], weight.shape[0], pooled_length(x.shape[2]))
        y = torch.empty(shape)
        mask = torch.empty(shape, dtype=torch.uint8)
        with _threads_of_torch():
            _forward(*(tensor.detach().numpy() for tensor in (x, weight, bias, y, mask)))
        ctx.save_for_backward(x, weight, mask)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight, mask = ctx.saved_tensors
        needs_dx = ctx.needs_input_grad[0]
        dw = torch.empty((x.shape[0], *weight.shape))
        db = torch.empty(x.shape[0], weight.shape[0])
        dx = torch.empty(x.shape if needs_dx else (x.shape[0], 0, x.shape[2]))
        arrays = (x, weight.flip(2), mask, dy.contiguous(), dw, db, dx)
        with _threads_of_torch():
            _backward(*(tensor.detach().numpy() for tensor in arrays))
        return dx if needs_dx else None, dw.sum(0), db.sum(0)


@contextmanager
def _threads_of_torch() -> Iterator[None]:
    """Give Numba as many threads as torch may use, so that ``torch.set_num_threads`` holds here."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(torch.get_num_threads(), int(numba.config.NUMBA_NUM_THREADS)))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def convolve_relu_pool(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``avg_pool1d(relu(conv1d(x, weight, bias)), 4)`` for kernels of nine taps, fused.

    Differentiable once, in all three arguments. The result is the same from run to run.

    Args:
        x: float32 on the CPU, (batch, in channels, samples).
        weight: float32, (out channels, in channels, 9).
        bias: float32, (out channels,).

    Returns:
        float32 (batch, out channels, ⌊(samples − 8) / 4⌋).

    Raises:
        ValueError: other shapes, types or devices, or fewer than 12 samples.
    """
    for name, tensor in (("x", x), ("weight", weight), ("bias", bias)):
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise ValueError(
                f"{name} is {tensor.dtype} on {tensor.device}, need torch.float32 on cpu"
            )
    if weight.ndim != 3 or weight.shape[2] != KERNEL:
        raise ValueError(f"weight is {tuple(weight.shape)}, need (out, in, {KERNEL})")
    if x.ndim != 3 or x.shape[1] != weight.shape[1]:
        raise ValueError(f"x is {tuple(x.shape)}, need (batch, {weight.shape[1]}, samples)")
    if bias.shape != weight.shape[:1]:
        raise ValueError(f"bias is {tuple(bias.shape)}, need ({weight.shape[0]},)")
    if pooled_length(x.shape[2]) < 1:
        raise ValueError(f"x has {x.shape[2]} samples, need {KERNEL - 1 + POOL} or more")
    return cast(Tensor, _ConvolveReluPool.apply(x, weight, bias))  # type: ignore[no-untyped-call]
