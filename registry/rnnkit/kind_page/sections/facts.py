"""The top of a page: what the kind is, who provides it, what it is built of."""

from __future__ import annotations

from rnnkit.kind_page.capabilities import streams
from rnnkit.kind_page.links import Links
from rnnkit.kind_page.markdown import code
from rnnkit.kind_page.measurements import Measurements
from rnnkit.kind_page.specimen import Specimen


def facts(kind: Specimen, measurements: Measurements, links: Links) -> str:
    """The title, the summary, and a line of facts."""
    told = {
        "Provided by": _provider(kind),
        "Paper": _paper(kind),
        "Built as": built_as(kind),
        "Streaming": links.to("how_to/streams.md", "yes" if streams(measurements) else "no"),
        "Hidden sizes": "one for each layer, or one for all" if kind.record.sizes_per_layer else "one for all layers",
    }
    lines = [f"- **{name}:** {fact}" for name, fact in told.items() if fact]
    return "\n\n".join([f"# {kind.name}", kind.record.summary, "\n".join(lines)])


def built_as(kind: Specimen) -> str:
    """What the backbone is."""
    if kind.cells:
        classes = " and ".join(code(name) for name in dict.fromkeys(type(cell).__name__ for cell in kind.cells))
        return f"a stack of cells, {classes}, {_way(kind)}"
    if kind.torch_module:
        return f"{code(kind.torch_module)}, with torch's own kernel"
    return f"a network of its own, {code(type(kind.layer.backbone).__name__)}"


def _way(kind: Specimen) -> str:
    return "with a fast way through whole sequences" if kind.has_fast_way else "one step after another"


def _provider(kind: Specimen) -> str:
    return "this process" if kind.distribution == "local" else code(kind.distribution)


def _paper(kind: Specimen) -> str:
    paper = kind.record.paper
    return "" if paper is None else f"[{surnames(paper.authors)}, {paper.year}]({paper.link})"


def surnames(authors: str) -> str:
    """`A and B` of two, `A et al.` of more, by the last word of each name."""
    names = [name.split()[-1] for name in authors.removesuffix(" et al.").split(", ") if name.split()]
    if authors.endswith("et al.") or len(names) > 2:
        return f"{names[0]} et al."
    return " and ".join(names)
