"""Options that every kind shares do what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from itertools import combinations, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit import Cell, map_state
from rnnkit._messages import join_names
from rnnkit.testing._check import check
from rnnkit.testing._comparison import largest_difference, leaves
from rnnkit.testing._context import (
    Case,
    CheckContext,
    derivatives,
    gradients,
    random_state,
    total,
    without_executors,
)
from rnnkit.testing._seeding import seed_generators
from rnnkit.testing.kind_under_test import Changes, KindUnderTest
from rnnkit.testing.sample_values import is_choice, sweep, sweep_ranges

_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm1d)
_SATURATED = 20.0  # a bias that opens a gate
_CHRONO_LENGTH = 1000
_OPEN, _SHUT = 0.8, 0.01  # a stabilizer may scale an open state a little
_ORTHOGONAL = 1e-6
_MAGNITUDES = (1.0, 1e2, 1e4)  # of inputs and states
_MORE_FEATURES = 8


@check("registration")
def bias_false_removes_every_bias(context: CheckContext) -> None:
    """With `bias=False` the backbone has no bias, by name or added to the same sum, and computes as with zero biases.

    One of several biases is created regardless of `bias`, or `bias=False` selects another formula.
    """
    for case in context.cases([{**context.kind.one_layer, "bias": False}]):
        left = {name for name, _ in case.model().backbone.named_parameters()}
        named = [name for name in left if _is_bias(case.model().backbone, name)]
        context.assert_true(not named, f"with bias=False, {join_names(sorted(named))} is left")
        if context.kind.accepts(**context.kind.one_layer, bias=True):
            biased = Case(context.kind.spec(**context.kind.one_layer, bias=True))
            _check_sums(context, biased, left)
            _check_zero_biases(context, case, biased)


def _is_bias(backbone: nn.Module, name: str) -> bool:
    """Whether a parameter is a bias by its name, other than that of a normalization."""
    module, _, last = name.rpartition(".")
    return "bias" in last and not isinstance(backbone.get_submodule(module), _NORMS)


def _check_sums(context: CheckContext, case: Case, left: set[str]) -> None:
    """Two parameters that are added to the same sum have the same gradient."""
    model = case.model()
    output, final = model.backbone(case.input(), random_state(model))
    found = gradients(total(output, final), model.backbone)
    for name in left & found.keys():
        same = [bias for bias in found.keys() - left if found[bias].shape == found[name].shape]
        twins = [bias for bias in same if found[name].any() and torch.allclose(found[bias], found[name], 1e-9, 1e-12)]
        context.assert_true(not twins, f"with bias=False, {name} is left, which is added to the same sum as {twins}")


def _check_zero_biases(context: CheckContext, case: Case, biased: Case) -> None:
    backbone, other = case.model().backbone, biased.model().backbone
    weights = backbone.state_dict()
    zeroed = {name: torch.zeros_like(each) for name, each in other.state_dict().items()}
    if any(name not in zeroed or zeroed[name].shape != each.shape for name, each in weights.items()):
        return  # its weights have other names or shapes
    other.load_state_dict({**zeroed, **weights})
    actual, expected = backbone(case.input()), other(case.input())
    context.assert_close(actual, expected, "with bias=False, compared with biases of zero, the output and final state")


@check("registration")
def forget_bias_opens_forget_gate(context: CheckContext) -> None:
    """A large `forget_bias` keeps a part of the state as it is, a negative one erases it; the gate sees its value once.

    The bias of another gate is filled, the sign is reversed, or each of two biases gets the whole value.
    """
    _skip_unless_option(context, "forget_bias")
    kept = {bias: _kept_parts(context, {"forget_bias": bias}) for bias in (_SATURATED, -_SATURATED, 1.0, 2.0)}
    gated = [part for part, value in kept[_SATURATED].items() if value > _OPEN and kept[-_SATURATED][part] < _SHUT]
    found = ", ".join(
        f"{part}: {value:.2g} to {kept[_SATURATED][part]:.2g}" for part, value in kept[-_SATURATED].items()
    )
    context.assert_true(
        gated,
        f"no part of the state is erased with forget_bias={-_SATURATED:g} and kept with {_SATURATED:g}: without input, "
        f"a step keeps this fraction of its parts: {found}",
    )
    for part in gated:
        one, two = (torch.tensor(kept[bias][part], dtype=torch.float64).logit() for bias in (1.0, 2.0))
        if one.isfinite() and torch.isclose(two, 2 * one, 1e-6, 1e-6):  # a sigmoid; a stabilizer is 0 or 1
            context.assert_true(
                torch.isclose(one, torch.ones_like(one), 1e-6, 1e-6),
                f"with forget_bias=1, the sigmoid of the forget gate reads {one:.6g}",
            )
            _check_chrono(context, part)


def _check_chrono(context: CheckContext, part: str) -> None:
    """A forget gate with a bias of log(u) keeps u / (1 + u)."""
    options = {"forget_bias": "chrono", "chrono_length": _CHRONO_LENGTH}
    if not context.kind.accepts(**context.kind.one_layer, options=options):
        return
    kept, least = _kept_parts(context, options)[part], 0.9  # below it if several features forget in three steps
    context.assert_true(
        least < kept <= 1 - 1 / _CHRONO_LENGTH,
        f"with forget_bias='chrono' and chrono_length={_CHRONO_LENGTH}, a step without input keeps {kept:.6g} of the "
        f"part {part} on average, which must be from {least} to {1 - 1 / _CHRONO_LENGTH:g}",
    )


def _skip_unless_option(context: CheckContext, name: str) -> None:
    names = {each.name for each in fields(context.kind.record.options)}
    context.skip_unless(name in names, f"it has no option `{name}`")


def _kept_parts(context: CheckContext, options: Changes) -> dict[str, float]:
    """By the path of each part of the state, its derivative by itself over one step without input, from zeros.

    Matrices that multiply the state are zero, because new values that read it depend on it at any value of the gate.
    """
    case = next(context.cases([context.kind.one_layer], options=options, bidirectional=False))
    model = case.model(perturb=False)
    with torch.no_grad():
        for cell in (module for module in model.modules() if isinstance(module, Cell)):
            for weight in cell.recurrent_weights():
                weight.zero_()
    start = map_state(lambda part: torch.zeros_like(part).requires_grad_(part.is_floating_point()), random_state(model))
    _, final = model.backbone(torch.zeros_like(case.input(time=1)), start)
    pairs = zip(_paths(start), leaves(start), leaves(final), strict=True)
    return {path: _smallest_derivative(after, before) for path, before, after in pairs if before.is_floating_point()}


def _paths(state: Any) -> list[str]:
    names = getattr(state, "_fields", None)
    if isinstance(state, Tensor):
        return [""]
    keys = [f".{name}" for name in names] if names else [f"[{index}]" for index in range(len(state))]
    return [key + path for key, part in zip(keys, state, strict=True) for path in _paths(part)]


def _smallest_derivative(after: Tensor, before: Tensor) -> float:
    """The mean derivative of the entries of a tensor by themselves."""
    entries = [
        derivatives(each, before)[0].flatten()[index] for index, each in enumerate(after.flatten()[: before.shape[-1]])
    ]
    return float(torch.stack(entries).mean())


@check("registration")
def orthogonal_init_acts_on_recurrence(context: CheckContext) -> None:
    """`recurrent_init="orthogonal"` makes each gate's block of every matrix that multiplies the state orthogonal.

    `recurrent_weights` returns other matrices, or leaves one out. A matrix multiplies the state if its gradient is zero
    in a step from a state of zeros.
    """
    _skip_unless_option(context, "recurrent_init")
    for case in context.cases([context.kind.one_layer], options={"recurrent_init": "orthogonal"}, bidirectional=False):
        by_zeros, by_state = _gradients_of_matrices(case)
        recurrent = [name for name, each in by_state.items() if each.any() and not by_zeros[name].any()]
        context.skip_unless(recurrent, "no matrix multiplies only the state")
        orthogonal = _orthogonal_matrices(case)
        wrong = [name for name in recurrent if name not in orthogonal]
        context.assert_true(not wrong, f"{join_names(wrong)} multiplies the state, but is not orthogonal")
        added = orthogonal - _orthogonal_matrices(Case(context.kind.spec(**context.kind.one_layer)))
        wrong = [name for name in sorted(added) if by_zeros[name].any()]
        context.assert_true(not wrong, f"{join_names(wrong)} is orthogonal, but does not multiply the state")


def _gradients_of_matrices(case: Case) -> list[dict[str, Tensor]]:
    """The gradients by all matrices of one step, from a state of zeros and from another state."""
    model, x, state = case.model(perturb=False), case.input(time=1), random_state(case.model())
    results = (model.backbone(x, start) for start in (map_state(torch.zeros_like, state), state))
    found = [gradients(total(*each), model.backbone) for each in results]
    return [{name: each for name, each in by_name.items() if each.dim() == 2} for by_name in found]


def _orthogonal_matrices(case: Case) -> set[str]:
    matrices = case.model(perturb=False).backbone.named_parameters()
    size = case.spec.hidden_sizes[0]
    return {name for name, each in matrices if each.dim() == 2 and _has_orthogonal_blocks(each, size)}


def _has_orthogonal_blocks(weight: Tensor, size: int) -> bool:
    return all(_is_orthogonal(block) for block in weight.detach().split(size))


def _is_orthogonal(block: Tensor) -> bool:
    wide = block if block.shape[0] <= block.shape[1] else block.t()
    return torch.allclose(wide @ wide.t(), torch.eye(len(wide), dtype=block.dtype), 0, _ORTHOGONAL)


@check("registration")
@without_executors()
def numbers_of_options_differ(context: CheckContext) -> None:
    """Numbers of an option, over the whole range that it allows, give different results; so does dropout.

    The option is compared with a threshold, limited to a part of its range, or passed on as a flag.
    """
    values, defaults = context.kind.option_values, context.kind.record.options()
    ranges = sweep_ranges(context.kind.record.options)
    for name, candidates in values.items():
        default = getattr(defaults, name)
        numbers = [each for each in candidates if isinstance(each, int | float) and not is_choice(each)]
        results = {
            value: _result(context, {name: value}) for value in numbers if context.kind.accepts(options={name: value})
        }
        before = _result(context, {}) if results else None
        acting = {value: each for value, each in results.items() if not _equal(each, before)}
        for one, other in combinations(acting, 2):
            apart = isinstance(default, int | float) and min(one, other) < default < max(one, other)
            same = apart and _equal(acting[one], acting[other])
            context.assert_true(not same, f"options.{name}={one!r} and {name}={other!r} give the same results")
        _check_not_all_equal(context, name, acting)
        swept = [*ranges.get(name, []), *(each for each in numbers if isinstance(each, float))]
        swept += [default] if isinstance(default, float) else []
        if acting and swept:
            _check_range(context, f"options.{name}", {value: {"options": {name: value}} for value in swept})
    _check_range(context, "dropout", {value: {"dropout": value} for value in sweep(0, 1)})
    context.skip_unless(context.compared, "it has no option that is a number and acts without other options")


def _check_range(context: CheckContext, name: str, changes: Mapping[float, Changes]) -> None:
    """Of the numbers in order, each and the next must give different results with inputs and states of some size."""
    accepted = sorted(value for value, each in changes.items() if context.kind.accepts(**each))
    cases = {value: Case(context.kind.spec(**_wide(context.kind, changes[value]))) for value in accepted}
    same = [*pairwise(accepted)]
    for magnitude in _MAGNITUDES:  # a limit of the state acts where the state reaches it
        tried = {value for pair in same for value in pair}
        results = {value: _result_at(cases[value], magnitude) for value in tried}
        same = [(one, other) for one, other in same if _equal(results[one], results[other])]
    for one, other in same:
        context.case = cases[other]
        context.assert_true(False, f"{name}={one!r} and {name.rpartition('.')[2]}={other!r} give the same results")
    if accepted:
        context.assert_true(True, "")


def _wide(kind: KindUnderTest, changes: Changes) -> Changes:
    """With more features, so that a number that counts a part of them differs from the next."""
    size = kind.spec().hidden_sizes[0] * _MORE_FEATURES
    wide = {**changes, "hidden_size": size}
    return wide if kind.accepts(**wide) else changes


def _result_at(case: Case, magnitude: float) -> Any:
    model = case.model()
    state = map_state(lambda part: part * magnitude if part.is_floating_point() else part, random_state(model))
    seed_generators(3)
    calls = [model.train(training)(magnitude * case.input(), state) for training in (False, True)]
    return [*model.state_dict().values(), *calls]


def _check_not_all_equal(context: CheckContext, name: str, acting: Mapping[Any, Any]) -> None:
    first, *others = acting.values() if len(acting) > 2 and all(isinstance(each, float) for each in acting) else (None,)
    same = bool(others) and all(_equal(first, each) for each in others)
    context.assert_true(not same, f"options.{name} gives the same results with {join_names(map(repr, acting))}")


def _result(context: CheckContext, options: dict[str, Any]) -> Any:
    case = Case(context.kind.spec(options=options))
    context.case = case
    model = case.model()
    seed_generators(3)
    return [
        *model.state_dict().values(),
        *leaves(model(case.input(), return_state=True)),
        *leaves(model.train()(case.input())),
    ]


def _equal(one: Any, other: Any) -> bool:
    return not largest_difference(one, other, relative=0, absolute=0).message


@check("registration")
def dropout_parts_are_only_multiplied(context: CheckContext) -> None:
    """The parts of the state that `recurrent_dropout_parts` names are read by matrix products only.

    A part is also carried over element-wise, so that a fixed mask makes it vanish or explode.
    """
    cells = {type(cell): cell for cell in _cells(context)}
    declared = [cell for cell in cells.values() if cell.recurrent_dropout_parts]
    context.skip_unless(declared, "no cell declares `recurrent_dropout_parts`")
    for cell in declared:
        x, state = torch.ones(1, cell.input_size, dtype=torch.float64), _ones(cell)
        with torch.no_grad():
            for weight in [*cell.parameters(), *cell.buffers()]:
                weight.mul_(0 if weight.dim() > 1 else 1)
        result = total(*cell(x, state))
        for part in cell.recurrent_dropout_parts:
            (gradient,) = derivatives(result, getattr(state, part))
            context.assert_true(
                not gradient.nan_to_num().any(),
                f"{type(cell).__name__} reads the part {part} of its state also where all matrices are zero",
            )


def _cells(context: CheckContext) -> list[Any]:
    case = next(context.cases([{}]))
    return [each for each in case.model().backbone.modules() if isinstance(each, Cell)]


def _ones(cell: Cell) -> Any:
    initial = cell.initial_state(1, dtype=torch.float64)
    return map_state(lambda part: (part + 0.5).requires_grad_() if part.is_floating_point() else part, initial)
