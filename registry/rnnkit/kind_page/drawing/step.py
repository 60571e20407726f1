"""From the equation of a step to its drawing."""

from __future__ import annotations

from rnnkit.equation import Equation, UnreadableEquationError
from rnnkit.kind_page.drawing.graph import Graph
from rnnkit.kind_page.drawing.grid import Grid
from rnnkit.kind_page.drawing.places import places_of
from rnnkit.kind_page.drawing.reading import graph_of
from rnnkit.kind_page.drawing.routing import Router
from rnnkit.kind_page.drawing.scene import Scene, scene_of
from rnnkit.kind_page.drawing.sizes import Sizes
from rnnkit.kind_page.drawing.spacing import spaced
from rnnkit.kind_page.drawing.svg import svg_of
from rnnkit.kind_page.drawing.words import description_of

_JOIN_LINES = (0, 1, 2)  # below the layers, for inputs that are led together
_TRACKS = (2, 4)  # between two columns, and between two rows
_STRETCHES = (1.0, 1.15, 1.3, 1.5)


def draw_step(equation: str, *, title: str) -> str:
    r"""One step of a cell as SVG, to be put into a page: states run from left to right, the input comes from below.

    A box is a fully connected layer of all signals that lead into it, and its function. One that leads to a small plus
    on its edge is added to what the layer gives; one at a small cross has a weight for each feature instead of a
    matrix. A circle is an operation feature by feature: a cross a product, a plus a sum.

    Args:
        equation: the update of one step in LaTeX, as in a `Kind`. What has a time, such as `x_t` and `h_{t-1}`, and
            what a line defines is drawn as a line; all else is a parameter.
        title: what is drawn, in a few words.

    Raises:
        UnreadableEquationError: the equation has something that rnnkit does not read, or cannot draw.
    """
    graph = graph_of(Equation(equation))
    if not graph.names:
        raise UnreadableEquationError("an equation without lines cannot be drawn")
    router = _best_router(graph)
    sizes = Sizes(router.grid)
    scene = _first_clear(router, sizes)
    return svg_of(scene, router.grid, sizes, title=title, description=description_of(graph))


def _best_router(graph: Graph) -> Router:
    """The wires, led in the best of a few ways.

    Raises:
        UnreadableEquationError: there are too many of them to find a way.
    """
    places = places_of(graph)
    for tracks in _TRACKS:
        routers = [Router(Grid(graph, places, tracks=tracks, join_line=line)) for line in _JOIN_LINES]
        led = [router for router in routers if router.run()]
        if led:
            return min(led, key=lambda router: router.cost())
    raise UnreadableEquationError(f"the lines of {', '.join(graph.names)} have too many signals to be drawn")


def _first_clear(router: Router, sizes: Sizes) -> Scene:
    """With as little room between things as leaves some for all labels."""
    grid, routes = router.grid, router.routes
    scenes = [scene_of(grid, routes, spaced(grid, routes, sizes, _STRETCHES[0]), sizes)]
    for stretch in _STRETCHES[1:]:
        if scenes[-1].is_clear:
            return scenes[-1]
        scenes.append(scene_of(grid, routes, spaced(grid, routes, sizes, stretch), sizes))
    return scenes[-1] if scenes[-1].is_clear else scenes[0]
