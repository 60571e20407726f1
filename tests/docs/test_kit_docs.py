"""The page about the conformance kit lists all checks with their texts."""

from itertools import groupby

from rnnkit.testing import all_checks
from tests.helpers.pages import ROOT

PAGE = ROOT / "docs/plugins/testing.md"


def as_tables(checks):
    """A table for each tier, as on the page."""
    parts = []
    for tier, each in groupby(checks, key=lambda check: check.tier):
        rows = [f"| `{check.name}` | {check.text} |\n" for check in each]
        parts.append(f"### {tier.capitalize()}\n\n| check | what it verifies |\n|---|---|\n{''.join(rows)}")
    return "\n".join(parts)


def test_page_lists_every_check():
    tables = as_tables(all_checks())
    assert tables in PAGE.read_text(encoding="utf-8"), f"{PAGE.name} should have:\n{tables}"
