"""The page of a kind, section by section."""

from __future__ import annotations

import json

from rnnkit.errors import InputError
from rnnkit.kind_page.links import NO_LINKS, Links
from rnnkit.kind_page.measurements import Measurements
from rnnkit.kind_page.sections.abilities import abilities
from rnnkit.kind_page.sections.cost import parameters, speed
from rnnkit.kind_page.sections.equation import equation, one_step
from rnnkit.kind_page.sections.example_run import example
from rnnkit.kind_page.sections.facts import facts
from rnnkit.kind_page.sections.learning import learning
from rnnkit.kind_page.sections.options import options
from rnnkit.kind_page.sections.references import how_made, references
from rnnkit.kind_page.sections.shapes import shapes
from rnnkit.kind_page.specimen import Specimen

STYLE = "assets/stylesheets/kinds.css"


def page_text(kind: str, measurements: Measurements, *, links: Links = NO_LINKS) -> str:
    """The page of a kind in Markdown, with its drawings as SVG in it.

    The same record and the same measurements give the same page, on any day and machine.

    Args:
        kind: its name.
        measurements: what `measure` found.
        links: to rnnkit's own documentation.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: the kind cannot be had, or its record is
            wrong.
        InputError: the measurements are of another kind.
    """
    specimen = Specimen.of(kind)
    if measurements.kind != specimen.name:
        raise InputError(
            f"The page of {specimen.name!r} needs measurements of it, but these are of {measurements.kind!r}"
        )
    sections = [
        facts(specimen, measurements, links),
        equation(specimen, links),
        one_step(specimen),
        options(specimen, links),
        shapes(specimen, links),
        example(specimen, links),
        abilities(measurements, links),
        learning(measurements),
        speed(measurements),
        parameters(specimen),
        references(specimen, links),
        how_made(specimen),
    ]
    return "\n\n".join([_front_matter(specimen, links), *filter(None, sections)]) + "\n"


def _front_matter(kind: Specimen, links: Links) -> str:
    described = f"The kind {kind.name}: its equation, options, shapes and speed. {kind.record.summary}"
    style = [f"styles: [{STYLE}]"] if links.base is not None else []
    return "\n".join(["---", f"description: {json.dumps(described, ensure_ascii=False)}", *style, "---"])
