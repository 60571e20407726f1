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
from rnnkit.testing._check import CheckFailedError, NotApplicableError
from rnnkit.testing._comparison import leaves
from rnnkit.testing._context import Case, CheckContext, random_state
from rnnkit.testing._fixed_sizes import fixed_sizes
from rnnkit.testing._raised_at import raised_at
from rnnkit.testing.kind_under_test import Changes

Arguments = tuple[Tensor, Any, Tensor]  # input, state and lengths

_MAX_MESSAGE = 300
_FIXED = "a size becomes a number: write x.shape[0], not len(x) or int(x.shape[0]), and do not loop over the steps"
_FIXES = (  # a pattern in torch's messages, and what to change
    (r"side effect|mutate .*Module|Attribute mutation|attribute", "return it in the state, not in an attribute of self"),
    (r"input mutation|in-?place", "compute a new tensor, such as a + b, and do not change one in place, as a.add_(b)"),
    (r"[Dd]ata-dependent|SymFloat|SymBool|\.item\(\)|FakeTensor.*numpy", "use torch.where, not `if` or .item() on a tensor"),
    (r"metadata|dtype", "return a state of the dtype and shape of the given one"),
    (r"Constraints violated|specialized", _FIXED),
)


def one_case(context: CheckContext, **changes: Any) -> Iterator[Case]:
    """A single case, since tracing takes seconds: bidirectional if possible, which has the code of both directions."""
    both: Changes = {"bidirectional": True}
    return context.cases([both if context.kind.accepts(**both, **changes) else {}], **changes)


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
    except (NotApplicableError, CheckFailedError):
        raise
    except Exception as error:
        text = describe_exception(_of_torch(error))
        raise CheckFailedError(f"{doing} failed{raised_at(error)}{_fix(text, model)}. {text[:_MAX_MESSAGE]}") from error


def fixed_size_hint(model: RecurrentModel) -> str:
    """The fix for a size that becomes a number, with the calls in the plugin's code that do so."""
    return "; ".join([_FIXED, *fixed_sizes(model.backbone)])


def _of_torch(error: BaseException) -> BaseException:
    """The exception that rnnkit raised another one from."""
    return error if error.__cause__ is None or not type(error).__module__.startswith("rnnkit.") else error.__cause__


def _fix(text: str, model: RecurrentModel) -> str:
    fix = next((fix for pattern, fix in _FIXES if re.search(pattern, text)), "")
    return f": {fixed_size_hint(model) if fix == _FIXED else fix}" if fix else ""
