"""Load, save and override specs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError

from rnnkit._messages import describe_exception, dotted, short_repr
from rnnkit._version import __version__
from rnnkit.errors import AmbiguousKindError, BlockedKindError, SpecFileError, UnknownKindError
from rnnkit.files._atomic_write import atomic_write
from rnnkit.files._onnx_metadata import read_onnx_metadata
from rnnkit.files._problems import FileProblem
from rnnkit.files.spec import _formats
from rnnkit.files.spec._formats import Document, FormatError
from rnnkit.files.spec._make_spec import PLUGIN_KEYS, Origin, make_spec, parse_overrides, spec_file_error
from rnnkit.options import plain_defaults
from rnnkit.specs import (
    DistributionPin,
    RecurrentSpec,
    UnresolvedOptions,
    UnresolvedReadout,
    find_problems,
    plugin_of,
    readout_plugin_of,
    size_problem,
)

FORMAT_VERSION = 1
_CHECKPOINT = ".safetensors"
_ONNX = ".onnx"
_HEADER = ("$schema", "format_version", *PLUGIN_KEYS.values())  # keys that are not fields; `$schema` is for editors


def load_spec(
    path: str | os.PathLike[str], *, overrides: Iterable[str] = (), allow_unresolved: bool = False
) -> RecurrentSpec[Any]:
    """Load a spec from a JSON, TOML or YAML file, a checkpoint (`.safetensors`), or a file of `export_onnx` (`.onnx`).

    ```yaml
    kind: lstm
    input_size: 10
    hidden_size: 20
    options:
      proj_size: 5
    ```

    Missing fields take their defaults. Nothing in a file is executed, and only the installed plugin of its kind is
    imported.

    Args:
        path: ends in .json, .toml, .yaml, .yml, .safetensors or .onnx. A text file has at most 1 MiB and 10,000 values.
        overrides: `KEY=VALUE` strings that replace values of the file, as in `override_spec`.
        allow_unresolved: whether to load a spec whose plugin is not installed, blocked or broken. Its options are kept
            unchanged, and `build_model` says what to install.

    Raises:
        SpecFileError: the file or an override is not valid; lists all problems with their lines.
        BlockedKindError, AmbiguousKindError, PluginError: as from `RecurrentSpec`.
        CheckpointError: a `.safetensors` file is damaged, or is not a checkpoint.
        OSError: the file cannot be read, as from `open`.
    """
    file = os.fspath(path)
    document = _document(file)
    fields = {name: value for name, value in document.data.items() if name not in _HEADER}
    header = {name: value for name, value in document.data.items() if name in _HEADER}
    parsed, problems = parse_overrides(overrides, file)
    plugins = {name: _plugin(header, key) for name, key in PLUGIN_KEYS.items()}
    origin = Origin(file, document.line_of, parsed, plugins)
    problems += [
        origin.problem((name,), message, short_repr(header[name])) for name, message in _header_problems(header)
    ]
    return make_spec(fields, origin, problems, allow_unresolved=allow_unresolved)


def save_spec(spec: RecurrentSpec[Any], path: str | os.PathLike[str]) -> None:
    """Write a spec to a JSON, TOML or YAML file, chosen by its suffix.

    The file has every field, and the plugins of the kind and of a third party's readout; TOML, which has no null,
    leaves out fields that are None by default. It is written atomically: it replaces an older file, with its comments,
    completely or not at all.

    Args:
        spec: the spec; its plugin need not be installed.
        path: ends in .json, .toml, .yaml or .yml.

    Raises:
        SpecFileError: the suffix is another one, a value cannot be written to a file, or the file would be larger than
            `load_spec` reads.
        OSError: the file cannot be written, as from `open`.
    """
    file = os.fspath(path)
    suffix = _suffix(file, _formats.SUFFIXES)
    data = _file_data(spec, file)
    if suffix == ".toml":
        _drop_default_nulls(data, spec)
    try:
        content = _formats.write_document(data, suffix)
        _check_readable(content, suffix, data)
    except FormatError as error:
        raise _format_error(file, error) from error
    with atomic_write(file) as temporary:
        temporary.write_bytes(content)


def _document(file: str) -> Document:
    suffix = _suffix(file, (*_formats.SUFFIXES, _CHECKPOINT, _ONNX))
    try:
        document = _read_document(file, suffix)
        _check_document(document)
    except FormatError as error:
        raise _format_error(file, error) from None
    return document


def _content(file: str) -> bytes:
    with Path(file).open("rb") as opened:
        return opened.read(_formats.MAX_BYTES + 1)  # one more, so that a large file is found to be too large


def _read_document(file: str, suffix: str) -> Document:
    if suffix == _CHECKPOINT:
        from rnnkit.files.checkpoint import read_spec_data

        return Document(read_spec_data(file))
    if suffix == _ONNX:
        return Document(read_onnx_metadata(file).spec)
    return _formats.read_document(_content(file), suffix)


def _check_document(document: Document) -> None:
    if message := size_problem(document.data):
        raise FormatError(message)
    if not isinstance(document.data, dict):
        found = "is empty" if document.data is None else f"has {short_repr(document.data)}"
        raise FormatError(f"It {found}, but should have the fields of a spec, such as kind: lstm")
    version = document.data.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        path = ("format_version",)
        message = (
            f"rnnkit {__version__} reads versions up to {FORMAT_VERSION}, but the file has "
            f"{short_repr(version)}: update rnnkit"
        )
        raise FormatError(message, line=document.line_of(path), path=path)


def _check_readable(content: bytes, suffix: str, data: Mapping[str, Any]) -> None:
    """Read a new file before it is written, so that it is within all limits of `load_spec`."""
    document = _formats.read_document(content, suffix)
    _check_document(document)
    if document.data != data:
        raise FormatError("It cannot be written, because it would be read back as another spec: choose another suffix")


def _header_problems(header: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The keys that are not fields and not valid, with a message."""
    version = header.get("format_version", FORMAT_VERSION)
    if isinstance(version, bool) or version != FORMAT_VERSION:
        yield "format_version", f"Input should be {FORMAT_VERSION}"
    for key in PLUGIN_KEYS.values():
        if key in header and _plugin(header, key) is None:
            yield key, "Input should be a requirement such as 'rnnkit-nbrc==0.1.0'"


def _plugin(header: Mapping[str, Any], key: str) -> str | None:
    """The plugin that a file names; None if it names none or is not valid."""
    try:
        return str(DistributionPin.parse(header[key]))
    except (KeyError, AttributeError, ValueError):
        return None


def _file_data(spec: RecurrentSpec[Any], file: str) -> dict[str, Any]:
    if not isinstance(spec, RecurrentSpec):
        raise SpecFileError(f"save_spec takes a RecurrentSpec, not a {type(spec).__name__}")
    try:
        fields = spec.to_dict()
    except PydanticSerializationError as error:
        raise _format_error(file, FormatError(f"The spec is not plain data: {describe_exception(error)}")) from error
    problems = [Origin(file).problem(*each) for each in find_problems(fields)]
    if problems:
        raise spec_file_error(problems)
    return {"format_version": FORMAT_VERSION, **plugin_fields(spec), **fields}


def plugin_fields(spec: RecurrentSpec[Any]) -> dict[str, str]:
    """Return the keys of a file that name the distributions of the kind and of a third party's readout."""
    options, readout = spec.options, spec.readout
    plugins = {
        "plugin": options.plugin if isinstance(options, UnresolvedOptions) else _installed(plugin_of, spec.kind),
        "readout_plugin": readout.plugin
        if isinstance(readout, UnresolvedReadout)
        else _installed(readout_plugin_of, readout),
    }
    return {key: plugin for key, plugin in plugins.items() if plugin is not None}


def _installed(find_plugin: Callable[[str], str | None], name: str) -> str | None:
    try:
        return find_plugin(name)
    except (AmbiguousKindError, BlockedKindError, UnknownKindError):  # uninstalled after the spec was created
        return None


def _drop_default_nulls(data: dict[str, Any], spec: RecurrentSpec[Any]) -> None:
    """Leave out values that are None by default; the key `null` keeps any other None, so that nothing is lost."""
    _drop_nulls(data["options"], plain_defaults(type(spec.options)))
    _drop_nulls(data, {field.name: field.default for field in dataclasses.fields(RecurrentSpec)})


def _drop_nulls(values: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    for name in [name for name, value in values.items() if value is None and defaults.get(name, ...) is None]:
        del values[name]


def _suffix(file: str, known: Sequence[str]) -> str:
    suffix = Path(file).suffix.lower()
    if suffix not in known:
        hint = ": use save_model to save a model" if suffix == _CHECKPOINT else ""
        raise _format_error(file, FormatError(f"The path should end in {', '.join(known[:-1])} or {known[-1]}{hint}"))
    return suffix


def _format_error(file: str, error: FormatError) -> SpecFileError:
    return spec_file_error([FileProblem(file, error.line, dotted(error.path), error.message)])


def override_spec(spec: RecurrentSpec[Any], overrides: Iterable[str]) -> RecurrentSpec[Any]:
    """Return a copy of a spec with other values, each given as `KEY=VALUE`.

    ```python
    override_spec(spec, ["hidden_size=64", "options.nonlinearity=relu", "output_size=null"])
    ```

    Values are YAML 1.2: `64`, `1e-3`, `true`, `null`, `[64, 32]`, `{a: 1}`. Anything else is text, and so is `12` for a
    field that accepts only text. `kind=gru` drops the options that have the defaults of the old kind; the other options
    are kept, and must be options of the new kind.

    Args:
        spec: the spec, which is not changed.
        overrides: applied in order.

    Raises:
        SpecFileError: an override does not have this form, or the new spec is not valid; lists all problems.
        BlockedKindError, AmbiguousKindError, PluginError: as from `RecurrentSpec`.
    """
    plugins = {
        "kind": spec.options.plugin if isinstance(spec.options, UnresolvedOptions) else None,
        "readout": getattr(spec.readout, "plugin", None),
    }
    parsed, problems = parse_overrides(overrides, "spec")
    origin = Origin("spec", overrides=parsed, plugins=plugins)
    stays_unresolved = isinstance(spec.options, UnresolvedOptions) and not origin.is_overridden("kind")
    fields = spec.to_dict() | {"readout": spec.readout}  # an `UnresolvedReadout` stays one
    return make_spec(fields, origin, problems, allow_unresolved=stays_unresolved)
