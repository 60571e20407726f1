"""Readouts of plugins and of this process: named, resolved, built, saved and blocked as kinds are."""

import dataclasses
import json
import pickle
import re

import pytest
import torch
from pydantic import ValidationError

import rnnkit
from rnnkit import (
    BlockedKindError,
    BuildError,
    Catalog,
    PluginError,
    Readout,
    RecurrentSpec,
    ReservedKindError,
    SpecFileError,
    StepError,
    UnresolvedKindError,
    build_model,
    list_readouts,
    load_model,
    load_spec,
    override_spec,
    register_readout,
    save_model,
    save_spec,
)
from rnnkit.catalog import discovery
from rnnkit.testing import use_catalog
from tests.helpers.plugins_on_disk import FIRST_READOUT

GROUP = "rnnkit.readouts"


class First(Readout):
    name = "first"

    def pool(self, output, lengths):
        return output[:, 0]


class Halves(Readout):
    """A readout at each step that changes the features."""

    name = "halves"
    per_step = True
    pools = False

    def pool(self, output, lengths):
        return output / 2


def make(**fields):
    return RecurrentSpec(**{"kind": "gru", "input_size": 3, "hidden_size": 4, "output_size": 2, **fields})


def installed(plugins, source=FIRST_READOUT, name="first", distribution="rnnkit-first"):
    plugins.install(name, source=source, distribution=distribution, group=GROUP)


def test_rnnkits_own_readouts_are_installed_like_any_other():
    assert list_readouts() == ["all", "last", "max", "mean"]
    assert list_readouts("m*") == ["max", "mean"]


@pytest.mark.parametrize("name", ["first", "rnnkit-first/first", "RNNKIT_First/first"])
def test_readout_of_a_plugin_has_a_canonical_name(plugins, name):
    installed(plugins)
    with use_catalog(Catalog()):
        assert "rnnkit-first/first" in list_readouts()
        spec = make(readout=name)
        assert spec.readout == "rnnkit-first/first"
        model, x = build_model(spec), torch.randn(2, 5, 3)
        expected = model.readout.linear(model.backbone(x)[0][:, 0])
        torch.testing.assert_close(model(x), expected)


def test_spec_does_not_import_the_plugin_of_its_readout(plugins):
    installed(plugins, source="raise RuntimeError('imported')")
    with use_catalog(Catalog()):
        spec = make(readout="first")
        with pytest.raises(PluginError, match=r"RuntimeError: imported.*To block it, add"):
            build_model(spec)


def test_a_readout_that_is_not_installed_says_what_to_install():
    with pytest.raises(ValidationError, match="pip install rnnkit-first"):
        make(readout="rnnkit-first/first")


def test_spec_with_a_missing_readout_is_kept_unchanged(plugins, tmp_path):
    data = {"kind": "gru", "input_size": 3, "hidden_size": 4, "readout": "rnnkit-first/first"}
    spec = RecurrentSpec.from_dict(data, allow_unresolved=True)
    assert spec.readout == "rnnkit-first/first"
    assert rnnkit.RecurrentSpec.from_dict(spec.to_dict(), allow_unresolved=True) == spec
    save_spec(spec, tmp_path / "spec.yaml")
    assert load_spec(tmp_path / "spec.yaml", allow_unresolved=True) == spec
    changed = dataclasses.replace(spec, hidden_size=8)
    assert (changed.readout, changed.hidden_size) == ("rnnkit-first/first", 8)
    with pytest.raises(UnresolvedKindError, match='which is not installed: run pip install "rnnkit-first"'):
        build_model(spec)
    installed(plugins)
    with use_catalog(Catalog()):
        with pytest.raises(UnresolvedKindError, match="was not installed when this spec was created but is now"):
            build_model(spec)
        assert type(build_model(RecurrentSpec.from_dict(spec.to_dict())).readout).__name__ == "First"


def test_spec_file_keeps_version_of_missing_readout(plugins, tmp_path):
    path, fields = tmp_path / "spec.yaml", "kind: gru\ninput_size: 3\nhidden_size: 4\nreadout: rnnkit-first/first\n"
    path.write_text(f"{fields}readout_plugin: rnnkit-first==0.9\n", encoding="utf-8")
    install = re.escape('is provided by rnnkit-first 0.9, which is not installed: run pip install "rnnkit-first==0.9"')
    with pytest.raises(SpecFileError, match=f"spec.yaml:4: readout: The readout 'rnnkit-first/first' {install}"):
        load_spec(path)
    spec = load_spec(path, allow_unresolved=True)
    for kept in (spec, pickle.loads(pickle.dumps(spec)), override_spec(spec, ["hidden_size=5"])):  # ours
        save_spec(kept, path)
        assert "readout_plugin: rnnkit-first==0.9\n" in path.read_text(encoding="utf-8")
        with pytest.raises(UnresolvedKindError, match=install):
            build_model(load_spec(path, allow_unresolved=True))
    assert override_spec(spec, ["readout=last"]).readout == "last"
    installed(plugins)
    with use_catalog(Catalog()):
        save_spec(load_spec(path), path)
        assert "readout_plugin: rnnkit-first==1.0\n" in path.read_text(encoding="utf-8")


def test_readout_of_another_plugin_is_refused(plugins, tmp_path):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({**make().to_dict(), "readout_plugin": "rnnkit-first==1.0"}), encoding="utf-8")
    with pytest.raises(SpecFileError, match="readout_plugin: The readout 'last' is not provided by rnnkit-first"):
        load_spec(path)
    assert load_spec(path, overrides=["readout=all"]).readout == "all"
    path.write_text(json.dumps({**make().to_dict(), "readout_plugin": "a b"}), encoding="utf-8")
    with pytest.raises(SpecFileError, match="readout_plugin: Input should be a requirement such as"):
        load_spec(path)


def test_blocked_readout_names_the_rule(plugins):
    installed(plugins)
    with use_catalog(Catalog(block=["rnnkit-first"])):
        assert list_readouts() == ["all", "last", "max", "mean"]
        with pytest.raises(ValidationError, match="blocked by Catalog"):
            make(readout="first")


def test_blocking_rnnkits_own_kinds_leaves_its_readouts():
    catalog = Catalog(block=["rnnkit"])
    assert catalog.readouts.names() == ["all", "last", "max", "mean"]
    with pytest.raises(BlockedKindError):
        catalog.get("gru")


def test_a_local_readout_is_known_until_it_is_removed():
    with register_readout(First) as readout:
        assert readout.name == "local/first"
        model = build_model(make(readout="first"))
        assert isinstance(model.readout, First)
        assert model.spec.readout == "local/first"
    with pytest.raises(
        ValidationError, match=r"local readout 'first' is not registered in this process.*register_readout"
    ):
        make(readout="local/first")


def test_a_model_with_a_local_readout_is_saved_and_loaded(tmp_path):
    with register_readout(First):
        model = build_model(make(readout="first"))
        save_model(model, tmp_path / "model.safetensors")
        x = torch.randn(2, 5, 3)
        torch.testing.assert_close(load_model(tmp_path / "model.safetensors")(x), model(x))


@pytest.mark.parametrize(
    "readout",
    [3, "first", Readout, type("NoName", (), {}), First.pool],
    ids=["number", "name", "abstract", "nameless", "function"],
)
def test_what_is_not_a_named_class_is_refused(readout):
    with pytest.raises(PluginError, match="register_readout takes a subclass of"):
        register_readout(readout)


@pytest.mark.parametrize("name", ["my/first", "", "a b", None])
def test_a_readout_of_a_plugin_with_another_than_a_plain_name_is_refused(plugins, name):
    installed(plugins, source=FIRST_READOUT.replace('"first"', repr(name)))
    cause = re.escape(f"the name of its readout is {name!r}. Give a plain string without spaces and slashes")
    with use_catalog(Catalog()), pytest.raises(PluginError, match=cause):
        build_model(make(readout="first"))


def test_a_name_of_rnnkits_own_is_reserved():
    with pytest.raises(ReservedKindError, match="'last' is one of rnnkit's own readouts"):
        register_readout(type("Last", (First,), {"name": "last"}))


def test_build_refuses_a_class_that_is_not_a_readout():
    class Other(torch.nn.Module):
        name = "other"

    with register_readout(Other), pytest.raises(BuildError, match=r"must be a subclass of rnnkit\.Readout"):
        build_model(make(readout="other"))


@pytest.mark.parametrize("batch_first", [True, False])
def test_readout_at_each_step_masks_padding_and_packs(batch_first):
    with register_readout(Halves):
        model = build_model(make(readout="halves", batch_first=batch_first), dtype=torch.float64)
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    given = x if batch_first else x.transpose(0, 1)
    y = model(given, lengths=torch.tensor([5, 2]))
    y = y if batch_first else y.transpose(0, 1)
    expected = model.readout.linear(model.backbone(given)[0] / 2)
    expected = expected if batch_first else expected.transpose(0, 1)
    torch.testing.assert_close(y[0], expected[0])
    torch.testing.assert_close(y[1, :2], expected[1, :2])
    assert (y[1, 2:] == 0).all()
    state = None
    for t in range(5):
        y_t, state = model.step(x[:, t], state)
        torch.testing.assert_close(y_t, expected[:, t])
    packed = torch.nn.utils.rnn.pack_padded_sequence(given, [5, 2], batch_first)
    assert isinstance(model(packed), torch.nn.utils.rnn.PackedSequence)


def test_step_is_refused_for_a_readout_that_pools():
    with register_readout(First):  # which reads an earlier step: `pools` is True unless the class says otherwise
        model = build_model(make(readout="first"))
    with pytest.raises(StepError, match="which pools over all steps"):
        model.step(torch.zeros(2, 3))


def test_build_refuses_a_readout_without_pool():
    abstract = type("Abstract", (Readout,), {"name": "abstract"})
    with (
        register_readout(abstract),
        pytest.raises(BuildError, match="that defines `pool`"),
    ):
        build_model(make(readout="abstract"))


def test_one_scan_serves_kinds_readouts_and_commands(monkeypatch):
    scans = []
    distributions = discovery.distributions
    monkeypatch.setattr(discovery, "distributions", lambda: scans.append(1) or distributions())
    catalog = Catalog()
    assert catalog.names()
    assert catalog.readouts.names()
    catalog.commands.names()
    assert len(scans) == 1
