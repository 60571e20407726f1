"""One pytest test for each check and kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rnnkit.catalog import current_catalog
from rnnkit.testing._check import Check, CheckFailedError, all_checks, require_known_checks
from rnnkit.testing._runner import make_report, run_check
from rnnkit.testing.kind_under_test import Changes, KindUnderTest

if TYPE_CHECKING:
    from rnnkit.testing._report import CheckResult

_ENOUGH = "enough_checks_pass"
_MIN_WORDS = 2  # of a reason
_F = TypeVar("_F", bound=Callable[..., Any])


class KindCheck:
    """A check of one kind, the argument of a test that `parametrize_with_checks` parametrizes."""

    def __init__(self, results: _Results, check: Check) -> None:
        self._results = results
        self.kind = results.kind
        self.name = check.name
        self.text = check.text
        self._check = check

    def run(self) -> None:
        """Run the check: pass, fail, skip, or fail as expected.

        Raises:
            CheckFailedError: the check failed, or an expected failure did not occur.
        """
        import pytest

        __tracebackhide__ = True  # pytest leaves this frame out of tracebacks
        result, expected = self._results.of(self._check), self._results.expected.get(self.name)
        if expected is not None:
            self._expect_failure(result, expected)
        elif result.outcome == "failed":
            cause = None if isinstance(result.error, CheckFailedError) else result.error
            raise CheckFailedError(f"kind {self.kind!r} fails {self.name}: {result.explanation}") from cause
        elif result.outcome == "not applicable":
            pytest.skip(f"not applicable to {self.kind!r}: {result.reason}")

    def _expect_failure(self, result: CheckResult, reason: str) -> None:
        import pytest

        if result.outcome == "failed":
            pytest.xfail(f"{reason} ({result.reason})")
        outcome = "passed" if result.outcome == "passed" else "is not applicable"
        raise CheckFailedError(
            f"{self.name} of kind {self.kind!r} was expected to fail because of {reason!r}, but {outcome}; remove it "
            "from expected_failures"
        )

    def __repr__(self) -> str:
        return f"<check {self.name} of {self.kind}>"


class _EnoughChecks:
    """Fails if too few checks pass: a run in which most tests are skipped should not be green."""

    def __init__(self, results: _Results, minimum: int) -> None:
        self._results = results
        self._minimum = minimum
        self.kind = results.kind
        self.name = _ENOUGH

    def run(self) -> None:
        results = [self._results.of(check) for check in all_checks()]
        passed = [each for each in results if each.outcome == "passed"]
        if len(passed) < self._minimum:
            report = make_report(self._results.kind_under_test, results)
            raise CheckFailedError(f"{len(passed)} checks passed, at least {self._minimum} are required:\n{report}")


class _Results:
    """The results of one kind; runs each check once."""

    def __init__(self, kind: str, expected: Mapping[str, str], **arguments: Any) -> None:
        self.kind = kind
        self.expected = expected
        self._arguments = arguments  # of KindUnderTest
        self._kind_under_test: KindUnderTest | None = None
        self._results: dict[str, CheckResult] = {}

    @property
    def kind_under_test(self) -> KindUnderTest:
        if self._kind_under_test is None:  # not in __init__: collecting tests builds no model
            self._kind_under_test = KindUnderTest(self.kind, **self._arguments)
        return self._kind_under_test

    def of(self, check: Check) -> CheckResult:
        if check.name not in self._results:
            self._results[check.name] = run_check(check, self.kind_under_test)
        return self._results[check.name]


def parametrize_with_checks(
    *kinds: str,
    spec: Changes | None = None,
    options: Sequence[Changes] = (),
    seed: int = 0,
    expected_failures: Mapping[str, str] | None = None,
    minimum: int | None = None,
) -> Callable[[_F], _F]:
    """Parametrize a test with every check of some kinds. The test must call `check.run()`.

    ```python
    @parametrize_with_checks("mgu", expected_failures={"seeded_training": "its kernel adds in any order, #12"})
    def test_conformance(check):
        check.run()
    ```

    The tests have ids such as `test_conformance[mgu-chunks_equal_full_sequence]`. A test is skipped if its check does
    not apply to the kind. The last test of each kind, `enough_checks_pass`, counts the checks that passed.

    Args:
        *kinds: the names of the kinds.
        spec: as for `check_kind`.
        options: as for `check_kind`.
        seed: as for `check_kind`.
        expected_failures: the checks that are known to fail, with a reason for each. The test fails if the check
            passes.
        minimum: how many checks must pass for each kind; at least half of all checks, which is the default.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError: a name does not resolve to a kind.
        ValueError: `expected_failures` names an unknown check or lacks a reason, or `minimum` is too low.
    """
    import pytest

    expected = _validated(expected_failures or {})
    minimum = _validated_minimum(minimum)
    parameters: list[Any] = []
    for kind in kinds:
        current_catalog().canonical(kind)  # one clear error now, rather than one for each check
        parameters += _tests(_Results(kind, expected, fields=spec, options=options, seed=seed), minimum)
    return pytest.mark.parametrize("check", parameters)


def _tests(results: _Results, minimum: int) -> list[Any]:
    import pytest

    tests: list[KindCheck | _EnoughChecks] = [KindCheck(results, check) for check in all_checks()]
    tests.append(_EnoughChecks(results, minimum))
    return [pytest.param(each, id=f"{results.kind}-{each.name}") for each in tests]


def _validated(expected: Mapping[str, str]) -> Mapping[str, str]:
    require_known_checks(expected)
    for name, reason in expected.items():
        if not isinstance(reason, str) or len(reason.split()) < _MIN_WORDS:
            raise ValueError(f"expected_failures must give a reason why the kind fails {name!r}, but gives {reason!r}")
    if len(set(expected.values())) < len(expected):
        raise ValueError("expected_failures must give a different reason for each check")
    return dict(expected)


def _validated_minimum(minimum: int | None) -> int:
    lowest = len(all_checks()) // 2
    if minimum is None:
        return lowest
    if not lowest <= minimum <= len(all_checks()):
        raise ValueError(
            f"minimum must be between {lowest}, half of the checks, and {len(all_checks())}, but is {minimum}"
        )
    return minimum
