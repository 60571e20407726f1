"""`torch.utils.checkpoint`: the gradient of a returned state is right, or the call is refused."""

from functools import partial

import pytest
import torch
from torch.nn.utils.rnn import pack_sequence
from torch.utils.checkpoint import checkpoint

from rnnkit import StepError
from tests.helpers.models import random_state, small_input, small_model, total


def gradients(model, x, y, final):
    return torch.autograd.grad(total(y, final), [x, *model.parameters()], materialize_grads=True)


@pytest.mark.parametrize("name", ["lstm", "gru_cell"])
def test_checkpoint_keeps_the_gradient_of_the_state(name):
    model = small_model(name, bidirectional=True)
    x, state = small_input().requires_grad_(), random_state(model)

    expected = gradients(model, x, *model(x, state, return_state=True))
    result = checkpoint(model, x, state, return_state=True, use_reentrant=False)
    torch.testing.assert_close(gradients(model, x, *result), expected)


# Every public call that returns a state.
CALLS = {
    "model": lambda model, x: model(x, return_state=True),
    "packed": lambda model, x: model(pack_sequence([*x]), return_state=True),
    "step": lambda model, x: model.step(x[:, 0]),
    "step_module": lambda model, x: model.step_module()(x[:, 0], *model.step_module().initial_state(len(x))),
    "backbone": lambda model, x: model.backbone(x),
    "forward": lambda model, x: model.backbone.forward(2 * x),
    "all_states": lambda model, x: model.backbone.all_states(x),
    "cell": lambda model, x: model.backbone.cells[0](x[:, 0]),
}


@pytest.mark.parametrize("name", ["lstm", "gru_cell"])
@pytest.mark.parametrize("call", CALLS)
def test_checkpoint_that_would_drop_the_gradient_of_the_state_is_refused(call, name):
    if call in {"all_states", "cell"} and name == "lstm":
        pytest.skip("it has no cells")
    model = small_model(name, bidirectional=False)
    with pytest.raises(StepError, match="use_reentrant=False"):
        checkpoint(partial(CALLS[call], model), small_input().requires_grad_(), use_reentrant=True)


def test_checkpoint_of_a_model_whose_cells_have_hooks():
    model = small_model("gru_cell")
    model.backbone.cells[0].register_forward_hook(lambda *_: None)
    x = small_input().requires_grad_()
    checkpoint(model, x, use_reentrant=True).sum().backward()
    assert x.grad.abs().min() > 0


def test_reentrant_checkpoint_without_the_state():
    model = small_model("gru")
    x = small_input().requires_grad_()
    checkpoint(model, x, use_reentrant=True).sum().backward()
    (expected,) = torch.autograd.grad(model(x).sum(), x)
    torch.testing.assert_close(x.grad, expected)


def test_states_without_gradients_are_not_refused():
    model = small_model("gru", bidirectional=False)
    x = small_input().requires_grad_()
    with torch.no_grad():
        y, state = model(x, return_state=True)
        model.step(x[:, 0], state)
    assert not y.requires_grad


# A compiled model in a checkpoint, and a compiled function with one


def compiled(function, **settings):
    torch.compiler.reset()
    return torch.compile(function, backend="aot_eager", fullgraph=True, **settings)


COMPILED = {
    "model": lambda model: partial(compiled(model), return_state=True),
    "step": lambda model: lambda x: compiled(model.step)(x[:, 0]),
    "all_states": lambda model: compiled(model.backbone.all_states),
}


@pytest.mark.parametrize("make", COMPILED.values(), ids=COMPILED)
def test_compiled_model_in_a_checkpoint_is_refused(make):
    function, x = make(small_model("gru_cell", bidirectional=False)), small_input().requires_grad_()
    with torch.no_grad():
        function(x.detach())
    with pytest.raises(StepError, match="use_reentrant=False"):
        checkpoint(lambda x: function(2 * x), x, use_reentrant=True)


def test_compiled_model_in_a_checkpoint_without_the_state():
    model, x = small_model("gru"), small_input().requires_grad_()
    checkpoint(compiled(model), x, use_reentrant=True).sum().backward()
    (expected,) = torch.autograd.grad(model(x).sum(), x)
    torch.testing.assert_close(x.grad, expected)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_compiled_function_with_a_checkpoint_keeps_the_gradient(use_reentrant):
    model, x = small_model("gru_cell", bidirectional=True), small_input().requires_grad_()
    function = compiled(partial(checkpoint, model, return_state=True, use_reentrant=use_reentrant))
    torch.testing.assert_close(gradients(model, x, *function(x)), gradients(model, x, *model(x, return_state=True)))
