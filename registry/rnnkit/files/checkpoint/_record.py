"""The record: everything that rnnkit writes into the metadata of a checkpoint."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic.dataclasses import dataclass

from rnnkit._messages import describe_exception, dotted, printable_line, short_repr
from rnnkit.errors import CheckpointError
from rnnkit.files._problems import listing, problem_lines
from rnnkit.specs import DistributionPin, find_problems, size_problem, unique_keys

FORMAT_VERSION = 2  # 1: `sha256` was the digest of the whole file, with zeros in its own place

_CONFIG = ConfigDict(strict=True, extra="forbid")

Number = Annotated[float, Field(allow_inf_nan=False)] | Literal["nan", "inf", "-inf"]  # JSON has finite numbers only
Dtype = Literal["float64", "float32", "float16", "bfloat16"]  # torch initializes parameters in no other one
Text = Annotated[str, AfterValidator(printable_line)]  # safe to print, also from a hostile file


@dataclass(frozen=True, config=_CONFIG)
class Lock:
    """The versions that a model was saved with.

    Attributes:
        rnnkit: version of rnnkit.
        plugin: the distribution that provides the kind, as a pip requirement; None: a local kind.
        torch: version of torch.
        readout_plugin: the third-party distribution that provides the readout; None: there is none, or the file is
            older than this field.
    """

    rnnkit: Text
    plugin: str | None
    torch: Text
    readout_plugin: str | None = None

    @field_validator("plugin", "readout_plugin")
    @classmethod
    def _validate_plugin(cls, plugin: str | None) -> str | None:
        return None if plugin is None else str(DistributionPin.parse(plugin))


@dataclass(frozen=True, config=_CONFIG)
class Fingerprint:
    """Evenly spaced values of a model's outputs for a fixed input, or the reason why there are none.

    Attributes:
        output: values of the output.
        state: values of the final state.
        reason: why the model could not run; empty if it did.
    """

    output: tuple[Number, ...] = ()
    state: tuple[Number, ...] = ()
    reason: Text = ""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Record:
    """The metadata of a checkpoint.

    Attributes:
        format_version: version of the format, from 1.
        spec: the spec as plain data.
        lock: the versions that the model was saved with.
        dtype: dtype that the model is built in, before its tensors take their dtypes from the file.
        tied: for each tensor that is the same as a stored one under another name, that name.
        fingerprint: outputs of the model for the fixed input.
        sha256: digest of the record and the tensors; empty before the file is written.
    """

    format_version: Annotated[int, Field(ge=1)]
    spec: dict[str, Any]
    lock: Lock
    dtype: Dtype
    tied: dict[str, str]
    fingerprint: Fingerprint
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = ""

    def dump(self) -> str:
        """Return the record without its digest as JSON."""
        data = _RECORD.dump_python(self, mode="json", exclude_defaults=True)
        return json.dumps(data, separators=(",", ":"), allow_nan=False)

    def spec_data(self) -> dict[str, Any]:
        """Return the spec in the form of a spec file, with its plugins."""
        plugins = {"plugin": self.lock.plugin, "readout_plugin": self.lock.readout_plugin}
        return {key: plugin for key, plugin in plugins.items() if plugin is not None} | self.spec


_RECORD = TypeAdapter(Record)


def parse_record(text: str, file: str) -> Record:
    """Parse the record of a checkpoint.

    Args:
        text: its JSON.
        file: path of the checkpoint, for error messages.

    Raises:
        CheckpointError: the record is not valid, or has a later format version.
    """
    try:
        data = json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{file} is damaged: its rnnkit metadata is not valid JSON ({describe_exception(error)})"
        ) from error
    _check_version(data, file)
    spec = data.get("spec") if isinstance(data, dict) else None  # the other fields have types
    problems = (f"{dotted(('spec', *path))}: {message}" for path, message, _ in find_problems(spec))
    if listed := listing(problems):
        raise _damaged(file, listed)
    try:
        record = _RECORD.validate_json(text)
    except ValidationError as error:
        raise _damaged(file, listing(problem_lines(error))) from error
    if message := size_problem(record.spec_data()):  # with its plugins, as `load_spec` reads it
        raise _damaged(file, listing([f"spec: {message}"]))
    return record


def _damaged(file: str, problems: str) -> CheckpointError:
    return CheckpointError(f"{file} is damaged: its rnnkit metadata is not valid:{problems}")


def _check_version(data: Any, file: str) -> None:
    version = data.get("format_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CheckpointError(
            f"{file} has format version {short_repr(version)}, but this rnnkit reads versions up to "
            f"{FORMAT_VERSION}: update rnnkit"
        )
