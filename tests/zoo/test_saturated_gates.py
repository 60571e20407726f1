"""A gate close to 1 leaves one minus it its digits in float32: 1 - sigmoid(18) would be rounded to 0."""

import pytest
import torch

from rnnkit import RecurrentSpec, build_model

# By kind: options, and the scales of the input and of the initial state of which the small weight takes its part.
CASES = [
    ("sru", {"highway_bias": 9.9}, 1.0, 1.0),
    ("sru", {"highway_bias": 9.9, "peephole": False}, 1.0, 1.0),
    ("sru", {"forget_bias": 18.0, "highway_bias": -10.0}, 1.0, 0.0),
    ("mingru", {"forget_bias": -18.0}, 1.0, 1e6),
    ("hgrn", {"forget_bias": -18.0}, 1.0, 1e6),
    ("ligru", {"forget_bias": 18.0}, 1e6, 1.0),
    ("ligru", {"forget_bias": -18.0}, 1.0, 1e6),
    ("peephole_lstm", {"forget_bias": 18.0, "coupled": True}, 1.0, 0.0),
]


@pytest.mark.parametrize(("name", "options", "input_scale", "state_scale"), CASES)
@pytest.mark.parametrize("force_step_loop", [False, True], ids=["default", "step_loop"])
def test_the_small_weight_is_exact(name, options, input_scale, state_scale, force_step_loop):
    size = 8
    spec = RecurrentSpec(kind=name, input_size=size, hidden_size=size, options=options)
    backbone = build_model(spec, dtype=torch.float32).backbone
    cell = backbone.cells[0]
    with torch.no_grad():  # so that the biases alone decide how far the gates are open
        for parameter in (cell.weight_ih, *cell.recurrent_weights()):
            parameter.mul_(1e-2)
            if name == "ligru":
                cell.gate_rows(parameter)["z"].zero_()
    backbone.force_step_loop = force_step_loop
    x = input_scale * torch.rand(3, 1, size)
    state = tuple(
        type(part)(*[state_scale * torch.rand_like(each) for each in part]) for part in backbone.initial_state(3)
    )
    y, (final,) = backbone(x, state)
    wide = tuple(type(part)(*[each.double() for each in part]) for part in state)
    expected, (expected_final,) = backbone.double()(x.double(), wide)
    torch.testing.assert_close(y.double(), expected, rtol=3e-5, atol=0)
    torch.testing.assert_close(tuple(map(torch.Tensor.double, final)), tuple(expected_final), rtol=3e-5, atol=0)
