"""An engine for one call."""

from rnnkit.compare.engine import Engine


def run_all(function, items, *, lost, engine="loky", jobs=-1, address=None, **settings):
    """Yield each item with the result of a function; the processes end with the iterator."""
    with Engine(engine, jobs, address) as processes:
        yield from processes.run(function, items, lost=lost, **settings)
