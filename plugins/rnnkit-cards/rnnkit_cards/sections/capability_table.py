"""The features that a kind supports and rejects, from the report of the conformance kit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rnnkit_cards.capabilities import CAPABILITIES, short_reason, support
from rnnkit_cards.card_context import CardContext
from rnnkit_cards.links import Links
from rnnkit_cards.markdown import code, collapsed, table
from rnnkit_cards.measurements import CheckOutcome, Measurements

_OUTCOMES = {"failed": "**failed**"}


def capabilities(card: CardContext, measurements: Measurements, links: Links) -> str:
    """The supported features, a table of the others, and collapsed: rejected values and all checks."""
    parts = ["## Capabilities", _counts(measurements, links), *_features(measurements, links)]
    if declared := card.record.inapplicable_checks:
        items = "\n".join(f"- {code(name)}: {reason}" for name, reason in declared.items())
        parts.append(f"Checks that do not apply:\n\n{items}")
    rejected = dict.fromkeys(each for outcome in measurements.checks for each in outcome.left_out)
    if rejected:
        items = "\n".join(f"- {_rejection(each)}" for each in rejected)
        introduction = "Creating a spec with one of these values raises a `ValidationError`:"
        parts.append(collapsed(f"Values that the kind rejects ({len(rejected)})", f"{introduction}\n\n{items}"))
    parts.append(collapsed(f"All {len(measurements.checks)} conformance checks", _all_checks(measurements)))
    return "\n\n".join(parts)


def _counts(measurements: Measurements, links: Links) -> str:
    outcomes = [each.outcome for each in measurements.checks]
    kit = links.to("plugins/testing.md", "Conformance checks")
    counts = [f"{outcomes.count('passed')} passed"]
    if "failed" in outcomes:
        counts.append(f"**{outcomes.count('failed')} failed**")
    if "not applicable" in outcomes:
        counts.append(f"{outcomes.count('not applicable')} not applicable")
    return f"{kit}: {', '.join(counts)}."


def _features(measurements: Measurements, links: Links) -> Iterator[str]:
    supported, others = [], []
    for capability in CAPABILITIES:
        answer, reason = support(capability, measurements)
        feature = links.to(capability.page, capability.feature) if capability.page else capability.feature
        if answer == "yes":
            supported.append(feature)
        else:
            others.append([feature, f"**{answer}**", reason])
    if supported:
        yield f"**Supported:** {'; '.join(supported)}."
    if others:
        yield table(["feature", "supported", "reason"], others)


def _rejection(rejected: str) -> str:
    """`options.forget_bias=0.5: reason`, with the field as code."""
    field, colon, reason = rejected.partition(": ")
    return f"{code(field)}: {reason}" if colon else rejected


def _all_checks(measurements: Measurements) -> str:
    parts = []
    for tier, outcomes in groupby(measurements.checks, key=lambda each: each.tier):
        rows = [[_OUTCOMES.get(each.outcome, each.outcome), _check(each)] for each in outcomes]
        parts.append(f"**{tier.capitalize()}**\n\n" + table(["outcome", "check"], rows))
    return "\n\n".join(parts)


def _check(outcome: CheckOutcome) -> str:
    reason = f" *{short_reason(outcome)}*" if outcome.outcome != "passed" else ""
    return f"{code(outcome.check)}: {outcome.text}{reason}"
