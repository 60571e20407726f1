"""One run of a comparison: a kind, a task and a seed, as data that can be sent to another process."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Generator

from rnnkit._messages import counted, describe_exception
from rnnkit._random_numbers import LocalRandomNumbers
from rnnkit.build import build_model
from rnnkit.compare.environment import Environment, this_environment
from rnnkit.compare.machine import single_thread
from rnnkit.compare.objective import REGRESSION
from rnnkit.compare.sizing import count_parameters
from rnnkit.compare.task import Batch, Task
from rnnkit.compare.training import Point, Status, Trained, Training, evaluate, train
from rnnkit.compare.worker import is_worker
from rnnkit.errors import CompareError
from rnnkit.model import RecurrentModel, default_device
from rnnkit.model.fit_readout import fit_readout
from rnnkit.specs import RecurrentSpec

FITTED_SEQUENCES = 512  # for the readout of a reservoir


@dataclass(frozen=True, kw_only=True)
class Run:
    """A model to train on a task, from a seed.

    Attributes:
        label: what the tables call the model: the name of its kind, unless the user gave another.
        spec: the spec of the model, as plain data.
        task: the task.
        seed: of the parameters and of the training data.
        training: how to train it.
        versions: the versions of the distributions that the run needs.
        trials: of the search that chose the settings; 0: they are not tuned.
        warning: a condition of the comparison that the model cannot meet; empty: it meets all.
    """

    label: str
    spec: Mapping[str, Any]
    task: Task
    seed: int
    training: Training
    versions: Mapping[str, str]
    trials: int = 0
    warning: str = ""

    @property
    def key(self) -> str:
        """A name of the run in files: the same for the same label, spec, task, seed and training in any version.

        The limit of time does not count: it only matters if it stops the run.
        """
        task, training = [self.task.name, self.task.settings()], asdict(replace(self.training, limit=None))
        facts = [self.label, self.spec, task, self.seed, training, self.trials]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of a run, with everything needed to repeat it.

    Attributes:
        key: of the run.
        label: as in the run.
        kind: the kind of the spec.
        task: the task and its settings, as text.
        metric: the name of the score.
        higher_is_better: whether a higher score is better.
        seed: as in the run.
        status: `finished`; `stopped` by the limit of time; `diverged` if a loss or the score was not finite; `failed`
            if it raised an error; `skipped` if a pattern named the kind, and its model cannot be built.
        score: on the test, at the end of the training; None if the run diverged, failed or was skipped.
        chance: the score of the best constant answer.
        parameters: the number of parameters, those included that are not trained.
        steps: optimizer steps that were made.
        seconds: of training, evaluation not counted.
        curve: the learning curve.
        error: of a run that failed or was skipped.
        warning: a condition of the comparison that the run does not meet, such as its number of parameters; empty: it
            meets all.
        spec: the spec, as plain data.
        training: how it was trained.
        trials: of the search that chose the settings; 0: they are not tuned.
        environment: the machine and the versions.
    """

    key: str
    label: str
    kind: str
    task: str
    metric: str
    higher_is_better: bool
    seed: int
    status: Status
    score: float | None = None
    chance: float | None = None
    parameters: int = 0
    steps: int = 0
    seconds: float = 0.0
    curve: list[Point] = field(default_factory=list)
    error: str = ""
    warning: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)
    training: Training
    trials: int = 0
    environment: Environment

    @classmethod
    def of(cls, run: Run, status: Status, **measured: Any) -> RunResult:
        """Return the result of a run in this process."""
        return cls(
            key=run.key,
            label=run.label,
            kind=run.spec["kind"],
            task=str(run.task),
            metric=run.task.objective.metric,
            higher_is_better=run.task.objective.higher_is_better,
            seed=run.seed,
            status=status,
            spec=run.spec,
            training=run.training,
            trials=run.trials,
            environment=this_environment(run.versions),
            **{"warning": run.warning, **measured},
        )


def execute(run: Run) -> RunResult:
    """Train and test the model of a run. An error of the model or the task is a result, too.

    A worker computes on one thread. Any other process keeps its threads and its settings, and the random numbers of the
    run are its own.
    """
    with _own_settings(run.seed) if is_worker() else LocalRandomNumbers(run.seed), _usual_modes():
        try:
            return _execute(run)
        except Exception as error:  # noqa: BLE001  # plugins raise anything
            return RunResult.of(run, "failed", error=describe_exception(error))


def lost_run(run: Run, error: Exception) -> RunResult:
    """Return the result of a run whose process ended whenever it was tried."""
    return RunResult.of(run, "failed", error=f"its process ended each time it was tried ({describe_exception(error)})")


def _execute(run: Run) -> RunResult:
    model = build_model(RecurrentSpec.from_dict(dict(run.spec))).train()
    generator = Generator().manual_seed(run.seed)
    trained = _fit(model, run.task, generator) if _is_reservoir(model, run.task) else None
    if trained is None:
        trained = train(model, run.task, run.training, generator)
    test = run.task.test()
    score = evaluate(model, run.task, test)
    finite = trained.status != "diverged" and torch.tensor(score).isfinite()
    return RunResult.of(
        run,
        trained.status if finite else "diverged",
        score=score if finite else None,
        chance=_chance(run.task, test),
        parameters=count_parameters(model),
        steps=trained.steps,
        seconds=trained.seconds,
        warning="; ".join(filter(None, [run.warning, _time_warning(run.training, trained), _thread_warning()])),
        curve=[point for point in trained.curve if torch.tensor(point[2:]).isfinite().all()],
    )


def _chance(task: Task, test: Batch) -> float:
    chance = float(task.objective.chance(test.target))
    if not math.isfinite(chance):
        raise CompareError(f"The objective's `chance` must return a finite number, but returned {chance}")
    return chance


def _time_warning(training: Training, trained: Trained) -> str:
    """Return how far a finished training is from its time; empty if it is within 10 % of it."""
    wanted = training.seconds
    if wanted is None or trained.status != "finished" or abs(trained.seconds - wanted) <= 0.1 * wanted:
        return ""
    return f"{trained.seconds:.3g} seconds of training instead of {wanted:g}"


def _thread_warning() -> str:
    """Return the number of threads, if it is not one, on which the times of others are measured; else empty."""
    threads = torch.get_num_threads()
    return "" if threads == 1 else f"computed on {counted(threads, 'thread')}: call torch.set_num_threads(1) before"


def _is_reservoir(model: RecurrentModel, task: Task) -> bool:
    """Return whether only the readout learns, so that a linear regression trains the model."""
    return task.objective is REGRESSION and not any(each.requires_grad for each in model.backbone.parameters())


def _fit(model: RecurrentModel, task: Task, generator: Generator) -> Trained:
    started = time.perf_counter()
    batch = task.training_batch(FITTED_SEQUENCES, generator)
    per_step = batch.target.dim() == batch.x.dim()
    washout = int(batch.target.isnan().any(-1).all(0).sum()) if per_step else 0
    batch = Batch(batch.x, batch.target.nan_to_num(), batch.lengths)
    fit_readout(model, batch.x, batch.target, washout=washout, lengths=batch.lengths)
    return Trained("finished", 0, time.perf_counter() - started, [])


@contextmanager
def _own_settings(seed: int) -> Iterator[None]:
    """Set the settings of a worker as in a new process, and restore them afterwards."""
    dtype = torch.get_default_dtype()
    with single_thread(), torch.random.fork_rng(devices=[]):
        torch.set_default_dtype(torch.float32)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)


@contextmanager
def _usual_modes() -> Iterator[None]:
    """Compute as a new process does, whatever the modes of torch in this thread."""
    with (
        # not needed in most processes, and it would cost time in each call of torch
        nullcontext() if default_device().type == "cpu" else torch.device("cpu"),
        torch.inference_mode(mode=False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
    ):
        yield
