"""From a spec to a model."""

from __future__ import annotations

from functools import partial
from inspect import isabstract
from typing import Any

import torch

from rnnkit._messages import describe_exception, join_names, notes_of, short_repr
from rnnkit._random_numbers import LocalRandomNumbers
from rnnkit.catalog import Catalog, current_catalog
from rnnkit.errors import BuildError, RnnkitError
from rnnkit.model import (
    Backbone,
    Readout,
    RecurrentModel,
    add_resets,
    flatten_with_paths,
    make_embedding,
    tie_weights,
)
from rnnkit.specs import RecurrentSpec, UnresolvedOptions, UnresolvedReadout, unresolved_error


def build_model(
    spec: RecurrentSpec[Any], *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> RecurrentModel:
    """Build the model that a spec describes, with freshly initialized parameters, as torch initializes its modules.

    The hook `after_build` of the plugin that provides the kind runs last, then those of `register_hooks`.

    Args:
        spec: the configuration of the model.
        device: where the parameters are created, `"meta"` included, which allocates nothing; None: torch's default.
        dtype: of the parameters; None: torch's default.

    Raises:
        BuildError: `spec` is not a spec, `dtype` is not floating-point, the kind's builder did not return a `Backbone`
            whose state is real, or tied weights have different shapes.
        UnresolvedKindError: the kind or the readout of `spec` was not installed when the spec was created; the message
            says what to install.
        PluginError: a hook of the plugin raised an error or returned something.
    """
    require_spec(spec, "build_model")
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise BuildError(f"dtype must be a floating-point dtype such as torch.float32, but is {short_repr(dtype)}")
    catalog = current_catalog()
    _refuse_unresolved(catalog, spec)
    model = _assemble(catalog, spec, device=device, dtype=dtype)
    for manager in catalog.hook_managers(spec.kind):
        manager.hook.after_build(spec=spec, model=model)
    add_resets(model, partial(build_model, spec))
    return model


def build_on_meta(spec: RecurrentSpec[Any], dtype: torch.dtype | None = None) -> RecurrentModel:
    """Build the model of a spec without memory for its weights, and without torch's global random number generators.

    Raises:
        BuildError: the builder fails.
        UnresolvedKindError, PluginError: as from `build_model`.
    """
    try:
        with LocalRandomNumbers():
            return build_model(spec, device="meta", dtype=dtype)
    except RnnkitError:
        raise
    except Exception as error:  # a builder may raise anything for sizes that no model has
        cause = join_names([describe_exception(error), *notes_of(error)], "; ")  # notes name a failing hook
        raise BuildError(f"A model of kind {spec.kind!r} cannot be built on the meta device: {cause}") from error


def require_spec(spec: object, function: str) -> None:
    """Raise BuildError if the argument of a function is not a spec."""
    if not isinstance(spec, RecurrentSpec):
        raise BuildError(
            f"{function} takes a RecurrentSpec, but got a {type(spec).__name__}: "
            "create one with RecurrentSpec(kind=..., ...) or RecurrentSpec.from_dict(...)"
        )


def _refuse_unresolved(catalog: Catalog, spec: RecurrentSpec[Any]) -> None:
    if isinstance(spec.options, UnresolvedOptions):
        raise unresolved_error(catalog, spec.kind, spec.options.plugin)
    if isinstance(spec.readout, UnresolvedReadout):
        raise unresolved_error(catalog.readouts, spec.readout, spec.readout.plugin)
    if type(spec.options) is not catalog.get(spec.kind).options:
        raise BuildError(
            f"The plugin of kind {spec.kind!r} was reloaded after this spec was created: recreate it with "
            "RecurrentSpec.from_dict(spec.to_dict())"
        )


def _assemble(catalog: Catalog, spec: RecurrentSpec[Any], **factory_kwargs: Any) -> RecurrentModel:
    embedding = make_embedding(spec, **factory_kwargs)
    backbone = catalog.get(spec.kind).builder(spec, **factory_kwargs)
    _check_backbone(spec.kind, backbone)
    readout_class = _readout_class(catalog.readouts.get(spec.readout), spec.readout)
    readout = readout_class(spec, backbone.features, **factory_kwargs)
    if spec.tie_weights and embedding is not None:
        tie_weights(embedding, readout)
    return RecurrentModel(spec, backbone, readout, embedding)


def _check_backbone(kind: str, backbone: object) -> None:
    if not isinstance(backbone, Backbone):
        returned = short_repr(backbone)
        raise BuildError(f"The builder of kind {kind!r} must return an rnnkit.Backbone, but returned {returned}")
    for name, part in flatten_with_paths(backbone.initial_state(1)):
        if isinstance(part, torch.Tensor) and part.is_complex():
            raise BuildError(
                f"The state {name!r} of kind {kind!r} is a {part.dtype} tensor, but states must be real: keep its real "
                "and its imaginary part as two parts of the state"
            )


def _readout_class(record: Any, name: str) -> type[Readout]:
    if not (isinstance(record, type) and issubclass(record, Readout)) or isabstract(record):
        raise BuildError(
            f"The readout {name!r} must be a subclass of rnnkit.Readout that defines `pool`, "
            f"but is {short_repr(record)}"
        )
    return record
