"""The conformance kit: checks that every kind must pass.

```python
print(check_kind("nbrc"))

@parametrize_with_checks("nbrc")
def test_conformance(check):
    check.run()
```

Only `parametrize_with_checks` needs pytest.
"""

from rnnkit.catalog import use_catalog
from rnnkit.testing._check import Check, CheckFailedError, all_checks
from rnnkit.testing._parametrize import KindCheck, parametrize_with_checks
from rnnkit.testing._report import CheckResult, KindReport
from rnnkit.testing._runner import check_kind

__all__ = [
    "Check",
    "CheckFailedError",
    "CheckResult",
    "KindCheck",
    "KindReport",
    "all_checks",
    "check_kind",
    "parametrize_with_checks",
    "use_catalog",
]
