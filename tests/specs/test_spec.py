"""A spec: what it holds, how it is copied and written down, and what it refuses."""

import copy
import dataclasses
import json
import pickle
from typing import Literal

import pytest
from pydantic import ValidationError

from rnnkit import Catalog, Options, RecurrentSpec, get_kind, list_kinds
from rnnkit.testing import use_catalog
from rnnkit_builtin.lstm import LSTMOptions
from rnnkit_builtin.rnn import RNNOptions

REQUIRED = {"kind": "lstm", "input_size": 3, "hidden_size": 4}
DEFAULTS = {
    "output_size": None,
    "num_layers": 1,
    "bias": True,
    "batch_first": True,
    "dropout": 0.0,
    "bidirectional": False,
    "readout": "last",
    "readout_dropout": 0.0,
    "num_embeddings": None,
    "padding_idx": None,
    "tie_weights": False,
}
# One other valid value for each field.
OTHER = {
    "kind": "gru",
    "input_size": 6,
    "hidden_size": 6,
    "output_size": 9,
    "num_layers": 3,
    "bias": False,
    "batch_first": False,
    "dropout": 0.25,
    "bidirectional": True,
    "readout": "mean",
    "readout_dropout": 0.5,
    "num_embeddings": 9,
    "padding_idx": 0,
    "tie_weights": True,
    "options": {"recurrent_init": "orthogonal", "forget_bias": None, "chrono_length": None, "proj_size": 3},
}
FULL = OTHER | {"kind": "lstm"}


def make(**fields):
    return RecurrentSpec(**REQUIRED | fields)


def refusal(call):
    """The problems of the one error that a call raises: field, value, message."""
    with pytest.raises(ValidationError) as caught:
        call()
    assert "errors.pydantic.dev" not in str(caught.value)
    return [
        (".".join(map(str, problem["loc"])), problem["input"], problem["msg"])
        for problem in caught.value.errors(include_url=False)
    ]


# Fields


def test_what_is_left_out_has_its_default():
    spec = make()
    assert {name: getattr(spec, name) for name in DEFAULTS} == DEFAULTS
    assert spec.options == LSTMOptions(proj_size=0)


def test_it_has_these_fields_in_this_order():
    assert [field.name for field in dataclasses.fields(RecurrentSpec)] == [*REQUIRED, *DEFAULTS, "options"]


@pytest.mark.parametrize("name", FULL)
def test_what_is_given_is_held(name):
    expected = LSTMOptions(**FULL["options"]) if name == "options" else FULL[name]
    assert getattr(RecurrentSpec(**FULL), name) == expected


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"proj_size": 2}, id="mapping"),
        pytest.param(LSTMOptions(proj_size=2), id="object"),
    ],
)
def test_options_become_the_typed_object_of_the_kind(options):
    spec = make(options=options)
    assert type(spec.options) is LSTMOptions
    assert spec.options.proj_size == 2
    assert spec == make(options={"proj_size": 2})


def test_no_options_and_empty_options_are_the_same(kind):
    assert make(kind=kind).options == make(kind=kind, options={}).options == get_kind(kind).options()


def test_spec_copies_the_mapping_of_options():
    given = {"proj_size": 2}
    spec = make(options=given)
    given["proj_size"] = 3
    assert spec.options.proj_size == 2


def test_it_can_be_subscripted_with_the_class_of_its_options():
    assert RecurrentSpec[LSTMOptions](**REQUIRED) == make()


@pytest.mark.parametrize("name", [*REQUIRED, *DEFAULTS, "options", "no_such_field"])
def test_it_is_frozen(name):
    spec = make()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(spec, name, 1)
    assert spec == make()


def test_its_options_are_frozen():
    spec = make()
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.options.proj_size = 2
    assert spec.options.proj_size == 0


def test_it_is_keyword_only():
    problems = refusal(lambda: RecurrentSpec("lstm", 3, hidden_size=4))
    assert [(where, value) for where, value, message in problems if message == "Unexpected positional argument"] == [
        ("0", "lstm"),
        ("1", 3),
    ]


# How it is compared, copied and changed


@pytest.mark.parametrize("name", OTHER)
def test_specs_that_differ_in_one_field_are_not_equal(name):
    # which dropout and the fields of tokens need
    others = {"input_size": 4, "num_layers": 2, "output_size": 3, "num_embeddings": 3}
    before = RecurrentSpec(**REQUIRED | others)
    after = dataclasses.replace(before, **{"options": {}, name: OTHER[name]})
    assert before != after


def test_equal_specs_are_one_key_of_a_dictionary():
    assert len({RecurrentSpec(**FULL), RecurrentSpec(**FULL), make(), make(), make(kind="gru")}) == 3


def test_replace_changes_one_field_and_keeps_the_others():
    assert dataclasses.replace(RecurrentSpec(**FULL), hidden_size=8) == RecurrentSpec(**FULL | {"hidden_size": 8})


def test_replace_validates_again():
    problems = refusal(lambda: dataclasses.replace(make(), hidden_size=0))
    assert problems == [("hidden_size", 0, "Input should be greater than or equal to 1")]


@pytest.mark.parametrize("built_in", ["gru", "rnn"])
def test_replace_of_the_kind_asks_for_options_of_the_new_kind(built_in):
    spec = make(options={"proj_size": 2})
    own = get_kind(built_in).options.__name__
    message = (
        f"The kind {built_in!r} takes a mapping or an object of its own class {own} here; options={{}} means its "
        "defaults. To change the kind of a spec, give options as well: "
        f"dataclasses.replace(spec, kind={built_in!r}, options={{}})"
    )
    assert refusal(lambda: dataclasses.replace(spec, kind=built_in)) == [("options", spec.options, message)]
    assert dataclasses.replace(spec, kind=built_in, options={}) == make(kind=built_in)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_is_equal(copied):
    spec = RecurrentSpec(**FULL)
    again = copied(spec)
    assert again == spec
    assert type(again.options) is LSTMOptions


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_spec_is_equal(protocol):
    spec = RecurrentSpec(**FULL)
    again = pickle.loads(pickle.dumps(spec, protocol))
    assert again == spec
    assert hash(again) == hash(spec)


# How it is written down


def test_its_repr_pasted_back_is_equal(kind):
    spec = make(kind=kind, output_size=2, num_layers=2, dropout=0.1, readout="all")
    assert eval(repr(spec), {"RecurrentSpec": RecurrentSpec}) == spec  # noqa: S307  # documented


def test_its_repr_shows_every_field_and_the_options_as_a_mapping():
    assert repr(RecurrentSpec(**FULL)) == (
        "RecurrentSpec(kind='lstm', input_size=6, hidden_size=6, output_size=9, num_layers=3, bias=False, "
        "batch_first=False, dropout=0.25, bidirectional=True, readout='mean', readout_dropout=0.5, "
        "num_embeddings=9, padding_idx=0, tie_weights=True, "
        "options={'recurrent_init': 'orthogonal', 'forget_bias': None, 'chrono_length': None, 'proj_size': 3})"
    )


def test_to_dict_is_every_field_as_plain_data():
    assert RecurrentSpec(**FULL).to_dict() == FULL
    assert type(RecurrentSpec(**FULL).to_dict()["options"]) is dict
    assert make().to_dict() == REQUIRED | DEFAULTS | {
        "options": {"recurrent_init": "default", "forget_bias": None, "chrono_length": None, "proj_size": 0}
    }


def test_to_json_is_to_dict_in_json():
    spec = RecurrentSpec(**FULL)
    assert json.loads(spec.to_json()) == spec.to_dict()
    assert "\n" not in spec.to_json()
    assert spec.to_json(indent=2) == json.dumps(spec.to_dict(), indent=2)


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(lambda spec: RecurrentSpec.from_dict(spec.to_dict()), id="dict"),
        pytest.param(lambda spec: RecurrentSpec.from_dict(json.loads(json.dumps(spec.to_dict()))), id="dict-in-json"),
        pytest.param(lambda spec: RecurrentSpec.from_json(spec.to_json()), id="json"),
        pytest.param(lambda spec: RecurrentSpec.from_json(spec.to_json(indent=4).encode()), id="json-bytes"),
    ],
)
def test_what_was_written_reads_back_equal(kind, again):
    spec = make(kind=kind, output_size=2, num_layers=2, dropout=0.1, readout="all")
    assert again(spec) == spec
    assert type(again(spec).options) is get_kind(kind).options


def test_fields_missing_from_what_is_read_take_their_defaults():
    assert RecurrentSpec.from_dict(REQUIRED) == make()
    assert RecurrentSpec.from_json(json.dumps(REQUIRED)) == make()


@pytest.mark.parametrize("name", REQUIRED)
def test_a_required_field_that_is_missing_is_named(name):
    given = {field: value for field, value in REQUIRED.items() if field != name}
    for call in (lambda: RecurrentSpec(**given), lambda: RecurrentSpec.from_dict(given)):
        assert [(where, message) for where, _, message in refusal(call)] == [(name, "Field required")]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="cut"),
        pytest.param("kind: lstm", id="yaml"),
        pytest.param(b"\xff", id="not-unicode"),
    ],
)
def test_invalid_json_is_refused(text):
    with pytest.raises(ValidationError, match="Invalid JSON"):
        RecurrentSpec.from_json(text)


@pytest.mark.parametrize("text", ["[]", "null", "3", '"lstm"'])
def test_json_must_be_an_object(text):
    problems = refusal(lambda: RecurrentSpec.from_json(text))
    assert problems == [("", json.loads(text), "Input should be a dictionary or an instance of RecurrentSpec")]


# Refused values

INTEGER = "Input should be a valid integer"
AT_LEAST_1 = "Input should be greater than or equal to 1"
AT_LEAST_0 = "Input should be greater than or equal to 0"
AT_MOST_1 = "Input should be less than or equal to 1"
NUMBER = "Input should be a valid number"
BOOLEAN = "Input should be a valid boolean"
INSTALLED = (
    f"{len(list_kinds())} kinds are installed: `list_kinds()` and `rnnkit list` show them. "
    "To use another, install the distribution that provides it."
)
NO_INTEGERS = [True, 1.0, "1"]
SIZES = ["input_size", "hidden_size", "output_size", "num_layers"]
SIZE_CASES = [(name, value, AT_LEAST_1) for name in SIZES for value in (0, -1)]
SIZE_CASES += [(name, value, INTEGER) for name in SIZES for value in NO_INTEGERS]
SIZE_CASES += [(name, None, INTEGER) for name in SIZES if name != "output_size"]
FLAG_CASES = [
    (name, value, BOOLEAN)
    for name in ("bias", "batch_first", "bidirectional")
    for value in (1, 0, 1.0, "yes", "true", None)
]
OTHER_CASES = [
    ("num_layers", 100_001, "Input should be less than or equal to 100000"),
    ("dropout", -0.1, AT_LEAST_0),
    ("dropout", 1.1, AT_MOST_1),
    ("dropout", float("nan"), "Input should be a finite number"),
    ("dropout", float("inf"), "Input should be a finite number"),
    ("dropout", True, NUMBER),
    ("dropout", "0.5", NUMBER),
    ("dropout", None, NUMBER),
    (
        "readout",
        "lst",
        (
            "No installed plugin provides the readout 'lst'. Did you mean 'last'? Installed readouts: all, last, max, "
            "mean. To use another, install the distribution that provides it."
        ),
    ),
    ("readout", None, "Input should be a valid string"),
    ("kind", 3, "Input should be a valid string"),
    ("kind", "lsmt", f"No installed plugin provides the kind 'lsmt'. Did you mean 'lstm'? {INSTALLED}"),
    ("kind", "transformer", f"No installed plugin provides the kind 'transformer'. {INSTALLED}"),
]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        pytest.param(name, value, message, id=f"{name}={value!r}")
        for name, value, message in [*SIZE_CASES, *FLAG_CASES, *OTHER_CASES]
    ],
)
def test_a_wrong_value_is_refused_with_its_field_and_the_rule(name, value, message):
    [(where, refused, reported)] = refusal(lambda: make(**{"num_layers": 2, name: value}))
    assert (where, reported) == (name, message)
    assert repr(refused) == repr(value)  # True == 1 == 1.0, and nan is not itself


@pytest.mark.parametrize(
    ("value", "message"),
    [pytest.param(value, INTEGER, id=repr(value)) for value in [*NO_INTEGERS, None]]
    + [pytest.param(-1, AT_LEAST_0, id="-1")],
)
def test_a_wrong_value_of_an_option_is_refused_likewise(value, message):
    [(where, refused, reported)] = refusal(lambda: make(options={"proj_size": value}))
    assert (where, reported) == ("options.proj_size", message)
    assert repr(refused) == repr(value)


def test_unknown_choice_lists_the_choices():
    problems = refusal(lambda: make(kind="rnn", options={"nonlinearity": "sigmoid"}))
    assert problems == [("options.nonlinearity", "sigmoid", "Input should be 'tanh' or 'relu'")]


@pytest.mark.parametrize("dropout", [0.5, 1])
def test_dropout_with_one_layer_is_refused(dropout):
    message = (
        "Dropout acts between layers, so with num_layers=1 it does nothing: set num_layers to 2 or more, "
        "or dropout to 0"
    )
    assert refusal(lambda: make(dropout=dropout)) == [("dropout", dropout, message)]
    assert make(dropout=dropout, num_layers=2).dropout == dropout
    assert make(dropout=0).dropout == 0


@pytest.mark.parametrize(
    ("built_in", "name", "reported"),
    [
        pytest.param(
            "lstm",
            "proj_sze",
            "Did you mean 'proj_size'? Its options: recurrent_init, forget_bias, chrono_length, proj_size",
            id="misspelt",
        ),
        pytest.param(
            "lstm",
            "nonlinearity",
            "Its options: recurrent_init, forget_bias, chrono_length, proj_size",
            id="of-another-kind",
        ),
        pytest.param("gru", "nonlinearity", "Its options: recurrent_init", id="of-a-kind-without"),
    ],
)
def test_unknown_option_error_lists_the_options(built_in, name, reported):
    message = f"The kind {built_in!r} has no option {name!r}. {reported}"
    assert refusal(lambda: make(kind=built_in, options={name: 1})) == [(f"options.{name}", 1, message)]


def test_an_unknown_field_is_refused_with_the_closest_one():
    message = "A RecurrentSpec has no field 'hiden_size'. Did you mean 'hidden_size'?"
    assert refusal(lambda: make(hiden_size=5)) == [("hiden_size", 5, message)]


@pytest.mark.parametrize(("built_in", "name"), [("lstm", "proj_size"), ("rnn", "nonlinearity")])
def test_an_option_among_the_fields_is_sent_to_options(built_in, name):
    message = f"{name!r} is an option of the kind {built_in!r}: write options={{{name!r}: ...}}"
    assert refusal(lambda: make(kind=built_in, **{name: 1})) == [(name, 1, message)]
    assert refusal(lambda: RecurrentSpec.from_dict({**make(kind=built_in).to_dict(), name: 1})) == [(name, 1, message)]


@pytest.mark.parametrize(
    ("built_in", "options"),
    [
        pytest.param("lstm", RNNOptions(), id="lstm-with-those-of-rnn"),
        pytest.param("rnn", LSTMOptions(), id="rnn-with-those-of-lstm"),
        pytest.param("gru", LSTMOptions(), id="gru-with-those-of-lstm"),
        pytest.param("lstm", Options(), id="lstm-with-those-of-gru"),
        pytest.param("lstm", LSTMOptions, id="class"),
        pytest.param("lstm", [("proj_size", 2)], id="pairs"),
        pytest.param("lstm", "proj_size=2", id="str"),
        pytest.param("lstm", 2, id="int"),
    ],
)
def test_options_of_a_wrong_type_are_refused(built_in, options):
    [(where, refused, message)] = refusal(lambda: make(kind=built_in, options=options))
    assert (where, refused) == ("options", options)
    own = get_kind(built_in).options.__name__
    assert message.startswith(f"The kind {built_in!r} takes a mapping or an object of its own class {own} here; ")


def test_options_that_are_nothing_are_refused_with_what_to_write():
    problem = "The options of the kind 'gru' are a mapping: leave them out, or write {}, for the defaults"
    assert refusal(lambda: make(kind="gru", options=None)) == [("options", None, problem)]


@pytest.mark.parametrize("proj_size", [4, 5])
def test_proj_size_must_be_smaller_than_hidden_size(proj_size):
    [(where, _, message)] = refusal(lambda: make(options={"proj_size": proj_size}))
    assert where == "options.proj_size"
    assert message == f"proj_size={proj_size} must be smaller than hidden_size=4, or 0 for no projection"
    assert make(options={"proj_size": 3}).options.proj_size == 3


def test_all_problems_are_reported_at_once():
    wrong = {
        "kind": "lstm",
        "input_size": 0,
        "hidden_size": 2.0,
        "output_size": -1,
        "num_layers": True,
        "bias": "yes",
        "dropout": 2,
        "readout": "first",
        "options": {"proj_size": -1, "peephole": True},
        "layers": 2,
    }
    problems = refusal(lambda: RecurrentSpec(**wrong))
    assert sorted((where, repr(value)) for where, value, _ in problems) == [
        ("bias", "'yes'"),
        ("dropout", "2"),
        ("hidden_size", "2.0"),
        ("input_size", "0"),
        ("layers", "2"),
        ("num_layers", "True"),
        ("options.peephole", "True"),
        ("options.proj_size", "-1"),
        ("output_size", "-1"),
        ("readout", "'first'"),
    ]


def test_an_unknown_kind_hides_no_other_problem():
    problems = refusal(lambda: make(kind="lsmt", hidden_size=0, options={"proj_size": 2}))
    assert [(where, value) for where, value, _ in problems] == [("kind", "lsmt"), ("hidden_size", 0)]


def test_error_without_any_kind_says_what_to_install():
    with use_catalog(Catalog(find=list)):
        problems = refusal(make)
    message = (
        "The kind 'lstm' was not found, because no kind is installed at all, not even rnnkit's own: their entry points "
        "are created when rnnkit is installed. Run `pip install rnnkit`, or in a checkout `pip install -e .`."
    )
    assert problems == [("kind", "lstm", message)]


# The options of any kind


class Filters(Options):
    """Options with every sort of field that a plugin may need."""

    widths: tuple[int, ...] = (1, 2)
    pooling: Literal["max", "mean"] = "max"
    depth: int = 1
    slope: float = 0.5


class MoreFilters(Filters):
    dilation: int = 1


def test_an_options_class_needs_no_decorator():
    assert Filters(widths=(3,)) == Filters(widths=(3,), pooling="max", depth=1, slope=0.5)
    assert hash(Filters()) == hash(Filters())
    assert Filters() != Filters(depth=2)
    assert repr(MoreFilters(depth=2)) == "MoreFilters(widths=(1, 2), pooling='max', depth=2, slope=0.5, dilation=1)"


@pytest.mark.parametrize(
    ("options", "where", "message"),
    [
        ({"widths": (1, "2")}, ("widths", 1), INTEGER),
        ({"widths": (1.0,)}, ("widths", 0), INTEGER),
        ({"widths": 3}, ("widths",), "Input should be a valid tuple"),
        ({"pooling": "min"}, ("pooling",), "Input should be 'max' or 'mean'"),
        ({"depth": True}, ("depth",), INTEGER),
        ({"depth": 2.0}, ("depth",), INTEGER),
        ({"depth": "2"}, ("depth",), INTEGER),
        ({"slope": "0.5"}, ("slope",), NUMBER),
        ({"slope": True}, ("slope",), NUMBER),
        ({"width": (1,)}, ("width",), "Unexpected keyword argument"),
    ],
    ids=lambda value: "".join(f"{name}={given}" for name, given in value.items()) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("options_class", [Filters, MoreFilters])
def test_an_options_class_is_strict(options_class, options, where, message):
    with pytest.raises(ValidationError) as caught:
        options_class(**options)
    assert [(problem["loc"], problem["msg"]) for problem in caught.value.errors()] == [(where, message)]


@pytest.mark.parametrize("name", ["depth", "dilation", "no_such_option"])
def test_an_options_object_is_frozen(name):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(MoreFilters(), name, 2)


def test_an_options_class_is_keyword_only():
    with pytest.raises(ValidationError, match="Unexpected positional argument"):
        Filters((1,))
