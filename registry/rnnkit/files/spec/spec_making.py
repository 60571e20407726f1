"""From the data of a file and overrides to a spec, or to all that is wrong with them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from rnnkit.catalog import OWN
from rnnkit.errors import RnnkitError, SpecFileError
from rnnkit.files.problem import FileProblem
from rnnkit.files.spec.assignments import Assignment, assigned, conflicts
from rnnkit.files.spec.origin import Origin
from rnnkit.specs import DistributionPin, RecurrentSpec, UnresolvedOptions, obstacles


def parse_overrides(overrides: Iterable[str], file: str) -> tuple[list[Assignment], list[FileProblem]]:
    """The overrides that are `KEY=VALUE`, and what is wrong with the others."""
    if isinstance(overrides, str):
        raise SpecFileError(f"Overrides should be a list such as ['hidden_size=64'], but are the text {overrides!r}")
    assignments, problems = [], []
    for each in overrides:
        try:
            assignments.append(Assignment.parse(str(each)))
        except ValueError as error:
            problems.append(FileProblem(file, None, "", str(error), override=str(each)))
    clashes = [FileProblem(file, None, "", message, override=each.given) for each, message in conflicts(assignments)]
    return assignments, [*problems, *clashes]


def make_spec(
    data: Mapping[str, Any], origin: Origin, problems: Sequence[FileProblem] = (), *, allow_unresolved: bool = False
) -> RecurrentSpec[Any]:
    """The spec of the data, after the overrides.

    Args:
        data: the fields.
        origin: where they are from, and the overrides.
        problems: what is known to be wrong already.
        allow_unresolved: as in `RecurrentSpec.from_dict`.

    Raises:
        SpecFileError: anything is wrong; lists all of it.
        BlockedKindError, AmbiguousKindError, PluginError: as from making a spec; a note says where the kind stands.
    """
    known = [*problems, *_problems_of_data(data, origin)]
    try:
        spec = _make(data, origin.assignments, allow_unresolved)
    except ValidationError as error:
        found = [origin.problem_of(each) for each in error.errors(include_url=False, include_context=False)]
        told = {each.field for each in known}
        raise refusal([*known, *(each for each in found if each.field not in told)]) from None
    except RnnkitError as error:
        error.add_note(f"in {origin.problem(('kind',), '')}")
        raise
    known += [origin.problem(("plugin",), message) for message in _other_provider(spec, origin)]
    if known:
        raise refusal(known)
    return _with_provider(spec, origin)


def _problems_of_data(data: Mapping[str, Any], origin: Origin) -> Iterator[FileProblem]:
    """What is wrong whatever the fields of a spec are."""
    fields, misplaced = assigned(data, origin.assignments)
    for assignment, message in misplaced:
        yield origin.problem(assignment.path, message)
    yield from (origin.problem(*obstacle) for obstacle in obstacles(fields))


def _other_provider(spec: RecurrentSpec[Any], origin: Origin) -> Iterator[str]:
    """What to say if the kind here is not that of the distribution that the file names."""
    distribution, slash, _ = spec.kind.rpartition("/")
    if not slash and isinstance(spec.options, UnresolvedOptions):  # whose it is stands in the file alone
        return
    if origin.plugin is not None and DistributionPin.parse(origin.plugin).distribution != (distribution or OWN):
        yield f"The kind {spec.kind!r} is not provided by {origin.plugin}: correct one of them, or leave out the plugin"


def _with_provider(spec: RecurrentSpec[Any], origin: Origin) -> RecurrentSpec[Any]:
    if isinstance(spec.options, UnresolvedOptions):
        return dataclasses.replace(spec, options=spec.options.provided_by(origin.plugin))
    return spec


def _make(data: Mapping[str, Any], assignments: Sequence[Assignment], allow_unresolved: bool) -> RecurrentSpec[Any]:
    """A value that its field refuses counts as text, if the field takes that: `options.name=12`."""

    def made(values: Sequence[Assignment]) -> RecurrentSpec[Any]:
        return RecurrentSpec.from_dict(assigned(data, values)[0], allow_unresolved=allow_unresolved)

    try:
        return made(assignments)
    except ValidationError as error:
        texts = [each.as_text() if _refused(each, error) else each for each in assignments]
        if texts == list(assignments):
            raise
    try:
        return made(texts)
    except ValidationError as error:
        pairs = zip(assignments, texts, strict=True)
        return made([value if _refused(text, error) else text for value, text in pairs])


def _refused(assignment: Assignment, error: ValidationError) -> bool:
    """Whether a value is among those that are wrong."""
    return any(assignment.covers(tuple(map(str, line["loc"]))) for line in error.errors(include_url=False))


_MOST_SHOWN = 20


def refusal(problems: Iterable[FileProblem]) -> SpecFileError:
    """The error that lists problems, one on each line, in the order of the file; of very many the first."""
    every = tuple(sorted(problems, key=_place_in_order))
    more = [f"and {len(every) - _MOST_SHOWN:,} more problems"] if len(every) > _MOST_SHOWN else []
    return SpecFileError("\n".join([*map(str, every[:_MOST_SHOWN]), *more]), every)


def _place_in_order(problem: FileProblem) -> tuple[bool, float]:
    """The overrides come last, and what is on no line after what is on one."""
    return problem.override is not None, math.inf if problem.line is None else problem.line
