"""Properties of every spec, on random specs of all installed kinds."""

import copy
import dataclasses
import json
import pickle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rnnkit import RecurrentSpec, get_kind, list_kinds
from tests.helpers.kinds import CORE
from tests.helpers.repeats import REPEATS

# derandomized: every run draws the same examples; no deadline: the first spec of a kind imports its plugin
reproducible = settings(
    deadline=None, derandomize=True, max_examples=100 * REPEATS, suppress_health_check=[HealthCheck.too_slow]
)

FIELDS = [field.name for field in dataclasses.fields(RecurrentSpec)]
INIT = {"recurrent_init": st.sampled_from(["default", "orthogonal"])}
RATES = st.floats(0, 1, exclude_max=True, width=32, allow_subnormal=False)  # the range of options
STACK = INIT | {
    "learn_initial_state": st.booleans(),
    "layer_norm": st.just("none"),
    "zoneout": RATES,
}
NONLINEARITY = {"nonlinearity": st.sampled_from(["tanh", "relu"])}
# How to draw options that go with a hidden_size; a kind that is not here is drawn with its defaults.
OPTIONS_OF = {
    "rnn": lambda _size: INIT | NONLINEARITY,
    "rnn_cell": lambda _size: STACK | NONLINEARITY | {"recurrent_dropout": RATES, "zoneout": RATES | st.tuples(RATES)},
    "gru": lambda _size: INIT,
    "gru_cell": lambda _size: STACK | {"layer_norm": st.sampled_from(["none", "gates"])},
    "lstm": lambda size: INIT | {"proj_size": st.integers(0, size - 1)},
    "lstm_cell": lambda _size: STACK | {"zoneout": RATES | st.tuples(RATES, RATES)},
    "mixed": lambda _size: STACK | {"cells": st.none() | st.tuples(st.sampled_from(["rnn_cell", "lstm_cell"]))},
}


def no_options(_size):
    return {}


def options_of(kind, size):
    return st.fixed_dictionaries({}, optional=OPTIONS_OF.get(kind, no_options)(size))


@st.composite
def valid_fields(draw):
    """The fields of a spec; those that have a default are left out at times."""
    kind = draw(st.sampled_from(CORE))  # others have rules between sizes and options
    sizes = st.integers(1, 10**9)
    num_layers = draw(st.integers(1, 100))
    hidden_size = draw(sizes | sizes_of_layers(kind, sizes, num_layers))
    required = {"kind": kind, "input_size": draw(sizes), "hidden_size": hidden_size, "num_layers": num_layers}
    output_size = draw(st.none() | sizes)
    required["output_size"] = output_size
    optional = {
        "readout_dropout": st.floats(0, 1) if output_size else st.just(0.0),
        "num_embeddings": st.just(output_size) | sizes,
        "bias": st.booleans(),
        "batch_first": st.booleans(),
        "dropout": st.floats(0, 1) if num_layers > 1 else st.just(0.0),
        "bidirectional": st.booleans(),
        "readout": st.sampled_from(["last", "mean", "max", "all"]),
        "options": options_of(kind, hidden_size),
    }
    fields = required | draw(st.fixed_dictionaries({}, optional=optional))
    fields |= draw(st.fixed_dictionaries({}, optional=of_tokens(fields)))
    return fields | {"input_size": features_of(fields)} if fields.get("tie_weights") else fields


def of_tokens(fields):
    """Fields that go with an embedding."""
    num_embeddings = fields.get("num_embeddings")
    if num_embeddings is None:
        return {"padding_idx": st.none(), "tie_weights": st.just(False)}
    can_be_tied = num_embeddings == fields["output_size"] and features_of(fields) < 10**6  # torch counts in 64 bits
    tied = st.booleans() if can_be_tied else st.just(False)
    return {"padding_idx": st.none() | st.integers(0, num_embeddings - 1), "tie_weights": tied}


def features_of(fields):
    """The output features of a bidirectional or unidirectional model."""
    size = fields["hidden_size"]
    last = size[-1] if isinstance(size, tuple) else size
    return (fields.get("options", {}).get("proj_size") or last) * (2 if fields.get("bidirectional") else 1)


def sizes_of_layers(kind, sizes, num_layers):
    """One size for each layer, for kinds that take them."""
    several = st.lists(sizes, min_size=num_layers, max_size=num_layers).map(tuple)
    return several if get_kind(kind).sizes_per_layer else st.nothing()


specs = valid_fields().map(lambda fields: RecurrentSpec(**fields))

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(list_kinds()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def damaged_data(draw):
    """The result of `to_dict`, with fields dropped, replaced by arbitrary JSON, and added, also in the options."""
    data = draw(specs).to_dict()
    for part in (data, data["options"]):
        for name in draw(st.lists(st.sampled_from([*part, "new"]) | st.text(), max_size=2)):
            if draw(st.booleans()):
                part[name] = draw(anything)
            else:
                part.pop(name, None)
    return data


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(lambda spec: RecurrentSpec.from_dict(spec.to_dict()), id="dict"),
        pytest.param(lambda spec: RecurrentSpec.from_json(spec.to_json()), id="json"),
        pytest.param(lambda spec: RecurrentSpec.from_json(json.dumps(spec.to_dict())), id="dict-in-json"),
        pytest.param(lambda spec: eval(repr(spec), {"RecurrentSpec": RecurrentSpec}), id="repr"),  # noqa: S307  # documented
        pytest.param(lambda spec: pickle.loads(pickle.dumps(spec)), id="pickle"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(dataclasses.replace, id="replace"),
    ],
)
@reproducible
@given(spec=specs)
def test_a_spec_that_was_written_and_read_is_equal(again, spec):
    twin = again(spec)
    assert twin == spec
    assert hash(twin) == hash(spec)
    assert repr(twin) == repr(spec)
    assert type(twin.options) is type(spec.options)


@reproducible
@given(fields=valid_fields())
def test_a_spec_holds_what_it_was_given(fields):
    spec = RecurrentSpec(**fields)
    options = fields.pop("options", {})
    assert {name: getattr(spec, name) for name in fields} == fields
    assert {name: getattr(spec.options, name) for name in options} == options


@reproducible
@given(spec=specs)
def test_to_dict_has_every_field_in_the_order_of_the_spec(spec):
    assert list(spec.to_dict()) == FIELDS


@settings(reproducible, max_examples=500 * REPEATS)
@given(data=damaged_data())
@pytest.mark.parametrize("read", ["from_dict", "from_json", "call"])
def test_damaged_data_gives_a_spec_or_a_validation_error(read, data):
    readers = {
        "from_dict": RecurrentSpec.from_dict,
        "from_json": lambda data: RecurrentSpec.from_json(json.dumps(data)),
        "call": lambda data: RecurrentSpec(**data),
    }
    try:
        spec = readers[read](data)
    except ValidationError:
        return
    assert RecurrentSpec.from_dict(spec.to_dict()) == spec
