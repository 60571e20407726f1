"""Writes the table of kinds and tools into `docs/tools/index.md` from `docs/measured/tools.json`.

`python -m docs.site.tools` writes the page, `--check` fails if it is not up to date. `--run` first runs the examples of
`docs.site.tool_examples` for every kind, with the tools in the environment of `make test-tools`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docs.site.tool_examples.example import Example

DOCS = Path(__file__).parents[1]
PAGE, OUTCOMES = DOCS / "tools/index.md", DOCS / "measured/tools.json"
HEADING = "## Kinds and tools\n"


def run_examples(texts: Sequence[str]) -> dict[str, Any]:
    """Run the examples with one of the texts in their titles, or all; return all rows, the date and the versions."""
    from docs.site.tool_examples.all_examples import EXAMPLES

    recorded = _recorded_rows() if texts else {}
    rows = [
        _run(example) if not texts or any(text in example.title for text in texts) else recorded[example.title]
        for example in EXAMPLES
    ]
    tools = sorted({"rnnkit", "torch", *(example.tool for example in EXAMPLES if example.tool)})
    date = datetime.now(UTC).date().isoformat()
    return {"date": date, "versions": {tool: version(tool) for tool in tools}, "rows": rows}


def _run(example: Example) -> dict[str, Any]:
    outcomes = example.outcomes()
    print(f"{example.title}: {sum(not error for error in outcomes.values())} of {len(outcomes)} kinds")
    described = {"title": example.title, "page": example.page, "lines": example.lines, "limit": example.limit}
    return {**described, "outcomes": outcomes}


def _recorded_rows() -> dict[str, dict[str, Any]]:
    return {row["title"]: row for row in json.loads(OUTCOMES.read_text(encoding="utf-8"))["rows"]}


def page_text(record: dict[str, Any], page: str) -> str:
    """Return the page with the table of a record, below its heading."""
    above, heading, _ = page.partition(HEADING)
    if not heading:
        raise ValueError(f"{PAGE} must have the heading {HEADING.strip()!r}")
    return "\n".join(
        [above + HEADING, *_introduction(record), "", *_table(record["rows"]), "", *_limits(record["rows"])]
    )


def _introduction(record: dict[str, Any]) -> Iterator[str]:
    versions = ", ".join(f"{tool} {each.partition('+')[0]}" for tool, each in record["versions"].items())
    yield "✓ works unchanged; +N works with N additional lines; ✗ does not work: the notes below give the reason and an"
    yield "alternative. An empty cell: not applicable. `nbrc` is the kind of"
    yield "[an example plugin](../plugins/example.md) and represents custom cells."
    yield ""
    yield f"Run on {record['date']} with {versions}."


def _kinds(rows: Iterable[dict[str, Any]]) -> list[str]:
    return sorted({kind for row in rows for kind in row["outcomes"]}, key=lambda kind: ("/" in kind, kind))


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    kinds = _kinds(rows)
    yield f"| example | {' | '.join(map(_short_name, kinds))} |"
    yield f"|---|{':-:|' * len(kinds)}"
    for row, note in zip(rows, _notes(rows), strict=True):
        cells = [_cell(row, kind, note) for kind in kinds]
        yield f"| [{row['title']}]({row['page']}.md) | {' | '.join(cells)} |"


def _short_name(kind: str) -> str:
    return f"`{kind.rpartition('/')[2]}`"


def _notes(rows: Iterable[dict[str, Any]]) -> list[int]:
    """Return the number of the note of each row, 0 without a limit; rows with the same limit share a note."""
    numbers = {"": 0}
    return [numbers.setdefault(row["limit"], len(numbers)) for row in rows]


def _cell(row: dict[str, Any], kind: str, note: int) -> str:
    if kind not in row["outcomes"]:
        return ""
    if row["outcomes"][kind]:
        return f"✗ <sup>{note}</sup>"
    return f"+{row['lines']}" if row["lines"] else "✓"


def _limits(rows: list[dict[str, Any]]) -> Iterator[str]:
    limits = dict(zip(_notes(rows), (row["limit"] for row in rows), strict=True))
    yield from (f"{number}. {limit}" for number, limit in limits.items() if number)
    yield ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.site.tools", description=str(__doc__).splitlines()[0])
    parser.add_argument("--run", nargs="*", metavar="TEXT", help="first run the examples with these texts, or all")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if the page is not up to date")
    arguments = parser.parse_args()
    if arguments.run is not None:
        record = json.dumps(run_examples(arguments.run), indent=1, ensure_ascii=False)
        OUTCOMES.write_text(record + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    text = page_text(json.loads(OUTCOMES.read_text(encoding="utf-8")), page)
    if arguments.check:
        return int(page != text)
    PAGE.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
