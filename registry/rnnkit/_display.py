"""The HTML renderer of specs and models, as a hook: their rooms must not import the room that renders them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

render_html: Callable[[Any], str] = repr
"""Returns the HTML of a spec or a model. Set by `rnnkit/__init__.py`; imports the renderer on the first call."""
