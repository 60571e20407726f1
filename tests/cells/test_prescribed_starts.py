"""Cells whose parameters and buffers start as their paper prescribes, on every device and after a reset."""

import math

import pytest
import torch
from torch import nn

from rnnkit import RecurrentSpec, build_model, cell_kind, register_kind
from tests.helpers.cells import SimpleCell

RADIUS = 0.9


class PrescribedCell(SimpleCell):
    """Starts drawn from another distribution, of one value, and computed from another tensor, in the constructor."""

    def __init__(self, input_size, hidden_size, *, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias=bias, device=device, dtype=dtype)
        self.log_decay = self.new_parameter(hidden_size)
        nn.init.uniform_(self.log_decay, math.log(0.9), math.log(0.999))
        self.scale = self.new_parameter(hidden_size)
        with torch.no_grad():
            self.scale.copy_((1 - (2 * self.log_decay).exp()).sqrt())
            self.weight_hh *= RADIUS / torch.linalg.eigvals(self.weight_hh).abs().max()
        self.register_buffer("mask", torch.arange(hidden_size, device=device) % 2 == 0)

    def step(self, projected_t, state):
        h, _ = super().step(projected_t, state)
        h = self.mask * (self.log_decay.exp() * state.h + self.scale * h)
        return h, self.State(h)


@pytest.fixture(autouse=True)
def prescribed():
    with register_kind(cell_kind(PrescribedCell, name="prescribed", summary="Has prescribed starts.")):
        yield


def make(**options):
    return RecurrentSpec(kind="prescribed", input_size=3, hidden_size=200, num_layers=2, options=options)


def assert_prescribed(model):
    for cell in model.backbone.cells:
        decay = cell.log_decay.detach().exp().double()
        assert 0.9 <= decay.min() < 0.91
        assert 0.99 < decay.max() <= 0.999001
        torch.testing.assert_close(cell.scale.detach().double(), (1 - decay**2).sqrt(), rtol=1e-3, atol=1e-4)
        radius = torch.linalg.eigvals(cell.weight_hh.detach()).abs().max().item()
        assert radius == pytest.approx(RADIUS, rel=1e-3)
        assert cell.mask.tolist() == [True, False] * 100


def test_a_start_in_the_constructor_holds():
    assert_prescribed(build_model(make()))


def test_it_survives_the_meta_device():
    model = build_model(make(), device="meta").to_empty(device="cpu")
    model.reset_parameters()
    assert_prescribed(model)


def test_it_survives_the_reset_of_each_module():
    """As PyTorch's FSDP materializes a model: every module that has parameters resets its own."""
    model = build_model(make(), device="meta").to_empty(device="cpu")
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert_prescribed(model)


def test_a_reset_draws_the_start_again():
    model = build_model(make())
    before = [cell.log_decay.detach().clone() for cell in model.backbone.cells]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    model.reset_parameters()
    assert_prescribed(model)
    assert not torch.equal(before[0], model.backbone.cells[0].log_decay)


def test_an_option_of_the_spec_acts_after_the_start():
    """Orthogonal recurrent weights replace the prescribed ones."""
    weight = build_model(make(recurrent_init="orthogonal"), dtype=torch.float64).backbone.cells[0].weight_hh
    torch.testing.assert_close(weight @ weight.T, torch.eye(200, dtype=torch.float64))


class BlockCell(SimpleCell):
    """Recurrent weights with an axis of heads, which the default of `recurrent_weights` leaves out."""

    def __init__(self, input_size, hidden_size, *, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias=bias, device=device, dtype=dtype)
        del self.weight_hh
        self.weight_hh = self.new_parameter(2, hidden_size // 2, hidden_size // 2)

    def recurrence(self, h):
        return torch.einsum("bhi,hoi->bho", h.unflatten(-1, (2, -1)), self.weight_hh).flatten(-2)


class ListedBlockCell(BlockCell):
    def recurrent_weights(self):
        return list(self.weight_hh)

    def init_orthogonal(self):
        for block in self.recurrent_weights():
            nn.init.orthogonal_(block)


def test_weights_with_three_axes_are_recurrent_weights_only_if_a_cell_returns_them():
    fields = {"input_size": 3, "hidden_size": 8, "options": {"recurrent_init": "orthogonal"}}
    kind = cell_kind(BlockCell, name="block", summary="Blocks.")
    with register_kind(kind), pytest.raises(ValueError, match="BlockCell has no recurrent weight"):
        RecurrentSpec(kind="block", **fields)
    with register_kind(cell_kind(ListedBlockCell, name="listed", summary="Blocks.")):
        cell = build_model(RecurrentSpec(kind="listed", **fields), dtype=torch.float64).backbone.cells[0]
    for block in cell.weight_hh:
        torch.testing.assert_close(block @ block.T, torch.eye(4, dtype=torch.float64))
