"""Run a function for many items on the processes of an engine, and survive processes that end."""

from __future__ import annotations

import os
import pickle
import platform
import threading
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from multiprocessing.pool import ThreadPool
from typing import Any, NamedTuple, Self, TypeVar

from rnnkit._messages import describe_exception, did_you_mean, join_quoted, short_repr
from rnnkit._version import __version__
from rnnkit.compare.environment import check_versions
from rnnkit.compare.pools import Pool, dask_pool, local_jobs, loky_pool, ray_pool
from rnnkit.compare.settings import check_argument
from rnnkit.compare.worker import in_worker
from rnnkit.errors import CompareError

ENGINES = ("loky", "dask", "ray", "here")
_POOLS = {"loky": loky_pool, "dask": dask_pool, "ray": ray_pool}
# A call on a worker may change the settings of its process. A function may use an engine itself.
_lock = threading.RLock()
_TRIES = 2  # side by side with others; the last one is alone
T = TypeVar("T")
R = TypeVar("R")


def _nothing(_: object) -> dict[str, str]:
    return {}


class Engine:
    """Runs functions for many items on processes, which start with the first item, and end with the block.

    If a process ends, the item that it ran is tried again when the others are done: once more beside others, and then
    alone, so that no other item can be the reason.

    Args:
        name: `"loky"`: processes of this machine; `"dask"`, `"ray"`: the workers of a cluster; `"here"`: one item after
            another in this process.
        jobs: how many at once; -1: as many as there are processors or workers.
        address: of the cluster; None: a cluster of this machine, which ends with the block.

    Raises:
        CompareError: the engine is unknown, or there are no jobs.
    """

    def __init__(self, name: str = "loky", jobs: int = -1, address: str | None = None) -> None:
        check_engine(name, jobs)
        self._name, self._jobs, self._address = name, jobs, address
        self._stack = ExitStack()
        self._pool: Pool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def size(self) -> int:
        """How many items run at once."""
        if self._name == "here":
            return 1
        if self._address is None or self._jobs > 0:
            return local_jobs(self._jobs)
        return self._started().size

    def run(
        self,
        function: Callable[[T], R],
        items: Sequence[T],
        *,
        lost: Callable[[T, Exception], R],
        requires: Callable[[T], Mapping[str, str]] = _nothing,
    ) -> Generator[tuple[T, R], None, None]:
        """Yield each item with the result of a function, as they come.

        Args:
            function: can be pickled, as the items and their results.
            items: the arguments of its calls.
            lost: makes the result of an item whose process ended each time.
            requires: returns the distributions that an item needs, with their versions.

        Raises:
            CompareError: the engine is not installed, its cluster does not answer, an item cannot be pickled, a worker
                lacks a distribution, or the function raised an error on a worker.
        """
        if self._name == "here":
            return _run_here(function, items)
        return self._run_on_workers(function, items, lost, requires)

    def _run_on_workers(
        self,
        function: Callable[[T], R],
        items: Sequence[T],
        lost: Callable[[T, Exception], R],
        requires: Callable[[T], Mapping[str, str]],
    ) -> Generator[tuple[T, R], None, None]:
        calls = dict(enumerate(items))
        sent = {number: (_pickled(function, item), dict(requires(item))) for number, item in calls.items()}
        tries, errors = Counter[int](), dict[int, Exception]()
        while calls:
            beside = [number for number in calls if tries[number] < _TRIES]
            chosen = {number: sent[number] for number in beside or [next(iter(calls))]}
            with closing(_attempts(self._started(), chosen)) as attempts:
                for number, result in attempts:
                    if isinstance(result, _Ended):
                        tries[number] += 1
                        errors[number] = result.error
                    else:
                        yield calls.pop(number), result
            for number in [number for number in calls if tries[number] > _TRIES]:
                item = calls.pop(number)
                yield item, lost(item, errors[number])

    def _started(self) -> Pool:
        if self._pool is None:
            self._pool = self._stack.enter_context(_POOLS[self._name](_call, self._jobs, self._address))
        return self._pool


def _run_here(function: Callable[[T], R], items: Sequence[T]) -> Generator[tuple[T, R], None, None]:
    for item in items:
        yield item, function(item)


class _Ended(NamedTuple):
    """In place of the result of a call whose process has ended."""

    error: Exception


def _attempts(pool: Pool, sent: Mapping[int, tuple[Any, ...]]) -> Generator[tuple[int, Any], None, None]:
    """Call `_call` once for each of the arguments: a thread for each call waits for its result."""

    def attempt(number: int) -> tuple[int, Any]:
        try:
            return number, pool.call(*sent[number])
        except pool.ended as error:
            return number, _Ended(error)
        except CompareError as error:
            return number, error
        except Exception as error:  # noqa: BLE001  # such as a worker without rnnkit, or a scheduler that ended
            return number, CompareError(
                f"The workers cannot run the comparison: {describe_exception(error)}. Is the cluster still there, and "
                f"rnnkit {__version__} installed on each worker?"
            )

    # One call at a time for each process. When Python exits, it does not wait for these threads, as it would for those
    # of `concurrent.futures`: a call whose process was killed may never return.
    threads = ThreadPool(min(pool.size, len(sent)))
    try:
        for number, result in threads.imap_unordered(attempt, sent):
            if isinstance(result, CompareError):
                raise result
            yield number, result
    finally:
        threads.terminate()  # calls that run end with their processes


def check_engine(engine: str, jobs: int) -> None:
    """Check the name of an engine and the number of jobs.

    Raises:
        CompareError: the engine is unknown, or there are no jobs.
    """
    if engine not in ENGINES:
        hint = did_you_mean(str(engine), ENGINES)
        raise CompareError(f"There is no engine {short_repr(engine)}.{hint} The engines are {join_quoted(ENGINES)}")
    if check_argument("jobs", jobs, int) == 0:
        raise CompareError("jobs=0 runs nothing: use 1 or more, or -1 for as many as there are processors or workers")


def _pickled(function: Callable[[T], R], item: T) -> bytes:
    import cloudpickle  # pickles also the functions and classes of a script or notebook

    try:
        return bytes(cloudpickle.dumps((function, item)))
    except Exception as error:
        raise CompareError(
            f"{short_repr(item)} cannot be sent to another process: {describe_exception(error)}. "
            "Use what can be pickled, or engine='here'"
        ) from error


def _call(pickled: bytes, required: Mapping[str, str]) -> Any:
    """Call a function on a worker. An error is returned, because Dask and Ray change those that are raised."""
    try:
        check_versions(required)
        with _lock, in_worker():
            function, item = pickle.loads(pickled)  # noqa: S301  # of the process that started this one
            return function(item)
    except CompareError as error:
        return error
    except Exception as error:  # noqa: BLE001  # plugins raise anything, and the worker has to survive it
        worker = f"The worker on {platform.node()!r} (process {os.getpid()})"
        return CompareError(f"{worker} raised {describe_exception(error)}")
