"""The catalog: what it finds, what it imports for that, and what it refuses from a plugin."""

import itertools
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import Enum

import pytest
import torch
from pydantic import Field, ValidationError

from rnnkit import (
    BuildError,
    Catalog,
    Kind,
    Options,
    PluginError,
    RecurrentModel,
    RecurrentSpec,
    UnknownKindError,
    build_model,
    get_kind,
    list_kinds,
    register_kind,
    summarize_spec,
)
from rnnkit.catalog import current_catalog
from rnnkit.testing import use_catalog
from tests.helpers.hang import HANG

BUILT_IN = ["gru", "gru_cell", "lstm", "lstm_cell", "mixed", "rnn", "rnn_cell"]
SIZES = {"input_size": 3, "hidden_size": 4}


# Listing


def test_the_built_in_kinds_are_installed():
    assert set(BUILT_IN) <= set(list_kinds())
    assert list_kinds() == Catalog().names()


def test_names_are_sorted(plugins):
    plugins.install("test_zoneout", "test_attention", distribution="second")
    plugins.install("test_nbrc", distribution="first")
    names = Catalog().names()
    assert names == sorted(names)
    assert {"first/test_nbrc", "second/test_attention", "second/test_zoneout", *BUILT_IN} <= set(names)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("test_disk_*", ["one/test_disk_b", "two/test_disk_a", "two/test_disk_ab"]),
        ("*disk_?", ["one/test_disk_b", "two/test_disk_a"]),
        ("test_disk_[a]*", ["two/test_disk_a", "two/test_disk_ab"]),
        ("two/*", ["two/test_disk_a", "two/test_disk_ab"]),
        ("*/test_disk_?", ["one/test_disk_b", "two/test_disk_a"]),
        ("test_disk_a", ["two/test_disk_a"]),
        ("two/test_disk_a", ["two/test_disk_a"]),
        ("one/test_disk_a", []),
        ("test_disk", []),
        ("TEST_DISK_*", []),
        ("l?t?", ["lstm"]),
    ],
)
def test_pattern_matches_bare_and_canonical_names(plugins, pattern, names):
    plugins.install("test_disk_b", distribution="one")
    plugins.install("test_disk_ab", "test_disk_a", distribution="two")
    assert Catalog().names(pattern) == names


def test_listing_imports_no_plugin(plugins):
    plugins.install("test_nbrc", source="raise RuntimeError('imported')", distribution="test-nbrc")
    assert "test-nbrc/test_nbrc" in Catalog().names()
    assert Catalog().names("test_n?rc") == ["test-nbrc/test_nbrc"]
    assert plugins.imported() == []


def test_the_distribution_of_a_kind_is_known_without_an_import(plugins):
    plugins.install("test_nbrc", distribution="test-nbrc")
    assert Catalog().distribution("test_nbrc") == "test-nbrc"
    assert Catalog().distribution("lstm") == "rnnkit"
    assert plugins.imported() == []


def test_the_environment_is_searched_once(plugins):
    catalog = Catalog()
    before = catalog.names()
    plugins.install("test_nbrc", distribution="test-nbrc")
    assert catalog.names() == before
    assert Catalog().names() == sorted([*before, "test-nbrc/test_nbrc"])


# Looking up


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_kind_is_found_under_its_name(name):
    assert get_kind(name).name == name
    assert get_kind(name) is current_catalog().get(name)


def test_a_look_up_imports_the_plugin_of_that_kind_and_no_other(plugins):
    plugins.install("test_nbrc", source="raise RuntimeError('imported')")
    wanted = plugins.install("test_sru")
    assert Catalog().get("test_sru").name == "test_sru"
    assert plugins.imported() == [wanted]


def test_a_hook_is_called_once(plugins):
    module = plugins.install("test_nbrc")
    catalog = Catalog()
    assert catalog.get("test_nbrc") is catalog.get("test_nbrc")
    assert plugins.module(module).calls == ["called"]


def test_one_module_may_bring_several_kinds_with_one_call(plugins):
    module = plugins.install("test_nbrc", "test_sru")
    catalog = Catalog()
    assert [catalog.get(name).name for name in ("test_nbrc", "test_sru")] == ["test_nbrc", "test_sru"]
    assert plugins.module(module).calls == ["called"]


def test_an_entry_point_may_lead_to_an_object(plugins):
    source = """
    class Plugin:
        @hookimpl
        def register_kinds(self, register):
            register(kind("test_nbrc"))

    plugin = Plugin()
    """
    plugins.install("test_nbrc", source=source, plugin="plugin")
    assert Catalog().get("test_nbrc").name == "test_nbrc"


def test_threads_that_ask_at_once_get_the_same_records(plugins):
    source = """
    import time

    @hookimpl
    def register_kinds(register):
        time.sleep(0.01)  # long enough for every thread to arrive
        register(kind("test_nbrc"))
        register(kind("test_sru"))
    """
    plugins.install("test_nbrc", "test_sru", source=source)
    plugins.install("test_qrnn")
    catalog, threads = Catalog(), 16
    start = threading.Barrier(threads)

    def ask(name):
        start.wait(timeout=HANG)
        return catalog.get(name)

    names = list(itertools.islice(itertools.cycle(["test_nbrc", "test_sru", "test_qrnn"]), threads))
    with ThreadPoolExecutor(threads) as pool:
        kinds = list(pool.map(ask, names))
    assert [kind.name for kind in kinds] == names
    assert len({id(kind) for kind in kinds}) == 3


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("lsmt", " Did you mean 'lstm'?", id="close"),
        pytest.param("transformer", "", id="nothing-close"),
        pytest.param("", "", id="empty"),
    ],
)
@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(get_kind, id="get_kind"),
        pytest.param(lambda name: Catalog().get(name), id="get"),
        pytest.param(lambda name: Catalog().distribution(name), id="distribution"),
    ],
)
def test_an_unknown_kind_is_refused_with_the_installed_ones(ask, name, hint):
    with pytest.raises(UnknownKindError) as caught:
        ask(name)
    assert str(caught.value) == (
        f"No installed plugin provides the kind {name!r}.{hint} {len(list_kinds())} kinds are installed: "
        "`list_kinds()` and `rnnkit list` show them. "
        "To use another, install the distribution that provides it."
    )


# Plugins that break the contract: test_hostile_plugins has their messages


@pytest.mark.parametrize(
    ("declared", "body"),
    [
        pytest.param(["test_nbrc"], "pass", id="nothing"),
        pytest.param(["test_nbrc"], "register(kind('test_NBRC'))", id="another-name"),
        pytest.param(["test_nbrc"], "register(kind('test_nbrc')); register(kind('lstm'))", id="rnnkits-too"),
        pytest.param(["test_nbrc", "test_sru"], "register(kind('test_sru'))", id="the-other-of-two"),
    ],
)
def test_registered_kinds_must_match_entry_points(plugins, declared, body):
    plugins.install(*declared, source=f"@hookimpl\ndef register_kinds(register): {body}")
    catalog = Catalog()
    for _ in range(2):  # and leaves nothing behind
        with pytest.raises(PluginError, match=r"it has entry points for 'test_nbrc'.*, but registers"):
            catalog.get("test_nbrc")
    assert catalog.get("lstm") == get_kind("lstm")


def with_two_modules(plugins, body):
    """Install a distribution with the kinds `first` and `second` of different modules: the first has `body`."""
    module = plugins.install("first", source=f"@hookimpl\ndef register_kinds(register): {body}", distribution="acme")
    [entry_points] = plugins.folder(module).glob("*/entry_points.txt")
    entry_points.write_text(f"{entry_points.read_text('utf-8')}second = other_module\n", "utf-8")
    return Catalog()


def test_a_module_does_not_register_the_kinds_of_another_module(plugins):
    catalog = with_two_modules(plugins, "register(kind('first')); register(kind('second'))")
    with pytest.raises(PluginError, match="it has entry points for 'first', but registers 'first' and 'second'"):
        catalog.get("first")


def test_a_broken_module_leaves_the_other_modules_of_its_distribution(plugins):
    catalog = with_two_modules(plugins, "1 / 0")
    with pytest.raises(PluginError, match="division by zero"):
        catalog.get("first")
    assert {each.candidate.name: each.status for each in catalog.providers()}.items() >= {
        ("acme/first", "broken"),
        ("acme/second", "not loaded"),
    }


def test_a_plugin_that_needs_a_broken_plugin_is_broken_too(plugins):
    """The error names the plugin whose kind was requested: blocking the other one would not help."""
    plugins.install("inner", source="1 / 0", distribution="inner-cells")
    plugins.install("outer", source="import rnnkit; rnnkit.get_kind('inner')", distribution="outer-cells")
    cause = r"entry point 'outer'\) is broken: importing it raised PluginError: .*entry point 'inner'\) is broken: "
    with use_catalog(Catalog()), pytest.raises(PluginError, match=cause):
        get_kind("outer")


def test_hook_that_raises_registers_nothing(plugins):
    source = """
    @hookimpl
    def register_kinds(register):
        calls.append("called")
        register(kind("test_nbrc"))
        register(kind("test_sru"))
        raise RuntimeError("the hook is broken")
    """
    module = plugins.install("test_nbrc", "test_sru", source=source)
    catalog = Catalog()
    for name in ("test_nbrc", "test_nbrc", "test_sru"):
        with pytest.raises(PluginError, match="the hook is broken") as caught:
            catalog.get(name)
        assert isinstance(caught.value.__cause__, RuntimeError)
    assert plugins.module(module).calls == ["called"] * 3
    assert catalog.get("gru") == get_kind("gru")


def test_late_registration_is_ignored(plugins):
    source = """
    @hookimpl
    def register_kinds(register):
        register(kind("test_nbrc"))
        calls.append(register)
    """
    module = plugins.install("test_nbrc", source=source)
    catalog = Catalog()
    record = catalog.get("test_nbrc")
    [register] = plugins.module(module).calls
    register(replace(record, summary="Another."))
    register(get_kind("gru"))
    assert catalog.get("test_nbrc") is record


@pytest.mark.parametrize("mistake", ["raise ValueError('a typo')", "assert False, 'a typo'", "import a_typo"])
def test_what_a_plugin_raises_does_not_pass_for_a_wrong_spec(plugins, mistake):
    """pydantic would take a ValueError or an AssertionError for a problem of the field `kind`."""
    plugins.install("test_nbrc", source=mistake)
    with use_catalog(Catalog()), pytest.raises(PluginError, match=r"entry point 'test_nbrc'\) is broken: .*typo"):
        RecurrentSpec(kind="test_nbrc", **SIZES)


@pytest.mark.parametrize("check", ["lambda spec: None", "lambda spec: 1 / 0", "lambda spec: ['oh']"])
def test_a_check_that_fails_by_itself_is_the_plugins_mistake(plugins, check):
    source = f"""
    @hookimpl
    def register_kinds(register):
        register(kind("test_nbrc", check={check}))
    """
    plugins.install("test_nbrc", source=source, distribution="test-nbrc")
    with use_catalog(Catalog()), pytest.raises(PluginError, match="The check of the kind 'test-nbrc/test_nbrc' failed"):
        RecurrentSpec(kind="test_nbrc", **SIZES)


# Options


class Color(Enum):
    RED = "red"


def test_options_that_no_json_has_read_back_equal():
    class ManyOptions(Options):
        color: Color = Color.RED
        names: frozenset[str] = frozenset()

    many = replace(get_kind("gru"), name="test_many", options=ManyOptions)
    with use_catalog(Catalog()), register_kind(many):
        options = {"color": Color.RED, "names": frozenset(["a"])}
        spec = RecurrentSpec(kind="test_many", input_size=3, hidden_size=4, options=options)
        assert spec.to_dict()["options"] == {"color": "red", "names": ["a"]}
        assert RecurrentSpec.from_dict(spec.to_dict()) == spec
        assert RecurrentSpec.from_json(spec.to_json()) == spec
        assert eval(repr(spec)) == spec  # noqa: S307  # documented


def test_options_need_a_valid_hashable_default():
    with pytest.raises(TypeError, match="Each field of NeedyOptions needs a valid and hashable default"):

        class NeedyOptions(Options):
            order: int

    with pytest.raises(TypeError, match="Each field of WrongOptions"):

        class WrongOptions(Options):
            order: int = "2"

    with pytest.raises(TypeError, match="Each field of ListOptions"):

        class ListOptions(Options):
            widths: list[int] = Field(default_factory=list)


# The catalog in use


def test_using_puts_a_catalog_in_place_until_the_block_ends(plugins):
    before = current_catalog()
    assert before.names("lstm") == ["lstm"]  # and has looked at what is installed
    plugins.install("test_nbrc", distribution="test-nbrc")
    with use_catalog(Catalog()) as catalog:
        assert current_catalog() is catalog
        assert list_kinds("test_nbrc") == ["test-nbrc/test_nbrc"]
        assert get_kind("test_nbrc") is catalog.get("test_nbrc")
    assert current_catalog() is before
    assert list_kinds("test_nbrc") == []


def test_using_restores_the_catalog_when_the_block_raises():
    before = current_catalog()
    with pytest.raises(ZeroDivisionError), use_catalog(Catalog()):
        raise ZeroDivisionError
    assert current_catalog() is before


# From a plugin on disk to a model

SOURCE_OF_A_PLUGIN = """
from typing import Literal, NamedTuple

import torch
from rnnkit import Backbone


class LeakyOptions(Options):
    leak: float = 0.5
    widths: tuple[int, ...] = ()
    how: Literal["sum", "mean"] = "sum"


class LeakyState(NamedTuple):
    h: torch.Tensor


class LeakyBackbone(Backbone):
    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_size)
        self.leak = spec.options.leak
        self.read = torch.nn.Linear(spec.input_size, spec.hidden_size, device=device, dtype=dtype)

    def state_shapes(self, batch_size):
        return LeakyState(torch.Size((batch_size, self.features)))

    def run(self, x, state, lengths):
        [h] = self.initial_state(x.shape[0]) if state is None else state
        outputs = []
        for x_t in self.read(x).unbind(1):
            h = self.leak * h + x_t
            outputs.append(h)
        return torch.stack(outputs, 1), LeakyState(h)


def check(spec):
    if spec.options.leak > spec.hidden_size:
        yield Problem("options.leak", "leak is too large")
        yield Problem("hidden_size", "hidden_size is too small")


@hookimpl
def register_kinds(register):
    register(kind("test_leaky", builder=LeakyBackbone, options=LeakyOptions, check=check))
"""


@pytest.fixture
def leaky(plugins):
    plugins.install("test_leaky", source=SOURCE_OF_A_PLUGIN, distribution="leaky")
    with use_catalog(Catalog()):
        yield lambda **fields: RecurrentSpec(**{"kind": "test_leaky"} | SIZES | fields)


def test_a_kind_of_a_plugin_on_disk_is_built(leaky):
    model = build_model(leaky(output_size=2, options={"leak": 0.25}))
    assert isinstance(model, RecurrentModel)
    x = torch.randn(2, 5, 3)
    h_1 = model.backbone.read(x[:, 0])
    y, state = model(x[:, :2], return_state=True)
    torch.testing.assert_close(state.h, 0.25 * h_1 + model.backbone.read(x[:, 1]))
    torch.testing.assert_close(y, model.readout.linear(state.h))


def test_every_problem_of_a_check_is_reported(leaky):
    with pytest.raises(ValidationError) as caught:
        leaky(options={"leak": 5.0})
    assert [(problem["loc"], problem["msg"]) for problem in caught.value.errors()] == [
        (("options", "leak"), "leak is too large"),
        (("hidden_size",), "hidden_size is too small"),
    ]


@pytest.mark.parametrize("name", ["test_leaky", "leaky/test_leaky", "Leaky/test_leaky"])
def test_misplaced_option_is_reported_for_each_name(leaky, name):
    with pytest.raises(ValidationError, match=r"'leak' is an option of the kind .*: write options={'leak': \.\.\.}"):
        leaky(kind=name, leak=0.5)


def test_a_check_waits_until_each_field_alone_is_valid(leaky):
    with pytest.raises(ValidationError) as caught:
        leaky(options={"leak": 5.0}, num_layers=0)
    assert [problem["loc"] for problem in caught.value.errors()] == [("num_layers",)]


@pytest.mark.parametrize(
    "options",
    [{}, {"leak": 1}, {"how": "mean"}, {"widths": (1, 2)}],
    ids=["none", "number", "literal", "tuple"],
)
@pytest.mark.parametrize(
    "again",
    [
        pytest.param(lambda spec: RecurrentSpec.from_dict(spec.to_dict()), id="dict"),
        pytest.param(lambda spec: RecurrentSpec.from_json(spec.to_json()), id="json"),
        pytest.param(lambda spec: eval(repr(spec), {"RecurrentSpec": RecurrentSpec}), id="repr"),  # noqa: S307  # documented
    ],
)
def test_options_of_any_type_read_back_equal(leaky, options, again):
    spec = leaky(options=options)
    assert again(spec) == spec


def test_a_builder_that_returns_no_backbone_is_refused(plugins):
    source = """
    @hookimpl
    def register_kinds(register):
        register(kind("test_nbrc", builder=lambda spec, *, device, dtype: 3))
    """
    plugins.install("test_nbrc", source=source, distribution="test-nbrc")
    with use_catalog(Catalog()), pytest.raises(BuildError) as caught:
        build_model(RecurrentSpec(kind="test_nbrc", **SIZES))
    assert (
        str(caught.value) == "The builder of kind 'test-nbrc/test_nbrc' must return an rnnkit.Backbone, but returned 3"
    )


@pytest.mark.parametrize(
    ("given", "name"),
    [
        pytest.param({"kind": "lstm", **SIZES}, "dict", id="dict"),
        pytest.param("lstm", "str", id="str"),
        pytest.param(RecurrentSpec, "type", id="class"),
    ],
)
@pytest.mark.parametrize("function", [build_model, summarize_spec])
def test_a_spec_is_required(function, given, name):
    with pytest.raises(BuildError) as caught:
        function(given)
    assert str(caught.value) == (
        f"{function.__name__} takes a RecurrentSpec, but got a {name}: "
        "create one with RecurrentSpec(kind=..., ...) or RecurrentSpec.from_dict(...)"
    )


# Import costs, in a separate process


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import rnnkit",
        "import rnnkit; rnnkit.list_kinds('*lstm*')",
        "import rnnkit; rnnkit.Catalog().distribution('lstm')",
        "import rnnkit; str(rnnkit.resolve_kind('lstm'))",
        "import rnnkit; rnnkit.set_plugin_policy(block=['other'])",
        "import rnnkit; dir(rnnkit)",
        "from rnnkit import RecurrentSpec, Kind, Options, hookimpl, get_kind",
    ],
)
def test_neither_torch_nor_a_plugin_is_imported(code):
    show = "print([name in sys.modules for name in ('rnnkit', 'torch', 'rnnkit_builtin')])"
    assert run(f"{code}\nimport sys\n{show}") == "[True, False, False]\n"


def test_a_spec_imports_the_plugin_of_its_kind_and_no_other():
    code = """
import sys
from rnnkit import RecurrentSpec
RecurrentSpec(kind="gru", input_size=3, hidden_size=4)
print([name in sys.modules for name in ("rnnkit_builtin.gru", "rnnkit_builtin.lstm", "rnnkit_builtin.rnn")])
"""
    assert run(code) == "[True, False, False]\n"


def test_every_public_name_can_be_got_and_others_cannot():
    code = """
import rnnkit
assert set(rnnkit.__all__) <= set(dir(rnnkit)), set(rnnkit.__all__) - set(dir(rnnkit))
for name in rnnkit.__all__:
    getattr(rnnkit, name)
try:
    rnnkit.build_modle
except AttributeError as error:
    print(error)
"""
    assert run(code) == "module 'rnnkit' has no attribute 'build_modle'\n"


def test_a_kind_is_a_record_that_cannot_change():
    kind = get_kind("lstm")
    assert isinstance(kind, Kind)
    with pytest.raises(AttributeError, match="cannot assign to field 'summary'"):
        kind.summary = "Another."
