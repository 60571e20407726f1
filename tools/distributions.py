"""Check the files of built distributions: `python -m tools.distributions build/dist [--all-platforms]`.

Run by `make dist`, and by the release with `--all-platforms`. The folder has exactly the files of one version. A
source distribution has the files that git tracks, without what others have written. A wheel has the tracked files of
its packages with `py.typed`, the licence, the native library of its platform, and nothing else. Links in its
description are absolute, because it is shown elsewhere.
"""

from __future__ import annotations

import argparse
import re
import runpy
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tools.release import CORE, ROOT, versions

TARGETS = runpy.run_path(str(ROOT / "plugins/rnnkit-kernels/targets.py"))["TARGETS"]  # a script, not a package
PURE = "py3-none-any"
RELATIVE_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)]*)\)")


class Distribution(NamedTuple):
    """A distribution of this repository.

    Attributes:
        folder: has its pyproject.toml.
        packages: the folders of its packages.
        libraries: for each tag of its wheels, the native library in it.
        generated: the files that a build tool adds to the source distribution.
        of_others: folders that the source distribution leaves out, because they have other licences.
    """

    folder: str
    packages: tuple[str, ...]
    libraries: dict[str, str | None]
    generated: frozenset[str] = frozenset({"PKG-INFO"})
    of_others: tuple[str, ...] = ()


_LIBRARIES: dict[str, str | None] = {
    f"py3-none-{tag}": f"rnnkit_kernels/{target.library}" for tag, target in TARGETS.items()
}
_SETUPTOOLS = frozenset(
    f"rnnkit_kernels.egg-info/{name}"
    for name in ("PKG-INFO", "SOURCES.txt", "dependency_links.txt", "entry_points.txt", "requires.txt", "top_level.txt")
)
DISTRIBUTIONS = {
    "rnnkit": Distribution(
        ".",
        ("registry/rnnkit", "plugins/rnnkit_builtin"),
        {PURE: None},
        of_others=("docs/assets/vendor/", "tests/browser/vendor/"),
    ),
    "rnnkit_cards": Distribution(
        "plugins/rnnkit-cards", ("rnnkit_cards",), {PURE: None}, frozenset({"PKG-INFO", ".gitignore"})
    ),
    "rnnkit_kernels": Distribution(
        "plugins/rnnkit-kernels", ("rnnkit_kernels",), _LIBRARIES, frozenset({"PKG-INFO", "setup.cfg"}) | _SETUPTOOLS
    ),
}


def problems(folder: Path, version: str, *, all_platforms: bool = False) -> Iterator[str]:
    """Yield what is wrong with the distributions in a folder.

    Args:
        folder: has the files to upload, and nothing else.
        version: the version that all of them should have.
        all_platforms: whether wheels for all platforms should be there, or for at least one.
    """
    files = {path.name for path in folder.iterdir()}
    for name, distribution in DISTRIBUTIONS.items():
        source = f"{name}-{version}.tar.gz"
        wheels = {f"{name}-{version}-{tag}.whl": library for tag, library in distribution.libraries.items()}
        built = wheels.keys() & files
        missing = {source} - files | (wheels.keys() - files if all_platforms or not built else set())
        yield from (f"{each} is missing" for each in sorted(missing))
        if source in files:
            yield from _source_problems(folder / source, distribution)
        for wheel in sorted(built):
            yield from _wheel_problems(folder / wheel, distribution, wheels[wheel])
        files -= {source, *wheels}
    yield from (f"{each} is not a file of version {version}" for each in sorted(files))


def _source_problems(path: Path, distribution: Distribution) -> Iterator[str]:
    with tarfile.open(path) as archive:
        names = [PurePosixPath(member.name) for member in archive if member.isfile()]
    files = {str(PurePosixPath(*name.parts[1:])) for name in names}
    tracked = {name for name in _tracked(distribution.folder) if not name.startswith(distribution.of_others)}
    yield from _differences(path, files, tracked | distribution.generated)


def _wheel_problems(path: Path, distribution: Distribution, library: str | None) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        files = {name for name in archive.namelist() if not name.endswith("/")}
        metadata = next(name for name in files if name.endswith(".dist-info/METADATA"))
        description = archive.read(metadata).decode("utf-8")
    information = PurePosixPath(metadata).parent
    if f"{information}/licenses/LICENSE" not in files:
        yield f"{path.name} has no licence"
    wanted = {library} if library else set()
    for package in map(Path, distribution.packages):
        wanted |= {f"{package.name}/{each}" for each in _tracked(str(distribution.folder / package))}
        wanted.add(f"{package.name}/py.typed")
    yield from _differences(path, {name for name in files if not name.startswith(f"{information}/")}, wanted)
    for link in RELATIVE_LINK.findall(description):
        yield f"{path.name} has a relative link in its description: {link}"


def _tracked(folder: str) -> set[str]:
    """Return the files that git tracks in a folder of the repository, relative to it."""
    command = ["git", "-C", str(ROOT / folder), "ls-files", "-z"]
    return set(subprocess.check_output(command, text=True).split("\0")) - {""}


def _differences(path: Path, files: set[str], wanted: set[str]) -> Iterator[str]:
    yield from (f"{path.name} has a file too many: {each}" for each in sorted(files - wanted))
    yield from (f"{path.name} lacks a file: {each}" for each in sorted(wanted - files))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.distributions", description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--all-platforms", action="store_true", help="wheels for all platforms must be there")
    given = parser.parse_args()
    found = list(problems(given.folder, dict(versions())[CORE], all_platforms=given.all_platforms))
    if found:
        raise SystemExit("\n".join(found))
    print(f"{len(list(given.folder.iterdir()))} distributions are complete")


if __name__ == "__main__":
    main()
