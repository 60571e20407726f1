"""Twice as many layers, options or tensors take about twice as many function calls, not four times."""

import json
import sys
from collections import Counter

import pytest
import torch

from rnnkit import (
    RecurrentSpec,
    build_model,
    load_model,
    load_spec,
    override_spec,
    save_model,
    save_spec,
    spec_schema,
    summarize_spec,
    verify_model,
)
from rnnkit.errors import SpecFileError

FEW = 30
RATIO = 2.3
CELLS = {"lstm": {}, "gru_cell": {}, "sru": {}, "lstm_cell": {"options": {"learn_initial_state": True}}}


def spec_of(kind, layers):
    return RecurrentSpec(kind=kind, input_size=1, hidden_size=1, num_layers=layers, output_size=1, **CELLS[kind])


def model_action(what, kind):
    def prepare(count, path):
        spec, file = spec_of(kind, count), path / f"{count}.safetensors"
        model = build_model(spec)
        save_model(model, file)
        return {
            "build": lambda: build_model(spec),
            "save": lambda: save_model(model, file),
            "load": lambda: load_model(file),
            "verify": lambda: verify_model(file),
            "summarize": lambda: summarize_spec(spec, time=1),
        }[what]

    return prepare


def spec_file(suffix):
    def prepare(count, path):
        spec = RecurrentSpec(kind="gru_cell", input_size=1, hidden_size=(1,) * count, num_layers=count)
        file = path / f"{count}.{suffix}"

        def act():
            save_spec(spec, file)
            load_spec(file)

        return act

    return prepare


def unknown_options(count, path):
    file = path / f"{count}.json"
    options = {f"a{number:05}": 1 for number in range(10 * count)}
    file.write_text(json.dumps({"kind": "lstm", "input_size": 1, "hidden_size": 1, "options": options}))

    def act():
        with pytest.raises(SpecFileError) as raised:
            load_spec(file)
        assert len(str(raised.value)) < 5_000

    return act


def lines_of_problems(text):
    def prepare(count, path):
        file = path / f"{count}.toml"
        file.write_text(text * count)

        def act():
            with pytest.raises(SpecFileError, match=rf"{count}\.toml:\d+: "):
                load_spec(file)

        return act

    return prepare


def overrides(count, _path):
    spec, given = RecurrentSpec(kind="lstm", input_size=1, hidden_size=1), [f"options.a{i % 9}=1" for i in range(count)]

    def act():
        with pytest.raises(SpecFileError):
            override_spec(spec, [*given, *(f"b{i}=1" for i in range(count))])

    return act


ACTIONS = {
    **{f"{what} {kind}": model_action(what, kind) for what in ("build", "save", "load", "verify") for kind in CELLS},
    "summarize gru_cell": model_action("summarize", "gru_cell"),
    **{f"{suffix} file": spec_file(suffix) for suffix in ("json", "toml", "yaml")},
    "unknown options": unknown_options,
    "lines of tables": lines_of_problems("[[cells]]\na = 1\n"),
    "lines of arrays": lines_of_problems("[[cells]]\na = [\n1,\n[2]]\n"),
    "lines of strings": lines_of_problems("[[cells]]\na = '''\n\n'''\n"),
    "overrides": overrides,
    "schema": lambda _count, _path: spec_schema,
}


def calls_of(action):
    """Return how often each function is called."""
    found = Counter()

    def note(frame, event, argument):
        if event in ("call", "c_call"):
            found[frame.f_code.co_qualname if event == "call" else argument.__qualname__] += 1

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.parametrize("name", ACTIONS)
def test_calls_grow_with_the_input(name, tmp_path):
    actions = [ACTIONS[name](count, tmp_path) for count in (FEW, 2 * FEW, 4 * FEW)]
    for action in actions:
        action()  # which imports modules and fills caches
    small, medium, large = (calls_of(action) for action in actions)
    assert large.total() < RATIO * medium.total() < RATIO**2 * small.total()
    assert {
        each: (small[each], medium[each], large[each]) for each in large if is_slow(each, small, medium, large)
    } == {}


def is_slow(function, small, medium, large):
    """Return whether the calls of a function grow faster than the input; both steps are twice as much of it."""
    earlier = max(medium[function] - small[function], small[function])
    return large[function] > 1_000 and large[function] - medium[function] > 1.5 * RATIO * earlier


def test_no_name_is_searched_among_the_names_of_all_layers(tmp_path, monkeypatch):
    """`nn.RNNBase.__setattr__` searches a list, in a call that a count of calls does not show."""
    searched = []
    original = torch.nn.RNNBase.__setattr__

    def setattr_and_note(self, name, value):
        if name.startswith(("weight", "bias_")):
            searched.append(name)
        original(self, name, value)

    monkeypatch.setattr(torch.nn.RNNBase, "__setattr__", setattr_and_note)
    save_model(build_model(spec_of("lstm", 3)), tmp_path / "model.safetensors")
    load_model(tmp_path / "model.safetensors")
    assert verify_model(tmp_path / "model.safetensors").ok
    assert searched == []
    torch.nn.LSTM(1, 1)
    assert len(searched) == 4
