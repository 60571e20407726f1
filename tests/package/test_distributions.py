"""Distributions are released only with the files that git tracks, and complete."""

import io
import re
import subprocess
import tarfile
import zipfile
from pathlib import PurePosixPath

import pytest

from tools import distributions
from tools.distributions import DISTRIBUTIONS, problems

VERSION = "0.9.0"
FILES = {"__init__.py", "py.typed"}
KERNELS = f"rnnkit_kernels-{VERSION}-py3-none-manylinux_2_17_x86_64.whl"
OF_OTHERS = "docs/assets/vendor/katex.min.js"
LIBRARY = "rnnkit_kernels/librnnkit_kernels.so"


def wheel(path, *, without=(), **extra):
    """Write a wheel with the files that it should have, or with others."""
    name, _, tag = path.name.removesuffix(".whl").split("-", 2)
    distribution = DISTRIBUTIONS[name]
    packages = [package.rpartition("/")[2] for package in distribution.packages]
    files = {f"{package}/{each}": "" for package in packages for each in FILES}
    files |= {f"{name}-{VERSION}.dist-info/{each}": "" for each in ("METADATA", "RECORD", "licenses/LICENSE")}
    files |= dict.fromkeys(filter(None, [distribution.libraries[tag]]), "")
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in (files | extra).items():
            if file not in without:
                archive.writestr(file, text)


def source(path, *, without=(), extra=()):
    """Write a source distribution with the files that it should have, or with others."""
    root, name = path.name.removesuffix(".tar.gz"), path.name.partition("-")[0]
    with tarfile.open(path, "w:gz") as archive:
        for file in (FILES | DISTRIBUTIONS[name].generated | set(extra)) - set(without):
            archive.addfile(tarfile.TarInfo(f"{root}/{file}"), io.BytesIO())


@pytest.fixture
def dist(tmp_path, monkeypatch):
    """All files of a version, in a folder."""
    monkeypatch.setattr(distributions, "_tracked", lambda folder: FILES | ({OF_OTHERS} if folder == "." else set()))
    for name, distribution in DISTRIBUTIONS.items():
        source(tmp_path / f"{name}-{VERSION}.tar.gz")
        for tag in distribution.libraries:
            wheel(tmp_path / f"{name}-{VERSION}-{tag}.whl")
    return tmp_path


def found(dist, **options):
    return list(problems(dist, VERSION, **options))


def test_a_complete_version_has_no_problems(dist):
    assert len(list(dist.iterdir())) == 3 + 2 + 6
    assert found(dist, all_platforms=True) == []


def test_a_version_for_one_platform(dist):
    others = sorted(path.name for path in dist.glob("rnnkit_kernels-*.whl") if path.name != KERNELS)
    for other in others:
        (dist / other).unlink()
    assert found(dist) == []
    assert found(dist, all_platforms=True) == [f"{other} is missing" for other in others]


@pytest.mark.parametrize("name", [f"rnnkit-{VERSION}.tar.gz", f"rnnkit_cards-{VERSION}-py3-none-any.whl"])
def test_a_missing_file(dist, name):
    (dist / name).unlink()
    assert found(dist) == [f"{name} is missing"]


@pytest.mark.parametrize("name", ["rnnkit-0.8.0.tar.gz", "rnnkit_kernels-0.9.0-py3-none-linux_x86_64.whl", "note.txt"])
def test_a_file_that_does_not_belong_to_the_version(dist, name):
    (dist / name).touch()
    assert found(dist) == [f"{name} is not a file of version {VERSION}"]


@pytest.mark.parametrize("extra", ["rnnkit_builtin/scratch.py", "tests/__init__.py", "rnnkit.pth"])
def test_a_wheel_with_a_file_too_many(dist, extra):
    path = dist / f"rnnkit-{VERSION}-py3-none-any.whl"
    wheel(path, **{extra: ""})
    assert found(dist) == [f"{path.name} has a file too many: {extra}"]


@pytest.mark.parametrize("lost", ["rnnkit_kernels/__init__.py", "rnnkit_kernels/py.typed", LIBRARY])
def test_a_wheel_that_lacks_a_file(dist, lost):
    wheel(dist / KERNELS, without=[lost])
    assert found(dist) == [f"{KERNELS} lacks a file: {lost}"]


def test_a_wheel_without_a_licence(dist):
    wheel(dist / KERNELS, without=[f"rnnkit_kernels-{VERSION}.dist-info/licenses/LICENSE"])
    assert found(dist) == [f"{KERNELS} has no licence"]


def test_a_description_with_a_relative_link(dist):
    text = "[Docs](docs/index.md) ![A drawing](a.svg) [Site](https://example.org) [Below](#below)"
    wheel(dist / KERNELS, **{f"rnnkit_kernels-{VERSION}.dist-info/METADATA": text})
    described = f"{KERNELS} has a relative link in its description: "
    assert found(dist) == [described + "docs/index.md", described + "a.svg"]


def test_a_source_distribution_with_other_files(dist):
    path = dist / f"rnnkit_cards-{VERSION}.tar.gz"
    source(path, without=["py.typed"], extra=["notes.txt"])
    assert found(dist) == [f"{path.name} has a file too many: notes.txt", f"{path.name} lacks a file: py.typed"]


def test_a_source_distribution_with_files_of_others(dist):
    path = dist / f"rnnkit-{VERSION}.tar.gz"
    source(path, extra=[OF_OTHERS])
    assert found(dist) == [f"{path.name} has a file too many: {OF_OTHERS}"]


def test_no_other_licence_is_in_a_source_distribution():
    tracked = distributions._tracked(".")
    licences = {name for name in tracked if re.fullmatch(r"(LICEN[CS]E|COPYING|NOTICE).*", PurePosixPath(name).name)}
    ours = {str(PurePosixPath(each.folder, "LICENSE")) for each in DISTRIBUTIONS.values()}
    of_others = DISTRIBUTIONS["rnnkit"].of_others
    assert ours < licences
    assert {name for name in licences - ours if not name.startswith(of_others)} == set()


def test_tracked_files_are_those_of_git(tmp_path, monkeypatch):
    monkeypatch.setattr(distributions, "ROOT", tmp_path)
    folder = tmp_path / "package"
    folder.mkdir()
    for name in ("kept.py", "ä b.py", "scratch.py"):
        (folder / name).touch()
    subprocess.run(["git", "init", "-q", tmp_path], check=True)  # noqa: S607  # the git on the PATH
    subprocess.run(["git", "-C", folder, "add", "kept.py", "ä b.py"], check=True)  # noqa: S607  # the same git
    assert distributions._tracked("package") == {"kept.py", "ä b.py"}
