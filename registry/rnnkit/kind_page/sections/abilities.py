"""What a kind can do and what it refuses, from the report of the conformance kit."""

from __future__ import annotations

from itertools import groupby

from rnnkit.kind_page.capabilities import CAPABILITIES, answer, in_short
from rnnkit.kind_page.links import Links
from rnnkit.kind_page.markdown import code, collapsed, table
from rnnkit.kind_page.measurements import CheckOutcome, Measurements

_OUTCOMES = {"passed": "kept", "failed": "**broken**", "not applicable": "does not apply"}


def abilities(measurements: Measurements, links: Links) -> str:
    """A table of what one may want of a kind, what the kind refuses, and all promises, folded away."""
    parts = ["## What it can do", _counted(measurements, links), _table(measurements, links)]
    refused = dict.fromkeys(each for outcome in measurements.checks for each in outcome.left_out)
    if refused:
        parts.append("It refuses, when the spec is made:\n\n" + "\n".join(f"- {_refusal(each)}" for each in refused))
    parts.append(collapsed(f"All {len(measurements.checks)} promises, one by one", _all(measurements)))
    return "\n\n".join(parts)


def _counted(measurements: Measurements, links: Links) -> str:
    outcomes = [each.outcome for each in measurements.checks]
    kit = links.to("plugins/testing.md", "conformance kit")
    told = [f"it keeps {outcomes.count('passed')}"]
    if "failed" in outcomes:
        told.append(f"**breaks {outcomes.count('failed')}**")
    if "not applicable" in outcomes:
        told.append(f"{outcomes.count('not applicable')} cannot be asked of it")
    return f"Of the {len(outcomes)} promises that the {kit} puts to every kind, {' and '.join(told)}."


def _table(measurements: Measurements, links: Links) -> str:
    rows = []
    for capability in CAPABILITIES:
        word, why = answer(capability, measurements)
        wanted = links.to(capability.page, capability.words) if capability.page else capability.words
        rows.append([wanted, word if word == "yes" else f"**{word}**", why])
    if any(why for _, _, why in rows):
        return table(["what one may want", "answer", "why"], rows)
    return table(["what one may want", "answer"], [row[:2] for row in rows])


def _refusal(refused: str) -> str:
    """`options.forget_bias=0.5: why` with the field as code."""
    field, colon, why = refused.partition(": ")
    return f"{code(field)}: {why}" if colon else refused


def _all(measurements: Measurements) -> str:
    parts = []
    for tier, outcomes in groupby(measurements.checks, key=lambda each: each.tier):
        rows = [[_OUTCOMES[each.outcome], _promise(each)] for each in outcomes]
        parts.append(f"**{tier.capitalize()}**\n\n" + table(["outcome", "promise"], rows))
    return "\n\n".join(parts)


def _promise(outcome: CheckOutcome) -> str:
    why = f" *{in_short(outcome)}*" if outcome.outcome != "passed" else ""
    return f"{code(outcome.check)}: {outcome.text}{why}"
