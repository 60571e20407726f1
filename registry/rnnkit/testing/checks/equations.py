"""What a kind promises of its equation: that the code computes what the record shows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rnnkit import Cell, map_state
from rnnkit.cells import state_fields
from rnnkit.equation import MEANINGS, Equation, EquationError, UnreadableEquationError, name_of
from rnnkit.testing.check import CheckFailedError, NotApplicableError, check
from rnnkit.testing.check_context import BATCH, CheckContext, gradients, total
from rnnkit.testing.kind_under_test import Changes

_INPUT, _OUTPUT = "x_t", "y_t"


@check("numerics")
def step_matches_equation(context: CheckContext) -> None:
    """A step of the cell computes the equation of the record: output, state and gradients.

    The gates are in another order than in the equation, a product comes before or after another than it does there, or
    `symbols` names a weight that stands for something else.
    """
    equation = _equation_of(context)
    for case in context.cases(_variants_with_this_equation(context)):
        cells: Any = case.model().backbone.cells
        for cell in cells:
            _compare(context, cell, equation)


def _equation_of(context: CheckContext) -> Equation:
    """The equation of the kind, if it can be compared."""
    record = context.kind_under_test.record
    context.needs(record.equation, "its record has no equation")
    context.needs(record.cell is not None, "it is no stack of one sort of cell, whose step could be compared")
    cell: Any = record.cell
    context.needs(
        cell.symbols is not Cell.symbols,
        f"{cell.__name__} does not say what the symbols of its equation stand for: write its method `symbols`",
    )
    try:
        return Equation(record.equation)
    except UnreadableEquationError as error:
        raise NotApplicableError(f"in the equation, {error}") from error


def _variants_with_this_equation(context: CheckContext) -> list[Changes]:
    """All but those with layer norm inside the gates, which is another equation."""
    variants = context.kind_under_test.variants
    return [each for each in variants if each.get("options", {}).get("layer_norm") != "gates"]


def _compare(context: CheckContext, cell: Cell, equation: Equation) -> None:
    x_t, state = _inputs(cell)
    output, after = cell.step(cell.project(x_t), state)
    parts = _parts_in(equation, cell)
    rows = {_INPUT: x_t, **{f"{parts[name]}_{{t-1}}": part for name, part in zip(parts, state, strict=True)}}
    values = _computed(context, cell, equation, rows)
    expected_output = _like(output, values[_output_in(equation, parts, output, after)])
    expected = map_state(_like, after, type(after)(*(values[f"{name}_t"] for name in parts.values())))
    context.same((output, after), (expected_output, expected), "beside the equation, the output and state of a step")
    wanted = [part for part in (x_t, *state) if part.requires_grad]
    actual, by_equation = total(output, after), total(expected_output, expected)
    context.same(gradients(actual, cell, *wanted), gradients(by_equation, cell, *wanted), "beside it, the gradient")


def _inputs(cell: Cell) -> tuple[Tensor, Any]:
    """Random input of one step, and a random state."""
    generator = torch.Generator().manual_seed(6)

    def drawn(part: Tensor) -> Tensor:
        if not part.is_floating_point():
            return part
        return torch.randn(part.shape, generator=generator, dtype=torch.float64).requires_grad_()

    x_t = torch.empty(BATCH, cell.input_size, dtype=torch.float64)
    return drawn(x_t), map_state(drawn, cell.initial_state(BATCH, dtype=torch.float64))


def _parts_in(equation: Equation, cell: Cell) -> dict[str, str]:
    """What the equation calls each part of the state."""
    return {part: _spelled(equation, part) for part in state_fields(type(cell))}


def _spelled(equation: Equation, part: str) -> str:
    for spelling in (part, f"\\{part}", f"\\mathrm{{{part}}}"):
        if f"{spelling}_t" in equation.defined:
            return spelling
    raise _no_line(equation, f"{part}_t, which the state has as {part}")


def _no_line(equation: Equation, name: str) -> CheckFailedError:
    return CheckFailedError(f"the equation has no line for {name}; it has {', '.join(equation.defined)}")


def _output_in(equation: Equation, parts: dict[str, str], output: Tensor, after: Any) -> str:
    """Which line of the equation says what a step puts out."""
    if _OUTPUT in equation.defined:
        return _OUTPUT
    names = [f"{parts[name]}_t" for name, part in zip(parts, after, strict=True) if part is output]
    if not names and "h_t" not in equation.defined:
        raise _no_line(equation, f"{_OUTPUT} or h_t, one of which is the output")
    return names[0] if names else "h_t"


def _computed(context: CheckContext, cell: Cell, equation: Equation, rows: dict[str, Tensor]) -> dict[str, Tensor]:
    symbols, who = cell.symbols(), f"`symbols` of {type(cell).__name__}"
    try:
        known = {name_of(name) for name in symbols}
    except UnreadableEquationError as error:
        raise CheckFailedError(f"{who} has a name that is none in LaTeX: {error}") from error
    missing = sorted(equation.symbols - known - rows.keys() - MEANINGS.keys())
    context.that(not missing, f"{who} does not say what {', '.join(missing)} of the equation stands for")
    unused = sorted(known - equation.symbols)
    context.that(not unused, f"{who} says what {', '.join(unused)} stands for, which the equation does not have")
    try:
        return equation.evaluate(symbols, rows)
    except UnreadableEquationError as error:
        raise NotApplicableError(f"in the equation, {error}") from error
    except EquationError as error:
        raise CheckFailedError(f"the equation cannot be computed: {error}") from error


def _like(actual: Tensor, expected: Tensor) -> Tensor:
    """What is the same for all rows, for each of them; and in the dtype of what it is compared with."""
    missing = actual.dim() - expected.dim()
    return expected[(None,) * missing].expand(*actual.shape[:missing], *expected.shape).to(actual.dtype)
