"""What the options of a kind and the fields of a spec mean, read from their types and docstrings."""

import dataclasses
import enum
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, PlainValidator
from typing_extensions import TypeAliasType

from rnnkit import Options, PluginError, RecurrentSpec, StackOptions, get_kind
from rnnkit.introspection import FieldDescription, describe_options, describe_spec
from tests.helpers.models import small_spec


def described(cls, name):
    [found] = [field for field in describe_options(cls) if field.name == name]
    return found


def test_every_option_of_a_kind_has_a_type_a_meaning_and_the_default_that_a_spec_has(kind):
    options = describe_options(get_kind(kind).options)
    assert {field.name: json.loads(field.default) for field in options} == small_spec(kind).to_dict()["options"]
    assert [field.name for field in options] == [each.name for each in dataclasses.fields(get_kind(kind).options)]
    assert all(field.type and field.text and not field.required for field in options)


def test_every_field_of_a_spec_is_described_in_its_order():
    fields = describe_spec()
    assert [field.name for field in fields] == [each.name for each in dataclasses.fields(RecurrentSpec)]
    assert all(field.type and field.text for field in fields)
    assert [field.name for field in fields if field.required] == ["kind", "input_size", "hidden_size"]
    spec = RecurrentSpec(kind="rnn", input_size=1, hidden_size=1)
    optional = [field for field in fields if not field.required and field.name != "options"]
    assert {field.name: json.loads(field.default) for field in optional}.items() <= spec.to_dict().items()


@pytest.mark.parametrize(
    ("field", "description"),
    [
        (("proj_size", "lstm"), ("int >= 0", "0", "features to which the hidden state is projected, smaller")),
        (("nonlinearity", "rnn"), ('"tanh" | "relu"', '"tanh"', "the function phi of the update.")),
        (
            ("forget_bias", "lstm"),
            ("float or null", "null", "what the bias of the forget gate starts at, both of"),
        ),
        (("zoneout", "gru_cell"), ("float in [0, 1) or a list of them", "0.0", "probability with which a feature of ")),
        (("residual", "rnn_cell"), ("bool", "false", "whether each layer but the first adds what it reads to its ")),
        (
            ("cells", "mixed"),
            ("list of str or null", "null", "for each layer, from the bottom up, the kind whose cell"),
        ),
    ],
    ids=lambda field: field[0],
)
def test_options_are_described_in_the_words_of_their_authors(field, description):
    name, kind = field
    found = described(get_kind(kind).options, name)
    assert (found.type, found.default) == description[:2]
    assert found.text.startswith(description[2])
    assert "  " not in found.text.replace("\n", "  ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("kind", "str"),
        ("hidden_size", "int >= 1 or a list of them"),
        ("output_size", "int >= 1 or null"),
        ("dropout", "float in [0, 1]"),
        ("readout", '"all" | "last" | "max" | "mean"'),
        ("options", "mapping"),
    ],
)
def test_the_types_of_a_spec_are_said_in_words(name, words):
    assert {field.name: field.type for field in describe_spec()}[name] == words


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass(frozen=True)
class Window:
    width: int = 3


Tree = TypeAliasType("Tree", "int | list[Tree]")


@pytest.mark.parametrize(
    ("annotation", "value", "words", "default"),
    [
        (int, 1, "int", "1"),
        (str, "é", "str", '"é"'),
        (Annotated[int, Field(gt=0)], 1, "int > 0", "1"),
        (Annotated[int, Field(le=5)], 1, "int <= 5", "1"),
        (Annotated[float, Field(gt=0, lt=1)], 0.5, "float in (0, 1)", "0.5"),
        (Annotated[float, Field(gt=0.5, le=1)], 1.0, "float in (0.5, 1]", "1.0"),
        (Annotated[int, Field(ge=2, multiple_of=2)], 2, "int >= 2 (a multiple of 2)", "2"),
        (Annotated[str, Field(pattern="a+")], "a", "str matching a+", '"a"'),
        (date, date(2020, 1, 2), "str (date)", '"2020-01-02"'),
        (Decimal, Decimal("1.5"), None, '"1.5"'),
        (Literal[1, "a"] | None, None, '1 | "a" or null', "null"),
        (Literal["only"], "only", '"only"', '"only"'),
        (Color, Color.RED, '"red" | "blue"', '"red"'),
        (tuple[int, float], (1, 2.0), "[int, float]", "[1, 2.0]"),
        (tuple[int, ...], (), "list of int", "[]"),
        (tuple[Any, ...], (), "list", "[]"),
        (tuple[bool | None, ...], (), "list of bool or null", "[]"),
        (Window, Window(), "mapping", '{"width": 3}'),
        (Window | None, None, "mapping or null", "null"),
        (Tree, 1, None, "1"),
        (Any, None, "Any", "null"),
        (Callable[[int], int] | None, None, "Callable[[int], int] | None", "null"),
        (Annotated[complex, PlainValidator(complex)], 1j, "complex", None),
        (type[int], int, "type[int]", json.dumps("<class 'int'>")),
    ],
)
def test_a_type_is_said_in_words_and_its_default_as_json(annotation, value, words, default):
    class Its(Options):
        option: annotation = value

    [field] = describe_options(Its)
    assert words in (None, field.type)
    assert field.type
    assert default in (None, field.default)
    json.loads(field.default)


class Base(Options):
    """The base.

    Attributes:
        first: said by the base.
        second (int): said by the base, too,
            on: two lines.

            And in a second paragraph.
        third: said by the base.
    """

    first: int = 1
    second: int = 2
    third: int = 3


class Derived(Base):
    """More.

    Note: no section, though it looks like one.

    Attributes:
        third: said by the class.
        fourth: said by the docstring: not by the field.
        fifth:
            On a line of its own.

    Raises:
        sixth: no attribute.
    """

    fourth: Annotated[int, Field(description="Said by the field.")] = 4
    fifth: int = 5
    sixth: int = 6


class Silent(Derived):
    seventh: int = 7


def test_a_text_is_the_fields_own_or_that_of_the_nearest_class_that_says_something():
    assert {field.name: field.text for field in describe_options(Silent)} == {
        "first": "said by the base.",
        "second": "said by the base, too, on: two lines. And in a second paragraph.",
        "third": "said by the class.",
        "fourth": "Said by the field.",
        "fifth": "On a line of its own.",
        "sixth": "",
        "seventh": "",
    }


@pytest.mark.parametrize(
    "docstring", [None, "", "One line.", "Attributes:", "Attributes:\n\n", "Attributes:\n  x", "x: y"]
)
def test_a_docstring_that_says_nothing_gives_no_text(docstring):
    class Undocumented(Options):
        x: int = 1

    Undocumented.__doc__ = docstring
    assert describe_options(Undocumented) == [FieldDescription("x", "int", "1", "")]


def test_a_kind_without_options_has_nothing_to_describe():
    assert describe_options(Options) == []


def test_a_default_that_is_made_when_it_is_needed_is_shown():
    class Made(StackOptions):
        sizes: tuple[int, ...] = Field(default_factory=lambda: (1, 2))

    assert described(Made, "sizes").default == "[1, 2]"


def test_a_type_that_refuses_to_be_described_is_its_authors_mistake():
    class Refusing(int):
        @classmethod
        def __get_pydantic_core_schema__(cls, source, handler):
            return handler(int)

        @classmethod
        def __get_pydantic_json_schema__(cls, schema, handler):
            raise RuntimeError("no words for this")

    class Its(Options):
        option: Refusing = Refusing(1)

    with pytest.raises(PluginError, match="Its cannot be described: RuntimeError: no words for this"):
        describe_options(Its)


def test_describing_imports_no_torch():
    program = """
import sys
from rnnkit.introspection.description import describe_options, describe_spec
from rnnkit.options import StackOptions
describe_options(StackOptions), describe_spec()
sys.exit("torch" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
