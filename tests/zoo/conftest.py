"""Expensive checks run for some kinds in `make test-slow`, and for the others in `make test-nightly`."""

from tests.zoo.test_conformance import EVERY_CHECK, EXPENSIVE


def pytest_collection_modifyitems(items):
    for item in items:
        check = getattr(item, "callspec", None) and item.callspec.params.get("check")
        if check and item.path.parent.name == "zoo" and check.name in EXPENSIVE and check.kind not in EVERY_CHECK:
            item.add_marker("nightly")
