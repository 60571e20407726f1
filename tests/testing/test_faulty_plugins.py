"""Each fault in a plugin is caught by the promise that it breaks, and the same plugin without it breaks none."""

import importlib
import itertools
import sys

import pytest

from rnnkit import register_kind
from rnnkit.testing import check_kind
from tests.helpers.faults import OF_BACKBONES, OF_CELLS, by_hand, scaffolded

_numbers = itertools.count()


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Registers the kind of a plugin whose text is given, until the test ends."""
    monkeypatch.syspath_prepend(tmp_path)
    kinds, modules = [], []

    def registered(text):
        module = f"faulty_plugin_{next(_numbers)}"  # a name of its own: no test sees another's module
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


@pytest.mark.parametrize("text", [scaffolded, by_hand], ids=["scaffold", "backbone"])
def test_a_plugin_without_a_fault_breaks_no_promise(plugin, text):
    report = check_kind(plugin(text()))
    assert not report.failed, str(report)


@pytest.mark.parametrize("fault", OF_CELLS, ids=lambda fault: fault.name)
def test_a_fault_of_a_cell_is_caught_by_its_promise(plugin, fault):
    assert_caught(plugin(fault.put_into(scaffolded())), fault)


@pytest.mark.parametrize("fault", OF_BACKBONES, ids=lambda fault: fault.name)
def test_a_fault_of_a_backbone_is_caught_by_its_promise(plugin, fault):
    assert_caught(plugin(fault.put_into(by_hand())), fault)


def test_a_gradient_that_is_missing_is_blamed_on_nothing_else(plugin):
    [fault] = [each for each in OF_CELLS if each.name == "forgets the gradient of a gate"]
    report = check_kind(plugin(fault.put_into(scaffolded())), only=["padding", "take_effect", "symmetric", "autocast"])
    assert not report.failed, str(report)


def assert_caught(kind, fault):
    [result] = check_kind(kind, only=[fault.check]).results
    assert result.outcome == "failed", result.reason
    assert result.reason


def test_there_are_more_than_twenty_ways_to_go_wrong_from_the_scaffold():
    assert len({fault.name for fault in OF_CELLS}) == len(OF_CELLS) > 20
