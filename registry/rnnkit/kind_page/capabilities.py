"""What a kind can do, in the words of who wants to use it, from what came of the promises of the conformance kit."""

from __future__ import annotations

import re
from typing import NamedTuple

from rnnkit.kind_page.measurements import CheckOutcome, Measurements


class Capability(NamedTuple):
    """Something that one may want of a kind, and the promises that say whether it can."""

    words: str
    checks: tuple[str, ...]
    page: str = ""
    """Of rnnkit's documentation, which tells of it."""


CAPABILITIES = (
    Capability("both directions", ("each_direction_is_causal", "directions_are_symmetric")),
    Capability("rows of different length in a batch", ("padding_has_no_effect", "zero_length_keeps_state")),
    Capability(
        "streaming, one step at a time", ("step_equals_forward", "reset_state_per_sequence"), "how_to/streams.md"
    ),
    Capability("long sequences in pieces", ("chunks_equal_full_sequence",)),
    Capability("a size of its own for each layer", ("hidden_size_per_layer",)),
    Capability("saving and loading, models and states", ("checkpoint_round_trip", "state_round_trip")),
    Capability("any device and dtype, `meta` included", ("device_is_consistent", "dtype_is_consistent")),
    Capability("autocast to bfloat16", ("autocast_is_close",)),
    Capability("training in several processes", ("ddp_equals_single_process",)),
    Capability("`torch.func.vmap` over the rows of a batch", ("vmap_equals_loop",)),
    Capability("gradients of each row", ("per_sample_gradients",)),
    Capability("forward-mode differentiation", ("forward_mode_gradients",)),
    Capability("second derivatives", ("double_backward",)),
)
_REFUSED = re.compile(r"^the kind rejects \w+=.*?: (?=[A-Z])", re.DOTALL)  # what follows is what it says itself
_FIRST_SENTENCE = re.compile(r"(.{20,}?)(?:[.;] |\.?$)", re.DOTALL)


def answer(capability: Capability, measurements: Measurements) -> tuple[str, str]:
    """`yes`, `no` or `broken`, and why it is not yes; `not known`: its promises were not put to the kind."""
    outcomes = [each for name in capability.checks if (each := measurements.of(name))]
    for outcome, word in (("failed", "broken"), ("not applicable", "no")):
        for each in outcomes:
            if each.outcome == outcome:
                return word, in_short(each)
    return ("yes", "") if outcomes else ("not known", "")


def in_short(outcome: CheckOutcome) -> str:
    """Why a promise is not kept or says nothing of a kind, in the first sentence."""
    reason = _REFUSED.sub("", outcome.reason)
    found = _FIRST_SENTENCE.match(reason)
    return " ".join((found[1] if found else reason).split())


def streams(measurements: Measurements) -> bool:
    """Whether the kind can be run one step at a time."""
    return answer(next(each for each in CAPABILITIES if "step_equals_forward" in each.checks), measurements)[0] == "yes"
