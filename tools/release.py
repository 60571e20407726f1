"""Check that a tag can be released: `python -m tools.release v0.2.0`.

The three distributions and the citation have the version of the tag, the changelog has a section for it, and the tests
have a plugin that is written for it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE = "registry/rnnkit/_version.py"
GOLDEN_PLUGINS = "tests/golden/plugins"
VERSION = r"[0-9]+\.[0-9]+\.[0-9]+((a|b|rc)[0-9]+)?"


def versions(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Yield each file that states a version, with the version."""
    yield CORE, _found(r'__version__ = "(.+)"', root / CORE)
    for plugin in ("rnnkit-cards", "rnnkit-kernels"):
        path = f"plugins/{plugin}/pyproject.toml"
        yield path, tomllib.loads((root / path).read_text("utf-8"))["project"]["version"]
    yield "CITATION.cff", _found(r"^version: (\S+)$", root / "CITATION.cff")
    yield "docs/cite.md", _found(r"^  version = \{(.+)\},$", root / "docs/cite.md")


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """Return why a tag, such as `v0.2.0`, cannot be released; empty if it can."""
    if not re.fullmatch("v" + VERSION, tag):
        return [f"the tag {tag!r} is not of the form v1.2.3 or v1.2.3rc1"]
    version = tag.removeprefix("v")
    found = [f"{path} has the version {each}, not {version}" for path, each in versions(root) if each != version]
    minor = "v" + ".".join(version.split(".")[:2])
    if not (root / GOLDEN_PLUGINS / minor).is_dir():
        found.append(f"{GOLDEN_PLUGINS} has no plugin {minor}, which later versions are tested with")
    return found + list(_changelog_problems((root / "CHANGELOG.md").read_text("utf-8"), version))


def _changelog_problems(changelog: str, version: str) -> Iterator[str]:
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL))
    titles = [title for title in sections if _is_dated(title, version)]
    if not titles:
        yield f"CHANGELOG.md has no section '## {version} (YYYY-MM-DD)'"
    yield from (f"CHANGELOG.md has no entries under {each!r}" for each in titles if not sections[each].strip())
    if sections.get("Unreleased", "").strip():
        yield "CHANGELOG.md has entries under 'Unreleased'"


def _is_dated(title: str, version: str) -> bool:
    """Return whether a title is a version with a day of the calendar."""
    match = re.fullmatch(rf"{re.escape(version)} \((\d{{4}}-\d\d-\d\d)\)", title)
    try:
        return match is not None and bool(date.fromisoformat(match.group(1)))
    except ValueError:
        return False


def _found(pattern: str, path: Path) -> str:
    match = re.search(pattern, path.read_text("utf-8"), re.MULTILINE)
    if match is None:
        raise ValueError(f"{path} has no version: expected {pattern}")
    return match.group(1)


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m tools.release TAG")
    found = problems(sys.argv[1])
    if found:
        raise SystemExit("\n".join(found))
    print(f"{sys.argv[1]} can be released")


if __name__ == "__main__":
    main()
