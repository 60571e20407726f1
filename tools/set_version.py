"""Set the version of the three distributions: `python -m tools.set_version 0.2.0`.

It is written to the files that state it and to the pages and tests that show output with it. Measurements keep theirs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.release import CORE, ROOT, VERSION, versions

SHOWN = ("docs/how_to/*.md", "docs/plugins/*.md", "docs/reference/*.md", "docs/tutorials/*.md")
TERMINAL_OUTPUT = "tests/cli/terminal_output/*.txt"


def set_version(new: str, root: Path = ROOT) -> None:
    """Replace the version of a clone.

    Raises:
        ValueError: the version is not of the form 1.2.3 or 1.2.3rc1.
    """
    if not re.fullmatch(VERSION, new):
        raise ValueError(f"the version {new!r} is not of the form 1.2.3 or 1.2.3rc1")
    stated = dict(versions(root))
    old = re.escape(stated[CORE])
    for path, each in stated.items():
        _replace(root / path, rf'^(\s*(?:__version__|version)(?: = |: )["{{]?){re.escape(each)}\b', new)
    for page in _pages(root):
        _replace(page, rf"(\brnnkit(?:-cards|-kernels)?(?:==| +)|^  version: |^lstm +blocked +){old}\b", new)


def _pages(root: Path) -> Iterator[Path]:
    for pattern in (*SHOWN, TERMINAL_OUTPUT):
        yield from sorted(root.glob(pattern))


def _replace(path: Path, pattern: str, new: str) -> None:
    text = path.read_text("utf-8")
    path.write_text(re.sub(pattern, rf"\g<1>{new}", text, flags=re.MULTILINE), "utf-8", newline="\n")


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m tools.set_version VERSION")
    try:
        set_version(sys.argv[1])
    except ValueError as error:
        raise SystemExit(str(error)) from None
    print(f"The version is {sys.argv[1]}. Run `rm .venv/ready`, and review the difference.")


if __name__ == "__main__":
    main()
