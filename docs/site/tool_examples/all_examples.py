"""All examples, in the order of the table."""

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
