"""The kind `nbrc` passes the conformance checks and computes the equations of its paper."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from rnnkit import CellState, RecurrentSpec, build_model, get_kind
from rnnkit.testing import KindCheck, parametrize_with_checks
from rnnkit_nbrc import NBRCCell

BATCH, TIME = 4, 5
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def small_model(**changes: Any) -> Any:
    fields = {"input_size": 3, "hidden_size": 6, "num_layers": 2, "output_size": 2, "readout": "all", **changes}
    return build_model(RecurrentSpec(kind="nbrc", **fields), dtype=torch.float64)


def small_input() -> Tensor:
    return torch.randn(BATCH, TIME, 3, dtype=torch.float64)


@parametrize_with_checks("rnnkit-nbrc/nbrc", minimum=63)
def test_conformance(check: KindCheck) -> None:
    check.run()


def test_kind_is_registered() -> None:
    model = small_model()
    assert model.spec.kind == "rnnkit-nbrc/nbrc"
    assert get_kind("nbrc").cell is NBRCCell
    assert [type(cell) for cell in model.backbone.cells] == [NBRCCell, NBRCCell]


# The equation


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@directions
def test_outputs_states_and_gradients_match_the_equations(bidirectional: bool, bias: bool) -> None:
    backbone = small_model(bidirectional=bidirectional, bias=bias).backbone
    x = small_input().requires_grad_()
    state = tuple(CellState(torch.randn_like(h, requires_grad=True)) for (h,) in backbone.initial_state(BATCH))
    inputs = [x, *(h for (h,) in state), *backbone.parameters()]
    assert any(name.endswith("bias") for name in backbone.state_dict()) == bias

    output, final = backbone(x, state)
    expected_output, expected_final = reference(backbone, x, state)

    torch.testing.assert_close(output, expected_output)
    torch.testing.assert_close(final, expected_final)
    torch.testing.assert_close(
        torch.autograd.grad(scalar(output, final), inputs),
        torch.autograd.grad(scalar(expected_output, expected_final), inputs),
    )


def reference(backbone: Any, x: Tensor, state: tuple[CellState, ...]) -> tuple[Tensor, tuple[CellState, ...]]:
    """The output and the final state, computed step by step."""
    final: list[CellState] = []
    for layer in range(0, len(state), backbone.directions):
        directions = []
        for reverse in range(backbone.directions):
            cell, h = backbone.cells[layer + reverse], state[layer + reverse].h
            outputs = []
            for x_t in reversed(x.unbind(1)) if reverse else x.unbind(1):
                h = paper_step(cell, x_t, h)
                outputs.append(h)
            directions.append(torch.stack(outputs[::-1] if reverse else outputs, dim=1))
            final.append(CellState(h))
        x = torch.cat(directions, dim=-1)
    return x, tuple(final)


def paper_step(cell: NBRCCell, x_t: Tensor, h: Tensor) -> Tensor:
    """The equations of the paper, whose U reads x and whose W reads h."""
    u_a, u_c, u = cell.weight_ih.chunk(3)
    w_a, w_c = cell.weight_hh.chunk(2)
    b_a, b_c, b = (0, 0, 0) if cell.bias is None else cell.bias.chunk(3)
    a_t = 1 + torch.tanh(x_t @ u_a.T + h @ w_a.T + b_a)
    c_t = torch.sigmoid(x_t @ u_c.T + h @ w_c.T + b_c)
    return c_t * h + (1 - c_t) * torch.tanh(x_t @ u.T + a_t * h + b)


def scalar(output: Tensor, final: tuple[CellState, ...]) -> Tensor:
    """A scalar that depends on every entry with a different weight."""
    entries = torch.cat([output.flatten(), *(h.flatten() for (h,) in final)])
    return entries @ torch.linspace(-1, 2, len(entries), dtype=entries.dtype)


# Options of every stack of cells


@pytest.mark.parametrize(
    "options", [{"forget_bias": 1.0}, {"recurrent_dropout": 0.1}, {"layer_norm": "gates"}], ids=str
)
def test_options_that_the_cell_does_not_support(options: dict[str, Any]) -> None:
    [name] = options
    with pytest.raises(ValidationError, match=f"(?m)^options.{name}\n.*NBRCCell"):
        small_model(options=options)


def test_orthogonal_initialization() -> None:
    for cell in small_model(options={"recurrent_init": "orthogonal"}).backbone.cells:
        for weight in cell.weight_hh.chunk(2):
            torch.testing.assert_close(weight @ weight.T, torch.eye(6, dtype=torch.float64))
