"""The effects of the fields of a spec and of the options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentSpec
from rnnkit._messages import join_names, short_repr
from rnnkit.testing._check import check
from rnnkit.testing._comparison import largest_difference
from rnnkit.testing._context import Case, CheckContext, gradients, total, without_executors
from rnnkit.testing._seeding import seed_generators
from rnnkit.testing.kind_under_test import Changes, KindUnderTest, describe_changes
from rnnkit.testing.sample_values import is_choice

_Spec = RecurrentSpec[Any]
_TIME = 8
_LENGTHS = (_TIME, 2, 0, 3)
# Some options are valid, or have an effect, in some contexts only.
_CONTEXTS: tuple[Changes, ...] = (
    {},
    {"num_layers": 2, "dropout": 0.5},
    {"bidirectional": True},
    {"num_layers": 3},
    {"num_layers": 1},
)
_MAX_OTHERS = 2  # values of each other option, for options that depend on it


@check("registration")
def fields_take_effect(context: CheckContext) -> None:
    """Each field of a spec that the kind accepts has a visible effect.

    The builder ignores the field. If the kind does not support it, reject it in the `check` of the record.
    """
    _assert_effects(context, (([changes], _CONTEXTS) for changes in _field_changes(context.kind)))


@check("registration")
@without_executors()
def options_take_effect(context: CheckContext) -> None:
    """Each option has a visible effect: every one of its choices, or at least one of its numbers.

    The builder ignores the option, or two of its choices are equivalent.
    """
    values = _option_values(context.kind)
    context.skip_unless(values, "it has no options")
    for name, candidates in values.items():
        if not candidates:
            context.leave_out(f"options.{name}: no other value was found; give one in `options`")
        elif name in context.kind.own_options and not _is_accepted(context.kind, name, candidates):
            tried = join_names(map(short_repr, candidates))
            context.warnings.append(f"options.{name}: the kind rejects all values that were tried, {tried}; give one")
    _assert_effects(context, _option_changes(context.kind, values))


def _is_accepted(kind: KindUnderTest, name: str, values: Sequence[Any]) -> bool:
    """Whether the kind accepts one of the values in one of the contexts."""
    return any(True for _ in _pairs(kind, [{"options": {name: value}} for value in values], _CONTEXTS))


def _assert_effects(context: CheckContext, changes: Iterable[tuple[Sequence[Changes], Sequence[Changes]]]) -> None:
    """Of each sequence of alternatives, one must have an effect in one of its contexts."""
    tried, without, differ = 0, {}, _difference(context)
    for alternatives, contexts in changes:
        name, pairs = describe_changes(alternatives[0]), [*_pairs(context.kind, alternatives, contexts)]
        if not pairs:
            context.leave_out(context.kind.problem(**alternatives[0]) or f"{name}: no change")
            continue
        tried += 1
        if not any(differ(*pair) for pair in pairs):
            without[name] = Case(pairs[0][1])
    context.skip_unless(tried, f"there was nothing to try: {join_names(context.left_out, '; ')}")
    context.figures["changes"] = tried
    context.case = next(iter(without.values()), None)
    views = "initial parameters, output, state and gradients, in evaluation and in training"
    context.assert_true(not without, f"{join_names(without, ' and ')} had no effect on {views}")


def _difference(context: CheckContext) -> Callable[[_Spec, _Spec], bool]:
    """Whether a view of two specs differs; views that are random even with a seed do not count."""
    first, second = (cache(lambda view, spec: view(Case(spec))) for _ in range(2))

    def differ(before: _Spec, after: _Spec) -> bool:
        context.case = Case(after)
        stable = (view for view in _VIEWS if _equal(first(view, before), second(view, before)))
        return any(not _equal(first(view, before), first(view, after)) for view in stable)

    return differ


def _field_changes(kind: KindUnderTest) -> Iterator[Changes]:
    base = kind.spec()
    yield from ({"input_size": base.input_size * times} for times in (2, 3))
    yield from ({"hidden_size": base.hidden_sizes[0] * times} for times in (2, 3))
    yield from ({"num_layers": layers} for layers in (1, 2, 3) if layers != base.num_layers)
    yield from ({"bias": not base.bias}, {"bidirectional": not base.bidirectional}, {"dropout": 0.25})
    yield from kind.sizes_per_layer


def _option_values(kind: KindUnderTest) -> dict[str, list[Any]]:
    """Values of each option, first those that the caller gave."""
    values = {name: [*each] for name, each in kind.option_values.items()}
    for given in kind.given_options:
        for name, value in given["options"].items():
            values[name] = [value, *values.get(name, [])]
    return values


def _option_changes(
    kind: KindUnderTest, values: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[list[Changes], list[Changes]]]:
    """The changes of each option, with the contexts to try them in."""
    for name, candidates in values.items():
        others = [(other, value) for other in values if other != name for value in values[other][:_MAX_OTHERS]]
        contexts = [*_CONTEXTS, *kind.given_options, *({"options": {other: value}} for other, value in others)]
        # each choice alone, and all other values together, of which at least one must have an effect
        numbers = [value for value in candidates if not is_choice(value)]
        for alternatives in [*([value] for value in filter(is_choice, candidates)), *[numbers] * bool(numbers)]:
            yield [{"options": {name: value}} for value in alternatives], contexts


def _pairs(
    kind: KindUnderTest, alternatives: Sequence[Changes], contexts: Sequence[Changes]
) -> Iterator[tuple[_Spec, _Spec]]:
    """The specs without and with each change, in each context in which the kind accepts both."""
    for changes, context in product(alternatives, contexts):
        options = changes.get("options", {})
        others = {name: value for name, value in context.get("options", {}).items() if name not in options}
        before = {**context, "options": others}
        after = {**context, **changes, "options": {**others, **options}}
        if kind.accepts(**before) and kind.accepts(**after):
            pair = kind.spec(**before), kind.spec(**after)
            if pair[0] != pair[1]:
                yield pair


def _equal(one: Any, other: Any) -> bool:
    """Bit for bit: an option may select between two algorithms that differ only in rounding."""
    return not largest_difference(one, other, relative=0, absolute=0).message


def _input(case: Case) -> Tensor:
    """Deterministic input; the features of a smaller size are the first ones of a larger size."""
    steps = torch.arange(len(_LENGTHS) * _TIME, dtype=torch.float64).reshape(len(_LENGTHS), _TIME, 1)
    features = torch.arange(1, case.spec.input_size + 1)
    x = 2 * torch.sin(features * (steps + features.sqrt()))
    return x if case.spec.batch_first else x.transpose(0, 1).contiguous()


def _parameters(case: Case) -> Any:
    return dict(case.model(perturb=False).named_parameters())


def _results(case: Case, *, training: bool, padded: bool) -> Any:
    model = case.model().train(training)
    seed_generators(3)
    lengths = torch.tensor(_LENGTHS) if padded else None
    output, state = model.backbone(_input(case), lengths=lengths)
    return {"output": output, "state": state, "gradients": gradients(total(output, state), model.backbone)}


_CALLS = product((False, True), (False, True))
_VIEWS = (_parameters, *(partial(_results, training=training, padded=padded) for training, padded in _CALLS))
