"""An example: what it shows, the function that runs it for one kind, and how it runs for all of them."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import torch

from rnnkit import RecurrentSpec, list_kinds

INPUT_SIZE, OUTPUT_SIZE, BATCH, TIME = 3, 2, 8, 5


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    yield


@dataclass(frozen=True, kw_only=True)
class Example:
    """A use of a tool.

    Attributes:
        title: the row's name in the table.
        page: the page about it, in `docs/tools`.
        run: raises if the use does not work; called with a spec, and with the value of `setup` if that is not None.
        tool: the distribution that it is installed with; "" for torch itself.
        setup: a context that is entered once for all kinds, such as a cluster.
        adapter: a class or function that users write to make it work; None if it works as it is.
        kinds: the kinds that it applies to; None: all.
        limit: why some kinds fail, and the alternative; "" if none fails.
    """

    title: str
    page: str
    run: Callable[..., object]
    tool: str = ""
    setup: Callable[[], AbstractContextManager[Any]] = _nothing
    adapter: Callable[..., Any] | None = None
    kinds: tuple[str, ...] | None = None
    limit: str = ""

    @property
    def lines(self) -> int:
        """The number of lines of the adapter."""
        return 0 if self.adapter is None else len(inspect.getsourcelines(self.adapter)[0])

    def outcomes(self) -> dict[str, str]:
        """Run the example for each kind it applies to; map it to "" or to the error."""
        kinds = list_kinds() if self.kinds is None else self.kinds
        with _quiet(), self.setup() as context:
            return {kind: _outcome(self.run, kind, () if context is None else (context,)) for kind in kinds}


def _outcome(run: Callable[..., object], kind: str, arguments: Iterable[Any]) -> str:
    torch.manual_seed(0)
    try:
        run(example_spec(kind), *arguments)
    except Exception as error:  # noqa: BLE001  # any error is the outcome
        return f"{type(error).__name__}: {_without_folders(' '.join(str(error).split()))[:200]}"
    return ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Run in an empty folder, without the output of the tools."""
    with (
        TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        warnings.catch_warnings(action="ignore"),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def example_spec(kind: str, **fields: Any) -> RecurrentSpec[Any]:
    """Return a small spec of a kind."""
    options = {"cells": ["lstm_cell", "gru_cell"]} if kind == "mixed" else {}
    sizes = {"input_size": INPUT_SIZE, "hidden_size": 8, "num_layers": 2, "output_size": OUTPUT_SIZE}
    return RecurrentSpec(kind=kind, **{**sizes, "options": options, **fields})


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return x, `(batch, time, input_size)`, lengths and labels, `(batch,)`; the same at each call."""
    x = torch.randn(BATCH, TIME, INPUT_SIZE, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([5, 3, 1, 4, 2, 5, 5, 1])
    return x, lengths, torch.arange(BATCH) % OUTPUT_SIZE


def _without_folders(message: str) -> str:
    """Replace the path of each file by its name, so that the outcome is the same on each machine."""
    return re.sub(r"/[^\s\"']*/", "", message)
