"""A linear cell is defined by its coefficients: its step and its scan agree, with all that stacks offer."""

import pytest
import torch
from torch.nn import functional as F

from rnnkit import ComplexLinearCell, LinearCell, RecurrentSpec, build_model, cell_kind, export_program, register_kind


class DecayCell(LinearCell):
    """h_t = a_t h_{t-1} + (1 - a_t) V x_t with a_t = sigmoid(W x_t)."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(2 * hidden_size, input_size)

    def coefficients(self, x):
        gate, value = F.linear(x, self.weight_ih).chunk(2, -1)
        a = torch.sigmoid(gate)
        return a, (1 - a) * value


class ReadCell(DecayCell):
    """The output is U h_t + x_t."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.output_size = input_size
        self.weight_out = self.new_parameter(input_size, hidden_size)

    def coefficients(self, x):
        return *super().coefficients(x), x

    def read(self, h, x):
        return F.linear(h, self.weight_out) + x


class ConstantCell(DecayCell):
    """The factor depends neither on time nor on the batch."""

    def coefficients(self, x):
        return torch.sigmoid(self.weight_ih[: self.hidden_size, 0]), super().coefficients(x)[1]


class SpiralCell(ComplexLinearCell):
    """A factor that depends on time in one half of the features, and a read of both parts of the state."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(3 * hidden_size, input_size)

    def coefficients(self, x):
        gate, b_re, b_im = F.linear(x, self.weight_ih).chunk(3, -1)
        angle = torch.arange(self.hidden_size, device=x.device, dtype=x.dtype)
        return torch.sigmoid(gate) * torch.cos(angle), torch.sigmoid(gate) * torch.sin(angle), b_re, b_im, gate

    def read(self, re, im, *inputs):
        return re * im + inputs[0]


class ConstantSpiralCell(SpiralCell):
    """The factor depends neither on time nor on the batch."""

    def coefficients(self, x):
        _, _, *others = super().coefficients(x)
        angle = self.weight_ih[: self.hidden_size, 0]
        return 0.9 * torch.cos(angle), 0.9 * torch.sin(angle), *others


CELLS = [DecayCell, ReadCell, ConstantCell, SpiralCell, ConstantSpiralCell]


def model_of(cell, **fields):
    with register_kind(cell_kind(cell, name="linear", summary="Linear.")):
        spec = RecurrentSpec(kind="linear", input_size=3, hidden_size=4, readout="all", **fields)
        return build_model(spec, dtype=torch.float64)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("lengths", [None, [70, 0, 9]])
def test_scan_equals_steps(cell, lengths):
    model = model_of(cell, num_layers=2, bidirectional=True)
    x = torch.randn(3, 70, 3, dtype=torch.float64, requires_grad=True)
    state = torch.utils._pytree.tree_map(torch.randn_like, model.initial_state(3))
    results = []
    for force in (False, True):
        model.backbone.force_step_loop = force
        y, final = model(x, state, lengths, return_state=True)
        leaves = [y, *[part for layer in final for part in layer]]
        loss = sum(leaf.square().sum() for leaf in leaves)
        results.append((leaves, torch.autograd.grad(loss, [x, *model.parameters()])))
        assert model.backbone.executor == ("step loop" if force else "unroll")
    torch.testing.assert_close(*results)


def test_recurrence_in_closed_form():
    """With a constant factor and term, h_T is the sum of a geometric series."""

    class Constant(DecayCell):
        def coefficients(self, x):
            return torch.full_like(x[..., :1], 0.5), torch.ones_like(x[..., :1]).expand(*x.shape[:-1], 4)

    y = model_of(Constant).backbone(torch.zeros(2, 100, 3, dtype=torch.float64))[0]
    expected = 2 * (1 - 0.5 ** torch.arange(1, 101, dtype=torch.float64))
    torch.testing.assert_close(y, expected[None, :, None].expand(2, 100, 4))


@pytest.mark.parametrize("cell", CELLS)
def test_streaming(cell):
    model = model_of(cell).eval()
    x, state, outputs = torch.randn(2, 5, 3, dtype=torch.float64), None, []
    for x_t in x.unbind(1):
        y_t, state = model.step(x_t, state)
        outputs.append(y_t)
    torch.testing.assert_close(torch.stack(outputs, 1), model(x))


def test_a_complex_state_is_that_of_complex_numbers():
    backbone = model_of(ConstantSpiralCell).backbone
    [cell] = backbone.cells
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    a_re, a_im, b_re, b_im, _ = cell.coefficients(x)
    s = torch.zeros(2, 4, dtype=torch.complex128)
    for b in torch.complex(b_re, b_im).unbind(1):
        s = torch.complex(a_re, a_im) * s + b
    _, (final,) = backbone(x)
    torch.testing.assert_close(torch.complex(*final), s)


def test_a_complex_cell_in_bfloat16():
    """torch has no complex numbers of two bfloat16."""
    model = model_of(SpiralCell).bfloat16()
    x = torch.randn(2, 20, 3).bfloat16()
    found = model(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), model.float()(x.float()), rtol=0.1, atol=0.1)


@pytest.mark.filterwarnings("ignore")  # torch's tracer warns about its own code
@pytest.mark.parametrize("cell", [ReadCell, SpiralCell])
def test_exported_programs_have_neither_the_operator_nor_complex_numbers(cell):
    graph = str(export_program(model_of(cell).float(), verify=False).graph)
    assert "rnnkit" not in graph
    assert "complex" not in graph
