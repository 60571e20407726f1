"""The context of one run of a check: cases, comparisons and measured figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from itertools import product
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentModel, RecurrentSpec, build_model
from rnnkit._messages import describe_exception
from rnnkit.options import plain_defaults
from rnnkit.testing._check import CheckFailedError, NotApplicableError
from rnnkit.testing._comparison import Difference, largest_difference, leaves
from rnnkit.testing.kind_under_test import Changes, KindUnderTest

BATCH, TIME = 4, 5
LENGTHS = (TIME, 2, 0, 3)  # of the sequences of a batch
DIRECTIONS: tuple[Changes, ...] = ({"bidirectional": False}, {"bidirectional": True})
BATCH_AXES: tuple[Changes, ...] = ({"batch_first": True}, {"batch_first": False})
_DEFAULTS = {each.name: each.default for each in fields(RecurrentSpec)}
_WARMUP = 3  # steps before a random state
_NOISE = 0.05  # relative size of the perturbation of initial weights


@dataclass(frozen=True)
class Case:
    """A spec under test, with its model and input."""

    spec: RecurrentSpec[Any]

    def model(self, *, dtype: torch.dtype | None = torch.float64, perturb: bool = True) -> RecurrentModel:
        """A new model in evaluation mode; every call returns the same weights.

        Args:
            dtype: of its parameters; None: torch's default.
            perturb: add noise to the initial weights, so that a bias that starts at zero, or a gain that starts at one,
                has an effect. The weights stay as they are if the perturbed model gives no finite output.
        """
        torch.manual_seed(1)
        model = build_model(self.spec, dtype=dtype).eval()
        if perturb:
            _perturb_weights(model, self.input(dtype=dtype))
        return model

    def input(self, *, batch: int = BATCH, time: int = TIME, dtype: torch.dtype | None = torch.float64) -> Tensor:
        """Random input in the layout of the spec; every call returns the same values."""
        generator = torch.Generator().manual_seed(2)
        x = torch.randn(batch, time, self.spec.input_size, generator=generator, dtype=torch.float64).to(dtype)
        return x if self.spec.batch_first else x.transpose(0, 1).contiguous()

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
    """The argument of a check.

    Attributes:
        kind: the kind under test.
        figures: measured values by name.
        left_out: the configurations that the kind rejects.
        case: the current case.
        compared: the number of comparisons so far.
        warnings: findings that are not failures.
    """

    kind: KindUnderTest
    figures: dict[str, float | int | str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    case: Case | None = None
    compared: int = 0
    warnings: list[str] = field(default_factory=list)

    def cases(self, *axes: Iterable[Changes], **changes: Any) -> Iterator[Case]:
        """The specs of all combinations of `axes` that the kind accepts.

        Args:
            *axes: alternative changes of the spec; by default `kind.variants` and one or two directions.
            **changes: changes of every spec.

        Raises:
            NotApplicableError: the kind rejects all combinations.
        """
        tried = 0
        for chosen in product(*(axes or (self.kind.variants, DIRECTIONS))):
            merged = _merged([*chosen, changes])
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

    def assert_close(
        self,
        actual: Any,
        expected: Any,
        what: str,
        *,
        relative: float = 1e-9,
        absolute: float = 1e-11,
        figure: str = "off by",
    ) -> Difference:
        """Compare tensors, states and mappings of them, and record the largest difference.

        Args:
            actual: the computed values.
            expected: the expected values.
            what: the subject of the error message.
            relative: the relative tolerance.
            absolute: the absolute tolerance.
            figure: the name of the recorded difference.

        Raises:
            CheckFailedError: a difference exceeds the tolerance.
        """
        self.compared += 1
        difference = largest_difference(actual, expected, relative=relative, absolute=absolute)
        self.figures[figure] = max(difference.size, float(self.figures.get(figure, 0.0)))
        if difference.message:
            raise CheckFailedError(f"{what} {difference.message}")
        return difference

    def assert_each_close(
        self, actual: Mapping[str, Any], expected: Mapping[str, Any], what: str, **tolerance: Any
    ) -> None:
        """Compare results by name, in the order of `expected`, with the tolerance of `assert_close`.

        Raises:
            CheckFailedError: a difference exceeds the tolerance.
        """
        for name, each in expected.items():
            self.assert_close(actual[name], each, f"{what} the {name}", **tolerance)

    def assert_equal(self, actual: Any, expected: Any, what: str) -> None:
        """Compare tensors, states and mappings of them bit for bit.

        Raises:
            CheckFailedError: there is a difference.
        """
        self.assert_close(actual, expected, what, relative=0, absolute=0)

    def assert_true(self, condition: object, message: str) -> None:
        """Fail with a message unless a condition holds.

        Raises:
            CheckFailedError: the condition does not hold.
        """
        self.compared += 1
        if not condition:
            raise CheckFailedError(message)

    @contextmanager
    def optional_feature(self, doing: str) -> Iterator[None]:
        """Skip the check if the block raises: the kind does not support an optional feature.

        Keep the block small, so that it does not hide other errors.

        Raises:
            NotApplicableError: the block raised.
        """
        try:
            yield
        except (NotApplicableError, CheckFailedError):
            raise
        except Exception as error:
            raise NotApplicableError(f"{doing} raised {describe_exception(error)}") from error

    def skip_unless(self, condition: object, reason: str) -> None:
        """Skip the check with a reason unless a condition holds.

        Raises:
            NotApplicableError: the condition does not hold.
        """
        if not condition:
            raise NotApplicableError(reason)

    def leave_out(self, what: str) -> None:
        """Report something that was not tried."""
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
    parts = [part for part in leaves(results) if part.is_floating_point()]
    weights = [torch.randn(part.shape, generator=generator, dtype=torch.float64).to(part) for part in parts]
    return sum((part * weight).sum() for part, weight in zip(parts, weights, strict=True))  # type: ignore[return-value]  # at least one part


def derivatives(value: Tensor, *by: Tensor) -> tuple[Tensor, ...]:
    """The derivatives of a scalar; zeros for inputs that it does not depend on."""
    if not value.requires_grad:
        return tuple(torch.zeros_like(each) for each in by)
    return torch.autograd.grad(value, by, retain_graph=True, materialize_grads=True)


def gradients(value: Tensor, model: torch.nn.Module, *inputs: Tensor) -> dict[str, Tensor]:
    """The gradients of a scalar with respect to inputs and parameters, by name; zeros where there is no dependence."""
    learned = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    named = {**{f"input {index}": each for index, each in enumerate(inputs)}, **learned}
    found = derivatives(value, *named.values()) if named else ()
    return dict(zip(named, found, strict=True))


def with_gradients(model: torch.nn.Module, output: Tensor, final: Any, *inputs: Tensor) -> dict[str, Any]:
    """The output, the final state and the gradients of both, by name."""
    found = gradients(total(output, final), model, *inputs)
    return {"output": output, "final state": final, **{f"gradient by {name}": each for name, each in found.items()}}


def _perturb_weights(model: RecurrentModel, x: Tensor) -> None:
    generator = torch.Generator().manual_seed(5)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter)
            parameter.add_(_NOISE * noise * (1 + parameter.abs()))
        if not model(x).isfinite().all():
            for name, parameter in model.named_parameters():
                parameter.copy_(before[name])


def _merged(changes: Iterable[Changes]) -> dict[str, Any]:
    """All changes in one, with merged options."""
    merged: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for each in changes:
        merged |= each
        options |= each.get("options", {})
    return {**merged, "options": options} if options else merged
