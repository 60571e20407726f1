"""`time_feature` hands the time since the previous step to the cells of every layer and direction."""

from contextlib import ExitStack

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from rnnkit import (
    Cell,
    CellState,
    RecurrentSpec,
    build_model,
    cell_kind,
    export_onnx,
    register_executor,
    register_kind,
    summarize_spec,
)
from tests.helpers.executors import Reference

INDEX, BATCH, TIME = 1, 3, 6
LENGTHS = [TIME, 0, 4]


class LeakyCell(Cell):
    """h_t = exp(-r * elapsed) h_{t-1} + tanh(W x_t + U h_{t-1})."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)
        self.rate = self.new_parameter(hidden_size)

    def project(self, x, elapsed=1.0):
        return F.linear(x, self.weight_ih), elapsed

    def step(self, projected_t, state):
        u, elapsed = projected_t
        h = torch.exp(-self.rate.exp() * elapsed) * state.h + torch.tanh(u + F.linear(state.h, self.weight_hh))
        return h, CellState(h)


class OneRateCell(LeakyCell):
    """A cell of the same equation with an `unroll`, which must not run on elapsed times that it does not know."""

    def unroll(self, x, state, lengths):
        raise AssertionError


KINDS = {LeakyCell: "timed", OneRateCell: "unrolled"}


@pytest.fixture(autouse=True)
def _kinds(monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")
    with ExitStack() as stack:
        for cell, name in KINDS.items():
            stack.enter_context(register_kind(cell_kind(cell, name=name, summary="Reads elapsed times.")))
        yield


def spec_of(cell=LeakyCell, **fields):
    fields = {"input_size": 3, "hidden_size": 4, "readout": "all", "options": {"time_feature": INDEX}} | fields
    return RecurrentSpec(kind=KINDS[cell], **fields)


def model_of(cell=LeakyCell, *, dtype=torch.float64, **fields):
    return build_model(spec_of(cell, **fields), dtype=dtype).eval()


def inputs(time=TIME, dtype=torch.float64):
    x = torch.randn(BATCH, time, 3, dtype=dtype)
    x[..., INDEX] = torch.rand(BATCH, time) * 2 + 0.1
    return x


def by_formula(cell, x, elapsed):
    h, outputs = torch.zeros(4, dtype=x.dtype), []
    for x_t, elapsed_t in zip(x, elapsed, strict=True):
        h = (-cell.rate.exp() * elapsed_t).exp() * h + torch.tanh(cell.weight_ih @ x_t + cell.weight_hh @ h)
        outputs.append(h)
    return torch.stack(outputs)


def bidirectional_by_formula(cells, x):
    """One sequence with times of its own, computed from the times at which its steps are."""
    clock = x[:, INDEX].cumsum(0)
    x, first = x[:, [0, 2]], x[:1, INDEX]
    for forward, reverse in zip(cells[::2], cells[1::2], strict=True):
        there = by_formula(forward, x, torch.cat([first, clock.diff()]))
        back = by_formula(reverse, x.flip(0), torch.cat([first, -clock.flip(0).diff()])).flip(0)
        x = torch.cat([there, back], -1)
    return x


def test_each_layer_takes_the_elapsed_time():
    model, x = model_of(num_layers=2), inputs()
    assert [cell.input_size for cell in model.backbone.cells] == [2, 4]
    for row, y in zip(x, model(x), strict=True):
        lower = by_formula(model.backbone.cells[0], row[:, [0, 2]], row[:, INDEX])
        torch.testing.assert_close(y, by_formula(model.backbone.cells[1], lower, row[:, INDEX]))


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_the_reverse_direction_takes_the_time_between_the_same_steps(lengths):
    model, x = model_of(num_layers=2, bidirectional=True), inputs()
    y = model(x, lengths=lengths)
    for row, actual, length in zip(x, y, lengths or [TIME] * BATCH, strict=True):
        if length:
            torch.testing.assert_close(actual[:length], bidirectional_by_formula(model.backbone.cells, row[:length]))
        assert not actual[length:].any()


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_segments_between_restarts_are_sequences_of_their_own(lengths):
    model, x = model_of(bidirectional=True), inputs()
    restarts = torch.zeros(BATCH, TIME, dtype=torch.bool)
    restarts[:, 2] = restarts[:, 3] = True
    y = model(x, restarts=restarts, lengths=lengths)
    for row, actual, length in zip(x, y, lengths or [TIME] * BATCH, strict=True):
        segments = [each for each in row[:length].tensor_split([2, 3]) if len(each)]
        expected = [bidirectional_by_formula(model.backbone.cells, each) for each in segments]
        if expected:
            torch.testing.assert_close(actual[:length], torch.cat(expected))


def test_without_the_option_each_step_takes_one_unit_of_time():
    model, x = model_of(options={}), inputs()
    for row, y in zip(x, model(x), strict=True):
        torch.testing.assert_close(y, by_formula(model.backbone.cells[0], row, torch.ones(TIME)))


def test_all_ways_to_run_a_model_agree():
    model, x = model_of(num_layers=2), inputs()
    expected, final = model(x, return_state=True)
    y, state = model(x[:, :2], return_state=True)
    outputs = [y]
    for x_t in x[:, 2:].unbind(1):
        y_t, state = model.step(x_t, state)
        outputs.append(y_t[:, None])
    torch.testing.assert_close(torch.cat(outputs, 1), expected)
    torch.testing.assert_close(state, final)
    torch.testing.assert_close(model.backbone.all_states(x)[1][1].h, expected)
    seen = []
    model.backbone.cells[1].register_forward_hook(lambda _cell, _inputs, result: seen.append(result[0]))
    torch.testing.assert_close(model(x), expected)
    torch.testing.assert_close(torch.stack(seen, 1), expected)


def test_a_cell_runs_alone_with_the_elapsed_time_as_its_last_feature():
    model, x = model_of(), inputs()
    y, _ = model.backbone.cells[0](x[:, 0][:, [0, 2, INDEX]])
    torch.testing.assert_close(y, model(x)[:, 0])


def test_an_executor_runs_the_plan(monkeypatch):
    model, x = model_of(bidirectional=True), inputs(20)
    expected = model(x, return_state=True)
    monkeypatch.setenv("RNNKIT_EXECUTORS", "local/reference")
    with register_executor(Reference):
        actual = model(x, return_state=True)
    assert model.backbone.executor == "reference"
    torch.testing.assert_close(actual, expected)


def test_an_unroll_of_the_cell_does_not_run():
    x = inputs()
    assert model_of(OneRateCell)(x).isfinite().all()
    with pytest.raises(AssertionError):
        model_of(OneRateCell, options={})(x)


@pytest.mark.filterwarnings("ignore")  # torch's tracer warns about its own code
def test_an_exported_model_reads_elapsed_times(tmp_path):
    model = model_of(bidirectional=True, dtype=torch.float32)
    assert export_onnx(model, tmp_path / "model.onnx", lengths=True).difference < 1e-5


@pytest.mark.filterwarnings("ignore")  # as above
def test_a_compiled_model_reads_elapsed_times():
    model, x = model_of(bidirectional=True), inputs()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, lengths=torch.tensor(LENGTHS)), model(x, lengths=LENGTHS))


def test_a_summary_counts_the_features_that_the_cell_reads():
    summary = summarize_spec(spec_of())
    assert summary.parameters == 4 * 2 + 4 * 4 + 4


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"input_size": 1}, "time_feature=1 must be the index of an input feature, below input_size=1"),
        ({"options": {"time_feature": 3}}, "time_feature=3 must be the index of an input feature, below input_size=3"),
        ({"options": {"time_feature": 0}, "input_size": 1}, "leaves no other input feature with input_size=1"),
        ({"options": {"time_feature": -1}}, "greater than or equal to 0"),
        ({"num_embeddings": 5}, "num_embeddings makes the input token ids"),
    ],
)
def test_specs_that_the_option_does_not_fit_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        spec_of(**fields)


@pytest.mark.parametrize("name", ["gru_cell", "lstm_cell", "rnn_cell", "mixed"])
def test_cells_that_take_no_elapsed_time_refuse_the_option(name):
    with pytest.raises(ValidationError, match="takes no elapsed time: leave it at None") as caught:
        RecurrentSpec(kind=name, input_size=3, hidden_size=4, options={"time_feature": 1})
    (error,) = caught.value.errors()
    assert error["loc"] == ("options", "time_feature")
    assert error["input"] == 1
