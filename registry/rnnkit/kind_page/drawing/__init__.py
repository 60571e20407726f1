"""One step of a cell as a drawing, made from its equation and nothing else, so that it cannot show anything else.

```
equation -> graph    reading.py   which names flow (signals.py), what has weights (weights.py, terms.py) -> graph.py;
                                  arithmetic made one node (simplification.py)
  -> places          places.py    columns and rows (cells.py); which states run along rails (flow.py)
  -> wires           routing.py   on lines (grid.py), from port to port (ports.py), by the cheapest way (search.py)
  -> pixels          spacing.py   how far apart the lines must be (distances.py), for what is on them (sizes.py)
  -> scene           scene.py     with labels where there is room (labels.py), on what is seen (geometry.py)
  -> SVG             svg.py       letters (letters.py), and what it shows in words (words.py)
```
"""

from rnnkit.kind_page.drawing.step import draw_step

__all__ = ["draw_step"]
