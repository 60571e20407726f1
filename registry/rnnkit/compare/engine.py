"""Run functions on the processes of joblib, Dask or Ray, and survive processes that end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TypeVar

from rnnkit._messages import join_quoted
from rnnkit.errors import CompareError

Engine = Literal["loky", "dask", "ray", "here"]
ENGINES = ("loky", "dask", "ray", "here")
T = TypeVar("T")
R = TypeVar("R")


def run_all(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    engine: str = "loky",
    jobs: int = -1,
    address: str | None = None,
    lost: Callable[[T, Exception], R],
) -> Iterator[tuple[T, R]]:
    """Yield each item with the result of a function, as they come.

    If a process ends, what it ran is tried again, with all that was still to come; if one ends again, each item is run
    alone, so that only those that end their process are lost.

    Args:
        function: can be pickled, as the items and their results.
        items: what to call it with.
        engine: `"loky"`: processes of this machine; `"dask"`, `"ray"`: the workers of a cluster; `"here"`: one after
            another in this process.
        jobs: how many at once; -1: as many as there are processors or workers.
        address: of the cluster; None: a cluster of this machine.
        lost: makes the result of an item whose process ended.

    Raises:
        CompareError: the engine is unknown, or its package is not installed.
    """
    from joblib import Parallel, delayed

    remaining = dict(enumerate(items))
    with _backend(engine, address) as backend:

        def results(numbers: list[int], at_once: int) -> Iterator[tuple[int, R]]:
            calls = (delayed(_numbered)(function, number, remaining[number]) for number in numbers)
            with backend(at_once):
                yield from Parallel(return_as="generator_unordered")(calls)

        for _ in range(2):
            try:
                for number, result in results([*remaining], jobs):
                    yield remaining.pop(number), result
            except _ended(engine):
                continue
            return
        for number in [*remaining]:
            try:
                ((_, result),) = results([number], 1)
            except _ended(engine) as error:
                result = lost(remaining[number], error)
            yield remaining.pop(number), result


def _numbered(function: Callable[[T], R], number: int, item: T) -> tuple[int, R]:
    return number, function(item)


def workers(engine: str, jobs: int, address: str | None) -> int:
    """Return how many items run at once."""
    if engine == "here":
        return 1
    from joblib import effective_n_jobs

    with _backend(engine, address) as backend, backend(jobs):
        return int(effective_n_jobs(jobs))


@contextmanager
def _backend(engine: str, address: str | None) -> Iterator[Callable[[int], AbstractContextManager[Any]]]:
    """Yield a function that makes the context of a number of jobs."""
    from joblib import parallel_config

    if engine == "here":
        yield lambda _: parallel_config("sequential")
    elif engine == "loky":
        yield lambda jobs: parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1)
    else:
        raise CompareError(f"There is no engine {engine!r}: the engines are {join_quoted(ENGINES)}")


def _ended(engine: str) -> tuple[type[Exception], ...]:
    """Return the errors that say that a process has ended."""
    if engine == "loky":
        from joblib.externals.loky.process_executor import BrokenProcessPool

        return (BrokenProcessPool,)
    return ()
