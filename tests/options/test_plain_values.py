"""Values that NumPy and config tools pass in place of plain Python values."""

import argparse
from collections import UserDict, UserList, UserString
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace

import jsonargparse
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from rnnkit import RecurrentSpec, build_model
from rnnkit_builtin.lstm import LSTMOptions

SIZES = {"input_size": 3, "hidden_size": 8}
OPTIONS = {"zoneout": [0.1, 0.2], "recurrent_init": "orthogonal"}


class ConfigMapping(Mapping):
    """A mapping that is not a dict, as OmegaConf's."""

    def __init__(self, values):
        self._values = {key: ConfigMapping(each) if isinstance(each, dict) else each for key, each in values.items()}

    def __getitem__(self, key):
        return self._values[key]

    def __iter__(self):
        return iter(self._values)

    def __len__(self):
        return len(self._values)


@pytest.mark.parametrize("number", [np.int64(4), np.int8(4), np.uint16(4), np.array(4), torch.tensor(4)])
def test_integers_of_numpy_and_torch_are_accepted(number):
    spec = RecurrentSpec(kind="lstm_cell", input_size=number, hidden_size=(number, number), num_layers=np.int64(2))
    assert spec == RecurrentSpec(kind="lstm_cell", input_size=4, hidden_size=(4, 4), num_layers=2)
    assert {type(size) for size in (spec.input_size, *spec.hidden_size)} == {int}
    assert RecurrentSpec.from_json(spec.to_json()) == spec


def test_booleans_and_floats_of_numpy_are_accepted():
    spec = RecurrentSpec(kind="gru", **SIZES, num_layers=2, bias=np.bool_(False), dropout=np.float32(0.5))
    assert (spec.bias, spec.dropout) == (False, 0.5)
    assert (type(spec.bias), type(spec.dropout)) == (bool, float)


@pytest.mark.parametrize("value", [True, np.bool_(True), torch.tensor(True), 4.0, np.float64(4), "4", np.array([4, 2])])
def test_other_values_are_not_integers(value):
    with pytest.raises(ValidationError, match="valid integer"):
        RecurrentSpec(kind="gru", input_size=3, hidden_size=value)


@pytest.mark.parametrize("value", [1, np.int64(1), np.float64(1), "true", torch.tensor(True)])
def test_other_values_are_not_booleans(value):
    with pytest.raises(ValidationError, match="valid boolean"):
        RecurrentSpec(kind="gru", **SIZES, bias=value)


@pytest.mark.parametrize(
    "wrap", [dict, MappingProxyType, UserDict, ConfigMapping, lambda values: argparse.Namespace(**values)]
)
def test_any_mapping_or_namespace_is_accepted(wrap):
    data = {"kind": "lstm_cell", **SIZES}
    expected = RecurrentSpec(**data, options=OPTIONS)
    assert RecurrentSpec(**data, options=wrap(OPTIONS)) == expected
    assert RecurrentSpec.from_dict(wrap({**data, "options": wrap(OPTIONS)})) == expected
    assert replace(expected, options=wrap(OPTIONS)) == expected


def test_any_sequence_is_accepted():
    options = {"cells": UserList(["lstm_cell", "gru_cell"])}
    spec = RecurrentSpec(kind="mixed", input_size=3, hidden_size=UserList([8, 4]), num_layers=2, options=options)
    assert (spec.hidden_size, spec.options.cells) == ((8, 4), ("lstm_cell", "gru_cell"))


def test_a_user_string_is_text():
    spec = RecurrentSpec(kind=UserString("gru"), **SIZES, options={"recurrent_init": UserString("orthogonal")})
    assert spec == RecurrentSpec(kind="gru", **SIZES, options={"recurrent_init": "orthogonal"})


@pytest.mark.parametrize(
    "value", [b"ab", bytearray(b"ab"), memoryview(b"ab"), UserString("4")], ids=lambda value: type(value).__name__
)
def test_bytes_and_text_are_not_sizes(value):
    with pytest.raises(ValidationError, match="valid integer"):
        RecurrentSpec(kind="gru_cell", input_size=3, num_layers=2, hidden_size=value)


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: UserList([value]), lambda value: {"a": value}])
def test_deep_data_is_refused(wrap):
    value = 1
    for _ in range(3000):
        value = wrap(value)
    with pytest.raises(ValidationError, match="has no option 'depth'"):
        RecurrentSpec(kind="gru", **SIZES, options={"depth": value})
    with pytest.raises(ValidationError, match="more than 50 levels deep"):
        RecurrentSpec.from_dict({"kind": "acme/missing", **SIZES, "options": {"a": value}}, allow_unresolved=True)


def test_options_accept_numbers_of_numpy():
    expected = LSTMOptions(proj_size=2, forget_bias=1.0)
    assert LSTMOptions(proj_size=np.int64(2), forget_bias=np.float32(1)) == expected
    assert replace(expected, proj_size=np.uint8(2)) == expected
    values = SimpleNamespace(proj_size=np.int64(2), forget_bias=np.float32(1))
    assert RecurrentSpec(kind="lstm", **SIZES, options=values).options == expected
    with pytest.raises(ValidationError, match="valid integer"):
        LSTMOptions(proj_size=np.bool_(True))


def test_options_of_a_missing_kind_accept_any_mapping():
    data = {"kind": "acme/missing", **SIZES, "options": UserDict(order=np.int64(2), sizes=UserList([1, 2]))}
    spec = RecurrentSpec.from_dict(data, allow_unresolved=True)
    assert spec.options.values == {"order": 2, "sizes": [1, 2]}


def parse(*arguments):
    parser = jsonargparse.ArgumentParser()
    parser.add_argument("--model", type=RecurrentSpec)
    sizes = ["--model.input_size=3", "--model.hidden_size=8"]
    return parser.instantiate(parser.parse_args([*sizes, *arguments])).model


def test_jsonargparse_sets_single_options():
    spec = parse("--model.kind=lstm_cell", "--model.options.forget_bias=1.0", "--model.options.zoneout=[0.1, 0.2]")
    assert (spec.options.forget_bias, spec.options.zoneout) == (1.0, (0.1, 0.2))
    assert build_model(spec).spec == spec


def test_jsonargparse_sets_options_from_json():
    spec = parse("--model.kind=mixed", "--model.num_layers=2", '--model.options={"cells": ["lstm_cell", "gru_cell"]}')
    assert spec.options.cells == ("lstm_cell", "gru_cell")
    cells = '["lstm_cell", {"kind": "rnn_cell", "options": {"nonlinearity": "relu"}}]'
    spec = parse("--model.kind=mixed", "--model.num_layers=2", f'--model.options={{"cells": {cells}}}')
    assert build_model(spec).backbone.cells[1].nonlinearity == "relu"


def test_hydra_shows_the_error_of_a_misspelt_kind():
    utils = pytest.importorskip("hydra.utils")
    exceptions = pytest.importorskip("hydra.errors")
    config = {"_target_": "rnnkit.RecurrentSpec", "kind": "ltsm", "input_size": 3, "hidden_size": 4}
    with pytest.raises(exceptions.InstantiationException, match="Did you mean 'lstm'"):
        utils.instantiate(config)
