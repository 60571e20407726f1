import pytest


@pytest.fixture(autouse=True)
def _no_executors(monkeypatch):
    """The kit is tested on cells as they are, whatever executors are installed."""
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")
