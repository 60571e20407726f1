"""The capabilities of a kind, according to the outcomes of the conformance checks."""

from __future__ import annotations

import re
from typing import NamedTuple

from rnnkit_cards.measurements import CheckOutcome, Measurements


class Capability(NamedTuple):
    """A feature, and the conformance checks that show whether a kind has it.

    Attributes:
        feature: in a few words.
        checks: names of the checks.
        page: page of rnnkit's documentation about it; empty: none.
    """

    feature: str
    checks: tuple[str, ...]
    page: str = ""


CAPABILITIES = (
    Capability("bidirectional", ("each_direction_is_causal", "directions_are_symmetric")),
    Capability("variable-length sequences", ("padding_has_no_effect", "zero_length_keeps_state")),
    Capability(
        "streaming, one step at a time", ("step_equals_forward", "reset_state_per_sequence"), "how_to/streams.md"
    ),
    Capability("truncated BPTT over long sequences", ("chunks_equal_full_sequence",)),
    Capability("a `hidden_size` per layer", ("hidden_size_per_layer",)),
    Capability("serialization of models and states", ("checkpoint_round_trip", "state_round_trip")),
    Capability("any device and dtype, including `meta`", ("device_is_consistent", "dtype_is_consistent")),
    Capability("autocast to bfloat16 and float16", ("autocast_is_close",)),
    Capability("data-parallel training", ("ddp_equals_single_process",)),
    Capability("`torch.func.vmap` over the batch", ("vmap_equals_loop",)),
    Capability("per-sample gradients", ("per_sample_gradients",)),
    Capability("forward-mode differentiation", ("forward_mode_gradients",)),
    Capability("second derivatives", ("double_backward",)),
)
# what comes before the kind's own error message
_PREFIX = re.compile(r"^the kind (?:refuses|rejects) \w+=.*?: (?=[A-Z])", re.DOTALL)
_FIRST_SENTENCE = re.compile(r"(.{20,}?)(?:[.;] |\.?$)", re.DOTALL)


def support(capability: Capability, measurements: Measurements) -> tuple[str, str]:
    """Return `yes`, `no`, `broken`, or `not measured` if a check was not run; and the reason for `no` and `broken`."""
    outcomes = [each for name in capability.checks if (each := measurements.outcome_of(name))]
    for outcome, answer in (("failed", "broken"), ("not applicable", "no")):
        for each in outcomes:
            if each.outcome == outcome:
                return answer, short_reason(each)
    return ("yes" if len(outcomes) == len(capability.checks) else "not measured"), ""


def short_reason(outcome: CheckOutcome) -> str:
    """The first sentence of why a check failed or is not applicable."""
    reason = _PREFIX.sub("", outcome.reason)
    found = _FIRST_SENTENCE.match(reason)
    return " ".join((found[1] if found else reason).split())


def streaming_support(measurements: Measurements) -> str:
    """Whether the kind can run one step at a time, as `support` says it."""
    streaming = next(each for each in CAPABILITIES if "step_equals_forward" in each.checks)
    return support(streaming, measurements)[0]
