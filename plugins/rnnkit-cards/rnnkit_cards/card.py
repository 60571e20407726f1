"""Assembles a model card from its sections."""

from __future__ import annotations

import json

from rnnkit import InputError
from rnnkit_cards.card_context import CardContext
from rnnkit_cards.links import NO_LINKS, Links
from rnnkit_cards.markdown import side_by_side
from rnnkit_cards.measurements import Measurements
from rnnkit_cards.sections.capability_table import capabilities
from rnnkit_cards.sections.cost import parameters, speed
from rnnkit_cards.sections.equation_and_step import equation
from rnnkit_cards.sections.example import example
from rnnkit_cards.sections.header import header
from rnnkit_cards.sections.learning import learning
from rnnkit_cards.sections.options import options
from rnnkit_cards.sections.references import differences, generated_by, references
from rnnkit_cards.sections.shapes import shapes

STYLES = ("assets/stylesheets/kinds.css", "assets/stylesheets/step_lines.css")
SCRIPTS = ("assets/javascripts/step_lines.js",)


def card_text(kind: str, measurements: Measurements, *, links: Links = NO_LINKS) -> str:
    """Return the model card of a kind in Markdown, with its drawings as inline SVG.

    The text depends on the record of the kind and on the measurements only, not on the date or the machine.

    Args:
        kind: name of the kind.
        measurements: result of `measure`.
        links: links to rnnkit's documentation.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: the kind is not available, or its record is
            invalid.
        InputError: the measurements belong to another kind.
    """
    card = CardContext.of(kind)
    if measurements.kind != card.name:
        raise InputError(f"The card of {card.name!r} needs measurements of it, but got those of {measurements.kind!r}")
    sections = [
        header(card, measurements, links),
        equation(card, links),
        differences(card),
        options(card, links),
        side_by_side(example(card, links), f"{shapes(card, links)}\n\n{parameters(card)}"),
        capabilities(card, measurements, links),
        side_by_side(speed(measurements), learning(measurements)),
        references(card, links),
        generated_by(card),
    ]
    return "\n\n".join([_front_matter(card, links), *filter(None, sections)]) + "\n"


def _front_matter(card: CardContext, links: Links) -> str:
    description = f"The kind {card.name}: its equation, options, shapes and speed. {card.record.summary}"
    lines = [f"description: {_quoted(description)}", f"tags: {_quoted(_tags(card))}"]
    if links.base is not None:  # the stylesheets and scripts are part of rnnkit's site only
        lines += [f"styles: [{', '.join(STYLES)}]", f"scripts: [{', '.join(SCRIPTS)}]", "hide: [toc]"]
    return "\n".join(["---", *lines, "---"])


def _tags(card: CardContext) -> list[str]:
    """The name and the keywords of the kind, which the search of Material for MkDocs weighs more than text."""
    return [card.record.name, *card.record.keywords]


def _quoted(value: str | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)
