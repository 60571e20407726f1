"""Hold a cell to an independent formula, and to values that its authors' code computed."""

import json
from pathlib import Path

import torch

from rnnkit import RecurrentSpec, build_model
from tests.helpers.models import total

GOLDEN = Path(__file__).parents[1] / "golden" / "cells"
BATCH, TIME, INPUT_SIZE, HIDDEN_SIZE = 3, 7, 4, 6


def backbone_of(kind, **fields):
    """Return the backbone of one layer in float64."""
    fields = {"input_size": INPUT_SIZE, "hidden_size": HIDDEN_SIZE, **fields}
    return build_model(RecurrentSpec(kind=kind, **fields), dtype=torch.float64).backbone


def cell_of(kind, **fields):
    """Return the cell of a backbone of one layer, in float64."""
    return backbone_of(kind, **fields).cells[0]


def random_state_of(cell):
    """Return a state of positive values, as normalizers and counts are never negative."""
    parts = cell.initial_state(BATCH, dtype=torch.float64)
    return cell.State(*[torch.rand_like(part).requires_grad_() if part.is_floating_point() else part for part in parts])


def assert_equals_formula(kind, formula, *, tolerance=1e-10, state=None, **fields):
    """Assert that a layer equals `formula(cell, x_t, state)`, in outputs, final state and all gradients.

    Args:
        kind: the name of the kind.
        formula: computes the output and a tuple of the parts of the state after one step, from the parameters of a
            cell and the tuple before the step.
        tolerance: the largest absolute and relative difference.
        state: the state before the first step; None: positive random values.
        **fields: the fields of the spec.
    """
    backbone = backbone_of(kind, **fields)
    cell = backbone.cells[0]
    x = torch.randn(BATCH, TIME, backbone.input_size, dtype=torch.float64, requires_grad=True)
    state = random_state_of(cell) if state is None else state
    output, (final,) = backbone(x, (state,))
    expected, expected_final = _loop(formula, cell, x, tuple(state))
    close = {"rtol": tolerance, "atol": tolerance}
    torch.testing.assert_close(output, expected, **close)
    torch.testing.assert_close(tuple(final), expected_final, **close)
    inputs = [tensor for tensor in (x, *state, *backbone.parameters()) if tensor.requires_grad]
    gradients = _gradients(output, final, inputs)
    torch.testing.assert_close(gradients, _gradients(expected, expected_final, inputs), **close)
    assert all(gradient.abs().max() > 0 for gradient in gradients[:2])  # of the input and the state


def assert_equals_whole_sequences(kind, run, **fields):
    """Assert that a stack equals `run(cell, x)` for each sequence, and that chunks and steps of a stream equal it.

    The stacks have two layers, and one or two directions; the sequences have different lengths.

    Args:
        kind: the name of the kind.
        run: computes the output of a cell for one sequence, `(time, features)`, from zeros.
        **fields: the fields of the spec.
    """
    x, lengths = torch.randn(BATCH, TIME, INPUT_SIZE, dtype=torch.float64, requires_grad=True), [TIME, 1, 5]
    for bidirectional in (False, True):
        backbone = backbone_of(kind, num_layers=2, bidirectional=bidirectional, **fields)
        expected = torch.zeros(BATCH, TIME, backbone.features, dtype=torch.float64)
        for index, length in enumerate(lengths):
            expected[index, :length] = _run_layers(backbone, run, x[index, :length])
        inputs = [x, *backbone.parameters()]
        gradients = torch.autograd.grad(expected.square().sum(), inputs)
        for backbone.force_step_loop in (False, True):
            output, _ = backbone(x, lengths=torch.tensor(lengths))
            torch.testing.assert_close(output, expected)
            torch.testing.assert_close(torch.autograd.grad(output.square().sum(), inputs), gradients)
    for sizes in ([1] * TIME, [2, 1, TIME - 3]):
        _assert_chunks_equal_sequence(backbone_of(kind, num_layers=2, **fields), x, sizes)


def _run_layers(backbone, run, x):
    for cells in zip(*[iter(backbone.cells)] * backbone.directions, strict=True):
        outputs = [run(cells[0], x), *(run(cell, x.flip(0)).flip(0) for cell in cells[1:])]
        x = torch.cat(outputs, -1)
    return x


def _assert_chunks_equal_sequence(backbone, x, sizes):
    state, outputs = None, []
    for chunk in x.split(sizes, 1):
        output, state = backbone(chunk, state)
        outputs.append(output)
    torch.testing.assert_close((torch.cat(outputs, 1), state), backbone(x))


def _loop(formula, cell, x, state):
    outputs = []
    for x_t in x.unbind(1):
        y, state = formula(cell, x_t, state)
        outputs.append(y)
    return torch.stack(outputs, 1), tuple(state)


def _gradients(output, state, inputs):
    return torch.autograd.grad(total(output, tuple(state)), inputs, allow_unused=True, materialize_grads=True)


def assert_equals_golden(path):
    """Assert that a layer with the stored parameters computes the stored outputs and final state."""
    golden = json.loads(path.read_text())
    backbone = backbone_of(golden["kind"], **golden["fields"])
    [cell] = backbone.cells
    cell.load_state_dict({name: tensor(value) for name, value in golden["parameters"].items()})
    with torch.no_grad():
        output, (final,) = backbone(tensor(golden["x"]), (cell.State(*map(tensor, golden["state"].values())),))
    torch.testing.assert_close(output, tensor(golden["output"]), rtol=1e-9, atol=1e-9)
    assert golden["final_state"]
    for part, value in golden["final_state"].items():
        torch.testing.assert_close(getattr(final, part), tensor(value), rtol=1e-9, atol=1e-9)


def tensor(value):
    """Return a tensor in float64."""
    return torch.tensor(value, dtype=torch.float64)
