"""The table of kinds and tools shows the recorded outcomes, for every kind."""

import json
import re

import pytest
from packaging.utils import canonicalize_name

from docs.site import tools
from tests.helpers.kinds import CORE
from tests.helpers.pages import DOCS, ROOT

RERUN = "run .venv-tools/bin/python -m docs.site.tools --run"
RECORD = json.loads(tools.OUTCOMES.read_text("utf-8"))
ROWS = {row["title"]: row for row in RECORD["rows"]}


def test_page_is_up_to_date():
    page = tools.PAGE.read_text("utf-8")
    assert page == tools.page_text(RECORD, page), "run python -m docs.site.tools"


def test_every_kind_of_the_core_has_a_column():
    kinds = {kind for row in ROWS.values() for kind in row["outcomes"]}
    assert set(CORE) <= kinds, RERUN


def test_outcomes_are_of_the_tested_versions():
    pinned = dict(re.findall(r"^([\w-]+)==([^;\s]+)", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE))
    recorded = {tool: version.partition("+")[0] for tool, version in RECORD["versions"].items() if tool != "rnnkit"}
    assert recorded == {tool: pinned[canonicalize_name(tool)] for tool in recorded}, RERUN


@pytest.mark.parametrize("title", ROWS)
def test_row_is_of_an_example(title):
    # as text, since the tools that the examples import are not installed here
    sources = "".join(path.read_text("utf-8") for path in (DOCS / "site/tool_examples").glob("*.py"))
    assert f'"{title}"' in sources, RERUN


@pytest.mark.parametrize("title", ROWS)
def test_row_links_to_a_page_and_explains_its_failures(title):
    row = ROWS[title]
    assert (DOCS / f"tools/{row['page']}.md").is_file()
    assert bool(row["limit"]) == any(row["outcomes"].values())


ROW = {"page": "hub", "lines": 0, "limit": ""}


def table_of(*rows):
    """Return the lines of the page of a record, below its versions."""
    record = {"date": "2026-01-02", "versions": {"torch": "2.13.0+cpu"}, "rows": rows}
    text = tools.page_text(record, f"above\n{tools.HEADING}old\n")
    assert text.startswith(f"above\n{tools.HEADING}")
    assert "Run on 2026-01-02 with torch 2.13.0." in text
    assert "old" not in text
    return [line for line in text.partition("2.13.0.")[2].splitlines() if line]


def test_cells_show_the_outcomes():
    rows = [
        ROW | {"title": "A", "outcomes": {"gru": "", "p/nbrc": ""}},
        ROW | {"title": "B", "lines": 4, "outcomes": {"gru": "", "p/nbrc": "TypeError: x"}, "limit": "Use A."},
        ROW | {"title": "C", "outcomes": {"p/nbrc": "TypeError: y"}, "limit": "Use A."},
        ROW | {"title": "D", "outcomes": {"gru": "TypeError: z"}, "limit": "Use B."},
    ]
    assert table_of(*rows) == [
        "| example | `gru` | `nbrc` |",
        "|---|:-:|:-:|",
        "| [A](hub.md) | ✓ | ✓ |",
        "| [B](hub.md) | +4 | ✗ <sup>1</sup> |",
        "| [C](hub.md) |  | ✗ <sup>1</sup> |",
        "| [D](hub.md) | ✗ <sup>2</sup> |  |",
        "1. Use A.",
        "2. Use B.",
    ]


def test_page_without_the_heading_is_refused():
    with pytest.raises(ValueError, match="must have the heading '## Kinds and tools'"):
        tools.page_text(RECORD, "# Tools\n")
