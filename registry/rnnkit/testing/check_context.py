"""One promise put to one kind: what was tried, what was compared, and how far it was off."""

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
from rnnkit.testing.check import CheckFailedError, NotApplicableError
from rnnkit.testing.comparison import Difference, largest_difference, leaves
from rnnkit.testing.kind_under_test import Changes, KindUnderTest

BATCH, TIME = 4, 5
LENGTHS = (TIME, 2, 0, 3)  # of the rows of a batch
DIRECTIONS: tuple[Changes, ...] = ({"bidirectional": False}, {"bidirectional": True})
BATCH_AXES: tuple[Changes, ...] = ({"batch_first": True}, {"batch_first": False})
_DEFAULTS = {each.name: each.default for each in fields(RecurrentSpec)}
_BEFORE = 3  # steps that lead to a random state
_SPREAD = 0.05  # by how much weights are moved away from where they start, relative to their size


@dataclass(frozen=True)
class Case:
    """A spec that a promise is put to.

    Attributes:
        spec: what it is about.
    """

    spec: RecurrentSpec[Any]

    def model(self, *, dtype: torch.dtype | None = torch.float64, moved: bool = True) -> RecurrentModel:
        """The model in evaluation, the same at each call.

        Args:
            dtype: of its parameters; None: torch's default.
            moved: whether the weights are moved a little from where they start, so that a bias that starts at zero, or
                a gain that starts at one, does something. They stay where they are if that gives no finite output.
        """
        torch.manual_seed(1)
        model = build_model(self.spec, dtype=dtype).eval()
        if moved:
            _move_weights(model, self.input(dtype=dtype))
        return model

    def input(self, *, batch: int = BATCH, time: int = TIME, dtype: torch.dtype | None = torch.float64) -> Tensor:
        """Random input, the same at each call: `(batch, time, input_size)`, or as the spec has it."""
        generator = torch.Generator().manual_seed(2)
        x = torch.randn(batch, time, self.spec.input_size, generator=generator, dtype=torch.float64).to(dtype)
        return x if self.spec.batch_first else x.transpose(0, 1).contiguous()

    def __str__(self) -> str:
        """The call that makes the spec, with what is not a default alone."""
        given = {name: value for name, value in self.spec.to_dict().items() if value != _DEFAULTS.get(name)}
        defaults = plain_defaults(type(self.spec.options))
        given["options"] = {name: value for name, value in given["options"].items() if value != defaults[name]}
        return f"RecurrentSpec({', '.join(f'{name}={value!r}' for name, value in given.items() if value != {})})"

    @property
    def time_axis(self) -> int:
        """The axis of time in input and output."""
        return 1 if self.spec.batch_first else 0


@dataclass
class CheckContext:
    """What a promise is given to test a kind with.

    Attributes:
        subject: the kind.
        figures: what was measured, by name.
        left_out: what the kind refuses, so that the promise was not put to it.
        case: the case that is being tried.
        compared: how many comparisons there were.
    """

    kind_under_test: KindUnderTest
    figures: dict[str, float | int | str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    case: Case | None = None
    compared: int = 0

    def cases(self, *axes: Iterable[Changes], **changes: Any) -> Iterator[Case]:
        """The specs of all combinations of some axes; what the kind refuses is left out, and noted.

        Args:
            *axes: each a number of changes to choose from; `subject.variants` and both directions unless given.
            **changes: of every spec.

        Raises:
            NotApplicableError: the kind refuses all of them.
        """
        tried = 0
        for chosen in product(*(axes or (self.kind_under_test.variants, DIRECTIONS))):
            merged = _merged([*chosen, changes])
            self.case = None  # what goes wrong while a spec is made is not of the case before
            refusal = self.kind_under_test.refusal(**merged)
            if refusal is not None:
                self._leave_out(refusal)
                continue
            tried += 1
            self.figures["cases"] = 1 + int(self.figures.get("cases", 0))
            self.case = Case(self.kind_under_test.spec(**merged))
            yield self.case
        self.case = None
        if not tried:
            raise NotApplicableError(f"the kind refuses {self.left_out[0]}")

    def same(
        self,
        actual: Any,
        expected: Any,
        what: str,
        *,
        relative: float = 1e-9,
        absolute: float = 1e-11,
        figure: str = "off by",
    ) -> Difference:
        """Hold tensors, states and mappings of them to what they should be, and note the largest difference.

        Args:
            actual: what the kind computes.
            expected: what it should be.
            what: its name in the error.
            relative: the largest difference that counts as rounding, as a part of the value expected.
            absolute: the same where that is about zero.
            figure: under which name the largest difference is noted.

        Raises:
            CheckFailedError: they differ by more.
        """
        self.compared += 1
        difference = largest_difference(actual, expected, relative=relative, absolute=absolute)
        self.figures[figure] = max(difference.size, float(self.figures.get(figure, 0.0)))
        if difference.message:
            raise CheckFailedError(f"{what} {difference.message}")
        return difference

    def each_same(self, actual: Mapping[str, Any], expected: Mapping[str, Any], what: str, **rounding: Any) -> None:
        """Hold several results, each under its name, to what they should be; `rounding` as of `same`.

        Raises:
            CheckFailedError: they differ; says so of the first.
        """
        for name, each in expected.items():
            self.same(actual[name], each, f"{what} the {name}", **rounding)

    def equal(self, actual: Any, expected: Any, what: str) -> None:
        """Hold tensors, states and mappings of them to the very same values, bit for bit.

        Raises:
            CheckFailedError: they differ.
        """
        self.same(actual, expected, what, relative=0, absolute=0)

    def that(self, condition: object, otherwise: str) -> None:
        """Hold something to be so.

        Raises:
            CheckFailedError: it is not; the message is `otherwise`.
        """
        self.compared += 1
        if not condition:
            raise CheckFailedError(otherwise)

    @contextmanager
    def capability(self, doing: str) -> Iterator[None]:
        """What is raised in the block says that the kind cannot do something, which is no fault; nothing else may.

        Put only the doing into the block, not what is made of it.

        Raises:
            NotApplicableError: it cannot.
        """
        try:
            yield
        except (NotApplicableError, CheckFailedError):
            raise
        except Exception as error:
            raise NotApplicableError(f"{doing} raised {describe_exception(error)}") from error

    def needs(self, condition: object, reason: str) -> None:
        """End here, because the promise says nothing about this kind, unless something is so.

        Raises:
            NotApplicableError: it is not; the reason is `reason`.
        """
        if not condition:
            raise NotApplicableError(reason)

    def _leave_out(self, refused: str) -> None:
        if refused not in self.left_out:
            self.left_out.append(refused)


@torch.no_grad()
def random_state(model: RecurrentModel, batch: int = BATCH) -> Any:
    """A state that a random sequence leads to, the same at each call: not every number may stand in a state."""
    training = model.training
    x = Case(model.spec).input(batch=batch, time=_BEFORE, dtype=model.backbone.dtype)
    state = model.eval().backbone(x.flip(0, 1))[1]
    model.train(training)
    return state


def new_lengths() -> Tensor:
    """`LENGTHS` as a tensor: a new one each time, since a kind may change what it is given."""
    return torch.tensor(LENGTHS)


def total(*results: Any) -> Tensor:
    """A scalar that every floating-point entry of outputs and states changes, each by another amount."""
    generator = torch.Generator().manual_seed(4)
    parts = [part for part in leaves(results) if part.is_floating_point()]
    weights = [torch.randn(part.shape, generator=generator, dtype=torch.float64).to(part) for part in parts]
    return sum((part * weight).sum() for part, weight in zip(parts, weights, strict=True))  # type: ignore[return-value]  # there is one part at least


def derivatives(value: Tensor, *by: Tensor) -> tuple[Tensor, ...]:
    """The derivatives of a number; zeros by what it does not depend on, even where it depends on nothing."""
    if not value.requires_grad:
        return tuple(torch.zeros_like(each) for each in by)
    return torch.autograd.grad(value, by, retain_graph=True, materialize_grads=True)


def gradients(value: Tensor, model: torch.nn.Module, *inputs: Tensor) -> dict[str, Tensor]:
    """The gradients of a number by inputs and parameters, under their names; zeros where it does not depend on one."""
    learned = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    named = {**{f"input {index}": each for index, each in enumerate(inputs)}, **learned}
    found = derivatives(value, *named.values()) if named else ()
    return dict(zip(named, found, strict=True))


def with_gradients(model: torch.nn.Module, output: Tensor, final: Any, *inputs: Tensor) -> dict[str, Any]:
    """An output and a final state, and what `gradients` finds for the two together, each under its name."""
    found = gradients(total(output, final), model, *inputs)
    return {"output": output, "final state": final, **{f"gradient by {name}": each for name, each in found.items()}}


def _move_weights(model: RecurrentModel, x: Tensor) -> None:
    generator = torch.Generator().manual_seed(5)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter)
            parameter.add_(_SPREAD * noise * (1 + parameter.abs()))
        if not model(x).isfinite().all():
            for name, parameter in model.named_parameters():
                parameter.copy_(before[name])


def _merged(changes: Iterable[Changes]) -> dict[str, Any]:
    """All changes in one, with the options of all."""
    merged: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for each in changes:
        merged |= each
        options |= each.get("options", {})
    return {**merged, "options": options} if options else merged
