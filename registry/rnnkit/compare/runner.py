"""Compare kinds: one run for every kind, task and seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from rnnkit._messages import describe_exception, join_quoted
from rnnkit.catalog import list_kinds, resolve_kind
from rnnkit.catalog.discovery import LOCAL
from rnnkit.compare.comparison import Comparison
from rnnkit.compare.engine import run_all, workers
from rnnkit.compare.environment import required_versions
from rnnkit.compare.progress import Progress
from rnnkit.compare.registry import candidates_of, find_tasks
from rnnkit.compare.run import Run, RunResult, execute
from rnnkit.compare.sizing import spec_for
from rnnkit.compare.task import Task
from rnnkit.compare.training import LEARNING_RATE, Training
from rnnkit.errors import CompareError

Match = Literal["parameters", "hidden_size", "time"]
Kinds = Sequence[str] | Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What makes a comparison fair: the sizes of the models, and how long they are trained."""

    match: Match = "parameters"
    parameters: int = 20_000
    hidden_size: int = 48
    num_layers: int = 2
    steps: int | None = None
    seconds: float = 30.0
    learning_rate: float = LEARNING_RATE

    def training(self, task: Task, limit: float | None) -> Training:
        """Return how every kind is trained on a task."""
        return Training(
            steps=self.steps or task.steps,
            batch_size=task.batch_size,
            learning_rate=self.learning_rate,
            seconds=self.seconds if self.match == "time" else None,
            limit=limit,
        )

    def spec(self, fields: Mapping[str, Any], task: Task) -> dict[str, Any]:
        """Return the spec of a kind for a task."""
        sized = {"hidden_size": self.hidden_size, "num_layers": self.num_layers, **fields}
        by_size = self.match == "hidden_size" or "hidden_size" in fields
        return spec_for(task, sized, parameters=None if by_size else self.parameters)


def compare(
    kinds: Kinds,
    tasks: Sequence[Task | str],
    *,
    seeds: int | Sequence[int] = 3,
    match: Match = "parameters",
    parameters: int = 20_000,
    hidden_size: int = 48,
    num_layers: int = 2,
    steps: int | None = None,
    seconds: float = 30.0,
    learning_rate: float = LEARNING_RATE,
    budget: float | None = None,
    engine: str = "loky",
    jobs: int = -1,
    address: str | None = None,
    file: str | Path | None = None,
    progress: bool | None = None,
) -> Comparison:
    """Train and test kinds on tasks, all in the same way.

    Every model is trained with Adam, the same learning rate and schedule, on one thread; nothing is tuned. The score is
    that of the test, at the end of the training.

    ```python
    result = compare(["lstm", "gru", "*mgu"], ["adding", tasks.digits("pixels")], seeds=5, file="runs/a.json")
    result = compare({"narrow": {"kind": "lstm", "hidden_size": 16}, "wide": {"kind": "lstm", "hidden_size": 64}}, ["text"])
    ```

    Args:
        kinds: names of kinds, or patterns, or `"all"`; or, to compare specs, a mapping from labels to the fields of
            specs. The fields that the task sets are left out.
        tasks: tasks, or their names; see `find_tasks`.
        seeds: the seeds, or how many: 0, 1, ...
        match: what is equal: `"parameters"`: their number, by the choice of the hidden size, and optimizer steps;
            `"hidden_size"`: it, and optimizer steps; `"time"`: the number of parameters, and the time of training.
        parameters: of each model, nearly.
        hidden_size: for `match="hidden_size"`.
        num_layers: of each model.
        steps: optimizer steps; None: as many as the task says.
        seconds: of each training, for `match="time"`.
        learning_rate: the highest one.
        budget: seconds for the whole comparison. Each run gets an equal share, and is stopped when it is used up.
        engine: `"loky"`: the processors of this machine; `"dask"` or `"ray"`: a cluster; `"here"`: this process, whose
            generator of torch is seeded for each run, and restored.
        jobs: runs at the same time; -1: one for each processor or worker.
        address: of the cluster; None: one that is started on this machine.
        file: results are written to it after each run. Runs whose results are in it already are not made again.
        progress: whether to show the progress; None: in a terminal or a notebook.

    Returns:
        The results of all runs, and of those in `file`.

    Raises:
        CompareError: a name stands for no task, the engine is unknown or not installed, workers lack a distribution or
            cannot know a local kind, or `file` is not the file of a comparison.
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: as for a spec.
        ValidationError: a kind rejects its spec.
    """
    setting = Setting(
        match=match,
        parameters=parameters,
        hidden_size=hidden_size,
        num_layers=num_layers,
        steps=steps,
        seconds=seconds,
        learning_rate=learning_rate,
    )
    specs = _specs_of(kinds)
    if engine != "here":
        _refuse_local(specs)
    numbers = range(seeds) if isinstance(seeds, int) else seeds
    found = find_tasks(tasks)
    share = (
        None if budget is None else budget * workers(engine, jobs, address) / (len(specs) * len(found) * len(numbers))
    )
    runs = list(_runs(specs, found, numbers, setting, share))
    return _Results(runs, file).complete(engine=engine, jobs=jobs, address=address, progress=progress)


def _specs_of(kinds: Kinds) -> dict[str, Mapping[str, Any]]:
    """Return the fields of the spec for each label."""
    if isinstance(kinds, Mapping):
        return dict(kinds)
    if isinstance(kinds, str):
        raise CompareError(f"kinds={kinds!r} is a single name: write [{kinds!r}]")
    return {name: {"kind": name} for each in kinds for name in _names(each)}


def _names(pattern: str) -> list[str]:
    if pattern == "all":
        return [name for name in list_kinds() if name != "mixed"]  # which has no cells of its own
    if not any(sign in pattern for sign in "*?["):
        return [resolve_kind(pattern).require().name]
    if found := list_kinds(pattern):
        return found
    raise CompareError(f"No kind matches {pattern!r}: `rnnkit list` shows the installed kinds")


def _refuse_local(specs: Mapping[str, Mapping[str, Any]]) -> None:
    local = [
        str(fields["kind"]) for fields in specs.values() if resolve_kind(fields["kind"]).require().distribution == LOCAL
    ]
    if local:
        raise CompareError(
            f"Workers import kinds from installed distributions, and cannot know {join_quoted(local)} of this process: "
            "make a plugin of it (`rnnkit new-plugin`), or use engine='here'"
        )


def _runs(
    specs: Mapping[str, Mapping[str, Any]],
    tasks: Iterable[Task],
    seeds: Iterable[int],
    setting: Setting,
    limit: float | None,
) -> Iterator[Run]:
    for task in tasks:
        training = setting.training(task, limit)
        for label, fields in specs.items():
            spec = setting.spec(fields, task)
            versions = required_versions([resolve_kind(spec["kind"]).require(), *candidates_of(task)])
            for seed in seeds:
                yield Run(label=label, spec=spec, task=task, seed=seed, training=training, versions=versions)


class _Results:
    """The results so far, and the file that keeps them."""

    def __init__(self, runs: Sequence[Run], file: str | Path | None) -> None:
        self._runs = runs
        self._file = None if file is None else Path(file)
        self._earlier = (
            Comparison.load(self._file) if self._file is not None and self._file.exists() else Comparison([])
        )
        self._results = {result.key: result for result in self._earlier.results}

    def complete(self, *, engine: str, jobs: int, address: str | None, progress: bool | None) -> Comparison:
        """Make the runs that are missing."""
        missing = [run for run in self._runs if run.key not in self._results]
        results = run_all(
            execute, missing, engine=engine, jobs=jobs, address=address, lost=_lost, requires=attrgetter("versions")
        )
        # closed at once by an interrupt, which ends the processes
        with closing(results), Progress(len(self._runs), len(self._runs) - len(missing), show=progress) as shown:
            for run, result in results:
                self._results[run.key] = result
                self._save()
                shown.add(result)
        return Comparison(self._results.values())

    def _save(self) -> None:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            Comparison(self._results.values()).save(self._file)


def _lost(run: Run, error: Exception) -> RunResult:
    cause = f"the process ended each time it was tried ({describe_exception(error)})"
    return RunResult.of(run, "failed", error=cause)
