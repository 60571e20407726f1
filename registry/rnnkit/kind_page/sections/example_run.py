"""The example, with what it prints."""

from __future__ import annotations

from rnnkit.kind_page.example import example_code, printed_by
from rnnkit.kind_page.links import Links
from rnnkit.kind_page.markdown import block
from rnnkit.kind_page.specimen import Specimen


def example(kind: Specimen, links: Links) -> str:
    """Code that builds and runs the kind, and below it what it prints."""
    source = example_code(kind)
    more = f"Lengths, states and readouts are told of in {links.to('how_to/use_a_model.md', 'Using a model')}."
    parts = ["## Example", block("python", source), block("text", printed_by(source))]
    return "\n\n".join([*parts, more] if links.base is not None else parts)
