"""What rnnkit raises on purpose: one class per mistake, all of them `RnnkitError`.

The catalog's errors are no `ValueError`: pydantic would turn those into a line of a `ValidationError` and lose
their class. A field of a spec that has the wrong type or range raises pydantic's own `ValidationError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnkit.files import FileProblem


class RnnkitError(Exception):
    """The base of every error that rnnkit raises on purpose."""


class UnknownKindError(RnnkitError, LookupError):
    """No installed plugin provides the kind that was asked for."""


class AmbiguousKindError(RnnkitError, LookupError):
    """Several distributions provide a kind of the name that was asked for, and none of them goes before the others."""


class BlockedKindError(RnnkitError, LookupError):
    """The distribution that provides the kind has been turned off."""


class ReservedKindError(RnnkitError):
    """A local kind was given a name that is rnnkit's own, or that another local kind has."""


class PluginError(RnnkitError):
    """A plugin was found, but it does not keep the contract of plugins."""

    cause: str = ""
    """What is wrong, in short."""


class BuildError(RnnkitError, TypeError):
    """`build_model` was given no spec, a builder returned no backbone, or the cells of a stack do not go together."""


class InputError(RnnkitError, ValueError):
    """The input, the lengths or the state given to a model have a shape, dtype or value that it cannot take."""


class StepError(RnnkitError, RuntimeError):
    """Single steps were asked of a model that cannot take them, or whose output at one step depends on later steps."""


class UnresolvedKindError(UnknownKindError):
    """A model was asked for whose plugin is not installed here."""


class SpecFileError(RnnkitError, ValueError):
    """A file holds no valid spec, or an override of one is not valid."""

    def __init__(self, message: str, problems: tuple[FileProblem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems
        """What is wrong, one by one."""


class CheckpointError(RnnkitError, ValueError):
    """A file holds no model that can be loaded, or a model cannot be saved to one."""


class LockWarning(UserWarning):
    """A file was written with another version of its plugin than the one that is installed."""


class DeprecatedKindWarning(FutureWarning):
    """A kind was asked for by an old name, or one that goes away."""
