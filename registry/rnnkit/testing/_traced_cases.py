"""The cases of checks that trace a model: the default options, and the options that change what it computes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rnnkit import RecurrentModel
from rnnkit.testing._context import Case, CheckContext, merge_changes, new_lengths, random_state, without_executors
from rnnkit.testing.kind_under_test import Changes, KindUnderTest, describe_changes

_MAX_CASES = 3  # in addition to the default options: tracing takes seconds


def traced_cases(
    context: CheckContext, default: Changes, *, new_operators: bool = False, **changes: Any
) -> Iterator[Case]:
    """The default options, and the options of the kind that change what a call computes.

    Options that do not exclude each other share a case. The figures list the options that are traced, and those that
    exceed the limit as `not traced`.

    Args:
        context: the context.
        default: changes of the case with the default options.
        new_operators: True to trace only options with operators that the default does not have.
        changes: changes of every case.
    """
    cases = _merge_where_possible(context.kind, _changed_computations(context.kind, new_operators=new_operators))
    for figure, part in (("traced", cases[:_MAX_CASES]), ("not traced", cases[_MAX_CASES:])):
        if part:
            context.figures[figure] = "; ".join(map(describe_changes, part))
    yield from context.cases([default], **changes)
    if cases:
        yield from context.cases([small(context.kind, bidirectional=False)], cases[:_MAX_CASES], **changes)


def small(kind: KindUnderTest, *, bidirectional: bool = True) -> Changes:
    """Changes for models that are traced in seconds: of a stack of cells, one layer in one direction."""
    both: Changes = {"bidirectional": bidirectional and not kind.runs_cell_by_cell}
    one: Changes = kind.one_layer if kind.is_stack else {}
    return next((each for each in ({**both, **one}, both, one) if kind.accepts(**each)), {})


class _Computation(NamedTuple):
    """The operators and attributes of calls of a model, without values.

    Models that call the same operators one after another, only more or less often, are traced alike: a depth of 4 as
    one of 3.

    Attributes:
        operators: the names of the operators, in evaluation and in training mode.
        neighbors: each operator with the next, because the rest of the model may call the same operators.
        attributes: the path, the name and the type of each attribute and parameter after the calls.
    """

    operators: frozenset[str]
    neighbors: frozenset[tuple[str, str]]
    attributes: frozenset[tuple[str, str, type]]


def _changed_computations(kind: KindUnderTest, *, new_operators: bool) -> list[Changes]:
    """Return variants whose computations differ from the default and from each other.

    The first ones have the most operators that the default does not have, such as that of `.item()`.
    """
    usual, found = _computations(kind)
    new = {each: len(each.operators - usual.operators) for each in found}
    ordered = sorted(found, key=lambda each: -new[each])
    return [found[each] for each in ordered if new[each] or not new_operators]


@lru_cache(maxsize=1)  # the checks of a kind run one after another
@without_executors()
def _computations(kind: KindUnderTest) -> tuple[_Computation, dict[_Computation, Changes]]:
    """Return the computation with the default options, and the others, each with the first variant that has it."""
    default, *variants = [each for each in kind.variants if kind.accepts(**each)]
    usual = _computation(Case(kind.spec(**default)))
    found: dict[_Computation, Changes] = {}
    for variant in variants:
        found.setdefault(_computation(Case(kind.spec(**variant))), variant)
    found.pop(usual, None)
    return usual, found


def _computation(case: Case) -> _Computation:
    model = case.model()
    arguments = case.input(), random_state(model), new_lengths()
    with _Recorder() as recorder, torch.no_grad():  # a step that changes its input fails with gradients
        for training in (False, True):
            model.train(training)(*arguments)
    return _Computation(frozenset(recorder.names), frozenset(pairwise(recorder.names)), frozenset(_attributes(model)))


def _attributes(model: RecurrentModel) -> Iterator[tuple[str, str, type]]:
    for path, module in model.named_modules():
        tensors = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
        own: Mapping[str, Any] = {**vars(module), **dict(tensors)}
        yield from ((path, name, type(value)) for name, value in own.items())


class _Recorder(TorchDispatchMode):
    """Records the names of operators."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # missing in torch's stubs
        self.names: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


def _merge_where_possible(kind: KindUnderTest, variants: list[Changes]) -> list[Changes]:
    merged: list[Changes] = []
    for variant in variants:
        for number, other in enumerate(merged):
            if not _exclude_each_other(other, variant) and kind.accepts(**merge_changes([other, variant])):
                merged[number] = merge_changes([other, variant])
                break
        else:
            merged.append(variant)
    return merged


def _exclude_each_other(one: Changes, other: Changes) -> bool:
    """Whether two changes set a field or an option to different values."""
    pairs = [(one, other), (one.get("options", {}), other.get("options", {}))]
    return any(name in b and a[name] != b[name] for a, b in pairs for name in a if name != "options")
