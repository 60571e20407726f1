"""Cells and backbones with a fault each, planted to see that a check finds it."""

import pytest

from rnnkit import Cell, Kind, Options, cell_kind, register_kind
from rnnkit.testing import check_kind


def record_of(made, **fields):
    """The record of a kind of a cell, or of a backbone."""
    if not isinstance(made, type) or not issubclass(made, Cell):
        return Kind(**{"name": "made", "builder": made, "summary": "Made for a test.", "options": Options, **fields})
    return cell_kind(made, name="made", summary="Made for a test.", **fields)


def result_of(record, check, **arguments):
    """The result of one check of a kind that is registered for the check only."""
    with register_kind(record) as kind:
        return check_kind(kind.name, only=[check], **arguments)[check]


class Faults:
    """The faults of a test module: `planted` decorates each, `parameters` are the arguments of its test."""

    def __init__(self):
        self.parameters = []

    def planted(self, check_name, words, **fields):
        """The decorated cell or backbone fails a check with a reason that contains these words."""

        def decorate(made):
            name = f"{made.__name__}-{check_name}"
            self.parameters.append(pytest.param(check_name, words, record_of(made, **fields), id=name))
            return made

        return decorate

    @property
    def checks(self):
        return {each.values[0] for each in self.parameters}


def assert_fails(check, words, record):
    result = result_of(record, check)
    assert result.outcome == "failed", result.reason or result.figures
    assert words in " ".join(result.reason.split())
