"""The kind `selective_ssm`: the recurrence of Mamba, whose step size, input and output maps read the input."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Size, Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from rnnkit import (
    CausalConv,
    Cell,
    CellState,
    ConvolvedState,
    Kind,
    Paper,
    StackOptions,
    cell_kind,
    hookimpl,
    scan,
)
from rnnkit_builtin._exporting import is_exporting

GU = Paper(
    title="Mamba: Linear-Time Sequence Modeling with Selective State Spaces",
    authors="Albert Gu, Tri Dao",
    year=2023,
    link="https://arxiv.org/abs/2312.00752",
)

BLOCK_NOTE = (
    "This is the selective scan, S6, behind a linear map of the input, as Algorithm 2 of the paper. The block of Mamba "
    "has a convolution over 4 steps and a SiLU before the scan: set `conv=4`, with which u is the SiLU of a "
    "convolution of W_u x, and its last inputs are a part of the state. The gate of the block is not included."
)
EULER_NOTE = (
    "The input enters by Euler's method, times Delta B, as in the authors' code and all others. The paper writes a "
    "zero-order hold for it."
)
DECAY_NOTE = "Exclude the parameters `log_decay` and `weight_skip` from weight decay, as the authors' code does."

# States of (batch, hidden_size, state_size) features that are held at once. More do not fit into a processor's cache.
_CHUNK = 2**20

INPUT = r"""
    u_t &= W_u x_t \\"""
CONVOLVED_INPUT = r"""
    u_t &= \mathrm{silu}(\mathrm{conv}(W_u x_t, \mathrm{tail}_{t-1})) \\
    \mathrm{tail}_t &= \mathrm{push}(W_u x_t, \mathrm{tail}_{t-1}) \\"""
SCAN = r"""
    \Delta_t &= \mathrm{softplus}(W_\Delta W_r u_t + b_\Delta) \\
    h_t &= \exp(\mathrm{diag}(\Delta_t) A) \odot h_{t-1} + (\Delta_t \odot u_t) (W_B u_t)^\top \\
    y_t &= h_t W_C u_t + D \odot u_t
"""


class SelectiveSSMOptions(StackOptions):
    """Options of the kind `selective_ssm`."""

    state_size: Annotated[int, Field(ge=1)] = 16
    """Number of states of each feature."""

    rank: Annotated[int, Field(ge=1)] | None = None
    """Rank of the map from the input to the step sizes; None: `hidden_size / 16`, rounded up. Mamba's block, which
    doubles the features before the scan, has `hidden_size / 32`."""

    conv: Annotated[int, Field(ge=2)] | None = None
    """Number of steps that a depthwise convolution of the scan's input spans, followed by a SiLU; 4 in Mamba. None: no
    convolution."""


class SelectiveSSMCell(Cell):
    """One step of the selective state space model; its state is `CellState(h)`, `(batch, hidden_size, state_size)`.

    Attributes:
        weight_ih: `(hidden_size, input_size)`; the map from x to u.
        weight_selection: `(rank + 2 * state_size, hidden_size)`; the rows of W_r, W_B and W_C.
        weight_step: `(hidden_size, rank)`; W_Delta.
        bias: `(hidden_size,)`; b_Delta, or None.
        log_decay: `(hidden_size, state_size)`; A = -exp(log_decay).
        weight_skip: `(hidden_size,)`; D.
    """

    parallel_over_time = True
    narrows_state = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        state_size: int = 16,
        rank: int | None = None,
        conv: int | None = None,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if conv is not None:
            raise ValueError(f"conv={conv} requires ConvolvedSelectiveSSMCell")
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.state_size = state_size
        self.rank = math.ceil(hidden_size / 16) if rank is None else rank
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_selection = self.new_parameter(self.rank + 2 * state_size, hidden_size)
        self.weight_step = self.new_parameter(hidden_size, self.rank)
        self.bias = self.new_parameter(hidden_size) if bias else None
        self.log_decay = self.new_parameter(hidden_size, state_size)
        self.weight_skip = self.new_parameter(hidden_size)
        self._initialize()

    @classmethod
    def class_for(cls, options: Mapping[str, Any]) -> type[Cell]:
        return cls if options.get("conv") is None else ConvolvedSelectiveSSMCell

    @torch.no_grad()
    def _initialize(self) -> None:
        bound = self.rank**-0.5
        nn.init.uniform_(self.weight_step, -bound, bound)
        nn.init.ones_(self.weight_skip)
        wide = torch.promote_types(self.log_decay.dtype, torch.float32)
        self.log_decay.copy_(torch.arange(1, self.state_size + 1, device=self.log_decay.device, dtype=wide).log())
        if self.bias is not None:
            step = nn.init.uniform_(self.bias, math.log(0.001), math.log(0.1)).exp()
            self.bias.copy_(step + torch.log(-torch.expm1(-step)))  # the inverse of softplus

    def state_shapes(self, batch_size: int) -> Any:
        return CellState(Size((batch_size, self.hidden_size, self.state_size)))  # type: ignore[arg-type]  # a size in its place

    def project(self, x: Tensor) -> Any:
        return self.select(F.linear(x, self.weight_ih))

    def select(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the step sizes, u, and the maps of the input and the output, which all depend on u.

        Args:
            u: `(..., hidden_size)`.
        """
        r, b, c = F.linear(u, self.weight_selection).split([self.rank, self.state_size, self.state_size], -1)
        return F.softplus(F.linear(r, self.weight_step, self.bias)), u, b, c

    def step(self, projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        y, h = self._advance(projected_t, state.h)
        return y, CellState(h)

    def _advance(self, selected_t: tuple[Tensor, ...], h: Tensor) -> tuple[Tensor, Tensor]:
        delta, u, b, c = selected_t
        h = self._factors(delta) * h + _terms(delta, u, b)
        return self._read(h, u, c), h

    def _factors(self, delta: Tensor) -> Tensor:
        return torch.exp(delta[..., None] * -torch.exp(self.log_decay))

    def _read(self, h: Tensor, u: Tensor, c: Tensor) -> Tensor:
        return (h @ c[..., None]).squeeze(-1) + self.weight_skip * u

    def unroll(self, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
        if is_exporting():  # an exported program must not depend on rnnkit's operator
            return NotImplemented
        y, h = self._run(self.project(x), state.h, lengths)
        return y, CellState(h)

    def _run(self, selected: tuple[Tensor, ...], h: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        # The states of all steps are `state_size` times as large as the output. Only those of one chunk are held: the
        # backward pass computes them again.
        steps = max(_CHUNK // max(h.numel(), 1), 16)
        chunks = list(zip(*(part.split(steps) for part in selected), strict=True))
        last, outputs = h, []
        for index, chunk in enumerate(chunks):
            ends = None if lengths is None else lengths - 1 - index * steps
            if len(chunks) == 1 or not torch.is_grad_enabled():
                y, h, last = self._run_chunk(chunk, h, last, ends)
            else:
                y, h, last = checkpoint(
                    self._run_chunk, chunk, h, last, ends, use_reentrant=False, preserve_rng_state=False
                )
            outputs.append(y)
        return torch.cat(outputs), last

    def _run_chunk(
        self, selected: tuple[Tensor, ...], h: Tensor, last: Tensor, ends: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run some steps.

        Args:
            selected: the results of `select` at these steps.
            h: the state before.
            last: the final state of the sequences that ended before.
            ends: the last valid step of each sequence, counted from the start of the chunk; None: all are valid.

        Returns:
            The outputs, the state after the steps, and the final state of the sequences that have ended.
        """
        delta, u, b, c = selected
        states = scan(self._factors(delta), _terms(delta, u, b), h)
        y, h = self._read(states, u, c), states[-1].clone()  # a view would hold the states of all steps
        if ends is None:
            return y, h, h
        ended = states[ends.clamp(0, len(states) - 1), torch.arange(len(ends), device=ends.device)]
        is_here = ((ends >= 0) & (ends < len(states)))[:, None, None]
        return y, h, torch.where(is_here, ended, last)

    def symbols(self) -> dict[str, Any]:
        w_r, w_b, w_c = self.weight_selection.split([self.rank, self.state_size, self.state_size])
        maps = {"W_u": self.weight_ih, "W_r": w_r, "W_B": w_b, "W_C": w_c, r"W_\Delta": self.weight_step}
        values = {r"b_\Delta": 0 if self.bias is None else self.bias, "A": -torch.exp(self.log_decay)}
        return {**maps, **values, "D": self.weight_skip, r"\exp": torch.exp}


class ConvolvedSelectiveSSMCell(SelectiveSSMCell):
    """A `SelectiveSSMCell` whose u is convolved over time, as in Mamba; its state is `ConvolvedState(h, tail)`.

    Attributes:
        convolution: depthwise; its weight is `(hidden_size, 1, conv)`, its bias `(hidden_size,)` or None.
    """

    State = ConvolvedState
    bookkeeping: ClassVar[tuple[str, ...]] = ("tail",)
    equation = CONVOLVED_INPUT + SCAN

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        conv: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, bias=bias, device=device, dtype=dtype, **arguments)
        self.convolution = CausalConv(
            hidden_size, hidden_size, conv, depthwise=True, bias=bias, device=device, dtype=dtype
        )

    def state_shapes(self, batch_size: int) -> Any:
        tail: Any = self.convolution.tail_shape(batch_size)
        return ConvolvedState(super().state_shapes(batch_size).h, tail)

    def project(self, x: Tensor) -> Any:
        return F.linear(x, self.weight_ih)

    def step(self, projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        u, tail = self.convolution.step(projected_t, state.tail)
        y, h = self._advance(self.select(F.silu(u)), state.h)
        return y, ConvolvedState(h, tail)

    def unroll(self, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
        if is_exporting():  # as in `SelectiveSSMCell`
            return NotImplemented
        u, tail = self.convolution(self.project(x), state.tail, lengths)
        y, h = self._run(self.select(F.silu(u)), state.h, lengths)
        return y, ConvolvedState(h, tail)

    def symbols(self) -> dict[str, Any]:
        def convolve(x: Tensor, tail: Tensor) -> tuple[Tensor, Tensor]:
            return self.convolution.step(x.squeeze(-1), tail)

        functions = {
            r"\mathrm{conv}": lambda x, tail: convolve(x, tail)[0],
            r"\mathrm{push}": lambda x, tail: convolve(x, tail)[1],
        }
        return {**super().symbols(), **functions}


def _terms(delta: Tensor, u: Tensor, b: Tensor) -> Tensor:
    return (delta * u)[..., None] * b[..., None, :]


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            SelectiveSSMCell,
            name="selective_ssm",
            summary="The selective state space model of Mamba, which chooses by its input what to keep.",
            keywords=["Mamba", "S6", "state space model"],
            family="linear",
            equation=INPUT + SCAN,
            meanings={
                "u_t": "input of the recurrence",
                r"\Delta_t": "step size of each feature: large to take in the input, small to keep the state",
                "h_t": "states of each feature, a matrix",
                "A": "rates of decay, -exp(log_decay); the exponential acts on each entry",
            },
            papers=[GU],
            notes=[BLOCK_NOTE, EULER_NOTE, DECAY_NOTE],
            options=SelectiveSSMOptions,
        )
    )
