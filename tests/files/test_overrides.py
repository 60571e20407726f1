"""Overrides `KEY=VALUE`: their meaning, and errors for invalid ones."""

import copy
import pickle
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnkit import BlockedKindError, Catalog, Options, RecurrentSpec, SpecFileError, register_kind
from rnnkit.files.spec import load_spec, override_spec
from rnnkit.files.spec._overrides import Override, apply_overrides
from rnnkit.testing import use_catalog
from rnnkit_builtin.lstm import LSTMOptions
from tests.specs.test_spec_properties import reproducible, specs

LSTM = RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, num_layers=2, dropout=0.5, options={"proj_size": 2})
STACK = RecurrentSpec(kind="lstm_cell", input_size=3, hidden_size=4, num_layers=2, output_size=5)


def lines_of(call):
    with pytest.raises(SpecFileError) as caught:
        call()
    return str(caught.value).splitlines()


# Values


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("hidden_size=64", "hidden_size", 64),
        (" hidden_size = 64 ", "hidden_size", 64),
        ("hidden_size=[64,32]", "hidden_size", (64, 32)),
        ("hidden_size=[64, 32] # from below", "hidden_size", (64, 32)),
        ("hidden_size=0x10", "hidden_size", 16),
        ("output_size=null", "output_size", None),
        ("output_size=~", "output_size", None),
        ("output_size=", "output_size", None),
        ("output_size= ", "output_size", None),
        ("dropout=1e-1", "dropout", 0.1),
        ("dropout=0", "dropout", 0.0),
        ("dropout=.5", "dropout", 0.5),
        ("bidirectional=true", "bidirectional", True),
        ("readout=all", "readout", "all"),
        ("readout='all'", "readout", "all"),
        ('readout="all"', "readout", "all"),
        ("options.zoneout=[0.1,0.2]", "options.zoneout", (0.1, 0.2)),
        ("options.layer_norm=output", "options.layer_norm", "output"),
        ("options={forget_bias: 1.0}", "options.forget_bias", 1.0),
        ('options={"forget_bias": 1.0}', "options.forget_bias", 1.0),
    ],
)
def test_values_are_parsed_as_yaml(override, field, value):
    spec = override_spec(STACK, [override])
    for name in field.split("."):
        spec = getattr(spec, name)
    assert spec == value
    assert type(spec) is type(value)


def test_other_fields_and_the_original_spec_are_unchanged():
    changed = override_spec(LSTM, ["hidden_size=8", "options.forget_bias=1.0"])
    assert changed.to_dict() == LSTM.to_dict() | {
        "hidden_size": 8,
        "options": LSTM.to_dict()["options"] | {"forget_bias": 1.0},
    }
    assert (LSTM.hidden_size, LSTM.options.forget_bias) == (4, None)


@reproducible
@given(spec=specs)
def test_no_overrides_change_nothing(spec):
    assert override_spec(spec, []) == spec
    assert type(override_spec(spec, []).options) is type(spec.options)


class Color(Enum):
    RED = "red"


class TextOptions(Options):
    name: str = "none"
    names: tuple[str, ...] = ()
    either: int | str = 0
    color: Color | None = None
    count: int = 0


@pytest.fixture
def text():
    """A spec whose kind has text options."""
    with use_catalog(Catalog()):
        register_kind("text", options=TextOptions)(object)
        yield RecurrentSpec(kind="text", input_size=3, hidden_size=4)


@pytest.mark.parametrize(
    ("override", "field", "value"),
    [
        ("name=12", "name", "12"),
        ("name=1e-3", "name", "1e-3"),
        ("name=true", "name", "true"),
        ("name=null", "name", "null"),
        ("name=", "name", ""),
        ("name=[1, 2]", "name", "[1, 2]"),
        ("name= two words ", "name", "two words"),
        ("name=a=b", "name", "a=b"),
        ("name=a: b", "name", "a: b"),
        ("name=- a", "name", "- a"),
        ("name=[a", "name", "[a"),
        ("name=*a", "name", "*a"),
        ("name=!a", "name", "!a"),
        ("name=#ff0000", "name", "#ff0000"),
        ("name=red # no comment", "name", "red # no comment"),
        ("name='12'", "name", "12"),
        ("name=no", "name", "no"),
        ("name=ä😀", "name", "ä😀"),
        ("name=--- a", "name", "--- a"),
        ("name=| a", "name", "| a"),
        ("names=[a, b]", "names", ("a", "b")),
        ("either=12", "either", 12),
        ("either=a", "either", "a"),
        ("color=red", "color", Color.RED),
        ("color=null", "color", None),
    ],
)
def test_values_are_text_where_yaml_or_the_field_requires_it(text, override, field, value):
    given = getattr(override_spec(text, [f"options.{override}"]).options, field)
    assert given == value
    assert type(given) is type(value)


def test_an_invalid_value_beside_valid_text_is_reported(text):
    [line] = lines_of(lambda: override_spec(text, ["options.name=12", "options.count=many"]))
    assert line == "override 'options.count=many': Input should be a valid integer, but is 'many'"
    assert override_spec(text, ["options.name=12", "options.count=3"]).options == TextOptions(name="12", count=3)


@given(value=st.text(st.characters(exclude_categories=["Cs", "Cc"])))
@reproducible
def test_quoted_text_round_trips(value):
    with use_catalog(Catalog()):
        register_kind("text", options=TextOptions)(object)
        spec = RecurrentSpec(kind="text", input_size=3, hidden_size=4)
        quoted = value.replace("'", "''")
        assert override_spec(spec, [f"options.name='{quoted}'"]).options.name == value


def test_overrides_do_not_change_their_input():
    data = {"kind": "lstm", "options": {"proj_size": 2, "inner": {"a": 1}}}
    before = copy.deepcopy(data)
    fields, _ = apply_overrides(data, [Override.parse(each) for each in ("options.inner.a=2", "options.proj_size=3")])
    assert fields["options"] == {"proj_size": 3, "inner": {"a": 2}}
    assert data == before


# Another kind


def test_another_kind_drops_default_options_of_the_old_kind():
    spec = RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, options={"recurrent_init": "orthogonal"})
    assert override_spec(spec, ["kind=gru"]) == RecurrentSpec(
        kind="gru", input_size=3, hidden_size=4, options={"recurrent_init": "orthogonal"}
    )


def test_another_kind_refuses_chosen_options_of_the_old_kind():
    [line] = lines_of(lambda: override_spec(LSTM, ["kind=gru"]))
    assert line.startswith("spec: options.proj_size: The kind 'gru' has no option 'proj_size'.")
    assert override_spec(LSTM, ["kind=gru", "options={}"]).kind == "gru"


def test_another_kind_accepts_its_own_options():
    assert override_spec(LSTM, ["kind=rnn", "options={}", "options.nonlinearity=relu"]).options.nonlinearity == "relu"


def test_a_default_is_dropped_only_if_type_and_value_are_equal(tmp_path):
    (tmp_path / "model.yaml").write_text("kind: lstm\ninput_size: 3\nhidden_size: 4\noptions: {proj_size: false}")
    [line] = lines_of(lambda: load_spec(tmp_path / "model.yaml", overrides=["kind=gru"]))
    assert "options.proj_size" in line


# Errors


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hidden_size", "Should be KEY=VALUE, such as hidden_size=64 or options.nonlinearity=relu"),
        ("", "Should be KEY=VALUE"),
        ("=64", "Should be KEY=VALUE"),
        ("options.=64", "Should be KEY=VALUE"),
        (".hidden_size=64", "Should be KEY=VALUE"),
        ("a." * 60 + "a=1", "Should not be nested more than 50 levels deep"),
        ("hidden_sise=64", "A RecurrentSpec has no field 'hidden_sise'. Did you mean 'hidden_size'?"),
        ("proj_size=2", "'proj_size' is an option of the kind 'lstm': write options={'proj_size': ...}"),
        ("options.proj_sise=2", "The kind 'lstm' has no option 'proj_sise'. Did you mean 'proj_size'?"),
        ("hidden_size=0", "Input should be greater than or equal to 1, but is 0"),
        ("hidden_size=64.0", "Input should be a valid integer, but is 64.0"),
        ("hidden_size=[64", "Input should be a valid integer, but is '[64'"),
        ("hidden_size=64,32", "Input should be a valid integer, but is '64,32'"),
        ("hidden_size.x=64", "hidden_size is 4, which has no fields: replace the whole value"),
        ("hidden_size=[64,0]", "hidden_size.1: Input should be greater than or equal to 1, but is 0"),
        ("bias=no", "Input should be a valid boolean, but is 'no'"),
        ("dropout=.inf", "Numbers should be finite, but is inf"),
        ("dropout=1e999", "Numbers should be finite, but is inf"),
        ("kind=lsmt", "No installed plugin provides the kind 'lsmt'. Did you mean 'lstm'?"),
        ("kind=null", "Input should be a valid string, but is None"),
        ("options=3", "The kind 'lstm' takes a mapping"),
        ("options.proj_size=4", "proj_size"),
        ("format_version=1", "A RecurrentSpec has no field 'format_version'."),
        ("input_size=\udcff", "Text should not have half of a surrogate pair"),
    ],
)
def test_an_invalid_override_is_reported_with_the_rule_that_it_breaks(override, message):
    [line, *others] = lines_of(lambda: override_spec(LSTM, [override]))
    start, _, actual = line.partition("': ")
    assert start == f"override {override[:200]!r}".removesuffix("'")
    assert actual.startswith(message)
    assert others == []


def test_all_problems_are_reported_in_order():
    overrides = ["hidden_size=0", "x", "input_size=one", "hidden_size=5", "readot=last"]
    lines = lines_of(lambda: override_spec(LSTM, overrides))
    assert [line.partition(": ")[0] for line in lines] == [
        "override 'x'",
        "override 'hidden_size=5'",
        "override 'input_size=one'",
        "override 'readot=last'",
    ]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("hidden_size=5", "hidden_size=6", "override 'hidden_size=5' sets the same field: remove one of them"),
        (
            "options.proj_size=1",
            "options={}",
            "override 'options.proj_size=1' sets a part of the same field: remove one of them",
        ),
    ],
)
def test_conflicting_overrides_are_refused(first, second, message):
    assert lines_of(lambda: override_spec(LSTM, [first, second])) == [f"override {second!r}: {message}"]
    assert override_spec(LSTM, ["options={}", "options.proj_size=1"]).options == LSTMOptions(proj_size=1)


@pytest.mark.parametrize("overrides", ["hidden_size=64", {"hidden_size": 64}], ids=["string", "dict"])
def test_overrides_that_are_not_a_list_are_refused(overrides):
    assert lines_of(lambda: override_spec(LSTM, overrides)) == [
        f"Overrides should be a list such as ['hidden_size=64'], but are {overrides!r}"
    ]


def test_a_problem_of_another_field_is_reported_at_that_field(tmp_path):
    [line] = lines_of(lambda: override_spec(LSTM, ["num_layers=1"]))
    assert line.startswith("spec: dropout: Dropout acts between layers")
    (tmp_path / "model.yaml").write_text("kind: gru\ninput_size: 3\nhidden_size: 4\nnum_layers: 2\ndropout: 0.5")
    [line] = lines_of(lambda: load_spec(tmp_path / "model.yaml", overrides=["num_layers=1"]))
    assert line.startswith(f"{tmp_path / 'model.yaml'}:5: dropout: Dropout acts between layers")


def test_errors_of_the_catalog_name_the_override():
    with use_catalog(Catalog(block=["rnnkit"])), pytest.raises(BlockedKindError) as caught:
        override_spec(LSTM, ["kind=gru"])
    assert caught.value.__notes__ == ["in override 'kind=gru'"]


def test_an_error_keeps_its_override():
    with pytest.raises(SpecFileError) as caught:
        override_spec(LSTM, ["hidden_size=0"])
    [problem] = pickle.loads(pickle.dumps(caught.value)).problems
    assert (problem.file, problem.line, problem.field) == ("spec", None, "hidden_size")
    assert (problem.value, problem.override) == ("0", "hidden_size=0")


# Overrides of files


def test_overrides_are_applied_before_validation(tmp_path):
    """They add missing fields and replace invalid ones."""
    path = tmp_path / "model.toml"
    path.write_text("kind = 'unheard'\nhidden_size = 0\ndropout = inf\noptions.proj_size = 2")
    spec = load_spec(path, overrides=["kind=lstm", "input_size=3", "hidden_size=4", "dropout=0"])
    assert spec == RecurrentSpec(kind="lstm", input_size=3, hidden_size=4, options={"proj_size": 2})


def test_problems_are_attributed_to_the_file_or_the_override(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text("kind: lstm\nhidden_size: 0\noptions:\n  proj_size: two")
    expected = [
        f"{path}:2: hidden_size: Input should be greater than or equal to 1, but is 0",
        f"{path}:4: options.proj_size: Input should be a valid integer, but is 'two'",
        "override 'input_size=one': Input should be a valid integer, but is 'one'",
        "override 'options.forget_bias=two': Input should be a valid number or 'chrono', but is 'two'",
    ]
    assert lines_of(lambda: load_spec(path, overrides=["input_size=one", "options.forget_bias=two"])) == expected


def test_another_kind_does_not_need_the_plugin_of_the_file(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text("plugin: rnnkit-absent==1\nkind: rnnkit-absent/x\ninput_size: 3\nhidden_size: 4\noptions: {}")
    assert load_spec(path, overrides=["kind=lstm"]).kind == "lstm"


@pytest.mark.parametrize("options", ["", "options:\n", "options: {}\n"], ids=["missing", "empty", "none"])
def test_an_option_can_be_added_to_a_file_without_options(tmp_path, options):
    path = tmp_path / "model.yaml"
    path.write_text(f"kind: lstm\ninput_size: 3\nhidden_size: 4\n{options}")
    assert load_spec(path, overrides=["options.proj_size=2"]).options.proj_size == 2
