"""A matrix cell is defined by its coefficients: its step and its chunks agree, with all that stacks offer."""

import pytest
import torch
from torch.nn import functional as F

from rnnkit import MatrixCell, RecurrentSpec, build_model, cell_kind, export_program, register_kind


class HeadDecayCell(MatrixCell):
    """One decay for each head."""

    decays = 1

    def __init__(self, input_size, hidden_size, *, heads=2, device=None, dtype=None):
        super().__init__(input_size, hidden_size, heads=heads, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(4 * hidden_size, input_size)

    def coefficients(self, x):
        q, k, v, f = F.linear(x, self.weight_ih).unflatten(-1, (4, self.heads, self.head_size)).unbind(-3)
        return q, k, v, F.logsigmoid(f[..., : self.decays])


class FeatureDecayCell(HeadDecayCell):
    """One decay for each feature of the keys."""

    decays = None


class ReadCell(HeadDecayCell):
    """The output is what the queries read, and the input."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.output_size = hidden_size + input_size

    def coefficients(self, x):
        return *super().coefficients(x), x

    def read(self, y, x):
        return torch.cat([super().read(y), x], -1)


CELLS = [HeadDecayCell, FeatureDecayCell, ReadCell]


def model_of(cell, **fields):
    with register_kind(cell_kind(cell, name="matrix", summary="A matrix for each head.")):
        spec = RecurrentSpec(kind="matrix", input_size=3, hidden_size=4, readout="all", **fields)
        return build_model(spec, dtype=torch.float64)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("lengths", [None, [70, 0, 9]])
def test_chunks_equal_steps(cell, lengths):
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


@pytest.mark.parametrize("cell", CELLS)
def test_streaming(cell):
    model = model_of(cell).eval()
    x, state, outputs = torch.randn(2, 5, 3, dtype=torch.float64), None, []
    for x_t in x.unbind(1):
        y_t, state = model.step(x_t, state)
        outputs.append(y_t)
    torch.testing.assert_close(torch.stack(outputs, 1), model(x))


def test_a_head_reads_what_an_equal_key_wrote():
    """With orthonormal keys and no decay, a query returns the value of its key."""

    class Store(HeadDecayCell):
        def coefficients(self, x):
            k = x.unflatten(-1, (1, 4)).expand(*x.shape[:-1], 2, 4)
            v = torch.stack([x, -x], -2)
            return k, k, v, torch.zeros_like(x[..., None, :1]).expand(*x.shape[:-1], 2, 1)

    cell = Store(4, 8, dtype=torch.float64)
    x = torch.eye(4, dtype=torch.float64)[:, None]
    output, state = cell.unroll(x, cell.initial_state(1, dtype=torch.float64), None)
    torch.testing.assert_close(output[:, 0], torch.cat([torch.eye(4), -torch.eye(4)], 1).double())
    torch.testing.assert_close(state.S[0], torch.stack([torch.eye(4), -torch.eye(4)]).double())


def test_heads_that_do_not_divide_the_size_are_refused():
    with pytest.raises(ValueError, match="heads must divide hidden_size, but heads=2 and hidden_size=5"):
        HeadDecayCell(3, 5)


def test_the_recurrent_init_is_refused_for_any_number_of_heads():
    with pytest.raises(ValueError, match="HeadDecayCell has no recurrent weight"):
        model_of(HeadDecayCell, options={"recurrent_init": "orthogonal"})


@pytest.mark.filterwarnings("ignore")  # torch's tracer warns about its own code
def test_exported_programs_do_not_contain_the_operator():
    program = export_program(model_of(ReadCell).float(), verify=False)
    assert "rnnkit" not in str(program.graph)
