"""Every kind under autocast on the CPU: results within the precision of its dtype, whichever kernel runs."""

import copy
import subprocess
import sys
from functools import partial

import pytest
import torch

from tests.helpers.kinds import ZOO
from tests.helpers.models import leaves, map_state, small_input, small_model, total

TOLERANCE = {torch.float16: 0.02, torch.bfloat16: 0.1}
LENGTHS = [5, 2, 0, 3]
dtypes = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
training = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
lengths_or_none = pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])


def results(model, x, lengths, state=None):
    """Return output, state and gradients in float64."""
    lengths = None if lengths is None else torch.tensor(lengths)
    y, final = model(x, state, lengths=lengths, return_state=True)
    y, final = y.double(), map_state(torch.Tensor.double, final)
    model.zero_grad()
    total(y, final).backward()
    return [y, *leaves(final), *(parameter.grad.double() for parameter in model.parameters())]


def assert_close(actual, expected, dtype):
    for each, other in zip(actual, expected, strict=True):
        scale = max(1.0, float(other.detach().abs().max()))
        torch.testing.assert_close(each, other, rtol=0, atol=TOLERANCE[dtype] * scale)


def wide(model):
    """The model in float64, by the step loop where there is one."""
    double = copy.deepcopy(model).double()
    if hasattr(double.backbone, "cells"):
        double.backbone.force_step_loop = True
    return double


@dtypes
@training
@lengths_or_none
def test_outputs_states_and_gradients_are_close_to_float64(kind, dtype, training, lengths):
    model = small_model(kind, dtype=torch.float32, bidirectional=True).train(training)
    x = small_input(dtype=torch.float32)
    expected = results(wide(model), x.double(), lengths)
    with torch.autocast("cpu", dtype=dtype):
        actual = results(model, x, lengths)
    assert_close(actual, expected, dtype)
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())


@dtypes
@lengths_or_none
def test_without_gradients_outputs_and_states_are_close_to_float64(kind, dtype, lengths):
    model, x = small_model(kind, dtype=torch.float32), small_input(dtype=torch.float32)
    lengths = None if lengths is None else torch.tensor(lengths)
    with torch.no_grad():
        expected, state = wide(model)(x.double(), lengths=lengths, return_state=True)
        with torch.autocast("cpu", dtype=dtype):
            y, final = model(x, lengths=lengths, return_state=True)
    assert_close([y.double(), *leaves(map_state(torch.Tensor.double, final))], [expected, *leaves(state)], dtype)


@dtypes
def test_the_state_of_one_call_continues_in_the_next(kind, dtype):
    model, x = small_model(kind, dtype=torch.float32), small_input(dtype=torch.float32)
    expected, state = wide(model)(x.double(), return_state=True)
    with torch.autocast("cpu", dtype=dtype):
        _, middle = model(x[:, :2], return_state=True)
        y, final = model(x[:, 2:], middle, return_state=True)
    assert_close([y.double(), *leaves(map_state(torch.Tensor.double, final))], [expected, *leaves(state)], dtype)


@dtypes
@pytest.mark.parametrize("weights", [torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_weights_of_another_dtype(kind, dtype, weights):
    model, x = small_model(kind, dtype=weights), small_input(dtype=weights)
    expected = wide(model)(x.double())
    with torch.autocast("cpu", dtype=dtype):
        y = model(x)
    assert_close([y.double()], [expected], torch.bfloat16)


STACKS = [(name, {}) for name in ("rnn_cell", "gru_cell", "lstm_cell", "mixed", *ZOO)]
OTHER_STEPS = [("gla", {"decay": "none"}), ("gated_deltanet", {"gated": False}), ("sru", {"peephole": False})]


def dtypes_of(run, x, **arguments):
    y, state = run(x, **arguments)
    return [y.dtype, *(part.dtype for part in leaves(state))]


@pytest.mark.parametrize(("name", "options"), [*STACKS, *OTHER_STEPS])
def test_the_dtypes_do_not_depend_on_the_path(name, options):
    model, x = small_model(name, dtype=torch.float32, readout="all", options=options), small_input(dtype=torch.float32)
    backbone, restarts = model.backbone, torch.zeros(x.shape[:2], dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        found = {
            "whole": dtypes_of(backbone, x),
            "lengths": dtypes_of(backbone, x, lengths=torch.tensor(LENGTHS)),
            "one step": dtypes_of(backbone, x[:, :1]),
            "states": dtypes_of(backbone.all_states, x),
        }
        restarted = dtypes_of(partial(model, return_state=True), x, restarts=restarts)
        backbone.force_step_loop = True
        found["step loop"] = dtypes_of(backbone, x)
    assert found == dict.fromkeys(found, found["whole"])
    assert restarted[1:] == found["whole"][1:]  # the readout narrows the output


# The kernels of a processor without AVX-512: oneDNN reads the variable when torch is imported.
CODE = """
import torch
from rnnkit import RecurrentSpec, build_model

x = torch.randn(4, 5, 3)
for kind in ("lstm", "lstm_cell", "mixed"):
    for dtype in (torch.bfloat16, torch.float16):
        for grad in (True, False):
            model = build_model(RecurrentSpec(kind=kind, input_size=3, hidden_size=6, num_layers=2))
            with torch.set_grad_enabled(grad):
                expected = model(x)
                with torch.autocast("cpu", dtype=dtype):
                    actual = model(x)
            torch.testing.assert_close(actual.float(), expected, rtol=0.05, atol=0.05)
"""


def test_on_a_processor_without_avx512():
    subprocess.run([sys.executable, "-c", CODE], env={"ONEDNN_MAX_CPU_ISA": "AVX2"}, check=True)
