"""Correct cells that are unlike the built-in kinds pass the checks."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rnnkit import Backbone, Kind, cell_kind
from tests.helpers.healthy import (
    CO_RNN_EQUATION,
    HEADS_EQUATION,
    BandCell,
    BandOptions,
    CoRNNCell,
    EchoStateCell,
    HeadsCell,
    LinearAttentionCell,
)
from tests.helpers.planted import result_of

SUMMARY = "A kind of a test."
CO_RNN = cell_kind(CoRNNCell, name="cornn", summary=SUMMARY, equation=CO_RNN_EQUATION)
HEADS = cell_kind(HeadsCell, name="heads", summary=SUMMARY, equation=HEADS_EQUATION)
ECHO_STATE = cell_kind(EchoStateCell, name="esn", summary=SUMMARY)
LINEAR_ATTENTION = cell_kind(LinearAttentionCell, name="linear", summary=SUMMARY)
BAND = cell_kind(
    BandCell, name="band", summary=f"{SUMMARY[:-1]}, {'with many words, ' * 8}in one sentence.", options=BandOptions
)


@pytest.mark.parametrize(
    ("record", "check", "figure", "words"),
    [
        (CO_RNN, "loss_decreases", "loss with a fitted readout", "in 30 steps"),
        (CO_RNN, "step_matches_equation", "", ""),
        (HEADS, "step_matches_equation", "", ""),
        (ECHO_STATE, "loss_decreases", "loss with a fitted readout", "in 1 steps"),
        (ECHO_STATE, "every_parameter_is_trained", "", ""),
        (LINEAR_ATTENTION, "dropout_between_layers", "zero input", "dropout=0.5 shows"),
        (BAND, "options_are_validated", "", ""),
        (BAND, "record_is_complete", "", ""),
    ],
    ids=lambda each: each if isinstance(each, str) else each.name,
)
def test_healthy_cells_pass_and_the_report_says_how_they_were_tested(record, check, figure, words):
    result = result_of(record, check, spec={"num_layers": 1} if check == "loss_decreases" else None)
    assert result.outcome == "passed", result.reason
    assert words in str(result.figures.get(figure, ""))


class DropsItsOutput(LinearAttentionCell):
    def step(self, projected_t, state):
        output, state = super().step(projected_t, state)
        return F.dropout(output, 0.5, self.training), state


def test_dropout_of_the_last_output_is_found_where_zeros_give_zeros():
    result = result_of(cell_kind(DropsItsOutput, name="drops", summary=SUMMARY), "dropout_between_layers")
    assert result.outcome == "failed"
    assert "of the last output are dropped" in result.reason


class NotInBfloat16(LinearAttentionCell):
    def __init__(self, *sizes, dtype=None, **arguments):
        super().__init__(*sizes, dtype=dtype, **arguments)
        if (dtype or torch.get_default_dtype()) == torch.bfloat16:
            raise RuntimeError('"linalg_eig_cpu" not implemented for BFloat16')


class NeverInBfloat16(LinearAttentionCell):
    def step(self, projected_t, state):
        if projected_t.dtype == torch.bfloat16:
            raise RuntimeError('"linalg_eig_cpu" not implemented for BFloat16')
        return super().step(projected_t, state)


@pytest.mark.parametrize(("cell", "doing"), [(NotInBfloat16, "building"), (NeverInBfloat16, "computing")])
def test_building_and_computing_in_bfloat16_have_one_outcome(cell, doing):
    result = result_of(cell_kind(cell, name="narrow", summary=SUMMARY), "dtype_is_consistent")
    assert result.outcome == "not applicable"
    assert f"{doing} in torch.bfloat16 raised RuntimeError" in result.reason


class FixesTheBatch(LinearAttentionCell):
    def step(self, projected_t, state):
        output, state = super().step(projected_t, state)
        return output + torch.zeros(len(projected_t), int(projected_t.shape[1]) // 3).to(output), state


def test_the_report_warns_of_sizes_that_torch_export_fixes():
    note = result_of(cell_kind(FixesTheBatch, name="fixes", summary=SUMMARY), "output_shape").figures
    first, second = "len(projected_t) in FixesTheBatch.step", "int(projected_t.shape[1]) in FixesTheBatch.step"
    assert note["fixed by torch.export"] == f"{first}, {second}: write x.shape[0]"
    assert "fixed by torch.export" not in result_of(LINEAR_ATTENTION, "output_shape").figures


class OddlyNamed(Backbone):
    """A backbone that is not a stack of cells, with an attribute `cells`."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_size * spec.directions)
        sizes = spec.input_size, spec.hidden_size, spec.num_layers
        flags = {"bias": spec.bias, "dropout": spec.dropout, "bidirectional": spec.bidirectional}
        self.cells = nn.GRU(*sizes, **flags, device=device, dtype=dtype)

    def state_shapes(self, batch_size):
        return torch.Size((self.cells.num_layers * (1 + self.cells.bidirectional), batch_size, self.cells.hidden_size))

    def run(self, x, state, lengths):
        x = x.transpose(0, 1) if self.batch_first else x
        output, state = self.cells(x, state)
        return (output.transpose(0, 1) if self.batch_first else output), state


@pytest.mark.parametrize("check", ["directions_are_symmetric", "dropout_between_layers"])
def test_a_backbone_with_an_attribute_cells_is_not_a_stack(check):
    result = result_of(Kind(name="oddly", builder=OddlyNamed, summary=SUMMARY), check)
    assert result.outcome == "passed", result.reason
