"""The kind `mgu` computes its paper's equations, and keeps what rnnkit promises of every kind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from rnnkit import CellState, RecurrentModel, RecurrentSpec, build_model, get_kind
from rnnkit_mgu import MGUCell

BATCH, TIME = 4, 5
both = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both_directions"])


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def small_model(**changes: Any) -> Any:
    fields = {"input_size": 3, "hidden_size": 6, "num_layers": 2, "output_size": 2, "readout": "all", **changes}
    return build_model(RecurrentSpec(kind="mgu", **fields), dtype=torch.float64)


def small_input() -> Tensor:
    return torch.randn(BATCH, TIME, 3, dtype=torch.float64)


def random_state(model: RecurrentModel) -> tuple[CellState, ...]:
    return tuple(CellState(torch.randn_like(h)) for (h,) in model.initial_state(BATCH))


def test_the_kind_is_found_by_its_name() -> None:
    model = small_model()
    assert model.spec.kind == "rnnkit-mgu/mgu"
    assert get_kind("mgu").cell is MGUCell
    assert [type(cell) for cell in model.backbone.cells] == [MGUCell, MGUCell]


# The equation


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@both
def test_outputs_states_and_gradients_are_the_equations(bidirectional: bool, bias: bool) -> None:
    backbone = small_model(bidirectional=bidirectional, bias=bias).backbone
    x = small_input().requires_grad_()
    state = tuple(CellState(torch.randn_like(h, requires_grad=True)) for (h,) in backbone.initial_state(BATCH))
    inputs = [x, *(h for (h,) in state), *backbone.parameters()]
    assert any(name.endswith("bias") for name in backbone.state_dict()) == bias

    output, final = backbone(x, state)
    expected_output, expected_final = by_hand(backbone, x, state)

    torch.testing.assert_close(output, expected_output)
    torch.testing.assert_close(final, expected_final)
    torch.testing.assert_close(
        torch.autograd.grad(scalar(output, final), inputs),
        torch.autograd.grad(scalar(expected_output, expected_final), inputs),
    )


def by_hand(backbone: Any, x: Tensor, state: tuple[CellState, ...]) -> tuple[Tensor, tuple[CellState, ...]]:
    """One layer after another, one direction after another, one step after another."""
    final: list[CellState] = []
    for layer in range(0, len(state), backbone.directions):
        ways = []
        for reverse in range(backbone.directions):
            cell, h = backbone.cells[layer + reverse], state[layer + reverse].h
            outputs = []
            for x_t in reversed(x.unbind(1)) if reverse else x.unbind(1):
                h = paper_step(cell, x_t, h)
                outputs.append(h)
            ways.append(torch.stack(outputs[::-1] if reverse else outputs, dim=1))
            final.append(CellState(h))
        x = torch.cat(ways, dim=-1)
    return x, tuple(final)


def paper_step(cell: MGUCell, x_t: Tensor, h: Tensor) -> Tensor:
    """The equations as the paper has them, with one W_f and one W_h for h and x side by side."""
    w_if, w_in = cell.weight_ih.chunk(2)
    b_f, b_h = (0, 0) if cell.bias is None else cell.bias.chunk(2)
    w_f, w_h = torch.cat([cell.weight_hf, w_if], dim=1), torch.cat([cell.weight_hn, w_in], dim=1)
    f_t = torch.sigmoid(torch.cat([h, x_t], dim=1) @ w_f.T + b_f)
    candidate = torch.tanh(torch.cat([f_t * h, x_t], dim=1) @ w_h.T + b_h)
    return (1 - f_t) * h + f_t * candidate


def scalar(output: Tensor, final: tuple[CellState, ...]) -> Tensor:
    """A number that every entry changes, each by another amount."""
    entries = torch.cat([output.flatten(), *(h.flatten() for (h,) in final)])
    return entries @ torch.linspace(-1, 2, len(entries), dtype=entries.dtype)


# Time


@both
def test_each_row_gets_what_it_would_get_alone(bidirectional: bool) -> None:
    model = small_model(bidirectional=bidirectional)
    backbone = model.backbone  # a readout would hide what stands past the lengths
    x, state, lengths = small_input(), random_state(model), torch.tensor([5, 2, 1, 3])
    padded = x.masked_fill((torch.arange(TIME) >= lengths[:, None])[..., None], torch.nan)
    output, final = backbone(padded, state, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, after = backbone(x[[row], :length], row_of(state, row))
        torch.testing.assert_close(output[[row], :length], alone)
        torch.testing.assert_close(row_of(final, row), after)
        assert output[row, length:].eq(0).all()


def test_a_row_without_steps_keeps_its_state() -> None:
    model = small_model(bidirectional=True)
    state = random_state(model)
    _, final = model(small_input(), state, lengths=torch.tensor([5, 0, 2, 3]), return_state=True)
    torch.testing.assert_close(row_of(final, 1), row_of(state, 1))


def row_of(state: tuple[CellState, ...], row: int) -> tuple[CellState, ...]:
    return tuple(CellState(h[[row]]) for (h,) in state)


@both
def test_time_first_is_the_transpose_of_batch_first(bidirectional: bool) -> None:
    model, other = small_model(bidirectional=bidirectional), small_model(bidirectional=bidirectional, batch_first=False)
    other.load_state_dict(model.state_dict())
    x, lengths = small_input(), torch.tensor([5, 2, 0, 3])
    torch.testing.assert_close(other(x.transpose(0, 1), lengths=lengths).transpose(0, 1), model(x, lengths=lengths))


def test_step_by_step_equals_forward() -> None:
    model, x, state = small_model(), small_input(), None
    whole, final = model(x, return_state=True)
    outputs = []
    for x_t in x.unbind(1):
        y_t, state = model.step(x_t, state)
        outputs.append(y_t)
    torch.testing.assert_close(torch.stack(outputs, dim=1), whole)
    torch.testing.assert_close(state, final)


# Training


def test_a_step_against_the_gradient_lowers_the_loss() -> None:
    model, x, y = small_model(readout="last"), small_input(), torch.randn(BATCH, 2, dtype=torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    before = torch.nn.functional.mse_loss(model(x), y)
    before.backward()
    optimizer.step()
    assert torch.nn.functional.mse_loss(model(x), y) < before


def test_dropout_acts_between_layers_in_training_only() -> None:
    model, x = small_model(dropout=1.0, output_size=None), small_input()
    dropped, (first_layer, _) = model(x, return_state=True)
    torch.testing.assert_close(model(small_input()), dropped)  # the second layer sees nothing of the input
    assert dropped.ne(0).all()
    whole, (first_layer_of_whole, _) = model.eval()(x, return_state=True)
    assert whole.ne(dropped).any()
    torch.testing.assert_close(first_layer, first_layer_of_whole)


def test_the_state_dict_round_trip_is_exact() -> None:
    model, other, x = small_model(), small_model(), small_input()
    assert not torch.equal(other(x), model(x))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))


# What every stack of cells offers


@pytest.mark.parametrize(
    "options",
    [
        {"residual": True},
        {"layer_norm": "output"},
        {"learn_initial_state": True},
        {"zoneout": 0.3},
        {"recurrent_init": "orthogonal"},
    ],
    ids=str,
)
def test_an_option_of_stacks_changes_what_is_computed_and_trains(options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    plain = small_model()
    torch.manual_seed(1)
    model, x = small_model(options=options), small_input()
    for name, parameter in model.named_parameters():
        if "initial" in name:  # a learned state starts at zero, as any other
            torch.nn.init.normal_(parameter)
    y = model(x)
    y.square().sum().backward()
    assert not torch.allclose(y, plain(x))
    assert all(parameter.grad.ne(0).any() for parameter in model.parameters())


@pytest.mark.parametrize(
    "options", [{"forget_bias": 1.0}, {"recurrent_dropout": 0.1}, {"layer_norm": "gates"}], ids=str
)
def test_what_the_cell_cannot_honour_is_refused(options: dict[str, Any]) -> None:
    [name] = options
    with pytest.raises(ValidationError, match=f"(?m)^options.{name}\n.*MGUCell"):
        small_model(options=options)


def test_orthogonal_recurrent_weights_are_orthogonal() -> None:
    for cell in small_model(options={"recurrent_init": "orthogonal"}).backbone.cells:
        for weight in (cell.weight_hf, cell.weight_hn):
            torch.testing.assert_close(weight @ weight.T, torch.eye(6, dtype=torch.float64))
