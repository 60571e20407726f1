"""One step of a cell as a drawing, made from its equation.

The equation is read into a graph (`reading.py`, `graph.py`), whose nodes get places in columns and rows (`flow.py`,
`places.py`); wires are led between them (`grid.py`, `ports.py`, `routing.py`), lines get their distances (`sizes.py`,
`spacing.py`), and all of it becomes SVG (`letters.py`, `picture.py`).
"""

from rnnkit.kind_page.drawing.step import draw_step

__all__ = ["draw_step"]
