"""The processes that the engines run a function on: of this machine, of a Dask cluster, of a Ray cluster.

joblib has backends for all three, but none survives a process that ends. With loky, all processes of the pool end.
With Dask, joblib 1.6 waits forever for a call whose workers ended. The one of Ray sends calls in turn to a fixed set of
processes, busy or ended, and returns their results all at once.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import Any, NamedTuple

from rnnkit._messages import describe_exception
from rnnkit.errors import CompareError

PATIENCE = 20.0
"""Seconds to wait for a connection, and for the first worker."""

IDLE = 30.0
"""Seconds after which a process of loky that has no call ends; the next call starts another one."""


class Pool(NamedTuple):
    """Processes that call a function.

    Attributes:
        size: the number of calls at once.
        call: call the function in a process, and wait for its result. Threads may do so side by side.
        ended: the errors of `call` if the process has ended.
    """

    size: int
    call: Callable[..., Any]
    ended: tuple[type[Exception], ...] = ()


@contextmanager
def loky_pool(function: Callable[..., Any], jobs: int, address: str | None) -> Iterator[Pool]:
    """Processes of this machine.

    Raises:
        CompareError: loky is not installed, or there is an address.
    """
    try:
        from loky.process_executor import BrokenProcessPool, ProcessPoolExecutor
    except ModuleNotFoundError as error:
        raise _not_installed("loky", "compare") from error
    if address is not None:
        raise CompareError(f"engine='loky' runs on this machine, so it has no address={address!r}")

    def executor() -> Any:
        # With a timeout, because a process waits for calls forever if the program that started it was killed.
        return ProcessPoolExecutor(max_workers=1, env={"OMP_NUM_THREADS": "1"}, timeout=IDLE)

    # An executor for each process, because loky ends all processes of an executor if one ends.
    idle: SimpleQueue[Any] = SimpleQueue()
    size = local_jobs(jobs)
    executors = [executor() for _ in range(size)]
    for each in executors:
        idle.put(each)

    def call(*arguments: Any) -> Any:
        chosen = idle.get()
        try:
            return chosen.submit(function, *arguments).result()
        except BrokenProcessPool:
            executors.append(chosen := executor())
            raise
        finally:
            idle.put(chosen)

    try:
        yield Pool(size, call, (BrokenProcessPool,))
    finally:
        for each in [*executors]:  # to which a call that ends now may add another, without processes
            each.shutdown(kill_workers=True)


@contextmanager
def dask_pool(function: Callable[..., Any], jobs: int, address: str | None) -> Iterator[Pool]:
    """The workers of the Dask scheduler at an address, or of one that is started on this machine.

    Raises:
        CompareError: Dask is not installed, the scheduler does not answer or has no workers, or a worker has more than
            one thread.
    """
    try:
        from distributed import Client
        from distributed.scheduler import KilledWorker
    except ModuleNotFoundError as error:
        raise _not_installed("dask", "dask") from error
    with ExitStack() as stack:
        scheduler = stack.enter_context(_local_dask(local_jobs(jobs))) if address is None else address
        try:
            client: Any = stack.enter_context(Client(scheduler, timeout=PATIENCE, set_as_default=False))
            client.wait_for_workers(1, timeout=PATIENCE)
        except (OSError, TimeoutError, ValueError) as error:
            raise CompareError(
                f"No Dask scheduler with workers answers at {address}: {describe_exception(error)}. Start one with "
                "`dask scheduler`, and workers with `dask worker --nthreads 1 --nworkers -1 SCHEDULER`"
            ) from error
        threads = client.nthreads()
        if many := [worker for worker, number in threads.items() if number != 1]:
            # Torch has one generator of random numbers for each process, which the runs of two threads would share.
            raise CompareError(
                f"The Dask worker {many[0]} has {threads[many[0]]} threads, but a run needs a process of its own: "
                "start workers with `dask worker --nthreads 1 --nworkers -1 SCHEDULER`"
            )

        def call(*arguments: Any) -> Any:
            future = client.submit(function, *arguments, pure=False)
            while True:
                try:
                    return future.result(timeout=PATIENCE)
                except TimeoutError:
                    if not client.nthreads():
                        raise CompareError(f"The Dask scheduler at {address} has no workers left") from None

        yield Pool(len(threads) if jobs < 0 else jobs, call, (KilledWorker,))


@contextmanager
def _local_dask(jobs: int) -> Iterator[Any]:
    from distributed import LocalCluster

    settings: dict[str, Any] = {
        "n_workers": jobs,
        "threads_per_worker": 1,
        "memory_limit": None,
        "dashboard_address": ":0",  # None takes the port 8787, and warns if it is in use
        # A call whose worker ended is repeated by the engine, so that it is counted in one place.
        "scheduler_kwargs": {"allowed_failures": 0},
    }
    try:
        cluster = LocalCluster(processes=True, **settings, silence_logs=logging.CRITICAL)
    except RuntimeError as error:
        raise CompareError(
            f"The workers of Dask do not start: {describe_exception(error)}. Each imports your program, so a "
            "comparison with engine='dask' has to be under `if __name__ == \"__main__\":`"
        ) from error
    with cluster:
        yield cluster


@contextmanager
def ray_pool(function: Callable[..., Any], jobs: int, address: str | None) -> Iterator[Pool]:
    """The processors of the Ray cluster at an address, of the one that Ray is connected to, or of one that is started.

    Raises:
        CompareError: Ray is not installed, or there is no cluster at the address.
    """
    try:
        import ray
        from ray import exceptions
    except ModuleNotFoundError as error:
        raise _not_installed("ray", "ray") from error
    with ExitStack() as stack:
        if not ray.is_initialized():
            stack.enter_context(_connected_ray(jobs, address))
        # A call whose process ended is repeated by the engine, so that it is counted in one place.
        remote = ray.remote(num_cpus=1, max_retries=0)(function)
        under_way = set[Any]()

        def call(*arguments: Any) -> Any:
            reference = remote.remote(*arguments)
            under_way.add(reference)
            try:
                return ray.get(reference)
            finally:
                under_way.discard(reference)

        ended = (
            exceptions.LocalRayletDiedError,
            exceptions.NodeDiedError,
            exceptions.OutOfMemoryError,
            exceptions.WorkerCrashedError,
        )
        try:
            yield Pool(int(ray.cluster_resources().get("CPU", 1)) if jobs < 0 else jobs, call, ended)
        finally:
            for reference in [*under_way]:
                ray.cancel(reference, force=True)


@contextmanager
def _connected_ray(jobs: int, address: str | None) -> Iterator[None]:
    import ray

    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        settings |= {"address": "local", "num_cpus": local_jobs(jobs), "include_dashboard": False}
    else:
        _probe(address)
        settings["address"] = address
    hint = "Start one with `ray start --head`; if it has a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
    try:
        ray.init(**settings)
    except Exception as error:  # a bare Exception, if its processes take more than 30 seconds to start
        raise CompareError(
            f"Ray does not start on this machine: {describe_exception(error)}"
            if address is None
            else f"No Ray cluster answers at {address}: {describe_exception(error)}. {hint}"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _probe(address: str) -> None:
    """Connect once, because Ray tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host, int(port)), PATIENCE).close()
        except OSError as error:
            raise CompareError(f"No Ray cluster answers at {address}: {describe_exception(error)}") from error


def local_jobs(jobs: int) -> int:
    """Return how many processes this machine runs: `jobs`, or one for each processor but `-jobs - 1`."""
    from joblib import effective_n_jobs

    return int(effective_n_jobs(jobs)) if jobs < 0 else jobs


def _not_installed(engine: str, extra: str) -> CompareError:
    return CompareError(f'engine={engine!r} needs a package that is not installed: pip install "rnnkit[{extra}]"')
