"""The hidden size that gives a kind its number of parameters."""

import pytest

from rnnkit import RecurrentSpec, build_model
from rnnkit.compare import tasks
from rnnkit.compare.sizing import spec_for
from rnnkit.errors import CompareError

TASK = tasks.adding(length=8)


def count(spec):
    return sum(each.numel() for each in build_model(RecurrentSpec.from_dict(spec)).state_dict().values())


@pytest.mark.parametrize("name", ["gru", "lstm_cell", "rnn", "mingru", "lru", "esn"])
@pytest.mark.parametrize("wanted", [300, 5000])
def test_no_other_hidden_size_is_closer(name, wanted):
    spec = spec_for(TASK, {"kind": name, "num_layers": 2}, parameters=wanted)
    size = spec["hidden_size"]
    best = abs(count(spec) - wanted)
    for other in {max(1, size - 1), size + 1} - {size}:
        assert abs(count({**spec, "hidden_size": other}) - wanted) >= best


def test_sizes_that_do_not_build_are_skipped():
    spec = spec_for(TASK, {"kind": "gla", "options": {"heads": 4}}, parameters=5000)
    assert spec["hidden_size"] % 4 == 0
    assert abs(count(spec) - 5000) < 1500


def test_sizes_that_never_build_are_an_error():
    fields = {"kind": "gla", "options": {"heads": 12}}
    with pytest.raises(CompareError, match=r"No hidden size from 1 to 8 builds kind 'gla'"):
        spec_for(TASK, fields, parameters=5000)


def test_the_task_and_the_spec_set_different_fields():
    with pytest.raises(CompareError, match="The task 'adding' sets input_size: leave it out"):
        spec_for(TASK, {"kind": "gru", "input_size": 3}, parameters=None)


def test_without_a_number_of_parameters_the_fields_count():
    spec = spec_for(TASK, {"kind": "gru", "hidden_size": 7}, parameters=None)
    assert (spec["hidden_size"], spec["input_size"], spec["output_size"]) == (7, 2, 1)
