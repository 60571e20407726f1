"""A leftover version of a distribution that comes first on the path hides the installed one: both are named."""

import json

import pytest

from rnnkit import Catalog, UnknownKindError, current_catalog, list_kinds, resolve_kind
from rnnkit.testing import use_catalog
from tests.helpers.commands import run

GROUPS = {"kind": "rnnkit", "readout": "rnnkit.readouts", "command": "rnnkit.commands"}


@pytest.fixture
def leave_behind(tmp_path, monkeypatch):
    """Return a function that puts an empty metadata folder first on the path."""

    def of(name):
        root = tmp_path / "leftover"
        (root / name).mkdir(parents=True)
        monkeypatch.syspath_prepend(root)
        return str(root / name)

    return of


@pytest.fixture(params=GROUPS)
def hidden(request, plugins, leave_behind):
    """The noun of something hidden, and the folders of both versions of its distribution."""
    module = plugins.install("mine", distribution="acme", group=GROUPS[request.param])
    return request.param, str(plugins.folder(module) / "acme-1.0.dist-info"), leave_behind("acme-3.0.dist-info")


@pytest.mark.parametrize("name", ["mine", "acme/mine", "ACME/mine"])
def test_error_names_both_versions(hidden, name):
    noun, *folders = hidden
    with use_catalog(Catalog()), pytest.raises(UnknownKindError, match="is installed but hidden") as caught:
        current_catalog().indexes[noun].get(name)
    assert all(folder in str(caught.value) for folder in folders)


def test_why_names_both_versions(hidden):
    noun, *folders = hidden
    done = run("why", "mine", "--of", noun, "--json", "--load")
    [candidate] = json.loads(done.stdout)["candidates"]
    assert (done.exit_code, candidate["verdict"], candidate["version"]) == (1, "hidden", "1.0")
    assert all(folder in candidate["reason"] for folder in folders)


def test_doctor_names_both_versions(hidden):
    _, *folders = hidden
    [problem] = json.loads(run("doctor", "rnnkit", "--json", RNNKIT_BLOCK_PLUGINS="rnnkit").stdout)["hidden"]
    assert all(folder in problem for folder in folders)


def test_doctor_and_list_name_both_versions_if_nothing_else_is_asked_for(plugins, leave_behind):
    module = plugins.install("mine", distribution="acme")
    folders = str(plugins.folder(module) / "acme-1.0.dist-info"), leave_behind("acme-3.0.dist-info")
    for arguments, status in [(("doctor", "acme"), 0), (("list", "mine"), 1), (("list", "acme/*"), 1)]:
        done = run(*arguments)
        assert done.exit_code == status
        assert all(folder in (done.stdout + done.stderr).replace("\n", "") for folder in folders)


def test_strict_doctor_exits_with_1_for_a_hidden_version(hidden):
    assert run("doctor", "rnnkit", "--strict", RNNKIT_BLOCK_PLUGINS="rnnkit").exit_code == 1


def test_running_a_hidden_command_names_both_versions(plugins, leave_behind):
    plugins.install("mine", distribution="acme", group="rnnkit.commands")
    folder = leave_behind("acme-3.0.dist-info")
    done = run("mine")
    assert done.exit_code == 1
    assert folder in done.stderr


def test_hidden_builtin_kinds_are_named(leave_behind):
    folder = leave_behind("rnnkit-0.0.9.dist-info")
    with use_catalog(Catalog()):
        assert "gru" not in list_kinds()
        with pytest.raises(UnknownKindError, match="is installed but hidden"):
            current_catalog().get("gru")
        assert folder in str(resolve_kind("gru"))
        assert {each.candidate.name for each in current_catalog().readouts.hidden()} == {"all", "last", "max", "mean"}


def test_other_providers_of_a_hidden_name_are_chosen(plugins, leave_behind):
    plugins.install("mine", distribution="acme")
    leave_behind("acme-3.0.dist-info")
    plugins.install("mine", distribution="beta")
    with use_catalog(Catalog()):
        resolution = resolve_kind("mine")
    assert resolution.chosen.name == "beta/mine"
    assert [each.status for each in resolution.providers] == ["not loaded", "hidden"]


def test_older_version_with_the_same_names_hides_nothing(plugins):
    plugins.install("mine", distribution="acme")
    plugins.install("mine", distribution="acme")
    with use_catalog(Catalog()):
        assert current_catalog().hidden() == []
        assert "acme/mine" in list_kinds()
