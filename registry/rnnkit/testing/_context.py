"""The context of one run of a check: cases, comparisons and measured figures."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from itertools import product
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from rnnkit import RecurrentModel, RecurrentSpec, build_model
from rnnkit._messages import describe_exception
from rnnkit.executors import VARIABLE
from rnnkit.options import plain_defaults
from rnnkit.testing._check import CheckFailedError, NotApplicableError
from rnnkit.testing._comparison import floating_leaves, largest_difference
from rnnkit.testing._seeding import seed_generators
from rnnkit.testing.kind_under_test import Changes, KindUnderTest

BATCH, TIME = 4, 5
LENGTHS = (TIME, 2, 0, 3)  # of the sequences of a batch
DIRECTIONS: tuple[Changes, ...] = ({"bidirectional": False}, {"bidirectional": True})
BATCH_AXES: tuple[Changes, ...] = ({"batch_first": True}, {"batch_first": False})
_DEFAULTS = {each.name: each.default for each in fields(RecurrentSpec)}
_WARMUP = 3  # steps before a random state
_PERTURBATION = 0.05  # relative size of the perturbation of initial weights


@dataclass(frozen=True)
class Case:
    """A spec under test, with its model and input."""

    spec: RecurrentSpec[Any]

    def model(self, *, dtype: torch.dtype | None = torch.float64, perturb: bool = True) -> RecurrentModel:
        """A new model in evaluation mode; every call returns the same weights.

        `perturb` adds noise to the initial weights, unless that makes the output infinite: a bias that starts at zero,
        or a gain that starts at one, then has an effect.
        """
        seed_generators(1)
        model = build_model(self.spec, dtype=dtype).eval()
        if perturb:
            _perturb_weights(model, self.input(dtype=dtype))
        return model

    def input(self, *, batch: int = BATCH, time: int = TIME, dtype: torch.dtype | None = torch.float64) -> Tensor:
        """Random input in the layout of the spec; every call returns the same values."""
        generator = torch.Generator().manual_seed(2)
        x = torch.randn(batch, time, self.spec.input_size, generator=generator, dtype=torch.float64).to(dtype)
        return x if self.spec.batch_first else x.transpose(0, 1).contiguous()

    def setup(self, dtype: torch.dtype | None = torch.float64) -> tuple[RecurrentModel, Tensor, Any]:
        """A new model, its input and its state after a short random sequence."""
        model = self.model(dtype=dtype)
        return model, self.input(dtype=dtype), random_state(model)

    def __str__(self) -> str:
        """The call that creates the spec, without defaults."""
        given = {name: value for name, value in self.spec.to_dict().items() if value != _DEFAULTS.get(name)}
        defaults = plain_defaults(type(self.spec.options))
        given["options"] = {name: value for name, value in given["options"].items() if value != defaults[name]}
        return f"RecurrentSpec({', '.join(f'{name}={value!r}' for name, value in given.items() if value != {})})"

    @property
    def time_axis(self) -> int:
        """The time axis of input and output."""
        return 1 if self.spec.batch_first else 0


@dataclass
class CheckContext:
    """The argument of a check."""

    kind: KindUnderTest
    figures: dict[str, float | int | str] = field(default_factory=dict)  # measured values by name
    left_out: list[str] = field(default_factory=list)  # the configurations that the kind rejects
    case: Case | None = None  # the current one
    compared: int = 0  # the number of comparisons so far
    warnings: list[str] = field(default_factory=list)  # findings that are not failures

    def cases(self, *axes: Iterable[Changes], **changes: Any) -> Iterator[Case]:
        """The specs of all combinations of `axes` that the kind accepts, with `changes` in each.

        An axis is a list of alternative changes; by default there are `kind.variants` and one or two directions.

        Raises:
            NotApplicableError: the kind rejects all combinations.
        """
        tried = 0
        for chosen in product(*(axes or (self.kind.variants, DIRECTIONS))):
            merged = merge_changes([*chosen, changes])
            self.case = None  # an error while creating the next spec does not belong to the previous case
            problem = self.kind.problem(**merged)
            if problem is not None:
                self.leave_out(problem)
                continue
            tried += 1
            self.figures["cases"] = 1 + int(self.figures.get("cases", 0))
            self.case = Case(self.kind.spec(**merged))
            yield self.case
        self.case = None
        if not tried:
            raise NotApplicableError(f"the kind rejects {self.left_out[0]}")

    def cases_in_both_layouts(self, **changes: Any) -> Iterator[Case]:
        """`cases`, and those of the default options with `batch_first=False`."""
        return self.cases([*self.kind.variants, *BATCH_AXES[1:]], DIRECTIONS, **changes)

    def assert_close(
        self,
        actual: Any,
        expected: Any,
        what: str,
        *,
        relative: float = 1e-9,
        absolute: float = 1e-11,
        figure: str = "off by",
    ) -> None:
        """Compare tensors, states and mappings of them, and record the largest difference under `figure`.

        Raises:
            CheckFailedError: a difference exceeds the tolerance; `what` is the subject of its message.
        """
        self.compared += 1
        difference = largest_difference(actual, expected, relative=relative, absolute=absolute)
        self.figures[figure] = max(difference.size, float(self.figures.get(figure, 0.0)))
        if difference.message:
            raise CheckFailedError(f"{what} {difference.message}")

    def assert_each_close(
        self, actual: Mapping[str, Any], expected: Mapping[str, Any], what: str, **tolerance: Any
    ) -> None:
        """`assert_close` for each result by name, in the order of `expected`."""
        for name, each in expected.items():
            self.assert_close(actual[name], each, f"{what} the {name}", **tolerance)

    def assert_equal(self, actual: Any, expected: Any, what: str) -> None:
        """`assert_close` bit for bit."""
        self.assert_close(actual, expected, what, relative=0, absolute=0)

    def assert_true(self, condition: object, message: str) -> None:
        """Raise `CheckFailedError` with a message unless a condition holds."""
        self.compared += 1
        if not condition:
            raise CheckFailedError(message)

    @contextmanager
    def optional_feature(self, doing: str) -> Iterator[None]:
        """Raise `NotApplicableError` if the block raises; keep it small, so that it does not hide other errors."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns that some functions are slow or deprecated
                yield
        except (NotApplicableError, CheckFailedError):
            raise
        except Exception as error:
            raise NotApplicableError(f"{doing} raised {describe_exception(error)}") from error

    def skip_unless(self, condition: object, reason: str) -> None:
        """Raise `NotApplicableError` with a reason unless a condition holds."""
        if not condition:
            raise NotApplicableError(reason)

    def leave_out(self, what: str) -> None:
        if what not in self.left_out:
            self.left_out.append(what)


@torch.no_grad()
def random_state(model: RecurrentModel, batch: int = BATCH) -> Any:
    """The state after a short random sequence: a state of random numbers may not be valid. Always the same."""
    training = model.training
    x = Case(model.spec).input(batch=batch, time=_WARMUP, dtype=model.backbone.dtype)
    state = model.eval().backbone(x.flip(0, 1))[1]
    model.train(training)
    return state


def new_lengths() -> Tensor:
    """A new tensor each time, since a faulty kind may modify it."""
    return torch.tensor(LENGTHS)


def total(*results: Any) -> Tensor:
    """A scalar that depends on every floating-point entry of the results, with a random weight for each."""
    generator = torch.Generator().manual_seed(4)
    weighted = [(part * _noise(part, generator)).sum() for part in floating_leaves(results)]
    return sum(weighted)  # type: ignore[return-value]  # at least one part


def derivatives(value: Tensor, *by: Tensor) -> tuple[Tensor, ...]:
    """The derivatives of a scalar; zeros for inputs that it does not depend on."""
    if not value.requires_grad:
        return tuple(torch.zeros_like(each) for each in by)
    return torch.autograd.grad(value, by, retain_graph=True, materialize_grads=True)


def gradients(value: Tensor, model: torch.nn.Module, *inputs: Tensor) -> dict[str, Tensor]:
    """The gradients of a scalar with respect to inputs and parameters, by name; zeros where there is no dependence."""
    named = {**{f"input {index}": each for index, each in enumerate(inputs)}, **trainable(model)}
    found = derivatives(value, *named.values()) if named else ()
    return dict(zip(named, found, strict=True))


def with_gradients(model: torch.nn.Module, output: Tensor, final: Any, *inputs: Tensor) -> dict[str, Any]:
    """The output, the final state and the gradients of both, by name."""
    found = gradients(total(output, final), model, *inputs)
    return {"output": output, "final state": final, **{f"gradient by {name}": each for name, each in found.items()}}


def trainable(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: each for name, each in model.named_parameters() if each.requires_grad}


def _noise(like: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers that do not depend on the dtype and device."""
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)


def _perturb_weights(model: RecurrentModel, x: Tensor) -> None:
    generator = torch.Generator().manual_seed(5)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(_PERTURBATION * _noise(parameter, generator) * (1 + parameter.abs()))
        if not model(x).isfinite().all():
            for name, parameter in model.named_parameters():
                parameter.copy_(before[name])


@contextmanager
def without_executors() -> Iterator[None]:
    """Run steps by the code of the cells, as a decorator or in a `with` block.

    For checks that must see that code, and for those of many models that are called once or twice: an executor first
    records and verifies the step of each, which takes longer than its steps. The checks of executors cover the others.
    """
    with patch.dict(os.environ, {VARIABLE: ""}):
        yield


def merge_changes(changes: Iterable[Changes]) -> dict[str, Any]:
    """All changes in one, with merged options."""
    merged: dict[str, Any] = {}
    for each in changes:
        options = {**merged.get("options", {}), **each.get("options", {})}
        merged |= {**each, "options": options}
    return merged
