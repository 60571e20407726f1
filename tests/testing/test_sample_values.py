"""Sample values of options are valid and differ from the default."""

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, PlainValidator, field_validator

from rnnkit import Options, get_kind
from rnnkit.testing.sample_values import interleave, sample_option_values


class Merge(Enum):
    SUM = "sum"
    MEAN = "mean"


class Window(Options):
    size: Annotated[int, Field(ge=1)] = 3
    shape: Literal["flat", "bell"] = "flat"


def values_of(annotation, default):
    """The sample values of an option of this type, which must be valid, distinct and not the default."""
    made = type("Made", (Options,), {"__annotations__": {"option": annotation}, "option": default})
    values = sample_option_values(made)["option"]
    assert all(made(option=value).option == value for value in values)
    assert all(value != default or type(value) is not type(default) for value in values)
    assert len({(type(value), value) for value in values}) == len(values)
    return values


FIRST = {  # the first value of each type
    "bool": (bool, False, True),
    "literal": (Literal["tanh", "relu", "none"], "tanh", "relu"),
    "enum": (Merge, Merge.SUM, Merge.MEAN),
    "int": (int, 4, 5),
    "int_of_a_multiple": (Annotated[int, Field(gt=0, multiple_of=4)], 8, 12),
    "int_at_its_highest": (Annotated[int, Field(ge=1, le=8)], 8, 4),
    "optional_int": (int | None, None, 1),
    "float_in_closed_bounds": (Annotated[float, Field(ge=0, le=1)], 0.0, 0.25),
    "float_in_open_bounds": (Annotated[float, Field(gt=2, lt=4)], 3.0, 2.5),
    "float_above": (Annotated[float, Field(gt=0)], 5.0, 2.5),
    "float_of_a_multiple": (Annotated[float, Field(gt=1, multiple_of=0.5)], 1.5, 3.0),
    "optional_float": (float | None, None, 0.5),
    "float_or_none": (float | None, 5.0, 2.5),
    "int_or_word": (int | Literal["auto"], "auto", 1),
    "string_in_a_form": (Annotated[str, Field(pattern=r"^\d+x\d+$")], "3x3", "4x4"),
    "string_of_a_length": (Annotated[str, Field(min_length=30)], "a" * 35, "b" * 35),
    "string": (str, "tanh", "relu"),
    "tuple_of_ints": (tuple[int, ...], (3, 3), (4, 4)),
    "pair": (tuple[float, float], (0.5, 0.5), (0.25, 0.25)),
    "optional_pair": (tuple[int, Literal["a", "b"]] | None, None, (1, "a")),
    "tuple_of_enums": (tuple[Merge, ...], (Merge.SUM,), (Merge.MEAN,)),
    "tuple_of_tuples": (tuple[tuple[int, int], ...], ((1, 2),), ((2, 3),)),
    "number_or_tuple": (float | tuple[float, ...], 1.0, 0.5),
    "set": (frozenset[int], frozenset({1}), frozenset({2})),
    "options_in_options": (Window, Window(), Window(size=4)),
}


@pytest.mark.parametrize(("annotation", "default", "first"), FIRST.values(), ids=FIRST)
def test_first_value_of_each_type(annotation, default, first):
    values = values_of(annotation, default)
    assert (type(values[0]), values[0]) == (type(first), first)


def test_every_choice_is_a_sample_value():
    assert values_of(Literal["a", "b", "c", "d"], "b") == ["a", "c", "d"]
    assert values_of(bool, True) == [False]
    assert values_of(Literal["a"] | None, None) == ["a"]


def test_union_types_alternate():
    values = values_of(float | tuple[float, ...], 0.0)
    assert {type(value) for value in values[:2]} == {float, tuple}
    assert {len(value) for value in values if isinstance(value, tuple)} >= {1, 2}


def test_nested_options():
    values = values_of(Window, Window())
    assert Window(shape="bell") in values
    assert Window(size=1) in values


@pytest.mark.parametrize(
    ("annotation", "default"),
    [(Any, None), (Annotated[object, PlainValidator(str)], "x"), (Literal["one"], "one")],
    ids=["any", "of_its_own", "no_choice"],
)
def test_types_without_sample_values(annotation, default):
    assert values_of(annotation, default) == []


def test_values_that_a_validator_rejects_are_left_out():
    class Picky(Options):
        odd: int = 1
        kind: str = "lstm_cell"

        @field_validator("odd")
        @classmethod
        def _is_odd(cls, odd):
            if odd % 2 == 0:
                raise ZeroDivisionError
            return odd

        @field_validator("kind")
        @classmethod
        def _exists(cls, kind):
            return get_kind(kind).name

    values = sample_option_values(Picky)
    assert values["odd"][0] == 3
    assert all(value % 2 for value in values["odd"])
    assert values["kind"] == ["gru_cell"]


def test_interleave():
    assert list(interleave([[1, 2, 3], "a", []])) == [1, "a", 2, 3]
