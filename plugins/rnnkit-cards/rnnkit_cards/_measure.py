"""Measures a kind: the conformance checks, the demo task, and its speed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import torch
from pydantic import ValidationError

from rnnkit import PluginError, RecurrentSpec, build_model, current_catalog, get_kind
from rnnkit.compare import single_thread
from rnnkit.testing import check_kind
from rnnkit_cards import digits, timing
from rnnkit_cards.baseline import TorchLSTM
from rnnkit_cards.machine import this_machine, today, versions
from rnnkit_cards.measurements import CheckOutcome, Learning, Measurements, Speed


def _no_progress(_text: str) -> None:
    pass


def measure(
    kind: str,
    *,
    only: Iterable[str] | None = None,
    epochs: int = digits.EPOCHS,
    seconds: float = timing.SECONDS,
    progress: Callable[[str], None] = _no_progress,
) -> Measurements:
    """Measure a kind for its card; takes about a minute.

    Seeds torch's generator and computes on one thread, and restores both: run it in a process of its own.

    Args:
        kind: name of the kind.
        only: names of the conformance checks to run, as in `check_kind`; None: all.
        epochs: number of epochs on the demo task.
        seconds: how long to time the forward pass, and training, at each shape.
        progress: called with a line of text at the start of each part.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: the kind is not available, or rejects the
            sizes of the measurements.
        ValueError: a check in `only` does not exist.
    """
    get_kind(kind)
    name = current_catalog().canonical(kind)
    with single_thread(), torch.random.fork_rng(), torch.enable_grad():
        progress(f"{name}: running the conformance checks")
        checks = _checks(name, only)
        progress(f"{name}: training on the digits")
        learning = _learning(name, epochs)
        progress(f"{name}: timing")
        speed = _speed(name, seconds)
    return Measurements(
        kind=name,
        date=today(),
        machine=this_machine(),
        versions=versions(name),
        checks=checks,
        learning=learning,
        speed=speed,
    )


def _checks(kind: str, only: Iterable[str] | None) -> tuple[CheckOutcome, ...]:
    results = check_kind(kind, only=only).to_dict()["results"]
    return tuple(CheckOutcome(**{**each, "left_out": tuple(each["left_out"])}) for each in results)


def _learning(kind: str, epochs: int) -> Learning:
    data = digits.load_digits()
    spec = _spec(kind, input_size=digits.INPUT_SIZE, hidden_size=digits.HIDDEN_SIZE, output_size=digits.OUTPUT_SIZE)
    return Learning(
        hidden_size=digits.HIDDEN_SIZE,
        learning_rate=digits.LEARNING_RATE,
        images=len(data[1]),
        accuracies=_rounded(digits.train_on_digits(lambda: build_model(spec), data, epochs)),
        lstm_accuracies=_lstm_accuracies(epochs),
    )


@cache
def _lstm_accuracies(epochs: int) -> tuple[float, ...]:
    sizes = (digits.INPUT_SIZE, digits.HIDDEN_SIZE, 1, digits.OUTPUT_SIZE)
    return _rounded(digits.train_on_digits(lambda: TorchLSTM(*sizes), digits.load_digits(), epochs))


def _rounded(accuracies: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(accuracy, 4) for accuracy in accuracies)


def _speed(kind: str, seconds: float) -> tuple[Speed, ...]:
    for sizes in timing.SHAPES.values():
        _spec(kind, **{name: size for name, size in sizes._asdict().items() if name not in {"batch", "time"}})
    return tuple(timing.measure_speed(kind, shape, seconds) for shape in timing.SHAPES)


def _spec(kind: str, **fields: int) -> RecurrentSpec[Any]:
    """A spec with the sizes of a measurement.

    Raises:
        PluginError: the kind rejects the sizes.
    """
    try:
        return RecurrentSpec.from_dict({"kind": kind, **fields})
    except ValidationError as error:
        sizes = ", ".join(f"{name}={size}" for name, size in fields.items())
        raise PluginError(f"The kind {kind!r} cannot be measured because it rejects {sizes}: {error}") from error
