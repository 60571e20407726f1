"""Check that a tag can be released: `python -m tools.release v0.2.0`.

The three distributions have the version of the tag, the citation as well, and the changelog has a section for it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
_CORE = "registry/rnnkit/_version.py"


def versions(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Yield each file that states a version, with the version."""
    yield _CORE, _found(r'__version__ = "(.+)"', root / _CORE)
    for plugin in ("rnnkit-cards", "rnnkit-kernels"):
        path = f"plugins/{plugin}/pyproject.toml"
        yield path, tomllib.loads((root / path).read_text("utf-8"))["project"]["version"]
    yield "CITATION.cff", _found(r"^version: (\S+)$", root / "CITATION.cff")


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """Return why a tag, such as `v0.2.0`, cannot be released; empty if it can."""
    if not re.fullmatch(r"v\d+\.\d+\.\d+((a|b|rc)\d+)?", tag):
        return [f"the tag {tag!r} is not of the form v1.2.3 or v1.2.3rc1"]
    version = tag.removeprefix("v")
    found = [f"{path} has the version {each}, not {version}" for path, each in versions(root) if each != version]
    changelog = (root / "CHANGELOG.md").read_text("utf-8")
    if not re.search(rf"^## {re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", changelog, re.MULTILINE):
        found.append(f"CHANGELOG.md has no section '## {version} (YYYY-MM-DD)'")
    unreleased = re.search(r"^## Unreleased\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if unreleased and unreleased.group(1).strip():
        found.append("CHANGELOG.md has entries under 'Unreleased'")
    return found


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
