"""Messages that list names end after twenty."""

import re

import pytest

from rnnkit._messages import join_names, join_quoted
from rnnkit.catalog.discovery import READOUTS, Candidate
from rnnkit.catalog.resolution import Provider, unknown

NAMES = [f"n{index}" for index in range(1022)]


@pytest.mark.parametrize(
    ("count", "end"), [(0, ""), (1, "n0"), (20, "n18, n19"), (21, "n19 and 1 more"), (1022, "n19 and 1,002 more")]
)
def test_names_end_after_twenty(count, end):
    assert join_names(iter(NAMES[:count])).endswith(end)
    assert len(re.findall(r"n\d+", join_names(NAMES[:count]))) == min(count, 20)


def test_quoted_names_end_after_twenty():
    assert join_quoted(NAMES[:3]) == "'n0', 'n1' and 'n2'"
    assert join_quoted(NAMES[:20]).endswith("'n18' and 'n19'")
    assert join_quoted(NAMES[:25]).endswith("'n18', 'n19' and 5 more")


def test_the_installed_readouts_end_after_twenty():
    everything = [
        Provider(Candidate(name, "rnnkit", "module", category=READOUTS), "not loaded") for name in sorted(NAMES)
    ]
    assert "n1014 and 1,002 more." in unknown("mine", everything, [], READOUTS).reason
