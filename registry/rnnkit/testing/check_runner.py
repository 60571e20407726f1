"""Puts promises to a kind."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import torch

from rnnkit._messages import describe_exception
from rnnkit._version import __version__
from rnnkit.specs import plugin_of
from rnnkit.testing.check import Check, CheckFailedError, NotApplicableError, all_checks, checks_like
from rnnkit.testing.check_context import CheckContext
from rnnkit.testing.kind_report import CheckResult, KindReport
from rnnkit.testing.kind_under_test import Changes, KindUnderTest


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
    checks = all_checks() if only is None else checks_like(only)
    kind_under_test = KindUnderTest(kind, fields=spec, options=options)
    return report_of(kind_under_test, [run_check(check, kind_under_test) for check in checks])


def report_of(kind_under_test: KindUnderTest, results: Iterable[CheckResult]) -> KindReport:
    """The report of some results."""
    versions = {"rnnkit": __version__, "torch": str(torch.__version__)}
    return KindReport(kind_under_test.name, plugin_of(kind_under_test.name), versions, tuple(results))


def run_check(check: Check, kind_under_test: KindUnderTest) -> CheckResult:
    """Put one promise to a kind."""
    context = CheckContext(kind_under_test)
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices), torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("default")  # one is no broken promise, even where warnings are errors
        torch.manual_seed(0)
        error = _error_of(check, context)
    if isinstance(error, NotApplicableError):
        return CheckResult(check, "not applicable", str(error), context.figures, tuple(context.left_out), error)
    if error is not None:
        return CheckResult(check, "failed", _reason(error, context), context.figures, tuple(context.left_out), error)
    return CheckResult(check, "passed", "", context.figures, tuple(context.left_out))


def _error_of(check: Check, context: CheckContext) -> Exception | None:
    try:
        check.function(context)
    except Exception as error:  # noqa: BLE001  # whatever the kind raises is what comes of it
        return error
    if not context.compared:
        return CheckFailedError(f"{check.name} compared nothing")
    return None


def _reason(error: Exception, context: CheckContext) -> str:
    what = str(error) if isinstance(error, CheckFailedError) else f"it raised {describe_exception(error)}"
    return what if context.case is None else f"{what}\nwith {context.case}"
