"""Inputs for models that torch traces, and messages for those that it cannot trace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentModel
from rnnkit._messages import describe_exception
from rnnkit.export import quiet_torch
from rnnkit.testing._check import CheckFailedError
from rnnkit.testing._comparison import leaves
from rnnkit.testing._context import Case, random_state
from rnnkit.testing._fixed_sizes import fixed_sizes
from rnnkit.testing._raised_at import raised_at

Arguments = tuple[Tensor, Any, Tensor]  # input, state and lengths

_MAX_MESSAGE = 300
_FIXED = "a size is fixed: write x.shape[0] in place of len(x) and int(x.shape[0]), and no loop over steps or sequences"
_FIXES = (  # a pattern in torch's messages, and what to change
    (r"side effect", "a step must not store values in attributes: return them in the state"),
    (r"input mutation", "a step must not change a tensor in place: compute a new one, h + x in place of h.add_(x)"),
    (
        r"[Dd]ata-dependent|SymFloat|\.item\(\)|\.numpy\(\)",
        "a step must not read values: use torch.where for `if`, tensors for .item()",
    ),
    (r"Constraints violated|specialized", _FIXED),
)


def sizes_of(model: RecurrentModel) -> list[tuple[int, int]]:
    """Two pairs of batch and time, no number of which is another size of the model: torch takes equal sizes for one."""
    taken = {model.spec.input_size, *(size for part in leaves(model.initial_state(1)) for size in part.shape)}
    free = [size for size in range(5, 64) if size not in taken]
    return [(free[0], free[1]), (free[3], free[2])]


def arguments_of(case: Case, model: RecurrentModel, batch: int, time: int) -> Arguments:
    """Input, a state that is not zero, and lengths from all steps to 0."""
    x = case.input(batch=batch, time=time, dtype=model.dtype)
    return x, random_state(model, batch), time - torch.arange(batch) * time // max(1, batch - 1)


@contextmanager
def explain_failure(doing: str, model: RecurrentModel) -> Iterator[None]:
    """Raise `CheckFailedError` with the line of the plugin and the fix if torch cannot trace a model."""
    try:
        with quiet_torch():
            yield
    except Exception as error:
        causes = [*_causes(error)]
        fix, text = _fix(" ".join(map(str, causes)), model), describe_exception(causes[-1])
        raise CheckFailedError(f"{doing} failed{raised_at(error)}{fix}. {_shorten(text)}") from error


def fixed_size_hint(model: RecurrentModel) -> str:
    """The fix for a size that becomes a number, with the calls in the plugin's code that do so."""
    return "; ".join([_FIXED, *fixed_sizes(model.backbone)])


def _shorten(text: str) -> str:
    text = text.rpartition("Got graph break/error: ")[2]
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}..."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and its causes, without those of rnnkit that have another cause: they list all fixes."""
    if error.__cause__ is None or not type(error).__module__.startswith("rnnkit."):
        yield error
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)


def _fix(text: str, model: RecurrentModel) -> str:
    fix = next((fix for pattern, fix in _FIXES if re.search(pattern, text)), "")
    return f": {fixed_size_hint(model) if fix == _FIXED else fix}" if fix else ""
