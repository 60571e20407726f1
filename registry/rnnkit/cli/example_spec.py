"""The spec that stands for a kind where one must be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnnkit import PluginError, current_catalog

if TYPE_CHECKING:
    from rnnkit import RecurrentSpec

SIZES = {"input_size": 64, "hidden_size": 128}


def example_spec(kind: str) -> RecurrentSpec[Any]:
    """The spec of a kind with sizes that are usual, and its defaults otherwise.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError: the name stands for no kind.
        PluginError: its plugin is broken, or does not take its own defaults.
    """
    from pydantic import ValidationError

    from rnnkit import RecurrentSpec
    from rnnkit.files import listing, problem_lines

    current_catalog().get(kind)  # first: what is wrong with the kind itself is no matter of its fields
    try:
        return RecurrentSpec.from_dict({"kind": kind, **SIZES})
    except ValidationError as error:
        problems = listing(problem_lines(error))
        raise PluginError(f"The kind {kind!r} does not take its own defaults:{problems}") from error
