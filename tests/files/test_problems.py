"""Lists of problems in messages have an end."""

import pytest

from rnnkit.files._problems import listing


@pytest.mark.parametrize("count", [0, 1, 20])
def test_few_problems_are_listed(count):
    assert listing(map(str, range(count))).split() == [str(number) for number in range(count)]


@pytest.mark.parametrize("count", [21, 5_000])
def test_many_problems_end_after_twenty(count):
    *shown, left = listing(f"problem {number}" for number in range(count)).splitlines()[1:]
    assert [each.strip() for each in shown] == [f"problem {number}" for number in range(20)]
    assert left.strip() == f"and {count - 20:,} more"
