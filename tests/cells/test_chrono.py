"""`forget_bias="chrono"` starts the gates for dependencies of all lengths (Tallec and Ollivier, arXiv 1804.11188)."""

import math

import pytest
import torch
from pydantic import ValidationError

from rnnkit import Cell, CellState, InputError, RecurrentSpec, build_model, cell_kind, chrono_, register_kind

HIDDEN, LENGTH = 4000, 100
CHRONO = {"forget_bias": "chrono", "chrono_length": LENGTH}


def lstm_gates(weights):
    bias_ih, bias_hh = (weights[name] for name in ("bias_ih", "bias_hh"))
    i, f, g, o = (bias_ih + bias_hh).chunk(4)
    return f, i, torch.cat([g, o])


# By kind: the biases of the forget gate, of the input gate if it is not one minus that, and of all others.
GATES = {
    "lstm": lstm_gates,
    "lstm_cell": lstm_gates,
    "mingru": lambda weights: (-weights["bias"].chunk(2)[0], None, weights["bias"].chunk(2)[1]),
    "cfn": lambda weights: (*weights["bias"].chunk(2), torch.zeros(1)),
    "janet": lambda weights: (weights["bias"].chunk(2)[0], None, weights["bias"].chunk(2)[1]),
    "ran": lambda weights: (*weights["bias"].chunk(2)[::-1], torch.zeros(1)),
    "ugrnn": lambda weights: (weights["bias"].chunk(2)[1], None, weights["bias"].chunk(2)[0]),
    "mgu": lambda weights: (-weights["bias_f"], None, weights["bias_n"]),
    "minlstm": lambda weights: weights["bias"].chunk(3),
    "hgrn": lambda weights: (weights["bias"].chunk(3)[0], None, weights["bias"][HIDDEN:]),
    "qrnn": lambda weights: (weights["convolution.bias"].chunk(3)[1], None, torch.zeros(1)),
    "sru": lambda weights: (weights["bias"].chunk(2)[0], None, weights["bias"].chunk(2)[1]),
}


def spec_of(name, options=CHRONO, **fields):
    return RecurrentSpec(kind=name, input_size=1, hidden_size=HIDDEN, options=options, **fields)


def weights_of(model):
    rnn = getattr(model.backbone, "rnn", None)
    named = (rnn or model.backbone.cells[0]).named_parameters()
    return {name.removesuffix("_l0"): each.detach() for name, each in named if each.dim() == 1}


def assert_log_uniform(bias):
    """Of log(u), u uniform in [1, T - 1]: the range, and the mean and the deviation of u."""
    u = bias.double().exp()
    assert u.min() >= 1 - 1e-3
    assert u.max() <= LENGTH - 1 + 1e-3
    width = LENGTH - 2
    deviation = width / math.sqrt(12)
    assert abs(u.mean() - LENGTH / 2) < 5 * deviation / math.sqrt(len(u))
    assert abs(u.std() / deviation - 1) < 0.05


def test_the_function_draws_the_logarithm_of_a_uniform_number():
    assert_log_uniform(chrono_(torch.empty(HIDDEN, dtype=torch.float64), LENGTH))


@pytest.mark.parametrize(
    ("bias", "max_length", "message"),
    [
        (torch.empty(4), 2, "max_length must be an integer of at least 3, but is 2"),
        (torch.empty(4), "a", "max_length must be an integer of at least 3, but is 'a'"),
        (torch.empty(4), None, "max_length must be an integer of at least 3, but is None"),
        (torch.empty(4), 4.5, "max_length must be an integer of at least 3, but is 4.5"),
        ([0.0], 9, r"bias must be a tensor, but is \[0.0\]"),
        (
            torch.zeros(4, dtype=int),
            9,
            "bias must be a tensor of floating-point numbers, but has the dtype torch.int64",
        ),
    ],
)
def test_chrono_refuses_other_arguments(bias, max_length, message):
    with pytest.raises(InputError, match=message):
        chrono_(bias, max_length)


@pytest.mark.parametrize("name", GATES)
def test_gates_of_a_kind(name):
    forget, input_gate, others = GATES[name](weights_of(build_model(spec_of(name), dtype=torch.float32)))
    assert_log_uniform(forget)
    if input_gate is not None:
        torch.testing.assert_close(input_gate, -forget)
    assert others.abs().max() <= 2 / math.sqrt(HIDDEN)


@pytest.mark.parametrize("name", GATES)
def test_a_model_on_meta_and_a_reset_draw_new_values(name):
    spec = RecurrentSpec(kind=name, input_size=1, hidden_size=50, options=CHRONO)
    model = build_model(spec, device="meta").to_empty(device="cpu")
    model.reset_parameters()
    forget = GATES[name](weights_of(model))[0]
    assert ((forget >= 0) & (forget <= math.log(LENGTH))).all()
    assert len(forget.unique()) == 50


class ForgetfulCell(Cell):
    """A cell with a forget gate, and without a chrono initialization."""

    def __init__(self, input_size, hidden_size, *, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.bias = self.new_parameter(hidden_size) if bias else None

    def step(self, projected_t, state):
        h = torch.sigmoid(self.bias) * state.h + projected_t.sum(-1, keepdim=True)
        return h, CellState(h)

    def set_forget_bias(self, value):
        self.bias.fill_(value)


REQUIRED = "forget_bias='chrono' requires chrono_length, the number of steps of the longest dependencies"


@pytest.mark.parametrize("name", ["lstm", "lstm_cell"])
@pytest.mark.parametrize(
    ("options", "field", "message"),
    [
        ({"forget_bias": "chrono"}, "forget_bias", REQUIRED),
        ({"chrono_length": 9}, "chrono_length", "chrono_length=9 has no effect without forget_bias='chrono'"),
        ({"forget_bias": 1.0, "chrono_length": 9}, "chrono_length", "chrono_length=9 has no effect without"),
        ({"forget_bias": "chrono", "chrono_length": 2}, "chrono_length", "greater than or equal to 3"),
        ({"forget_bias": "clock"}, "forget_bias", "'chrono'"),
        ({"forget_bias": True}, "forget_bias", "valid number"),
    ],
)
def test_invalid_options_are_refused(name, options, field, message):
    with pytest.raises(ValidationError) as caught:
        spec_of(name, options)
    (error,) = caught.value.errors()
    assert field in error["loc"]
    assert message in error["msg"]


def test_cells_without_the_gate_or_the_method_refuse_it():
    with pytest.raises(ValidationError, match="GRUCell has no forget gate"):
        spec_of("gru_cell")
    kind = cell_kind(ForgetfulCell, name="forgetful", summary="Forgets.")
    with register_kind(kind):
        build_model(RecurrentSpec(kind="forgetful", input_size=1, hidden_size=2, options={"forget_bias": 1}))
        with pytest.raises(ValidationError, match="ForgetfulCell has no chrono initialization: give a number"):
            spec_of("forgetful")


def test_a_spec_keeps_the_word():
    spec = spec_of("lstm_cell")
    assert RecurrentSpec.from_json(spec.to_json()) == spec
