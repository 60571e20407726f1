"""From the equation of a step to its drawing."""

from __future__ import annotations

from rnnkit.kind_page.drawing.graph import Graph
from rnnkit.kind_page.drawing.grid import Grid
from rnnkit.kind_page.drawing.places import places_of
from rnnkit.kind_page.drawing.reading import graph_of
from rnnkit.kind_page.drawing.routing import NoWayError, Router
from rnnkit.kind_page.drawing.scene import Scene, scene_of
from rnnkit.kind_page.drawing.sizes import Sizes
from rnnkit.kind_page.drawing.spacing import spaced
from rnnkit.kind_page.drawing.svg import svg_of
from rnnkit.kind_page.drawing.words import description_of
from rnnkit.testing.latex.equation import Equation

_JOIN_LINES = 3
_STRETCHES = (1.0, 1.15, 1.3, 1.5)


def draw_step(equation: str, *, title: str) -> str:
    r"""One step of a cell as SVG, to be put into a page: states run from left to right, the input comes from below.

    A box is a fully connected layer of all signals that lead into it, and its function; one that leads to a small plus
    on its edge is added to what the layer gives. A circle with a cross is a product feature by feature.

    Args:
        equation: the update of one step in LaTeX, as in a `Kind`. What has a time, such as `x_t` and `h_{t-1}`, is drawn
            as a line; all else is a parameter.
        title: what is drawn, in a few words.

    Raises:
        UnreadableEquationError: the equation has something that rnnkit does not read, or cannot draw.
    """
    graph = graph_of(Equation(equation))
    router = _best_router(graph)
    sizes = Sizes(router.grid)
    scene = _first_clear(router, sizes)
    return svg_of(scene, router.grid, sizes, title=title, description=description_of(graph))


def _best_router(graph: Graph) -> Router:
    """The wires, led in the best of a few ways."""
    places = places_of(graph)
    routers = []
    for line in range(_JOIN_LINES):
        router = Router(Grid(graph, places, line))
        router.run()
        routers.append(router)
        if not router.grid.joins:
            break
    return min(routers, key=lambda router: router.cost())


def _first_clear(router: Router, sizes: Sizes) -> Scene:
    """With as little room as leaves some for all labels."""
    scenes = (
        scene_of(router.grid, router.routes, spaced(router.grid, router.routes, sizes, stretch), sizes)
        for stretch in _STRETCHES
    )
    first = last = next(scenes)
    while not last.is_clear:
        last = next(scenes, first)
        if last is first:
            break
    return last
