"""Cells with gates, whose parameters and symbols follow from the names of the gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit.cells.cell import Cell


class GatedCell(Cell):
    """A cell with gates that are computed from W_i x_t + W_h h_{t-1} + b, with one block of rows for each gate.

    A subclass names its gates and writes `step`:

    ```python
    class UpdateGateCell(GatedCell):
        gates = "ng"
        forget_gate = "g"

        def step(self, projected_t, state):
            n, g = self.pre_activations(projected_t, state.h)
            h = torch.lerp(torch.tanh(n), state.h, torch.sigmoid(g))
            return h, CellState(h)
    ```

    Args:
        input_size: number of features of the input at one step.
        hidden_size: number of features of the hidden state.
        bias: True to add biases.
        layer_norm: True to normalize the products with x_t and with h_{t-1}, each separately and over all gates, with
            gains and before the biases are added.
        device: device of the parameters; None: torch's default.
        dtype: dtype of the parameters; None: torch's default.

    Attributes:
        weight_ih: `(gates * hidden_size, input_size)`; one block of rows for each gate, in the order of `gates`.
        weight_hh: `(gates * hidden_size, hidden_size)`.
        bias: `(gates * hidden_size,)`, or None.
    """

    gates: Sequence[str] = ""
    """The names of the gates and candidates, in the order of the rows: letters, as in `"ifgo"`, or LaTeX."""

    forget_gate: ClassVar[str] = ""
    """The name of the gate whose bias `forget_bias` sets, such as `"f"`. `"-z"` negates the bias, for a gate z that
    replaces the state where it is open. Empty for a cell without a forget gate."""

    input_gate: ClassVar[str | None] = None
    """The name of the gate whose bias `forget_bias="chrono"` sets to the negative of that of the forget gate. `""` for
    one that is one minus the forget gate; None for a cell that does not support this initialization."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        bias: bool = True,
        layer_norm: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        rows = len(self.gates) * hidden_size
        self.weight_ih = self.new_parameter(rows, input_size)
        self.weight_hh = self.new_parameter(rows, hidden_size)
        self.bias = self.new_parameter(rows) if bias else None
        self.norm_ih = nn.LayerNorm(rows, bias=False, device=device, dtype=dtype) if layer_norm else None
        self.norm_hh = nn.LayerNorm(rows, bias=False, device=device, dtype=dtype) if layer_norm else None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A cell without the gate has the methods of `Cell`, for which specs with `forget_bias` are refused. A subclass
        # may name the gate that its base class does not have, and methods that it writes itself stay.
        has_gate = bool(cls.forget_gate)
        for name, is_supported in (
            ("set_forget_bias", has_gate),
            ("set_chrono_bias", has_gate and cls.input_gate is not None),
        ):
            if getattr(cls, name) in {getattr(Cell, name), getattr(GatedCell, name)}:
                setattr(cls, name, getattr(GatedCell if is_supported else Cell, name))

    def project(self, x: Tensor) -> Any:
        if self.norm_ih is None:
            return F.linear(x, self.weight_ih, self.bias)
        projected = self.norm_ih(F.linear(x, self.weight_ih))
        return projected if self.bias is None else projected + self.bias

    def pre_activations(self, projected_t: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        """Return W_i x_t + W_h h_{t-1} + b of each gate, `(batch, hidden_size)` each.

        Args:
            projected_t: the result of `GatedCell.project` at this step, `(batch, gates * hidden_size)`.
            h: the hidden state before the step, `(batch, hidden_size)`.
        """
        if self.norm_hh is None:
            together = torch.addmm(projected_t, h, self.weight_hh.t())
        else:
            together = projected_t + self.norm_hh(F.linear(h, self.weight_hh))
        return together.chunk(len(self.gates), -1)

    def gate_rows(self, parameter: Tensor) -> dict[str, Tensor]:
        """Return the rows of `weight_ih`, `weight_hh` or `bias` by the names of their gates."""
        return dict(zip(self.gates, parameter.chunk(len(self.gates)), strict=True))

    def set_forget_bias(self, value: float) -> None:
        if self.bias is not None:
            sign = -1 if self.forget_gate.startswith("-") else 1
            self.gate_rows(self.bias)[self.forget_gate.removeprefix("-")].fill_(sign * value)

    def set_chrono_bias(self, value: Tensor) -> None:
        if self.bias is not None:
            sign, rows = -1 if self.forget_gate.startswith("-") else 1, self.gate_rows(self.bias)
            rows[self.forget_gate.removeprefix("-")].copy_(sign * value)
            if self.input_gate in rows:  # an option may replace it by one minus the forget gate
                rows[self.input_gate].copy_(-value)

    def symbols(self) -> dict[str, Any]:
        """Return the weights and biases by their symbols, such as `W_{iz}`, `W_{hz}` and `b_z` of a gate z."""
        biases = dict.fromkeys(self.gates, 0) if self.bias is None else self.gate_rows(self.bias)
        return {
            **{f"W_{{i{gate}}}": weight for gate, weight in self.gate_rows(self.weight_ih).items()},
            **{f"W_{{h{gate}}}": weight for gate, weight in self.gate_rows(self.weight_hh).items()},
            **{f"b_{gate}": bias for gate, bias in biases.items()},
        }
