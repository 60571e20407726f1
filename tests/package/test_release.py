"""A tag is released only if the distributions, the citation and the changelog agree with it."""

import shutil
import tomllib
from pathlib import Path

import pytest

from rnnkit import __version__
from tools.release import GOLDEN_PLUGINS, ROOT, problems, versions
from tools.set_version import set_version

PLUGIN = f"{GOLDEN_PLUGINS}/v{'.'.join(__version__.split('.')[:2])}"
FILES = [*(path for path, _ in versions()), "CHANGELOG.md"]
RELEASED = f"# Changelog\n\n## Unreleased\n\n## {__version__} (2026-12-01)\n\n- A change.\n"


@pytest.fixture
def copy(tmp_path):
    """The files of a release, in a folder of their own."""
    for path in FILES:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    (tmp_path / PLUGIN).mkdir(parents=True)
    (tmp_path / "CHANGELOG.md").write_text(RELEASED, "utf-8")
    return tmp_path


def edit(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_all_distributions_have_one_version():
    assert len(FILES) == 6
    assert {version for _, version in versions()} == {__version__}


def test_all_distributions_have_the_same_licence_addresses_and_systems():
    paths = ["pyproject.toml", *(path for path, _ in versions() if path.endswith("pyproject.toml"))]
    core, *plugins = (tomllib.loads((ROOT / path).read_text("utf-8"))["project"] for path in paths)
    assert len(plugins) == 2
    for field in ("authors", "license", "license-files", "requires-python", "urls"):
        assert [plugin[field] for plugin in plugins] == [core[field]] * 2
    for plugin in plugins:
        assert set(core["classifiers"]) <= set(plugin["classifiers"])


def test_a_complete_release_has_no_problems(copy):
    assert problems(f"v{__version__}", copy) == []


@pytest.mark.parametrize("path", FILES[:-1])
def test_another_version_in_one_file(copy, path):
    edit(copy / path, __version__, "0.9.9")
    assert problems(f"v{__version__}", copy) == [f"{Path(path).as_posix()} has the version 0.9.9, not {__version__}"]


def test_a_minor_version_without_a_plugin_to_test_later_ones_with(copy):
    (copy / PLUGIN).rmdir()
    minor = Path(PLUGIN).name
    assert problems(f"v{__version__}", copy) == [
        f"tests/golden/plugins has no plugin {minor}, which later versions are tested with"
    ]


def test_changelog_without_the_version(copy):
    edit(copy / "CHANGELOG.md", f"## {__version__} (2026-12-01)", f"## {__version__}")
    assert problems(f"v{__version__}", copy) == [f"CHANGELOG.md has no section '## {__version__} (YYYY-MM-DD)'"]


@pytest.mark.parametrize("day", ["2026-13-01", "2026-02-30", "12026-1-1"])
def test_changelog_with_a_day_that_is_not_in_the_calendar(copy, day):
    edit(copy / "CHANGELOG.md", "2026-12-01", day)
    assert problems(f"v{__version__}", copy) == [f"CHANGELOG.md has no section '## {__version__} (YYYY-MM-DD)'"]


def test_changelog_with_an_empty_section(copy):
    edit(copy / "CHANGELOG.md", "- A change.\n", "")
    assert problems(f"v{__version__}", copy) == [f"CHANGELOG.md has no entries under '{__version__} (2026-12-01)'"]


def test_changelog_with_changes_that_are_not_released(copy):
    edit(copy / "CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n- Another change.\n")
    assert problems(f"v{__version__}", copy) == ["CHANGELOG.md has entries under 'Unreleased'"]


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2", "v1.2.3-rc1", "release"])
def test_a_tag_of_another_form(tag):
    assert problems(tag) == [f"the tag {tag!r} is not of the form v1.2.3 or v1.2.3rc1"]


def test_setting_the_version_changes_every_file_that_states_or_shows_it(copy):
    page = copy / "docs/reference/command.md"
    page.parent.mkdir()
    shown = "rnnkit-cards      {0}  ok\ngru (rnnkit=={0}) with rnnkit {0}, rnnkit-nbrc {1}, torch {1}\n  version: {0}\n"
    page.write_text(shown.format(__version__, __version__), "utf-8")
    set_version("9.8.7rc1", copy)
    assert {version for _, version in versions(copy)} == {"9.8.7rc1"}
    assert page.read_text("utf-8") == shown.format("9.8.7rc1", __version__)
    before, after = ((folder / "CITATION.cff").read_text("utf-8") for folder in (ROOT, copy))
    assert after == before.replace(f"\nversion: {__version__}\n", "\nversion: 9.8.7rc1\n")
    set_version(__version__, copy)
    assert [path for path in FILES[:-1] if (copy / path).read_bytes() != (ROOT / path).read_bytes()] == []


def test_a_version_of_another_form_is_not_set(copy):
    with pytest.raises(ValueError, match=r"'1\.2' is not of the form 1\.2\.3"):
        set_version("1.2", copy)
    assert {version for _, version in versions(copy)} == {__version__}
