"""Describes options, specs and models: JSON Schema, summaries and notebook HTML.

What needs torch is not imported here: `model_summary` and `notebook`.
"""

from rnnkit.introspection.description import FieldDescription, describe_options, describe_spec
from rnnkit.introspection.json_schema import kinds_left_out, spec_schema
from rnnkit.introspection.readable_schema import schema_of

__all__ = [
    "FieldDescription",
    "describe_options",
    "describe_spec",
    "kinds_left_out",
    "schema_of",
    "spec_schema",
]
