"""A character language model."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from rnnkit.compare.objective import LANGUAGE, Objective
from rnnkit.compare.task import Batch, DatasetTask, Splits
from rnnkit.errors import CompareError


@dataclass(frozen=True)
class Text(DatasetTask):
    """Predict the next character of the reference of Python, which the standard library has as `pydoc_data.topics`.

    Paragraphs that occur twice are left out. The first 80 % of the text are for training, the next 10 % for validation,
    the last 10 % for the test.
    """

    length: Annotated[int, Field(ge=1)] = 64
    """Characters of a sequence."""
    python: str = field(default_factory=platform.python_version)
    """The version of Python, which the text depends on: that of the running one."""

    name = "text"
    summary = "Predict the next character of a text."
    measures = "language modeling with little data"
    source = "The Python Language Reference, by the Python Software Foundation: https://docs.python.org/3/reference/"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.python != (running := platform.python_version()):
            raise CompareError(
                f"Task {self.name!r}: the text of python={self.python!r} is not available in Python {running}; leave "
                "the setting out, or run that version"
            )

    @property
    def objective(self) -> Objective:
        return LANGUAGE

    def fields(self) -> Mapping[str, Any]:
        size = len(_tokens()[0])
        return {"input_size": 32, "num_embeddings": size, "output_size": size, "readout": "all"}

    def missing(self) -> str:
        return "" if find_spec("pydoc_data") else "the module pydoc_data of Python's standard library"

    def load(self) -> Splits:
        return _load(self.length)

    @property
    def characters(self) -> str:
        """The character of each token."""
        return _tokens()[0]


@cache
def _tokens() -> tuple[str, Tensor]:
    """Return the characters that occur, sorted, and the text as indices of them."""
    from pydoc_data.topics import topics

    # Some topics contain others, whose lines are indented and broken differently.
    paragraphs = {" ".join(each.split()): each for topic in topics.values() for each in topic.split("\n\n")}
    text = "\n\n".join(paragraphs.values())
    characters = "".join(sorted(set(text)))
    indices = {character: index for index, character in enumerate(characters)}
    return characters, torch.tensor([indices[each] for each in text])


@cache
def _load(length: int) -> Splits:
    tokens = _tokens()[1]
    tenth = len(tokens) // 10
    if length >= tenth:
        raise CompareError(f"Task 'text' does not accept length={length}: a tenth of the text has {tenth} characters")
    parts = tokens.split([len(tokens) - 2 * tenth, tenth, tenth])
    return Splits(*[_sequences(each, length) for each in parts])


def _sequences(tokens: Tensor, length: int) -> Batch:
    windows = tokens.unfold(0, length + 1, length)
    return Batch(windows[:, :-1], windows[:, 1:])
