"""What rnnkit writes into the metadata of a model's file."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic.dataclasses import dataclass

from rnnkit._messages import describe_exception
from rnnkit.errors import CheckpointError
from rnnkit.files.problem import dotted, listing, problem_lines
from rnnkit.specs import DistributionPin, obstacles

KEY = "rnnkit"  # the one entry in the metadata of the file
FORMAT_VERSION = 1

_CONFIG = ConfigDict(strict=True, extra="forbid")

# Most numbers as themselves; JSON has none that are not finite.
Number = Annotated[float, Field(allow_inf_nan=False)] | Literal["nan", "inf", "-inf"]
Dtype = Literal["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "complex64"]


@dataclass(frozen=True, config=_CONFIG)
class Lock:
    """The versions with which a model was saved.

    Attributes:
        rnnkit: of rnnkit.
        plugin: the distribution that provides the kind, as pip would install it; None: a local kind.
        torch: of torch.
    """

    rnnkit: str
    plugin: str | None
    torch: str

    @field_validator("plugin")
    @classmethod
    def _can_be_installed(cls, plugin: str | None) -> str | None:
        return None if plugin is None else str(DistributionPin.parse(plugin))


@dataclass(frozen=True, config=_CONFIG)
class Fingerprint:
    """What a model gave for the fixed input: evenly chosen values, or the reason why there are none.

    Attributes:
        output: of its output.
        state: of its final state.
        reason: why it could not run; empty: it did.
    """

    output: tuple[Number, ...] = ()
    state: tuple[Number, ...] = ()
    reason: str = ""


@dataclass(frozen=True, kw_only=True, config=_CONFIG)
class Record:
    """All that a file says of its model beside the tensors.

    Attributes:
        format_version: 1.
        spec: the spec as plain data.
        lock: the versions with which it was saved.
        dtype: with which the model is built, before its tensors take those that they have in the file.
        tied: names of tensors that are one with another, and the name under which that is stored.
        fingerprint: what the model gave for the fixed input.
        sha256: of the whole file, with zeros in the place of these very digits.
    """

    format_version: Annotated[int, Field(ge=1)]
    spec: dict[str, Any]
    lock: Lock
    dtype: Dtype
    tied: dict[str, str]
    fingerprint: Fingerprint
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

    def dump(self) -> str:
        """As one string of JSON, which `parse_record` reads."""
        return json.dumps(_RECORD.dump_python(self, mode="json"), separators=(",", ":"), allow_nan=False)

    def spec_data(self) -> dict[str, Any]:
        """The spec in the form of a spec file: with the version of the format and the plugin."""
        plugin = {} if self.lock.plugin is None else {"plugin": self.lock.plugin}
        return {"format_version": self.format_version, **plugin, **self.spec}


_RECORD = TypeAdapter(Record)


def parse_record(text: str, file: str) -> Record:
    """The record that `dump` wrote.

    Args:
        text: what the metadata of the file have.
        file: how errors name it.

    Raises:
        CheckpointError: it is no such record, or one of a later version of the format.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{file} is damaged: its rnnkit metadata is no JSON ({describe_exception(error)})"
        ) from error
    _check_version(data, file)
    if problems := listing(f"{dotted(path)}: {message}" if path else message for path, message, _ in obstacles(data)):
        raise _damaged(file, problems)
    try:
        return _RECORD.validate_json(text)
    except ValidationError as error:
        raise _damaged(file, listing(problem_lines(error))) from error


def _damaged(file: str, problems: str) -> CheckpointError:
    return CheckpointError(f"{file} is damaged: its rnnkit metadata is not as rnnkit writes it:{problems}")


def _check_version(data: Any, file: str) -> None:
    version = data.get("format_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CheckpointError(
            f"{file} has the format version {version}, and this rnnkit reads {FORMAT_VERSION} at most: update rnnkit"
        )
