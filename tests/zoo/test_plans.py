"""Executors run the kinds that take one step after another by their plans."""

import pytest

from rnnkit import get_kind
from rnnkit.plan import Plan, plan_for
from tests.helpers.kinds import ZOO
from tests.helpers.zoo import cell_of

GATED = [name for name in ZOO if get_kind(name).family == "gated"]


@pytest.mark.parametrize("name", GATED)
def test_every_gated_kind_has_a_plan(name):
    assert isinstance(plan := plan_for(cell_of(name)), Plan), plan
