"""Pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """A table; the columns of `right`, by their places, are set flush right, as numbers are."""
    rule = ["---:" if place in right else "---" for place in range(len(heads))]
    return "\n".join(_row(cells) for cells in (heads, rule, *rows))


def code(text: str) -> str:
    """A text as code, inside a table too."""
    mark = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    return f"{mark}{space}{text}{space}{mark}"


def block(language: str, text: str) -> str:
    """Lines of code, or of what it prints."""
    return f"```{language}\n{text.rstrip()}\n```"


def collapsed(summary: str, text: str) -> str:
    """Markdown that is shown when its summary is clicked."""
    return f'<details markdown="1">\n<summary>{escape(summary)}</summary>\n\n{text}\n\n</details>'


def figure(svg: str, caption: str) -> str:
    """A drawing with its caption, which is HTML."""
    return f'<figure class="rnnkit-drawing">\n{_whole(svg)}\n<figcaption>{caption}</figcaption>\n</figure>'


def _whole(svg: str) -> str:
    """Without empty lines, at which Markdown would take it for ended."""
    return "\n".join(line for line in svg.splitlines() if line.strip())


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())
