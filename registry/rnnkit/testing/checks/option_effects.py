"""What a kind promises of the fields of a spec and of its options: that they do something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentSpec
from rnnkit.testing.check import check
from rnnkit.testing.check_context import Case, CheckContext, gradients, total
from rnnkit.testing.comparison import largest_difference
from rnnkit.testing.kind_under_test import Changes, KindUnderTest
from rnnkit.testing.sample_values import is_choice, sample_option_values

_TIME = 8
_LENGTHS = (_TIME, 2, 0, 3)
# What some options need, to be taken or to do anything.
_CONTEXTS: tuple[Changes, ...] = (
    {},
    {"num_layers": 2, "dropout": 0.5},
    {"bidirectional": True},
    {"num_layers": 3},
    {"num_layers": 1},
)
_OF_OTHERS = 2  # values of each other option, which one may need as well


@check("registration")
def fields_take_effect(context: CheckContext) -> None:
    """Each field of a spec changes something that one can see, if the kind takes it.

    The builder does not hand it on; what a kind cannot do is refused by the `check` of its record.
    """
    effects = _Effects(context)
    for changes in _changes_of_fields(context.kind_under_test):
        effects.look_for([changes], _CONTEXTS)
    effects.judge()


@check("registration")
def options_take_effect(context: CheckContext) -> None:
    """Each option changes something that one can see: every choice that it offers, or one of its numbers at least.

    The builder does not hand the option on, nothing reads it, or two of its choices mean the same.
    """
    effects, values = _Effects(context), _values_of_options(context.kind_under_test)
    context.needs(values, "it has no options")
    for name, of_option in values.items():
        contexts = [*_CONTEXTS, *context.kind_under_test.given_options, *_other_options(values, name)]
        for alternatives in _alternatives(of_option):
            effects.look_for([{"options": {name: value}} for value in alternatives], contexts)
        if not of_option:
            effects.leave_out(f"options.{name}: no other value of it was found; give one in `options`")
    effects.judge()


class _Effects:
    """Looks for what changes of a spec do."""

    def __init__(self, context: CheckContext) -> None:
        self._context = context
        self._seen: dict[Any, Any] = {}
        self._tried = 0
        self._without: dict[str, Case] = {}  # what has no effect, and a spec in which it has none

    def look_for(self, alternatives: Sequence[Changes], contexts: Sequence[Changes]) -> None:
        """Note whether one of some changes does something in one of some contexts; or that the kind takes none."""
        pairs = [pair for changes in alternatives for pair in _pairs(self._context.kind_under_test, changes, contexts)]
        if not pairs:
            self.leave_out(
                self._context.kind_under_test.refusal(**alternatives[0]) or f"{_in_words(alternatives[0])}: no change"
            )
            return
        self._tried += 1
        if not any(self._differ(*pair) for pair in pairs):
            self._without[_in_words(alternatives[0])] = Case(pairs[0][1])

    def leave_out(self, what: str) -> None:
        """Note what was not tried."""
        if what not in self._context.left_out:
            self._context.left_out.append(what)

    def judge(self) -> None:
        """Everything that was tried must have done something."""
        context = self._context
        context.needs(self._tried, f"nothing could be tried: {'; '.join(context.left_out)}")
        context.figures["changes"] = self._tried
        context.case = next(iter(self._without.values()), None)
        context.that(
            not self._without,
            f"{' and '.join(self._without)} changed nothing: neither the parameters and how they start, nor output, "
            "state and gradients, in evaluation and in training",
        )

    def _differ(self, before: RecurrentSpec[Any], after: RecurrentSpec[Any]) -> bool:
        """Whether anything that one can see of two specs differs; what is random even under a seed does not count."""
        self._context.case = Case(after)
        for view in _VIEWS:
            seen = self._of(view, before)
            if _are_same(seen, self._of(view, before, again=True)) and not _are_same(seen, self._of(view, after)):
                return True
        return False

    def _of(self, view: Any, spec: RecurrentSpec[Any], *, again: bool = False) -> Any:
        key = (view, spec, again)
        if key not in self._seen:
            self._seen[key] = view(Case(spec))
        return self._seen[key]


def _changes_of_fields(kind_under_test: KindUnderTest) -> Iterator[Changes]:
    base = kind_under_test.spec()
    yield from ({"input_size": base.input_size * times} for times in (2, 3))
    yield from ({"hidden_size": base.hidden_sizes[0] * times} for times in (2, 3))
    yield from ({"num_layers": layers} for layers in (1, 2, 3) if layers != base.num_layers)
    yield from ({"bias": not base.bias}, {"bidirectional": not base.bidirectional}, {"dropout": 0.25})
    yield from kind_under_test.sizes_per_layer


def _values_of_options(kind_under_test: KindUnderTest) -> dict[str, list[Any]]:
    """Values of each option, those that its author gives first."""
    values = sample_option_values(kind_under_test.record.options)
    for given in kind_under_test.given_options:
        for name, value in given["options"].items():
            values[name] = [value, *values.get(name, [])]
    return values


def _alternatives(values: Sequence[Any]) -> list[list[Any]]:
    """Each choice by itself, and all numbers and the like together, of which one need do something."""
    choices = [[value] for value in values if is_choice(value)]
    others = [value for value in values if not is_choice(value)]
    return [*choices, others] if others else choices


def _other_options(values: Mapping[str, Sequence[Any]], name: str) -> Iterator[Changes]:
    for other, of_other in values.items():
        if other != name:
            yield from ({"options": {other: value}} for value in of_other[:_OF_OTHERS])


def _pairs(
    kind_under_test: KindUnderTest, changes: Changes, contexts: Sequence[Changes]
) -> Iterator[tuple[RecurrentSpec[Any], RecurrentSpec[Any]]]:
    """The specs without the changes and with them, in each context in which the kind takes both."""
    options = changes.get("options", {})
    for context in contexts:
        rest = {name: value for name, value in context.get("options", {}).items() if name not in options}
        before = {**context, "options": rest}
        after = {**context, **changes, "options": {**rest, **options}}
        if kind_under_test.takes(**before) and kind_under_test.takes(**after):
            pair = kind_under_test.spec(**before), kind_under_test.spec(**after)
            if pair[0] != pair[1]:
                yield pair


def _in_words(changes: Changes) -> str:
    options = changes.get("options", {})
    return ", ".join(
        [f"{name}={value!r}" for name, value in changes.items() if name != "options"]
        + [f"options.{name}={value!r}" for name, value in options.items()]
    )


def _are_same(one: Any, other: Any) -> bool:
    """Bit for bit: an option may choose between two ways to compute the same, which differ by rounding alone."""
    return not largest_difference(one, other, relative=0, absolute=0).message


def _input(case: Case) -> Tensor:
    """Input that looks random, of which fewer features are the first of more."""
    steps = torch.arange(len(_LENGTHS) * _TIME, dtype=torch.float64).reshape(len(_LENGTHS), _TIME, 1)
    features = torch.arange(1, case.spec.input_size + 1)
    x = 2 * torch.sin(features * (steps + features.sqrt()))
    return x if case.spec.batch_first else x.transpose(0, 1).contiguous()


def _parameters(case: Case) -> Any:
    return dict(case.model(moved=False).named_parameters())


def _results(case: Case, *, training: bool, padded: bool) -> Any:
    model = case.model().train(training)
    torch.manual_seed(3)
    lengths = torch.tensor(_LENGTHS) if padded else None
    output, state = model.backbone(_input(case), lengths=lengths)
    return {"output": output, "state": state, "gradients": gradients(total(output, state), model.backbone)}


_CALLS = product((False, True), (False, True))
_VIEWS = (_parameters, *(partial(_results, training=training, padded=padded) for training, padded in _CALLS))
