"""The base class of `rnn_cell`, `gru_cell` and `lstm_cell`: the parameters of torch's cells, and its fused kernels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Cell
from rnnkit_builtin import _unroll_operator
from rnnkit_builtin._autocast import cast_for_autocast
from rnnkit_builtin._executor_rule import FEWEST_STEPS_OF_ALL, executor_is_faster
from rnnkit_builtin._kernels import Layers, run_kernel

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # in the order in which the kernels take them


class GateNorm(nn.Module):
    """Layer normalization of groups of features, each group separately, with gains and without biases."""

    def __init__(self, sizes: Sequence[int], *, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(size, bias=False, device=device, dtype=dtype) for size in sizes)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([norm(part) for norm, part in zip(self.norms, x.split(self.sizes, -1), strict=True)], -1)


class TorchCell(Cell):
    """A cell whose parameters have the names, shapes and order of those of torch's cells.

    Args:
        input_size: number of features of the input at one step.
        hidden_size: number of features of the hidden state.
        gates: the number of gates in each group that `layer_norm` normalizes together.
        bias: True to add biases.
        layer_norm: True to normalize the products with x_t and with h_{t-1}, each separately, before their biases are
            added.
        device: device of the parameters; None: torch's default.
        dtype: dtype of the parameters; None: torch's default.

    Attributes:
        weight_ih: `(gates * hidden_size, input_size)`.
        weight_hh: `(gates * hidden_size, hidden_size)`.
        bias_ih: `(gates * hidden_size,)`, or None.
        bias_hh: `(gates * hidden_size,)`, or None.
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
        """Return the weights and biases by their symbols in equations, such as `W_{ir}` for the gate r and x_t."""
        symbols: dict[str, Any] = {}
        for source, weight, bias in (("i", self.weight_ih, self.bias_ih), ("h", self.weight_hh, self.bias_hh)):
            weights = weight.chunk(len(gates))
            biases = [0] * len(gates) if bias is None else bias.chunk(len(gates))
            symbols |= {f"W_{{{source}{gate}}}": block for gate, block in zip(gates, weights, strict=True)}
            symbols |= {f"b_{{{source}{gate}}}": block for gate, block in zip(gates, biases, strict=True)}
        return symbols

    @abstractmethod
    def kernel(self) -> str | None:
        """Return the name of torch's kernel for this cell; None if it has none, as with layer normalization."""

    def prefers_executor(self, x: Tensor, lengths: Tensor | None) -> bool:
        time, batch, _ = x.shape
        if time < FEWEST_STEPS_OF_ALL:  # costs no call
            return False
        kernel, has_lengths = self.kernel(), lengths is not None
        return kernel is not None and executor_is_faster(
            kernel, x, self.hidden_size, time=time, batch=batch, has_lengths=has_lengths
        )

    def onnx_translations(self) -> Mapping[Any, Callable[..., Any]]:
        from rnnkit_builtin._onnx import TRANSLATIONS  # imports onnxscript

        return TRANSLATIONS

    def project(self, x: Tensor) -> Any:
        return _linear(x, self.weight_ih, self.bias_ih, self.norm_ih)

    def _project_state(self, h: Tensor) -> Tensor:
        """Project the hidden state to the gates: `(batch, gates * hidden_size)`."""
        return _linear(h, self.weight_hh, self.bias_hh, self.norm_hh)


def unroll(self: TorchCell, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
    """`Cell.unroll` on torch's kernels. Each cell class assigns it beside its own `step`, to which it must be equal."""
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
    """`Cell.unroll_layers` on torch's kernels, as `nn.RNNBase.forward` calls them."""
    kernel, hidden_size = cells[0].kernel(), cells[0].hidden_size
    if kernel is None:
        return NotImplemented
    weights_by_cell = [_weights(cell) for cell in cells]
    counts = set(map(len, weights_by_cell))
    # one call of a kernel has one hidden size, and biases in all layers or in none
    if len(counts) > 1 or any(cell.kernel() != kernel or cell.hidden_size != hidden_size for cell in cells[1:]):
        return NotImplemented
    weights = [weight for cell_weights in weights_by_cell for weight in cell_weights]
    layers = Layers(kernel, len(cells) // directions, bias=counts == {4}, bidirectional=directions == 2)
    initial = _zero_state(x, cells) if states is None else _stack_states(states)
    run = _unroll_operator.unroll_layers if torch.compiler.is_compiling() else run_kernel
    # in float32 or in the dtype of autocast, as the kernel chooses, where the step loop returns the latter
    output, *final = cast_for_autocast(run(layers, x, initial, weights, lengths, dropout=dropout))
    return output, _unstack_states(final, cells[0].State)


def _weights(cell: TorchCell) -> list[Any]:
    parameters = cell._parameters  # noqa: SLF001  # four times as fast as attributes, and this runs at every call
    weights = [parameters[name] if name in parameters else getattr(cell, name) for name in _NAMES]
    return weights if weights[-1] is not None else weights[:2]


def _zero_state(x: Tensor, cells: Sequence[TorchCell]) -> list[Tensor]:
    """Return the result of `_stack_states` for states that are all zeros."""
    state_class: Any = cells[0].State
    zeros = torch.zeros(len(cells), x.shape[1], cells[0].hidden_size, device=x.device, dtype=x.dtype)
    return [zeros] * len(state_class._fields)


def _stack_states(states: Sequence[Any]) -> list[Tensor]:
    """Stack the states for a kernel: each part is `(cells, batch, features)`."""
    if len(states) == 1:
        return [part.contiguous().unsqueeze(0) for part in states[0]]  # cuDNN requires contiguous states
    return [torch.stack(part) for part in zip(*states, strict=True)]


def _unstack_states(parts: Sequence[Tensor], state_class: Any) -> tuple[Any, ...]:
    return tuple([state_class(*state) for state in zip(*[part.unbind() for part in parts], strict=True)])


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None, norm: GateNorm | None) -> Tensor:
    if norm is None:
        return F.linear(x, weight, bias)
    product: Tensor = norm(F.linear(x, weight))
    return product if bias is None else product + bias
