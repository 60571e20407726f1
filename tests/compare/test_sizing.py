"""The hidden size that gives a kind its number of parameters."""

import pytest

from rnnkit import RecurrentSpec, StackOptions, build_model, cell_kind, register_kind
from rnnkit.compare import tasks
from rnnkit.compare.sizing import size_warning, spec_for
from rnnkit.errors import CompareError
from tests.helpers.cells import SimpleCell

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


@pytest.mark.parametrize(
    ("fields", "wanted", "size"),
    [
        ({"kind": "gru", "num_layers": 3}, 10, 1),
        ({"kind": "bounded"}, 1_000_000, 100),
        ({"kind": "gla", "options": {"heads": 8}}, 100, 8),
        ({"kind": "gru"}, 5000, None),
        ({"kind": "bounded"}, 10_401, None),
    ],
)
def test_a_number_that_cannot_be_reached_is_reported(fields, wanted, size):
    class Bounded(SimpleCell):
        def __init__(self, input_size, hidden_size, **settings):
            if hidden_size > 100:
                raise ValueError("at most 100")
            super().__init__(input_size, hidden_size, **settings)

    with register_kind(cell_kind(Bounded, name="bounded", summary="A test.", options=StackOptions)):
        spec = spec_for(TASK, fields, parameters=wanted)
        warning, reached = size_warning(spec, wanted), count(spec)
    if size is None:
        assert warning == ""
        assert abs(reached - wanted) < 0.2 * wanted
    else:
        assert warning == f"{reached:,} parameters instead of {wanted:,}: no hidden size comes closer"
        assert spec["hidden_size"] == size


def test_a_hidden_size_that_cannot_be_built_is_an_error_before_any_run():
    fields = {"kind": "gla", "hidden_size": 7, "options": {"heads": 4}}
    with pytest.raises(CompareError, match=r"The kind 'gla' cannot be built for task 'adding': [^$]*heads=4 does not"):
        spec_for(TASK, fields, parameters=None)


def test_the_task_and_the_spec_set_different_fields():
    with pytest.raises(CompareError, match="The task 'adding' sets input_size: leave it out"):
        spec_for(TASK, {"kind": "gru", "input_size": 3}, parameters=None)


def test_without_a_number_of_parameters_the_fields_count():
    spec = spec_for(TASK, {"kind": "gru", "hidden_size": 7}, parameters=None)
    assert (spec["hidden_size"], spec["input_size"], spec["output_size"]) == (7, 2, 1)
