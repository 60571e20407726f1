"""The papers of a kind, its differences from them, links to the API, and how to regenerate the card."""

from __future__ import annotations

from rnnkit import Paper
from rnnkit_cards.card_context import CardContext
from rnnkit_cards.files import GENERATED, measurements_path
from rnnkit_cards.links import Links
from rnnkit_cards.markdown import code, collapsed

_API = {
    "rnnkit.RecurrentSpec": "reference/api/specs.md",
    "rnnkit.build_model": "reference/api/models.md",
    "rnnkit.RecurrentModel": "reference/api/models.md",
}
_STACK_API = {
    "rnnkit.CellStack": "reference/api/cells.md",
    "rnnkit.StackOptions": "reference/api/cells.md",
}


def _contribution(paper: Paper) -> str:
    return f": {paper.contribution}" if paper.contribution else ""


def references(card: CardContext, links: Links) -> str:
    """The papers, and rnnkit's classes and functions for this kind."""
    lines = [
        f"- {paper.authors}: [{paper.title}]({paper.link}), {paper.year}{_contribution(paper)}."
        for paper in card.record.papers
    ]
    api = {**_API, **(_STACK_API if card.cells else {})}
    lines.append(f"- API: {', '.join(_link(name, page, links) for name, page in api.items())}.")
    entries = collapsed("BibTeX", f"```bibtex\n{card.record.bibtex()}\n```") if card.record.papers else ""
    return "\n\n".join(filter(None, ["## References", "\n".join(lines), entries]))


def differences(card: CardContext) -> str:
    """How the kind differs from its papers, or other implementations from it; empty if it has no notes."""
    notes = card.record.notes
    return "\n".join(["## Differences from the papers\n", *(f"- {note}" for note in notes)]) if notes else ""


def _link(name: str, page: str, links: Links) -> str:
    return links.to(f"{page}#{name}", code(name.rpartition(".")[2]))


def generated_by(card: CardContext) -> str:
    """How to regenerate the card."""
    measurements = measurements_path("", card.name).as_posix()
    return (
        f"---\n\n{GENERATED} {card.name}` from the record of the kind, from running it, and from "
        f"[measurements]({measurements}). To measure again, run `rnnkit card {card.name} --measure`."
    )
