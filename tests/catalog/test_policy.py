"""Turning plugins off by the name of their distribution, before anything of theirs is imported."""

import subprocess
import sys

import pytest

from rnnkit import (
    BlockedKindError,
    Catalog,
    PluginError,
    RecurrentSpec,
    current_catalog,
    get_kind,
    list_kinds,
    set_plugin_policy,
)
from rnnkit.testing import use_catalog
from tests.helpers.plugins_on_disk import PluginsOnDisk

OWN = ["gru", "gru_cell", "lstm", "lstm_cell", "mixed", "rnn", "rnn_cell"]


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """Two distributions: One-Plugin provides test_one, two.plugin provides test_two."""
    plugins = PluginsOnDisk(tmp_path, monkeypatch)
    plugins.install("test_one", distribution="One-Plugin")
    plugins.install("test_two", distribution="two.plugin")
    yield plugins
    plugins.forget()


def usable(catalog):
    return [name for name in catalog.names() if "/" in name and "test_" in name]


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        ({}, ["one-plugin/test_one", "two-plugin/test_two"]),
        ({"block": ["one-plugin"]}, ["two-plugin/test_two"]),
        ({"block": ["ONE_plugin", "two-plugin"]}, []),
        ({"block": "one-plugin"}, ["two-plugin/test_two"]),
        ({"allow": ["one.plugin"]}, ["one-plugin/test_one"]),
        ({"allow": []}, []),
        ({"allow": ["one-plugin", "two-plugin"], "block": ["two-plugin"]}, ["one-plugin/test_one"]),
    ],
    ids=["none", "block", "block_both", "block_string", "allow", "allow_none", "both"],
)
def test_arguments_decide_who_provides_kinds(plugins, rule, left):
    catalog = Catalog(**rule)
    assert usable(catalog) == left
    assert [name for name in catalog.names() if name in OWN] == OWN
    assert not plugins.imported()


@pytest.mark.parametrize(
    ("variables", "left"),
    [
        ({"RNNKIT_BLOCK_PLUGINS": "one-plugin"}, ["two-plugin/test_two"]),
        ({"RNNKIT_BLOCK_PLUGINS": " One_Plugin , two.plugin "}, []),
        ({"RNNKIT_BLOCK_PLUGINS": "one-plugin two-plugin"}, []),
        ({"RNNKIT_ALLOW_PLUGINS": "two-plugin"}, ["two-plugin/test_two"]),
        ({"RNNKIT_ALLOW_PLUGINS": "rnnkit"}, []),
        ({"RNNKIT_ALLOW_PLUGINS": "", "RNNKIT_BLOCK_PLUGINS": ""}, ["one-plugin/test_one", "two-plugin/test_two"]),
    ],
    ids=["block", "block_commas", "block_spaces", "allow", "allow_own", "empty_counts_as_unset"],
)
def test_environment_variables_decide_who_provides_kinds(plugins, monkeypatch, variables, left):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    catalog = Catalog()
    assert usable(catalog) == left
    assert [name for name in catalog.names() if name in OWN] == OWN
    assert not plugins.imported()


def test_a_distribution_must_pass_every_rule(plugins, monkeypatch):
    monkeypatch.setenv("RNNKIT_BLOCK_PLUGINS", "one-plugin")
    assert usable(Catalog(allow=["one-plugin"])) == []
    assert usable(Catalog(allow=["two-plugin"])) == ["two-plugin/test_two"]


@pytest.mark.parametrize(
    ("rule", "variable", "by"),
    [
        ({"block": ["one-plugin"]}, None, "blocked by Catalog(block=...)"),
        ({"allow": ["two-plugin"]}, None, "not among those allowed by Catalog(allow=...)"),
        ({}, ("RNNKIT_BLOCK_PLUGINS", "one-plugin"), "blocked by RNNKIT_BLOCK_PLUGINS"),
        ({}, ("RNNKIT_ALLOW_PLUGINS", "two-plugin"), "not among those allowed by RNNKIT_ALLOW_PLUGINS"),
    ],
    ids=["block", "allow", "variable_block", "variable_allow"],
)
@pytest.mark.parametrize("name", ["test_one", "one-plugin/test_one"])
def test_asking_for_a_blocked_kind_says_who_blocks_it(plugins, monkeypatch, rule, variable, by, name):
    if variable:
        monkeypatch.setenv(*variable)
    with use_catalog(Catalog(**rule)):
        for ask in (get_kind, lambda kind: RecurrentSpec(kind=kind, input_size=1, hidden_size=1)):
            with pytest.raises(BlockedKindError) as caught:
                ask(name)
            assert str(caught.value) == (
                f"The kind {name!r} is installed but blocked: the distribution 'one-plugin' is {by}. "
                "Change that to use it."
            )
    assert not plugins.imported()


def test_rnnkits_own_kinds_can_be_blocked_by_name_only(plugins):
    assert Catalog(block=["rnnkit"]).names("gru") == []
    with pytest.raises(BlockedKindError, match="'rnnkit' is blocked by"):
        Catalog(block=["rnnkit"]).get("lstm")


def test_a_call_controls_the_catalog_in_use_from_then_on(plugins):
    with use_catalog(Catalog()):
        assert get_kind("test_one").name == "test_one"
        set_plugin_policy(block=["one-plugin"])
        assert list_kinds("*test_*") == ["two-plugin/test_two"]
        with pytest.raises(BlockedKindError, match=r"set_plugin_policy\(block=...\)"):
            get_kind("test_one")
        set_plugin_policy(allow=["one-plugin"])  # rules add up: none lifts another
        assert usable(current_catalog()) == []


def test_strict_policy_raises_for_a_broken_plugin(plugins, monkeypatch):
    plugins.install("test_broken", source="1 / 0", distribution="broken-plugin")
    assert "broken-plugin/test_broken" in Catalog().names()
    with pytest.raises(PluginError, match=r"distribution broken-plugin 1\.0"):
        Catalog(strict=True).names()
    monkeypatch.setenv("RNNKIT_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match=r"distribution broken-plugin 1\.0"):
        Catalog().names()
    assert usable(Catalog(block=["broken-plugin"])) == ["one-plugin/test_one", "two-plugin/test_two"]
    monkeypatch.setenv("RNNKIT_STRICT_PLUGINS", "0")
    with use_catalog(Catalog()), pytest.raises(PluginError):
        set_plugin_policy(strict=True)


def test_a_blocked_plugin_is_not_imported_in_a_fresh_process(plugins):
    code = """
import os, sys
os.environ["RNNKIT_BLOCK_PLUGINS"] = "one-plugin"  # before the first question is early enough
sys.path[:0] = {path!r}
import rnnkit
rnnkit.list_kinds()
try:
    rnnkit.get_kind("test_one")
except rnnkit.BlockedKindError:
    print([name for name in sys.modules if "rnnkit_on_disk" in name])
"""
    path = [entry for entry in sys.path if "rnnkit_on_disk" in entry]
    assert path
    printed = subprocess.run(
        [sys.executable, "-c", code.format(path=path)], check=True, capture_output=True, text=True
    ).stdout
    assert printed == "[]\n"
