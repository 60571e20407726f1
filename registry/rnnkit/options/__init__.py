"""Options of kinds: the fields of a spec that only one kind has, and the types of such fields."""

from rnnkit.options.options import (
    ForgetBiasOptions,
    InitOptions,
    Options,
    StackOptions,
    own_fields,
    plain_defaults,
)
from rnnkit.options.per_layer import PerLayer, per_layer_fields

__all__ = [
    "ForgetBiasOptions",
    "InitOptions",
    "Options",
    "PerLayer",
    "StackOptions",
    "own_fields",
    "per_layer_fields",
    "plain_defaults",
]
