"""A tag is released only if the distributions, the citation and the changelog agree with it."""

import shutil
from pathlib import Path

import pytest

from rnnkit import __version__
from tools.release import ROOT, problems, versions

FILES = [*(path for path, _ in versions()), "CHANGELOG.md"]
RELEASED = f"# Changelog\n\n## Unreleased\n\n## {__version__} (2026-12-01)\n\n- A change.\n"


@pytest.fixture
def copy(tmp_path):
    """The files of a release, in a folder of their own."""
    for path in FILES:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    (tmp_path / "CHANGELOG.md").write_text(RELEASED, "utf-8")
    return tmp_path


def edit(path, old, new):
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_all_distributions_have_one_version():
    assert len(FILES) == 5
    assert {version for _, version in versions()} == {__version__}


def test_a_complete_release_has_no_problems(copy):
    assert problems(f"v{__version__}", copy) == []


@pytest.mark.parametrize("path", FILES[:4])
def test_another_version_in_one_file(copy, path):
    edit(copy / path, __version__, "0.9.9")
    assert problems(f"v{__version__}", copy) == [f"{Path(path).as_posix()} has the version 0.9.9, not {__version__}"]


def test_changelog_without_the_version(copy):
    edit(copy / "CHANGELOG.md", f"## {__version__} (2026-12-01)", f"## {__version__}")
    assert problems(f"v{__version__}", copy) == [f"CHANGELOG.md has no section '## {__version__} (YYYY-MM-DD)'"]


def test_changelog_with_changes_that_are_not_released(copy):
    edit(copy / "CHANGELOG.md", "## Unreleased\n", "## Unreleased\n\n- Another change.\n")
    assert problems(f"v{__version__}", copy) == ["CHANGELOG.md has entries under 'Unreleased'"]


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2", "v1.2.3-rc1", "release"])
def test_a_tag_of_another_form(tag):
    assert problems(tag) == [f"the tag {tag!r} is not of the form v1.2.3 or v1.2.3rc1"]
