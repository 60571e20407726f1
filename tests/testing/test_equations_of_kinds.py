"""Each built-in kind computes the equation of its record: outputs, states and gradients, in float64."""

import pytest
import torch

from rnnkit import get_kind
from rnnkit.equation import Equation
from tests.helpers.models import leaves, random_state, small_input, small_model, total

GATES = {"rnn": "", "gru": "rzn", "lstm": "ifgo"}
GATES |= {f"{kind}_cell": gates for kind, gates in GATES.items()}  # in the order of torch's weights
NONLINEARITIES = [{"nonlinearity": "tanh"}, {"nonlinearity": "relu"}]
TORCH = [*(("rnn", options) for options in NONLINEARITIES), ("gru", {}), ("lstm", {}), ("lstm", {"proj_size": 2})]
STACKS = [*(("rnn_cell", options) for options in NONLINEARITIES), ("gru_cell", {}), ("lstm_cell", {})]
CASES = [
    pytest.param(kind, options, path, id="-".join([kind, *map(str, options.values()), path]))
    for cases, paths in [(TORCH, ["torch"]), (STACKS, ["fused", "step_loop"])]
    for kind, options in cases
    for path in paths
]


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize(("built_in", "options", "path"), CASES)
def test_kinds_compute_their_equations(built_in, options, path, bidirectional, bias):
    model = small_model(built_in, options=options, bidirectional=bidirectional, bias=bias, num_layers=3)
    if path == "step_loop":
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
    """The output and the final state from the equation, one layer and direction after another."""
    directions = 2 if model.spec.bidirectional else 1
    per_layer = layers_of(state)
    finals = []
    for layer in range(model.spec.num_layers):
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            output, final = unroll(model, index, x, per_layer[index], reverse=direction == 1)
            outputs.append(output)
            finals.append(final)
        x = torch.cat(outputs, dim=-1)
    return x, like_state(state, finals)


def unroll(model, index, x, parts, *, reverse):
    kind = model.spec.kind
    equation, names = Equation(get_kind(kind).equation), "hc" if "lstm" in kind else "h"
    weights, projection = symbols(model, index)
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


def symbols(model, index):
    """The weights of one layer and direction by their symbols in the equation, and the projection."""
    gates, bias = GATES[model.spec.kind], model.spec.bias
    if model.spec.kind.endswith("_cell"):
        of = model.backbone.cells[index].__getattr__
        suffix = ""
    else:
        of = model.backbone.rnn.__getattr__
        directions = 2 if model.spec.bidirectional else 1
        suffix = f"_l{index // directions}" + ("_reverse" if index % directions else "")
    found = {}
    for source in "ih":
        weight = of(f"weight_{source}h{suffix}")
        biases = of(f"bias_{source}h{suffix}") if bias else torch.zeros(len(weight), dtype=weight.dtype)
        for place, gate in enumerate(gates or "h"):
            found[f"W_{{{source}{gate}}}"] = weight.chunk(len(gates) or 1)[place]
            found[f"b_{{{source}{gate}}}"] = biases.chunk(len(gates) or 1)[place]
    return found, of(f"weight_hr{suffix}") if getattr(model.spec.options, "proj_size", 0) else None


def layers_of(state):
    """The state of each layer and direction; kinds of torch modules stack them along the first axis."""
    stacked = isinstance(state[0], torch.Tensor)
    return list(zip(*state, strict=True)) if stacked else list(state)


def like_state(state, finals):
    if isinstance(state[0], torch.Tensor):
        return type(state)(*(torch.stack(parts) for parts in zip(*finals, strict=True)))
    return tuple(type(state[0])(*parts) for parts in finals)
