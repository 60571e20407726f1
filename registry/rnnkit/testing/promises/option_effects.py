"""What a kind promises of the fields of a spec and of its options: that they do something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentSpec
from rnnkit.testing.comparison import largest_difference
from rnnkit.testing.option_values import is_choice, other_values
from rnnkit.testing.promise import promise
from rnnkit.testing.subject import Changes, Subject
from rnnkit.testing.trial import Case, Trial, gradients, total

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


@promise("registration")
def fields_take_effect(trial: Trial) -> None:
    """Each field of a spec changes something that one can see, if the kind takes it.

    The builder does not hand it on; what a kind cannot do is refused by the `check` of its record.
    """
    effects = _Effects(trial)
    for changes in _changes_of_fields(trial.subject):
        effects.look_for([changes], _CONTEXTS)
    effects.judge()


@promise("registration")
def options_take_effect(trial: Trial) -> None:
    """Each option changes something that one can see: every choice that it offers, or one of its numbers at least.

    The builder does not hand the option on, nothing reads it, or two of its choices mean the same.
    """
    effects, values = _Effects(trial), _values_of_options(trial.subject)
    trial.needs(values, "it has no options")
    for name, of_option in values.items():
        contexts = [*_CONTEXTS, *trial.subject.given_options, *_other_options(values, name)]
        for alternatives in _alternatives(of_option):
            effects.look_for([{"options": {name: value}} for value in alternatives], contexts)
        if not of_option:
            effects.leave_out(f"options.{name}: no other value of it was found; give one in `options`")
    effects.judge()


class _Effects:
    """Looks for what changes of a spec do."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._seen: dict[Any, Any] = {}
        self._tried = 0
        self._without: dict[str, Case] = {}  # what has no effect, and a spec in which it has none

    def look_for(self, alternatives: Sequence[Changes], contexts: Sequence[Changes]) -> None:
        """Note whether one of some changes does something in one of some contexts; or that the kind takes none."""
        pairs = [pair for changes in alternatives for pair in _pairs(self._trial.subject, changes, contexts)]
        if not pairs:
            self.leave_out(self._trial.subject.refusal(**alternatives[0]) or f"{_in_words(alternatives[0])}: no change")
            return
        self._tried += 1
        if not any(self._differ(*pair) for pair in pairs):
            self._without[_in_words(alternatives[0])] = Case(pairs[0][1])

    def leave_out(self, what: str) -> None:
        """Note what was not tried."""
        if what not in self._trial.left_out:
            self._trial.left_out.append(what)

    def judge(self) -> None:
        """Everything that was tried must have done something."""
        trial = self._trial
        trial.needs(self._tried, f"nothing could be tried: {'; '.join(trial.left_out)}")
        trial.figures["changes"] = self._tried
        trial.case = next(iter(self._without.values()), None)
        trial.that(
            not self._without,
            f"{' and '.join(self._without)} changed nothing: neither the parameters and how they start, nor output, "
            "state and gradients, in evaluation and in training",
        )

    def _differ(self, before: RecurrentSpec[Any], after: RecurrentSpec[Any]) -> bool:
        """Whether anything that one can see of two specs differs; what is random even under a seed does not count."""
        self._trial.case = Case(after)
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


def _changes_of_fields(subject: Subject) -> Iterator[Changes]:
    base = subject.spec()
    yield from ({"input_size": base.input_size * times} for times in (2, 3))
    yield from ({"hidden_size": base.hidden_sizes[0] * times} for times in (2, 3))
    yield from ({"num_layers": layers} for layers in (1, 2, 3) if layers != base.num_layers)
    yield from ({"bias": not base.bias}, {"bidirectional": not base.bidirectional}, {"dropout": 0.25})
    yield from subject.sizes_per_layer


def _values_of_options(subject: Subject) -> dict[str, list[Any]]:
    """Values of each option, those that its author gives first."""
    values = other_values(subject.record.options)
    for given in subject.given_options:
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
    subject: Subject, changes: Changes, contexts: Sequence[Changes]
) -> Iterator[tuple[RecurrentSpec[Any], RecurrentSpec[Any]]]:
    """The specs without the changes and with them, in each context in which the kind takes both."""
    options = changes.get("options", {})
    for context in contexts:
        rest = {name: value for name, value in context.get("options", {}).items() if name not in options}
        before = {**context, "options": rest}
        after = {**context, **changes, "options": {**rest, **options}}
        if subject.takes(**before) and subject.takes(**after):
            pair = subject.spec(**before), subject.spec(**after)
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
