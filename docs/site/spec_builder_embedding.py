"""Describes the embedding of token ids: its parameters, and the shape of the input."""

from __future__ import annotations

from typing import Any

from docs.site.spec_builder_layers import Seen, Sizes, solved
from docs.site.spec_builder_specs import spec_of
from rnnkit import build_model
from rnnkit.introspection.model_layers import input_shape

_SIZES = {"num_embeddings": 13, "input_size": 7}


def embedding_record(kind: str) -> dict[str, Any]:
    """The parameters of the embedding, and the shape of its input by `batch_first`; the kind does not matter."""
    forms = solved(lambda sizes: _parameters(kind, sizes), _SIZES)
    shapes = {first: input_shape(spec_of(kind, _SIZES | {"batch_first": first})) for first in (True, False)}
    return {
        "what": type(build_model(spec_of(kind, _SIZES), device="meta").embedding).__name__,
        "parameters": [{"name": name, "shape": [dict(form) for form in shape]} for (_, name), shape in forms.items()],
        "input": {str(first).lower(): shape for first, shape in shapes.items()},
    }


def _parameters(kind: str, sizes: Sizes) -> Seen:
    embedding: Any = build_model(spec_of(kind, sizes), device="meta").embedding
    return {("parameters", name): tuple(parameter.shape) for name, parameter in embedding.named_parameters()}
