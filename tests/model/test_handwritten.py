"""Each handwritten class compared with the equivalent spec: weights, outputs, gradients and shapes."""

import pytest
import torch

from rnnkit import RecurrentSpec, build_model
from tests.helpers.handwritten import HANDWRITTEN

BATCH, TIME = 3, 4
SIZES = {"input_size": 10, "hidden_size": 20, "num_layers": 2, "output_size": 5}


@pytest.fixture(params=HANDWRITTEN)
def pair(request):
    by_hand = HANDWRITTEN[request.param]
    model = build_model(RecurrentSpec(kind=request.param, options=by_hand.options, **SIZES))
    return model, by_hand.build(*SIZES.values()), by_hand


def test_same_weights_give_same_outputs_and_gradients(pair):
    model, other, by_hand = pair
    getattr(model.backbone, by_hand.ours).load_state_dict(getattr(other, by_hand.recurrent).state_dict())
    model.readout.linear.load_state_dict(other.fc.state_dict())
    x = torch.randn(BATCH, TIME, 10)
    target = torch.randn(BATCH, 5)

    torch.testing.assert_close(model(x), other(x))
    for each in pair[:2]:
        torch.nn.functional.mse_loss(each(x), target).backward()
    for parameter, expected in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected.grad)


def test_same_seed_gives_same_weights(pair):
    model, _, by_hand = pair
    torch.manual_seed(3)
    other = by_hand.build(*SIZES.values())
    torch.manual_seed(3)
    model = build_model(model.spec)
    for parameter, expected in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(parameter, expected)


def test_no_additional_parameters_or_buffers(pair):
    model, other, *_ = pair
    assert [p.shape for p in model.parameters()] == [p.shape for p in other.parameters()]
    assert not list(model.buffers())


def test_output_and_state_shapes(pair):
    model, *_ = pair
    y, state = model(torch.randn(BATCH, TIME, 10), return_state=True)
    assert y.shape == (3, 5)
    if model.spec.kind == "rnn":
        assert state.h_n.shape == (2, 3, 20)
