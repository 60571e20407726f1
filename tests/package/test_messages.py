"""Messages have an end: those that list names end after twenty."""

import ast
import json
import re

import pandas as pd
import pytest
from pydantic import ValidationError

from rnnkit import Kind, Options, RecurrentSpec, build_model, override_spec, register_kind, resolve_kind, summarize_spec
from rnnkit._messages import describe_exception, join_names, join_quoted
from rnnkit.catalog.discovery import READOUTS, Candidate
from rnnkit.catalog.resolution import Provider, unknown
from rnnkit.cli.command import error_text
from rnnkit.compare import compare, tasks
from tests.package.test_process_wide_calls import ROOT, python_files

NAMES = [f"n{index}" for index in range(1022)]


@pytest.mark.parametrize(
    ("count", "end"), [(0, ""), (1, "n0"), (20, "n18, n19"), (21, "n19 and 1 more"), (1022, "n19 and 1,002 more")]
)
def test_names_end_after_twenty(count, end):
    assert join_names(iter(NAMES[:count])).endswith(end)
    assert len(re.findall(r"n\d+", join_names(NAMES[:count]))) == min(count, 20)


def test_quoted_names_end_after_twenty():
    assert join_quoted(NAMES[:3]) == "'n0', 'n1' and 'n2'"
    assert join_quoted(NAMES[:20]).endswith("'n18' and 'n19'")
    assert join_quoted(NAMES[:25]).endswith("'n18', 'n19' and 5 more")


def test_the_installed_readouts_end_after_twenty():
    everything = [
        Provider(Candidate(name, "rnnkit", "module", category=READOUTS), "not loaded") for name in sorted(NAMES)
    ]
    assert "n1014 and 1,002 more." in unknown("mine", everything, [], READOUTS).reason


# Errors about thousands of things, or about long ones

COUNT, LONG = 5_000, "x" * 1_000_000
SPEC = {"kind": "lstm", "input_size": 1, "hidden_size": 1}


def spec(**fields):
    return RecurrentSpec(**{**SPEC, **fields})


def numbered(prefix=""):
    return {f"{prefix}{number}": 1 for number in range(COUNT)}


def kind_of(name, builder):
    return Kind(name=name, builder=builder, options=Options, summary="A test.", equation="", papers=())


def builder_with_notes(*_args, **_kwargs):
    error = RuntimeError(LONG)
    for number in range(COUNT):
        error.add_note(f"note {number}")
    raise error


def summarize_with_notes():
    with register_kind(kind_of("noted", builder_with_notes)):
        summarize_spec(spec(kind="local/noted"))


ERRORS = {
    "unknown options": lambda: spec(options=numbered("a")),
    "unknown fields": lambda: spec(**numbered("a")),
    "unknown fields of JSON": lambda: RecurrentSpec.from_json(json.dumps(SPEC | numbered("a"))),
    "sizes": lambda: spec(hidden_size=(0,) * COUNT, num_layers=COUNT),
    "cells": lambda: spec(kind="mixed", options={"cells": ["none"] * COUNT}),
    "name of a field": lambda: spec(**{LONG: 1}),
    "name of an option": lambda: spec(options={LONG: 1}),
    "name of a kind": lambda: spec(kind=LONG),
    "name of a kind of a distribution": lambda: spec(kind=f"a/{LONG}"),
    "name of a local kind": lambda: spec(kind=f"local/{LONG}"),
    "name of a distribution": lambda: spec(kind=f"{LONG}/a"),
    "name of a readout": lambda: spec(readout=f"rnnkit/{LONG}"),
    "name of a registered kind": lambda: register_kind(kind_of(LONG, 1)),
    "same overrides": lambda: override_spec(spec(), ["a=1"] * COUNT),
    "overrides": lambda: override_spec(spec(), numbered("a=")),
    "name in an override": lambda: override_spec(spec(), [f"{LONG}=1"]),
    "engine of a comparison": lambda: compare(["gru"], ["adding"], engine=LONG),
    "task of a comparison": lambda: compare(["gru"], [LONG]),
    "settings of a task": lambda: compare(["gru"], [f"adding({LONG})"]),
    "column of a table": lambda: tasks.from_frame(pd.DataFrame({"a": [1]}), target=LONG, group=None),
    "exception with notes": summarize_with_notes,
    "builder": lambda: build_model(spec(kind="local/wide")),
}


@pytest.fixture
def _wide():
    with register_kind(kind_of("wide", lambda *_args, **_kwargs: LONG)):
        yield


@pytest.mark.usefixtures("_wide")
@pytest.mark.parametrize("name", ERRORS)
def test_errors_have_an_end(name):
    with pytest.raises(Exception, match=r".") as raised:
        ERRORS[name]()
    assert len(error_text(raised.value)) < 10_000
    assert len(describe_exception(raised.value)) < 2_100


def test_an_error_of_a_spec_says_how_many_more_problems_there_are():
    with pytest.raises(ValidationError) as raised:
        spec(options=numbered("a"))
    *first, last = raised.value.errors()
    assert [each["loc"] for each in first] == [("options", f"a{number}") for number in range(20)]
    assert last["msg"] == "and 4,980 more problems"


# Names that could control the terminal

ODD = "\x1b[2J\x1b]0;\x07\u202e\x85\n"
ODD_NAMES = {
    "field": lambda: spec(**{ODD: 1}),
    "option": lambda: spec(options={ODD: 1}),
    "value": lambda: spec(options={"recurrent_init": ODD}),
    "kind": lambda: spec(kind=ODD),
    "kind of a distribution": lambda: spec(kind=f"a/{ODD}"),
    "distribution": lambda: spec(kind=f"{ODD}/a"),
    "readout": lambda: spec(readout=ODD),
    "override": lambda: override_spec(spec(), [f"{ODD}=1"]),
    "value of an override": lambda: override_spec(spec(), [f"hidden_size={ODD}"]),
    "registered kind": lambda: register_kind(kind_of(ODD, 1)),
}


@pytest.mark.parametrize("name", ODD_NAMES)
def test_errors_have_no_control_characters(name):
    with pytest.raises(Exception, match=r".") as raised:
        ODD_NAMES[name]()
    assert str(raised.value).replace("\n", "").isprintable()


@pytest.mark.parametrize("name", [ODD, f"a/{ODD}", f"{ODD}/a"])
def test_resolutions_have_no_control_characters(name):
    assert str(resolve_kind(name)).isprintable()


# A rule for the code

JOINS = {  # of fixed length
    ("registry/rnnkit/catalog/hook_validation.py", "', '.join(expected)"): "the arguments of a hook",
    ("plugins/rnnkit-kernels/rnnkit_kernels/_library.py", "', '.join(supported)"): "instruction sets",
}


def is_message(node):
    called = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
    return isinstance(node, ast.Raise) or re.search(r"(Error|Problem|_error|^warn|^assert_true|^skip_unless)$", called)


def is_join(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join"


def has_an_end(join):
    text = ast.unparse(join)
    return text.startswith(("'.'.join", "' '.join(message.splitlines")) or "first_lines(" in text or "[:" in text


def joins(source):
    messages = [node for node in ast.walk(ast.parse(source)) if is_message(node)]
    return {ast.unparse(node) for message in messages for node in ast.walk(message) if is_join(node)}, len(messages)


def test_messages_join_names_by_a_function_that_ends_after_twenty():
    found, checked = set(), 0
    for path in python_files():
        texts, count = joins(path.read_text("utf-8"))
        found |= {
            (path.relative_to(ROOT).as_posix(), text) for text in texts if not has_an_end(ast.parse(text).body[0])
        }
        checked += count
    assert checked > 600
    assert found == JOINS.keys()


def test_joins_without_an_end_are_found():
    assert joins("raise ValueError(f\"a {', '.join(names)}\")") == ({"', '.join(names)"}, 2)
