"""Options that float32 would turn into infinity or zero are refused, and all others give a finite model."""

from contextlib import suppress

import pytest
import torch
from pydantic import ValidationError

from rnnkit import RecurrentSpec, build_model, get_kind, list_kinds
from rnnkit.introspection import schema_of

SMALLEST, LARGEST = torch.finfo(torch.float32).tiny, torch.finfo(torch.float32).max


def spec_of(kind_name, **options):
    return RecurrentSpec(kind=kind_name, input_size=4, hidden_size=4, readout="all", options=options)


def number_fields():
    """Yield each kind with each of its options that may be a number, if it supports the option."""
    for kind in list_kinds():
        for name, schema in schema_of(get_kind(kind).options)["properties"].items():
            if any(branch.get("type") == "number" for branch in (schema, *schema.get("anyOf", []))):
                with suppress(ValidationError):
                    spec_of(kind, **{name: schema.get("minimum", 0.0) or 0.5})
                    yield kind, name


FIELDS = list(number_fields())
each_field = pytest.mark.parametrize(("kind_name", "field"), FIELDS)


def test_the_options_of_many_kinds_are_found():
    assert {("s5", "step_scale"), ("rglru", "c"), ("unicornn", "dt"), ("lstm", "forget_bias")} <= set(FIELDS)


@each_field
def test_numbers_out_of_the_range_of_float32_are_refused(kind_name, field):
    for value in (1e39, -1e39, 1e-40, -1e-40, 5e-324):
        with pytest.raises(ValidationError, match=f"options.{field}"):
            spec_of(kind_name, **{field: value})


@each_field
def test_the_largest_and_smallest_numbers_give_a_finite_start(kind_name, field):
    specs = []
    for value in (SMALLEST, 1e-30, 1e10, 1e30, LARGEST, -1e10, -LARGEST):
        with suppress(ValidationError):
            specs.append(spec_of(kind_name, **{field: value}))
    assert specs
    for spec in specs:
        weights = build_model(spec, dtype=torch.float32).state_dict()
        assert [name for name, weight in weights.items() if not weight.isfinite().all()] == [], spec


def test_the_largest_step_of_s5_gives_finite_outputs():
    assert build_model(spec_of("s5", step_scale=1000.0))(torch.randn(2, 6, 4)).isfinite().all()
    with pytest.raises(ValidationError, match="less than or equal to 1000"):
        spec_of("s5", step_scale=1001.0)


def test_the_message_has_the_value_and_the_range():
    with pytest.raises(ValidationError) as caught:
        spec_of("rglru", c=1e-40)
    [error] = caught.value.errors()
    assert error["loc"] == ("options", "c")
    assert error["msg"] == "1e-40 is out of the range of float32: its size should be 1.18e-38 to 3.4e+38"


def test_each_value_of_a_tuple_is_validated():
    with pytest.raises(ValidationError, match="1e-40 is out of the range of float32"):
        RecurrentSpec(kind="unicornn", input_size=4, hidden_size=4, num_layers=2, options={"dt": (0.5, 1e-40)})
