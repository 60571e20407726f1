"""The conformance kit: holds a kind to what rnnkit promises of every kind.

```python
print(check_kind("mgu"))

@each_promise("mgu")
def test_a_promise_is_kept(promise):
    promise.check()
```

Of rnnkit only commands and the page of a kind import it; it needs pytest only for `each_promise`.
"""

from rnnkit.testing.check_runner import check_kind
from rnnkit.testing.kind_report import KindReport, PromiseResult
from rnnkit.testing.promise import BrokenPromiseError, Promise, all_promises
from rnnkit.testing.with_pytest import KindPromise, each_promise

__all__ = [
    "BrokenPromiseError",
    "KindPromise",
    "KindReport",
    "Promise",
    "PromiseResult",
    "all_promises",
    "check_kind",
    "each_promise",
]
