"""Gates in another order, compared with the equations of the frameworks that use it."""

import pytest
import torch
from torch import nn

from rnnkit import InputError, RecurrentSpec, build_model, reorder_gates


def test_blocks_are_in_the_new_order():
    weight = torch.arange(12.0).reshape(6, 2)
    z, r, n = weight.split(2)
    assert torch.equal(reorder_gates(weight, "zrn", "rzn"), torch.cat([r, z, n]))
    assert torch.equal(reorder_gates(weight[:, 0], "zrn", "nrz"), torch.cat([n, r, z])[:, 0])


@pytest.mark.parametrize(("order", "new_order"), [("zrn", "rzn"), ("iofg", "ifgo"), ("n", "n")])
def test_inverse_order_restores_the_weight(order, new_order):
    weight = torch.randn(4 * len(order), 3)
    assert torch.equal(reorder_gates(reorder_gates(weight, order, new_order), new_order, order), weight)


def test_result_is_a_new_tensor():
    weight = torch.zeros(3, 1)
    reorder_gates(weight, "abc", "abc").fill_(1)
    assert weight.eq(0).all()


def keras_gru(x, kernel, recurrent, bias):
    """The GRU of Keras, `reset_after=True`, with gates z, r, n and transposed weights."""
    h = torch.zeros(len(x), recurrent.shape[0], dtype=x.dtype)
    for x_t in x.unbind(1):
        z_x, r_x, n_x = (x_t @ kernel + bias[0]).chunk(3, dim=-1)
        z_h, r_h, n_h = (h @ recurrent + bias[1]).chunk(3, dim=-1)
        z, r = torch.sigmoid(z_x + z_h), torch.sigmoid(r_x + r_h)
        h = z * h + (1 - z) * torch.tanh(n_x + r * n_h)
    return h


def onnx_lstm(x, weight, recurrent, bias):
    """The LSTM of ONNX, forward direction, with gates i, o, f, c and both biases in one tensor."""
    h = c = torch.zeros(len(x), recurrent.shape[1], dtype=x.dtype)
    bias_ih, bias_hh = bias.chunk(2)
    for x_t in x.unbind(1):
        i, o, f, g = (x_t @ weight.T + bias_ih + h @ recurrent.T + bias_hh).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    return h


def loaded(kind, order, new_order, **weights):
    model = build_model(RecurrentSpec(kind=kind, input_size=3, hidden_size=4), dtype=torch.float64)
    [cell] = model.backbone.cells
    cell.load_state_dict({name: reorder_gates(weight, order, new_order) for name, weight in weights.items()})
    return model


def test_gru_cell_with_weights_of_keras_computes_the_gru_of_keras():
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    kernel, recurrent, bias = (torch.randn(size, 12, dtype=torch.float64) for size in (3, 4, 2))
    weights = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": bias[0], "bias_hh": bias[1]}
    torch.testing.assert_close(loaded("gru_cell", "zrn", "rzn", **weights)(x), keras_gru(x, kernel, recurrent, bias))


def test_lstm_cell_with_weights_of_onnx_computes_the_lstm_of_onnx():
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    weight, recurrent = (torch.randn(16, size, dtype=torch.float64) for size in (3, 4))
    bias = torch.randn(32, dtype=torch.float64)
    bias_ih, bias_hh = bias.chunk(2)
    weights = {"weight_ih": weight, "weight_hh": recurrent, "bias_ih": bias_ih, "bias_hh": bias_hh}
    torch.testing.assert_close(loaded("lstm_cell", "iofg", "ifgo", **weights)(x), onnx_lstm(x, weight, recurrent, bias))


@pytest.mark.parametrize("orders", [("zrn", "rz"), ("zrn", "rzx"), ("zzn", "znz"), ("", "")])
def test_orders_that_are_not_permutations_are_refused(orders):
    with pytest.raises(InputError, match="the same distinct letters"):
        reorder_gates(torch.zeros(6, 2), *orders)


@pytest.mark.parametrize("shape", [(), (7, 2)])
def test_weight_that_has_no_equal_blocks_is_refused(shape):
    with pytest.raises(InputError, match=r"\(3 \* hidden_size, ...\)"):
        reorder_gates(torch.zeros(shape), "zrn", "rzn")


def test_gradient_passes_through():
    weight = nn.Parameter(torch.randn(6, 2))
    reorder_gates(weight, "zrn", "rzn")[:2].sum().backward()
    assert weight.grad.sum(1).tolist() == [0, 0, 2, 2, 0, 0]
