"""The lines of the values in TOML, which `tomllib` does not give."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping

from rnnkit.specs import Path, walk

# Comments and strings, in which brackets and line breaks have no meaning, then those that have one.
_TOKEN = re.compile(
    r"""\#[^\n]*
    | \"{3} (?:\\.|[^\\])*? \"{3,5}  # quotes may precede those that end the string
    | '{3} .*? '{3,5}
    | " (?:\\.|[^"\\])* "
    | ' [^']* '
    | [\[\]{}\n]""",
    re.DOTALL | re.VERBOSE,
)


def lines_of(text: str) -> Mapping[Path, int]:
    """Return the line of the first statement that sets each value or a part of it, in time linear in the text.

    Args:
        text: valid TOML.
    """
    found: dict[Path, int] = {}
    lengths: Counter[Path] = Counter()  # of the arrays of tables so far
    table: Path = ()
    for line, statement in _statements(text):
        paths = [path for path, _ in walk(tomllib.loads(statement))]
        if statement.lstrip().startswith("["):
            table = _table(paths[-1], lengths, in_array=statement.lstrip().startswith("[["))
            paths = [table[:length] for length in range(len(table) + 1)]
        else:
            paths = [(*table, *path) for path in paths]
        for path in paths:
            found.setdefault(path, line)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield each statement with its line; it ends at the first line break that is not in brackets."""
    line, start, depth = 1, 0, 0
    for token in _TOKEN.finditer(f"{text}\n"):
        depth += (token[0] in "[{") - (token[0] in "]}")
        if token[0] == "\n" and depth == 0:
            yield line, text[start : token.end()]
            line += text.count("\n", start, token.end())
            start = token.end()


def _table(header: Path, lengths: Counter[Path], *, in_array: bool) -> Path:
    """Return the path of a table, whose header means the last element of each array.

    Args:
        header: the path in the header; of a table in an array, with a position at its end.
        lengths: to which a table in an array is added.
        in_array: whether the table is one in an array.
    """
    *outer, last = header[:-1] if in_array else header
    table: Path = ()
    for key in outer:
        table = _last_element((*table, key), lengths)
    table = (*table, last)
    lengths[table] += in_array
    return _last_element(table, lengths)


def _last_element(path: Path, lengths: Counter[Path]) -> Path:
    return (*path, str(lengths[path] - 1)) if lengths[path] else path
