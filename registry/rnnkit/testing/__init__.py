"""The conformance kit: holds a kind to what rnnkit promises of every kind.

```python
print(check_kind("mgu"))

@parametrize_with_checks("mgu")
def test_a_promise_is_kept(promise):
    promise.check()
```

Of rnnkit only commands and the page of a kind import it; it needs pytest only for `parametrize_with_checks`.
"""

from rnnkit.testing.check import Check, CheckFailedError, all_checks
from rnnkit.testing.check_runner import check_kind
from rnnkit.testing.kind_report import CheckResult, KindReport
from rnnkit.testing.pytest_checks import KindCheck, parametrize_with_checks

__all__ = [
    "Check",
    "CheckFailedError",
    "CheckResult",
    "KindCheck",
    "KindReport",
    "all_checks",
    "check_kind",
    "parametrize_with_checks",
]
