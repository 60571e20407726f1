"""Models as files: one safetensors file holds the tensors, the spec, and with what versions it was written."""

from __future__ import annotations

import os
import secrets
import warnings
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from rnnkit._messages import describe_exception, join_quoted
from rnnkit.build import build_model
from rnnkit.errors import CheckpointError, LockWarning
from rnnkit.files.checkpoint.fingerprint import fingerprint_of, seed_kept
from rnnkit.files.checkpoint.fit import Slot, Slots, misfits, model_on_meta, slots_of
from rnnkit.files.checkpoint.header import Header, header_of
from rnnkit.files.checkpoint.record import FORMAT_VERSION, Record
from rnnkit.files.checkpoint.storable import commonest_dtype, stored, unstorable
from rnnkit.files.checkpoint.tensor_file import read_tensors, write_tensors
from rnnkit.files.checkpoint.tied import tie, ties
from rnnkit.files.checkpoint.verification import Verification, verification_of
from rnnkit.files.checkpoint.versions import installed_lock
from rnnkit.files.problem import listing, problem_lines
from rnnkit.model import RecurrentModel
from rnnkit.specs import RecurrentSpec, UnresolvedOptions, plugin_of

SUFFIX = ".safetensors"
_SPARE_LAYERS = 1_000  # that a kind may have beyond one for each tensor


def save_model(model: RecurrentModel, path: str | os.PathLike[str]) -> None:
    """Write a model to one safetensors file, from which `load_model` builds it again.

    The file has the tensors under the names of the model's `state_dict`, each in its own dtype and a tied one once, and
    in its metadata the spec, the versions of rnnkit, of the plugin and of torch, and a fingerprint for `verify_model`.
    It takes the place of an older file wholly or not at all, even if the process is killed.

    What is not in it: hooks, gradients, which parameters require them, training or evaluation mode, and buffers that
    are not persistent, which come from building the model. The model is left as it is.

    Args:
        model: what `build_model` or `load_model` returned, on any device.
        path: where to; ends in `.safetensors`.

    Raises:
        CheckpointError: it is no `RecurrentModel`, or not one that `load_model` could build again from its spec, such
            as one with layers that were added, replaced, parametrized or pruned; lists all differences.
        OSError: the file cannot be written.
    """
    _check_suffix(path)
    _check_model(model)
    tensors = _checked_tensors(model)
    twin = model_on_meta(model.spec, commonest_dtype(tensors))
    _check_built_from_spec(twin, tensors)
    record = _record_of(model, twin, tensors)
    write_tensors(stored(tensors, record.tied), record, path)


def load_model(
    path: str | os.PathLike[str], *, device: torch.device | str | None = None, strict_versions: bool = False
) -> RecurrentModel:
    """Build the model that `save_model` wrote, with the very same values.

    As after `build_model`, the model is in training mode: call `eval()` on it before you use it. Random numbers are
    drawn afterwards as if nothing had been loaded. Nothing in the file is ever executed or unpickled, and the file may
    be overwritten as soon as this returns.

    Args:
        path: the file.
        device: where the model is built; None: torch's default, wherever it was saved.
        strict_versions: whether another version of the plugin than the one that it was saved with is an error.

    Raises:
        CheckpointError: the file is none of `save_model`, is damaged, or holds tensors that are not those of a model of
            its spec here; lists all differences. Or the device is `meta`, which holds no values.
        UnresolvedKindError: the plugin of its kind is not installed; says which one to install.
        BlockedKindError, AmbiguousKindError, PluginError: the kind cannot be had here for another reason.
        OSError: the file cannot be opened.

    Warns:
        LockWarning: the plugin has another version than the one that it was saved with.
    """
    with Path(path).open("rb") as file:
        header = header_of(file, path)
        spec = _spec_of(header)
        _check_plugin(header, spec, strict=strict_versions)
        return _load(file, header, spec, device)


def verify_model(path: str | os.PathLike[str], *, device: torch.device | str | None = None) -> Verification:
    """Load a model, and hold its outputs for a fixed input against those with which it was saved.

    Args:
        path: the file.
        device: where the model is built; None: torch's default.

    Raises:
        RnnkitError: the model cannot be loaded; see `load_model`. Drift raises nothing.
        OSError: the file cannot be opened.
    """
    with Path(path).open("rb") as file:
        header = header_of(file, path)
        model = _load(file, header, _spec_of(header), device)
        return verification_of(header.path, header.record, model)


def _check_suffix(path: str | os.PathLike[str]) -> None:
    if Path(path).suffix.lower() != SUFFIX:
        raise CheckpointError(f"The file of a model ends in {SUFFIX}, but {os.fspath(path)!r} does not")


def _check_model(model: object) -> None:
    if isinstance(model, RecurrentModel):
        return
    message = f"save_model takes a RecurrentModel, but this is a {type(model).__name__}"
    inside = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    names = [name for name, module in inside.items() if isinstance(module, RecurrentModel)]
    raise CheckpointError(f"{message}, which holds one: save its attribute {names[0]!r}" if names else message)


def _checked_tensors(model: RecurrentModel) -> dict[str, Tensor]:
    """The tensors of the `state_dict`, themselves."""
    tensors: dict[str, Tensor] = model.state_dict(keep_vars=True)
    if problems := unstorable(tensors):
        raise CheckpointError(f"The model cannot be saved, since a file holds plain tensors only:{listing(problems)}")
    return tensors


def _check_built_from_spec(twin: RecurrentModel, tensors: dict[str, Tensor]) -> None:
    problems = misfits(slots_of(twin.state_dict(keep_vars=True)), slots_of(tensors))
    if problems:
        raise CheckpointError(
            f"The model is not the one that load_model would build from its spec:{listing(problems)}\n"
            "Take off parametrizations (torch.nn.utils.parametrize.remove_parametrizations), pruning "
            "(torch.nn.utils.prune.remove) and layers of your own; or write model.state_dict() with "
            "safetensors.torch.save_file, and build what takes it yourself"
        )


def _record_of(model: RecurrentModel, twin: RecurrentModel, tensors: dict[str, Tensor]) -> Record:
    return Record(
        format_version=FORMAT_VERSION,
        spec=model.spec.to_dict(),
        lock=installed_lock(model.spec.kind),
        dtype=str(commonest_dtype(tensors)).removeprefix("torch."),  # type: ignore[arg-type]  # held to the list here
        tied=ties(tensors),
        fingerprint=fingerprint_of(model, twin),
        sha256=secrets.token_hex(32),  # which nothing else in the file can be, until the digest takes its place
    )


def _load(
    file: BufferedReader, header: Header, spec: RecurrentSpec[Any], device: torch.device | str | None
) -> RecurrentModel:
    """The model of a file that is open where the tensors start."""
    _check_device(header, device)
    dtype = getattr(torch, header.record.dtype)
    _check_tensors(model_on_meta(spec, dtype), header)
    tensors = read_tensors(file, header)
    with seed_kept(device):
        model = build_model(spec, device=device, dtype=dtype)
    _fill(model, tensors, header)
    return model


def _check_device(header: Header, device: torch.device | str | None) -> None:
    place = torch.get_default_device() if device is None else torch.device(device)
    if place.type == "meta":
        raise CheckpointError(
            f"{header.path} holds values, and the meta device has none: load it on another, or lay its model out "
            "without values by build_model(load_spec(path), device='meta')"
        )


def _spec_of(header: Header) -> RecurrentSpec[Any]:
    """The spec, whose options nobody knows if its plugin is not installed here."""
    data, layers = header.record.spec, len(header.layout.entries) + len(header.record.tied) + _SPARE_LAYERS
    number = data.get("num_layers", 1)
    if isinstance(number, int) and number > layers:  # which would take forever to build
        raise CheckpointError(f"{header.path}: its spec has {number} layers, more than its tensors can be those of")
    options = data.get("options", {})
    if isinstance(options, dict):
        options = UnresolvedOptions.of(options, plugin=header.record.lock.plugin)
    try:
        return RecurrentSpec.from_dict({**data, "options": options})
    except ValidationError as error:
        raise CheckpointError(f"{header.path}: its spec is not valid here:{listing(problem_lines(error))}") from error


def _check_plugin(header: Header, spec: RecurrentSpec[Any], *, strict: bool) -> None:
    if isinstance(spec.options, UnresolvedOptions):  # there is no plugin: an error of its own, when it is built
        return
    saved, installed = header.record.lock.plugin, plugin_of(spec.kind)
    if saved == installed:
        return
    message = (
        f"{header.path} was saved with {saved or 'a local kind'}, but here the kind {spec.kind!r} is that of "
        f"{installed or 'this process itself'}: the model may give other outputs. verify_model tells"
    )
    if strict:
        raise CheckpointError(message)
    warnings.warn(message, LockWarning, stacklevel=3)


def _check_tensors(twin: RecurrentModel, header: Header) -> None:
    tied, entries = header.record.tied, header.layout.entries
    stored = {name: Slot(entry.shape, getattr(torch, entry.dtype_name)) for name, entry in entries.items()}
    stray = [name for name, kept in tied.items() if name in stored or kept not in stored]
    if stray:
        raise CheckpointError(
            f"{header.path} is damaged: it says of {join_quoted(stray)} to be tied to tensors that it has not"
        )
    found = Slots(stored | {name: stored[kept] for name, kept in tied.items()}, tied)
    problems = misfits(slots_of(twin.state_dict(keep_vars=True)), found)
    if problems:
        raise CheckpointError(f"{header.path} does not fit the model of its spec:{listing(problems)}")


def _fill(model: RecurrentModel, tensors: dict[str, Tensor], header: Header) -> None:
    """Give a model the values of the file, and the dtypes and ties."""
    tied = header.record.tied
    tie(model, tied)
    tensors = tensors | {name: tensors[kept] for name, kept in tied.items()}
    for name, tensor in model.state_dict(keep_vars=True).items():
        tensor.data = tensor.data.to(tensors[name].dtype)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:  # of a module that does not take what its own state_dict gives
        raise CheckpointError(
            f"{header.path} cannot be loaded into {type(model.backbone).__name__}: {describe_exception(error)}"
        ) from error
