"""From the equation of a step to its drawing."""

from __future__ import annotations

from typing import NamedTuple

from rnnkit.equation import Equation, UnreadableEquationError
from rnnkit_cards.drawing.alt_text import describe_graph
from rnnkit_cards.drawing.graph import Graph
from rnnkit_cards.drawing.graph_builder import build_graph
from rnnkit_cards.drawing.grid import Grid
from rnnkit_cards.drawing.legend import legend_of
from rnnkit_cards.drawing.placement import place_nodes
from rnnkit_cards.drawing.routing import Router
from rnnkit_cards.drawing.scene import Scene, build_scene
from rnnkit_cards.drawing.sizes import Sizes
from rnnkit_cards.drawing.spacing import assign_positions
from rnnkit_cards.drawing.svg import render_svg

_JOIN_LINES = (0, 1, 2)  # below the layers, for inputs that join
_TRACKS = (2, 4)  # between two columns, and between two rows
_STRETCHES = (1.0, 1.15, 1.3, 1.5)


class Drawing(NamedTuple):
    """A drawing of one step.

    Attributes:
        svg: the drawing.
        legend: a sentence that explains the signs in it.
    """

    svg: str
    legend: str


def draw_step(equation: str, *, title: str) -> Drawing:
    r"""Draw one step of a cell: states run from left to right, the input enters from below.

    A box is a linear layer of the signals that enter it, and an activation function. A small plus on its edge marks a
    signal that is added to the linear layer, a small cross a signal with one weight per feature instead of a matrix. A
    circle is an element-wise operation: a cross is a product, a plus is a sum. Each element names the lines of the
    equation that it belongs to, counted from 0, in its attribute `data-lines`.

    Args:
        equation: update of one step in LaTeX, as in a `Kind`. Names with a time index, such as `x_t` and `h_{t-1}`, and
            names that a line defines are signals, all others are parameters.
        title: short title of the drawing.

    Raises:
        UnreadableEquationError: rnnkit cannot read the equation, or it cannot be drawn.
    """
    parsed = Equation(equation)
    graph = build_graph(parsed)
    if not graph.names:
        raise UnreadableEquationError("an equation without lines cannot be drawn")
    router = _best_router(graph)
    sizes = Sizes(router.grid)
    scene = _first_clear_scene(router, sizes)
    description = describe_graph(graph)
    svg = render_svg(scene, router.grid, sizes, title=title, description=description, rows=parsed.rows)
    return Drawing(svg, legend_of(router.grid))


def _best_router(graph: Graph) -> Router:
    """The cheapest routing among a few grids.

    Raises:
        UnreadableEquationError: there are too many wires to route.
    """
    placement = place_nodes(graph)
    for tracks in _TRACKS:
        routers = [Router(Grid(graph, placement, tracks=tracks, join_line=line)) for line in _JOIN_LINES]
        routed = [router for router in routers if router.run()]
        if routed:
            return min(routed, key=lambda router: router.cost())
    raise UnreadableEquationError(f"its {len(graph.names)} lines have too many signals to be drawn")


def _first_clear_scene(router: Router, sizes: Sizes) -> Scene:
    """The most compact scene that has room for all labels; the most compact of all if none has."""
    grid, routes = router.grid, router.routes
    scenes = []
    for stretch in _STRETCHES:
        scene = build_scene(grid, routes, assign_positions(grid, routes, sizes, stretch), sizes)
        if scene.is_clear:
            return scene
        scenes.append(scene)
    return scenes[0]
