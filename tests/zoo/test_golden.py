"""Cells compute what independent code computed once: `tests/golden/cells/README.md`."""

import json

import pytest

from tests.helpers.kinds import ZOO
from tests.helpers.zoo import GOLDEN, assert_equals_golden

FILES = sorted(GOLDEN.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_cell_equals_its_golden_values(path):
    assert_equals_golden(path)


@pytest.mark.parametrize("name", ZOO)
def test_every_kind_has_golden_values(name):
    computed_by = json.loads((GOLDEN / f"{name}.json").read_text())["provenance"]["computed_by"]
    assert computed_by
    assert "rnnkit" not in computed_by
