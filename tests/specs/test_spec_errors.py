"""Settings that a cell or a kind does not support are refused when the spec is created, with the field and a fix."""

import dataclasses

import pytest
import torch
from pydantic import ValidationError

from rnnkit import (
    BuildError,
    Cell,
    CellState,
    RecurrentSpec,
    StackOptions,
    build_model,
    cell_kind,
    list_kinds,
    register_kind,
)

STACKS = ["rnn_cell", "gru_cell", "lstm_cell", "mixed"]
stacks = pytest.mark.parametrize("stack", STACKS)


def make(kind, **fields):
    return RecurrentSpec(**{"kind": kind, "input_size": 3, "hidden_size": 6, "num_layers": 2, **fields})


def refusal(call):
    """The problems of the one error that a call raises: field, value, message."""
    with pytest.raises(ValidationError) as caught:
        call()
    return [
        (".".join(map(str, problem["loc"])), problem["input"], problem["msg"])
        for problem in caught.value.errors(include_url=False)
    ]


def refusal_of(kind, fields):
    """Where, what and why; it is the same for the fields written as plain data, as they come from a file."""
    reported = refusal(lambda: make(kind, **fields))
    plain = {"kind": kind, "input_size": 3, "hidden_size": 6, "num_layers": 2, **fields}
    assert [problem[::2] for problem in refusal(lambda: RecurrentSpec.from_dict(plain))] == [p[::2] for p in reported]
    return reported


def cases(table):
    """Parameters of a test from rows of kind, fields, location, value, message."""
    names = "kind_name", "fields", "where", "value", "message"
    ids = [f"{row[0]}-{row[2]}={row[3]!r}" for row in table]
    return pytest.mark.parametrize(names, table, ids=ids)


def options(**values):
    return {"options": values}


# Between layers

ONE_LAYER = "residual=True has no effect with num_layers=1; use num_layers >= 2"
ONE_SIZE = "residual=True requires layers of one size, but hidden_size=(6, 5)"
NO_DROPOUT = "variational_dropout=True has no effect with dropout=0; set dropout above 0"
ONE_FEATURE = "Normalizing a single feature always gives zero: set hidden_size above 1"
BETWEEN = [
    *((stack, {"num_layers": 1, **options(residual=True)}, "residual", True, ONE_LAYER) for stack in STACKS),
    *((stack, {"hidden_size": (6, 5), **options(residual=True)}, "residual", True, ONE_SIZE) for stack in STACKS),
    *((stack, options(variational_dropout=True), "variational_dropout", True, NO_DROPOUT) for stack in STACKS),
    *(
        (stack, {"hidden_size": 1, **options(layer_norm="output")}, "layer_norm", "output", ONE_FEATURE)
        for stack in STACKS
    ),
    ("gru_cell", {"hidden_size": (6, 1), **options(layer_norm="output")}, "layer_norm", "output", ONE_FEATURE),
]


@cases(BETWEEN)
def test_what_cannot_be_between_layers_is_refused(kind_name, fields, where, value, message):
    assert refusal_of(kind_name, fields) == [(f"options.{where}", value, message)]


@stacks
def test_what_can_be_between_layers_is_taken(stack):
    assert make(stack, hidden_size=(6, 6), **options(residual=True)).options.residual
    assert make(stack, dropout=0.1, **options(variational_dropout=True)).options.variational_dropout
    bidirectional = make(stack, hidden_size=1, bidirectional=True, **options(layer_norm="output"))
    assert bidirectional.options.layer_norm == "output"


# Settings that a cell does not support

NO_FORGET_GATE = "{} has no forget gate: leave it at None"
NO_BIAS = "forget_bias requires bias=True: set it, or leave forget_bias at None"
NO_MASK = (
    "The state of {} is not read by matrix products only, and a fixed mask would make it vanish or explode: use zoneout"
)
OTHER_PARTS = "The state of {} has {}: give one number for each, or one number for all cells and parts"
ONE_PART, TWO_PARTS = "1 part, h", "2 parts, h, c"
OF_CELLS = [
    ("rnn_cell", options(forget_bias=1.0), "forget_bias", 1.0, NO_FORGET_GATE.format("RNNCell")),
    ("gru_cell", options(forget_bias=0.0), "forget_bias", 0.0, NO_FORGET_GATE.format("GRUCell")),
    ("mixed", options(forget_bias=1.0), "forget_bias", 1.0, NO_FORGET_GATE.format("GRUCell")),
    (
        "mixed",
        options(cells=("lstm_cell", "rnn_cell"), forget_bias=1.0),
        "forget_bias",
        1.0,
        NO_FORGET_GATE.format("RNNCell"),
    ),
    ("lstm_cell", {"bias": False, **options(forget_bias=1.0)}, "forget_bias", 1.0, NO_BIAS),
    ("mixed", {"bias": False, **options(cells=("lstm_cell",), forget_bias=0.0)}, "forget_bias", 0.0, NO_BIAS),
    ("gru_cell", options(recurrent_dropout=0.2), "recurrent_dropout", 0.2, NO_MASK.format("GRUCell")),
    ("mixed", options(recurrent_dropout=0.2), "recurrent_dropout", 0.2, NO_MASK.format("GRUCell")),
    (
        "mixed",
        options(cells=("rnn_cell", "gru_cell"), recurrent_dropout=0.2),
        "recurrent_dropout",
        0.2,
        NO_MASK.format("GRUCell"),
    ),
    ("rnn_cell", options(zoneout=(0.1, 0.1)), "zoneout", (0.1, 0.1), OTHER_PARTS.format("RNNCell", ONE_PART)),
    ("gru_cell", options(zoneout=()), "zoneout", (), OTHER_PARTS.format("GRUCell", ONE_PART)),
    ("lstm_cell", options(zoneout=(0.1,)), "zoneout", (0.1,), OTHER_PARTS.format("LSTMCell", TWO_PARTS)),
    ("lstm_cell", options(zoneout=(0.1,) * 3), "zoneout", (0.1,) * 3, OTHER_PARTS.format("LSTMCell", TWO_PARTS)),
    ("lstm_cell", options(zoneout=(0.0,)), "zoneout", (0.0,), OTHER_PARTS.format("LSTMCell", TWO_PARTS)),
    ("mixed", options(zoneout=(0.1, 0.1)), "zoneout", (0.1, 0.1), OTHER_PARTS.format("GRUCell", ONE_PART)),
    ("mixed", options(zoneout=(0.1,)), "zoneout", (0.1,), OTHER_PARTS.format("LSTMCell", TWO_PARTS)),
]


@cases(OF_CELLS)
def test_what_a_cell_cannot_honour_is_refused(kind_name, fields, where, value, message):
    assert refusal_of(kind_name, fields) == [(f"options.{where}", value, message)]


def test_what_cells_can_honour_is_taken():
    assert make("lstm_cell", **options(zoneout=(0.1, 0.2), forget_bias=1.0, recurrent_dropout=0.2))
    assert make("gru_cell", **options(zoneout=(0.1,)))
    assert make("mixed", **options(cells=("rnn_cell", "lstm_cell"), recurrent_dropout=0.2))
    assert make("mixed", **options(cells=("lstm_cell",), forget_bias=1.0, zoneout=(0.1, 0.2)))
    assert make("mixed", bias=False, **options(layer_norm="gates", zoneout=0.1, recurrent_init="orthogonal"))


# Cells of others, which offer less


class Bare(Cell):
    """A cell that offers nothing: no weights that read the state, and no choice about biases."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)

    def step(self, x_t, state):
        h = (state.h + x_t @ self.weight_ih.T) / 2
        return h, CellState(h)


class Wide(Bare):
    """A cell with more output features than state features."""

    def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.output_size = 2 * hidden_size

    def step(self, x_t, state):
        h, state = super().step(x_t, state)
        return torch.cat([h, -h], dim=-1), state


@pytest.fixture(autouse=True)
def _others():
    """Their kinds, for each test."""
    with (
        register_kind(cell_kind(Bare, name="bare", summary="Offers nothing.")),
        register_kind(cell_kind(Wide, name="wide", summary="Has a wide output.")),
    ):
        yield


NO_CHOICE = "Bare does not support bias=False: leave bias at True"
NO_NORM = "Bare has no layer norm in its gates: use 'output' or 'none'"
NO_WEIGHT = "Bare has no recurrent weight: leave it at 'default'"
OF_OTHERS = [
    ({"bias": False}, "bias", False, NO_CHOICE),
    (options(layer_norm="gates"), "options.layer_norm", "gates", NO_NORM),
    (options(forget_bias=1.0), "options.forget_bias", 1.0, NO_FORGET_GATE.format("Bare")),
    (options(recurrent_dropout=0.5), "options.recurrent_dropout", 0.5, NO_MASK.format("Bare")),
    (options(recurrent_init="orthogonal"), "options.recurrent_init", "orthogonal", NO_WEIGHT),
    (options(zoneout=(0.1, 0.2)), "options.zoneout", (0.1, 0.2), OTHER_PARTS.format("Bare", ONE_PART)),
]
of_others = pytest.mark.parametrize(
    ("fields", "where", "value", "message"), OF_OTHERS, ids=[where for _, where, *_ in OF_OTHERS]
)


@of_others
def test_what_a_cell_does_not_have_is_refused(fields, where, value, message):
    assert refusal_of("local/bare", fields) == [(where, value, message)]


@of_others
def test_one_layer_that_cannot_is_enough(fields, where, value, message):
    fields = {**fields, "options": {"cells": ("lstm_cell", "bare"), **fields.get("options", {})}}
    [(found, _, reported)] = refusal_of("mixed", fields)
    if where == "options.zoneout":  # the lower cell has two parts, the upper one
        assert (found, reported) == (where, message)
    else:
        assert (found, reported.replace("LSTMCell", "Bare")) == (where, message)


def test_plain_cell_supports_independent_options():
    given = options(residual=True, layer_norm="output", zoneout=0.2, learn_initial_state=True, variational_dropout=True)
    model = build_model(make("local/bare", dropout=0.1, **given))
    assert model(torch.randn(2, 4, 3)).shape == (2, 6)


def test_layers_whose_outputs_differ_have_no_residual_connection():
    """Both have hidden_size=6, but one has 12 output features, which only the cells themselves know."""
    spec = make("mixed", **options(cells=("lstm_cell", "wide"), residual=True))
    with pytest.raises(BuildError) as caught:
        build_model(spec)
    assert str(caught.value) == ("residual=True requires layers of one size, but their outputs have [6, 12] features")


class StiffOptions(StackOptions):
    stiffness: float = 1.0


def test_option_without_a_cell_argument_is_a_plugin_error():
    with pytest.raises(TypeError) as caught:
        cell_kind(Bare, name="stiff", summary="A test.", options=StiffOptions)
    assert str(caught.value) == "Bare must take stiffness, which StiffOptions defines"


# Sizes of layers

TOO_MANY = (
    "hidden_size=(6, 5, 4) has one size for each layer, but num_layers=2: set num_layers=3, or give as many sizes as "
    "there are layers"
)
TOO_FEW = (
    "hidden_size=(6,) has one size for each layer, but num_layers=2: set num_layers=1, or give as many sizes as there "
    "are layers"
)
LEFT_OUT = (
    "hidden_size=(6, 5) has one size for each layer, but num_layers=1: set num_layers=2, or give as many sizes as "
    "there are layers"
)


@stacks
def test_another_number_of_sizes_than_layers_is_refused(stack):
    assert refusal_of(stack, {"hidden_size": (6, 5, 4)}) == [("num_layers", 2, TOO_MANY)]
    assert refusal_of(stack, {"hidden_size": (6,)}) == [("num_layers", 2, TOO_FEW)]
    assert refusal_of(stack, {"hidden_size": [6, 5, 4]}) == [("num_layers", 2, TOO_MANY)]
    left_out = refusal(lambda: RecurrentSpec(kind=stack, input_size=3, hidden_size=(6, 5)))
    assert left_out == [("num_layers", 1, LEFT_OUT)]
    assert make(stack, hidden_size=[6, 5]).hidden_size == (6, 5)


@pytest.mark.parametrize("none", [(), []], ids=["tuple", "list"])
def test_no_size_at_all_is_refused(none):
    message = "Tuple should have at least 1 item after validation, not 0"
    assert refusal_of("lstm_cell", {"hidden_size": none}) == [("hidden_size", none, message)]


@pytest.mark.parametrize(
    ("sizes", "where", "value", "message"),
    [
        ((6, 0), "hidden_size.1", 0, "Input should be greater than or equal to 1"),
        ((-1, 6), "hidden_size.0", -1, "Input should be greater than or equal to 1"),
        ((6, True), "hidden_size.1", True, "Input should be a valid integer"),
        ((6, 2.0), "hidden_size.1", 2.0, "Input should be a valid integer"),
        ((6, "6"), "hidden_size.1", "6", "Input should be a valid integer"),
        ((6, (6, 6)), "hidden_size.1", (6, 6), "Input should be a valid integer"),
    ],
    ids=str,
)
def test_a_wrong_size_is_refused_with_its_layer(sizes, where, value, message):
    assert refusal_of("lstm_cell", {"hidden_size": sizes}) == [(where, value, message)]


@pytest.mark.parametrize("built_in", ["rnn", "lstm", "gru"])
def test_torchs_own_modules_have_one_size_for_all_layers(built_in):
    message = (
        f"The kind {built_in!r} has one hidden_size for all layers: give one integer, or choose a kind that is a stack "
        "of cells, such as 'lstm_cell'"
    )
    assert refusal_of(built_in, {"hidden_size": (6, 6)}) == [("hidden_size", (6, 6), message)]


# Options of the kinds on torch's own modules

OF_STACKS_ONLY = [
    "zoneout",
    "residual",
    "layer_norm",
    "recurrent_dropout",
    "variational_dropout",
    "learn_initial_state",
]


@pytest.mark.parametrize("name", [*OF_STACKS_ONLY, "forget_bias"])
@pytest.mark.parametrize(
    ("built_in", "own"),
    [
        ("rnn", "recurrent_init, nonlinearity"),
        ("gru", "recurrent_init"),
        ("lstm", "recurrent_init, forget_bias, proj_size"),
    ],
    ids=["rnn", "gru", "lstm"],
)
def test_torchs_own_modules_have_no_options_of_stacks(built_in, own, name):
    if name in own:
        assert make(built_in, **options(forget_bias=1.0)).options.forget_bias == 1.0
    else:
        [(where, value, message)] = refusal_of(built_in, options(**{name: 1}))
        assert (where, value) == (f"options.{name}", 1)
        assert message == f"The kind {built_in!r} has no option {name!r}. Stacks of cells have it, such as 'lstm_cell'"


def test_torchs_lstm_without_biases_has_no_forget_bias():
    fields = {"bias": False, **options(forget_bias=1.0)}
    assert refusal_of("lstm", fields) == [("options.forget_bias", 1.0, NO_BIAS)]


# Values

FINITE = "Input should be a finite number"
NUMBER = "Input should be a valid number"
AT_LEAST_0, BELOW_1 = "Input should be greater than or equal to 0", "Input should be less than 1"
BOOLEAN = "Input should be a valid boolean"
NAN, INFINITY = float("nan"), float("inf")
FLAGS = ("residual", "variational_dropout", "learn_initial_state")
VALUES = [
    *((name, -0.1, name, AT_LEAST_0) for name in ("recurrent_dropout", "zoneout")),
    *((name, value, name, BELOW_1) for name in ("recurrent_dropout", "zoneout") for value in (1, 1.0, 1.5)),
    *((name, value, name, FINITE) for name in ("recurrent_dropout", "zoneout") for value in (NAN, INFINITY)),
    *((name, value, name, NUMBER) for name in ("recurrent_dropout", "zoneout") for value in (True, "0.5", None)),
    ("zoneout", (0.1, 1.0), "zoneout.1", BELOW_1),
    ("zoneout", (-0.1, 0.1), "zoneout.0", AT_LEAST_0),
    ("zoneout", (0.1, NAN), "zoneout.1", FINITE),
    ("zoneout", (0.1, True), "zoneout.1", NUMBER),
    ("zoneout", (0.1, None), "zoneout.1", NUMBER),
    *(("forget_bias", value, "forget_bias", FINITE) for value in (NAN, INFINITY, -INFINITY)),
    *(("forget_bias", value, "forget_bias", f"{NUMBER} or 'chrono'") for value in (True, "1", (1.0,))),
    *((name, value, name, BOOLEAN) for name in FLAGS for value in (1, "yes", None)),
    ("layer_norm", "gate", "layer_norm", "Input should be 'none', 'output' or 'gates'"),
    ("layer_norm", None, "layer_norm", "Input should be 'none', 'output' or 'gates'"),
    ("layer_norm", True, "layer_norm", "Input should be 'none', 'output' or 'gates'"),
    ("recurrent_init", "xavier", "recurrent_init", "Input should be 'default' or 'orthogonal'"),
    ("recurrent_init", None, "recurrent_init", "Input should be 'default' or 'orthogonal'"),
]


@pytest.mark.parametrize(
    ("name", "value", "where", "message"), VALUES, ids=[f"{name}={value!r}" for name, value, *_ in VALUES]
)
def test_a_wrong_value_of_an_option_is_refused(name, value, where, message):
    [(found, refused, reported)] = refusal_of("lstm_cell", options(**{name: value}))
    assert (found, reported) == (f"options.{where}", message)
    part = value[int(where[-1])] if "." in where else value
    assert repr(refused) == repr(part)  # True == 1, and nan is not itself


def test_whole_numbers_stand_for_the_numbers_that_they_are():
    """As they come out of JSON that somebody wrote by hand."""
    spec = make("lstm_cell", **options(forget_bias=1, zoneout=0, recurrent_dropout=0))
    assert spec == make("lstm_cell", **options(forget_bias=1.0, zoneout=0.0, recurrent_dropout=0.0))
    assert make("lstm_cell", **options(zoneout=[0, 0.5])).options.zoneout == (0.0, 0.5)


@stacks
def test_unknown_stack_option_suggests_the_closest(stack):
    [(where, value, message)] = refusal_of(stack, options(zone_out=0.1))
    assert (where, value) == ("options.zone_out", 0.1)
    assert message.startswith(f"The kind {stack!r} has no option 'zone_out'. Did you mean 'zoneout'? Its options: ")
    assert refusal(lambda: make(stack, zoneout=0.1)) == [
        ("zoneout", 0.1, f"'zoneout' is an option of the kind {stack!r}: write options={{'zoneout': ...}}")
    ]


# Layers of different kinds


@pytest.mark.parametrize(
    ("names", "num_layers"), [((), 2), (("lstm_cell",) * 3, 2), (("gru_cell", "rnn_cell"), 3)], ids=["0", "3", "2"]
)
def test_a_pattern_that_does_not_fit_the_layers_is_refused(names, num_layers):
    message = (
        f"cells has {len(names)} names, but num_layers={num_layers}: give one name for each layer, or a "
        "pattern whose length divides num_layers"
    )
    fields = {"num_layers": num_layers, **options(cells=names)}
    assert refusal_of("mixed", fields) == [("options.cells", names, message)]


NO_CELL = "The kind {!r} is not made of one cell: choose a kind such as 'lstm_cell'"
NAMES = [
    (("lstm",), NO_CELL.format("lstm")),
    (("lstm_cell", "mixed"), NO_CELL.format("mixed")),
    (("rnnkit/gru",), NO_CELL.format("rnnkit/gru")),
    (("lsmt_cell",), "No installed plugin provides the kind 'lsmt_cell'. Did you mean 'lstm_cell'? {installed}"),
    (("gru_cell", "transformer"), "No installed plugin provides the kind 'transformer'. {installed}"),
]


@pytest.mark.parametrize(("names", "message"), NAMES, ids=["-".join(names) for names, _ in NAMES])
def test_a_layer_of_no_cell_is_refused(names, message):
    """The message starts with its own first word, not with the name of a Python class."""
    there_are = f"{len(list_kinds())} kinds are installed: `list_kinds()` and `rnnkit list` show them. "
    message = message.format(installed=f"{there_are}To use another, install the distribution that provides it.")
    for given in (names, list(names)):
        [(where, value, reported)] = refusal_of("mixed", options(cells=given))
        assert (where, value) == (f"options.cells.{len(names) - 1}", names[-1])
        assert reported == message


NOT_A_CELL = "Give the name of a kind, or a mapping with the keys 'kind' and 'options'"


@pytest.mark.parametrize(
    ("cells", "where", "message"),
    [
        ("lstm_cell", "options.cells", "Input should be a valid tuple"),
        (3, "options.cells", "Input should be a valid tuple"),
        (("lstm_cell", 3), "options.cells.1", NOT_A_CELL),
        (("lstm_cell", None), "options.cells.1", NOT_A_CELL),
    ],
    ids=repr,
)
def test_invalid_cell_names_are_refused(cells, where, message):
    assert [problem[::2] for problem in refusal_of("mixed", options(cells=cells))] == [(where, message)]


# All that is wrong


def test_several_problems_are_reported_at_once():
    wrong = options(residual=True, variational_dropout=True, forget_bias=1.0, recurrent_dropout=0.1, zoneout=(0.1,) * 2)
    problems = refusal_of("gru_cell", {"num_layers": 1, **wrong})
    assert {where for where, *_ in problems} >= {"options.residual", "options.variational_dropout"}
    assert {where for where, *_ in problems} & {"options.forget_bias", "options.recurrent_dropout", "options.zoneout"}


def test_each_problem_of_a_cell_is_reported():
    wrong = options(forget_bias=1.0, recurrent_dropout=0.1, zoneout=(0.1, 0.1))
    problems = refusal_of("gru_cell", wrong)
    expected = ["options.forget_bias", "options.recurrent_dropout", "options.zoneout"]
    assert sorted(where for where, *_ in problems) == expected


def test_a_change_of_a_spec_is_checked_too():
    spec = make("lstm_cell", dropout=0.1, **options(residual=True, variational_dropout=True))
    assert refusal(lambda: dataclasses.replace(spec, dropout=0.0)) == [
        ("options.variational_dropout", True, NO_DROPOUT)
    ]
    assert refusal(lambda: dataclasses.replace(spec, hidden_size=(6, 5))) == [("options.residual", True, ONE_SIZE)]
