"""Several processes: DDP and FSDP2 by torchrun, joblib, Dask, Ray."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import joblib
import ray
from dask.distributed import Client

from docs.site.tool_examples.example import Example
from docs.site.tool_examples.fitting import fit
from rnnkit import RecurrentModel, RecurrentSpec

ROOT = Path(__file__).parents[3]
Spec = RecurrentSpec[Any]


@cache
def distributed_outcomes() -> dict[str, dict[str, str]]:
    """Run torchrun once for all kinds; return the outcomes of each strategy."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    worker = ["-m", "docs.site.tool_examples.distributed_worker", "outcomes.json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run([*launcher, *worker], env=environment, check=True)  # noqa: S603  # our own
    outcomes: dict[str, dict[str, str]] = json.loads(Path("outcomes.json").read_text(encoding="utf-8"))
    return outcomes


@contextmanager
def outcomes_of(strategy: str) -> Iterator[dict[str, str]]:
    yield distributed_outcomes()[strategy]


def raise_outcome(spec: Spec, outcomes: dict[str, str]) -> None:
    if outcomes[spec.kind]:
        raise RuntimeError(outcomes[spec.kind])


def check(spec: Spec, result: tuple[Spec, RecurrentModel]) -> None:
    if result[0] != spec or result[1].spec != spec:
        raise ValueError(f"sent {spec}, received {result[0]} and {result[1].spec}")


def fit_with_joblib(spec: Spec) -> None:
    for result in joblib.Parallel(n_jobs=2)(joblib.delayed(fit)(spec) for _ in range(2)):
        check(spec, result)


@contextmanager
def dask_client() -> Iterator[Any]:
    settings = {"n_workers": 1, "threads_per_worker": 1, "silence_logs": logging.ERROR}
    with Client(dashboard_address=None, **settings) as client:
        yield client


def fit_with_dask(spec: Spec, client: Any) -> None:
    check(spec, client.submit(fit, spec, pure=False).result())


@contextmanager
def ray_function() -> Iterator[Any]:
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    ray.init(num_cpus=1, include_dashboard=False, logging_level=logging.ERROR, runtime_env=environment)
    yield ray.remote(fit)
    ray.shutdown()


def fit_with_ray(spec: Spec, function: Any) -> None:
    check(spec, ray.get(function.remote(spec)))


def torchrun(strategy: str, title: str) -> Example:
    return Example(title=title, page="distributed", run=raise_outcome, setup=partial(outcomes_of, strategy))


PICKLE = "Dask cannot serialize `torch.nn.RNN`, `LSTM` and `GRU`: return `model.state_dict()`."
parallel = partial(Example, page="parallel")
EXAMPLES = [
    torchrun("ddp", "DDP: 2 processes, equal to 1"),
    torchrun("fsdp", "FSDP2: 2 processes, equal to 1"),
    torchrun("meta", "FSDP2: from the meta device, `reset_parameters`"),
    parallel(tool="joblib", title="joblib: spec in, model out", run=fit_with_joblib),
    parallel(tool="distributed", title="Dask: spec in, model out", run=fit_with_dask, setup=dask_client, limit=PICKLE),
    parallel(tool="ray", title="Ray: spec in, model out", run=fit_with_ray, setup=ray_function),
]
