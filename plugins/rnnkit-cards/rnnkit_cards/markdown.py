"""Markdown elements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """A table; `right` has the indices of right-aligned columns."""
    rule = ["---:" if column in right else "---" for column in range(len(headings))]
    return "\n".join(_row(cells) for cells in (headings, rule, *rows))


def code(text: str) -> str:
    """Inline code."""
    mark = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    return f"{mark}{space}{text}{space}{mark}"


def block(language: str, text: str) -> str:
    """A fenced block."""
    return f"```{language}\n{text.rstrip()}\n```"


def collapsed(summary: str, text: str) -> str:
    """Markdown that is shown when the reader clicks the summary."""
    return f'<details markdown="1">\n<summary>{escape(summary)}</summary>\n\n{text}\n\n</details>'


def side_by_side(*parts: str) -> str:
    """Markdown in columns where the page is wide enough."""
    return _div("\n\n".join(_div(part, "rnnkit-column") for part in parts), "rnnkit-columns")


def _div(text: str, css: str) -> str:
    return f'<div class="{css}" markdown="1">\n\n{text}\n\n</div>'


def figure(svg: str, caption: str) -> str:
    """A drawing with its caption, which is HTML."""
    return (
        f'<figure class="rnnkit-drawing">\n{_without_empty_lines(svg)}\n<figcaption>{caption}</figcaption>\n</figure>'
    )


def _without_empty_lines(svg: str) -> str:
    # Markdown ends a block of HTML at an empty line
    return "\n".join(line for line in svg.splitlines() if line.strip())


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())
