"""What a kind promises of its record, its name and its options."""

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
    Kind,
    Paper,
    RecurrentSpec,
    build_model,
    describe_options,
    get_kind,
    list_kinds,
    load_spec,
    resolve_kind,
    save_spec,
)
from rnnkit._messages import describe_exception, short_repr
from rnnkit.testing.check import CheckFailedError, check
from rnnkit.testing.check_context import CheckContext
from rnnkit.testing.picklable import has_global_name

_LONGEST = 100  # characters of a summary, which stands in tables
_SECOND_SENTENCE = re.compile(r"\w{3}[.!?] +[A-Z]")
_PYTHON = re.compile(
    r"\*\*|@|\b(?:torch|self|np|math)\.|\bF\.[a-z]"
    r"|(?<![\\A-Za-z_{])(?:tanh|sigmoid|exp|log|relu|sqrt)\b"  # functions without a backslash
)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_FIRST_YEAR = 1800
_SUFFIXES = ("yaml", "toml", "json")
_OF_EACH_TYPE: tuple[Any, ...] = (None, True, 7, 0.5, "no such value", ["no such value"], {"no such": "value"})


@check("registration")
def name_leads_to_the_kind(context: CheckContext) -> None:
    """The kind is listed, and its names stand for it, before it is built and after.

    Another record of the name is registered later, as by a builder that calls `register_kind`.
    """
    _check_names(context, "")
    build_model(context.kind_under_test.spec())
    _check_names(context, "after one is built, ")


def _check_names(context: CheckContext, when: str) -> None:
    name, record = context.kind_under_test.name, context.kind_under_test.record
    context.that(name in list_kinds(), f"{when}list_kinds() does not have {name!r}")
    context.that(get_kind(name) is record, f"{when}get_kind({name!r}) is another record")
    chosen = resolve_kind(name).require()
    context.that(chosen.kind == record.name, f"{when}the record of {name!r} has the name {record.name!r}")
    context.that(
        context.kind_under_test.spec().kind == name,
        f"{when}a spec of {name!r} says {context.kind_under_test.spec().kind!r}",
    )
    _check_bare_name(context, when)


def _check_bare_name(context: CheckContext, when: str) -> None:
    bare = resolve_kind(context.kind_under_test.record.name)
    if len(bare.providers) > 1:
        context.figures["bare name"] = f"stands for {bare.chosen.name if bare.chosen else 'none of several'}"
        return
    found = bare.chosen.name if bare.chosen else None
    context.that(found == context.kind_under_test.name, f"{when}the bare name {bare.asked!r} stands for {found!r}")


@check("registration")
def record_is_complete(context: CheckContext) -> None:
    """The record says what people want to know of the kind: a summary, what its options mean; and nothing wrong.

    A field was left out, or the LaTeX of the equation does not stand in a raw string, which starts with r.
    """
    record = context.kind_under_test.record
    problems = [
        *_problems_of_summary(record.summary),
        *_problems_of_equation(record.equation),
        *_problems_of_paper(record.paper),
        *_problems_of_options(record),
    ]
    context.that(not problems, "; ".join(problems))
    for part in ("equation", "paper"):
        if not getattr(record, part):
            context.figures[part] = "none is given"


def _problems_of_summary(summary: Any) -> Iterator[str]:
    if not isinstance(summary, str) or not summary.strip():
        yield f"the summary must be a sentence, but is {summary!r}"
        return
    if "\n" in summary or summary != summary.strip():
        yield f"the summary must be on one line, without spaces around it, but is {summary!r}"
    if not summary.endswith("."):
        yield f"the summary must end with a period, but is {summary!r}"
    if len(summary) > _LONGEST:
        yield f"the summary must have {_LONGEST} characters at most, but has {len(summary)}: {summary!r}"
    if _SECOND_SENTENCE.search(summary):
        yield f"the summary must be one sentence, but is {summary!r}"


def _problems_of_equation(equation: str) -> Iterator[str]:
    for line in (each.lstrip(" \t").rstrip() for each in equation.split("\n")):
        if found := _CONTROL.search(line):
            yield f'the equation has {found[0]!r} in {line!r}, where a backslash was taken for an escape: write r"..."'
        if found := _PYTHON.search(line):
            yield f"the equation must be LaTeX, but has {found[0]!r} in {line!r}"
    opening, closing = (len(re.findall(rf"(?<!\\){brace}", equation)) for brace in "{}")
    if opening != closing:
        yield f"the equation has {opening} opening braces, but {closing} closing ones"


def _problems_of_paper(paper: Paper | None) -> Iterator[str]:
    if paper is None:
        return
    title, authors, year, link = paper
    for name, text in (("title", title), ("authors", authors)):
        if not isinstance(text, str) or not text.strip():
            yield f"the {name} of the paper must be words, but are {text!r}"
    if type(year) is not int or not _FIRST_YEAR <= year <= datetime.now(UTC).year + 1:
        yield f"the year of the paper must be that of a publication, but is {year!r}"
    if not isinstance(link, str) or urlsplit(link).scheme != "https" or not urlsplit(link).netloc or " " in link:
        yield f"the link to the paper must start with https://, but is {link!r}"


def _problems_of_options(record: Kind) -> Iterator[str]:
    for option in describe_options(record.options):
        if not option.text.strip():
            yield f"{record.options.__name__}.{option.name} has no documentation: add a string below the field"


@check("registration")
def specs_survive_files(context: CheckContext) -> None:
    """A spec comes back from dictionaries, JSON, YAML, TOML and pickle as it was, and has the same hash.

    A validator of an option changes what it has made before, or an option is of a type that files do not have.
    """
    with TemporaryDirectory() as folder:
        for case in context.cases():
            for way, through in _ways(Path(folder)).items():
                if way == "pickle" and _has_options_out_of_reach(context):
                    context.figures[way] = "the class of the options was made in a function"
                    continue
                spec = through(case.spec)
                context.that(spec == case.spec, f"after {way} the spec is {spec!r}")
                context.that(hash(spec) == hash(case.spec), f"after {way} the spec has another hash")


def _ways(folder: Path) -> dict[str, Callable[[RecurrentSpec[Any]], RecurrentSpec[Any]]]:
    return {
        "to_dict and from_dict": lambda spec: RecurrentSpec.from_dict(spec.to_dict()),
        "the json module": lambda spec: RecurrentSpec.from_dict(json.loads(json.dumps(spec.to_dict()))),
        "to_json and from_json": lambda spec: RecurrentSpec.from_json(spec.to_json()),
        "its repr": lambda spec: eval(repr(spec), {"RecurrentSpec": RecurrentSpec}),  # noqa: S307  # of this very spec
        "pickle": lambda spec: pickle.loads(pickle.dumps(spec)),  # noqa: S301  # from one line before
        **{f"a {suffix} file": partial(_through_file, folder / f"spec.{suffix}") for suffix in _SUFFIXES},
    }


def _through_file(path: Path, spec: RecurrentSpec[Any]) -> RecurrentSpec[Any]:
    save_spec(spec, path)
    return load_spec(path)


def _has_options_out_of_reach(context: CheckContext) -> bool:
    """Whether the options are of a class that was made in a function, which only a kind of this process may have."""
    return context.kind_under_test.is_local and not has_global_name(context.kind_under_test.record.options)


@check("registration")
def options_are_checked(context: CheckContext) -> None:
    """What no option can be is refused with a ValidationError that names it, when the spec is made.

    A validator of the class of options takes everything, or raises something else than a ValueError.
    """
    context.that(_is_refused(context, "no_such_option", 1), "an option that does not exist is taken")
    for field in fields(context.kind_under_test.record.options):
        context.that(_is_refused(context, field.name, object()), f"options.{field.name} takes any object")
        for value in _OF_EACH_TYPE:
            _is_refused(context, field.name, value)  # or not, if it is one that the field takes
        _check_frozen(context, field.name)


def _is_refused(context: CheckContext, name: str, value: Any) -> bool:
    try:
        context.kind_under_test.spec(options={name: value})
    except ValidationError as error:
        places = [".".join(map(str, line["loc"])) for line in error.errors()]
        named = any(name in place.split(".") for place in places)
        context.that(named, f"options.{name}={short_repr(value)} is refused, but the error is of {', '.join(places)}")
        return True
    except Exception as error:
        raise CheckFailedError(
            f"options.{name}={short_repr(value)} raised {describe_exception(error)}, no ValidationError"
        ) from error
    return False


def _check_frozen(context: CheckContext, name: str) -> None:
    options = context.kind_under_test.spec().options
    before = getattr(options, name)
    with suppress(Exception):
        setattr(options, name, object())
    context.that(getattr(options, name) is before, f"options.{name} can be set, but options must be frozen")
