"""`torch.utils.checkpoint`: the gradient of a returned state is right, or the call is refused."""

import pytest
import torch
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


@pytest.mark.parametrize("name", ["lstm", "gru_cell"])
def test_checkpoint_that_would_drop_the_gradient_of_the_state_is_refused(name):
    model = small_model(name, bidirectional=False)
    x = small_input().requires_grad_()
    calls = [
        lambda x: model(x, return_state=True),
        lambda x: model.step(x[:, 0]),
        model.backbone,
        lambda x: model.backbone(2 * x),
    ]
    for call in calls:
        with pytest.raises(StepError, match="use_reentrant=False"):
            checkpoint(call, x, use_reentrant=True)


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
