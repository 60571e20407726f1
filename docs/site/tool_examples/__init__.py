"""A small example of each tool, run for every kind: `docs.site.tools` makes a table of the outcomes."""

from docs.site.tool_examples import configuration, deployment, exchange, inspection, processes, training
from docs.site.tool_examples.example import Example

EXAMPLES: list[Example] = [
    *training.EXAMPLES,
    *processes.EXAMPLES,
    *configuration.EXAMPLES,
    *inspection.EXAMPLES,
    *deployment.EXAMPLES,
    *exchange.EXAMPLES,
]

__all__ = ["EXAMPLES", "Example"]
