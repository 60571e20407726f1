"""How a spec and a model appear in a notebook, for rooms that must not import the one that renders them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

render_html: Callable[[Any], str] = repr
"""Returns the HTML of a spec or a model; `rnnkit/__init__.py` sets it, and imports the renderer with the first call."""
