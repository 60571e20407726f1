"""The record of a kind: everything that the catalog, the build and the documentation know about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rnnkit._bibtex import bibtex
from rnnkit.options import Options

if TYPE_CHECKING:
    import torch

    from rnnkit.cells import Cell
    from rnnkit.deprecation import Deprecation
    from rnnkit.model import Backbone
    from rnnkit.specs import RecurrentSpec


class Paper(NamedTuple):
    """A publication on which a kind is based."""

    title: str
    authors: str
    year: int
    link: str
    contribution: str = ""
    """The part of the kind that it introduced, such as "the forget gate"; empty if the kind has only one paper."""


class Problem(NamedTuple):
    """A problem with a spec: the field, such as `"options.cells.1"`, and what to do about it."""

    field: str
    message: str


class Builder(Protocol):
    """Builds the backbone that a spec describes.

    Called by `build_model` with a spec whose `options` are an instance of the kind's options class. Parameters are
    created on `device` and in `dtype` (None: torch's defaults); nothing is allocated on any other device.
    """

    def __call__(
        self, spec: RecurrentSpec[Any], /, *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> Backbone: ...


def _no_problems(_spec: RecurrentSpec[Any], /) -> Iterable[Problem]:
    """The check of a kind without rules between fields."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A named family of recurrent networks.

    Attributes:
        name: the name that a spec uses; the same as the name of the plugin's entry point.
        builder: builds a backbone from a spec.
        options: the class of the fields that only this kind has; `Options` itself if there are none.
        summary: one sentence.
        keywords: its other names, and related terms, by which readers search for it, such as
            `("minimal gated unit",)`. A spec does not accept them; for a name that it accepts, register a `KindAlias`.
        equation: the update of one step in LaTeX, which the code computes; empty if none is given.
        meanings: what the symbols of the equation mean: from LaTeX to a phrase that begins in lower case. `x_t`, the
            parts of the state, weights, biases and functions such as tanh need none.
        papers: the publications on which it is based, the main one first; empty if there are none.
        notes: sentences on where the equation differs from the papers, and where other implementations do.
        family: the group in which tables list it, such as `"gated"`; empty if it belongs to none.
        check: yields a `Problem` for each rule between fields that a spec breaks (`proj_size < hidden_size`).
            Called when a spec is created, after each field has been found valid by itself.
        features: returns the number of features of the output at one step, over all directions, for a spec that passes
            `check`, so that a spec whose `tie_weights` does not fit is refused; None: known only from the backbone.
        sizes_per_layer: whether `hidden_size` may be a tuple with one size for each layer.
        cell: the class of the cells that the kind is a stack of, set by `cell_kind`; None if it is not such a stack, or
            is given several classes. By `Cell.class_for` it may choose a subclass for some options.
        inapplicable_checks: the conformance checks that do not apply to it, each with the reason, which its card shows.
            Only `loss_decreases` may be declared, for kinds that are not trained by gradient descent.
        deprecated: when it will be removed and what replaces it; every spec of the kind warns. None: it is not
            deprecated.
    """

    name: str
    builder: Builder
    options: type[Options] = Options
    summary: str
    keywords: tuple[str, ...] = ()
    equation: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict, hash=False)
    papers: tuple[Paper, ...] = ()
    notes: tuple[str, ...] = ()
    family: str = ""
    check: Callable[[RecurrentSpec[Any]], Iterable[Problem]] = _no_problems
    features: Callable[[RecurrentSpec[Any]], int] | None = None
    sizes_per_layer: bool = False
    cell: type[Cell] | None = None
    inapplicable_checks: Mapping[str, str] = field(default_factory=dict, hash=False)
    deprecated: Deprecation | None = None

    def bibtex(self) -> str:
        """Return a BibTeX entry for each of `papers`, separated by an empty line; empty if there are none."""
        return bibtex(self.papers)
