"""Specs as files."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError

from rnnkit._messages import describe_exception, short_repr
from rnnkit._version import __version__
from rnnkit.errors import AmbiguousKindError, BlockedKindError, SpecFileError, UnknownKindError
from rnnkit.files.atomic_write import atomic_write
from rnnkit.files.problem import FileProblem
from rnnkit.files.spec import formats
from rnnkit.files.spec.document import Document, FormatError
from rnnkit.files.spec.origin import Origin
from rnnkit.files.spec.spec_making import make_spec, parse_overrides, refusal
from rnnkit.options import plain_defaults
from rnnkit.specs import DistributionPin, RecurrentSpec, UnresolvedOptions, excess, obstacles, plugin_of

FORMAT_VERSION = 1
CHECKPOINT = ".safetensors"
_HEADER = ("$schema", "format_version", "plugin")  # what a file has beside the fields; `$schema` is for editors


def load_spec(
    path: str | os.PathLike[str], *, overrides: Iterable[str] = (), allow_unresolved: bool = False
) -> RecurrentSpec[Any]:
    """The spec of a file that `save_spec` wrote, or somebody by hand: JSON, TOML or YAML, by its suffix.

    ```yaml
    kind: lstm
    input_size: 10
    hidden_size: 20
    options:
      proj_size: 5
    ```

    Fields that are left out take their defaults. Of a model that `save_model` wrote (`.safetensors`), its spec. Nothing
    in a file is ever executed or imported, but for the plugin of its kind, which is one that is installed.

    Args:
        path: ends in .json, .toml, .yaml, .yml or .safetensors; has 1 MiB and 10,000 values at most.
        overrides: `KEY=VALUE`, which go before what the file says, as in `override_spec`.
        allow_unresolved: whether the kind may be one that cannot be had here, since its plugin is not installed, turned
            off or broken. Its options are kept then as they are, and `build_model` says what to install.

    Raises:
        SpecFileError: the file or an override is not valid; lists all that is wrong, with lines.
        BlockedKindError, AmbiguousKindError, PluginError: as from making a spec.
        CheckpointError: a `.safetensors` file has no spec, or is damaged.
        OSError: the file cannot be read, as from `open`.
    """
    file = os.fspath(path)
    document = _document(file)
    fields, header = _divided(document.data)
    assignments, problems = parse_overrides(overrides, file)
    origin = Origin(file, document.line_of, assignments, noted_plugin=_plugin(header))
    problems += [origin.problem((name,), message, short_repr(header[name])) for name, message in _wrong_header(header)]
    return make_spec(fields, origin, problems, allow_unresolved=allow_unresolved)


def save_spec(spec: RecurrentSpec[Any], path: str | os.PathLike[str]) -> None:
    """Write a spec to a file that `load_spec` reads: JSON, TOML or YAML, by its suffix.

    The file has every field, and who provides the kind. It is written wholly or not at all: whoever reads it meanwhile
    finds the old file or the new one. What an editor wrote into the old one, comments included, is lost.

    Args:
        spec: also one whose kind cannot be had here.
        path: ends in .json, .toml, .yaml or .yml; an older file there is replaced.

    Raises:
        SpecFileError: the suffix is none of these, or the spec holds what a file cannot.
        OSError: the file cannot be written, as from `open`.
    """
    file = os.fspath(path)
    suffix = _suffix(file, formats.SUFFIXES)
    data = _file_data(spec, file)
    if suffix == ".toml":  # has no null
        _drop_default_nulls(data, spec)
    try:
        content = formats.write_document(data, suffix)
    except FormatError as error:
        raise _refusal(file, error) from error
    with atomic_write(file) as temporary:
        temporary.write_bytes(content)


def _document(file: str) -> Document:
    """What a file says.

    Raises:
        SpecFileError: it is in none of the formats, holds no mapping, or is of a later version.
    """
    suffix = _suffix(file, (*formats.SUFFIXES, CHECKPOINT))
    try:
        document = _document_of_model(file) if suffix == CHECKPOINT else formats.read_document(_content(file), suffix)
        _check(document)
    except FormatError as error:
        raise _refusal(file, error) from None
    return document


def _content(file: str) -> bytes:
    """The bytes of a file; of one that is too large one more than it may have."""
    with Path(file).open("rb") as opened:
        return opened.read(formats.LARGEST + 1)


def _document_of_model(file: str) -> Document:
    from rnnkit.files.checkpoint.header import read_spec_data

    return Document(read_spec_data(file))


def _check(document: Document) -> None:
    """Refuse what holds no fields, or those of a later version."""
    if message := excess(document.data):
        raise FormatError(message)
    if not isinstance(document.data, dict):
        what = "is empty" if document.data is None else f"holds {short_repr(document.data)}"
        raise FormatError(f"It {what}, but should hold the fields of a spec, such as kind: lstm")
    version = document.data.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        path = ("format_version",)
        message = f"Version {version} is newer than the {FORMAT_VERSION} that rnnkit {__version__} reads: update rnnkit"
        raise FormatError(message, line=document.line_of(path), path=path)


def _divided(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of the spec, and what a file has beside them."""
    return (
        {name: value for name, value in data.items() if name not in _HEADER},
        {name: value for name, value in data.items() if name in _HEADER},
    )


def _wrong_header(header: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong beside the fields: the key, and the rule."""
    version = header.get("format_version", FORMAT_VERSION)
    if isinstance(version, bool) or version != FORMAT_VERSION:
        yield "format_version", f"Input should be {FORMAT_VERSION}"
    if "plugin" in header and _plugin(header) is None:
        yield "plugin", "Input should be name and version of a distribution, such as 'rnnkit-mgu==0.1.0'"


def _plugin(header: Mapping[str, Any]) -> str | None:
    """Who provides the kind, as the file says; None: it does not, or it is not understood."""
    try:
        return str(DistributionPin.parse(header["plugin"]))
    except (KeyError, AttributeError, ValueError):
        return None


def _file_data(spec: RecurrentSpec[Any], file: str) -> dict[str, Any]:
    """What the file of a spec says.

    Raises:
        SpecFileError: it is no spec, or holds what no file can hold.
    """
    if not isinstance(spec, RecurrentSpec):
        raise SpecFileError(f"save_spec takes a RecurrentSpec, but got a {type(spec).__name__}")
    try:
        fields = spec.to_dict()
    except PydanticSerializationError as error:
        raise _refusal(file, FormatError(f"The spec is not made of plain data: {describe_exception(error)}")) from error
    problems = [Origin(file).problem(*obstacle) for obstacle in obstacles(fields)]
    if problems:
        raise refusal(problems)
    plugin = _provider(spec)
    return {"format_version": FORMAT_VERSION, **({} if plugin is None else {"plugin": plugin}), **fields}


def _provider(spec: RecurrentSpec[Any]) -> str | None:
    if isinstance(spec.options, UnresolvedOptions):
        return spec.options.plugin
    with suppress(AmbiguousKindError, BlockedKindError, UnknownKindError):  # it is gone since the spec was made
        return plugin_of(spec.kind)
    return None


def _drop_default_nulls(data: dict[str, Any], spec: RecurrentSpec[Any]) -> None:
    """Leave out what is None by default."""
    _drop_nulls(data["options"], plain_defaults(type(spec.options)))
    _drop_nulls(data, {field.name: field.default for field in dataclasses.fields(RecurrentSpec)})


def _drop_nulls(values: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    for name in [name for name, value in values.items() if value is None and defaults.get(name, ...) is None]:
        del values[name]


def _suffix(file: str, known: Sequence[str]) -> str:
    """The suffix of a file, in lower case.

    Raises:
        SpecFileError: it is not known.
    """
    suffix = Path(file).suffix.lower()
    if suffix not in known:
        instead = ": to save a model, use save_model" if suffix == CHECKPOINT else ""
        raise _refusal(file, FormatError(f"The name of a file for this should end in {' or '.join(known)}{instead}"))
    return suffix


def _refusal(file: str, error: FormatError) -> SpecFileError:
    return refusal([FileProblem(file, error.line, ".".join(error.path), error.message)])


def override_spec(spec: RecurrentSpec[Any], overrides: Iterable[str]) -> RecurrentSpec[Any]:
    """A spec with other values, each as `KEY=VALUE`.

    ```python
    override_spec(spec, ["hidden_size=64", "options.nonlinearity=relu", "output_size=null"])
    ```

    A value is read as YAML 1.2 reads it: `64`, `1e-3`, `true`, `null`, `[64, 32]`, `{a: 1}`. Whatever is none of these
    is text, and so is `12` for a field that takes only text. `kind=gru` drops the options that have the defaults of the
    kind before; others stay, and are refused if the new kind has none of their name.

    Args:
        spec: stays as it is.
        overrides: applied one after the other.

    Raises:
        SpecFileError: an override is not of this form, or the spec would not be valid; lists all that is wrong.
        BlockedKindError, AmbiguousKindError, PluginError: as from making a spec.
    """
    plugin = spec.options.plugin if isinstance(spec.options, UnresolvedOptions) else None
    assignments, problems = parse_overrides(overrides, "spec")
    origin = Origin("spec", assignments=assignments, noted_plugin=plugin)
    stays_unresolved = isinstance(spec.options, UnresolvedOptions) and not origin.assigns_kind
    return make_spec(spec.to_dict(), origin, problems, allow_unresolved=stays_unresolved)
