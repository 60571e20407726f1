"""The packages of the extra `rnnkit[onnx]`."""

from __future__ import annotations

from importlib.util import find_spec

from rnnkit._messages import join_quoted
from rnnkit.errors import ExportError


def missing_packages(*packages: str) -> list[str]:
    """Return the packages that are not installed."""
    return [name for name in packages if find_spec(name) is None]


def require(*packages: str) -> None:
    """Raise `ExportError` unless the packages are installed."""
    missing = missing_packages(*packages)
    if not missing:
        return
    hint = ", or export without onnxruntime with verify=False" if missing == ["onnxruntime"] else ""
    are = "is" if len(missing) == 1 else "are"
    raise ExportError(f'{join_quoted(missing)} {are} not installed: run `pip install "rnnkit[onnx]"`{hint}')
