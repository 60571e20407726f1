"""Checkpoints: a model and its spec in one safetensors file.

What needs torch is not imported here: `checkpoint_file` saves, loads and verifies.
"""

from rnnkit.files.checkpoint.header import read_header, read_spec_data

__all__ = ["read_header", "read_spec_data"]
