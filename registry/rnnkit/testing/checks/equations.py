"""The equation of the record, compared with the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rnnkit import Cell, map_state
from rnnkit._messages import join_names
from rnnkit.cells import state_fields
from rnnkit.equation import Equation, EquationError, UnreadableEquationError, name_of
from rnnkit.equation.evaluation import MEANINGS
from rnnkit.testing._check import CheckFailedError, NotApplicableError, check
from rnnkit.testing._context import BATCH, CheckContext, gradients, total
from rnnkit.testing._drawn_sizes import draw_widths, random_of

_INPUT, _OUTPUT = "x_t", "y_t"


@check("numerics")
def step_matches_equation(context: CheckContext) -> None:
    """A step of the cell computes the equation of the record: output, state and gradients.

    The gates are in a different order than in the equation, the order of operations differs, or `symbols` assigns a
    symbol to the wrong weight.
    """
    try:
        _compare_cells(context)
    except NotApplicableError:
        context.warnings.append("no formula was compared with the code, so a wrong formula may pass all checks")
        raise


def _compare_cells(context: CheckContext) -> None:
    equation = _equation_of(context)
    # layer norm inside the gates changes the equation
    variants = [each for each in context.kind.variants if each.get("options", {}).get("layer_norm") != "gates"]
    wide = draw_widths(context.kind, random_of(context.kind))
    for case in context.cases([*variants, wide]):
        cells: Any = case.model().backbone.cells
        for cell in cells:
            own = type(cell).equation
            _compare(context, cell, _read(own) if own else equation)


def _equation_of(context: CheckContext) -> Equation:
    record = context.kind.record
    context.skip_unless(record.equation, "its record has no equation")
    context.skip_unless(record.cell is not None, "not a stack of a single cell type, so there is no step to compare")
    cell: Any = record.cell
    reason = f"{cell.__name__} does not define `symbols`, which maps the symbols of the equation to its parameters"
    context.skip_unless(cell.symbols is not Cell.symbols, reason)
    return _read(record.equation)


def _read(latex: str) -> Equation:
    try:
        return Equation(latex)
    except UnreadableEquationError as error:
        raise NotApplicableError(f"in the equation, {error}") from error


def _compare(context: CheckContext, cell: Cell, equation: Equation) -> None:
    x_t, state = _inputs(cell)
    output, after = cell(x_t, state)
    names = [_state_names(equation, part) for part in state_fields(type(cell))]
    before = dict(zip([before for before, _ in names], state, strict=True))
    values = _evaluate(context, cell, equation, x_t, before)
    names_after = [name for _, name in names]
    expected_output = _like(output, values[_output_name(equation, names_after, output, after)])
    expected = map_state(_like, after, type(after)(*(values[name] for name in names_after)))
    results = (output, after), (expected_output, expected)
    context.assert_close(*results, "compared with the equation, the output and state of a step")
    inputs = [part for part in (x_t, *state) if part.requires_grad]
    actual, by_equation = (gradients(total(each), cell, *inputs) for each in results)
    context.assert_close(actual, by_equation, "compared with it, the gradient")


def _inputs(cell: Cell) -> tuple[Tensor, Any]:
    generator = torch.Generator().manual_seed(6)

    def random(part: Tensor) -> Tensor:
        if not part.is_floating_point():
            return part
        return torch.randn(part.shape, generator=generator, dtype=torch.float64).requires_grad_()

    x_t = torch.empty(BATCH, cell.input_size, dtype=torch.float64)
    return random(x_t), map_state(random, cell.initial_state(BATCH, dtype=torch.float64))


def _state_names(equation: Equation, part: str) -> tuple[str, str]:
    """The names of a field of the state in the equation, before and after the step."""
    for letter in (part, f"\\{part}", f"\\mathrm{{{part}}}"):
        before, after = f"{letter}_{{t-1}}", equation.spelling(f"{letter}_t")
        if after in equation.defined:
            return equation.spelling(before) or before, after
    raise _no_line(equation, f"{part}_t, for the field {part} of the state")


def _no_line(equation: Equation, name: str) -> CheckFailedError:
    return CheckFailedError(f"the equation does not define {name}; it defines {join_names(equation.defined)}")


def _output_name(equation: Equation, names: list[str], output: Tensor, after: Any) -> str:
    """The name of the output of a step: `y_t`, that of the field of the state that is the output, or `h_t`."""
    found = [name for name, part in zip(names, after, strict=True) if part is output]
    for name in (equation.spelling(_OUTPUT), *found, equation.spelling("h_t")):
        if name in equation.defined:
            return name
    raise _no_line(equation, f"{_OUTPUT} or h_t, for the output")


def _evaluate(
    context: CheckContext, cell: Cell, equation: Equation, x_t: Tensor, before: dict[str, Tensor]
) -> dict[str, Tensor]:
    symbols, method = cell.symbols(), f"`symbols` of {type(cell).__name__}"
    x = {equation.spelling(_INPUT) or _INPUT: x_t}
    try:
        known = {name_of(name) for name in symbols}
    except UnreadableEquationError as error:
        raise CheckFailedError(f"{method} has a name that is not valid LaTeX: {error}") from error
    missing = sorted(equation.symbols - known - x.keys() - before.keys() - MEANINGS.keys())
    context.assert_true(not missing, f"{method} has no value for {join_names(missing)} of the equation")
    unused = join_names(sorted(known - equation.symbols))
    context.assert_true(not unused, f"{method} has a value for {unused}, which the equation does not contain")
    heads = {len(value) for value in symbols.values() if isinstance(value, list | tuple)}
    context.assert_true(len(heads) <= 1, f"{method} has lists of different lengths, but each has a value for each head")
    try:
        return _of_heads(equation, symbols, x, before, heads.pop()) if heads else equation.evaluate(symbols, x | before)
    except UnreadableEquationError as error:
        raise NotApplicableError(f"in the equation, {error}") from error
    except EquationError as error:
        raise CheckFailedError(f"the equation cannot be evaluated: {error}") from error


def _of_heads(
    equation: Equation, symbols: Mapping[str, Any], x: dict[str, Tensor], before: dict[str, Tensor], heads: int
) -> dict[str, Tensor]:
    """The values of all heads, side by side after the batch axis."""
    found = []
    for head in range(heads):
        own = {name: value[head] if isinstance(value, list | tuple) else value for name, value in symbols.items()}
        found.append(equation.evaluate(own, {**x, **{name: part[:, head] for name, part in before.items()}}))
    # a line of weights alone has no batch axis
    return {name: torch.stack([each[name] for each in found], dim=min(1, found[0][name].dim())) for name in found[0]}


def _like(actual: Tensor, expected: Tensor) -> Tensor:
    """`expected` with the batch axis, the dtype and the shape of `actual`: `(batch, heads, size)` may be flattened."""
    if expected.numel() == actual.numel():
        return expected.reshape(actual.shape).to(actual.dtype)
    missing = max(0, actual.dim() - expected.dim())
    return expected[(None,) * missing].expand(*actual.shape[:missing], *expected.shape).to(actual.dtype)
