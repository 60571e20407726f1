"""Describes options, specs and models: JSON Schema, summaries and notebook HTML.

The modules that need torch, `model_summary`, `model_layers` and `notebook`, are not imported here.
"""

from rnnkit.introspection._description import FieldDescription, describe_options, describe_spec
from rnnkit.introspection._json_schema import kinds_left_out, spec_schema
from rnnkit.introspection._readable_schema import schema_of

__all__ = [
    "FieldDescription",
    "describe_options",
    "describe_spec",
    "kinds_left_out",
    "schema_of",
    "spec_schema",
]
