"""Constructors of cells that take them get the layer, the number of layers and the direction."""

import pytest
import torch
from torch import nn

from rnnkit import RecurrentSpec, StackOptions, build_model, cell_kind, register_kind
from rnnkit.testing import check_kind
from tests.helpers.cells import SimpleCell


class PlacedCell(SimpleCell):
    """A cell whose bias starts at a value that depends on its layer."""

    def __init__(self, input_size, hidden_size, *, layer, num_layers, direction, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias=bias, device=device, dtype=dtype)
        self.place = layer, num_layers, direction
        if bias:
            nn.init.constant_(self.bias, layer / max(num_layers - 1, 1))


@pytest.fixture(autouse=True)
def placed():
    with register_kind(cell_kind(PlacedCell, name="placed", summary="Knows its place.")):
        yield


def make(kind="placed", **fields):
    return RecurrentSpec(**{"kind": kind, "input_size": 3, "hidden_size": 4, "num_layers": 3, **fields})


def places(spec):
    return [getattr(cell, "place", None) for cell in build_model(spec).backbone.cells]


def test_the_layer_counts_from_zero():
    assert places(make()) == [(0, 3, 0), (1, 3, 0), (2, 3, 0)]


def test_the_direction_is_one_for_the_reverse_cell():
    assert places(make(num_layers=2, bidirectional=True)) == [(0, 2, 0), (0, 2, 1), (1, 2, 0), (1, 2, 1)]


def test_a_layer_of_a_mixed_stack_gets_its_place_in_the_whole_stack():
    assert places(make("mixed", options={"cells": ["lstm_cell", "placed", "placed"]})) == [None, (1, 3, 0), (2, 3, 0)]


def test_a_start_that_depends_on_the_layer_survives_the_meta_device_and_a_reset():
    model = build_model(make(), device="meta").to_empty(device="cpu")
    model.reset_parameters()
    assert [cell.bias.unique().tolist() for cell in model.backbone.cells] == [[0.0], [0.5], [1.0]]


def test_checks_of_a_spec_that_create_a_cell_pass_its_place():
    """The features of the output are asked for by `tie_weights`, recurrent weights by `recurrent_init`."""

    class UpperCell(PlacedCell):
        def __init__(self, input_size, hidden_size, *, layer, num_layers, **kwargs):
            super().__init__(input_size, hidden_size, layer=layer, num_layers=num_layers, **kwargs)
            if layer == 0:
                del self.weight_hh
            self.output_size = 7 if layer == num_layers - 1 else 5

    with register_kind(cell_kind(UpperCell, name="upper", summary="Other layers above.")):
        assert make("upper", input_size=7, num_embeddings=9, output_size=9, tie_weights=True)
        with pytest.raises(ValueError, match="UpperCell has no recurrent weight"):
            make("upper", options={"recurrent_init": "orthogonal"})


def test_an_option_of_the_kind_with_the_same_name_wins():
    class LayerOptions(StackOptions):
        layer: int = 17

    class OwnLayerCell(SimpleCell):
        def __init__(self, input_size, hidden_size, *, layer, bias=True, device=None, dtype=None):
            super().__init__(input_size, hidden_size, bias=bias, device=device, dtype=dtype)
            self.place = layer

    with register_kind(cell_kind(OwnLayerCell, name="own", summary="Has an option.", options=LayerOptions)):
        assert places(make("own")) == [17, 17, 17]


def test_the_conformance_kit_builds_such_cells():
    report = check_kind("placed", only=["output_shape", "layers_do_not_share_weights", "reset_parameters"])
    assert not report.failed, report


def test_the_fused_path_and_the_step_loop_agree():
    model = build_model(make(bidirectional=True), dtype=torch.float64)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    output = model(x)
    model.backbone.force_step_loop = True
    torch.testing.assert_close(model(x), output)
