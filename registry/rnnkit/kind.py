"""The record of a kind: all that the catalog, the build and the documentation know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rnnkit.options import Options

if TYPE_CHECKING:
    import torch

    from rnnkit.cells import Cell
    from rnnkit.deprecation import Deprecation
    from rnnkit.model import Backbone
    from rnnkit.specs import RecurrentSpec


class Paper(NamedTuple):
    """The publication that a kind comes from."""

    title: str
    authors: str
    year: int
    link: str


class Problem(NamedTuple):
    """One thing that is wrong with a spec: the field (`"options.proj_size"`) and what to do about it."""

    field: str
    message: str


class Builder(Protocol):
    """Makes the backbone that a spec describes.

    Called by `build_model` with a spec whose `options` are already of the kind's options class. Parameters are
    created on `device` and in `dtype` (None: torch's defaults); nothing is allocated on any other device.
    """

    def __call__(
        self, spec: RecurrentSpec[Any], /, *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> Backbone: ...


def _nothing_to_check(_spec: RecurrentSpec[Any], /) -> Iterable[Problem]:
    """The check of a kind without rules between fields."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A family of recurrent networks under a name.

    Attributes:
        name: what a spec says to get it; the same as the name of the plugin's entry point.
        builder: makes a backbone from a spec.
        options: the class of the fields that only this kind has; `Options` itself for none.
        summary: one sentence.
        equation: the update of one step in LaTeX, which the code computes; empty: none is given.
        meanings: from a symbol of the equation, as LaTeX has it, to what it means, in words that begin in lower case.
            What every equation knows (`x_t`, the parts of the state, tanh) needs none, nor do weights and biases.
        paper: where it was published; None: nowhere.
        check: yields a `Problem` for each rule between fields that a spec breaks (`proj_size < hidden_size`).
            Called when a spec is made, after each field alone was found valid.
        sizes_per_layer: whether it takes a tuple as `hidden_size`, one size for each layer.
        cell: the cell that the kind is a stack of, which `cell_kind` sets; None: it is no such stack, or has several.
        deprecated: that it goes away, or what takes its place, of which every spec of it warns; None: it stays.
    """

    name: str
    builder: Builder
    options: type[Options] = Options
    summary: str
    equation: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict, hash=False)
    paper: Paper | None = None
    check: Callable[[RecurrentSpec[Any]], Iterable[Problem]] = _nothing_to_check
    sizes_per_layer: bool = False
    cell: type[Cell] | None = None
    deprecated: Deprecation | None = None
