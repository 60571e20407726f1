"""The linear recurrence of a matrix, S_t = diag(a_t) S_{t-1} + k_t v_t^T, over a whole sequence in chunks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit.cells.linear_scan import scan

_STEPS = 32  # of a chunk, a power of two: more steps are more work for each, fewer are more states


def matrix_scan(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    log_decay: Tensor,
    s0: Tensor,
    *,
    beta: Tensor | None = None,
    lengths: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    r"""Compute $S_t = \mathrm{diag}(a_t) S_{t-1} + k_t v_t^\top$ and $y_t = S_t^\top q_t$ for all steps.

    With `beta` it is the delta rule: $S_t = D_t + \beta_t k_t (v_t - D_t^\top k_t)^\top$, where
    $D_t = \mathrm{diag}(a_t) S_{t-1}$.

    The steps of a chunk are matrix products, and the states between chunks a recurrence. All decays are products of
    factors, computed as sums of logarithms. Nothing is divided by a decay, so that decays may underflow.

    ```python
    q, k, v = torch.randn(3, 100, 8, 4, 16).unbind()  # 100 steps, 8 sequences, 4 heads
    y, s = matrix_scan(q, k, v, torch.full((100, 8, 4, 1), -0.1), torch.zeros(8, 4, 16, 16))
    ```

    Args:
        q: the queries, `(time, batch, heads, key_size)`.
        k: the keys, as q.
        v: the values, `(time, batch, heads, value_size)`.
        log_decay: the logarithms of a_t, at most 0: `(time, batch, heads, key_size)`, or `(time, batch, heads, 1)` for
            one factor for each head.
        s0: the state before the first step, `(batch, heads, key_size, value_size)`.
        beta: the rates of the delta rule, `(time, batch, heads, 1)`; None: the plain recurrence.
        lengths: number of valid steps of each sequence, `(batch,)`; None: all are valid. Values past them, NaN
            included, change neither results nor gradients.

    Returns:
        The outputs y_t, `(time, batch, heads, value_size)`, arbitrary past the length of each sequence, and the state
        after the last valid step of each sequence.
    """
    time = q.shape[0]
    if lengths is not None:  # steps past the end do not change the state; zeros, since a product with NaN is NaN
        is_padding = (torch.arange(time, device=q.device)[:, None] >= lengths)[..., None, None]
        q, k, v, log_decay = (each.masked_fill(is_padding, 0) for each in (q, k, v, log_decay))
        beta = None if beta is None else beta.masked_fill(is_padding, 0)
    size = _chunk_size(time)
    q, k, v, log_decay = (_in_chunks(each, size) for each in (q, k, v, log_decay))
    from_start = log_decay.cumsum(-2).exp()
    whole_chunk = from_start[..., -1:, :].transpose(-1, -2)
    k_at_end = (k * _decay_to_end(log_decay)).transpose(-1, -2)
    if beta is None:
        states = torch.cat([s0[None], scan(whole_chunk, k_at_end @ v, s0)])
    else:
        beta = _in_chunks(beta, size)
        overlaps = beta * _scores(k, k, log_decay)
        written, read = _solve(overlaps, beta * v), _solve(overlaps, beta * k * from_start)
        states, v = _delta_states(whole_chunk, k_at_end, written, read, s0)
    y = _scores(q, k, log_decay) @ v + (q * from_start) @ states[:-1]
    return y.movedim(-2, 1).flatten(0, 1)[:time], states[-1]


def _chunk_size(time: int) -> int:
    if torch.compiler.is_compiling():  # a size that follows the number of steps would make a graph for each
        return _STEPS
    size = 1
    while size < min(time, _STEPS):
        size *= 2
    return size


def _in_chunks(tensor: Tensor, size: int) -> Tensor:
    """Return `(chunks, batch, heads, size, features)` of `(time, batch, heads, features)`, padded with zeros."""
    padded = F.pad(tensor, (0, 0, 0, 0, 0, 0, 0, -tensor.shape[0] % size))
    chunks: Tensor = padded.unflatten(0, (-1, size))
    return chunks.movedim(1, -2)


def _scores(q: Tensor, k: Tensor, log_decay: Tensor) -> Tensor:
    """Return the products of each q_i with each k_j, decayed from step j to step i, `(..., i, j)`; 0 for i < j."""
    size = q.shape[-2]
    if log_decay.shape[-1] == 1:
        return (q @ k.transpose(-1, -2)) * _decays(log_decay)
    if size == 1:
        return (q * k).sum(-1, keepdim=True)
    q, k, log_decay = (each.unflatten(-2, (2, -1)) for each in (q, k, log_decay))
    early, late = log_decay.unbind(-3)
    q_late, k_early = q[..., 1, :, :] * late.cumsum(-2).exp(), k[..., 0, :, :] * _decay_to_end(early)
    among_early, among_late = _scores(q, k, log_decay).unbind(-3)
    late_rows = torch.cat([q_late @ k_early.transpose(-1, -2), among_late], -1)
    return torch.cat([F.pad(among_early, (0, size // 2)), late_rows], -2)


def _decays(log_decay: Tensor) -> Tensor:
    """Return the products of the factors after step j up to step i, `(..., i, j)`; 0 for i < j.

    The logarithms of these steps alone are added: the difference of two sums from the start would lose digits.
    """
    size = log_decay.shape[-2]
    return log_decay.expand(*log_decay.shape[:-1], size).tril(-1).cumsum(-2).exp().tril()


def _decay_to_end(log_decay: Tensor) -> Tensor:
    """Return the product of the factors after each step."""
    return F.pad(log_decay[..., 1:, :], (0, 0, 0, 1)).flip(-2).cumsum(-2).flip(-2).exp()


def _solve(overlaps: Tensor, right: Tensor) -> Tensor:
    """Return what each step of a chunk writes or reads, given that it sees what the steps before it wrote."""
    dtype = torch.promote_types(right.dtype, torch.float32)  # narrower ones have no solver
    solution: Tensor = torch.linalg.solve_triangular(
        overlaps.to(dtype), right.to(dtype), upper=False, unitriangular=True
    )
    return solution.to(right.dtype)


def _delta_states(
    whole_chunk: Tensor, k_at_end: Tensor, written: Tensor, read: Tensor, s0: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the states before each chunk and after the last, and the values that the steps of each chunk add."""
    states, values = [s0], []
    for decay, k, from_values, from_state in zip(whole_chunk, k_at_end, written, read, strict=True):
        values.append(from_values - from_state @ states[-1])
        states.append(decay * states[-1] + k @ values[-1])
    return torch.stack(states), torch.stack(values)
