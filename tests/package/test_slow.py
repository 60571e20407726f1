"""The list of slow tests names files that exist."""

import pytest

from rnnkit import list_kinds
from rnnkit.testing import all_checks
from tests.helpers.pages import ROOT
from tests.helpers.slow import NIGHTLY, SLOW, is_nightly, is_slow


@pytest.mark.parametrize("pattern", [*SLOW, *NIGHTLY])
def test_pattern_names_a_file_or_folder(pattern):
    path = ROOT / pattern.partition("::")[0]
    assert path.exists(), f"remove or correct {pattern!r} in tests/helpers/slow.py"


def test_slow_tests_are_selected_by_node_id():
    assert is_slow("tests/docs/test_docs.py::test_x")
    assert is_slow("tests/testing/test_conformance.py::test_x[lstm_cell-ddp_equals_single_process]")
    assert not is_slow("tests/testing/test_conformance.py::test_x[lstm_cell-loss_falls]")


def test_nightly_tests_are_selected_by_node_id_and_are_slow():
    assert is_nightly("tests/zoo/test_parity.py::test_x[xlstm_matrix-False]")
    assert not is_nightly("tests/zoo/test_parity.py::test_x[mingru-False]")
    patterns = [pattern for pattern in NIGHTLY if not pattern.startswith("tests/browser/")]  # never in `make test`
    assert [pattern for pattern in patterns if not is_slow(pattern.replace("[[]", "["))] == []


def test_patterns_of_conformance_tests_name_checks_or_kinds():
    """A renamed check or kind would otherwise no longer be left out."""
    names = {check.name for check in all_checks()} | {"enough_checks_pass"} | {f"[[]{kind}-" for kind in list_kinds()}
    patterns = [pattern for pattern in SLOW if "test_conformance.py::" in pattern]
    assert patterns
    assert [pattern for pattern in patterns if not any(name in pattern for name in names)] == []


def test_every_room_has_tests_that_are_not_slow():
    rooms = [path.name for path in (ROOT / "registry/rnnkit").iterdir() if (path / "__init__.py").is_file()]
    for room in rooms:
        files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / room).glob("test_*.py")]
        assert [file for file in files if not is_slow(file)], room
