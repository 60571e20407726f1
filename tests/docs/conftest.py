import pytest


@pytest.fixture(autouse=True)
def _no_executors(monkeypatch):
    """Pages show what a reader sees who has installed rnnkit alone."""
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")
