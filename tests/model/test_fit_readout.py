"""`fit_readout` solves a ridge regression on the features that the readout reads."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from rnnkit import InputError, RecurrentSpec, build_model, fit_readout

BATCH, TIME, FEATURES, OUTPUTS = 5, 9, 4, 2


def model_of(readout="all", **fields):
    fields = {"kind": "gru", "input_size": 3, "hidden_size": FEATURES, "output_size": OUTPUTS, **fields}
    return build_model(RecurrentSpec(readout=readout, **fields), dtype=torch.float64)


def data():
    return torch.randn(BATCH, TIME, 3, dtype=torch.float64), torch.randn(BATCH, TIME, OUTPUTS, dtype=torch.float64)


def closed_form(features, targets, ridge):
    """The weight and the bias by the normal equations, in which the bias is a column of ones that is not penalized."""
    columns = np.concatenate([features.detach().numpy(), np.ones((len(features), 1))], 1)
    penalty = ridge * np.diag([1.0] * features.shape[1] + [0.0])
    solution = np.linalg.solve(columns.T @ columns + penalty, columns.T @ targets.numpy())
    return torch.from_numpy(solution[:-1].T.copy()), torch.from_numpy(solution[-1])


def assert_is_closed_form(model, features, targets, ridge):
    weight, bias = closed_form(features, targets, ridge)
    torch.testing.assert_close(model.readout.linear.weight.data, weight)
    torch.testing.assert_close(model.readout.linear.bias.data, bias)


@pytest.mark.parametrize("ridge", [0.0, 1e-6, 0.5, 100.0])
def test_the_linear_layer_is_the_closed_form(ridge):
    model, (x, y) = model_of(), data()
    fit_readout(model, x, y, ridge=ridge)
    assert_is_closed_form(model, model.backbone(x)[0].flatten(0, 1), y.flatten(0, 1), ridge)


@pytest.mark.parametrize("batch_first", [True, False])
def test_padding_and_washout_are_left_out(batch_first):
    model, (x, y) = model_of(batch_first=batch_first), data()
    lengths = [9, 4, 2, 0, 7]
    for sequence, length in enumerate(lengths):
        x[sequence, length:] = torch.nan
        y[sequence, length:] = torch.nan
    features = torch.cat([run(model, x[i, :n])[2:] for i, n in enumerate(lengths) if n])
    targets = torch.cat([y[i, 2:n] for i, n in enumerate(lengths)])
    assert len(targets) == 7 + 2 + 0 + 0 + 5
    pair = (x, y) if batch_first else (x.transpose(0, 1), y.transpose(0, 1))
    fit_readout(model, *pair, ridge=0.1, washout=2, lengths=lengths)
    assert_is_closed_form(model, features, targets, 0.1)


def run(model, x):
    """Return the output of the backbone for one sequence, `(time, features)`."""
    batch_axis = 0 if model.spec.batch_first else 1
    return model.backbone(x.unsqueeze(batch_axis))[0].squeeze(batch_axis)


@pytest.mark.parametrize("readout", ["last", "mean", "max"])
def test_a_readout_over_time_is_fitted_to_one_target_for_each_sequence(readout):
    model = model_of(readout, bidirectional=True)
    x, y = torch.randn(40, TIME, 3, dtype=torch.float64), torch.randn(40, OUTPUTS, dtype=torch.float64)
    lengths = torch.randint(1, TIME + 1, (40,))
    fit_readout(model, x, y, ridge=0.1, lengths=lengths)
    headless = build_model(replace(model.spec, output_size=None), dtype=torch.float64)
    headless.backbone.load_state_dict(model.backbone.state_dict())
    assert_is_closed_form(model, headless(x, lengths=lengths), y, 0.1)


def test_a_function_of_the_features_is_found_again():
    model, (x, _) = model_of(), data()
    y = model(x).detach()
    wanted = [parameter.clone() for parameter in model.readout.parameters()]
    for parameter in model.readout.parameters():
        torch.nn.init.zeros_(parameter)
    fit_readout(model, x, y, ridge=0)
    torch.testing.assert_close([*model.readout.parameters()], wanted)


def test_features_that_are_equal_get_equal_weights():
    model, (x, y) = model_of(), data()
    for parameter in model.backbone.parameters():  # all features are the same
        parameter.data.fill_(0.1)
    fit_readout(model, x, y, ridge=0)
    weight = model.readout.linear.weight.data
    assert weight.abs().max() > 0
    torch.testing.assert_close(weight, weight[:, :1].expand_as(weight))


def test_the_state_is_that_before_the_first_step():
    model, (x, y) = model_of(), data()
    state = model(torch.randn_like(x), return_state=True)[1]
    fit_readout(model, x, y, ridge=0.1, state=state)
    assert_is_closed_form(model, model.backbone(x, state)[0].flatten(0, 1), y.flatten(0, 1), 0.1)


def test_the_backbone_and_the_modes_stay_as_they_are():
    model, (x, y) = model_of(readout_dropout=0.5, num_layers=2, dropout=0.5), data()
    model.train()
    model.backbone.eval()
    before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
    fit_readout(model, x, y, ridge=0.1)
    assert model.training
    assert model.readout.training
    assert not model.backbone.training
    assert all(torch.equal(value, before[name]) for name, value in model.backbone.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert_is_closed_form(model, model.backbone(x)[0].flatten(0, 1), y.flatten(0, 1), 0.1)  # without dropout


def test_a_model_in_float32_is_fitted_in_float64():
    model, (x, y) = model_of(), data()
    narrow = model_of().float()
    narrow.load_state_dict(model.state_dict())
    fit_readout(model, x, y, ridge=1e-3)
    fit_readout(narrow, x.float(), y.float(), ridge=1e-3)
    torch.testing.assert_close(narrow.readout.linear.weight.double(), model.readout.linear.weight, atol=1e-4, rtol=1e-4)


def test_errors_say_what_to_do():
    model, (x, y) = model_of(), data()
    for arguments, message in (
        ({"y": y[:, :-1]}, r"shape \(5, 9, 2\) of the output, but has \(5, 8, 2\)"),
        ({"ridge": -1.0}, "at least 0, but is -1.0"),
        ({"ridge": float("nan")}, "at least 0, but is nan"),
        ({"ridge": "a"}, "ridge must be a finite number of at least 0, but is 'a'"),
        ({"ridge": None}, "at least 0, but is None"),
        ({"ridge": True}, "at least 0, but is True"),
        ({"washout": -1}, "washout must be an integer of at least 0, but is -1"),
        ({"washout": 2.5}, "washout must be an integer of at least 0, but is 2.5"),
        ({"washout": "2"}, "washout must be an integer of at least 0, but is '2'"),
        ({"washout": True}, "washout must be an integer of at least 0, but is True"),
        ({"y": y.numpy()}, r"y must be a tensor, but is a NumPy array .*: convert it, as in torch.from_numpy\(y\)"),
        ({"y": y.tolist()}, r"y must be a tensor, but is a list of 5: convert it, as in torch.tensor\(y\)"),
        ({"y": None}, "y must be a tensor, but is None"),
        ({"y": y + 1j}, "y must be real, but is a torch.complex128 tensor .*: fit y.real and y.imag as two outputs"),
        ({"model": nn.Sequential(model)}, r"must be a RecurrentModel, .* but is a Sequential: .* such as model\[0\]"),
        ({"model": model.backbone}, "must be a RecurrentModel, .* but is a GRUBackbone"),
        ({"washout": 9}, "washout=9 is not less than the length of any sequence"),
        ({"y": y * torch.nan}, "y has values that are not finite"),
    ):
        with pytest.raises(InputError, match=message):
            fit_readout(**{"model": model, "x": x, "y": y, **arguments})
    with pytest.raises(InputError, match="set readout='all'"):
        fit_readout(model_of("last"), x, y[:, 0], washout=1)
    with pytest.raises(InputError, match="set output_size in its spec"):
        fit_readout(model_of(output_size=None), x, y)


def test_numbers_of_numpy_are_numbers():
    model, (x, y) = model_of(), data()
    fit_readout(model, x, y, ridge=np.float32(0.5), washout=np.int64(2))
    assert_is_closed_form(model, model.backbone(x)[0][:, 2:].flatten(0, 1), y[:, 2:].flatten(0, 1), 0.5)


@pytest.mark.parametrize(
    "change",
    [torch.nn.utils.parametrizations.weight_norm, lambda linear: prune.l1_unstructured(linear, "weight", amount=1)],
)
def test_a_weight_that_is_computed_from_others_is_refused(change):
    model, (x, y) = model_of(), data()
    change(model.readout.linear)
    with pytest.raises(InputError, match="weight of the linear layer is computed from other parameters"):
        fit_readout(model, x, y)
