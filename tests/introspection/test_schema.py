"""The JSON Schema of spec files accepts and rejects the same data as `load_spec`, within the limits of JSON Schema."""

import dataclasses
import json
import tomllib
from functools import cache
from typing import Annotated, Any

import pytest
import tomli_w
import yaml
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from pydantic import Field, PlainValidator, ValidationError

from rnnkit import (
    BlockedKindError,
    Catalog,
    Kind,
    Options,
    PluginError,
    RecurrentSpec,
    SpecFileError,
    UnknownKindError,
    list_kinds,
    register_kind,
)
from rnnkit.files.spec import load_spec, save_spec
from rnnkit.introspection import kinds_left_out, spec_schema
from rnnkit.testing import use_catalog
from tests.helpers.models import small_spec
from tests.helpers.plugins_on_disk import PluginsOnDisk
from tests.helpers.repeats import REPEATS
from tests.specs.test_spec_properties import FIELDS, damaged_data, reproducible, specs

READERS = {".json": json.loads, ".toml": tomllib.loads, ".yaml": yaml.safe_load}
LSTM = {"kind": "lstm", "input_size": 3, "hidden_size": 4}

# Rules that only `load_spec` checks: their error types, and the phrases for them in the schema's description.
BEYOND_A_SCHEMA = {
    "int_type": "integers are written without a decimal point",
    "sizes_of_layers": "has one size for each of `num_layers`",
    "float32_range": "numbers of options are in the range of float32",
    "padding_idx_out_of_range": "`padding_idx` is less than `num_embeddings`",
    "tied_weights_do_not_fit": "`tie_weights`, `output_size` equals `num_embeddings`",
    "kind_rule": "the rules of each kind",
    "value_error": "that the kinds named in an option are installed",
}


@cache
def validator():
    schema = spec_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def takes(data):
    return validator().is_valid(data)


@cache
def schema_of_local(options, **fields):
    """The validator of a schema with a kind that this process has registered."""
    with register_kind(Kind(name="mine", builder=lambda *_, **__: None, options=options, summary="A test.", **fields)):
        schema = spec_schema(["lstm", "local/mine"])
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    installed = PluginsOnDisk(tmp_path, monkeypatch)
    with use_catalog(Catalog()):
        yield installed
    installed.forget()


@reproducible
@given(spec=specs)
def test_every_valid_spec_passes(spec):
    assert takes(spec.to_dict())


@pytest.mark.parametrize("suffix", READERS)
def test_written_files_pass_in_other_readers(tmp_path, suffix):
    path = tmp_path / f"spec{suffix}"

    @settings(reproducible, max_examples=40)
    @given(spec=specs)
    def passes(spec):
        save_spec(spec, path)
        data = READERS[suffix](path.read_text(encoding="utf-8"))
        assert data["format_version"] == 1
        assert takes(data)

    passes()


@pytest.mark.parametrize(
    "data",
    [
        LSTM,
        LSTM | {"$schema": "./spec.schema.json"},
        LSTM | {"format_version": 1, "plugin": "rnnkit==0.1.0"},
        LSTM | {"plugin": "rnnkit", "readout_plugin": "rnnkit"},
        LSTM | {"kind": "rnnkit/lstm"},
        LSTM | {"kind": "rnnkit/lstm", "options": {"proj_size": 2}},
        LSTM | {"output_size": None, "options": {"forget_bias": None}},
        LSTM | {"num_layers": 2, "dropout": 1},
        LSTM | {"dropout": 0},
        LSTM
        | {"hidden_size": 3, "num_embeddings": 7, "padding_idx": 6, "output_size": 7, "tie_weights": True}
        | {"readout_dropout": 0.5},
        LSTM | {"padding_idx": None, "tie_weights": False, "readout_dropout": 0},
        LSTM | {"kind": "gru_cell", "hidden_size": [4]},
        LSTM | {"kind": "gru_cell", "hidden_size": [4, 5], "num_layers": 2, "options": {"zoneout": [0.5]}},
        LSTM | {"null": ["output_size"]},
    ],
    ids=str,
)
def test_handwritten_files_pass(data, tmp_path):
    assert takes(data)
    path = tmp_path / ("spec.toml" if "null" in data else "spec.yaml")  # of which JSON is a part
    path.write_text(tomli_w.dumps(data) if "null" in data else json.dumps(data), encoding="utf-8")
    spec = load_spec(path).to_dict()
    assert {name: spec[name] for name in ("input_size", "hidden_size")}.items() <= data.items()


WRONG = {
    "no fields": {},
    "no kind": {"input_size": 3, "hidden_size": 4},
    "no input_size": {"kind": "lstm", "hidden_size": 4},
    "no hidden_size": {"kind": "lstm", "input_size": 3},
    "a field that does not exist": LSTM | {"hidden_sise": 4},
    "an option among the fields": LSTM | {"proj_size": 2},
    "a kind that is not installed": LSTM | {"kind": "lstn"},
    "a kind of a distribution that is not installed": LSTM | {"kind": "rnnkit-lstm/lstm"},
    "a kind in capitals": LSTM | {"kind": "LSTM"},
    "a kind that is a list": LSTM | {"kind": ["lstm"]},
    "a kind that is null": LSTM | {"kind": None},
    "input_size zero": LSTM | {"input_size": 0},
    "input_size in quotes": LSTM | {"input_size": "3"},
    "input_size with a fraction": LSTM | {"input_size": 3.5},
    "input_size true": LSTM | {"input_size": True},
    "hidden_size negative": LSTM | {"hidden_size": -4},
    "hidden_size null": LSTM | {"hidden_size": None},
    "several sizes of a kind that has one": LSTM | {"hidden_size": [4]},
    "several sizes of a kind that has one, by its long name": LSTM | {"kind": "rnnkit/gru", "hidden_size": [4]},
    "no sizes at all": LSTM | {"kind": "gru_cell", "hidden_size": []},
    "a size of zero among others": LSTM | {"kind": "gru_cell", "hidden_size": [4, 0], "num_layers": 2},
    "output_size zero": LSTM | {"output_size": 0},
    "output_size in quotes": LSTM | {"output_size": "none"},
    "num_layers zero": LSTM | {"num_layers": 0},
    "num_layers null": LSTM | {"num_layers": None},
    "bias as a number": LSTM | {"bias": 1},
    "bias in quotes": LSTM | {"bias": "yes"},
    "batch_first null": LSTM | {"batch_first": None},
    "bidirectional in quotes": LSTM | {"bidirectional": "true"},
    "dropout above 1": LSTM | {"num_layers": 2, "dropout": 1.5},
    "dropout below 0": LSTM | {"num_layers": 2, "dropout": -0.1},
    "dropout true": LSTM | {"num_layers": 2, "dropout": True},
    "dropout in quotes": LSTM | {"num_layers": 2, "dropout": "0.5"},
    "dropout with one layer": LSTM | {"num_layers": 1, "dropout": 0.5},
    "dropout with one layer by default": LSTM | {"dropout": 0.5},
    "a readout that does not exist": LSTM | {"readout": "first"},
    "readout null": LSTM | {"readout": None},
    "readout_dropout above 1": LSTM | {"output_size": 2, "readout_dropout": 1.5},
    "readout_dropout without an output_size": LSTM | {"readout_dropout": 0.5},
    "num_embeddings zero": LSTM | {"num_embeddings": 0},
    "padding_idx below 0": LSTM | {"num_embeddings": 7, "padding_idx": -1},
    "padding_idx without num_embeddings": LSTM | {"padding_idx": 0},
    "tie_weights in quotes": LSTM | {"num_embeddings": 7, "output_size": 7, "tie_weights": "yes"},
    "tie_weights without num_embeddings": LSTM | {"output_size": 7, "tie_weights": True},
    "tie_weights without an output_size": LSTM | {"num_embeddings": 7, "tie_weights": True},
    "options that are a list": LSTM | {"options": []},
    "options null": LSTM | {"options": None},
    "an option that the kind does not have": LSTM | {"options": {"zoneout": 0.1}},
    "an option that no kind has": LSTM | {"options": {"projsize": 2}},
    "an option that is not valid": LSTM | {"options": {"proj_size": -1}},
    "an option of the wrong type": LSTM | {"options": {"proj_size": "2"}},
    "an option that is not valid, by the long name": LSTM | {"kind": "rnnkit/lstm", "options": {"proj_size": -1}},
    "an option with another choice": LSTM | {"kind": "rnn", "options": {"nonlinearity": "gelu"}},
    "an option with one wrong part": LSTM | {"kind": "lstm_cell", "options": {"zoneout": [0.1, 1.0]}},
    "options of one kind for another": LSTM | {"kind": "rnn", "options": {"proj_size": 2}},
    "a later format": LSTM | {"format_version": 2},
    "a format in quotes": LSTM | {"format_version": "1"},
    "a plugin that is a number": LSTM | {"plugin": 1},
    "a plugin that pip could not install": LSTM | {"plugin": "rnnkit nbrc"},
    "a plugin of the readout that pip could not install": LSTM | {"readout_plugin": "rnnkit nbrc"},
    "null that is not a list": LSTM | {"null": "options"},
    "null with a number": LSTM | {"null": [1]},
}


@pytest.mark.parametrize("what", WRONG)
def test_schema_and_loader_reject_the_same_data(what, tmp_path):
    assert not takes(WRONG[what])
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(WRONG[what]), encoding="utf-8")
    with pytest.raises(SpecFileError):
        load_spec(path)


def test_invalid_examples_cover_every_field():
    varied = {name for data in WRONG.values() for name, value in data.items() if LSTM.get(name, ...) != value}
    assert varied >= {*FIELDS, "format_version", "plugin", "readout_plugin", "null"}


@pytest.mark.parametrize("data", [None, [], "lstm", 1, True], ids=str)
def test_non_mapping_is_rejected(data):
    assert not takes(data)


@settings(reproducible, max_examples=500 * REPEATS)
@given(data=damaged_data())
def test_schema_agrees_with_spec_except_documented_rules(data):
    found = problems(data)
    assert found <= set(BEYOND_A_SCHEMA) if takes(data) else found


def problems(data):
    """The types of the lines in the error that a spec of these fields gives, if it gives one."""
    try:
        RecurrentSpec.from_dict(data)
    except ValidationError as error:
        return {line["type"] for line in error.errors()}
    return set()


@pytest.mark.parametrize(
    "data",
    [
        LSTM | {"input_size": 3.0},
        LSTM | {"kind": "gru_cell", "hidden_size": [4, 5]},
        LSTM | {"options": {"forget_bias": 1e-300}},
        LSTM | {"num_embeddings": 7, "padding_idx": 7},
        LSTM | {"num_embeddings": 7, "output_size": 3, "tie_weights": True},
        LSTM | {"options": {"proj_size": 4}},
        LSTM | {"kind": "mixed", "options": {"cells": ["nothing"]}},
    ],
    ids=BEYOND_A_SCHEMA,
)
def test_schema_description_names_unchecked_rules(data, request):
    assert takes(data)
    [problem] = problems(data)
    assert problem == request.node.callspec.id
    assert BEYOND_A_SCHEMA[problem] in validator().schema["description"]


def test_every_field_and_option_has_a_description():
    schema = spec_schema()
    shown = [schema, *schema["$defs"].values()]
    fields = [(name, field) for each in shown for name, field in each["properties"].items()]
    assert [name for name, field in fields if not field.get("description")] == []
    assert {"hidden_size", "format_version", "plugin", "null", "$schema", "proj_size", "zoneout"} <= {*dict(fields)}
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$schema"]


def test_every_kind_has_its_options_in_the_schema(kind):
    spec = small_spec(kind)
    assert takes(spec.to_dict())
    assert not takes(spec.to_dict() | {"options": {"no such option": 1}})


def test_schema_is_small():
    assert len(json.dumps(spec_schema(), indent=2)) < 5_000 * len(list_kinds())


def test_schema_of_given_kinds():
    validate = Draft202012Validator(spec_schema(["gru", "rnnkit/rnn", "gru"]))
    assert [kind for kind in list_kinds() if validate.is_valid(LSTM | {"kind": kind})] == ["gru", "rnn"]
    assert [*spec_schema(["gru"])["$defs"]] == ["InitOptions"]
    assert spec_schema("gru") == spec_schema(["gru"])


def test_bare_name_of_third_party_kind_passes_unless_ambiguous(plugins):
    first, second = (plugins.install("shared", name) for name in ("alone", "other"))
    first, second = first.replace("_", "-"), second.replace("_", "-")
    plugins.install("lstm", distribution="another-lstm")
    validate = Draft202012Validator(spec_schema())
    wanted = ["alone", f"{first}/alone", f"{first}/shared", f"{second}/shared", "lstm", "another-lstm/lstm"]
    assert [name for name in [*wanted, "shared"] if validate.is_valid(LSTM | {"kind": name})] == wanted
    # the bare name is rnnkit's own, and has its options
    assert validate.is_valid(LSTM | {"options": {"proj_size": 1}})
    assert not validate.is_valid(LSTM | {"kind": "another-lstm/lstm", "options": {"proj_size": 1}})


SAME_CLASS = """
from typing import Literal

class SameOptions(Options):
    own: Literal[{value}] = {value}

@hookimpl
def register_kinds(register):
    register(kind({name!r}, options=SameOptions))
"""


def test_two_plugins_may_share_an_options_class_name(plugins):
    for value, name in enumerate(["one", "two"]):
        plugins.install(name, source=SAME_CLASS.format(name=name, value=value))
    validate = Draft202012Validator(spec_schema())
    for value, name in enumerate(["one", "two"]):
        assert validate.is_valid(LSTM | {"kind": name, "options": {"own": value}})
        assert not validate.is_valid(LSTM | {"kind": name, "options": {"own": 1 - value}})


REFUSING = """
class Refusing(int):
    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler):
        return handler(int)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema, handler):
        raise RuntimeError("no words for this")

class ItsOptions(Options):
    option: Refusing = Refusing(1)

@hookimpl
def register_kinds(register):
    register(kind("refusing", options=ItsOptions))
"""


def test_broken_and_blocked_kinds_are_left_out(plugins):
    broken = plugins.install("broken", source="raise RuntimeError('out of order')").replace("_", "-")
    refusing = plugins.install("refusing", source=REFUSING).replace("_", "-")
    blocked = plugins.install("blocked").replace("_", "-")
    with use_catalog(Catalog(block=[blocked])):
        schema, reasons = spec_schema(), kinds_left_out()
        assert sorted(reasons) == sorted([f"{broken}/broken", f"{refusing}/refusing", f"{blocked}/blocked"])
        for kind, error in {"broken": PluginError, "refusing": PluginError, "blocked": BlockedKindError}.items():
            with pytest.raises(error):
                spec_schema([kind])
    assert "RuntimeError: out of order" in reasons[f"{broken}/broken"]
    assert "no words for this" in reasons[f"{refusing}/refusing"]
    assert "blocked by" in reasons[f"{blocked}/blocked"]
    validate = Draft202012Validator(schema)
    assert not any(validate.is_valid(LSTM | {"kind": kind}) for kind in ("broken", "refusing", "blocked", *reasons))
    assert validate.is_valid(LSTM)


def test_unknown_kind_raises():
    with pytest.raises(UnknownKindError, match="Did you mean 'lstm'"):
        spec_schema(["lstn"])


def test_nothing_passes_without_installed_kinds():
    with use_catalog(Catalog(list)):
        validate = Draft202012Validator(spec_schema())
    assert not validate.is_valid(LSTM)


@dataclasses.dataclass(frozen=True)
class Window:
    """A window."""

    width: Annotated[int, Field(ge=1)] = 3
    """Width in steps."""


class ManyOptions(Options):
    """Options of all sorts."""

    window: Window = Window()
    sizes: tuple[float | None, ...] = ()
    anything: Annotated[Any, PlainValidator(lambda value: value)] = None
    described: Annotated[int, Field(description="Its author's own words.")] = 1


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({}, True),
        ({"window": {"width": 4}}, True),
        ({"window": {"width": 0}}, False),
        ({"sizes": [1.5, None]}, True),
        ({"sizes": [1.5, "x"]}, False),
        ({"anything": {"at": ["all"]}}, True),
    ],
)
def test_schema_and_options_class_accept_the_same_values(options, passes):
    data = LSTM | {"kind": "local/mine", "options": options}
    assert schema_of_local(ManyOptions).is_valid(data) == passes
    with register_kind(Kind(name="mine", builder=lambda *_, **__: None, options=ManyOptions, summary="A test.")):
        if passes:
            RecurrentSpec.from_dict(data)
        else:
            with pytest.raises(ValidationError):
                RecurrentSpec.from_dict(data)


def test_descriptions_come_from_docstrings_and_fields():
    definitions = schema_of_local(ManyOptions).schema["$defs"]
    assert definitions["Window"]["description"] == "A window."
    assert definitions["Window"]["properties"]["width"]["description"] == "Width in steps."
    assert definitions["ManyOptions"]["properties"]["described"]["description"] == "Its author's own words."


def test_null_in_a_list_passes_in_toml(tmp_path):
    path = tmp_path / "spec.toml"
    with register_kind(Kind(name="mine", builder=lambda *_, **__: None, options=ManyOptions, summary="A test.")):
        save_spec(RecurrentSpec(kind="mine", input_size=1, hidden_size=1, options={"sizes": (1.0, None)}), path)
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    assert data["null"] == ["options.sizes.1"]
    validate = schema_of_local(ManyOptions)
    assert validate.is_valid(data)
    assert not validate.is_valid(data | {"null": []})
    assert not validate.is_valid(data | {"hidden_size": [1]})


def test_sizes_per_layer_pass_if_the_kind_supports_them():
    data = LSTM | {"kind": "local/mine", "hidden_size": [1, 2], "num_layers": 2}
    assert schema_of_local(Options, sizes_per_layer=True).is_valid(data)
    assert not schema_of_local(Options).is_valid(data)
