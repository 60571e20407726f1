"""`cfc` computes the closed form of Hasani et al., 2022 (arXiv 2106.13898), as their package ncps has it."""

import pytest
import torch

from tests.helpers.zoo import BATCH, HIDDEN_SIZE, INPUT_SIZE, TIME, assert_equals_formula, backbone_of, cell_of


def formula(cell, x, state, elapsed=1.0):
    """The backbone reads the input and the state side by side, and four layers read the backbone."""
    (h,) = state
    joined, weight = torch.cat([x, h], -1), torch.cat([cell.weight_ih, cell.weight_hh], -1)
    value = joined @ weight.T + (0 if cell.bias is None else cell.bias)
    for layer in cell.layers:
        value = 1.7159 * torch.tanh(0.666 * value) @ layer.weight.T + (0 if layer.bias is None else layer.bias)
    ff1, ff2, time_a, time_b = value.split(HIDDEN_SIZE, -1)
    tau = 1 / (1 + torch.exp(-(time_a * elapsed + time_b)))
    if cell.mode == "default":
        h = torch.tanh(ff1) * (1 - tau) + tau * torch.tanh(ff2)
    else:
        h = torch.tanh(ff1) + tau * torch.tanh(ff2)
    return h, (h,)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mode", ["default", "no_gate"])
@pytest.mark.parametrize("layers", [0, 1, 3])
def test_cfc_equals_the_formula_of_its_authors(layers, mode, bias):
    options = {"backbone_units": 5, "backbone_layers": layers, "mode": mode}
    assert_equals_formula("cfc", formula, bias=bias, options=options)


def test_the_time_between_steps_scales_the_slope_of_the_gate():
    backbone = backbone_of("cfc", input_size=INPUT_SIZE + 1, options={"time_feature": 2, "backbone_units": 5})
    [cell] = backbone.cells
    x, elapsed = torch.randn(BATCH, TIME, INPUT_SIZE, dtype=torch.float64), torch.rand(BATCH, TIME, 1).double() * 5
    output, _ = backbone(torch.cat([x[..., :2], elapsed, x[..., 2:]], -1))
    state = cell.initial_state(BATCH, dtype=torch.float64)
    for x_t, elapsed_t, output_t in zip(x.unbind(1), elapsed.unbind(1), output.unbind(1), strict=True):
        expected, state = formula(cell, x_t, state, elapsed_t)
        torch.testing.assert_close(output_t, expected)


def test_without_time_features_a_step_takes_one_unit():
    fields = {"input_size": INPUT_SIZE + 1, "options": {"time_feature": 0}}
    irregular, regular = backbone_of("cfc", **fields), backbone_of("cfc")
    regular.load_state_dict(irregular.state_dict())
    x = torch.randn(BATCH, TIME, INPUT_SIZE, dtype=torch.float64)
    with_ones = torch.cat([torch.ones(BATCH, TIME, 1, dtype=torch.float64), x], -1)
    torch.testing.assert_close(irregular(with_ones)[0], regular(x)[0])


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_parameters_start_as_in_the_authors_code(layers):
    cell = cell_of("cfc", input_size=100, hidden_size=300, options={"backbone_units": 200, "backbone_layers": layers})
    weights = [(cell.weight_ih, 400, 200 if layers else 300), (cell.weight_hh, 400, 200 if layers else 300)]
    if layers:
        weights.append((cell.layers[-1].weight, 200, 300))
    if layers == 2:
        weights.append((cell.layers[0].weight, 200, 200))
    for weight, fan_in, fan_out in weights:  # Glorot and Bengio: uniform
        bound = (6 / (fan_in + fan_out)) ** 0.5
        assert bound * 0.99 < weight.abs().max() <= bound
        assert abs(weight.std() * 3**0.5 / bound - 1) < 0.02
    for bias, fan_in in [(cell.bias, 400), *[(layer.bias, 200) for layer in cell.layers]]:
        assert fan_in**-0.5 * 0.9 < bias.abs().max() <= fan_in**-0.5
