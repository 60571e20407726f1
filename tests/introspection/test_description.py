"""Descriptions of options and spec fields, from their types and the strings below them."""

import dataclasses
import enum
import importlib
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

from rnnkit import InputError, Options, PluginError, RecurrentSpec, StackOptions, UnknownKindError, get_kind
from rnnkit.introspection import FieldDescription, describe_options, describe_spec
from tests.helpers.models import small_spec


def described(cls, name):
    [found] = [field for field in describe_options(cls) if field.name == name]
    return found


def test_every_option_has_type_text_and_default(kind):
    options = describe_options(get_kind(kind).options)
    assert {field.name: json.loads(field.default) for field in options} == small_spec(kind).to_dict()["options"]
    assert [field.name for field in options] == [each.name for each in dataclasses.fields(get_kind(kind).options)]
    assert all(field.type and field.text and not field.required for field in options)


def test_every_field_of_a_spec_is_described_in_order():
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
        (("proj_size", "lstm"), ("int >= 0", "0", "Number of features to which the hidden state is projected, ")),
        (("nonlinearity", "rnn"), ('"tanh" | "relu"', '"tanh"', "Activation function, phi in the equation.")),
        (
            ("forget_bias", "lstm"),
            ('float or "chrono" or null', "null", "Initial bias of the forget gate, the sum of both "),
        ),
        (
            ("zoneout", "gru_cell"),
            ("float in [0, 1) or a list of them", "0.0", "Probability, in [0, 1), that a feature of "),
        ),
        (("residual", "rnn_cell"), ("bool", "false", "Whether each layer except the first adds its input to its ")),
        (
            ("cells", "mixed"),
            ("list of str or mapping or null", "null", "Kind of the cell of each layer, from the first layer"),
        ),
    ],
    ids=lambda field: field[0],
)
def test_options_have_their_documentation(field, description):
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
def test_types_of_spec_fields_are_readable(name, words):
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
def test_type_is_readable_and_default_is_json(annotation, value, words, default):
    class Its(Options):
        option: annotation = value

    [field] = describe_options(Its)
    assert words in (None, field.type)
    assert field.type
    assert default in (None, field.default)
    json.loads(field.default)


class Base(Options):
    """The base."""

    first: int = 1
    """From the base."""
    second: int = 2
    """From the base, on
    two lines.

    And in a second paragraph."""
    third: int = 3
    """From the base."""


class Derived(Base):
    third: int = 3
    """From the class."""
    fourth: Annotated[int, Field(description="From the field.")] = 4
    """From the class."""
    fifth: int = 5
    "In single quotes."
    sixth: int = 6
    seventh: int = 7

    def method(self):
        """Not about a field."""


class Undocumented(Derived):
    eighth: int = 8


def test_text_is_from_the_field_or_the_nearest_class():
    assert {field.name: field.text for field in describe_options(Undocumented)} == {
        "first": "From the base.",
        "second": "From the base, on two lines. And in a second paragraph.",
        "third": "From the class.",
        "fourth": "From the field.",
        "fifth": "In single quotes.",
        "sixth": "",
        "seventh": "",
        "eighth": "",
    }


def test_class_in_a_function_has_texts():
    class Local(Options):
        x: int = 1
        """The text."""

    assert describe_options(Local) == [FieldDescription("x", "int", "1", "The text.")]


TWICE = """
from rnnkit import Options

class Twice(Options):
    x: int = 1
    'The first text.'

first = Twice

def decorator(cls):
    return cls

if first:
    @decorator
    class Twice(Options):
        x: int = 1
        'The second text.'

class Wrapped(Options):
    def __init_subclass__(cls):
        super().__init_subclass__()

class Thrice(Wrapped):
    x: int = 1
    'Some text.'
    y: int = 1
    'The text of both.'

third = Thrice

class Thrice(Wrapped):
    x: int = 1
    'Another text.'
    y: int = 1
    'The text of both.'
"""


@pytest.fixture
def twice(tmp_path, monkeypatch):
    (tmp_path / "twice.py").write_text(TWICE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("twice")
    del sys.modules["twice"]


def test_classes_of_one_name_have_their_own_texts(twice):
    assert describe_options(twice.first)[0].text == "The first text."
    assert describe_options(twice.Twice)[0].text == "The second text."


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="classes know their line from Python 3.13 on")
def test_text_of_a_class_whose_line_is_unknown_is_left_out(twice):
    assert [field.text for field in describe_options(twice.third)] == ["", "The text of both."]


SOURCE = """
from rnnkit import Options

class Made(Options):
    x: int = 1
    'The text.'
"""


@pytest.mark.parametrize("module", ["__main__", "builtins", __name__, "no_such_module"])
def test_class_without_source_has_no_text(module):
    namespace = {"__name__": module}
    exec(SOURCE, namespace)  # noqa: S102  # as a notebook does
    assert describe_options(namespace["Made"]) == [FieldDescription("x", "int", "1", "")]


def test_no_options_give_no_descriptions():
    assert describe_options(Options) == []


def test_default_factory_is_described():
    class Made(StackOptions):
        sizes: tuple[int, ...] = Field(default_factory=lambda: (1, 2))

    assert described(Made, "sizes").default == "[1, 2]"


def test_type_without_schema_raises_plugin_error():
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
from rnnkit.introspection import describe_options, describe_spec
from rnnkit.options import StackOptions
describe_options(StackOptions), describe_spec()
sys.exit("torch" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_options_of_a_kind_by_its_name():
    assert describe_options("gru") == describe_options(get_kind("gru").options)
    with pytest.raises(UnknownKindError):
        describe_options("no_such_kind")


@pytest.mark.parametrize("value", [3, None, int, object()])
def test_anything_else_has_no_options(value):
    with pytest.raises(InputError, match="describe_options takes the name of a kind or its class of options"):
        describe_options(value)
