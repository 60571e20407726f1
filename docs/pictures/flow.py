"""Draws how a spec becomes a model: `python -m docs.pictures.flow`; tests compare it with the imports of the code."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from docs.pictures.shapes import Point, arrow, drawing, rect, text

FILE = Path(__file__).with_suffix(".svg")
WIDTH, HEIGHT = 800, 610
LEFT, MIDDLE, RIGHT = 100, 392, 686  # where the columns have their middles
WORDS = (
    "A RecurrentSpec asks the catalog for the options class of its kind. The catalog knows names without an import, "
    "and loads the one plugin, whose hook registers a Kind. build_model takes the builder from the Kind, which makes a "
    "backbone, perhaps a CellStack of cells. Backbone and readout are a RecurrentModel. Beside that: spec files, "
    "checkpoints, the command line and the conformance kit."
)


class Box(NamedTuple):
    """A part of rnnkit: what it is called, what it does, and the modules that do it."""

    title: str
    says: str
    modules: tuple[str, ...]
    middle: Point
    size: Point
    css: str = "line"


BOXES = (
    Box("RecurrentSpec", "what a model is, checked", ("specs.recurrent_spec",), (MIDDLE, 52), (212, 76), "state"),
    Box("build_model", "from a spec to a model", ("build",), (MIDDLE, 196), (212, 76), "state"),
    Box("Backbone", "checks, masks the padding", ("model.backbone",), (MIDDLE, 396), (212, 76), "state"),
    Box("Readout", "many steps to one output", ("model.readout",), (MIDDLE, 520), (212, 76), "output"),
    Box(
        "Catalog",
        "names, without an import",
        ("catalog.catalog", "catalog.index", "catalog.resolution"),
        (RIGHT, 52),
        (212, 76),
    ),
    Box("one plugin", "imported, its hook called", ("catalog.loader", "hookspecs"), (RIGHT, 196), (212, 76), "gate"),
    Box("Kind", "options class, builder", ("kind", "options"), (RIGHT, 326), (212, 76), "gate"),
    Box("CellStack", "one step, a whole network", ("cells.stack", "cells.cell"), (RIGHT, 466), (212, 76), "gate"),
    Box("spec files", "YAML, TOML, JSON", ("files.spec",), (LEFT, 52), (170, 76), "input"),
    Box("rnnkit …", "summary, verify, show", ("cli",), (LEFT, 196), (170, 76), "input"),
    Box("checkpoints", "safetensors", ("files.checkpoint",), (LEFT, 396), (170, 76), "input"),
    Box("the kit", "conformance checks", ("testing",), (LEFT, 520), (170, 76), "input"),
)
MODEL = Box("RecurrentModel", "", ("model.recurrent_model",), (MIDDLE, 440), (268, 302), "state")
PACKAGES = ("files.spec", "cli", "files.checkpoint", "testing", "options")


class Arrow(NamedTuple):
    """A request, a result or an argument between two boxes.

    Attributes:
        points: from the border of one box to that of another.
        css: its colour.
        imports: the module that imports, and the one that it imports, which are in these boxes, whichever way the arrow
            goes; None: neither does, since a plugin stands between them.
        both: whether it has two heads.
    """

    points: tuple[Point, ...]
    css: str
    imports: tuple[str, str] | None
    both: bool = False


BETWEEN = (MIDDLE + RIGHT) / 2  # where what goes from one column to the other turns
TURN = BETWEEN + 10
EDGE = MIDDLE + 106  # the right border of what stands in the middle
ARROWS = (
    Arrow(((MIDDLE, 90), (MIDDLE, 158)), "state", ("build", "specs.recurrent_spec")),
    Arrow(((MIDDLE, 234), (MIDDLE, 289)), "state", ("build", "model.recurrent_model")),
    Arrow(((MIDDLE, 434), (MIDDLE, 482)), "state", ("model.readout", "model.backbone")),
    Arrow(((EDGE, 40), (RIGHT - 106, 40)), "line", ("specs.recurrent_spec", "catalog.catalog")),
    Arrow(((EDGE, 184), (BETWEEN, 184), (BETWEEN, 66), (RIGHT - 106, 66)), "line", ("build", "catalog.catalog")),
    Arrow(((RIGHT, 90), (RIGHT, 158)), "line", ("catalog.index", "catalog.loader")),
    Arrow(((RIGHT, 234), (RIGHT, 288)), "gate", ("catalog.loader", "kind")),
    Arrow(((RIGHT - 106, 326), (TURN, 326), (TURN, 386), (EDGE, 386)), "gate", None),
    Arrow(((RIGHT, 364), (RIGHT, 428)), "gate dashed", None),
    Arrow(((RIGHT - 106, 466), (TURN, 466), (TURN, 406), (EDGE, 406)), "gate", ("cells.stack", "model.backbone")),
    Arrow(((LEFT + 85, 52), (MIDDLE - 106, 52)), "input", ("files.spec", "specs.recurrent_spec"), both=True),
    Arrow(((LEFT, 158), (LEFT, 90)), "input", ("cli", "files.spec")),
    Arrow(((LEFT, 234), (LEFT, 358)), "input", ("cli", "files.checkpoint")),
    Arrow(((LEFT + 85, 396), (MIDDLE - 134, 396)), "input", ("files.checkpoint", "model.recurrent_model"), both=True),
    Arrow(((LEFT + 85, 520), (MIDDLE - 134, 520)), "input", ("testing", "model.recurrent_model")),
)


def shown(module: str) -> str:
    """A room, or a module at the root: `catalog.loader` is shown as `catalog/`."""
    if module in PACKAGES:
        return module.replace(".", "/") + "/"
    room, _, inside = module.partition(".")
    return f"{room}/" if inside else f"{room}.py"


def boxed(box: Box) -> str:
    """A box with its words."""
    (x, y), (width, height) = box.middle, box.size
    modules = " · ".join(dict.fromkeys(map(shown, box.modules)))
    words = text(x, y - 15, box.title, "strong") + text(x, y + 5, box.says) + text(x, y + 25, modules, "code")
    return rect(x, y, width, height, box.css) + words


def around_the_model() -> str:
    """The box of the model, with its name at the top: what is inside of it is drawn later."""
    (x, y), (width, height) = MODEL.middle, MODEL.size
    top = y - height / 2
    names = text(x, top + 26, MODEL.title, "strong") + text(x, top + 46, "model/", "code")
    return rect(x, y, width, height, f"{MODEL.css} empty") + names


def labels() -> list[str]:
    """Words beside the arrows, where they say more."""
    return [
        text(BETWEEN, 30, "options of", "small"),
        text(BETWEEN + 6, 140, "get", "small start"),
        text(RIGHT + 10, 128, "loads", "small start"),
        text(RIGHT + 10, 264, "register_kinds", "code start"),
        text(BETWEEN + 16, 382, "builder", "small start"),
        text(BETWEEN + 16, 420, "is one", "small start"),
        text(RIGHT + 10, 400, "of cells", "small start"),
    ]


def picture() -> str:
    arrows = [arrow(each.points, each.css, both=each.both) for each in ARROWS]
    parts = [around_the_model(), *arrows, *labels(), *map(boxed, BOXES)]
    return drawing("flow", WIDTH, HEIGHT, WORDS, parts)


def main() -> None:
    FILE.write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
