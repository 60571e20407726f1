"""Models under tools of PyTorch that copy them or replace their modules."""

import copy

import pytest
import torch
from torch import nn
from torch.ao.quantization import quantize_dynamic
from torch.nn.utils import parametrizations, parametrize

from tests.helpers.models import leaves, small_input, small_model

LENGTHS = torch.tensor([5, 2, 0, 3])


def parametrize_first_weight(model, function):
    """Parametrize the recurrent weight of the lowest layer, or its first weight."""
    weights = [name for name, each in model.backbone.named_parameters() if each.dim() == 2]
    name = next((name for name in weights if "weight_hh" in name), weights[0])
    path, _, name = name.rpartition(".")
    function(model.backbone.get_submodule(path), name)


# torch warns that quantization moves to another package
ignore_torch_warnings = pytest.mark.filterwarnings("ignore:.*deprecated")


@pytest.mark.parametrize(
    "function",
    [parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal],
    ids=lambda function: function.__name__,
)
def test_a_parametrized_model_is_copied_after_a_call_in_training(kind, function):
    model, x = small_model(kind, dtype=torch.float32, hidden_size=8), small_input(dtype=torch.float32)
    parametrize_first_weight(model, function)
    model(x).sum().backward()
    before = {name: each.grad.clone() for name, each in model.named_parameters()}
    twin = copy.deepcopy(model)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    for each in (model, twin, averaged):
        each.eval()
    torch.testing.assert_close(twin(x), model(x))
    torch.testing.assert_close(averaged(x), model(x))
    twin.train().zero_grad()
    twin(x).sum().backward()
    assert {name for name, each in twin.named_parameters() if each.grad is not None} == before.keys()


def test_a_copy_inside_parametrize_cached_keeps_gradients():
    model, x = small_model("gru"), small_input()
    parametrize_first_weight(model, parametrizations.weight_norm)
    model(x).sum().backward()
    model.zero_grad()
    with parametrize.cached():
        copy.deepcopy(model)
        model(x).sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in model.parameters())


@ignore_torch_warnings
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "lstm_cell"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
def test_a_dynamically_quantized_model_is_close(name, bidirectional, lengths):
    changes = {"hidden_size": 32, "bidirectional": bidirectional}
    model, x = small_model(name, dtype=torch.float32, **changes).eval(), small_input(dtype=torch.float32)
    quantized = quantize_dynamic(model, {nn.LSTM, nn.GRU, nn.Linear}, dtype=torch.qint8)
    y, state = quantized(x, lengths=lengths, return_state=True)
    expected, expected_state = model(x, lengths=lengths, return_state=True)
    torch.testing.assert_close([y, *leaves(state)], [expected, *leaves(expected_state)], rtol=0, atol=0.05)
    again, _ = quantized(x, state, lengths=lengths, return_state=True)
    torch.testing.assert_close(again, model(x, expected_state, lengths=lengths), rtol=0, atol=0.05)


@ignore_torch_warnings
@pytest.mark.parametrize("default", [torch.float32, torch.float64], ids=str)
def test_a_quantized_model_keeps_its_dtype_and_device(default):
    model = small_model("gru", dtype=torch.float32).eval()
    quantized = quantize_dynamic(model, {nn.GRU, nn.Linear}, dtype=torch.qint8)
    torch.set_default_dtype(default)
    try:
        assert quantized.backbone.dtype == torch.float32
        assert quantized.initial_state(2).h_n.dtype == torch.float32
        quantized(small_input(dtype=torch.float32))
    finally:
        torch.set_default_dtype(torch.float32)
