"""The effects of the fields of a spec and of the options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentSpec
from rnnkit.testing._check import check
from rnnkit.testing._comparison import largest_difference
from rnnkit.testing._context import Case, CheckContext, gradients, total
from rnnkit.testing.kind_under_test import Changes, KindUnderTest
from rnnkit.testing.sample_values import is_choice, sample_option_values

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
    effects = _Effects(context)
    for changes in _field_changes(context.kind):
        effects.try_any([changes], _CONTEXTS)
    effects.assert_all()


@check("registration")
def options_take_effect(context: CheckContext) -> None:
    """Each option has a visible effect: every one of its choices, or at least one of its numbers.

    The builder ignores the option, or two of its choices are equivalent.
    """
    effects, values = _Effects(context), _option_values(context.kind)
    context.skip_unless(values, "it has no options")
    for name, candidates in values.items():
        contexts = [*_CONTEXTS, *context.kind.given_options, *_other_options(values, name)]
        for alternatives in _alternatives(candidates):
            effects.try_any([{"options": {name: value}} for value in alternatives], contexts)
        if not candidates:
            context.leave_out(f"options.{name}: no other value was found; give one in `options`")
    effects.assert_all()


class _Effects:
    """Looks for the effects of changes of a spec."""

    def __init__(self, context: CheckContext) -> None:
        self._context = context
        self._seen: dict[Any, Any] = {}
        self._tried = 0
        self._without: dict[str, Case] = {}  # changes without an effect, and a spec for each

    def try_any(self, alternatives: Sequence[Changes], contexts: Sequence[Changes]) -> None:
        """Record whether one of the alternatives has an effect in one of the contexts."""
        pairs = [pair for changes in alternatives for pair in _pairs(self._context.kind, changes, contexts)]
        if not pairs:
            problem = self._context.kind.problem(**alternatives[0])
            self._context.leave_out(problem or f"{_describe(alternatives[0])}: no change")
            return
        self._tried += 1
        if not any(self._differ(*pair) for pair in pairs):
            self._without[_describe(alternatives[0])] = Case(pairs[0][1])

    def assert_all(self) -> None:
        """All changes that were tried must have an effect."""
        context = self._context
        context.skip_unless(self._tried, f"there was nothing to try: {'; '.join(context.left_out)}")
        context.figures["changes"] = self._tried
        context.case = next(iter(self._without.values()), None)
        context.assert_true(
            not self._without,
            f"{' and '.join(self._without)} had no effect on initial parameters, output, state and gradients, in "
            "evaluation and in training",
        )

    def _differ(self, before: RecurrentSpec[Any], after: RecurrentSpec[Any]) -> bool:
        """Whether a view of two specs differs; views that are random even with a seed do not count."""
        self._context.case = Case(after)
        for view in _VIEWS:
            seen = self._view(view, before)
            if _equal(seen, self._view(view, before, again=True)) and not _equal(seen, self._view(view, after)):
                return True
        return False

    def _view(self, view: Any, spec: RecurrentSpec[Any], *, again: bool = False) -> Any:
        key = (view, spec, again)
        if key not in self._seen:
            self._seen[key] = view(Case(spec))
        return self._seen[key]


def _field_changes(kind: KindUnderTest) -> Iterator[Changes]:
    base = kind.spec()
    yield from ({"input_size": base.input_size * times} for times in (2, 3))
    yield from ({"hidden_size": base.hidden_sizes[0] * times} for times in (2, 3))
    yield from ({"num_layers": layers} for layers in (1, 2, 3) if layers != base.num_layers)
    yield from ({"bias": not base.bias}, {"bidirectional": not base.bidirectional}, {"dropout": 0.25})
    yield from kind.sizes_per_layer


def _option_values(kind: KindUnderTest) -> dict[str, list[Any]]:
    """Values of each option, first those that the caller gave."""
    values = sample_option_values(kind.record.options)
    for given in kind.given_options:
        for name, value in given["options"].items():
            values[name] = [value, *values.get(name, [])]
    return values


def _alternatives(values: Sequence[Any]) -> list[list[Any]]:
    """Each choice alone, and all other values together, of which at least one must have an effect."""
    choices = [[value] for value in values if is_choice(value)]
    others = [value for value in values if not is_choice(value)]
    return [*choices, others] if others else choices


def _other_options(values: Mapping[str, Sequence[Any]], name: str) -> Iterator[Changes]:
    for other, candidates in values.items():
        if other != name:
            yield from ({"options": {other: value}} for value in candidates[:_MAX_OTHERS])


def _pairs(
    kind: KindUnderTest, changes: Changes, contexts: Sequence[Changes]
) -> Iterator[tuple[RecurrentSpec[Any], RecurrentSpec[Any]]]:
    """The specs without and with the changes, in each context in which the kind accepts both."""
    options = changes.get("options", {})
    for context in contexts:
        others = {name: value for name, value in context.get("options", {}).items() if name not in options}
        before = {**context, "options": others}
        after = {**context, **changes, "options": {**others, **options}}
        if kind.accepts(**before) and kind.accepts(**after):
            pair = kind.spec(**before), kind.spec(**after)
            if pair[0] != pair[1]:
                yield pair


def _describe(changes: Changes) -> str:
    options = changes.get("options", {})
    return ", ".join(
        [f"{name}={value!r}" for name, value in changes.items() if name != "options"]
        + [f"options.{name}={value!r}" for name, value in options.items()]
    )


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
    torch.manual_seed(3)
    lengths = torch.tensor(_LENGTHS) if padded else None
    output, state = model.backbone(_input(case), lengths=lengths)
    return {"output": output, "state": state, "gradients": gradients(total(output, state), model.backbone)}


_CALLS = product((False, True), (False, True))
_VIEWS = (_parameters, *(partial(_results, training=training, padded=padded) for training, padded in _CALLS))
