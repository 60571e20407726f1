"""Takes all measurements of a kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import torch
from pydantic import ValidationError

from rnnkit import RecurrentSpec, build_model, current_catalog, get_kind
from rnnkit.errors import PluginError
from rnnkit.kind_page import digits, speed
from rnnkit.kind_page.machine import one_thread, this_machine, today, versions
from rnnkit.kind_page.measurements import CheckOutcome, Learning, Measurements, Speed
from rnnkit.kind_page.reference import TorchLSTM
from rnnkit.testing import check_kind


def _say_nothing(_what: str) -> None:
    """Tell nobody what is going on."""


def measure(
    kind: str,
    *,
    only: Iterable[str] | None = None,
    epochs: int = digits.EPOCHS,
    seconds: float = speed.SECONDS,
    progress: Callable[[str], None] = _say_nothing,
) -> Measurements:
    """Take all measurements of a kind that its page shows; about a minute.

    Args:
        kind: its name.
        only: names of the promises to put to it, as `check_kind` takes them; None: all.
        epochs: how long it learns the demo task.
        seconds: for how long a forward pass, and training, are timed at each shape.
        progress: called with what is going on.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: the kind cannot be had, or does not take
            the sizes at which kinds are measured.
        ValueError: there is no promise of such a name.
        RnnkitError: scikit-learn is not installed, which has the data of the demo task.
    """
    get_kind(kind)
    name = current_catalog().canonical(kind)
    digits.load_digits()  # first: what is missing is told at once
    with one_thread(), torch.random.fork_rng(), torch.enable_grad():
        progress(f"{name}: putting the promises of the conformance kit to it")
        checks = _checks(name, only)
        progress(f"{name}: learning the digits")
        learning = _learning(name, epochs)
        progress(f"{name}: timing it")
        timed = _speed(name, seconds)
    return Measurements(
        kind=name,
        date=today(),
        machine=this_machine(),
        versions=versions(name),
        checks=checks,
        learning=learning,
        speed=timed,
    )


def _checks(kind: str, only: Iterable[str] | None) -> tuple[CheckOutcome, ...]:
    results = check_kind(kind, only=only).to_dict()["results"]
    return tuple(CheckOutcome(**{**each, "left_out": tuple(each["left_out"])}) for each in results)


def _learning(kind: str, epochs: int) -> Learning:
    data = digits.load_digits()
    spec = _taken(kind, input_size=digits.INPUT_SIZE, hidden_size=digits.HIDDEN_SIZE, output_size=digits.OUTPUT_SIZE)
    return Learning(
        hidden_size=digits.HIDDEN_SIZE,
        learning_rate=digits.LEARNING_RATE,
        images=len(data[1]),
        accuracies=_rounded(digits.learn(lambda: build_model(spec), data, epochs)),
        lstm_accuracies=_of_lstm(epochs),
    )


@cache
def _of_lstm(epochs: int) -> tuple[float, ...]:
    sizes = (digits.INPUT_SIZE, digits.HIDDEN_SIZE, 1, digits.OUTPUT_SIZE)
    return _rounded(digits.learn(lambda: TorchLSTM(*sizes), digits.load_digits(), epochs))


def _rounded(accuracies: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(accuracy, 4) for accuracy in accuracies)


def _speed(kind: str, seconds: float) -> tuple[Speed, ...]:
    for sizes in speed.SHAPES.values():
        _taken(kind, **{name: size for name, size in sizes._asdict().items() if name not in {"batch", "time"}})
    return tuple(speed.measured_speed(kind, shape, seconds) for shape in speed.SHAPES)


def _taken(kind: str, **fields: int) -> RecurrentSpec[Any]:
    """The spec of a kind with some sizes.

    Raises:
        PluginError: the kind does not take them.
    """
    try:
        return RecurrentSpec.from_dict({"kind": kind, **fields})
    except ValidationError as error:
        sizes = ", ".join(f"{name}={size}" for name, size in fields.items())
        raise PluginError(f"The kind {kind!r} cannot be measured, as it does not take {sizes}: {error}") from error
