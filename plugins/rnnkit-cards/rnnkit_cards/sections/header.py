"""The title of a card, the summary of the kind, and its key facts."""

from __future__ import annotations

from rnnkit.plan import Refusal, plan_for
from rnnkit_cards.capabilities import streaming_support
from rnnkit_cards.card_context import CardContext
from rnnkit_cards.links import Links
from rnnkit_cards.markdown import code
from rnnkit_cards.measurements import Measurements


def header(card: CardContext, measurements: Measurements, links: Links) -> str:
    """The title, the summary, and a list of facts."""
    facts = {
        "Keywords": ", ".join(card.record.keywords),
        "Provided by": _provider(card),
        "Family": card.record.family,
        "Paper" if len(card.record.papers) == 1 else "Papers": _papers(card),
        "Implementation": _implementation(card),
        "Parallel over time": "yes" if card.parallel_over_time else "no",
        "Plan": _plan(card, links),
        "Streaming": links.to("how_to/streams.md", streaming_support(measurements)),
        "Hidden size": "one for all layers, or one per layer" if card.record.sizes_per_layer else "one for all layers",
        "Compare": _comparison(card, links),
    }
    lines = [f"- **{name}:** {fact}" for name, fact in facts.items() if fact]
    return "\n\n".join([f"# {card.name}", card.record.summary, "\n".join(lines)])


def _comparison(card: CardContext, links: Links) -> str:
    """A link to the kind beside `lstm`, or beside `gru`; rnnkit's site alone has such a page."""
    name = card.name.rpartition("/")[2]
    other = "gru" if name == "lstm" else "lstm"
    return "" if links.base is None else links.beside(f"compare.md?a={name}&b={other}", f"with {code(other)}")


def _implementation(card: CardContext) -> str:
    if card.cells:
        classes = " and ".join(code(name) for name in dict.fromkeys(type(cell).__name__ for cell in card.cells))
        return f"cell stack of {classes}, with {'a fused path' if card.has_fused_path else 'the step loop'}"
    if card.torch_module:
        return f"{code(card.torch_module)}, with torch's own kernel"
    return f"{code(type(card.layer.backbone).__name__)}, a backbone of its own"


def _plan(card: CardContext, links: Links) -> str:
    """Whether the steps have a plan, or why they do not; empty for a backbone that is not a cell stack."""
    refused = [plan.reason for plan in map(plan_for, card.cells) if isinstance(plan, Refusal)]
    answer = links.to("explanation/plans.md", "no" if refused else "yes")
    if refused:
        return f"{answer}: {refused[0]}; the step loop runs"
    return f"{answer}: an executor such as `rnnkit-kernels` can run the steps" if card.cells else ""


def _provider(card: CardContext) -> str:
    return "this process" if card.distribution == "local" else code(card.distribution)


def _papers(card: CardContext) -> str:
    papers = card.record.papers
    return "; ".join(
        f"[{surnames(paper.authors)}, {paper.year}]({paper.link})"
        + f" ({paper.contribution})" * bool(paper.contribution)
        for paper in papers
    )


def surnames(authors: str) -> str:
    """`A and B` for two authors, `A et al.` for more; a surname is the last word of a name."""
    names = [name.split()[-1] for name in authors.removesuffix(" et al.").split(", ") if name.split()]
    if authors.endswith("et al.") or len(names) > 2:
        return f"{names[0]} et al."
    return " and ".join(names)
