"""The record of the kind, its name and its options."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from rnnkit import (
    RecurrentSpec,
    build_model,
    describe_options,
    get_kind,
    list_kinds,
    load_spec,
    resolve_kind,
    save_spec,
)
from rnnkit._messages import dotted, join_names, short_repr
from rnnkit.equation import Equation, MalformedEquationError, UnreadableEquationError
from rnnkit.kind import Kind, Paper
from rnnkit.testing._check import CheckFailedError, check
from rnnkit.testing._context import CheckContext
from rnnkit.testing._raised_at import describe_raised
from rnnkit.testing.kind_under_test import is_importable

_SECOND_SENTENCE = re.compile(r"\w{3}[.!?] +[A-Z]")
_PYTHON = re.compile(
    r"\*\*|@|\b(?:torch|self|np|math)\.|\bF\.[a-z]"
    r"|(?<![\\A-Za-z_{])(?:tanh|sigmoid|exp|log|relu|sqrt)\b"  # functions without a backslash
)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_MIN_YEAR = 1800
_SUFFIXES = ("yaml", "toml", "json")
_Spec = RecurrentSpec[Any]
_INVALID_VALUES: tuple[Any, ...] = (None, True, 7, 0.5, "no such value", ["no such value"], {"no such": "value"})


@check("registration")
def name_resolves_to_kind(context: CheckContext) -> None:
    """The kind is listed, and its names resolve to it, before and after building a model.

    Another record of the same name is registered later, for example by a builder that calls `register_kind`.
    """
    _check_names(context, "")
    build_model(context.kind.spec())
    _check_names(context, "after building a model, ")


def _check_names(context: CheckContext, when: str) -> None:
    name, record = context.kind.name, context.kind.record
    context.assert_true(name in list_kinds(), f"{when}list_kinds() does not contain {name!r}")
    context.assert_true(get_kind(name) is record, f"{when}get_kind({name!r}) returns another record")
    chosen = resolve_kind(name).require()
    context.assert_true(chosen.bare_name == record.name, f"{when}the record of {name!r} is named {record.name!r}")
    used = context.kind.spec().kind
    context.assert_true(used == name, f"{when}a spec of {name!r} has kind={used!r}")
    bare = resolve_kind(record.name)
    found = bare.chosen.name if bare.chosen else None
    if len(bare.providers) > 1:
        context.figures["bare name"] = f"resolves to {found or 'none of several kinds'}"
    else:
        context.assert_true(found == name, f"{when}the bare name {bare.asked!r} resolves to {found!r}")


@check("registration")
def record_is_complete(context: CheckContext) -> None:
    """The record has a valid summary, documented options and, if given, a valid equation and papers.

    A field is missing, or the LaTeX of the equation is not in a raw string, r"...".
    """
    record = context.kind.record
    keywords = _keyword_problems(record.keywords)
    texts = [*_summary_problems(record.summary), *keywords, *_equation_problems(record.equation)]
    papers = [problem for paper in record.papers for problem in _paper_problems(paper)]
    problems = [*texts, *papers, *_note_problems(record.notes), *_option_problems(record)]
    context.assert_true(not problems, join_names(problems, "; "))
    for part in ("equation", "papers"):
        if not getattr(record, part):
            context.figures[part] = "not given"


def _summary_problems(summary: Any) -> Iterator[str]:
    if not isinstance(summary, str) or not summary.strip():
        yield f"the summary must be a sentence, but is {summary!r}"
        return
    rules = {
        "be on one line, without spaces around it, but is": "\n" in summary or summary != summary.strip(),
        "end with a period, but is": not summary.endswith("."),
        "be one sentence, but is": _SECOND_SENTENCE.search(summary),
    }
    yield from (f"the summary must {rule} {summary!r}" for rule, broken in rules.items() if broken)


def _keyword_problems(keywords: Any) -> Iterator[str]:
    if not isinstance(keywords, tuple):
        yield f"keywords must be a tuple of strings, but is {keywords!r}"
        return
    for word in keywords:  # of one character, if a string was given instead of a sequence
        if not isinstance(word, str) or len(word) < 2 or word != " ".join(word.split()):
            yield f"each keyword must be two or more characters on one line, without outer spaces, but one is {word!r}"


def _equation_problems(equation: str) -> Iterator[str]:
    for line in (each.lstrip(" \t").rstrip() for each in equation.split("\n")):
        if found := _CONTROL.search(line):
            yield f'the equation has {found[0]!r} in {line!r}: the backslash was an escape, use a raw string r"..."'
        if found := _PYTHON.search(line):
            yield f"the equation must be LaTeX, but contains {found[0]!r} in {line!r}"
    opening, closing = (len(re.findall(rf"(?<!\\){brace}", equation)) for brace in "{}")
    if opening != closing:
        yield f"the equation has {opening} opening braces, but {closing} closing braces"
    elif error := _malformed(equation):
        yield f"the equation is not complete: {error}"


def _malformed(equation: str) -> MalformedEquationError | None:
    try:
        Equation(equation)
    except MalformedEquationError as error:
        return error
    except UnreadableEquationError:  # valid LaTeX may contain symbols that rnnkit does not know
        return None
    return None


def _note_problems(notes: tuple[str, ...]) -> Iterator[str]:
    for note in notes:
        if not isinstance(note, str) or not note.strip().endswith("."):
            yield f"each note must be a sentence that ends with a period, but one is {note!r}"


def _paper_problems(paper: Paper) -> Iterator[str]:
    title, authors, year, link, _ = paper
    for name, text in (("title", title), ("authors", authors)):
        if not isinstance(text, str) or not text.strip():
            yield f"the {name} of the paper must be a nonempty string, but is {text!r}"
    if type(year) is not int or not _MIN_YEAR <= year <= datetime.now(UTC).year + 1:
        yield f"the year of the paper must be a year of publication, but is {year!r}"
    if not isinstance(link, str) or urlsplit(link).scheme != "https" or not urlsplit(link).netloc or " " in link:
        yield f"the link to the paper must start with https://, but is {link!r}"


def _option_problems(record: Kind) -> Iterator[str]:
    for option in describe_options(record.options):
        if not option.text.strip():
            yield f"{record.options.__name__}.{option.name} has no documentation: add a string below the field"


@check("registration")
def spec_round_trip(context: CheckContext) -> None:
    """Dictionaries, JSON, YAML, TOML and pickle restore a spec that is equal and has the same hash.

    A validator of an option is not idempotent, or an option has a type that cannot be serialized.
    """
    with TemporaryDirectory() as folder:
        for case in context.cases():
            for method, round_trip in _round_trips(context, Path(folder)).items():
                spec = round_trip(case.spec)
                context.assert_true(spec == case.spec, f"after {method}, the spec is {spec!r}")
                context.assert_true(hash(spec) == hash(case.spec), f"after {method}, the spec has another hash")


def _round_trips(context: CheckContext, folder: Path) -> dict[str, Callable[[_Spec], _Spec]]:
    found: dict[str, Callable[[_Spec], _Spec]] = {
        "to_dict and from_dict": lambda spec: RecurrentSpec.from_dict(spec.to_dict()),
        "the json module": lambda spec: RecurrentSpec.from_dict(json.loads(json.dumps(spec.to_dict()))),
        "to_json and from_json": lambda spec: RecurrentSpec.from_json(spec.to_json()),
        "its repr": lambda spec: eval(repr(spec), {"RecurrentSpec": RecurrentSpec}),  # noqa: S307  # the spec's own repr
        "pickle": lambda spec: pickle.loads(pickle.dumps(spec)),  # noqa: S301  # dumped on the same line
        **{f"a {suffix} file": partial(_through_file, folder / f"spec.{suffix}") for suffix in _SUFFIXES},
    }
    if context.kind.is_local and not is_importable(context.kind.record.options):  # allowed in this process only
        context.figures["pickle"] = "the options class is defined in a function"
        del found["pickle"]
    return found


def _through_file(path: Path, spec: _Spec) -> _Spec:
    save_spec(spec, path)
    return load_spec(path)


@check("registration")
def options_are_validated(context: CheckContext) -> None:
    """Creating a spec with an invalid option raises a ValidationError that names the option.

    A field of the options class accepts any value, or a validator raises something other than ValueError.
    """
    context.assert_true(_is_rejected(context, "no_such_option", 1), "an unknown option is accepted")
    for field in fields(context.kind.record.options):
        context.assert_true(_is_rejected(context, field.name, object()), f"options.{field.name} accepts any object")
        for value in _INVALID_VALUES:
            _is_rejected(context, field.name, value)  # or accepted, if the value is valid
        _check_frozen(context, field.name)


def _is_rejected(context: CheckContext, name: str, value: Any) -> bool:
    given = f"options.{name}={short_repr(value)}"
    try:
        context.kind.spec(options={name: value})
    except ValidationError as error:
        # A rule between several options may name them in its message.
        lines = [f"{dotted(line['loc'])}: {line['msg']}" for line in error.errors()]
        named = any(re.search(rf"\b{re.escape(name)}\b", line) for line in lines)
        context.assert_true(named, f"{given} is rejected, but the error is about {join_names(lines, '; ')}")
        return True
    except Exception as error:
        raise CheckFailedError(f"{given} raised {describe_raised(error)}, not a ValidationError") from error
    return False


def _check_frozen(context: CheckContext, name: str) -> None:
    options = context.kind.spec().options
    before = getattr(options, name)
    with suppress(Exception):
        setattr(options, name, object())
    context.assert_true(getattr(options, name) is before, f"options.{name} can be assigned, but options must be frozen")
