"""Spec files in YAML, TOML and JSON."""

from rnnkit.files.spec.formats import write_document
from rnnkit.files.spec.spec_file import FORMAT_VERSION, load_spec, override_spec, save_spec

__all__ = ["FORMAT_VERSION", "load_spec", "override_spec", "save_spec", "write_document"]
