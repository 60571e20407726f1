"""The linear recurrence h_t = a_t h_{t-1} + b_t over a whole sequence, with an analytic gradient."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rnnkit.model import is_batched_gradient, transforms_are_active

# With more lanes than this, two passes over the memory cost more than the calls that chunks save.
_MANY_LANES = 1024
_FEW_STEPS = 64


def scan(a: Tensor, b: Tensor, h0: Tensor | None = None, *, reverse: bool = False) -> Tensor:
    """Compute h_t = a_t h_{t-1} + b_t for all steps.

    Computed without logarithms, with which the gradients of long sequences lose all digits in float32. Differentiable
    any number of times, also by `torch.func`. `torch.compile` sees one operator.

    ```python
    scan(torch.tensor([0.5, 0.5, 0.5]), torch.ones(3))  # tensor([1.0000, 1.5000, 1.7500])
    ```

    Args:
        a: the factors, `(time, ...)`; may also broadcast to the shape of `b`, as `(features,)` does for a factor that
            does not depend on time.
        b: the terms, `(time, ...)`, real or complex.
        h0: the state before the first step, `(...)`; None: zeros.
        reverse: True to compute h_t = a_t h_{t+1} + b_t from the last step to the first; `h0` then comes after the
            last step.

    Returns:
        The states of all steps, `(time, ...)`.

    Raises:
        ValueError: `b` has no time axis, or a shape does not fit that of `b`.
    """
    if b.dim() == 0:
        raise ValueError("b must have a time axis, (time, ...), but is a scalar")
    dtype = torch.promote_types(a.dtype, b.dtype)
    if h0 is not None:
        dtype = torch.promote_types(dtype, h0.dtype)
    a, b = _expand("a", a, b.shape).to(dtype), b.to(dtype)
    h0 = b.new_zeros(b.shape[1:]) if h0 is None else _expand("h0", h0, b.shape[1:]).to(dtype)
    if len(b) == 0:
        return b
    if transforms_are_active():
        return _scan_in_transform(a, b, h0, reverse)
    # a custom operator loads torch's compiler when it is first called
    run = _operator if torch.compiler.is_compiling() else _Scan.apply
    h: Tensor = run(a, b, h0, reverse)
    return h


def _expand(name: str, tensor: Tensor, shape: torch.Size) -> Tensor:
    try:
        return tensor.expand(shape)
    except RuntimeError:
        raise ValueError(
            f"{name} must broadcast to the shape {tuple(shape)}, but has the shape {tuple(tensor.shape)}"
        ) from None


def _compute(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> Tensor:
    h = torch.empty_like(b, memory_format=torch.contiguous_format)
    in_chunks = len(b) >= _FEW_STEPS and h0.numel() <= _MANY_LANES
    if not (in_chunks and _fill_in_chunks(a, b, h0, h, reverse=reverse)):
        _fill(_steps(a, reverse), _steps(b, reverse), h0, _steps(h, reverse))
    return h


def _steps(tensor: Tensor, reverse: bool, dim: int = 0) -> Any:
    steps = tensor.unbind(dim)
    return steps[::-1] if reverse else steps


def _fill(a: Any, b: Any, h: Tensor, results: Any) -> None:
    """Write each state into its result."""
    for a_t, b_t, h_t in zip(a, b, results, strict=True):
        h = torch.addcmul(b_t, a_t, h, out=h_t)


def _fill_in_chunks(a: Tensor, b: Tensor, h0: Tensor, h: Tensor, *, reverse: bool) -> bool:
    """Run chunks of about √time steps side by side from zeros, then carry the state from chunk to chunk.

    Returns False if a product of the factors of a chunk overflows, by which a state of zero would become NaN.
    """
    time, size = len(b), math.isqrt(len(b))
    rest = time % size  # the steps that do not fill a chunk: the last ones that are run
    chunked = slice(rest, None) if reverse else slice(time - rest)
    a_chunks, b_chunks, h_chunks = (each[chunked].unflatten(0, (-1, size)) for each in (a, b, h))
    products = torch.empty_like(h_chunks)  # of the factors from the start of the chunk
    first = size - 1 if reverse else 0
    h_chunks[:, first], products[:, first] = b_chunks[:, first], a_chunks[:, first]
    a_t, b_t, h_t, p_t = (_steps(each, reverse, 1) for each in (a_chunks, b_chunks, h_chunks, products))
    for t in range(1, size):
        torch.addcmul(b_t[t], a_t[t], h_t[t - 1], out=h_t[t])
        torch.mul(a_t[t], p_t[t - 1], out=p_t[t])
    if not bool(p_t[-1].isfinite().all()):
        return False
    starts = torch.empty_like(h_chunks[:, 0])
    carry = h0
    for start, end, product in zip(*(_steps(each, reverse) for each in (starts, h_t[-1], p_t[-1])), strict=True):
        start.copy_(carry)
        carry = torch.addcmul(end, product, carry)
    h_chunks.addcmul_(products, starts.unsqueeze(1))
    left = slice(rest) if reverse else slice(time - rest, None)
    _fill(_steps(a[left], reverse), _steps(b[left], reverse), carry, _steps(h[left], reverse))
    return True


def _gradients(run: Any, ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
    """The gradient of b is a scan in the other direction: g_t = dh_t + a_{t+1}* g_{t+1}; that of a is g_t h_{t-1}*."""
    (a, h0, h), reverse = ctx.saved_tensors, ctx.reverse
    if a.stride(0) == 0:  # the factor does not depend on time: that of the step after the last is multiplied by zero
        following = a
    else:
        last = a[:1] if reverse else a[-1:]
        following = torch.cat([torch.zeros_like(last), a[:-1]] if reverse else [a[1:], torch.zeros_like(last)])
    g = run(following.conj(), gradient, torch.zeros_like(h0), not reverse)
    before = torch.cat([h[1:], h0[None]] if reverse else [h0[None], h[:-1]])
    first = -1 if reverse else 0
    return g * before.conj(), g, a[first].conj() * g[first], None


def _save(ctx: Any, inputs: Any, output: Tensor) -> None:
    a, _, h0, ctx.reverse = inputs
    ctx.save_for_backward(a, h0, output)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        h = _compute(*inputs)
        _save(ctx, inputs, h)
        return h

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return _gradients(_scan_in_transform if is_batched_gradient(*gradients) else _Scan.apply, ctx, *gradients)


_operator: Any = torch.library.custom_op(
    "rnnkit::scan", _compute, mutates_args=(), schema="(Tensor a, Tensor b, Tensor h0, bool reverse) -> Tensor"
)
_operator.register_fake(lambda _a, b, _h0, _reverse: torch.empty_like(b, memory_format=torch.contiguous_format))
_operator.register_autograd(partial(_gradients, _operator), setup_context=_save)


def _scan_in_transform(a: Tensor, b: Tensor, h0: Tensor, reverse: bool) -> Tensor:  # as the others
    return _scan_by_doubling(a.flip(0), b.flip(0), h0).flip(0) if reverse else _scan_by_doubling(a, b, h0)


def _scan_by_doubling(a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
    """Combine steps, pairs, fours and so on, by operators that all transforms know; time log time operations."""
    h = torch.cat([torch.addcmul(b[:1], a[:1], h0), b[1:]])
    distance = 1
    while distance < len(b):
        h = torch.cat([h[:distance], torch.addcmul(h[distance:], a[distance:], h[:-distance])])
        a = torch.cat([a[:distance], a[distance:] * a[:-distance]])
        distance *= 2
    return h
