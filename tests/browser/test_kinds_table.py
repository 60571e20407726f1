"""The table of kinds is filtered and sorted, with the keyboard alone, and says how many are left."""

import json
import re
from pathlib import Path

import pytest

from tests.browser.visit import WIDTHS, opened

STEP = Path(__file__).parents[2] / "docs/measured/step.json"
ROWS = ".rnnkit-kinds-table tbody tr"
KIND = "rows => rows.filter(row => row.checkVisibility()).map(row => row.cells[0].querySelector('code').textContent)"
NUMBERS = """([column, rows]) => [...document.querySelectorAll(rows)].filter(row => row.checkVisibility())
  .map(row => Number(row.cells[column].dataset.value))"""


@pytest.fixture(params=WIDTHS, ids=str)
def view(request):
    return request.param


@pytest.fixture
def table(tab, site):
    opened(tab, site.address("kinds/index.html"))
    return tab


def kinds(table):
    return table.locator(ROWS).evaluate_all(KIND)


def reported(table):
    return table.get_by_role("status").inner_text()


def tab_to(table, control):
    """Press Tab until a control has the focus."""
    handle = control.element_handle()
    for _ in range(200):
        table.keyboard.press("Tab")
        if handle.evaluate("control => control === document.activeElement"):
            return
    pytest.fail(f"Tab does not reach {control}")


def test_all_kinds_are_there(table, site):
    assert len(kinds(table)) > 7
    pages = {path.stem for path in (site.folder / "kinds").glob("*.html")} - {
        "gallery",
        "index",
        "spec_builder",
        "compare",
        "leaderboard",
        "speed",
    }
    assert set(kinds(table)) == pages
    assert reported(table) == f"{len(pages)} of {len(pages)} kinds"


def test_words_filter(table):
    every = kinds(table)
    tab_to(table, table.get_by_role("searchbox", name="Search"))
    table.keyboard.type("gru")
    assert {"gru", "gru_cell"} <= set(kinds(table)) < set(every)
    assert reported(table) == f"{len(kinds(table))} of {len(every)} kinds"


def test_search_without_results_is_reported_and_can_be_cleared(table):
    every = kinds(table)
    tab_to(table, table.get_by_role("searchbox", name="Search"))
    table.keyboard.type("xylophone")
    assert kinds(table) == []
    assert "No kind" in reported(table)
    tab_to(table, table.get_by_role("button", name="show all"))
    table.keyboard.press("Enter")
    assert kinds(table) == every
    assert table.get_by_role("searchbox", name="Search").input_value() == ""


def test_a_family_is_chosen(table):
    choice = table.get_by_role("combobox", name="Family")
    tab_to(table, choice)
    table.keyboard.type("simple")
    assert choice.input_value() == "simple"
    assert {"rnn", "rnn_cell"} <= set(kinds(table))
    assert not {"gru", "lstm_cell"} & set(kinds(table))


def test_boxes_filter_together(table):
    every = kinds(table)
    tab_to(table, table.get_by_role("checkbox", name="a size per layer"))
    table.keyboard.press("Space")
    sized = kinds(table)
    assert "lstm_cell" in sized
    assert "lstm" not in sized
    tab_to(table, table.get_by_role("checkbox", name="without a plugin"))
    table.keyboard.press("Space")
    assert kinds(table) == [kind for kind in sized if kind != "nbrc"]
    table.keyboard.press("Space")
    assert kinds(table) == sized != every


def test_columns_sort_both_ways(table):
    heading = table.get_by_role("columnheader", name="parameters")
    column = heading.evaluate("heading => heading.cellIndex")
    tab_to(table, heading.get_by_role("button"))
    table.keyboard.press("Enter")
    numbers = table.evaluate(NUMBERS, [column, ROWS])
    assert heading.get_attribute("aria-sort") == "ascending"
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 3
    table.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert table.evaluate(NUMBERS, [column, ROWS]) == sorted(numbers, reverse=True)


def test_times_of_one_step_are_those_measured(table):
    measured = {row["kind"]: row["microseconds"] for row in json.loads(STEP.read_text(encoding="utf-8"))["results"]}
    heading = table.get_by_role("columnheader", name=re.compile("^step"))
    shown = table.locator(ROWS).evaluate_all(
        "(rows, column) => rows.map(row => [row.cells[0].querySelector('code').textContent,"
        " Number(row.cells[column].dataset.value)])",
        heading.evaluate("heading => heading.cellIndex"),
    )
    assert len(measured) > 40
    assert {kind: value for kind, value in shown if value} == pytest.approx(measured)


def test_names_sort(table):
    heading = table.get_by_role("columnheader").first
    tab_to(table, heading.get_by_role("button"))
    table.keyboard.press("Enter")
    assert kinds(table) == sorted(kinds(table))


def test_a_kind_leads_to_its_page(table, site):
    tab_to(table, table.get_by_role("link", name="lstm_cell").last)
    with table.expect_navigation():
        table.keyboard.press("Enter")
    assert table.url == site.address("kinds/lstm_cell.html")
