"""Finds words and forms that rnnkit does not use: `python -m tools.language`.

The terms, their replacements and the exemptions are in `language.toml`. The status is 1 if there is a finding, or an
exemption that covers nothing.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TERMS = Path(__file__).with_name("language.toml")
# A space in a pattern: also a line break with the sign of a comment, or the seam of two string literals.
GAP = r"""(?:[\s#>"']|(?<=[\s"'])f(?=["']))+"""


@dataclass(frozen=True)
class Term:
    """A pattern that rnnkit does not use, and its replacement."""

    pattern: str
    instead: str

    @cached_property
    def expression(self) -> re.Pattern[str]:
        return re.compile(self.pattern.replace(" ", GAP), re.IGNORECASE)


class Finding(NamedTuple):
    """A use of a term."""

    path: Path
    number: int
    line: str
    found: str
    term: Term

    def __str__(self) -> str:
        return f"{self.number}: {' '.join(self.found.split())!r}: use {self.term.instead}"


@dataclass(frozen=True)
class Exemption:
    """Files, or lines of them, that may use a term, or any.

    Attributes:
        files: a glob.
        reason: why a replacement would be wrong there.
        term: the pattern of one term; empty: all terms.
        text: part of the lines; empty: all lines.
    """

    files: str
    reason: str
    term: str = ""
    text: str = ""

    def covers(self, finding: Finding, root: Path) -> bool:
        fits = self.term in {"", finding.term.pattern} and self.text in finding.line
        return fits and finding.path in _matching(root, self.files)


@cache
def _matching(root: Path, glob: str) -> frozenset[Path]:
    return frozenset(path for path in root.glob(glob) if path.is_file())


def problems(root: Path = ROOT, terms: Path = TERMS) -> Iterator[str]:
    """Yield a line for each use of a term that is not exempt, and for each exemption that covers nothing."""
    content = tomllib.loads(terms.read_text(encoding="utf-8"))
    banned = [Term(**each) for each in content["terms"]]
    exemptions = [Exemption(**each) for each in content["exemptions"]]
    needed = set()
    for path in sorted(set().union(*(_matching(root, glob) for glob in content["files"]))):
        for finding in _findings(path, banned):
            covering = [each for each in exemptions if each.covers(finding, root)]
            needed.update(covering)
            if not covering:
                yield f"{path.relative_to(root)}:{finding}"
    for each in exemptions:
        if each not in needed:
            yield f"{terms.name}: the exemption of {each.files!r} ({each.reason}) covers nothing: remove it"


def _findings(path: Path, terms: Sequence[Term]) -> Iterator[Finding]:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for term in terms:
        for match in term.expression.finditer(text.replace("_", " ")):  # names are words too
            number = text.count("\n", 0, match.start()) + 1
            yield Finding(path, number, lines[number - 1], match[0], term)


def main() -> int:
    """Print all problems; return the exit status."""
    found = list(problems())
    print("\n".join(found) or "The language linter found nothing")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
