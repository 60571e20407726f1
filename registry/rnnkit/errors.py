"""The errors of rnnkit: one class per mistake, all of them `RnnkitError`.

The catalog's errors are not `ValueError`s: pydantic would turn those into a line of a `ValidationError` and lose
their class. A field of a spec with a wrong type or range raises pydantic's own `ValidationError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnkit.files import FileProblem


class RnnkitError(Exception):
    """The base class of all errors of rnnkit."""


class UnknownKindError(RnnkitError, LookupError):
    """The kind is not installed."""


class AmbiguousKindError(RnnkitError, LookupError):
    """Several distributions provide a kind of this name, and none of them takes precedence."""


class BlockedKindError(RnnkitError, LookupError):
    """The distribution that provides the kind is blocked."""


class ReservedKindError(RnnkitError):
    """A local kind has a name of rnnkit's own, or of another local kind."""


class PluginError(RnnkitError):
    """A plugin is broken: it cannot be imported, or it breaks the contract of plugins."""

    cause: str = ""
    """The cause, in short."""


class BuildError(RnnkitError, TypeError):
    """`build_model` got no spec, a builder returned no backbone, or the cells of a stack do not fit together."""


class InputError(RnnkitError, ValueError):
    """The input, the lengths or the state of a model have a wrong shape, dtype or value."""


class StepError(RnnkitError, RuntimeError):
    """The model does not have an operation: single steps, the states of every step, directions to merge."""


class UnresolvedKindError(UnknownKindError):
    """A model cannot be built because its plugin is not installed."""


class SpecFileError(RnnkitError, ValueError):
    """A file is not a valid spec, or an override of a spec is not valid."""

    def __init__(self, message: str, problems: tuple[FileProblem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems
        """All problems, one by one."""


class CheckpointError(RnnkitError, ValueError):
    """A file cannot be loaded as a model, or a model cannot be saved."""


class CompareError(RnnkitError, RuntimeError):
    """A comparison cannot be made: a task or an engine is unknown, workers lack a kind, or a file is not readable."""


class ExportError(RnnkitError, RuntimeError):
    """A model cannot be exported, or its export differs from it."""


class LockWarning(UserWarning):
    """A file was written with another version of its plugin than the installed one."""


class WeightWarning(UserWarning):
    """A file holds weights that a model cannot compute with: NaN, infinity, float8, or weights of several dtypes."""


class DeprecatedKindWarning(FutureWarning):
    """A kind was used by an old name, or is deprecated."""
