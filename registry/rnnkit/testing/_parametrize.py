"""One pytest test for each check and kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from rnnkit.catalog import current_catalog
from rnnkit.testing._check import Check, CheckFailedError, all_checks, require_known_checks
from rnnkit.testing._runner import make_kind_under_test, make_report, run_check
from rnnkit.testing.kind_under_test import Changes

if TYPE_CHECKING:
    from rnnkit.testing._report import CheckResult

_MIN_WORDS = 2  # of a reason
_F = TypeVar("_F", bound=Callable[..., Any])


class KindCheck:
    """A check of one kind, the argument of a test that `parametrize_with_checks` parametrizes."""

    def __init__(self, results: _Results, check: Check) -> None:
        self._results, self._check = results, check
        self.kind, self.name, self.text = results.kind, check.name, check.text

    def run(self) -> None:
        """Run the check: pass, fail, skip, or fail as expected.

        Raises:
            CheckFailedError: the check failed, or an expected failure did not occur.
        """
        import pytest

        __tracebackhide__ = True  # pytest leaves this frame out of tracebacks
        result, expected = self._results.of(self._check), self._results.expected.get(self.name)
        if expected is not None:
            _require_failure(result, self.kind, expected)
        elif result.outcome == "failed":
            cause = None if isinstance(result.error, CheckFailedError) else result.error
            raise CheckFailedError(f"kind {self.kind!r} fails {self.name}: {result.explanation}") from cause
        elif result.outcome == "not applicable":
            pytest.skip(f"not applicable to {self.kind!r}: {result.reason}")

    def __repr__(self) -> str:
        return f"<check {self.name} of {self.kind}>"


class _EnoughChecks:
    """Fails if too few checks pass: a run in which most tests are skipped should not be green."""

    def __init__(self, results: _Results, minimum: int) -> None:
        self._results, self._minimum = results, minimum
        self.kind, self.name = results.kind, "enough_checks_pass"

    def run(self) -> None:
        results = [self._results.of(check) for check in all_checks()]
        passed = sum(each.outcome == "passed" for each in results)
        if passed < self._minimum:
            report = make_report(self._results.kind_under_test(), results)
            raise CheckFailedError(f"{passed} checks passed, at least {self._minimum} are required:\n{report}")


class _Results:
    """The results of one kind; runs each check once."""

    def __init__(self, kind: str, expected: Mapping[str, str], **arguments: Any) -> None:
        self.kind, self.expected = kind, expected
        # on the first call only: collecting tests builds no model
        self.kind_under_test = cache(lambda: make_kind_under_test(kind, **arguments))
        self.of = cache(lambda check: run_check(check, self.kind_under_test()))


def parametrize_with_checks(
    *kinds: str,
    spec: Changes | None = None,
    options: Changes | Sequence[Changes] = (),
    seed: int = 0,
    expected_failures: Mapping[str, str] | None = None,
    minimum: int | None = None,
) -> Callable[[_F], _F]:
    """Parametrize a test with every check of some kinds. The test must call `check.run()`.

    ```python
    @parametrize_with_checks("nbrc", expected_failures={"seeded_training": "its kernel adds in any order, #12"})
    def test_conformance(check):
        check.run()
    ```

    The tests have ids such as `test_conformance[nbrc-chunks_equal_full_sequence]`. A test is skipped if its check does
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

    expected, minimum = _validated(expected_failures or {}), _validated_minimum(minimum)
    tests: list[KindCheck | _EnoughChecks] = []
    for kind in kinds:
        current_catalog().canonical(kind)  # one clear error now, rather than one for each check
        results = _Results(kind, expected, fields=spec, options=options, seed=seed)
        tests += [*(KindCheck(results, check) for check in all_checks()), _EnoughChecks(results, minimum)]
    return pytest.mark.parametrize("check", [pytest.param(each, id=f"{each.kind}-{each.name}") for each in tests])


def _require_failure(result: CheckResult, kind: str, reason: str) -> None:
    import pytest

    if result.outcome == "failed":
        pytest.xfail(f"{reason} ({result.reason})")
    outcome = "passed" if result.outcome == "passed" else "is not applicable"
    raise CheckFailedError(
        f"{result.check.name} of kind {kind!r} was expected to fail because of {reason!r}, but {outcome}; remove it "
        "from expected_failures"
    )


def _validated(expected: Mapping[str, str]) -> dict[str, str]:
    require_known_checks(expected)
    for name, reason in expected.items():
        if not isinstance(reason, str) or len(reason.split()) < _MIN_WORDS:
            raise ValueError(f"expected_failures must give a reason why the kind fails {name!r}, but gives {reason!r}")
    if len(set(expected.values())) < len(expected):
        raise ValueError("expected_failures must give a different reason for each check")
    return dict(expected)


def _validated_minimum(minimum: int | None) -> int:
    highest = len(all_checks())
    lowest = highest // 2
    if minimum is not None and not lowest <= minimum <= highest:
        raise ValueError(f"minimum must be between {lowest}, half of the checks, and {highest}, but is {minimum}")
    return lowest if minimum is None else minimum
