"""Each fault in a plugin fails its check, and the same plugin without the fault passes these checks."""

import importlib
import itertools
import sys

import pytest

from rnnkit import register_kind
from rnnkit.testing import check_kind
from tests.helpers.faults import BACKBONE_FAULTS, CELL_FAULTS, backbone_plugin, cell_plugin

_numbers = itertools.count()


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Registers the kind of a plugin, given its source, until the test ends."""
    monkeypatch.syspath_prepend(tmp_path)
    kinds, modules = [], []

    def registered(text):
        module = f"faulty_plugin_{next(_numbers)}"  # unique: no test sees the module of another
        (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
        modules.append(module)
        records = []
        importlib.import_module(module).register_kinds(records.append)
        kinds.append(register_kind(records[0]))
        return kinds[-1].name

    yield registered
    for kind in kinds:
        kind.remove()
    for module in modules:
        del sys.modules[module]


@pytest.mark.parametrize(
    ("text", "faults"),
    [(cell_plugin, CELL_FAULTS), (backbone_plugin, BACKBONE_FAULTS)],
    ids=["scaffold", "backbone"],
)
def test_the_plugin_without_a_fault_passes_the_same_checks(plugin, text, faults):
    report = check_kind(plugin(text()), only={fault.check for fault in faults})
    assert not report.failed, str(report)


@pytest.mark.parametrize("fault", CELL_FAULTS, ids=lambda fault: fault.name)
def test_a_fault_of_a_cell_fails_its_check(plugin, fault):
    assert_check_fails(plugin(fault.apply(cell_plugin())), fault)


@pytest.mark.parametrize("fault", BACKBONE_FAULTS, ids=lambda fault: fault.name)
def test_a_fault_of_a_backbone_fails_its_check(plugin, fault):
    assert_check_fails(plugin(fault.apply(backbone_plugin())), fault)


def test_a_missing_gradient_does_not_fail_other_checks(plugin):
    [fault] = [each for each in CELL_FAULTS if each.name == "detaches a gate"]
    report = check_kind(plugin(fault.apply(cell_plugin())), only=["padding", "take_effect", "symmetric", "autocast"])
    assert not report.failed, str(report)


def assert_check_fails(kind, fault):
    [result] = check_kind(kind, only=[fault.check]).results
    assert result.outcome == "failed", result.reason
    assert result.reason


def test_there_are_more_than_twenty_faults():
    assert len({fault.name for fault in CELL_FAULTS}) == len(CELL_FAULTS) > 20
