"""Spec files in JSON, TOML and YAML."""

from rnnkit.files.spec._formats import write_document
from rnnkit.files.spec._overrides import fields_of
from rnnkit.files.spec._spec_file import FORMAT_VERSION, load_spec, override_spec, plugin_fields, save_spec

__all__ = ["FORMAT_VERSION", "fields_of", "load_spec", "override_spec", "plugin_fields", "save_spec", "write_document"]
