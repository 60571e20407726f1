"""The documentation page of a kind, made from its record and from what was measured of it.

```python
measurements = measure("mgu")
save_measurements(measurements, measurements_path("docs/kinds", "mgu"))
text = page_text("mgu", measurements)
```

Nothing of rnnkit's core imports it; `rnnkit page` is the same as a command.
"""

from rnnkit.kind_page.files import load_measurements, measurements_path, page_path, save_measurements
from rnnkit.kind_page.links import NO_LINKS, Links, links_beside
from rnnkit.kind_page.measure import measure
from rnnkit.kind_page.measurements import CheckOutcome, Learning, Machine, Measurements, Speed, Timing
from rnnkit.kind_page.page import page_text

__all__ = [
    "NO_LINKS",
    "CheckOutcome",
    "Learning",
    "Links",
    "Machine",
    "Measurements",
    "Speed",
    "Timing",
    "links_beside",
    "load_measurements",
    "measure",
    "measurements_path",
    "page_path",
    "page_text",
    "save_measurements",
]
