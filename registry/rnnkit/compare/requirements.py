"""Check that the packages of the extra `compare` are installed, before they are imported."""

from __future__ import annotations

from importlib.util import find_spec

from rnnkit._messages import join_quoted
from rnnkit.errors import CompareError


def require(what: str, *packages: str) -> None:
    """Check that packages are installed.

    Args:
        what: what needs them, such as `A report`.
        packages: their names, as they are imported.

    Raises:
        CompareError: one is not installed.
    """
    if missing := [package for package in packages if find_spec(package) is None]:
        raise CompareError(f'{what} needs {join_quoted(missing)}: run pip install "rnnkit[compare]"')
