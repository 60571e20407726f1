"""Draws one step of a cell, generated from its equation alone, so that the drawing cannot contradict the equation.

```
equation -> graph     graph_builder.py  finds signals (signals.py), weights and terms (weights.py, terms.py), makes a
                                        graph (graph.py), and merges chains of arithmetic (simplification.py)
  -> placement        placement.py      columns and rows of nodes (cells.py), rails for states (flow.py)
  -> routes           routing.py        of wires on grid lines (grid.py), between ports (ports.py), along the cheapest
                                        paths (search.py)
  -> positions        spacing.py        of lines, at the distances (distances.py) that blocks (sizes.py) need
  -> scene            scene.py          with labels where there is room (labels.py), in pixels (geometry.py)
  -> SVG              svg.py            with text (math_text.py), alternative text (alt_text.py), a legend (legend.py)
```
"""

from rnnkit_cards.drawing.step import Drawing, draw_step

__all__ = ["Drawing", "draw_step"]
