"""Spec files: lossless round trips in every format, other readers, and problems with their lines."""

import json
import os
import pickle
import re
import stat
import tomllib
from typing import Annotated, Any

import pytest
import yaml
from hypothesis import given
from pydantic import Field, ValidationError

import rnnkit
from rnnkit import (
    AmbiguousKindError,
    BlockedKindError,
    Catalog,
    CheckpointError,
    Options,
    PluginError,
    Problem,
    RecurrentSpec,
    SpecFileError,
    build_model,
    register_kind,
)
from rnnkit.files import atomic_write
from rnnkit.files.checkpoint.checkpoint_file import save_model
from rnnkit.files.spec import load_spec, save_spec
from rnnkit.specs import DistributionPin, plugin_of
from rnnkit.testing import use_catalog
from tests.golden.specs.write import FOLDER, OLD_FOLDERS, SPECS, SUFFIXES
from tests.helpers.kinds import CORE
from tests.helpers.models import small_spec
from tests.specs.test_spec_properties import reproducible, specs

# Independent readers; PyYAML reads YAML 1.1.
READERS = {".json": json.loads, ".toml": tomllib.loads, ".yaml": yaml.safe_load}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A directory for all examples of a property-based test."""
    return tmp_path_factory.mktemp("specs")


@pytest.fixture
def write(tmp_path):
    """Writes the content of a file; returns its path."""

    def written(content, name="model.yaml"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def problems_of(path, **arguments):
    """The lines of the error from loading a file, without its directory."""
    with pytest.raises(SpecFileError) as caught:
        load_spec(path, **arguments)
    return str(caught.value).replace(f"{path.parent}{os.sep}", "").splitlines()


# Round trips


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".yml", ".JSON", ".Yaml"])
@reproducible
@given(spec=specs)
def test_a_spec_round_trips(folder, suffix, spec):
    path = folder / f"model{suffix}"
    save_spec(spec, path)
    twin = load_spec(path)
    assert twin == spec
    assert hash(twin) == hash(spec)
    assert type(twin.options) is type(spec.options)
    content = path.read_bytes()
    save_spec(twin, path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("suffix", SUFFIXES)
@reproducible
@given(spec=specs)
def test_other_readers_read_the_same_data(folder, suffix, spec):
    path = folder / f"model{suffix}"
    save_spec(spec, path)
    expected = {"format_version": 1, "plugin": f"rnnkit=={rnnkit.__version__}", **spec.to_dict()}
    if suffix == ".toml":  # every None is a default
        expected = without_nulls(expected)
    assert READERS[suffix](path.read_text(encoding="utf-8")) == expected


def without_nulls(data):
    values = data.items()
    return {key: without_nulls(part) if isinstance(part, dict) else part for key, part in values if part is not None}


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_fields_are_in_the_order_of_the_spec(kind, suffix, tmp_path):
    spec = small_spec(kind)
    save_spec(spec, tmp_path / f"model{suffix}")
    data = READERS[suffix]((tmp_path / f"model{suffix}").read_text(encoding="utf-8"))
    assert list(data) == ["format_version", "plugin", *spec.to_dict()]
    assert list(data["options"]) == list(spec.to_dict()["options"])


class RateOptions(Options):
    rate: float | None = 0.5
    rates: tuple[float | None, ...] = (None, 1.0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_none_that_is_not_the_default_round_trips(suffix, tmp_path):
    with use_catalog(Catalog()):
        register_kind("rated", options=RateOptions)(object)
        spec = RecurrentSpec(kind="rated", input_size=3, hidden_size=4, options={"rate": None, "rates": (1.0, None)})
        save_spec(spec, tmp_path / f"model{suffix}")
        assert load_spec(tmp_path / f"model{suffix}") == spec


def test_the_spec_of_a_local_kind_names_no_plugin(tmp_path):
    with use_catalog(Catalog()):
        register_kind("mine")(object)
        save_spec(RecurrentSpec(kind="mine", input_size=3, hidden_size=4), tmp_path / "model.json")
        assert "plugin" not in json.loads((tmp_path / "model.json").read_text())
        assert load_spec(tmp_path / "model.json").kind == "local/mine"


def test_the_spec_of_a_third_party_kind_names_its_version(plugins, tmp_path):
    plugins.install("clock", distribution="Rnnkit_Clock")
    with use_catalog(Catalog()):
        save_spec(RecurrentSpec(kind="clock", input_size=3, hidden_size=4), tmp_path / "model.json")
    data = json.loads((tmp_path / "model.json").read_text())
    assert (data["kind"], data["plugin"]) == ("rnnkit-clock/clock", "rnnkit-clock==1.0")


# Golden files


def test_there_are_golden_files_of_each_kind_of_the_core():
    assert sorted(SPECS) == sorted([*CORE, "unresolved"])
    for folder in [*OLD_FOLDERS, FOLDER]:
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            f"{name}{suffix}" for name in SPECS for suffix in SUFFIXES
        )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", SPECS)
def test_a_file_of_version_1_is_read(name, suffix):
    for folder in [*OLD_FOLDERS, FOLDER]:
        assert load_spec(folder / f"{name}{suffix}", allow_unresolved=name == "unresolved") == SPECS[name]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", SPECS)
def test_writing_gives_the_golden_files(name, suffix, tmp_path):
    """See `tests/golden/specs/write.py` for when to write new ones."""
    path = tmp_path / f"{name}{suffix}"
    save_spec(SPECS[name], path)
    golden = FOLDER / path.name
    assert without_versions(path) == without_versions(golden), f"if it is meant to differ, see {FOLDER.parent}/write.py"


def without_versions(path):
    return re.sub(r"rnnkit==[^\s\"]+", "rnnkit==VERSION", path.read_bytes().decode())


# Files written by hand

BY_HAND = {
    ".yaml": "kind: lstm\ninput_size: 8\nhidden_size: 16\noptions:\n  proj_size: 4\n",
    ".toml": 'kind = "lstm"\ninput_size = 8\nhidden_size = 16\noptions.proj_size = 4\n',
    ".json": '{"kind": "lstm", "input_size": 8, "hidden_size": 16, "options": {"proj_size": 4}}',
}


@pytest.mark.parametrize("suffix", BY_HAND)
@pytest.mark.parametrize("change", ["", "\ufeff", "\r\n"], ids=["plain", "bom", "windows"])
def test_missing_fields_take_their_defaults(write, suffix, change):
    text = BY_HAND[suffix].replace("\n", "\r\n") if change == "\r\n" else change + BY_HAND[suffix]
    expected = RecurrentSpec(kind="lstm", input_size=8, hidden_size=16, options={"proj_size": 4})
    assert load_spec(write(text, f"model{suffix}")) == expected


def test_paths_may_be_str(write):
    assert load_spec(str(write(BY_HAND[".yaml"]))).kind == "lstm"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param("format_version: 1\n", id="version"),
        pytest.param("$schema: spec.schema.json\n", id="schema"),
        pytest.param("plugin: rnnkit==0.0.3\n", id="plugin-of-another-version"),
        pytest.param("plugin: RNNKit\n", id="plugin-without-version"),
        pytest.param("# a comment\n%YAML 1.2\n---\n", id="directive"),
    ],
)
def test_keys_that_are_not_fields(write, head):
    assert load_spec(write(head + BY_HAND[".yaml"])).kind == "lstm"


# As the core schema of YAML 1.2.2 has it in its section 10.3.2, where it differs from YAML 1.1 and where it does not.
CORE_SCHEMA = [
    ("null", None),
    ("~", None),
    ("", None),
    ("true", True),
    ("False", False),
    ("yes", "yes"),
    ("no", "no"),
    ("on", "on"),
    ("y", "y"),
    ("nULL", "nULL"),
    ("012", 12),
    ("0o14", 12),
    ("0xC", 12),
    ("+12", 12),
    ("0b1", "0b1"),
    ("1_000", "1_000"),
    ("12:30:45", "12:30:45"),
    ("1e-3", 0.001),
    ("-2E+05", -200000.0),
    (".5", 0.5),
    ("-.5", -0.5),
    ("5.", 5.0),
    ("1e3", 1000.0),
    ("2001-12-14", "2001-12-14"),
    ("<<", "<<"),
    ("=", "="),
    ("'12'", "12"),
    ('"\\u00e4"', "ä"),
]


@pytest.mark.parametrize(("text", "value"), CORE_SCHEMA)
def test_yaml_is_version_1_2(write, text, value):
    path = write(f"kind: absent/x\ninput_size: 3\nhidden_size: 4\noptions:\n  value: {text}\n")
    read = load_spec(path, allow_unresolved=True).options.values["value"]
    assert (read, type(read)) == (value, type(value))


SPECIAL = [".inf", ".NaN", "null ", "- a", "#", "a: b", "\x85", "a\n\nb ", "&a", "%", "\ufeff", "\u2028", "\0", "😀"]


@pytest.mark.parametrize("text", [text for text, _ in CORE_SCHEMA] + SPECIAL)
def test_text_round_trips_through_yaml_1_1_and_1_2(text, tmp_path):
    data = {"kind": "absent/x", "input_size": 3, "hidden_size": 4, "options": {"value": text, text: 1}}
    spec = RecurrentSpec.from_dict(data, allow_unresolved=True)
    save_spec(spec, tmp_path / "model.yaml")
    assert yaml.safe_load((tmp_path / "model.yaml").read_text(encoding="utf-8"))["options"] == data["options"]
    assert load_spec(tmp_path / "model.yaml", allow_unresolved=True) == spec


# Problems and their lines

WRONG_FIELDS = {
    ".yaml": """\
# a comment
kind: lstm
hidden_size: 0

hidden_sise: 3
dropout: 0.5
options:

  proj_size:
    -1
  forget_bias: .inf
  nonlinearity: tanh
""",
    ".toml": """\
# a comment
kind = "lstm"
hidden_size = 0

hidden_sise = 3
dropout = 0.5
[options]

proj_size = -1

forget_bias = inf
nonlinearity = "tanh"
""",
    ".json": """\
{
"kind": "lstm",
"hidden_size": 0,

"hidden_sise": 3,
"dropout": 0.5,\t"options":
{

"proj_size":
    -1,
"forget_bias": Infinity,
\t"nonlinearity": "tanh"}}
""",
}


NO_LAYERS_BETWEEN = (
    "Dropout acts between layers, so with num_layers=1 it does nothing: set num_layers to 2 or more, or dropout to 0"
)
NO_SUCH_OPTION = (
    "The kind 'lstm' has no option 'nonlinearity'. Its options: recurrent_init, forget_bias, chrono_length, proj_size"
)


@pytest.mark.parametrize("suffix", WRONG_FIELDS)
def test_every_problem_has_its_file_line_field_rule_and_value(write, suffix):
    name = f"model{suffix}"
    assert problems_of(write(WRONG_FIELDS[suffix], name)) == [
        f"{name}:3: hidden_size: Input should be greater than or equal to 1, but is 0",
        f"{name}:5: hidden_sise: A RecurrentSpec has no field 'hidden_sise'. Did you mean 'hidden_size'?",
        f"{name}:6: dropout: {NO_LAYERS_BETWEEN} (given: 0.5)",
        f"{name}:9: options.proj_size: Input should be greater than or equal to 0, but is -1",
        f"{name}:11: options.forget_bias: Numbers should be finite, but is inf",
        f"{name}:12: options.nonlinearity: {NO_SUCH_OPTION}",
        f"{name}: input_size: Field required",
    ]


def test_an_error_and_its_problems_can_be_pickled(write):
    path = write("kind: lstm\ninput_size: 3\nhidden_size: four\n")
    with pytest.raises(SpecFileError) as caught:
        load_spec(path)
    [problem] = pickle.loads(pickle.dumps(caught.value)).problems
    assert problem == (str(path), 3, "hidden_size", "Input should be a valid integer", "'four'", None)
    assert problem._fields == ("file", "line", "field", "message", "value", "override")


def test_a_rule_of_the_kind_is_reported_with_its_line_and_value(write):
    [line] = problems_of(write("kind: lstm\ninput_size: 8\nhidden_size: 4\noptions:\n  proj_size: 5"))
    assert line.startswith("model.yaml:5: options.proj_size: ")
    assert line.endswith((", but is 5", " (given: 5)"))


def test_a_value_is_reported_even_if_the_rule_has_its_digits(write):
    class TenOptions(Options):
        order: Annotated[int, Field(ge=10)] = 10

    with use_catalog(Catalog()):
        register_kind("ten", options=TenOptions)(object)
        [line] = problems_of(write("kind: ten\ninput_size: 3\nhidden_size: 4\noptions: {order: 1}"))
    assert line == "model.yaml:4: options.order: Input should be greater than or equal to 10, but is 1"


def test_an_invalid_list_item_is_reported_with_its_position(write):
    text = "kind: lstm_cell\ninput_size: 8\nnum_layers: 2\nhidden_size:\n- 4\n- 0"
    expected = "model.yaml:6: hidden_size.1: Input should be greater than or equal to 1, but is 0"
    assert problems_of(write(text)) == [expected]


def test_of_many_problems_the_first_are_listed_and_all_are_kept(write):
    path = write(BY_HAND[".yaml"] + "".join(f"  x{number}: 1\n" for number in range(100)))
    lines = problems_of(path)
    assert len(lines) == 21
    assert lines[-1] == "and 80 more problems"
    with pytest.raises(SpecFileError) as caught:
        load_spec(path)
    assert len(caught.value.problems) == 100


def test_names_in_a_file_cannot_break_the_lines_of_a_message(write):
    [line, other] = problems_of(write(BY_HAND[".yaml"] + '"a\\nb": "c\\nd"\n' + f"? {'long' * 5000}\n: 1\n"))
    assert line.startswith("model.yaml:6: 'a\\nb': ")
    assert other.startswith("model.yaml:7: 'longlong")
    assert len(other) < 3000


def test_messages_of_a_kind_stay_on_one_line(write):
    def check(_spec):
        yield Problem("input_size", "first\n\nsecond")

    with use_catalog(Catalog()):
        register_kind("talkative", check=check)(object)
        [line] = problems_of(write("kind: talkative\ninput_size: 3\nhidden_size: 4"))
    assert line == "model.yaml:2: input_size: first  second (given: 3)"


NOT_READ = [
    # YAML
    ("kind: lstm\ninput_size: [1\nhidden_size: 3", "model.yaml:3: Not valid YAML: while parsing a flow sequence"),
    ("kind: lstm\n\tinput_size: 1", "model.yaml:2: Not valid YAML: while scanning"),
    ("kind: lstm\nbias: &a true\nbatch_first: *a", "model.yaml:2: Anchors and aliases (& and *) are not allowed"),
    ("kind: lstm\nbias: *a", "model.yaml:2: Anchors and aliases"),
    ("kind: lstm\noptions: !!python/object/apply:os.system ['x']", "model.yaml:2: The tag '!!python/"),
    ("kind: !!str lstm", "model.yaml:1: The tag '!!str' is not allowed"),
    ("kind: ! lstm", "model.yaml:1: The tag '!' is not allowed"),
    ("kind: lstm\nbias: true\nkind: gru", "model.yaml:3: Duplicate key 'kind', first on line 1"),
    ("kind: lstm\n3: 4", "model.yaml:2: The keys of a mapping should be text, but is 3: put it in quotes"),
    ("kind: lstm\nnull: 4", "model.yaml:2: The keys of a mapping should be text, but is null"),
    ("kind: lstm\n? [a]\n: 4", "model.yaml:2: The keys of a mapping should be text"),
    ("kind: lstm\n---\nkind: gru", "model.yaml:2: Not valid YAML: expected a single document"),
    ("kind: lstm\nbias: \x00", "model.yaml:2: It has the character '\\x00', which YAML allows as an escape only"),
    ("", "model.yaml: It is empty, but should have the fields of a spec, such as kind: lstm"),
    ("# nothing", "model.yaml: It is empty"),
    ("- kind: lstm", "model.yaml: It has [{'kind': 'lstm'}], but should have the fields"),
    ("lstm", "model.yaml: It has 'lstm', but should have the fields"),
    (f"kind: lstm\ninput_size: {'9' * 5000}", "model.yaml:2: It has a number with too many digits"),
    ("kind: lstm\noptions: " + "[" * 60, "model.yaml:2: It is nested more than 50 levels deep"),
    ("kind: lstm\noptions: [" + "a," * 20_000 + "]", "model.yaml:2: It has more than 10,000 values"),
    # JSON
    ('{"kind": "lstm",\n"input_size": 8,}', "model.json:2: Not valid JSON: "),
    ('{"kind": "lstm",\n"options": {\n\t"a": 1, "a": 2}}', "model.json:3: Duplicate key 'a'"),
    ("{'kind': 'lstm'}", "model.json:1: Not valid JSON: "),
    ("", "model.json:1: Not valid JSON: "),
    ("[1]", "model.json: It has [1], but should have the fields"),
    (
        '{"options":\n{"a": "\\ud800"}}',
        "model.json:2: options.a: Text should not have half of a surrogate pair",
    ),
    ('{"input_size": ' + "9" * 5000 + "}", "model.json: It has a number with too many digits"),
    ("[" * 100_000, "model.json: It is nested more than 50 levels deep"),
    ('{"a":' * 200 + "1" + "}" * 200, "model.json: It is nested more than 50 levels deep"),
    ('{"options": [' + "1," * 20_000 + "1]}", "model.json: It has more than 10,000 values"),
    # TOML
    ('kind = "lstm"\ninput_size = ', "model.toml:2: Not valid TOML: "),
    ('kind = "lstm"\nkind = "gru"', "model.toml:2: Not valid TOML: Cannot overwrite a value"),
    (
        'kind = "lstm"\ndropout = 2001-12-14',
        "model.toml:2: dropout: Dates and times should be text, in quotes, but is datetime.date(",
    ),
    ("[options]\nx = [1, 07:32:00]", "model.toml:2: options.x.1: Dates and times should be text"),
    (f"input_size = {'9' * 5000}", "model.toml:1: Lines of TOML should have at most 4,096 characters"),
    ("x = " + "[" * 4000, "model.toml: It is nested more than 50 levels deep"),
    ("a." * 2_000 + "a = 1", "model.toml: It is nested more than 50 levels deep"),
    ("\n" + "a." * 200_000 + "a = 1", "model.toml:2: Lines of TOML should have at most 4,096 characters"),
    ("x = [\n{" + "a." * 200_000 + "a = 1}]", "model.toml:2: Lines of TOML should have at most 4,096 characters"),
    ("null = 3", "model.toml: null: Should be a list of paths such as 'options.x', but is 3"),
    ("null = ['options.x y']", "model.toml: null: 'options.x y' is not a path such as 'options.x'"),
    ("kind = 'lstm'\nnull = ['kind']", "model.toml: null: 'kind' should lead to a missing key, or to 'null' in a list"),
    ("null = ['options.x.1']\noptions.x = ['null']", "model.toml: null: 'options.x.1' should lead to a missing key"),
    ("null = ['options.x.0']\noptions.x = [1]", "model.toml: null: 'options.x.0' should lead to a missing key"),
    # every format
    (b"kind: lstm\n# \xff", "model.yaml:2: Not valid UTF-8: invalid start byte at byte 13"),
    ("kind: lstm".encode("utf-16"), "model.json:1: It is in UTF-16, as Windows PowerShell writes it with `>`"),
    (b"#" * (2**20 + 1), "model.toml: It is larger than 1 MiB, the limit for a spec file"),
]
WRONG_HEADS = [
    (
        "format_version: 2\nfuture: 1",
        f"format_version: rnnkit {rnnkit.__version__} reads versions up to 1, but the file has 2: update rnnkit",
    ),
    ("format_version: one", "format_version: Input should be 1, but is 'one'"),
    ("format_version: true", "format_version: Input should be 1, but is True"),
    ("format_version: 0", "format_version: Input should be 1, but is 0"),
    ("plugin: a b", "plugin: Input should be a requirement such as 'rnnkit-nbrc==0.1.0', but is 'a b'"),
    ("plugin: 3", "plugin: Input should be a requirement"),
    ("plugin: other==1", "plugin: The kind 'gru' is not provided by other==1"),
]


@pytest.mark.parametrize(("content", "message"), NOT_READ, ids=[message[:60] for _, message in NOT_READ])
def test_an_invalid_document_is_refused_with_its_line(write, content, message):
    name = re.match(r"[\w.]+", message)[0]
    assert problems_of(write(content, name))[0].startswith(message)


@pytest.mark.parametrize(("head", "message"), WRONG_HEADS, ids=[head for head, _ in WRONG_HEADS])
def test_keys_that_are_not_fields_are_validated(write, head, message):
    [line] = problems_of(write(f"kind: gru\ninput_size: 1\nhidden_size: 1\n{head}"))
    assert line.startswith(f"model.yaml:4: {message}")


def unresolved(value):
    data = {"kind": "absent/x", "input_size": 3, "hidden_size": 4, "options": {"value": value}}
    return RecurrentSpec.from_dict(data, allow_unresolved=True)


def nested(levels):
    return {"a": nested(levels - 1)} if levels else 1


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("largest", [nested(48), [1] * 9_900], ids=["deep", "wide"])
def test_the_largest_written_spec_is_read(suffix, largest, tmp_path):
    path = tmp_path / f"model{suffix}"
    save_spec(unresolved(largest), path)
    assert load_spec(path, allow_unresolved=True) == unresolved(largest)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1] * 9_995, "more than 10,000 values"),
        (["a" * 4_000] * 300, "larger than 1 MiB"),
    ],
    ids=["wide", "long"],
)
def test_specs_that_could_not_be_read_are_not_written(suffix, value, message, write):
    path = write("as it was", f"model{suffix}")
    with pytest.raises(SpecFileError, match=message):
        save_spec(unresolved(value), path)
    assert path.read_text() == "as it was"


def test_options_nested_too_deep_are_refused():
    with pytest.raises(ValidationError, match="nested more than 50 levels deep"):
        unresolved(nested(49))


@pytest.mark.parametrize("begin", ["", "{", "[", "'", "'''", '"', '"""', "#", "\n", "\\"])
def test_text_with_many_dots_round_trips(begin, tmp_path):
    text = begin + "b." * 100
    save_spec(unresolved([text, {text: text}]), tmp_path / "model.toml")
    assert load_spec(tmp_path / "model.toml", allow_unresolved=True) == unresolved([text, {text: text}])


# Other errors


def test_errors_of_the_catalog_have_the_line_of_the_kind(write, plugins):
    plugins.install("clash", "broken", distribution="first", source="raise OSError('no licence')")
    plugins.install("clash", distribution="second")
    expected = {"clash": AmbiguousKindError, "first/broken": PluginError, "lstm": BlockedKindError}
    with use_catalog(Catalog(block=["rnnkit"])):
        for kind, error in expected.items():
            path = write(f"# a comment\nkind: {kind}\ninput_size: 3\nhidden_size: 4\n")
            with pytest.raises(error) as caught:
                load_spec(path)
            assert caught.value.__notes__ == [f"in {path}:2: kind"]


@pytest.mark.parametrize("call", [load_spec, lambda path: save_spec(small_spec("lstm"), path)], ids=["load", "save"])
def test_os_errors_name_the_file(call, tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.yaml'$"):
        call(tmp_path / "folder.yaml")
    with pytest.raises(FileNotFoundError, match=r"missing/model\.yaml'$"):
        call(tmp_path / "missing/model.yaml")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder.yaml"]


@pytest.mark.parametrize("name", ["model", "model.txt", "model.yaml.bak", ".yaml"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(name, tmp_path):
    with pytest.raises(SpecFileError, match=r"should end in \.json, \.toml, \.yaml, \.yml, \.safetensors or \.onnx$"):
        load_spec(tmp_path / name)
    with pytest.raises(SpecFileError, match=r"should end in \.json, \.toml, \.yaml or \.yml$"):
        save_spec(small_spec("lstm"), tmp_path / name)


@pytest.mark.parametrize("wrong", [None, {"kind": "lstm"}, RecurrentSpec])
def test_only_specs_are_saved(wrong, tmp_path):
    with pytest.raises(SpecFileError, match="save_spec takes a RecurrentSpec, not a "):
        save_spec(wrong, tmp_path / "model.yaml")


class OddOptions(Options):
    anything: Any = 0


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param([float("inf")], "options.anything.0: Numbers should be finite, but is inf", id="inf"),
        pytest.param(object(), "The spec is not plain data: ", id="object"),
        pytest.param("\ud800", "half of a surrogate", id="surrogate"),
    ],
)
def test_unwritable_values_are_refused_and_the_old_file_kept(value, message, write):
    path = write("as it was")
    with use_catalog(Catalog()):
        register_kind("odd", options=OddOptions)(object)
        spec = RecurrentSpec(kind="odd", input_size=3, hidden_size=4, options=OddOptions(anything=value))
        with pytest.raises(SpecFileError, match=re.escape(message)):
            save_spec(spec, path)
    assert path.read_text() == "as it was"


def test_options_are_finite():
    with pytest.raises(ValidationError, match="finite number"):
        RateOptions(rate=float("inf"))
    with pytest.raises(TypeError, match="finite number"):
        type("InfiniteOptions", (Options,), {"__annotations__": {"rate": float}, "rate": float("inf")})


# Checkpoints


def test_the_spec_of_a_checkpoint_is_read(kind, tmp_path):
    save_model(build_model(small_spec(kind)), tmp_path / "model.safetensors")
    assert load_spec(tmp_path / "model.safetensors") == small_spec(kind)
    wider = load_spec(tmp_path / "model.safetensors", overrides=["hidden_size=7"])
    assert wider == small_spec(kind, hidden_size=7)


def test_an_invalid_checkpoint_raises_checkpoint_error(write):
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        load_spec(write("kind: lstm", "model.safetensors"))


def test_a_spec_is_not_saved_as_a_checkpoint(tmp_path):
    with pytest.raises(SpecFileError, match=r"\.yml: use save_model to save a model$"):
        save_spec(small_spec("lstm"), tmp_path / "model.safetensors")


# Atomic writes


def test_a_file_is_replaced_completely_or_not_at_all(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text("old")
    with pytest.raises(TypeError), atomic_write(path) as temporary:
        temporary.write_bytes("no bytes")
    assert path.read_text() == "old"
    with atomic_write(path) as temporary:
        assert re.fullmatch(r"\.model\.yaml\..+\.tmp", temporary.name)
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_is_followed(tmp_path):
    target = tmp_path / "folder/model.yaml"
    target.parent.mkdir()
    link = tmp_path / "link.yaml"
    link.symlink_to(target)
    for spec in (small_spec("lstm"), small_spec("gru")):  # once to a file that is missing, once to one that is there
        save_spec(spec, link)
        assert link.is_symlink()
        assert load_spec(target) == spec
    assert list(target.parent.iterdir()) == [target]


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_file_keeps_its_mode_and_a_new_file_has_the_default_mode(tmp_path):
    (tmp_path / "any").touch()
    path = tmp_path / "model.yaml"
    save_spec(small_spec("lstm"), path)
    assert mode_of(path) == mode_of(tmp_path / "any")
    path.chmod(0o640)
    save_spec(small_spec("gru"), path)
    assert mode_of(path) == 0o640
    with atomic_write(path) as temporary:  # as a library does that puts a file of its own in its place
        temporary.unlink()
        temporary.touch(mode=0o600)
    assert mode_of(path) == 0o640


def test_the_longest_file_name_can_be_written(tmp_path):
    path = tmp_path / f"{'ä' * 125}.yaml"
    save_spec(small_spec("lstm"), path)
    assert load_spec(path) == small_spec("lstm")


# Distribution pins


def test_plugin_of_returns_a_pip_requirement(plugins):
    plugins.install("clock", distribution="rnnkit-clock")
    plugins.install("bell", distribution="rnnkit-bell", metadata=b"Name: rnnkit-bell\n")
    with use_catalog(Catalog()):
        register_kind("mine")(object)
        assert plugin_of("rnnkit-clock/clock") == "rnnkit-clock==1.0"
        assert plugin_of("rnnkit-bell/bell") == "rnnkit-bell"  # its version is not known
        assert plugin_of("local/mine") is None
    assert plugin_of("lstm") == f"rnnkit=={rnnkit.__version__}"


@pytest.mark.parametrize(
    ("text", "plugin"),
    [
        ("rnnkit-nbrc==0.1.0", ("rnnkit-nbrc", "0.1.0")),
        ("Rnnkit_NBRC == 1!2.0rc1+local.3", ("rnnkit-nbrc", "1!2.0rc1+local.3")),
        ("rnnkit.nbrc", ("rnnkit-nbrc", None)),
    ],
)
def test_pins_are_parsed_like_pip_requirements(text, plugin):
    assert DistributionPin.parse(text) == plugin
    assert DistributionPin.parse(str(DistributionPin.parse(text))) == plugin


@pytest.mark.parametrize("text", ["", "==1", "a b", "a==", "a==1; rm", 'a"==1', "a>=1", "-e .", "a==1 b", "a==1==2"])
def test_invalid_pins_are_refused(text):
    with pytest.raises(ValueError, match="is not a requirement such as"):
        DistributionPin.parse(text)
