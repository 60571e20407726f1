"""Correct cells that are unlike the built-in kinds pass the checks."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rnnkit import Backbone, Cell, CellState, GatedCell, Kind, Problem, cell_kind, register_kind
from rnnkit.testing._runner import make_kind_under_test
from tests.helpers.healthy import (
    CO_RNN_EQUATION,
    HEADS_EQUATION,
    BandCell,
    BandOptions,
    CoRNNCell,
    EchoStateCell,
    HeadsCell,
    HeadsOptions,
    LinearAttentionCell,
    SplitCell,
    heads_problems,
)
from tests.helpers.planted import report_of, result_of

SUMMARY = "A kind of a test."
CO_RNN = cell_kind(CoRNNCell, name="slow_oscillators", summary=SUMMARY, equation=CO_RNN_EQUATION)
HEADS = cell_kind(HeadsCell, name="heads", summary=SUMMARY, equation=HEADS_EQUATION)
ECHO_STATE = cell_kind(EchoStateCell, name="reservoir", summary=SUMMARY)
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


class StronglyConnectedCell(GatedCell):
    """Its new values read the state by a matrix with a large diagonal."""

    gates = "gn"
    forget_gate = "g"

    def __init__(self, *sizes, **arguments):
        super().__init__(*sizes, **arguments)
        with torch.no_grad():
            self.weight_hh.chunk(2)[1].fill_(0.5)

    def step(self, projected_t, state):
        g, n = self.pre_activations(projected_t, state.h)
        h = torch.lerp(torch.tanh(n), state.h, torch.sigmoid(g))
        return h, CellState(h)


def test_a_shut_forget_gate_erases_a_state_that_the_new_values_read():
    record = cell_kind(StronglyConnectedCell, name="connected", summary=SUMMARY)
    result = result_of(record, "forget_bias_opens_forget_gate")
    assert result.outcome == "passed", result.reason


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


class HighwayCell(Cell):
    """Its output is a mix of its input and its state."""

    State = CellState

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        if input_size != hidden_size:
            raise ValueError(f"input_size must be {hidden_size}, but is {input_size}")
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.inner = nn.GRUCell(input_size, hidden_size, device=device, dtype=dtype)

    def step(self, projected_t, state):
        h = self.inner(projected_t, state.h)
        return projected_t * torch.sigmoid(h) + h, CellState(h)

    def recurrent_weights(self):
        return [self.inner.weight_hh]


def of_equal_sizes(spec):
    inputs = [spec.input_size, *(spec.directions * size for size in spec.hidden_sizes)]
    if any(of_input != of_state for of_input, of_state in zip(inputs, spec.hidden_sizes, strict=False)):
        yield Problem("hidden_size", "the sizes of input and state must be equal")


@pytest.mark.parametrize(
    "check", ["fields_take_effect", "hidden_size_per_layer", "options_take_effect", "output_shape"]
)
def test_a_kind_whose_input_and_state_have_one_size_passes(check):
    """`hidden_size=[8, 16]` fits with two directions alone, which double the input of the second layer."""
    result = result_of(cell_kind(HighwayCell, name="highway", summary=SUMMARY, check=of_equal_sizes), check)
    not_applicable = check == "hidden_size_per_layer"
    assert result.outcome == ("not applicable" if not_applicable else "passed"), result.reason


def test_the_report_warns_of_sizes_that_torch_export_fixes():
    note = result_of(cell_kind(FixesTheBatch, name="fixes", summary=SUMMARY), "output_shape").figures
    first, second = "len(projected_t) in FixesTheBatch.step", "int(projected_t.shape[1]) in FixesTheBatch.step"
    assert note["fixed by torch.export"] == f"{first}, {second}: write x.shape[0]"
    assert "fixed by torch.export" not in result_of(LINEAR_ATTENTION, "output_shape").figures


UNCHECKED = cell_kind(SplitCell, name="split", summary=SUMMARY, options=HeadsOptions)
CHECKED = cell_kind(SplitCell, name="split", summary=SUMMARY, options=HeadsOptions, check=heads_problems)


def test_values_that_cannot_be_built_are_one_finding():
    report = report_of(UNCHECKED, "valid_specs_build_and_run", "output_shape", "options_take_effect", "zero_length*")
    [failed] = report.failed
    assert failed.check.name == "valid_specs_build_and_run"
    first, *rest = failed.reason.split(": ")
    assert first == "options.heads takes values that cannot be built or run"
    assert rest[0] == "options.heads=4 raised ValueError"
    assert failed.reason.endswith("reject them in `check`, or with a narrower type")


def test_values_that_the_kind_rejects_are_skipped_and_others_are_tested():
    report = report_of(CHECKED, "valid_specs_build_and_run", "output_shape", "options_take_effect")
    report.require()
    assert len(report.passed) == 3
    with register_kind(CHECKED) as kind:
        variants = make_kind_under_test(kind.name).variants
    assert [each["options"]["heads"] for each in variants if each.get("options")] == [2, 3]


def test_the_report_says_if_the_kind_rejects_every_value_of_an_option():
    odd = cell_kind(
        SplitCell,
        name="odd",
        summary=SUMMARY,
        options=HeadsOptions,
        check=lambda spec: [Problem("options.heads", "too many")] if spec.options.heads > 1 else [],
    )
    report = report_of(odd, "options_take_effect")
    assert any("options.heads: the kind rejects all values that were tried" in each for each in report.warnings)


def test_a_check_that_the_kind_declares_inapplicable_is_not_run():
    reason = "Its weights are not trained."
    kind = cell_kind(SplitCell, name="fixed", summary=SUMMARY, inapplicable_checks={"loss_decreases": reason})
    result = result_of(kind, "loss_decreases")
    assert (result.outcome, result.reason) == ("not applicable", reason)


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
