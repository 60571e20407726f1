"""Save, load and verify models: one safetensors file holds the tensors, the spec and the versions of the libraries."""

from __future__ import annotations

import os
import warnings
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from rnnkit._messages import describe_exception, join_quoted, short_repr
from rnnkit._random_numbers import LocalRandomNumbers
from rnnkit.build import build_model, build_on_meta
from rnnkit.errors import CheckpointError, LockWarning, WeightWarning
from rnnkit.files._problems import listing, problem_lines
from rnnkit.files.checkpoint._fingerprint import fingerprint_of
from rnnkit.files.checkpoint._format import Header, header_of, read_tensors, write_checkpoint
from rnnkit.files.checkpoint._record import FORMAT_VERSION, Record
from rnnkit.files.checkpoint._state_dict import (
    find_float8,
    find_mismatches,
    find_nonfinite,
    find_other_dtypes,
    find_ties,
    find_unstorable,
    load_tensors,
    most_common_dtype,
    tensors_to_store,
    tie,
)
from rnnkit.files.checkpoint._verification import (
    LockDifference,
    Verification,
    compare_fingerprint,
    installed_lock,
    lock_differences,
)
from rnnkit.model import RecurrentModel, default_device
from rnnkit.specs import RecurrentSpec, UnresolvedOptions, UnresolvedReadout

__all__ = ["LockDifference", "Verification", "load_model", "save_model", "verify_model"]

_SUFFIX = ".safetensors"
_LAYERS_WITHOUT_TENSORS = 1_000  # that a model may have


def save_model(model: RecurrentModel, path: str | os.PathLike[str]) -> None:
    """Write a model to one safetensors file, from which `load_model` builds it again.

    The file holds the tensors under the names of the model's `state_dict`, each in its own dtype and tied tensors once.
    Its metadata holds the spec, the versions of rnnkit, of the plugins and of torch, and a fingerprint for
    `verify_model`. The file is written atomically: it replaces an older file completely or not at all, even if the
    process is killed.

    The file does not hold hooks, gradients, `requires_grad`, training or evaluation mode, or non-persistent buffers,
    which are created when the model is built. The model is not changed.

    Args:
        model: a model from `build_model` or `load_model`, on any device.
        path: path of the file, which ends in `.safetensors`.

    Raises:
        CheckpointError: `model` is not a `RecurrentModel`, or `load_model` could not build it again from its spec
            because layers were added, replaced, parametrized or pruned; lists all differences. Or the model has more
            layers than a file can describe.
        OSError: the file cannot be written.
    """
    _check_suffix(path)
    _check_model(model)
    tensors = _checked_tensors(model)
    twin = build_on_meta(model.spec, most_common_dtype(tensors))
    _check_built_from_spec(twin, tensors)
    record = _record_of(model, twin, tensors)
    write_checkpoint(tensors_to_store(tensors, record.tied), record, path)


def load_model(
    path: str | os.PathLike[str], *, device: torch.device | str | None = None, strict_versions: bool = False
) -> RecurrentModel:
    """Build the model that `save_model` wrote, with exactly the same values.

    As after `build_model`, the model is in training mode: call `eval()` before inference. Loading does not use
    torch's global random number generators. Nothing in the file is executed or unpickled, and the file may be
    overwritten once this function has returned.

    Args:
        path: path of the file.
        device: device of the model, wherever it was saved; None: torch's default.
        strict_versions: whether it is an error that the plugin of the kind or of the readout has another version.

    Raises:
        CheckpointError: the file was not written by `save_model`, is damaged, or its tensors do not fit the model of
            its spec; lists all differences. Or the device is `meta`, which holds no values.
        UnresolvedKindError: the plugin of the kind or of the readout is not installed; says which one to install.
        BlockedKindError, AmbiguousKindError, PluginError: the kind is not available for another reason.
        BuildError: no model can be built from the spec, as for sizes that no tensor has.
        OSError: the file cannot be opened.

    Warns:
        LockWarning: the plugin of the kind or of the readout has another version than the saved one.
        WeightWarning: a weight is NaN or infinite, has a dtype of 8 bits, in which torch does not compute, or another
            floating-point dtype than the others.
    """
    with Path(path).open("rb") as file:
        header = header_of(file, path)
        spec = _spec_of(header)
        _check_plugins(header, spec, strict=strict_versions)
        return _load(file, header, spec, device)


def verify_model(path: str | os.PathLike[str], *, device: torch.device | str | None = None) -> Verification:
    """Load a model and compare its outputs for a fixed input with the outputs when it was saved.

    Args:
        path: path of the file.
        device: device of the model; None: torch's default.

    Raises:
        RnnkitError: the model cannot be loaded, see `load_model`. Drift is not an error.
        OSError: the file cannot be opened.

    Warns:
        WeightWarning: as from `load_model`. Outputs that are NaN equal those that were saved as NaN.
    """
    with Path(path).open("rb") as file:
        header = header_of(file, path)
        model = _load(file, header, _spec_of(header), device)
        return compare_fingerprint(header.path, header.record, model)


def _check_suffix(path: str | os.PathLike[str]) -> None:
    if Path(path).suffix.lower() != _SUFFIX:
        raise CheckpointError(f"The path of a checkpoint must end in {_SUFFIX}, but is {short_repr(os.fspath(path))}")


def _check_model(model: object) -> None:
    if isinstance(model, RecurrentModel):
        return
    message = f"save_model takes a RecurrentModel, not a {type(model).__name__}"
    modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    names = [name for name, module in modules.items() if isinstance(module, RecurrentModel)]
    raise CheckpointError(f"{message}: save its attribute {names[0]!r}, which is one" if names else message)


def _checked_tensors(model: RecurrentModel) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = model.state_dict(keep_vars=True)
    if problems := find_unstorable(tensors):
        raise CheckpointError(
            f"The model cannot be saved because a checkpoint holds dense tensors only:{listing(problems)}"
        )
    return tensors


def _check_built_from_spec(twin: RecurrentModel, tensors: dict[str, Tensor]) -> None:
    if problems := find_mismatches(twin.state_dict(keep_vars=True), tensors, find_ties(tensors)):
        raise CheckpointError(
            f"The model differs from the model that load_model would build from its spec:{listing(problems)}\n"
            "Remove parametrizations (torch.nn.utils.parametrize.remove_parametrizations), pruning "
            "(torch.nn.utils.prune.remove) and your own layers. Or write model.state_dict() with "
            "safetensors.torch.save_file and rebuild the model yourself"
        )


def _record_of(model: RecurrentModel, twin: RecurrentModel, tensors: dict[str, Tensor]) -> Record:
    return Record(
        format_version=FORMAT_VERSION,
        spec=model.spec.to_dict(),
        lock=installed_lock(model.spec),
        dtype=str(most_common_dtype(tensors)).removeprefix("torch."),  # type: ignore[arg-type]  # pydantic checks it
        tied=find_ties(tensors),
        fingerprint=fingerprint_of(model, twin),
    )


def _load(
    file: BufferedReader, header: Header, spec: RecurrentSpec[Any], device: torch.device | str | None
) -> RecurrentModel:
    _check_device(header, device)
    dtype = getattr(torch, header.record.dtype)
    twin = build_on_meta(spec, dtype)
    tensors = read_tensors(file, header)
    tensors |= _tied_tensors(header, tensors)
    problems = find_mismatches(twin.state_dict(keep_vars=True), tensors, header.record.tied)
    if problems:  # before the model is allocated
        raise CheckpointError(f"{header.path} does not fit the model of its spec:{listing(problems)}")
    with LocalRandomNumbers():  # all values are replaced
        model = build_model(spec, device=device, dtype=dtype)
    _fill(model, tensors, header)
    _warn_of_weights(header, tensors, twin)
    return model


def _warn_of_weights(header: Header, tensors: dict[str, Tensor], twin: RecurrentModel) -> None:
    if names := find_nonfinite(tensors):
        warnings.warn(
            f"{header.path} has weights that are NaN or infinite: {join_quoted(names)}. Its outputs may be so too; use "
            "a file that was saved before the training diverged",
            WeightWarning,
            stacklevel=4,
        )
    if names := find_float8(tensors):
        warnings.warn(
            f"{header.path} has weights in float8, in which torch does not compute: {join_quoted(names)}. Convert the "
            "model, for example with model.to(torch.bfloat16)",
            WeightWarning,
            stacklevel=4,
        )
    dtype = header.record.dtype
    if names := find_other_dtypes(tensors, twin.state_dict(), getattr(torch, dtype)):
        warnings.warn(
            f"{header.path} has weights in another dtype than {dtype}, so that the model may not run: "
            f"{join_quoted(names)}. Convert the model, for example with model.to(torch.{dtype})",
            WeightWarning,
            stacklevel=4,
        )


def _check_device(header: Header, device: torch.device | str | None) -> None:
    place = default_device() if device is None else torch.device(device)
    if place.type == "meta":
        raise CheckpointError(
            f"{header.path} cannot be loaded on the meta device, which has no values: choose another device, or build "
            "the model without values with build_model(load_spec(path), device='meta')"
        )


def _spec_of(header: Header) -> RecurrentSpec[Any]:
    """The spec, with `UnresolvedOptions` if its plugin is not installed."""
    data, limit = header.record.spec, len(header.tensors) + len(header.record.tied) + _LAYERS_WITHOUT_TENSORS
    num_layers = data.get("num_layers", 1)
    if isinstance(num_layers, int) and num_layers > limit:  # building it would not end
        raise CheckpointError(
            f"{header.path}: its spec has {short_repr(num_layers)} layers, but it has too few tensors for them"
        )
    options, readout = data.get("options", {}), data.get("readout", "last")
    if isinstance(options, dict):
        options = UnresolvedOptions.of(options, plugin=header.record.lock.plugin)
    if isinstance(readout, str):
        readout = UnresolvedReadout(readout, header.record.lock.readout_plugin)
    try:
        return RecurrentSpec.from_dict({**data, "options": options, "readout": readout})
    except ValidationError as error:
        raise CheckpointError(f"{header.path}: its spec is not valid here:{listing(problem_lines(error))}") from error


def _check_plugins(header: Header, spec: RecurrentSpec[Any], *, strict: bool) -> None:
    if isinstance(spec.options, UnresolvedOptions) or isinstance(spec.readout, UnresolvedReadout):
        return  # building the model raises its own error
    names = {"plugin": spec.kind, "readout_plugin": spec.readout}
    for field, saved, installed in lock_differences(header.record.lock, installed_lock(spec)):
        if field not in names:
            continue
        message = (
            f"{header.path} was saved with {saved or 'a local kind'}, but {names[field]!r} is now provided by "
            f"{installed or 'this process'}, so its outputs may differ: check them with verify_model"
        )
        if strict:
            raise CheckpointError(message)
        warnings.warn(message, LockWarning, stacklevel=3)


def _tied_tensors(header: Header, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that the file has under other names."""
    tied = header.record.tied
    dangling = [name for name, kept in tied.items() if name in tensors or kept not in tensors]
    if dangling:
        raise CheckpointError(
            f"{header.path} is damaged: {join_quoted(dangling)} should be tied to tensors that it does not have"
        )
    return {name: tensors[kept] for name, kept in tied.items()}


def _fill(model: RecurrentModel, tensors: dict[str, Tensor], header: Header) -> None:
    """Give a model the values, dtypes and ties of a file."""
    tie(model, header.record.tied)
    for name, tensor in model.state_dict(keep_vars=True).items():
        tensor.data = tensor.data.to(tensors[name].dtype)
    try:
        load_tensors(model, tensors)
    except RuntimeError as error:  # a module that does not load its own state_dict
        raise CheckpointError(
            f"{header.path} cannot be loaded into {type(model.backbone).__name__}: {describe_exception(error)}"
        ) from error
