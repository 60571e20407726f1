"""Every installed kind, a third party's included, keeps what the conformance kit asks of every plugin."""

from rnnkit import list_kinds
from rnnkit.testing import each_promise


@each_promise(*list_kinds(), minimum=43)
def test_a_promise_is_kept(promise):
    promise.check()
