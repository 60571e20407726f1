"""What `rnn_cell`, `gru_cell` and `lstm_cell` share: the parameters of torch's cells, and torch's kernels on them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnkit import Cell, map_state

Kernel = Callable[..., tuple[Tensor, ...]]
_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # in the order in which the kernels take them


class GateNorm(nn.Module):
    """Layer normalization of groups of features, each group by itself, with gains and without biases."""

    def __init__(self, sizes: Sequence[int], *, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(size, bias=False, device=device, dtype=dtype) for size in sizes)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([norm(part) for norm, part in zip(self.norms, x.split(self.sizes, -1), strict=True)], -1)


class TorchCell(Cell):
    """A cell whose parameters have the names, shapes and order of those of torch's cells.

    Args:
        input_size: features of the input at one step.
        hidden_size: features of the hidden state.
        gates: for each group of gates that `layer_norm` normalizes together, how many they are.
        bias: whether there are biases.
        layer_norm: whether the products with x_t and with h_{t-1} are normalized, each by itself, before their biases
            are added.
        device: where the parameters are created; None: torch's default.
        dtype: of what dtype; None: torch's default.

    Attributes:
        weight_ih: `(gates * hidden_size, input_size)`.
        weight_hh: `(gates * hidden_size, hidden_size)`.
        bias_ih: `(gates * hidden_size,)`; None: there is none.
        bias_hh: `(gates * hidden_size,)`; None: there is none.
    """

    accepts_none_state: ClassVar[bool] = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        gates: Sequence[int],
        bias: bool,
        layer_norm: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        sizes = [count * hidden_size for count in gates]
        self.weight_ih = self.new_parameter(sum(sizes), input_size)
        self.weight_hh = self.new_parameter(sum(sizes), hidden_size)
        self.bias_ih = self.new_parameter(sum(sizes)) if bias else None
        self.bias_hh = self.new_parameter(sum(sizes)) if bias else None
        self.norm_ih = GateNorm(sizes, device=device, dtype=dtype) if layer_norm else None
        self.norm_hh = GateNorm(sizes, device=device, dtype=dtype) if layer_norm else None

    def _symbols(self, gates: str) -> dict[str, Any]:
        """The weights and biases under the names that equations give them, `W_{ir}` for the gate r in x_t."""
        found: dict[str, Any] = {}
        for source, weight, bias in (("i", self.weight_ih, self.bias_ih), ("h", self.weight_hh, self.bias_hh)):
            weights = weight.chunk(len(gates))
            biases = [0] * len(gates) if bias is None else bias.chunk(len(gates))
            found |= {f"W_{{{source}{gate}}}": rows for gate, rows in zip(gates, weights, strict=True)}
            found |= {f"b_{{{source}{gate}}}": rows for gate, rows in zip(gates, biases, strict=True)}
        return found

    @abstractmethod
    def kernel(self) -> Kernel | None:
        """The kernel of torch that computes the step over time; None: there is none."""

    def project(self, x: Tensor) -> Any:
        return _read(x, self.weight_ih, self.bias_ih, self.norm_ih)

    def _recur(self, h: Tensor) -> Tensor:
        """What the gates read of the hidden state: `(batch, gates * hidden_size)`."""
        return _read(h, self.weight_hh, self.bias_hh, self.norm_hh)


def unroll(self: TorchCell, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
    """`Cell.unroll` for cells that have a kernel. Each class takes it by itself, beside the step that it stands for."""
    result = unroll_layers([self], x, (state,), lengths, directions=1, dropout=0.0)
    return result if result is NotImplemented else (result[0], result[1][0])


def unroll_layers(
    cells: Sequence[TorchCell],
    x: Tensor,
    states: tuple[Any, ...] | None,
    lengths: Tensor | None,
    *,
    directions: int,
    dropout: float,
) -> Any:
    """`Cell.unroll_layers` for cells that have a kernel."""
    kernel, hidden_size = cells[0].kernel(), cells[0].hidden_size
    if kernel is None:
        return NotImplemented
    by_cell = [_weights(cell) for cell in cells]
    counts = {len(weights) for weights in by_cell}
    if len(counts) > 1 or any(cell.kernel() is not kernel or cell.hidden_size != hidden_size for cell in cells[1:]):
        return NotImplemented
    weights = [weight for of_cell in by_cell for weight in of_cell]
    settings = (weights, counts == {4}, len(cells) // directions, dropout, dropout > 0, directions == 2)
    make_state: Any = cells[0].State
    if lengths is None or states is None:
        before = _zeros(x, cells) if states is None else _stacked(states)
        output, *final = kernel(x, before, *settings, False)
        return output, _unstacked(final, make_state)
    packed: Any = pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
    in_order = [map_state(lambda part: part.index_select(0, packed.sorted_indices), state) for state in states]
    data, *final = kernel(packed.data, packed.batch_sizes, _stacked(in_order), *settings)
    output, _ = pad_packed_sequence(PackedSequence(data, *packed[1:]), total_length=len(x))
    return output, _unstacked([part.index_select(1, packed.unsorted_indices) for part in final], make_state)


def _weights(cell: TorchCell) -> list[Any]:
    own = cell._parameters  # noqa: SLF001  # asked at every call, and four times as quick as the attributes
    weights = [own[name] if name in own else getattr(cell, name) for name in _NAMES]
    return weights if weights[-1] is not None else weights[:2]


def _zeros(x: Tensor, cells: Sequence[TorchCell]) -> Any:
    """What `_stacked` makes of states that are zeros."""
    zeros = torch.zeros(len(cells), x.shape[1], cells[0].hidden_size, device=x.device, dtype=x.dtype)
    parts = len(cells[0].state_shapes(0))
    return zeros if parts == 1 else [zeros] * parts


def _stacked(states: Sequence[Any]) -> Any:
    """The states as a kernel takes them: each part `(cells, batch, features)`, and a single part as a bare tensor."""
    if len(states) == 1:
        parts = [part.contiguous().unsqueeze(0) for part in states[0]]
    else:
        parts = [torch.stack(part) for part in zip(*states, strict=True)]
    return parts[0] if len(parts) == 1 else parts


def _unstacked(parts: Sequence[Tensor], make_state: Any) -> tuple[Any, ...]:
    return tuple([make_state(*of_cell) for of_cell in zip(*[part.unbind() for part in parts], strict=True)])


def _read(x: Tensor, weight: Tensor, bias: Tensor | None, norm: GateNorm | None) -> Tensor:
    if norm is None:
        return F.linear(x, weight, bias)
    product: Tensor = norm(F.linear(x, weight))
    return product if bias is None else product + bias
