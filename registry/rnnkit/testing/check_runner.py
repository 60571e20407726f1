"""Puts promises to a kind."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import torch

from rnnkit import __version__
from rnnkit.explain import said
from rnnkit.lock import plugin_of
from rnnkit.testing.kind_report import KindReport, PromiseResult
from rnnkit.testing.promise import BrokenPromiseError, NotApplicableError, Promise, all_promises, promises_like
from rnnkit.testing.subject import Changes, Subject
from rnnkit.testing.trial import Trial


def check_kind(
    kind: str, *, spec: Changes | None = None, options: Sequence[Changes] = (), only: Iterable[str] | None = None
) -> KindReport:
    """Hold a kind to what rnnkit promises of every kind.

    ```python
    report = check_kind("mgu")
    print(report)
    report.require()
    ```

    Takes some seconds, on the CPU, and leaves the state of torch's random numbers as it was.

    Args:
        kind: its name, of a plugin or of this process.
        spec: fields that every spec of it must have, where it does not take the small sizes that the kit tries.
        options: options to put every promise to, beside the defaults and other values of the kind's own options that
            the kit finds by their types.
        only: names of promises to put to it, parts of names, or patterns as in a shell; None: all.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: the kind cannot be had.
        ValueError: it takes no spec that the kit tries, or there is no promise of such a name.
    """
    promises = all_promises() if only is None else promises_like(only)
    subject = Subject(kind, fields=spec, options=options)
    return report_of(subject, [put(promise, subject) for promise in promises])


def report_of(subject: Subject, results: Iterable[PromiseResult]) -> KindReport:
    """The report of some results."""
    versions = {"rnnkit": __version__, "torch": str(torch.__version__)}
    return KindReport(subject.name, plugin_of(subject.name), versions, tuple(results))


def put(promise: Promise, subject: Subject) -> PromiseResult:
    """Put one promise to a kind."""
    trial = Trial(subject)
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("default")  # one is no broken promise, even where warnings are errors
        torch.manual_seed(0)
        error = _error_of(promise, trial)
    if isinstance(error, NotApplicableError):
        return PromiseResult(promise, "not applicable", str(error), trial.figures, tuple(trial.left_out), error)
    if error is not None:
        return PromiseResult(promise, "failed", _reason(error, trial), trial.figures, tuple(trial.left_out), error)
    return PromiseResult(promise, "passed", "", trial.figures, tuple(trial.left_out))


def _error_of(promise: Promise, trial: Trial) -> Exception | None:
    try:
        promise.function(trial)
    except Exception as error:  # noqa: BLE001  # whatever the kind raises is what comes of it
        return error
    if not trial.compared:
        return BrokenPromiseError(f"{promise.name} compared nothing")
    return None


def _reason(error: Exception, trial: Trial) -> str:
    what = str(error) if isinstance(error, BrokenPromiseError) else f"it raised {said(error)}"
    return what if trial.case is None else f"{what}\nwith {trial.case}"
