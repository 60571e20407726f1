"""Imports torch where a plain import would fail."""

import os
import sys
from importlib import import_module

_TORCH_BACKENDS = "TORCH_DEVICE_BACKEND_AUTOLOAD"


def import_torch_alone() -> None:
    """Import torch without the device back ends of third parties.

    `import torch` looks for them through the entry points of all distributions, and fails if those of a single one
    cannot be read. Called where that is so, and does nothing if torch has been imported already.
    """
    if "torch" in sys.modules:
        return
    before = os.environ.get(_TORCH_BACKENDS)
    os.environ[_TORCH_BACKENDS] = "0"
    try:
        import_module("torch")
    finally:
        del os.environ[_TORCH_BACKENDS]
        if before is not None:
            os.environ[_TORCH_BACKENDS] = before
