"""A spec of a kind that is not installed loads when asked to, can be edited, compared and saved, and loses nothing."""

import copy
import dataclasses
import json
import pickle
import tomllib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rnnkit import (
    AmbiguousKindError,
    BlockedKindError,
    Catalog,
    Kind,
    Options,
    PluginError,
    RecurrentSpec,
    SpecFileError,
    UnresolvedKindError,
    build_model,
    register_kind,
)
from rnnkit.files.spec import load_spec, override_spec, save_spec
from rnnkit.specs import UnresolvedOptions
from rnnkit.testing import use_catalog
from tests.golden.specs.write import FOLDER, SPECS, SUFFIXES
from tests.specs.test_spec_properties import reproducible

SIZES = {"input_size": 3, "hidden_size": 4}
CLOCK = {"kind": "rnnkit-clock/clock", **SIZES, "options": {"periods": [1, None, 2.5], "gate": {"bias": True}}}
FILE = """\
plugin: rnnkit-clock==1.4
kind: rnnkit-clock/clock
input_size: 3
hidden_size: 4
options: {periods: [1, null, 2.5], gate: {bias: true}}
"""
# In a plugin's module: the options that CLOCK has.
SOURCE = """
class Gate(Options):
    bias: bool = False

class ClockOptions(Options):
    periods: tuple[float | None, ...] = (1.0,)
    gate: Gate = Gate()

@hookimpl
def register_kinds(register):
    register(kind("clock", options=ClockOptions))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("specs")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text(FILE)
    return path


def unresolved(plugin=None, **changes):
    spec = RecurrentSpec.from_dict(CLOCK | changes, allow_unresolved=True)
    return dataclasses.replace(spec, options=UnresolvedOptions.of(spec.options.values, plugin=plugin))


def refusal(call):
    """The lines of the one error that a call raises: field and message."""
    with pytest.raises(ValidationError) as caught:
        call()
    return [(".".join(map(str, line["loc"])), line["msg"]) for line in caught.value.errors(include_url=False)]


# Nothing is lost

# Any character but halves of surrogate pairs, which are none.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
texts |= st.sampled_from(["no", "1e-3", "null", "a.b", "0", "~", "1:30", "2001-12-14", "=", "<<", "- a", "a\n", "\x85"])
integers = st.integers() | st.integers(-(10**400), 10**400)
plain = st.recursive(
    st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
any_options = st.dictionaries(texts, plain, max_size=5)


@pytest.mark.parametrize("suffix", SUFFIXES)
@reproducible
@given(options=any_options)
def test_unknown_options_survive_every_format(folder, suffix, options):
    file, spec = folder / f"model{suffix}", unresolved(options=options)
    save_spec(spec, file)
    twin = load_spec(file, allow_unresolved=True)
    assert twin == spec
    assert_same(twin.options.values, options)
    content = file.read_bytes()
    save_spec(twin, file)
    assert file.read_bytes() == content


def assert_same(value, expected):
    """As `==`, but that 1, 1.0 and True, or 0.0 and -0.0, are not the same."""
    assert json.dumps(value, sort_keys=True) == json.dumps(expected, sort_keys=True)


@pytest.mark.parametrize("suffix", SUFFIXES)
@reproducible
@given(options=any_options)
def test_others_read_the_same_options(folder, suffix, options):
    file = folder / f"model{suffix}"
    save_spec(unresolved(options=options), file)
    readers = {".json": json.loads, ".toml": tomllib.loads, ".yaml": yaml.safe_load}
    read = readers[suffix](file.read_text(encoding="utf-8"))["options"]
    assert_same(read, in_toml(options) if suffix == ".toml" else options)


def in_toml(value):
    """A value as TOML, which has no null, can hold it: without such keys, and with text in lists."""
    if isinstance(value, dict):
        return {key: in_toml(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return ["null" if part is None else in_toml(part) for part in value]
    return value


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", [name for name in SPECS if name != "unresolved"])
def test_a_file_passes_through_an_environment_without_its_plugin(name, suffix, tmp_path):
    """Its content stays the same to the byte."""
    golden, again = FOLDER / f"{name}{suffix}", tmp_path / f"model{suffix}"
    with use_catalog(Catalog(block=["rnnkit"])):
        spec = load_spec(golden, allow_unresolved=True)
        assert type(spec.options) is UnresolvedOptions
        save_spec(spec, again)
    assert again.read_bytes() == golden.read_bytes()
    assert load_spec(again) == SPECS[name]


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(lambda spec: pickle.loads(pickle.dumps(spec)), id="pickle"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(dataclasses.replace, id="replace"),
        pytest.param(lambda spec: RecurrentSpec.from_dict(spec.to_dict(), allow_unresolved=True), id="dict"),
        pytest.param(lambda spec: RecurrentSpec.from_json(spec.to_json(), allow_unresolved=True), id="json"),
    ],
)
def test_a_copy_is_equal(again):
    spec = unresolved()
    twin = again(spec)
    assert twin == spec
    assert hash(twin) == hash(spec)
    assert repr(twin) == repr(spec)


def test_it_is_written_down_as_any_other_spec():
    spec = unresolved()
    assert spec.to_dict()["options"] == CLOCK["options"]
    assert list(spec.to_dict()["options"]) == list(CLOCK["options"])
    assert json.loads(spec.to_json()) == spec.to_dict()
    assert repr(spec).endswith("options={'periods': [1, None, 2.5], 'gate': {'bias': True}})")


def test_equality_ignores_the_provider():
    spec = unresolved()
    in_another_order = dict(reversed(CLOCK["options"].items()))
    assert spec == unresolved(options=in_another_order) == unresolved(plugin="rnnkit-clock==1.4")
    assert hash(spec) == hash(unresolved(options=in_another_order))
    others = [unresolved(options=CLOCK["options"] | {"gate": {"bias": value}}) for value in (1, None, "true")]
    assert len({spec, *others, unresolved(hidden_size=5), unresolved(options={})}) == 6


# Changes


def test_replace_keeps_the_options():
    spec = dataclasses.replace(unresolved(plugin="rnnkit-clock==1.4"), hidden_size=64)
    assert (spec.hidden_size, spec.options.values, spec.options.plugin) == (64, CLOCK["options"], "rnnkit-clock==1.4")


def test_its_values_are_new_each_time():
    spec = unresolved()
    spec.options.values["periods"].append(3)
    assert spec.options.values == CLOCK["options"]


def test_overrides_change_its_options():
    spec = override_spec(unresolved(plugin="rnnkit-clock==1.4"), ["options.gate.bias=null", "options.new=1e-3"])
    assert spec.options.values == CLOCK["options"] | {"gate": {"bias": None}, "new": 0.001}
    assert spec.options.plugin == "rnnkit-clock==1.4"


def test_an_override_of_its_kind_must_name_one_that_is_here():
    spec = unresolved(options={})
    assert override_spec(spec, ["kind=lstm"]).kind == "lstm"
    with pytest.raises(SpecFileError, match="override 'kind=lsmt': No installed plugin provides the kind 'lsmt'"):
        override_spec(spec, ["kind=lsmt"])


def test_another_kind_validates_the_options():
    assert refusal(lambda: dataclasses.replace(unresolved(), kind="lstm"))[0][0] == "options.periods"
    assert dataclasses.replace(unresolved(options={"proj_size": 2}), kind="lstm").options.proj_size == 2


# Checks without the plugin


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"input_size": 0}, "input_size"),
        ({"hidden_size": None}, "hidden_size"),
        ({"dropout": 0.5}, "dropout"),
        ({"options": [1]}, "options"),
        ({"options": {1: 2}}, "options"),
        ({"options": {"a": float("nan")}}, "options"),
        ({"options": {"a": {"b": object()}}}, "options"),
        ({"hidden_sise": 4}, "hidden_sise"),
        ({"hidden_size": (4, 5, 6)}, "num_layers"),
    ],
)
def test_its_other_fields_are_checked(changes, field):
    [(where, _)] = refusal(lambda: RecurrentSpec.from_dict(CLOCK | changes, allow_unresolved=True))
    assert where == field


def test_options_that_contain_themselves_are_refused():
    once, twice = {}, []
    once["a"], twice[:] = once, [twice, twice]
    for options, message in [(once, "levels deep"), ({"a": twice}, "more than 10,000 values")]:
        [(field, reported)] = refusal(
            lambda o=options: RecurrentSpec.from_dict(CLOCK | {"options": o}, allow_unresolved=True)
        )
        assert field == "options"
        assert message in reported


def test_options_have_at_most_10_000_values():
    """The mapping with the key `options`, the options and the list in them are three of the values."""
    RecurrentSpec.from_dict(CLOCK | {"options": {"a": [0] * 9_997}}, allow_unresolved=True)
    [(_, reported)] = refusal(
        lambda: RecurrentSpec.from_dict(CLOCK | {"options": {"a": [0] * 9_998}}, allow_unresolved=True)
    )
    assert "more than 10,000 values" in reported


@pytest.mark.parametrize("name", ["", " ", "a b", "/a", "a/", "a/b/c", "a b/c", "-a/b", "ä/b"])
def test_a_name_that_no_kind_can_have_is_refused(name):
    assert refusal(lambda: RecurrentSpec.from_dict(CLOCK | {"kind": name}, allow_unresolved=True))[0][0] == "kind"


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("Rnnkit_Clock/clock", "rnnkit-clock/clock"), ("rnnkit/new", "new"), ("new", "new"), ("local/mine", "local/mine")],
)
def test_its_kind_has_the_name_that_it_has_where_it_is_installed(name, canonical):
    assert unresolved(kind=name).kind == canonical


def test_it_is_held_only_when_asked_for(plugins):
    with pytest.raises(ValidationError, match="No distribution 'rnnkit-clock' with a kind 'clock' is installed"):
        RecurrentSpec(**CLOCK)
    with pytest.raises(ValidationError):
        RecurrentSpec.from_dict(CLOCK)
    plugins.install("clock", distribution="rnnkit-clock", source="raise OSError('no licence')")
    with use_catalog(Catalog(block=["rnnkit"])), pytest.raises(BlockedKindError):
        RecurrentSpec(**CLOCK | {"kind": "lstm"})
    with use_catalog(Catalog()), pytest.raises(PluginError):
        RecurrentSpec(**CLOCK)


def test_one_that_is_held_lets_no_other_pass():
    """allow_unresolved holds for one spec, not for those that are created later or meanwhile."""

    class Nosy(Options):
        order: int = 1

        def __post_init__(self):
            with pytest.raises(ValidationError):
                RecurrentSpec(**CLOCK)

    with use_catalog(Catalog()):
        register_kind("nosy", options=Nosy)(object)
        assert RecurrentSpec.from_dict({"kind": "nosy", **SIZES}, allow_unresolved=True).options == Nosy()
    unresolved()
    with pytest.raises(ValidationError):
        RecurrentSpec(**CLOCK)


def test_an_ambiguous_name_stays_an_error(plugins):
    plugins.install("clock", distribution="first")
    plugins.install("clock", distribution="second")
    with use_catalog(Catalog()), pytest.raises(AmbiguousKindError):
        RecurrentSpec.from_dict(CLOCK | {"kind": "clock"}, allow_unresolved=True)


@pytest.mark.parametrize("plugin", ["a b", "a==1; rm -r", "", 3])
def test_a_provider_that_pip_could_not_install_is_refused(plugin):
    with pytest.raises(ValidationError):
        UnresolvedOptions.of({}, plugin=plugin)


@pytest.mark.parametrize("text", ["[1]", "3", "{", ""])
def test_options_are_an_object(text):
    with pytest.raises(ValidationError):
        UnresolvedOptions(text=text)


# With its plugin installed


def test_file_has_typed_options_if_the_plugin_is_installed(plugins, path):
    without = load_spec(path, allow_unresolved=True)
    plugins.install("clock", distribution="rnnkit-clock", source=SOURCE)
    with use_catalog(Catalog()):
        spec = load_spec(path, allow_unresolved=True)
        assert type(spec.options).__name__ == "ClockOptions"
        assert (spec.options.periods, spec.options.gate.bias) == ((1, None, 2.5), True)
        assert dataclasses.replace(without) == spec
        assert dataclasses.replace(without, hidden_size=5) == dataclasses.replace(spec, hidden_size=5)


def test_where_the_plugin_is_installed_its_options_are_checked(plugins):
    spec = unresolved(options={"periods": ["one"], "gate": {"bias": 1}})
    plugins.install("clock", distribution="rnnkit-clock", source=SOURCE)
    with use_catalog(Catalog()):
        fields = [field for field, _ in refusal(lambda: dataclasses.replace(spec))]
    assert {"options.gate.bias"} < set(fields)
    assert all(field.startswith(("options.periods.0", "options.gate")) for field in fields)


# Messages


def test_file_of_a_missing_kind_says_what_to_install(path):
    with pytest.raises(SpecFileError) as caught:
        load_spec(path)
    assert str(caught.value) == (
        f"{path}:2: kind: The kind 'rnnkit-clock/clock' is provided by rnnkit-clock 1.4, which is not installed: "
        'run pip install "rnnkit-clock==1.4" and load the spec again; allow_unresolved=True loads the spec without its '
        "plugin"
    )


def test_file_with_another_provider_is_refused(path):
    path.write_text(FILE.replace("plugin: rnnkit-clock", "plugin: rnnkit-bell"))
    with pytest.raises(
        SpecFileError, match=r"yaml:1: plugin: The kind 'rnnkit-clock/clock' is not provided by rnnkit-bell"
    ):
        load_spec(path, allow_unresolved=True)


INSTALL = 'run pip install "rnnkit-clock==1.4" and load the spec again'


@pytest.mark.parametrize(
    ("changes", "plugin", "message"),
    [
        ({}, "rnnkit-clock==1.4", f"is provided by rnnkit-clock 1.4, which is not installed: {INSTALL}"),
        (
            {"kind": "clock"},
            "rnnkit-clock==1.4",
            f"'clock' is provided by rnnkit-clock 1.4, which is not installed: {INSTALL}",
        ),
        ({}, None, 'is provided by rnnkit-clock, which is not installed: run pip install "rnnkit-clock" and'),
        (
            {},
            "other==1",
            'is provided by rnnkit-clock, which is not installed: run pip install "rnnkit-clock" and',
        ),
        ({"kind": "clock"}, None, "No installed plugin provides the kind 'clock'."),
        ({"kind": "local/clock"}, None, "The local kind 'clock' is not registered in this process."),
        ({"kind": "new"}, "rnnkit==99.0", "is provided by rnnkit 99.0, but the installed rnnkit"),
    ],
)
def test_building_it_says_what_to_install(changes, plugin, message):
    with pytest.raises(UnresolvedKindError) as caught:
        build_model(unresolved(plugin=plugin, **changes))
    assert message in str(caught.value)


def test_building_it_says_that_another_version_is_installed(plugins):
    spec = unresolved(plugin="rnnkit-clock==1.4")
    plugins.install("bell", distribution="rnnkit-clock")
    with (
        use_catalog(Catalog()),
        pytest.raises(UnresolvedKindError, match=r"1\.4, but the installed rnnkit-clock 1\.0 has no"),
    ):
        build_model(spec)


def test_building_reports_a_broken_or_blocked_plugin(plugins):
    spec = unresolved()
    plugins.install("clock", distribution="rnnkit-clock", source="raise OSError('no licence')")
    for catalog, error in [(Catalog(), PluginError), (Catalog(block=["rnnkit-clock"]), BlockedKindError)]:
        with use_catalog(catalog):
            held = RecurrentSpec.from_dict(CLOCK, allow_unresolved=True)
            assert held == spec
            with pytest.raises(
                UnresolvedKindError, match="The kind 'rnnkit-clock/clock' is not available in this environment"
            ) as caught:
                build_model(held)
        assert type(caught.value.__cause__) is error
        assert str(caught.value.__cause__) in str(caught.value)


def test_building_after_installation_explains_recreation():
    spec = unresolved(kind="local/clock", options={})
    with use_catalog(Catalog()), register_kind(Kind(name="clock", builder=object, summary="A test.")):
        with pytest.raises(UnresolvedKindError, match=r"is now; recreate it with dataclasses\.replace\(spec\)"):
            build_model(spec)
        assert type(dataclasses.replace(spec).options) is Options
