"""Where a kind was published, and where its parts are documented."""

from __future__ import annotations

from rnnkit.kind_page.files import measurements_path
from rnnkit.kind_page.links import Links
from rnnkit.kind_page.markdown import code
from rnnkit.kind_page.specimen import Specimen

_API = {
    "rnnkit.RecurrentSpec": ("reference/api/specs.md", "what describes a model"),
    "rnnkit.build_model": ("reference/api/models.md", "makes it"),
    "rnnkit.RecurrentModel": ("reference/api/models.md", "what it makes"),
}
_OF_STACKS = {
    "rnnkit.CellStack": ("reference/api/cells.md", "the backbone"),
    "rnnkit.StackOptions": ("reference/api/cells.md", "the options of every stack"),
}


def references(kind: Specimen, links: Links) -> str:
    """The paper, and the classes of rnnkit that have to do with the kind."""
    paper = kind.record.paper
    lines = [] if paper is None else [f"- {paper.authors}: [{paper.title}]({paper.link}), {paper.year}."]
    documented = {**_API, **(_OF_STACKS if kind.cells else {})}
    lines += [f"- {_link(name, page, links)}: {what}." for name, (page, what) in documented.items()]
    return "## Reference\n\n" + "\n".join(lines)


def _link(name: str, page: str, links: Links) -> str:
    return links.to(f"{page}#{name}", code(name.rpartition(".")[2]))


def how_made(kind: Specimen) -> str:
    """How to make the page again."""
    return (
        f"---\n\nThis page is made by `rnnkit page {kind.name}` from the record of the kind, from running it, and from "
        f"what `rnnkit page {kind.name} --measure` has [measured]({measurements_path('', kind.name).as_posix()})."
    )
