"""Cells and backbones with a fault each, planted to see that a check finds it."""

import pytest

from rnnkit import Cell, Kind, Options, cell_kind, register_kind
from rnnkit.testing import check_kind

FIELDS = {"name": "made", "summary": "Made for a test."}


def record_of(made, **fields):
    """The record of a kind of a cell, or of a backbone."""
    if isinstance(made, type) and issubclass(made, Cell):
        return cell_kind(made, **{**FIELDS, **fields})
    return Kind(builder=made, **{**FIELDS, "options": Options, **fields})


def report_of(record, *checks, **arguments):
    """The report of checks of a kind that is registered for them only."""
    with register_kind(record) as kind:
        return check_kind(kind.name, only=checks, **arguments)


def result_of(record, check, **arguments):
    """The result of one check."""
    return report_of(record, check, **arguments)[check]


def assert_fails(check, words, record, **arguments):
    """The check fails with a reason that contains these words."""
    result = result_of(record, check, **arguments)
    assert result.outcome == "failed", result.reason or result.figures
    assert words in " ".join(result.reason.split())


def assert_passes(record, checks, not_applicable=None):
    """No check fails; `not_applicable` are those that do not apply, None: any."""
    report = report_of(record, *checks)
    report.require()
    assert not_applicable is None or {each.check.name for each in report.not_applicable} == not_applicable


class Faults:
    """The faults of a test module: `planted` decorates each, `parameters` are the arguments of `assert_fails`.

    Args:
        fields: fields of every record.
    """

    def __init__(self, **fields):
        self.fields = fields
        self.parameters = []

    def planted(self, check_name, words, **fields):
        """The decorated cell, backbone or builder fails a check with a reason that contains these words."""

        def decorate(made):
            record, name = record_of(made, **{**self.fields, **fields}), f"{made.__name__}-{check_name}"
            self.parameters.append(pytest.param(check_name, words, record, id=name))
            return made

        return decorate

    @property
    def checks(self):
        return {each.values[0] for each in self.parameters}
