"""Weight initialization: torch's default, orthogonal recurrent weights and the bias of the forget gate."""

import pytest
import torch
from torch import nn

from rnnkit import Cell, CellState, InputError, build_model, cell_kind, orthogonal_, register_kind
from rnnkit_builtin.lstm_cell import LSTMCell
from tests.helpers.models import small_model, small_spec

HIDDEN = 6
TORCH_MODULES = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
KINDS = ["rnn", "gru", "lstm", "rnn_cell", "gru_cell", "lstm_cell"]
kinds = pytest.mark.parametrize("name", KINDS)
with_mixed = pytest.mark.parametrize("name", [*KINDS, "mixed"])
forgetful = pytest.mark.parametrize("name", ["lstm", "lstm_cell"])
directions = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
biases = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
ORTHOGONAL = {"recurrent_init": "orthogonal"}


def seeded_model(name, **changes):
    torch.manual_seed(7)
    return small_model(name, **changes)


def weights_of(model):
    """Return weight_ih, weight_hh and, if there are biases, bias_ih and bias_hh of each layer and direction."""
    rnn = getattr(model.backbone, "rnn", None)
    if rnn is not None:
        return [list(weights) for weights in rnn.all_weights]
    return [list(cell.parameters()) for cell in model.backbone.cells]


def recurrent_blocks(model, hidden_size=HIDDEN):
    return [block for _, weight_hh, *_ in weights_of(model) for block in weight_hh.split(hidden_size)]


def assert_orthonormal_rows(block, **tolerances):
    torch.testing.assert_close(block @ block.T, torch.eye(len(block), dtype=block.dtype), **tolerances)


# The default


@kinds
@directions
@biases
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_default_weights_equal_those_of_torch_under_the_same_seed(name, bidirectional, bias, dtype):
    model = seeded_model(name, bidirectional=bidirectional, bias=bias, dtype=dtype)
    torch.manual_seed(7)
    module = TORCH_MODULES[name.removesuffix("_cell")](
        3, HIDDEN, num_layers=2, bidirectional=bidirectional, bias=bias, dtype=dtype
    )
    for ours, theirs in zip(weights_of(model), module.all_weights, strict=True):
        torch.testing.assert_close(ours, list(theirs), rtol=1e-14, atol=0)


def test_default_can_be_given_explicitly():
    named = seeded_model("lstm_cell", options={"recurrent_init": "default", "forget_bias": None}).state_dict()
    assert all(torch.equal(weight, named[key]) for key, weight in seeded_model("lstm_cell").state_dict().items())


# Orthogonal recurrent weights


@with_mixed
@directions
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)], ids=str
)
def test_recurrent_block_of_each_gate_is_orthogonal(name, bidirectional, dtype, tolerance):
    blocks = recurrent_blocks(small_model(name, bidirectional=bidirectional, dtype=dtype, options=ORTHOGONAL))
    for block in blocks:
        assert block.dtype == dtype
        assert_orthonormal_rows(block.detach(), rtol=0, atol=tolerance)
    for index, block in enumerate(blocks):
        assert not any(torch.equal(block, other) for other in blocks[:index]), "two blocks are the same"


@with_mixed
def test_default_blocks_are_not_orthogonal(name):
    for block in recurrent_blocks(small_model(name)):
        assert not torch.allclose(block @ block.T, torch.eye(HIDDEN, dtype=torch.float64), atol=0.1)


@directions
def test_columns_are_orthonormal_with_a_projection(bidirectional):
    options = {**ORTHOGONAL, "proj_size": 2}
    blocks = recurrent_blocks(small_model("lstm", bidirectional=bidirectional, options=options))
    assert len(blocks) == 4 * 2 * (1 + bidirectional)
    for block in blocks:
        assert block.shape == (HIDDEN, 2)
        assert_orthonormal_rows(block.T)


@kinds
@directions
def test_other_weights_keep_the_default_initialization(name, bidirectional):
    """Biases and input weights are within torch's bounds, 1 / sqrt(hidden_size), and not constant."""
    for weight_ih, _, *others in weights_of(small_model(name, bidirectional=bidirectional, options=ORTHOGONAL)):
        for weight in (weight_ih, *others):
            assert weight.abs().max() <= HIDDEN**-0.5
            assert weight.unique().numel() == weight.numel()


def test_orthogonal_blocks_have_the_size_of_their_layer():
    model = small_model("gru_cell", hidden_size=(5, 4), options=ORTHOGONAL)
    for size, cell in zip((5, 4), model.backbone.cells, strict=True):
        for block in cell.weight_hh.split(size):
            assert_orthonormal_rows(block)


def test_orthogonal_weights_with_layer_norm():
    model = small_model("lstm_cell", options={**ORTHOGONAL, "layer_norm": "gates", "forget_bias": 1.0})
    for cell in model.backbone.cells:
        assert all(norm.weight.eq(1).all() for norm in (*cell.norm_ih.norms, *cell.norm_hh.norms, cell.norm_c))
        for block in cell.weight_hh.split(HIDDEN):
            assert_orthonormal_rows(block)


class TwoMatrices(Cell):
    """A cell with one recurrent matrix for each of two gates, and a vector with a similar name."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hf = self.new_parameter(hidden_size, hidden_size)
        self.weight_hn = self.new_parameter(hidden_size, hidden_size)
        self.weight_h_scale = self.new_parameter(hidden_size)

    def step(self, x_t, state):
        gate = torch.sigmoid(state.h @ self.weight_hf.T)
        h = torch.tanh(x_t @ self.weight_ih.T + gate * self.weight_h_scale * (state.h @ self.weight_hn.T))
        return h, CellState(h)


def test_only_recurrent_matrices_of_a_cell_are_orthogonal():
    with register_kind(cell_kind(TwoMatrices, name="two", summary="Has two.")) as local:
        [cell] = small_model(local.name, num_layers=1, options=ORTHOGONAL).backbone.cells
    for weight in (cell.weight_hf, cell.weight_hn):
        assert_orthonormal_rows(weight)
    assert not torch.equal(cell.weight_hf, cell.weight_hn)
    for weight in (cell.weight_ih, cell.weight_h_scale):
        assert weight.abs().max() <= HIDDEN**-0.5


def test_orthogonal_weights_of_a_cell_that_not_every_size_fits():
    class Halves(TwoMatrices):
        def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
            assert hidden_size % 2 == 0
            super().__init__(input_size, hidden_size, device=device, dtype=dtype)

    with register_kind(cell_kind(Halves, name="halves", summary="Has halves.")) as local:
        small_model(local.name, num_layers=1, options=ORTHOGONAL)


@with_mixed
def test_orthogonal_weights_are_reproducible(name):
    first, second = (seeded_model(name, options=ORTHOGONAL).state_dict() for _ in range(2))
    third = small_model(name, options=ORTHOGONAL).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], third[key]) for key in first)


# The bias of the forget gate


@forgetful
@directions
@pytest.mark.parametrize("value", [1.0, -0.5, 0, 3])
def test_forget_bias_sets_the_sum_of_both_biases_and_nothing_else(name, bidirectional, value):
    model = seeded_model(name, bidirectional=bidirectional, options={"forget_bias": value})
    before = seeded_model(name, bidirectional=bidirectional)
    forget = slice(HIDDEN, 2 * HIDDEN)  # the second of the gates i, f, g and o
    for weights, old in zip(weights_of(model), weights_of(before), strict=True):
        *_, bias_ih, bias_hh = weights
        assert (bias_ih + bias_hh)[forget].eq(value).all()
        with torch.no_grad():
            for bias, as_before in zip(weights[2:], old[2:], strict=True):
                bias[forget] = as_before[forget]
        assert all(map(torch.equal, weights, old)), "something else has changed"


def test_forget_bias_opens_the_forget_gate():
    """With zero input and zero hidden state, c is multiplied by the sigmoid of the bias."""
    model = small_model("lstm_cell", num_layers=1, options={"forget_bias": 2.0})
    [cell] = model.backbone.cells
    zero = torch.zeros(1, HIDDEN, dtype=torch.float64)
    with_memory, without = (cell(zero[:, :3], LSTMCell.State(zero, c))[1].c for c in (zero + 1, zero))
    torch.testing.assert_close(with_memory - without, torch.sigmoid(zero + 2))


def test_forget_bias_in_each_layer_of_a_mixed_stack():
    model = small_model("mixed", options={"cells": ("lstm_cell",), "forget_bias": 1.0})
    for cell in model.backbone.cells:
        assert (cell.bias_ih + cell.bias_hh).chunk(4)[1].eq(1).all()


@forgetful
def test_forget_bias_with_orthogonal_weights(name):
    model = small_model(name, bidirectional=True, options={**ORTHOGONAL, "forget_bias": 1.0})
    for _, _, bias_ih, bias_hh in weights_of(model):
        assert (bias_ih + bias_hh).chunk(4)[1].eq(1).all()
    for block in recurrent_blocks(model):
        assert_orthonormal_rows(block)


# On the meta device


@with_mixed
@directions
def test_meta_device_computes_nothing(name, bidirectional):
    """100,000 features would take over 100 GB, and years of QR decompositions."""
    forget = {"forget_bias": 1.0} if name.startswith("lstm") else {}
    spec = small_spec(name, hidden_size=100_000, bidirectional=bidirectional, options={**ORTHOGONAL, **forget})
    assert all(parameter.is_meta for parameter in build_model(spec, device="meta").parameters())


@with_mixed
def test_orthogonal_weights_are_ordinary_parameters(name):
    model = small_model(name, options={**ORTHOGONAL, **({"forget_bias": 1.0} if name.startswith("lstm") else {})})
    for weight in (weight for weights in weights_of(model) for weight in weights):
        assert isinstance(weight, nn.Parameter)
        assert weight.requires_grad
        assert weight.is_leaf


# The function itself


@pytest.mark.parametrize(
    ("rows", "columns", "hidden_size"),
    [(4, 4, 4), (12, 4, 4), (8, 2, 4), (8, 6, 4), (3, 1, 1)],
    ids=["one_block", "three_blocks", "tall_blocks", "wide_blocks", "scalars"],
)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 3e-2), (torch.float16, 5e-3)],
    ids=str,
)
def test_orthogonal_fills_each_block_in_place(rows, columns, hidden_size, dtype, tolerance):
    weight = nn.Parameter(torch.full((rows, columns), float("nan"), dtype=dtype))
    assert orthogonal_(weight, hidden_size) is weight
    assert weight.requires_grad
    assert weight.is_leaf
    for block in weight.detach().split(hidden_size):
        assert_orthonormal_rows(block if hidden_size <= columns else block.T, rtol=0, atol=tolerance)


def test_orthogonal_blocks_equal_those_of_torch():
    torch.manual_seed(3)
    weight = orthogonal_(torch.empty(12, 4, dtype=torch.float64), 4)
    torch.manual_seed(3)
    expected = [nn.init.orthogonal_(torch.empty(4, 4, dtype=torch.float64)) for _ in range(3)]
    assert torch.equal(weight, torch.cat(expected))


def test_orthogonal_ignores_tensors_on_the_meta_device():
    weight = torch.empty(400_000, 100_000, device="meta")
    assert orthogonal_(weight, 100_000) is weight


@pytest.mark.parametrize(
    ("weight", "hidden_size", "message"),
    [
        (torch.empty(4, 2), "a", "hidden_size must be an integer of at least 1, but is 'a'"),
        (torch.empty(4, 2), 0, "hidden_size must be an integer of at least 1, but is 0"),
        (None, 2, "weight must be a tensor, but is None"),
        (
            torch.zeros(4, 2, dtype=int),
            2,
            "weight must be a tensor of floating-point numbers, but has the dtype torch.int",
        ),
    ],
)
def test_orthogonal_refuses_other_arguments(weight, hidden_size, message):
    with pytest.raises(InputError, match=message):
        orthogonal_(weight, hidden_size)
