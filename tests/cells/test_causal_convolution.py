"""A causal convolution in a cell is torch's `conv1d` over the whole sequence, however the sequence is run."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rnnkit import (
    CausalConv,
    Cell,
    ConvolvedLinearCell,
    RecurrentSpec,
    build_model,
    cell_kind,
    export_onnx,
    register_executor,
    register_kind,
)
from tests.helpers.executors import Reference

IN, HIDDEN, BATCH, TIME = 3, 4, 3, 9
LENGTHS = torch.tensor([TIME, 0, 4])


class QRNNCell(ConvolvedLinearCell):
    """The QRNN of Bradbury et al. (arXiv 1611.01576), fo-pooling, window 2."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.convolution = CausalConv(input_size, 3 * hidden_size, 2, device=device, dtype=dtype)

    def coefficients(self, x):
        z, f, o = x.chunk(3, -1)
        return torch.sigmoid(f), torch.sigmoid(-f) * torch.tanh(z), torch.sigmoid(o)

    def read(self, h, o):
        return o * h


class MappedCell(ConvolvedLinearCell):
    """A depthwise convolution behind a linear map, as in Mamba; a constant factor."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.decay = self.new_parameter(hidden_size)
        self.convolution = CausalConv(hidden_size, hidden_size, 4, depthwise=True, device=device, dtype=dtype)

    def convolution_input(self, x):
        return F.linear(x, self.weight_ih)

    def coefficients(self, x):
        return torch.sigmoid(self.decay), F.silu(x)


class TailState(NamedTuple):
    h: Tensor
    tail: Tensor


class TanhCell(Cell):
    """A cell whose step has a product with the state, so that it has no scan."""

    State = TailState
    bookkeeping = ("tail",)

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.convolution = CausalConv(input_size, hidden_size, 3, bias=False, device=device, dtype=dtype)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)

    def step(self, x_t, state):
        y, tail = self.convolution.step(x_t, state.tail)
        h = torch.tanh(y + F.linear(state.h, self.weight_hh))
        return h, TailState(h, tail)

    def state_shapes(self, batch_size):
        return super().state_shapes(batch_size)._replace(tail=self.convolution.tail_shape(batch_size))


def conv1d(convolution, x):
    """torch's convolution of one sequence, `(time, features)`, with zeros before it."""
    groups = convolution.in_channels if convolution.depthwise else 1
    padded = F.pad(x.T, (convolution.kernel_size - 1, 0))
    return F.conv1d(padded[None], convolution.weight, convolution.bias, groups=groups)[0].T


def qrnn(cell, x):
    z, f, o = conv1d(cell.convolution, x).chunk(3, -1)
    c, outputs = torch.zeros(HIDDEN, dtype=x.dtype), []
    for z_t, f_t, o_t in zip(z.tanh(), f.sigmoid(), o.sigmoid(), strict=True):
        c = f_t * c + (1 - f_t) * z_t
        outputs.append(o_t * c)
    return torch.stack(outputs)


def mapped(cell, x):
    h, outputs = torch.zeros(HIDDEN, dtype=x.dtype), []
    for u_t in F.silu(conv1d(cell.convolution, x @ cell.weight_ih.T)):
        h = cell.decay.sigmoid() * h + u_t
        outputs.append(h)
    return torch.stack(outputs)


def tanh(cell, x):
    h, outputs = torch.zeros(HIDDEN, dtype=x.dtype), []
    for y_t in conv1d(cell.convolution, x):
        h = torch.tanh(y_t + cell.weight_hh @ h)
        outputs.append(h)
    return torch.stack(outputs)


LOOP = {True: "step loop", False: "step loop (no executor is installed)"}
CELLS = {QRNNCell: qrnn, MappedCell: mapped, TanhCell: tanh}


def model_of(cell, *, force=False, dtype=torch.float64, **fields):
    with register_kind(cell_kind(cell, name="convolved", summary="With a convolution.")):
        spec = RecurrentSpec(kind="convolved", input_size=IN, hidden_size=HIDDEN, readout="all", **fields)
        model = build_model(spec, dtype=dtype)
    model.backbone.force_step_loop = force
    return model.eval()


def inputs():
    return torch.randn(BATCH, TIME, IN, dtype=torch.float64)


@pytest.fixture(params=CELLS, ids=lambda cell: cell.__name__)
def cell(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["fast", "step_loop"])
def force(request):
    return request.param


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_convolution_is_that_of_torch_in_values_and_gradients(depthwise, size):
    convolution = CausalConv(IN, IN if depthwise else 5, size, depthwise=depthwise, dtype=torch.float64)
    x, tail = torch.randn(TIME, BATCH, IN, dtype=torch.float64), torch.zeros(convolution.tail_shape(BATCH)).double()
    x.requires_grad_()
    parameters = [x, *convolution.parameters()]
    expected = torch.stack([conv1d(convolution, each) for each in x.unbind(1)], 1)
    whole, last = convolution(x, tail)
    outputs = []
    for x_t in x:
        y_t, tail = convolution.step(x_t, tail)
        outputs.append(y_t)
    torch.testing.assert_close(last, tail)
    weight = torch.randn_like(expected)
    gradients = torch.autograd.grad((expected * weight).sum(), parameters)
    for y in (whole, torch.stack(outputs)):
        torch.testing.assert_close(y, expected)
        torch.testing.assert_close(torch.autograd.grad((y * weight).sum(), parameters), gradients)


def test_a_cell_is_its_formula(cell, force):
    model, x = model_of(cell, force=force), inputs()
    expected = torch.stack([CELLS[cell](model.backbone.cells[0], each) for each in x])
    torch.testing.assert_close(model(x), expected)
    assert model.backbone.executor == ("unroll" if issubclass(cell, ConvolvedLinearCell) and not force else LOOP[force])


@pytest.fixture(autouse=True)
def _no_executor(monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")


def test_lengths_and_directions(cell, force):
    model, x = model_of(cell, force=force, bidirectional=True), inputs()
    y, state = model(x, lengths=LENGTHS, return_state=True)
    forward, reverse = model.backbone.cells
    for index, length in enumerate(LENGTHS.tolist()):
        if length == 0:
            assert not y[index].any()
            assert not state[0].tail[index].any()
            continue
        valid, kept = x[index, :length], forward.convolution.kernel_size - 1
        there, back = CELLS[cell](forward, valid), CELLS[cell](reverse, valid.flip(0)).flip(0)
        torch.testing.assert_close(y[index, :length], torch.cat([there, back], -1))
        if cell is not MappedCell:  # whose tail holds mapped inputs
            torch.testing.assert_close(state[0].tail[index], F.pad(valid, (0, 0, kept, 0))[-kept:])
            torch.testing.assert_close(state[1].tail[index], F.pad(valid.flip(0), (0, 0, kept, 0))[-kept:])


@pytest.mark.parametrize("sizes", [[1] * TIME, [4, 5], [2, 1, 6]], ids=str)
def test_chunks_are_the_whole_sequence(cell, force, sizes):
    model, x = model_of(cell, force=force, num_layers=2), inputs()
    state, outputs = None, []
    for chunk in x.split(sizes, 1):
        y, state = model(chunk, state, return_state=True)
        outputs.append(y)
    expected, final = model(x, return_state=True)
    torch.testing.assert_close(torch.cat(outputs, 1), expected)
    torch.testing.assert_close(state, final)


def test_chunks_of_different_length(cell, force):
    """A sequence that ends in the first chunk keeps its tail, and one of length 0 the tail that it was given."""
    model, x = model_of(cell, force=force), inputs()
    _, state = model(x, lengths=torch.tensor([5, 2, 1]), return_state=True)
    y, final = model(x, state, lengths=torch.tensor([4, 0, 3]), return_state=True)
    first = torch.cat([x[0, :5], x[0, :4]])[None]
    torch.testing.assert_close(y[0, :4], model(first)[0, 5:])
    torch.testing.assert_close(final[0].tail[1], state[0].tail[1])


def test_steps_of_a_stream(cell):
    model, x = model_of(cell), inputs()
    state, outputs = None, []
    for x_t in x.unbind(1):
        y_t, state = model.step(x_t, state)
        outputs.append(y_t)
    torch.testing.assert_close(torch.stack(outputs, 1), model(x))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_restart_clears_the_tail(cell, bidirectional):
    model, x = model_of(cell, bidirectional=bidirectional), inputs()
    restarts = torch.zeros(BATCH, TIME, dtype=torch.bool)
    restarts[:, 4] = restarts[:, 5] = True
    segments = [model(each) for each in x.split([4, 1, 4], 1)]
    torch.testing.assert_close(model(x, restarts=restarts), torch.cat(segments, 1))


def test_an_executor_runs_the_plan_of_a_cell_with_a_tail(monkeypatch):
    model, x = model_of(TanhCell), inputs()
    expected = model(x, lengths=LENGTHS, return_state=True)
    monkeypatch.setenv("RNNKIT_EXECUTORS", "local/reference")
    with register_executor(Reference):
        actual = model(x, lengths=LENGTHS, return_state=True)
    assert model.backbone.executor == "reference"
    torch.testing.assert_close(actual, expected)


@pytest.mark.filterwarnings("ignore")  # torch's tracer warns about its own code
def test_an_exported_model_continues_a_sequence(tmp_path):
    model = model_of(QRNNCell, dtype=torch.float32)
    assert export_onnx(model, tmp_path / "model.onnx", state=True, lengths=True).difference < 1e-5


@pytest.mark.filterwarnings("ignore")  # as above
def test_a_compiled_model_continues_a_sequence():
    model, x = model_of(TanhCell), inputs()
    _, state = model(x, return_state=True)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    actual = compiled(x, state, lengths=LENGTHS, return_state=True)
    torch.testing.assert_close(actual, model(x, state, lengths=LENGTHS, return_state=True))


def test_invalid_convolutions_are_refused():
    with pytest.raises(ValueError, match="kernel_size must be at least 1, but is 0"):
        CausalConv(2, 2, 0)
    with pytest.raises(ValueError, match="equal to out_channels, but they are 2 and 3"):
        CausalConv(2, 3, 2, depthwise=True)
