"""Model cards for rnnkit: a Markdown page for a kind, generated from its record and from measurements.

```python
measurements = measure("nbrc")
save_measurements(measurements, measurements_path("docs/kinds", "nbrc"))
text = card_text("nbrc", measurements)
```

`rnnkit card` does the same on the command line. Its command is registered in `rnnkit_cards.plugin`, through the hook
that any plugin can use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnkit_cards._measure import measure
    from rnnkit_cards.card import card_text
    from rnnkit_cards.card_context import CardContext
    from rnnkit_cards.drawing import draw_step
    from rnnkit_cards.files import card_path, load_measurements, measurements_path, save_measurements
    from rnnkit_cards.links import NO_LINKS, Links, links_for
    from rnnkit_cards.measurements import CheckOutcome, Learning, Machine, Measurements, Speed, Timing

__all__ = [
    "NO_LINKS",
    "CardContext",
    "CheckOutcome",
    "Learning",
    "Links",
    "Machine",
    "Measurements",
    "Speed",
    "Timing",
    "card_path",
    "card_text",
    "draw_step",
    "links_for",
    "load_measurements",
    "measure",
    "measurements_path",
    "save_measurements",
]

_MODULES = {
    "card": ["card_text"],
    "card_context": ["CardContext"],
    "drawing": ["draw_step"],
    "files": ["card_path", "load_measurements", "measurements_path", "save_measurements"],
    "links": ["NO_LINKS", "Links", "links_for"],
    "_measure": ["measure"],
    "measurements": ["CheckOutcome", "Learning", "Machine", "Measurements", "Speed", "Timing"],
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

# Lazy, because `rnnkit card --help` and shell completion import this package, and need not wait for torch. Hidden from
# type checkers, which would otherwise accept any misspelled name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"rnnkit_cards.{_MODULE_OF[name]}"), name)

    def __dir__() -> list[str]:
        return sorted(set(globals()) | set(__all__))
