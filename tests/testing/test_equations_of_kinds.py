"""Each built-in kind computes the equation that its record shows: outputs, states and gradients, in float64."""

import pytest
import torch

from rnnkit import get_kind
from rnnkit.equation import Equation
from tests.helpers.models import leaves, random_state, small_input, small_model, total

GATES = {"rnn": "", "gru": "rzn", "lstm": "ifgo"}
GATES |= {f"{kind}_cell": gates for kind, gates in GATES.items()}  # in the order of torch's stacked weights
NONLINEARITIES = [{"nonlinearity": "tanh"}, {"nonlinearity": "relu"}]
TORCH = [*(("rnn", options) for options in NONLINEARITIES), ("gru", {}), ("lstm", {}), ("lstm", {"proj_size": 2})]
STACKS = [*(("rnn_cell", options) for options in NONLINEARITIES), ("gru_cell", {}), ("lstm_cell", {})]
CASES = [
    pytest.param(kind, options, way, id="-".join([kind, *map(str, options.values()), way]))
    for cases, ways in [(TORCH, ["torch"]), (STACKS, ["fused", "plain"])]
    for kind, options in cases
    for way in ways
]


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both_directions"])
@pytest.mark.parametrize(("built_in", "options", "way"), CASES)
def test_a_kind_computes_its_equation(built_in, options, way, bidirectional, bias):
    model = small_model(built_in, options=options, bidirectional=bidirectional, bias=bias, num_layers=3)
    if way == "plain":
        model.backbone.force_step_loop = True
    x, state = small_input().requires_grad_(), random_state(model)
    for part in leaves(state):
        part.requires_grad_()
    inputs = [x, *leaves(state), *model.backbone.parameters()]

    output, final = model.backbone(x, state)
    expected_output, expected_final = by_equation(model, x, state)

    torch.testing.assert_close(output, expected_output)
    torch.testing.assert_close(leaves(final), leaves(expected_final))
    torch.testing.assert_close(
        torch.autograd.grad(total(output, final), inputs),
        torch.autograd.grad(total(expected_output, expected_final), inputs),
    )


def by_equation(model, x, state):
    """The output and the final state, from the equation alone, one layer and direction after another."""
    directions = 2 if model.spec.bidirectional else 1
    per_layer = layers_of(state)
    finals = []
    for layer in range(model.spec.num_layers):
        ways = []
        for direction in range(directions):
            row = layer * directions + direction
            outputs, final = unrolled(model, row, x, per_layer[row], reverse=direction == 1)
            ways.append(outputs)
            finals.append(final)
        x = torch.cat(ways, dim=-1)
    return x, like_state(state, finals)


def unrolled(model, row, x, parts, *, reverse):
    kind = model.spec.kind
    equation, names = Equation(get_kind(kind).equation), "hc" if "lstm" in kind else "h"
    weights, projection = symbols(model, row)
    weights[r"\phi"] = getattr(torch, getattr(model.spec.options, "nonlinearity", "tanh"))
    state = dict(zip(names, parts, strict=True))
    outputs = [None] * x.shape[1]
    for t in reversed(range(x.shape[1])) if reverse else range(x.shape[1]):
        before = {f"{name}_{{t-1}}": part for name, part in state.items()}
        values = equation.evaluate(weights, {"x_t": x[:, t], **before})
        state = {name: values[f"{name}_t"] for name in names}
        if projection is not None:
            state["h"] = state["h"] @ projection.T
        outputs[t] = state["h"]
    return torch.stack(outputs, dim=1), list(state.values())


def symbols(model, row):
    """The weights of one layer and direction under the names that the equation gives them, and the projection."""
    gates, bias = GATES[model.spec.kind], model.spec.bias
    if model.spec.kind.endswith("_cell"):
        of = model.backbone.cells[row].__getattr__
        suffix = ""
    else:
        of = model.backbone.rnn.__getattr__
        directions = 2 if model.spec.bidirectional else 1
        suffix = f"_l{row // directions}" + ("_reverse" if row % directions else "")
    found = {}
    for source in "ih":
        weight = of(f"weight_{source}h{suffix}")
        biases = of(f"bias_{source}h{suffix}") if bias else torch.zeros(len(weight), dtype=weight.dtype)
        for index, gate in enumerate(gates or "h"):
            found[f"W_{{{source}{gate}}}"] = weight.chunk(len(gates) or 1)[index]
            found[f"b_{{{source}{gate}}}"] = biases.chunk(len(gates) or 1)[index]
    return found, of(f"weight_hr{suffix}") if getattr(model.spec.options, "proj_size", 0) else None


def layers_of(state):
    """For each layer and direction, its parts: torch's kinds stack them along the first axis of each part."""
    stacked = isinstance(state[0], torch.Tensor)
    return list(zip(*state, strict=True)) if stacked else list(state)


def like_state(state, finals):
    if isinstance(state[0], torch.Tensor):
        return type(state)(*(torch.stack(parts) for parts in zip(*finals, strict=True)))
    return tuple(type(state[0])(*parts) for parts in finals)
