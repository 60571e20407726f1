"""The cells of `mixed` with options of their own."""

import pickle
from typing import Annotated

import pytest
import torch
from jsonschema import Draft202012Validator
from pydantic import Field, ValidationError
from torch import nn

from rnnkit import (
    PerLayer,
    Problem,
    RecurrentSpec,
    StackOptions,
    build_model,
    cell_kind,
    load_spec,
    override_spec,
    register_kind,
    save_spec,
    spec_schema,
)
from rnnkit_builtin.rnn_cell import RNNCellOptions
from tests.helpers.cells import SimpleCell

RELU = {"kind": "rnn_cell", "options": {"nonlinearity": "relu"}}


def make(*cells, num_layers=2, **options):
    fields = {"kind": "mixed", "input_size": 3, "hidden_size": 4, "num_layers": num_layers}
    return RecurrentSpec(**fields, options={"cells": cells, **options})


def problems(call):
    with pytest.raises(ValidationError) as caught:
        call()
    return [(".".join(map(str, each["loc"])), each["msg"]) for each in caught.value.errors()]


def test_each_layer_has_its_own_options():
    model = build_model(make("rnn_cell", RELU), dtype=torch.float64)
    reference = [nn.RNNCell(3, 4, dtype=torch.float64), nn.RNNCell(4, 4, nonlinearity="relu", dtype=torch.float64)]
    for theirs, ours in zip(reference, model.backbone.cells, strict=True):
        theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    expected = x
    for cell in reference:
        h, outputs = torch.zeros(2, 4, dtype=torch.float64), []
        for x_t in expected.unbind(1):
            h = cell(x_t, h)
            outputs.append(h)
        expected = torch.stack(outputs, 1)
    torch.testing.assert_close(model.backbone(x)[0], expected)


def test_a_pattern_repeats_with_its_options():
    model = build_model(make("lstm_cell", RELU, num_layers=4))
    assert [getattr(cell, "nonlinearity", None) for cell in model.backbone.cells] == [None, "relu"] * 2


def test_specs_are_equal_hashable_and_picklable():
    spec = make("lstm_cell", RELU)
    again = RecurrentSpec.from_dict(spec.to_dict())
    assert again == spec == pickle.loads(pickle.dumps(spec)) == RecurrentSpec.from_json(spec.to_json())
    assert hash(again) == hash(spec)
    assert spec != make("lstm_cell", "rnn_cell")
    assert eval(repr(spec)) == spec  # noqa: S307  # the text of a test


def test_an_entry_without_options_equals_the_name():
    assert make("lstm_cell", {"kind": "gru_cell"}) == make("lstm_cell", {"kind": "gru_cell", "options": {}})
    assert make("lstm_cell", {"kind": "rnnkit/gru_cell"}) == make("lstm_cell", "gru_cell")


def test_options_may_be_an_instance_of_their_class():
    options = RNNCellOptions(nonlinearity="relu")
    assert make("lstm_cell", {"kind": "rnn_cell", "options": options}) == make("lstm_cell", RELU)
    options = RNNCellOptions(nonlinearity="relu", zoneout=0.1)
    found = problems(lambda: make("lstm_cell", {"kind": "rnn_cell", "options": options}))
    assert found == [("options.cells.1.options.zoneout", STACK_OPTION)]


@pytest.mark.parametrize("suffix", ["yaml", "toml", "json"])
def test_specs_survive_every_file_format(suffix, tmp_path):
    spec = make("lstm_cell", RELU)
    save_spec(spec, tmp_path / f"model.{suffix}")
    assert load_spec(tmp_path / f"model.{suffix}") == spec


def test_overrides_set_the_cells():
    changed = override_spec(make("lstm_cell"), ["options.cells=[{kind: rnn_cell, options: {nonlinearity: relu}}]"])
    assert changed == make(RELU)


def test_the_json_schema_accepts_names_and_mappings():
    validator = Draft202012Validator(spec_schema(["mixed"]))

    def is_valid(*cells):
        return validator.is_valid(make("lstm_cell").to_dict() | {"options": {"cells": [*cells]}})

    assert is_valid("lstm_cell", RELU)
    assert not any(is_valid(each) for each in (3, {"options": {}}, {"kind": "rnn_cell", "more": 1}, [RELU]))


STACK_OPTION = "'zoneout' is an option of the whole stack: set it beside 'cells'"
NOT_A_CELL = "Give the name of a kind, or a mapping with the keys 'kind' and 'options'"
NO_OPTION = "The kind 'rnn_cell' has no option {!r}. Its own options: nonlinearity"
WRONG = {
    "value": (RELU | {"options": {"nonlinearity": "sin"}}, ".options.nonlinearity", "Input should be 'tanh' or 'relu'"),
    "bool": (RELU | {"options": {"nonlinearity": True}}, ".options.nonlinearity", "Input should be 'tanh' or 'relu'"),
    "unknown option": (RELU | {"options": {"linear": 1}}, ".options.linear", NO_OPTION.format("linear")),
    "option of stacks": (RELU | {"options": {"zoneout": 0.1}}, ".options.zoneout", STACK_OPTION),
    "no options": (
        {"kind": "gru_cell", "options": {"x": 1}},
        ".options.x",
        "The kind 'gru_cell' has no option 'x'. It has none of its own",
    ),
    "options as a list": (RELU | {"options": ["relu"]}, ".options", "Options should be a mapping"),
    "options that are None": (RELU | {"options": None}, ".options", "Options should be a mapping"),
    "unknown kind": ({"kind": "lsmt_cell"}, ".kind", "No installed plugin provides the kind 'lsmt_cell'. Did you mean"),
    "no cell": ({"kind": "lstm"}, ".kind", "The kind 'lstm' is not made of one cell: choose a kind such as"),
    "mixed in mixed": ({"kind": "mixed"}, ".kind", "The kind 'mixed' is not made of one cell: choose a kind such as"),
    "no kind": ({"options": {}}, "", "A cell requires the key 'kind' with the name of a kind"),
    "empty": ({}, "", "A cell requires the key 'kind' with the name of a kind"),
    "another key": (RELU | {"size": 3}, "", "A cell has the keys 'kind' and 'options', but this one has 'size'"),
    "nested": ((RELU,), "", NOT_A_CELL),
    "number": (3, "", NOT_A_CELL),
    "None": (None, "", NOT_A_CELL),
}


@pytest.mark.parametrize(("entry", "where", "message"), WRONG.values(), ids=WRONG)
def test_wrong_entries_are_refused_with_their_path(entry, where, message):
    [(place, text)] = problems(lambda: make("lstm_cell", entry))
    assert (place, text[: len(message)]) == (f"options.cells.1{where}", message)
    data = {"kind": "mixed", "input_size": 3, "hidden_size": 4, "options": {"cells": ["lstm_cell", entry]}}
    assert problems(lambda: RecurrentSpec.from_dict(data)) == [(place, text)]


def test_all_wrong_entries_are_reported():
    found = problems(lambda: make("lsmt_cell", RELU | {"options": {"a": 1, "b": 2}}))
    assert [place for place, _ in found] == [
        "options.cells.0",
        "options.cells.1.options.a",
        "options.cells.1.options.b",
    ]


class HeadsOptions(StackOptions):
    heads: Annotated[int, Field(ge=1)] = 2
    scale: PerLayer[float | None] = None
    sizes: tuple[int, ...] = ()


class HeadsCell(SimpleCell):
    def __init__(self, input_size, hidden_size, *, heads, scale, sizes, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias=bias, device=device, dtype=dtype)
        self.own = heads, scale, sizes


def check_heads(spec):
    if any(size % spec.options.heads for size in spec.hidden_sizes):
        yield Problem("options.heads", f"heads={spec.options.heads} must divide hidden_size={spec.hidden_size}")


@pytest.fixture
def heads():
    kind = cell_kind(HeadsCell, name="heads", summary="Heads.", options=HeadsOptions, check=check_heads)
    with register_kind(kind):
        yield


@pytest.mark.parametrize("suffix", ["yaml", "toml", "json"])
def test_null_and_lists_inside_an_entry_survive_every_file_format(suffix, heads, tmp_path):
    spec = make("lstm_cell", {"kind": "heads", "options": {"sizes": [1, 2]}})
    assert build_model(spec).backbone.cells[1].own == (2, None, (1, 2))
    save_spec(spec, tmp_path / f"model.{suffix}")
    assert load_spec(tmp_path / f"model.{suffix}") == spec


def test_the_rules_of_a_kind_hold_in_a_layer(heads):
    """Of the kind of an entry, with the size of its layer."""
    message = "heads=3 must divide hidden_size=4"
    entry = {"kind": "heads", "options": {"heads": 3}}
    assert problems(lambda: make("lstm_cell", entry)) == [("options.cells.1.options.heads", message)]
    fields = {"kind": "mixed", "input_size": 3, "num_layers": 2}
    assert RecurrentSpec(**fields, hidden_size=(4, 6), options={"cells": ["lstm_cell", entry]})
    found = problems(lambda: RecurrentSpec(**fields, hidden_size=(4, 5), options={"cells": ["lstm_cell", "heads"]}))
    assert found == [("options.cells.1", "heads=2 must divide hidden_size=5")]


def test_a_cell_of_one_layer_has_one_value_of_an_option_that_is_per_layer(heads):
    model = build_model(make("lstm_cell", {"kind": "heads", "options": {"scale": 0.5}}))
    assert model.backbone.cells[1].own[1] == 0.5
    found = problems(lambda: make("lstm_cell", {"kind": "heads", "options": {"scale": (0.5, 0.1)}}))
    assert [place for place, _ in found] == ["options.cells.1.options.scale"]
