"""Checkpoints: a model and its spec in one safetensors file.

Reading the spec of a checkpoint does not import torch. `checkpoint_file`, which does, saves, loads and verifies models.
"""

from rnnkit.files.checkpoint._format import read_header, read_spec_data

__all__ = ["read_header", "read_spec_data"]
