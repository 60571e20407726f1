"""The fields of options: their range, their defaults as plain data, and fields of a number or a word."""

import json
from enum import Enum
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from rnnkit import Options
from rnnkit.options import own_fields, plain_defaults
from rnnkit.options._number_or_word import number_or_word

NonNegative = Annotated[float, Field(ge=0, strict=True)]


class Shape(Enum):
    ROUND = "round"


class BaseOptions(Options):
    rate: float = 0.5
    rates: tuple[float, ...] = (0.5, 0.25)


class ShapeOptions(BaseOptions):
    shape: Shape = Shape.ROUND
    length: Annotated[float | Literal["auto", "none"], number_or_word(NonNegative, Literal["auto", "none"])] = "auto"


@pytest.mark.parametrize("value", [0.0, 2.5, "auto", "none"])
def test_a_number_or_a_word_is_kept(value):
    assert ShapeOptions(length=value).length == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("automatic", "Input should be a valid number or 'auto' or 'none'"),
        (None, "Input should be a valid number or 'auto' or 'none'"),
        (-1.0, "Input should be greater than or equal to 0"),
    ],
)
def test_another_value_is_one_error(value, message):
    with pytest.raises(ValidationError) as caught:
        ShapeOptions(length=value)
    assert [(error["loc"], error["msg"]) for error in caught.value.errors()] == [(("length",), message)]


@pytest.mark.parametrize("number", [1e-45, -1e-39, 3.5e38, -1e300])
@pytest.mark.parametrize("field", ["rate", "rates"])
def test_numbers_have_a_normal_value_in_float32(field, number):
    """1.2e-38 is the smallest normal number of float32, and 3.4e38 its largest number."""
    value = number if field == "rate" else (0.5, number)
    with pytest.raises(ValidationError, match="is out of the range of float32: its size should be") as caught:
        BaseOptions(**{field: value})
    assert str(number) in str(caught.value)


@pytest.mark.parametrize("number", [0.0, -0.0, 1.2e-38, -3.4e38, 1.0])
def test_other_numbers_are_kept(number):
    assert BaseOptions(rate=number, rates=(number,)).rates == (number,)


def test_defaults_are_plain_data():
    defaults = plain_defaults(ShapeOptions)
    assert defaults == {"rate": 0.5, "rates": [0.5, 0.25], "shape": "round", "length": "auto"}
    assert json.loads(json.dumps(defaults)) == defaults


def test_own_fields_are_those_that_a_class_adds():
    assert own_fields(ShapeOptions(length=2.0), BaseOptions) == {"length": 2.0, "shape": Shape.ROUND}
    assert own_fields(BaseOptions(), BaseOptions) == {}
