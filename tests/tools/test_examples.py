"""Each example of the table of kinds and tools has the outcomes that the table shows."""

import json

import pytest

from docs.site.tool_examples.all_examples import EXAMPLES
from docs.site.tools import OUTCOMES

RECORDED = {row["title"]: row for row in json.loads(OUTCOMES.read_text("utf-8"))["rows"]}
UPDATE = "if that is right: .venv-tools/bin/python -m docs.site.tools --run"


def works(outcomes):
    return {kind: not error for kind, error in outcomes.items()}


def test_table_has_every_example():
    assert list(RECORDED) == [example.title for example in EXAMPLES], UPDATE


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_outcomes_are_those_of_the_table(example):
    outcomes = example.outcomes()
    assert works(outcomes) == works(RECORDED[example.title]["outcomes"]), f"{outcomes}\n{UPDATE}"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_row_with_a_failure_has_a_note(example):
    row = RECORDED[example.title]
    assert row["limit"] == example.limit, UPDATE
    assert bool(example.limit) == any(row["outcomes"].values())
    assert row["lines"] == example.lines, UPDATE
