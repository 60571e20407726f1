"""Makes a spec from the data of a file and overrides, or reports all problems with their lines."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rnnkit._messages import dotted, first_lines, short_repr, shorten
from rnnkit.catalog import OWN, current_catalog
from rnnkit.errors import RnnkitError, SpecFileError
from rnnkit.files._problems import FileProblem
from rnnkit.files.spec._overrides import Override, apply_overrides, find_conflicts, prefixes
from rnnkit.specs import (
    DistributionPin,
    Path,
    RecurrentSpec,
    UnresolvedOptions,
    UnresolvedReadout,
    find_problems,
    install_hint,
    provider_elsewhere,
    spec_of_fields,
)

PLUGIN_KEYS = {"kind": "plugin", "readout": "readout_plugin"}  # of a file, by the field that a plugin provides


@dataclass(frozen=True)
class Origin:
    """Where the fields of a spec come from: a file and overrides.

    Attributes:
        file: the path as the caller gave it.
        line_of: returns the line of a value.
        overrides: the overrides, in order.
        plugins: the distributions that provide the `kind` and the `readout` according to the file, such as
            `rnnkit-nbrc==0.1.0`.
    """

    file: str
    line_of: Callable[[Path], int | None] = lambda _: None
    overrides: Sequence[Override] = ()
    plugins: Mapping[str, str | None] = field(default_factory=dict)

    def is_overridden(self, name: str) -> bool:
        """True if an override sets a field."""
        return any(each.path == (name,) for each in self.overrides)

    def plugin(self, name: str) -> str | None:
        """The distribution that provides the `kind` or the `readout`; None: unknown."""
        return None if self.is_overridden(name) else self.plugins.get(name)

    def problem(self, path: Path, message: str, value: str | None = None) -> FileProblem:
        """Return a problem of a value, attributed to the last override that set it, else to its line."""
        problem = FileProblem(self.file, None, dotted(path), shorten(" ".join(message.splitlines())), value)
        override = next((self._given[start] for start in prefixes(path) if start in self._given), None)
        return problem._replace(line=self.line_of(path)) if override is None else problem._replace(override=override)

    @cached_property
    def _given(self) -> dict[Path, str]:
        """The overrides as they were written, by their paths."""
        return {each.path: each.given for each in self.overrides}

    def problem_of(self, error: ErrorDetails) -> FileProblem:
        """Convert a line of a `ValidationError`."""
        path = tuple(map(str, error["loc"]))
        match error["type"]:
            case "missing":  # the field is on no line
                return self.problem(path, error["msg"])._replace(line=None)
            case "unknown_field":  # the problem is the name, not the value
                return self.problem(path, error["msg"])
            case "unknown_kind" | "unknown_readout":
                return self.problem(path, self._unknown_name_message(error))
            case _:
                return self.problem(path, error["msg"], short_repr(error["input"]))

    def _unknown_name_message(self, error: ErrorDetails) -> str:
        name, catalog, is_kind = error["input"], current_catalog(), error["type"] == "unknown_kind"
        plugin = self.plugin("kind" if is_kind else "readout")
        provider = provider_elsewhere(name, plugin)
        if provider is None:
            return error["msg"]
        index = catalog if is_kind else catalog.readouts
        message = error["msg"] if plugin is None else install_hint(provider, name, index)
        return f"{message.removesuffix('.')}; allow_unresolved=True loads the spec without its plugin"


def parse_overrides(overrides: Iterable[str], file: str) -> tuple[list[Override], list[FileProblem]]:
    """Parse overrides, and return the problems of the others."""
    if isinstance(overrides, str | Mapping):
        raise SpecFileError(f"Overrides should be a list such as ['hidden_size=64'], but are {short_repr(overrides)}")
    parsed, problems = [], []
    for each in overrides:
        try:
            parsed.append(Override.parse(str(each)))
        except ValueError as error:
            problems.append(FileProblem(file, None, "", str(error), override=str(each)))
    conflicts = [FileProblem(file, None, "", message, override=each.given) for each, message in find_conflicts(parsed)]
    return parsed, [*problems, *conflicts]


def make_spec(
    data: Mapping[str, Any], origin: Origin, problems: Sequence[FileProblem] = (), *, allow_unresolved: bool = False
) -> RecurrentSpec[Any]:
    """Make a spec from the fields of a file, after the overrides.

    Args:
        data: the fields.
        origin: where they come from, with the overrides.
        problems: problems that are known already.
        allow_unresolved: as in `RecurrentSpec.from_dict`.

    Raises:
        SpecFileError: lists all problems.
        BlockedKindError, AmbiguousKindError, PluginError: as from `RecurrentSpec`, with a note that has the line of the
            kind.
    """
    known = [*problems, *_data_problems(data, origin)]
    try:
        spec = _validated(data, origin.overrides, allow_unresolved)
    except ValidationError as error:
        found = [origin.problem_of(each) for each in error.errors(include_url=False, include_context=False)]
        reported = {each.field for each in known}
        raise spec_file_error([*known, *(each for each in found if each.field not in reported)]) from None
    except RnnkitError as error:
        error.add_note(f"in {origin.problem(('kind',), '')}")
        raise
    known += _plugin_problems(spec, origin)
    if known:
        raise spec_file_error(known)
    return _with_plugins(spec, origin)


def spec_file_error(problems: Iterable[FileProblem]) -> SpecFileError:
    """Return the error that lists problems, one on each line, in the order of the file; only the first of many."""
    ordered = tuple(sorted(problems, key=_order))
    return SpecFileError("\n".join(first_lines(map(str, ordered), "problem")), ordered)


def _order(problem: FileProblem) -> tuple[bool, float]:
    """By line, then problems without a line, then overrides."""
    return problem.override is not None, math.inf if problem.line is None else problem.line


def _data_problems(data: Mapping[str, Any], origin: Origin) -> Iterator[FileProblem]:
    """Problems that do not depend on the fields of a spec."""
    fields, misplaced = apply_overrides(data, origin.overrides)
    for override, message in misplaced:
        yield origin.problem(override.path, message)
    yield from (origin.problem(*each) for each in find_problems(fields))


def _plugin_problems(spec: RecurrentSpec[Any], origin: Origin) -> Iterator[FileProblem]:
    unresolved = {
        "kind": isinstance(spec.options, UnresolvedOptions),
        "readout": isinstance(spec.readout, UnresolvedReadout),
    }
    for name, key in PLUGIN_KEYS.items():
        value, plugin = getattr(spec, name), origin.plugin(name)
        distribution, slash, _ = value.rpartition("/")
        if plugin is None or (not slash and unresolved[name]):  # only the file says which plugin provides it
            continue
        if DistributionPin.parse(plugin).distribution != (distribution or OWN):
            shown = short_repr(str(value))
            message = f"The {name} {shown} is not provided by {plugin}: correct one of them, or remove the plugin"
            yield origin.problem((key,), message)


def _with_plugins(spec: RecurrentSpec[Any], origin: Origin) -> RecurrentSpec[Any]:
    changes: dict[str, Any] = {}
    if isinstance(spec.options, UnresolvedOptions):
        changes["options"] = dataclasses.replace(spec.options, plugin=origin.plugin("kind"))
    if isinstance(spec.readout, UnresolvedReadout):
        changes["readout"] = UnresolvedReadout(spec.readout, origin.plugin("readout"))
    return dataclasses.replace(spec, **changes) if changes else spec


def _validated(data: Mapping[str, Any], overrides: Sequence[Override], allow_unresolved: bool) -> RecurrentSpec[Any]:
    """Validate the fields; an override whose value its field refuses is tried as text: `options.name=12`."""

    def validate(values: Sequence[Override]) -> RecurrentSpec[Any]:
        return spec_of_fields(apply_overrides(data, values)[0], allow_unresolved=allow_unresolved)

    try:
        return validate(overrides)
    except ValidationError as error:
        invalid = _paths(error)
        texts = [each._replace(value=each.text) if each.path in invalid else each for each in overrides]
    try:
        return validate(texts)
    except ValidationError as error:
        invalid, pairs = _paths(error), zip(overrides, texts, strict=True)
        return validate([value if text.path in invalid else text for value, text in pairs])


def _paths(error: ValidationError) -> set[Path]:
    """The paths of the values that are wrong, and of those that they are in."""
    return {start for line in error.errors(include_url=False) for start in prefixes(tuple(map(str, line["loc"])))}
