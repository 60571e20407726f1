"""Runs checks on a kind."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from rnnkit._version import __version__
from rnnkit.specs import plugin_of
from rnnkit.testing._check import Check, CheckFailedError, NotApplicableError, all_checks, select_checks
from rnnkit.testing._context import CheckContext
from rnnkit.testing._process_settings import kept_settings
from rnnkit.testing._raised_at import describe_raised
from rnnkit.testing._report import CheckResult, KindReport, Outcome
from rnnkit.testing._seeding import seed_generators
from rnnkit.testing.kind_under_test import Changes, KindUnderTest


def check_kind(
    kind: str,
    *,
    spec: Changes | None = None,
    options: Changes | Sequence[Changes] = (),
    only: str | Iterable[str] | None = None,
    seed: int = 0,
) -> KindReport:
    """Run the conformance checks on a kind.

    ```python
    report = check_kind("nbrc")
    print(report)
    report.require()
    ```

    Takes some seconds on the CPU. The state of torch's random number generators and the global settings of torch, NumPy
    and Python are restored. Other threads see the settings that the checks try: run the kit in a process of its own.

    Args:
        kind: the name of the kind.
        spec: fields of every spec, for kinds that do not accept the small sizes that the kit tries. A check that
            compares several values of a field, such as `bidirectional`, uses its own. Not `kind`, and no fields of
            the embedding: the checks test the recurrent network.
        options: options to run every check with, or a sequence of them, in addition to the defaults and the values
            that the kit derives from the types of the kind's options.
        only: the name of a check, a part of a name, a pattern as in a shell, or several of them; None: all checks.
        seed: the seed of the sizes that some checks draw at random; the report shows it.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: the kind is not available.
        ValueError: the kind accepts none of the specs that the kit tries, or rejects `options`, `spec` sets a field
            that it must not set, or no check matches `only`.
    """
    checks = all_checks() if only is None else select_checks(only)
    kind_under_test = make_kind_under_test(kind, fields=spec, options=options, seed=seed)
    return make_report(kind_under_test, [run_check(check, kind_under_test) for check in checks])


def make_kind_under_test(kind: str, **arguments: Any) -> KindUnderTest:
    with kept_settings():  # the validation of a spec may build a cell
        return KindUnderTest(kind, **arguments)


def make_report(kind_under_test: KindUnderTest, results: Iterable[CheckResult]) -> KindReport:
    versions = {"rnnkit": __version__, "torch": str(torch.__version__)}
    plugin, seed = plugin_of(kind_under_test.name), kind_under_test.seed
    return KindReport(kind_under_test.name, plugin, versions, seed, tuple(results))


def run_check(check: Check, kind_under_test: KindUnderTest) -> CheckResult:
    context = CheckContext(kind_under_test)
    devices = range(torch.cuda.device_count())
    with kept_settings(), torch.random.fork_rng(devices), torch.enable_grad():
        warnings.simplefilter("default")  # a warning is not a failure, even under -W error
        seed_generators(0)
        outcome, reason, error = _run(check, context)
    left_out, warned = tuple(context.left_out), tuple(context.warnings)
    return CheckResult(check, outcome, reason, context.figures, left_out, warned, error)


def _run(check: Check, context: CheckContext) -> tuple[Outcome, str, Exception | None]:
    if declared := context.kind.record.inapplicable_checks.get(check.name):
        return "not applicable", declared, None
    try:
        check.function(context)
        context.assert_true(context.compared, f"{check.name} compared nothing")
    except NotApplicableError as error:
        return "not applicable", str(error), error
    except Exception as error:  # noqa: BLE001  # any exception of the kind is a result
        what = str(error) if isinstance(error, CheckFailedError) else f"it raised {describe_raised(error)}"
        return "failed", what if context.case is None else f"{what}\nwith {context.case}", error
    return "passed", "", None
