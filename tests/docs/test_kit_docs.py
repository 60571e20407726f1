"""The page about the conformance kit lists what it asks, in its own words."""

from itertools import groupby

from rnnkit.testing import all_checks
from tests.helpers.pages import ROOT

PAGE = ROOT / "docs/plugins/testing.md"


def as_tables(promises):
    """A table for each tier, as the page has it."""
    parts = []
    for tier, each in groupby(promises, key=lambda promise: promise.tier):
        rows = [f"| `{promise.name}` | {promise.text} |\n" for promise in each]
        parts.append(f"### {tier.capitalize()}\n\n| promise | what it says |\n|---|---|\n{''.join(rows)}")
    return "\n".join(parts)


def test_the_page_lists_every_promise_in_its_own_words():
    tables = as_tables(all_checks())
    assert tables in PAGE.read_text(encoding="utf-8"), f"{PAGE.name} should have:\n{tables}"
