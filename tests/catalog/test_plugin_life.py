"""Changes of a plugin over its life: renamed and deprecated kinds, requirements of a later rnnkit."""

import json
import re
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import EntryPoint, PathDistribution

import pytest
import torch
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from torch import nn

import rnnkit
from rnnkit import (
    Catalog,
    PluginError,
    RecurrentSpec,
    build_model,
    get_kind,
    list_kinds,
    load_model,
    load_spec,
    override_spec,
    register_kind,
    resolve_kind,
    save_model,
    save_spec,
    spec_schema,
    verify_model,
)
from rnnkit.deprecation import Deprecation, KindAlias
from rnnkit.errors import DeprecatedKindWarning
from rnnkit.testing import use_catalog
from tests.helpers.commands import run, run_process
from tests.helpers.hang import HANG
from tests.helpers.models import small_input, small_model, small_spec
from tests.helpers.pages import ROOT
from tests.helpers.plugins_on_disk import DECAY_CELL, PREAMBLE

SIZES = {"input_size": 3, "hidden_size": 4}


def registers(*records):
    calls = "".join(f"    register({each})\n" for each in records)
    return f"{DECAY_CELL}\n\n@hookimpl\ndef register_kinds(register):\n{calls}"


DECAY = "decay_kind('decay')"
ALIAS = "KindAlias(name='fading', kind='decay', since='0.2.0', removal='1.0')"
NOTE = "an old name of 'acme/decay' since acme 0.2.0, and will be removed in 1.0"
RENAMED = f"The kind {{!r}} is {NOTE}: write 'acme/decay' instead"


@pytest.fixture
def acme(plugins):
    """A distribution `acme` whose kind `decay` was called `fading` once."""
    plugins.install("decay", "fading", source=registers(DECAY, ALIAS), distribution="acme")
    with use_catalog(Catalog()) as catalog:
        yield catalog


@pytest.fixture
def before(plugins):
    """A catalog from before: `acme` has a kind `fading`, which is called so."""
    plugins.install("fading", source=registers("decay_kind('fading')"), distribution="acme")
    with use_catalog(Catalog()) as catalog:
        yield catalog


def warned(action):
    """The result of a function, and the warnings that it raises."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        result = action()
    return result, [(each.category, str(each.message), each.filename) for each in given]


def renamed(name):
    """The one warning of who uses an old name, at a line of this file."""
    return [(DeprecatedKindWarning, RENAMED.format(name), __file__)]


# Renaming: the old name works


def test_an_old_name_stands_for_the_kind_of_its_own_distribution(acme, plugins):
    """Another distribution may have a kind of the same name."""
    plugins.install("decay", source=registers(DECAY), distribution="other-cells")
    assert {each.candidate.name for each in acme.providers("decay")} == {"acme/decay", "other-cells/decay"}
    with pytest.warns(DeprecatedKindWarning):
        assert RecurrentSpec(kind="fading", input_size=3, hidden_size=4).kind == "acme/decay"


@pytest.mark.parametrize("name", ["fading", "acme/fading", "ACME/fading"])
@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda name: RecurrentSpec(kind=name, **SIZES), id="call"),
        pytest.param(lambda name: RecurrentSpec.from_dict({"kind": name, **SIZES}), id="from_dict"),
        pytest.param(lambda name: RecurrentSpec.from_json(json.dumps({"kind": name, **SIZES})), id="from_json"),
        pytest.param(lambda name: replace(small_lstm(), kind=name, options={}), id="replace"),
        pytest.param(lambda name: override_spec(small_lstm(), [f"kind={name}"]), id="override_spec"),
    ],
)
def test_spec_with_an_alias_has_the_new_name_and_warns(acme, made, name):
    spec, given = warned(lambda: made(name))
    assert spec == RecurrentSpec(kind="decay", **SIZES)
    assert spec.kind == spec.to_dict()["kind"] == "acme/decay"
    assert given == renamed(name)
    assert build_model(spec)(small_input().float()).shape == (4, 4)


def small_lstm():
    return RecurrentSpec(kind="lstm_cell", **SIZES)


def test_the_new_name_warns_of_nothing(acme):
    assert warned(lambda: RecurrentSpec(kind="decay", **SIZES))[1] == []


def test_a_spec_that_is_refused_warns_of_nothing(acme):
    def refused():
        with pytest.raises(ValueError, match=r"Did you mean 'decay'\?"):
            RecurrentSpec(kind="fading", options={"decai": 1.0}, **SIZES)

    assert warned(refused)[1] == []


def test_the_record_of_the_old_name_is_that_of_the_new(acme):
    record, given = warned(lambda: get_kind("fading"))
    assert record is get_kind("decay")
    assert given == renamed("fading")


def test_warning_as_error_is_not_a_validation_error(acme):
    with warnings.catch_warnings(action="error"), pytest.raises(DeprecatedKindWarning, match="'fading' is an old name"):
        RecurrentSpec(kind="fading", **SIZES)


def test_users_see_the_warning_without_asking_for_it():
    assert issubclass(DeprecatedKindWarning, FutureWarning)  # which Python shows, as it does not a DeprecationWarning


def test_a_layer_may_be_asked_for_by_the_old_name(acme):
    spec, given = warned(lambda: RecurrentSpec(kind="mixed", options={"cells": ["fading"]}, **SIZES))
    assert spec.options.cells == ("acme/decay",)
    assert given == renamed("fading")


@pytest.mark.parametrize("suffix", ["json", "toml", "yaml"])
def test_an_old_spec_file_is_read_and_saved_under_the_new_name(before, plugins, tmp_path, suffix):
    file = tmp_path / f"spec.{suffix}"
    save_spec(RecurrentSpec(kind="fading", options={"decay": 0.25}, **SIZES), file)
    assert "acme/fading" in file.read_text()
    with catalog_with_alias(plugins):
        spec, given = warned(lambda: load_spec(file))
        assert given == renamed("acme/fading")
        assert spec == RecurrentSpec(kind="decay", options={"decay": 0.25}, **SIZES)
        save_spec(spec, file)
        assert "acme/decay" in file.read_text()
        assert warned(lambda: load_spec(file)) == (spec, [])


def catalog_with_alias(plugins):
    """An upgraded `acme`, which is found first and replaces the old distribution."""
    plugins.install("decay", "fading", source=registers(DECAY, ALIAS), distribution="acme")
    return use_catalog(Catalog())


def test_old_checkpoint_is_saved_under_the_new_name(before, plugins, tmp_path):
    file, model = tmp_path / "model.safetensors", small_model("fading", options={"decay": 0.25})
    save_model(model, file)
    x = small_input()
    with catalog_with_alias(plugins):
        loaded, given = warned(lambda: load_model(file))
        assert given == renamed("acme/fading")
        assert loaded.spec.kind == "acme/decay"
        torch.testing.assert_close(loaded(x), model(x))
        verification, given = warned(lambda: verify_model(file))
        assert (verification.ok, verification.drift) == (True, 0)
        assert given == renamed("acme/fading")
        save_model(loaded, file)
        assert warned(lambda: load_model(file))[1] == []


def test_unresolved_spec_takes_the_new_name_once_installed(plugins):
    data = {"kind": "acme/fading", "options": {"decay": 0.25}, **SIZES}
    with use_catalog(Catalog()):
        unresolved, given = warned(lambda: RecurrentSpec.from_dict(data, allow_unresolved=True))
        assert (unresolved.kind, given) == ("acme/fading", [])
    with catalog_with_alias(plugins):
        spec, given = warned(lambda: replace(unresolved))
        assert spec == RecurrentSpec(kind="decay", options={"decay": 0.25}, **SIZES)
        assert given == renamed("acme/fading")


def test_threads_that_use_the_old_name_at_once_all_get_the_new(acme):
    threads = 16
    start = threading.Barrier(threads)

    def make(_):
        start.wait(timeout=HANG)
        return RecurrentSpec(kind="fading", **SIZES).kind

    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(threads) as pool:
        assert set(pool.map(make, range(threads), timeout=HANG)) == {"acme/decay"}


# Renaming: messages without a spec


def test_listing_and_resolving_neither_import_nor_warn(acme, plugins):
    def ask():
        return list_kinds("acme/*"), resolve_kind("fading").chosen.name

    assert warned(ask) == ((["acme/decay", "acme/fading"], "acme/fading"), [])
    assert plugins.imported() == []
    acme.get("fading")
    assert warned(ask) == ((["acme/decay", "acme/fading"], "acme/decay"), [])


def test_resolution_notes_an_alias_after_loading(acme, plugins):
    acme.get("decay")
    [module] = plugins.imported()
    note = "an old name of 'acme/decay' since acme 0.2.0, and will be removed in 1.0"
    assert str(resolve_kind("fading")) == (
        f"fading -> acme/decay: it is {note}\n"
        f"  acme/fading: {module} (distribution acme 1.0, entry point 'fading'), loaded, {note}\n"
        f"  acme/decay: {module} (distribution acme 1.0, entry point 'decay'), loaded"
    )


def test_the_removal_need_not_be_known(plugins):
    alias = "KindAlias(name='fading', kind='decay', since='2024.1')"
    plugins.install("decay", "fading", source=registers(DECAY, alias), distribution="acme")
    with use_catalog(Catalog()), pytest.warns(DeprecatedKindWarning) as given:
        RecurrentSpec(kind="fading", **SIZES)
    assert str(given[0].message) == (
        "The kind 'fading' is an old name of 'acme/decay' since acme 2024.1: write 'acme/decay' instead"
    )


def test_list_marks_an_alias_after_loading(acme):
    assert [row["note"] for row in facts("list", "acme/*")] == ["", ""]
    notes = {row["kind"]: row["note"] for row in facts("list", "acme/*", "--load")}
    old = "an old name of 'acme/decay' since acme 0.2.0, and will be removed in 1.0"
    assert notes == {"acme/decay": "", "acme/fading": old}


def facts(*arguments):
    return json.loads(run(*arguments, "--json").stdout)


def test_rnnkit_why_shows_both_names(acme):
    answer = facts("why", "fading", "--load")
    assert answer["resolves_to"] == "acme/decay"
    verdicts = {each["candidate"]: each["verdict"] for each in answer["candidates"]}
    assert verdicts == {"acme/fading": "old name", "acme/decay": "chosen"}


@pytest.mark.parametrize(("command", "warnings_given"), [("show", 0), ("init", 1), ("schema", 0)])
@pytest.mark.filterwarnings("always")
def test_a_command_takes_the_old_name(acme, command, warnings_given):
    result = run(command, "fading", width=1000)
    assert result.exit_code == 0
    assert "acme/decay" in result.stdout
    assert result.stderr.count(f"Warning: {RENAMED.format('fading')}\n") == warnings_given


def test_show_notes_an_alias(acme):
    result = run("show", "fading", width=1000)
    assert RENAMED.format("fading") in result.stdout.splitlines()
    assert facts("show", "decay")["notices"] == []


@pytest.mark.filterwarnings("always")
def test_rnnkit_validate_warns_once_of_a_file_with_the_old_name(acme, tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text("kind: fading\ninput_size: 3\nhidden_size: 4\n")
    result = run("validate", file)
    assert result.exit_code == 0
    assert result.stderr == f"Warning: {RENAMED.format('fading')}\n"


@pytest.mark.parametrize("old", ["a_fading", "z_fading"])
def test_schema_accepts_old_and_new_names(plugins, old):
    """However the names are sorted, of which the first has its plugin loaded."""
    plugins.install("decay", old, source=registers(DECAY, ALIAS.replace("fading", old)), distribution="acme")
    with use_catalog(Catalog()):
        schema = spec_schema()
    Draft202012Validator.check_schema(schema)
    names = schema["properties"]["kind"]["enum"]
    assert {"decay", "acme/decay", old, f"acme/{old}"} <= set(names)
    assert len(names) == len(set(names))
    wrong = {"kind": old, "options": {"decai": 1.0}, **SIZES}
    assert not Draft202012Validator(schema).is_valid(wrong)
    assert Draft202012Validator(schema).is_valid(wrong | {"options": {"decay": 1.0}})


# Renaming: what a plugin may not do


def installed_apart(plugins, *, kind, other):
    """A distribution `acme` whose kinds `decay` and `fading` have a module each: the names of the two."""
    module = plugins.install("decay", source=kind, distribution="acme")
    second = f"{module}_names"
    (plugins.folder(module) / f"{second}.py").write_text(PREAMBLE + other)
    plugins._modules.append(second)
    add_entry_point(plugins, module, "fading", second)
    return module, second


def add_entry_point(plugins, module, kind, value):
    """Give the distribution `acme` that has a module one entry point more."""
    with (plugins.folder(module) / "acme-1.0.dist-info" / "entry_points.txt").open("a") as file:
        file.write(f"{kind} = {value}\n")


def test_alias_in_its_own_module_loads_the_kind(plugins):
    first, second = installed_apart(plugins, kind=registers(DECAY), other=registers(ALIAS))
    with use_catalog(Catalog()):
        get_kind("decay")
        assert plugins.imported() == [first]
        assert warned(lambda: RecurrentSpec(kind="fading", **SIZES).kind) == ("acme/decay", renamed("fading"))
        assert plugins.imported() == [first, second]
    plugins.forget()
    with use_catalog(Catalog()):
        assert warned(lambda: RecurrentSpec(kind="fading", **SIZES).kind) == ("acme/decay", renamed("fading"))
        assert plugins.imported() == [first, second]


def test_alias_of_a_broken_kind_reports_the_cause(plugins):
    installed_apart(plugins, kind="raise RuntimeError('stuck')", other=registers(ALIAS))
    catalog = Catalog()
    for _ in range(2):
        with pytest.raises(PluginError, match=r"entry point 'decay'\) is broken: importing it raised .*stuck"):
            catalog.get("fading")
    assert {each.status for each in catalog.providers("fading")} == {"loaded"}


@pytest.mark.parametrize("apart", [False, True], ids=["in-one-module", "in-two"])
def test_an_alias_of_an_alias_is_refused(plugins, apart):
    second = "KindAlias(name='decay', kind='leak', since='0.3')"
    if apart:
        modules = installed_apart(plugins, kind=registers(second, "decay_kind('leak')"), other=registers(ALIAS))
        add_entry_point(plugins, modules[0], "leak", modules[0])
    else:
        source = registers("decay_kind('leak')", second, ALIAS)
        plugins.install("leak", "decay", "fading", source=source, distribution="acme")
    catalog = Catalog()
    for _ in range(2):
        with pytest.raises(PluginError, match="its alias 'fading' stands for 'decay', which is an alias too"):
            catalog.get("fading")
    assert [each.status for each in catalog.providers("fading")] == ["broken"]
    assert catalog.get("decay") is catalog.get("leak")


def test_an_alias_of_itself_is_refused(plugins):
    plugins.install("decay", source=registers("KindAlias(name='decay', kind='decay', since='1')"))
    with pytest.raises(PluginError, match="its alias 'decay' stands for 'decay', which is an alias too"):
        Catalog().get("decay")


@pytest.mark.parametrize("new", ["'lstm'", "'other'", "'other-cells/other'", "'acme/decay'", "'nothing'", "None"])
def test_alias_of_an_unprovided_kind_is_refused(plugins, new):
    """Else installing a package would change what the kinds of another stand for."""
    plugins.install("other", distribution="other-cells")
    alias = f"KindAlias(name='fading', kind={new}, since='0.2.0')"
    plugins.install("decay", "fading", source=registers(DECAY, alias), distribution="acme")
    catalog = Catalog()
    cause = re.escape(
        f"its alias 'fading' stands for {new}, which is not a kind of acme. Name a kind that has an entry point"
    )
    for name in ("fading", "decay"):
        with pytest.raises(PluginError, match=cause):
            catalog.get(name)
    assert {each.status for each in catalog.providers("fading")} == {"broken"}
    assert catalog.get("other").name == "other"


def test_an_alias_needs_an_entry_point_as_every_kind_does(plugins):
    plugins.install("decay", source=registers(DECAY, ALIAS), distribution="acme")
    with pytest.raises(PluginError, match="it has entry points for 'decay', but registers 'decay' and 'fading'"):
        Catalog().get("decay")


def test_a_strict_policy_finds_an_alias_that_leads_nowhere(plugins):
    source = registers("decay_kind('leak')", "KindAlias(name='decay', kind='leak', since='0.3')", ALIAS)
    plugins.install("leak", "decay", "fading", source=source, distribution="acme")
    with pytest.raises(PluginError, match="its alias 'fading' stands for 'decay', which is an alias too"):
        Catalog(strict=True, allow=["acme"]).names()


@pytest.mark.parametrize(
    ("record", "fields", "message"),
    [
        (KindAlias, {"name": "a", "kind": "b", "since": 0.3}, "since of a KindAlias should be a string such as '0.3'"),
        (KindAlias, {"name": "a", "kind": "b", "since": ""}, "since of a KindAlias .* but is ''"),
        (KindAlias, {"name": "a", "kind": "b", "since": "1", "removal": 2}, "removal of a KindAlias .* but is 2"),
        (Deprecation, {"since": None}, "since of a Deprecation .* but is None"),
        (Deprecation, {"since": "1", "instead": None}, "instead of a Deprecation .* but is None"),
    ],
)
def test_version_must_be_a_string(record, fields, message):
    with pytest.raises(TypeError, match=message):
        record(**fields)


def test_a_process_of_its_own_has_no_old_names():
    alias = KindAlias(name="old", kind="new", since="1")
    with pytest.raises(
        PluginError, match="register_kind takes a Kind, or the name of one for a decorator, but got Kind"
    ):
        register_kind(alias)


# Removed kinds


@pytest.mark.parametrize(
    ("deprecation", "message"),
    [
        ("since='0.3', instead='gru', removal='1.0'", "acme 0.3, and will be removed in 1.0: use 'gru' instead"),
        ("since='0.3', instead='gru'", "acme 0.3: use 'gru' instead"),
        ("since='0.3', removal='1.0'", "acme 0.3, and will be removed in 1.0: it has no replacement"),
    ],
)
def test_a_deprecated_kind_is_built_with_a_warning(plugins, deprecation, message):
    kind = f"decay_kind('decay', deprecated=Deprecation({deprecation}))"
    plugins.install("decay", source=registers(kind), distribution="acme")
    with use_catalog(Catalog()):
        spec, given = warned(lambda: RecurrentSpec(kind="decay", **SIZES))
        message = f"The kind 'acme/decay' is deprecated since {message}"
        assert given == [(DeprecatedKindWarning, message, __file__)]
        assert warned(lambda: build_model(spec)(small_input().float()).shape) == ((4, 4), [])


@pytest.fixture
def leaving(plugins):
    """A distribution `acme` whose kind `decay` is removed, and had an old name, too."""
    kind = "decay_kind('decay', deprecated=Deprecation(since='0.3', instead='gru'))"
    plugins.install("decay", "fading", source=registers(kind, ALIAS), distribution="acme")
    with use_catalog(Catalog()) as catalog:
        yield catalog


def test_the_old_name_of_a_deprecated_kind_warns_of_both(leaving):
    messages = [message for _, message, _ in warned(lambda: RecurrentSpec(kind="fading", **SIZES))[1]]
    assert messages == [
        RENAMED.format("fading"),
        "The kind 'acme/decay' is deprecated since acme 0.3: use 'gru' instead",
    ]


def test_looking_a_deprecated_kind_up_warns_of_nothing(leaving):
    assert warned(lambda: get_kind("decay").deprecated)[1] == []
    assert warned(lambda: str(resolve_kind("decay")))[0].endswith("loaded, deprecated since acme 0.3")
    assert warned(list_kinds)[1] == []


def test_the_commands_show_that_a_kind_is_deprecated(leaving):
    rows = {row["kind"]: row["note"] for row in facts("list", "acme/decay", "--load")}
    assert rows == {"acme/decay": "deprecated since acme 0.3"}
    assert facts("why", "decay", "--load")["candidates"][0]["reason"] == "deprecated since acme 0.3"
    result = run("show", "decay", width=1000)
    assert "The kind 'acme/decay' is deprecated since acme 0.3: use 'gru' instead" in result.stdout.splitlines()
    assert result.stderr == ""


def test_a_local_kind_may_be_deprecated_to_see_how_that_looks():
    kind = replace(get_kind("gru"), name="mine", deprecated=Deprecation(since="0.3", instead="gru"))
    with use_catalog(Catalog()), register_kind(kind):
        given = warned(lambda: small_spec("mine"))[1]
    assert [message for _, message, _ in given] == [
        "The kind 'local/mine' is deprecated since local 0.3: use 'gru' instead"
    ]


def test_a_deprecation_that_is_none_is_refused():
    with pytest.raises(PluginError, match=r"its kind 'mine' is deprecated=True\. Give an rnnkit\.Deprecation"):
        register_kind(replace(get_kind("gru"), name="mine", deprecated=True))


@pytest.mark.parametrize(
    "checks",
    [
        {"padding_has_no_effect": "It is slow."},
        {"loss_decrease": "A typo."},
        {"loss_decreases": " "},
        ["loss_decreases"],
    ],
    ids=str,
)
def test_only_some_checks_can_be_declared_inapplicable_with_a_reason(checks):
    with pytest.raises(PluginError, match=r"inapplicable_checks=.*Only 'loss_decreases' can be declared"):
        register_kind(replace(get_kind("gru"), name="mine", inapplicable_checks=checks))


# The version of rnnkit that a plugin asks for

NEEDS = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
HERE = rnnkit.__version__


def needs(*lines):
    return NEEDS + "".join(f"Requires-Dist: {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("rnnkit>=99", "rnnkit>=99"),
        ("RnnKit (>=99)", "rnnkit>=99"),
        ("rnnkit[cli] ~= 99.1", "rnnkit~=99.1"),
        ("rnnkit==99.*", "rnnkit==99.*"),
        ("rnnkit>98 ; python_version >= '3'", "rnnkit>98"),
        ("rnnkit<0.0.1", "rnnkit<0.0.1"),
        (f"rnnkit!={HERE}", f"rnnkit!={HERE}"),
        ("rnnkit>=0.0.1,<0.0.2", "rnnkit<0.0.2,>=0.0.1"),
        ("rnnkit===nightly", "rnnkit===nightly"),
    ],
)
def test_unmet_requirement_is_reported_before_import(plugins, line, needed):
    plugins.install("decay", source="raise RuntimeError('imported')", distribution="acme", metadata=needs(line))
    with use_catalog(Catalog()) as catalog:
        assert "acme/decay" in list_kinds()
        with pytest.raises(PluginError) as caught:
            RecurrentSpec(kind="decay", **SIZES)
    assert plugins.imported() == []
    assert f"(distribution acme 1.0, entry point 'decay') is broken: it needs {needed}, but rnnkit {HERE} is" in str(
        caught.value
    )
    assert "`pip install --upgrade acme`. To block it, add acme" in str(caught.value)
    assert catalog.providers("decay")[0].note == f"it needs {needed}, but rnnkit {HERE} is installed"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["rnnkit>=0.0.1"], id="met"),
        pytest.param(["rnnkit"], id="any"),
        pytest.param([f"rnnkit~={HERE}", f"rnnkit=={HERE}", "rnnkit<99"], id="several"),
        pytest.param(["rnnkit>=99; extra == 'test'"], id="extra"),
        pytest.param(["rnnkit>=99; python_version < '3'"], id="another-python"),
        pytest.param(["rnnkit-nbrc>=99", "rnnkits>=99"], id="another-distribution"),
        pytest.param(["rnnkit @ https://example.org/rnnkit.zip"], id="address"),
        pytest.param(["rnnkit>=99 or so", ">=99", "rnnkit>=99; moon == 'full'"], id="broken-lines"),
    ],
)
def test_a_plugin_that_asks_for_what_is_here_is_loaded(plugins, lines):
    plugins.install("decay", source=registers(DECAY), distribution="acme", metadata=needs(*lines))
    assert Catalog().get("decay").name == "decay"


@pytest.mark.parametrize(("here", "loads"), [("0.9.0.dev1", False), ("1.0rc1", True), ("1.0.dev3", True)])
def test_a_prerelease_counts_by_its_number(plugins, monkeypatch, here, loads):
    monkeypatch.setattr("rnnkit.catalog.requirement.__version__", here)
    plugins.install("decay", source=registers(DECAY), distribution="acme", metadata=needs("rnnkit>=0.9"))
    if loads:
        assert Catalog().get("decay").name == "decay"
    else:
        with pytest.raises(PluginError, match=r"it needs rnnkit>=0\.9"):
            Catalog().get("decay")


def test_rnnkits_own_distribution_is_not_held_to_its_metadata(tmp_path):
    info = tmp_path / "rnnkit-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(needs("rnnkit>=99").replace("{name}", "rnnkit"))
    entry = EntryPoint("gru", "rnnkit_builtin.gru", "rnnkit")._for(PathDistribution(info))
    assert Catalog(lambda: [entry]).get("gru").name == "gru"


def test_doctor_finds_a_plugin_that_asks_for_another_rnnkit(plugins):
    plugins.install("decay", source=registers(DECAY), distribution="acme", metadata=needs("rnnkit>=99"))
    [found] = facts("doctor", "acme")["distributions"]
    [problem] = found["problems"]
    assert found["state"] == "broken"
    assert f"it needs rnnkit>=99, but rnnkit {HERE} is installed" in problem


def test_packaging_is_imported_for_third_parties_only(plugins):
    module = plugins.install("decay", source=registers(DECAY), distribution="acme", metadata=needs("rnnkit>=0.0.1"))
    code = "import sys; from rnnkit.__main__ import main\ntry: main()\nfinally: print('packaging' in sys.modules)"
    done = {
        name: run_process(*name.split(), code=code, path=[plugins.folder(module)]).stdout.split()[-1]
        for name in ("list", "why decay", "why decay --load")
    }
    assert done == {"list": b"False", "why decay": b"False", "why decay --load": b"True"}


# Several kinds of one distribution


def test_a_module_with_several_kinds_builds_each_of_them(plugins, tmp_path):
    source = registers("decay_kind('slow')", "decay_kind('fast')")
    plugins.install("slow", "fast", source=source, distribution="acme")
    check_round_trips(["slow", "fast"], tmp_path)


def check_round_trips(kinds, folder):
    """Each kind is built, saved and loaded."""
    with use_catalog(Catalog()):
        for name in kinds:
            file, model, x = folder / f"{name}.safetensors", small_model(name), small_input()
            assert model.spec.kind == f"acme/{name}"
            save_model(model, file)
            torch.testing.assert_close(load_model(file)(x), model(x))


def test_a_module_for_each_kind_is_imported_for_that_kind_alone(plugins, tmp_path):
    _, second = installed_apart(plugins, kind=registers(DECAY), other=registers("decay_kind('fading')"))
    with use_catalog(Catalog()):
        assert get_kind("fading").name == "fading"
        assert plugins.imported() == [second]
    check_round_trips(["decay", "fading"], tmp_path)


def test_objects_of_one_module_may_be_plugins_of_their_own(plugins, tmp_path):
    source = f"""{DECAY_CELL}
class Provider:
    def __init__(self, *names):
        self.names = names

    @hookimpl
    def register_kinds(self, register):
        calls.append(self.names)
        for name in self.names:
            register(decay_kind(name))


one, two = Provider("slow", "fast"), Provider("decay")
"""
    module = plugins.install("slow", "fast", source=source, plugin="one", distribution="acme")
    add_entry_point(plugins, module, "decay", f"{module}:two")
    with use_catalog(Catalog()):
        get_kind("fast")
        assert plugins.module(module).calls == [("slow", "fast")]
    check_round_trips(["slow", "fast", "decay"], tmp_path)


# A plugin as one was written for version 0.1


GOLDEN = ROOT / "tests/golden/plugins/v0.1"
GOLDEN_SPECS = {
    "golden_cell": {"hidden_size": (6, 5), "num_layers": 2, "bidirectional": True, "options": {"sharpness": 2.0}},
    "golden_leaky": {"num_layers": 1, "options": {"leaks": (0.5, 0.25)}},
}


@pytest.fixture
def golden(monkeypatch):
    """The plugin as installed; its files never change."""
    monkeypatch.syspath_prepend(GOLDEN)
    with use_catalog(Catalog()):
        yield small_golden
    sys.modules.pop("rnnkit_golden", None)


def small_golden(name):
    with warnings.catch_warnings(action="ignore", category=DeprecatedKindWarning):
        return small_model(name, **GOLDEN_SPECS[name])


def test_a_plugin_for_version_0_1_is_listed(golden):
    names = ["rnnkit-golden/golden_cell", "rnnkit-golden/golden_gru", "rnnkit-golden/golden_leaky"]
    assert list_kinds("rnnkit-golden/*") == names


@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_a_kind_for_version_0_1_learns(golden, name):
    model, x, lengths = golden(name), small_input(), torch.tensor([5, 3, 1, 0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        losses.append(((model(x, lengths=lengths) - 1) ** 2).mean())
        losses[-1].backward()
        optimizer.step()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
    assert losses[1] < losses[0]


@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_a_kind_for_version_0_1_is_saved_and_loaded(golden, name, tmp_path):
    model, file, x = golden(name), tmp_path / "model.safetensors", small_input()
    nn.init.ones_(model.readout.linear.bias)
    save_model(model, file)
    with warnings.catch_warnings(action="ignore", category=DeprecatedKindWarning):
        loaded = load_model(file)
        assert verify_model(file).drift == 0
    assert loaded.spec == model.spec
    torch.testing.assert_close(loaded(x), model(x))


@pytest.mark.parametrize("name", GOLDEN_SPECS)
def test_kind_for_version_0_1_keeps_its_behavior(golden, name):
    model, x, lengths = golden(name), small_input(), torch.tensor([5, 3, 1, 0])
    padded = x.masked_fill((torch.arange(5) >= lengths[:, None]).unsqueeze(-1), float("nan"))
    torch.testing.assert_close(model(padded, lengths=lengths), model(x, lengths=lengths))
    if not model.spec.bidirectional:
        _, state = model(x[:, :2], return_state=True)
        torch.testing.assert_close(model(x[:, 2:], state), model(x))


def test_the_rules_of_a_kind_for_version_0_1_hold(golden):
    with warnings.catch_warnings(action="ignore"), pytest.raises(ValidationError) as caught:
        small_spec("golden_leaky", hidden_size=5, options={"leaks": (0.5, 0.25)})
    assert [problem["loc"] for problem in caught.value.errors()] == [("num_layers",), ("options", "leaks")]


def test_the_hook_of_a_plugin_for_version_0_1_is_called(golden):
    assert not golden("golden_cell").readout.linear.bias.any()
    assert golden("golden_leaky").readout.linear.bias.any()


def test_a_file_with_an_old_name_from_version_0_1_is_read(golden):
    message = r"'rnnkit-golden/golden_gru' is an old name of 'rnnkit-golden/golden_cell' since rnnkit-golden 0\.1\.0"
    with pytest.warns(DeprecatedKindWarning, match=message):
        spec = load_spec(GOLDEN / "old_name.yaml")
    fields = {"output_size": 2, "num_layers": 2, "bidirectional": True, "hidden_size": 6, "input_size": 3}
    assert spec == RecurrentSpec(kind="golden_cell", **fields, options={"sharpness": 2.0, "zoneout": 0.1})


def test_a_deprecated_kind_of_version_0_1_warns(golden):
    with pytest.warns(
        DeprecatedKindWarning, match=r"deprecated since rnnkit-golden 0\.1\.0: use 'golden_cell' instead"
    ):
        small_spec("golden_leaky", num_layers=1)
