"""From a spec to a model."""

from __future__ import annotations

from typing import Any

import torch

from rnnkit.catalog import current_catalog
from rnnkit.errors import BuildError
from rnnkit.model import Backbone, RecurrentModel
from rnnkit.specs import RecurrentSpec, UnresolvedOptions, unresolved_kind_error


def build_model(
    spec: RecurrentSpec[Any], *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
) -> RecurrentModel:
    """The model that a spec describes, freshly initialised as torch initialises its modules.

    The hook `after_build` of the plugin that provides the kind has the last word, and then those of `register_hooks`.

    Args:
        spec: what to build.
        device: where the parameters are created, `"meta"` included, which allocates nothing; None: torch's default.
        dtype: of the parameters; None: torch's default.

    Raises:
        BuildError: `spec` is no spec, or the kind's builder returned no `Backbone`.
        UnresolvedKindError: the kind of `spec` could not be had when the spec was made; says what to install.
        PluginError: a hook of the plugin raised something, or a hook returned something.
    """
    if not isinstance(spec, RecurrentSpec):
        raise BuildError(
            f"build_model takes a RecurrentSpec, but got a {type(spec).__name__}: "
            "make one with RecurrentSpec(kind=..., ...) or RecurrentSpec.from_dict(...)"
        )
    if isinstance(spec.options, UnresolvedOptions):
        raise unresolved_kind_error(spec.kind, spec.options.plugin)
    catalog = current_catalog()
    backbone = catalog.get(spec.kind).builder(spec, device=device, dtype=dtype)
    if not isinstance(backbone, Backbone):
        raise BuildError(f"The builder of kind {spec.kind!r} must return a rnnkit.Backbone, but returned {backbone!r}")
    model = RecurrentModel(spec, backbone, device=device, dtype=dtype)
    for call_hook in catalog.after_build(spec.kind):
        call_hook(spec, model)
    return model
