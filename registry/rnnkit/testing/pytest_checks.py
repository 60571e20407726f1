"""One test for each promise and kind, in pytest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rnnkit import current_catalog
from rnnkit.testing.check import Check, CheckFailedError, all_checks, check_names
from rnnkit.testing.check_runner import report_of, run_check
from rnnkit.testing.kind_under_test import Changes, KindUnderTest

if TYPE_CHECKING:
    from rnnkit.testing.kind_report import CheckResult

ENOUGH = "enough_checks_pass"
_FEWEST_WORDS = 2  # of a reason
_F = TypeVar("_F", bound=Callable[..., Any])


class KindCheck:
    """A promise of one kind, as a test has it."""

    def __init__(self, run: _Run, check: Check) -> None:
        self._run = run
        self.kind = run.kind
        self.name = check.name
        self.text = check.text
        self._check = check

    def check(self) -> None:
        """Put the promise to the kind: returns, fails, is skipped, or fails as expected.

        Raises:
            CheckFailedError: the kind does not keep it, or keeps it where that was not expected.
        """
        import pytest

        __tracebackhide__ = True  # of pytest's tracebacks
        result, expected = self._run.result(self._check), self._run.expected.get(self.name)
        if expected is not None:
            self._expect_failure(result, expected)
        elif result.outcome == "failed":
            cause = None if isinstance(result.error, CheckFailedError) else result.error
            raise CheckFailedError(f"{self.name} of the kind {self.kind!r}: {result.explanation}") from cause
        elif result.outcome == "not applicable":
            pytest.skip(f"not applicable to {self.kind!r}: {result.reason}")

    def _expect_failure(self, result: CheckResult, reason: str) -> None:
        import pytest

        if result.outcome == "failed":
            pytest.xfail(f"{reason} ({result.reason})")
        raise CheckFailedError(
            f"{self.name} of the kind {self.kind!r} was expected to fail, because of {reason!r}, but is "
            f"{'kept' if result.outcome == 'passed' else 'not applicable'}: take it out of expected_failures"
        )

    def __repr__(self) -> str:
        return f"<promise {self.name} of {self.kind}>"


class EnoughChecks:
    """That a kind keeps enough promises for a green run to mean something."""

    def __init__(self, run: _Run, minimum: int) -> None:
        self._run = run
        self._minimum = minimum
        self.kind = run.kind
        self.name = ENOUGH

    def check(self) -> None:
        """Count the promises that the kind keeps.

        Raises:
            CheckFailedError: they are fewer than the minimum.
        """
        results = [self._run.result(check) for check in all_checks()]
        kept = [each for each in results if each.outcome == "passed"]
        if len(kept) < self._minimum:
            report = report_of(self._run.kind_under_test, results)
            raise CheckFailedError(f"Only {len(kept)} promises are kept, but {self._minimum} must be:\n{report}")


class _Run:
    """The promises put to a kind so far: each once, however often it is asked for."""

    def __init__(self, kind: str, expected: Mapping[str, str], **how: Any) -> None:
        self.kind = kind
        self.expected = expected
        self._how = how  # a subject of it is made
        self._kind_under_test: KindUnderTest | None = None
        self._results: dict[str, CheckResult] = {}

    @property
    def kind_under_test(self) -> KindUnderTest:
        if self._kind_under_test is None:
            self._kind_under_test = KindUnderTest(self.kind, **self._how)
        return self._kind_under_test

    def result(self, check: Check) -> CheckResult:
        if check.name not in self._results:
            self._results[check.name] = run_check(check, self.kind_under_test)
        return self._results[check.name]


def parametrize_with_checks(
    *kinds: str,
    spec: Changes | None = None,
    options: Sequence[Changes] = (),
    expected_failures: Mapping[str, str] | None = None,
    minimum: int | None = None,
) -> Callable[[_F], _F]:
    """Parametrize a test, which must call `promise.check()`, over each promise of some kinds.

    ```python
    @parametrize_with_checks("mgu", expected_failures={"repeats_under_a_seed": "its kernel adds in any order, #12"})
    def test_a_promise_is_kept(promise):
        promise.check()
    ```

    The tests are called `test_a_promise_is_kept[mgu-chunks_equal_full_sequence]`. One is skipped where the promise is
    not applicable to the kind, which running it shows; the last one of each kind counts those that are kept.

    Args:
        *kinds: their names.
        spec: as of `check_kind`.
        options: as of `check_kind`.
        expected_failures: promises that the kinds do not keep, and why. One that is kept after all fails.
        minimum: how many promises must be kept for each kind, half of all at least, which is the default.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError: a name stands for no kind.
        ValueError: there is no promise of a name, a reason is missing, or the minimum is too low.
    """
    import pytest

    expected = _checked(expected_failures or {})
    minimum = _checked_minimum(minimum)
    parameters: list[Any] = []
    for kind in kinds:
        current_catalog().canonical(kind)  # one clear error now, rather than one for each promise
        parameters += _tests(_Run(kind, expected, fields=spec, options=options), minimum)
    return pytest.mark.parametrize("promise", parameters)


def _tests(run: _Run, minimum: int) -> list[Any]:
    import pytest

    tests: list[KindCheck | EnoughChecks] = [KindCheck(run, check) for check in all_checks()]
    tests.append(EnoughChecks(run, minimum))
    return [pytest.param(each, id=f"{run.kind}-{each.name}") for each in tests]


def _checked(expected: Mapping[str, str]) -> Mapping[str, str]:
    """Expected failures of promises that there are, each with a reason of its own; nothing else."""
    check_names(expected)
    for name, reason in expected.items():
        if not isinstance(reason, str) or len(reason.split()) < _FEWEST_WORDS:
            raise ValueError(f"expected_failures must say why the kind breaks {name!r}, but says {reason!r}")
    if len(set(expected.values())) < len(expected):
        raise ValueError("expected_failures must have a reason of its own for each promise: one for several is a skip")
    return dict(expected)


def _checked_minimum(minimum: int | None) -> int:
    fewest = len(all_checks()) // 2
    if minimum is None:
        return fewest
    if not fewest <= minimum <= len(all_checks()):
        raise ValueError(
            f"minimum must be between {fewest}, half of the promises, and {len(all_checks())}, but is {minimum}"
        )
    return minimum
