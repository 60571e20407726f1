"""The branch of all published versions, and the list that Material's version selector reads."""

import subprocess

import pytest

from docs.site.deploy import default_of, with_version
from docs.site.versions_branch import NAME, VersionsBranch


def published(*versions):
    """The list after publishing versions, each with its aliases, one after another."""
    made = []
    for version, *aliases in versions:
        made = with_version(made, version, aliases)
    return made


def test_entry_has_the_format_of_mike():
    assert published(("1.0", "latest")) == [{"version": "1.0", "title": "1.0", "aliases": ["latest"]}]


def test_newest_version_is_first_and_one_without_a_number_before_it():
    made = published(("0.9",), ("0.10",), ("dev",), ("1.0rc1",), ("1.0",))
    assert [entry["version"] for entry in made] == ["dev", "1.0", "1.0rc1", "0.10", "0.9"]


def test_alias_moves_to_the_new_version():
    made = published(("1.0", "latest", "stable"), ("1.1", "latest"))
    assert [(entry["version"], entry["aliases"]) for entry in made] == [("1.1", ["latest"]), ("1.0", ["stable"])]


def test_version_that_is_published_again_keeps_its_aliases():
    assert published(("1.0", "latest"), ("1.0", "stable")) == published(("1.0", "latest", "stable"))


def test_default_is_latest_or_the_newest():
    assert default_of(published(("dev",), ("1.0", "latest"))) == "latest"
    assert default_of(published(("0.9",), ("1.0",))) == "1.0"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "404.html", "versions.json", "index.html"])
def test_name_that_cannot_be_a_folder_is_refused(name):
    with pytest.raises(ValueError, match="cannot be the name of a version"):
        published((name,))
    with pytest.raises(ValueError, match="cannot be the name of a version"):
        published(("1.0", name))


@pytest.mark.parametrize("second", [("latest",), ("1.1", "1.0"), ("1.1", "1.1")])
def test_name_of_a_version_and_of_an_alias_is_refused(second):
    with pytest.raises(ValueError, match="would name both"):
        published(("1.0", "latest"), second)


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Runs git in a new repository, which has one staged file."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Someone")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "someone@a.example")

    def git(*arguments, at=tmp_path / "repository"):
        command = ["git", *arguments]
        return subprocess.run(command, cwd=at, capture_output=True, encoding="utf-8", check=True).stdout

    git("init", "--quiet", "repository", at=tmp_path)
    (tmp_path / "repository/staged.txt").write_text("staged")
    git("add", "staged.txt")
    return git


@pytest.fixture
def branch(git, tmp_path):
    return VersionsBranch(tmp_path / "repository")


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    (folder / "a/build").mkdir(parents=True)
    (folder / ".gitignore").write_text("build/\n*.html\n")
    (folder / "index.html").write_text("first\r\n", newline="")
    (folder / "a/build/_x.html").write_text("nested")
    return folder


def test_commit_has_every_file_of_a_folder_and_leaves_the_checkout_alone(git, branch, site):
    branch.commit({"versions.json": "[]"}, {"1.0": site, "latest": site}, "Publish 1.0")
    files = git("ls-tree", "-r", "--name-only", NAME).split()
    own = [".gitignore", "a/build/_x.html", "index.html"]
    assert files == [*(f"1.0/{name}" for name in own), *(f"latest/{name}" for name in own), "versions.json"]
    assert git("cat-file", "blob", f"{NAME}:1.0/index.html") == "first\n"  # read as text: \r\n was kept
    assert int(git("cat-file", "-s", f"{NAME}:1.0/index.html")) == len("first\r\n")
    assert git("status", "--porcelain") == "A  staged.txt\n"
    assert git("log", "--format=%s", NAME) == "Publish 1.0\n"


def test_commit_replaces_its_folders_and_keeps_all_others(git, branch, site):
    branch.commit({"versions.json": "1", "x": "x"}, {"1.0": site, "latest": site}, "First")
    (site / "index.html").write_text("second")
    (site / "a/build/_x.html").unlink()
    branch.commit({"versions.json": "2"}, {"1.1": site, "latest": site}, "Second")
    assert git("show", f"{NAME}:1.0/index.html").startswith("first")
    assert git("show", f"{NAME}:latest/index.html") == git("show", f"{NAME}:1.1/index.html") == "second"
    assert "latest/a/build/_x.html" not in git("ls-tree", "-r", "--name-only", NAME)
    assert (branch.read("versions.json"), branch.read("x"), branch.read("y")) == ("2", "x", None)
    assert git("log", "--format=%s", NAME) == "Second\nFirst\n"


def test_two_checkouts_publish_in_turn(git, branch, site, tmp_path):
    git("init", "--quiet", "--bare", "origin", at=tmp_path)
    git("remote", "add", "origin", tmp_path / "origin")
    branch.pull()  # there is none
    branch.commit({"a": "1"}, {}, "First")
    branch.push()
    git("clone", "--quiet", tmp_path / "origin", "other", at=tmp_path)
    other = VersionsBranch(tmp_path / "other")
    other.pull()
    other.commit({"b": "2"}, {}, "Second")
    other.push()
    branch.pull()
    assert (branch.read("a"), branch.read("b")) == ("1", "2")


def test_branch_that_has_commits_of_its_own_is_not_overwritten(git, branch, tmp_path):
    git("init", "--quiet", "--bare", "origin", at=tmp_path)
    git("remote", "add", "origin", tmp_path / "origin")
    branch.commit({"a": "1"}, {}, "Pushed")
    branch.push()
    git("update-ref", "-d", f"refs/heads/{NAME}")
    branch.commit({"a": "2"}, {}, "Mine")
    with pytest.raises(subprocess.CalledProcessError):
        branch.pull()
    assert branch.read("a") == "2"
