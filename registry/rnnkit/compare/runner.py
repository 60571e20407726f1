"""Compare kinds: one run for every kind, task and seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field

from rnnkit.catalog import resolve_kind
from rnnkit.catalog.discovery import LOCAL
from rnnkit.compare.candidate import Candidate, Choice, Skipped, warn_of
from rnnkit.compare.comparison import Comparison
from rnnkit.compare.engine import Engine, check_engine
from rnnkit.compare.environment import required_versions
from rnnkit.compare.kinds import Kinds, models_of
from rnnkit.compare.registry import candidates_of, find_tasks
from rnnkit.compare.requirements import require
from rnnkit.compare.resuming import SavedResults, complete
from rnnkit.compare.run import Run, RunResult, execute, lost_run
from rnnkit.compare.search import Search
from rnnkit.compare.setting import Amount, Count, Match, Setting
from rnnkit.compare.settings import check_argument
from rnnkit.compare.sizing import size_warning
from rnnkit.compare.task import VALIDATION_SEED, Task
from rnnkit.compare.training import LEARNING_RATE
from rnnkit.errors import CompareError

Seeds = Annotated[list[Annotated[int, Field(ge=0, lt=VALIDATION_SEED)]], Field(min_length=1)]
MakeRun = Callable[[Candidate, Choice, int], Run]


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
    search: int = 0,
    space: Mapping[str, Sequence[Any]] | None = None,
    engine: str = "loky",
    jobs: int = -1,
    address: str | None = None,
    file: str | Path | None = None,
    progress: bool | None = None,
) -> Comparison:
    """Train and test kinds on tasks, all in the same way.

    Every model is trained with Adam, the same learning rate and schedule, on one thread, and nothing is tuned unless
    `search` says so. The score is that of the test, at the end of the training.

    ```python
    result = compare(["lstm", "gru", "*mgu"], ["adding", tasks.digits("pixels")], seeds=5, file="runs/a.json")
    specs = {"narrow": {"kind": "lstm", "hidden_size": 16}, "wide": {"kind": "lstm", "hidden_size": 64}}
    result = compare(specs, ["text"])
    ```

    Args:
        kinds: names of kinds, or patterns, or `"all"`; or, to compare specs, a mapping from labels to the fields of
            specs. The fields that the task sets are left out. If a kind cannot be built, its name is an error; a
            pattern goes on without it, with a warning and results whose status is `skipped`.
        tasks: tasks, or their names; see `find_tasks`.
        seeds: the seeds, from 0 to 4,000,000,000, or how many: 0, 1, ...
        match: the conditions that are equal. `"parameters"`: the number of parameters, by the choice of the hidden
            size, and of optimizer steps; `"hidden_size"`: the hidden size, and the number of optimizer steps; `"time"`:
            the number of parameters, and the time of training.
        parameters: about how many each model has, including those that are not trained. A model that cannot come
            within 20 % of it has a `warning` in its results.
        hidden_size: for `match="hidden_size"`.
        num_layers: of each model.
        steps: optimizer steps; None: as many as the task says.
        seconds: of each training, for `match="time"`.
        learning_rate: the peak of the schedule.
        budget: seconds for the whole comparison. Each run gets an equal share, and is stopped when it is used up.
        search: trials of Optuna for each kind and task, on the validation, before the runs that count; 0: nothing is
            tuned. The learning rate is searched from 3e-4 to 3e-2.
        space: other fields to search, with their values: `{"num_layers": [1, 2], "dropout": [0, 0.2]}`; None:
            `num_layers` of 1, 2 and 3.
        engine: `"loky"`: the processors of this machine; `"dask"` or `"ray"`: a cluster; `"here"`: this process,
            whose settings and random number generators do not change. It computes on as many threads as torch has;
            if they are not one, the results have a `warning`.
        jobs: runs at the same time; -1: one for each processor or worker.
        address: of the cluster; None: one that is started on this machine.
        file: results are written to it while runs are made, and at the end, also after an interruption. Runs whose
            results are in it already are not made again. Several processes may write to one file: a lock file is
            beside it, with the suffix `.lock`. With `search`, Optuna's journal is beside it, with the suffix
            `.optuna`.
        progress: whether to show the progress; None: in a terminal or a notebook.

    Returns:
        The results of all runs, and of those in `file`.

    Raises:
        CompareError: an argument is not valid, a name stands for no task, the engine is unknown or not installed,
            workers lack a distribution or cannot know a local kind, a kind rejects its spec, or `file` is not the file
            of a comparison.
        OSError: `file` cannot be read or written.
        UnknownKindError, BlockedKindError, AmbiguousKindError, PluginError: as for a spec.
    """
    setting = Setting(
        match=match,
        parameters=parameters,
        hidden_size=hidden_size,
        num_layers=num_layers,
        steps=steps,
        seconds=seconds,
        learning_rate=learning_rate,
        search=search,
    )
    check_engine(engine, jobs)
    _check_requirements(engine, search, space)
    budget = None if budget is None else check_argument("budget", budget, Amount)
    numbers = _numbers_of(seeds)
    saved = SavedResults(None if file is None else Path(file))
    skipped = Skipped()
    run_of = partial(_run, here=engine == "here")
    candidates = _buildable(_candidates(kinds, tasks), partial(run_of, setting), skipped)
    skipped.warn()
    with Engine(engine, jobs, address) as processes:
        if budget is not None:
            setting = _limited(setting, budget * processes.size, len(candidates) * (len(numbers) + search))
        make_run = partial(run_of, setting)
        execution = partial(processes.run, execute, lost=lost_run, requires=attrgetter("versions"))
        chosen = [(each, Choice(each.fields, learning_rate)) for each in candidates]
        if search:
            searcher = Search(search, space, saved.journal, learning_rate)
            chosen = searcher.choose(candidates, make_run, execution, skipped=skipped, progress=progress)
            skipped.warn()
        runs = _runs(chosen, make_run, numbers)
        saved.add_all(_skipped_results(skipped, setting, numbers))
        return complete(runs, execution, saved=saved, progress=progress)


def _limited(setting: Setting, seconds: float, runs: int) -> Setting:
    """Return the conditions with an equal share of a time as the limit of each run."""
    return replace(setting, limit=seconds / max(1, runs))


def _check_requirements(engine: str, search: int, space: Mapping[str, Sequence[Any]] | None) -> None:
    extra = [*(["optuna"] if search else []), *(["cloudpickle"] if engine != "here" else [])]
    require("A comparison", "joblib", "rich", *extra)
    if engine == "here" and torch.get_default_dtype() != torch.float32:
        raise CompareError(
            f"engine='here' computes in this process, whose default dtype is {torch.get_default_dtype()}: call "
            "torch.set_default_dtype(torch.float32), or use another engine"
        )
    if space is not None and not search:
        raise CompareError("space has no effect without search: set search=20, the number of trials")


def _numbers_of(seeds: int | Sequence[int]) -> list[int]:
    """Return the seeds, each of them once."""
    if isinstance(seeds, Iterable) and not isinstance(seeds, str):
        return [*dict.fromkeys(check_argument("seeds", [*seeds], Seeds))]
    return [*range(check_argument("seeds", seeds, Count))]


def _candidates(kinds: Kinds, tasks: Sequence[Task | str]) -> list[Candidate]:
    """Return each model on each task."""
    models = models_of(kinds)
    found = [Candidate(*model[:2], task, model.required) for task in find_tasks(tasks) for model in models]
    if not found:
        raise CompareError(
            f"{'tasks' if models else 'kinds'}={tasks if models else kinds!r} is empty: name at least one"
        )
    return found


def _buildable(candidates: Sequence[Candidate], make_run: MakeRun, skipped: Skipped) -> list[Candidate]:
    """Return the candidates without those to skip."""
    found = []
    for candidate in candidates:
        with skipped.unless_required(candidate):
            make_run(candidate, Choice(candidate.fields, LEARNING_RATE), 0)
            found.append(candidate)
    return found


def _runs(chosen: Sequence[tuple[Candidate, Choice]], make_run: MakeRun, seeds: Sequence[int]) -> list[Run]:
    """Return a run for each candidate and seed, after one warning about all that do not meet a condition."""
    first = [make_run(candidate, choice, seeds[0]) for candidate, choice in chosen]
    warnings = [f"{run.label} on {run.task} has {run.warning}" for run in first if run.warning]
    if warnings:
        warn_of("Models differ in size:", warnings)
    return [replace(run, seed=seed) for run in first for seed in seeds]


def _run(setting: Setting, candidate: Candidate, choice: Choice, seed: int, *, here: bool) -> Run:
    task = candidate.task
    provider = resolve_kind(candidate.fields["kind"]).require()
    if not here and provider.distribution == LOCAL:
        raise CompareError(
            f"Workers import kinds from installed distributions, and cannot know {provider.name!r} of this process: "
            "make a plugin of it (`rnnkit new-plugin`), or use engine='here'"
        )
    spec, wanted = setting.spec(choice.fields, task), setting.wanted(choice.fields)
    return Run(
        label=candidate.label,
        spec=spec,
        task=task,
        seed=seed,
        training=replace(setting.training(task), learning_rate=choice.learning_rate),
        trials=setting.search,
        versions=required_versions([provider, *candidates_of(task)]),
        warning="" if wanted is None else size_warning(spec, wanted),
    )


def _skipped_results(skipped: Skipped, setting: Setting, seeds: Sequence[int]) -> Iterable[RunResult]:
    """Yield a result for each seed of the candidates that cannot be built."""
    for candidate, reason in skipped.reasons:
        for seed in seeds:
            run = Run(
                label=candidate.label,
                spec=candidate.fields,
                task=candidate.task,
                seed=seed,
                training=setting.training(candidate.task),
                versions=required_versions([]),
                trials=setting.search,
            )
            yield RunResult.of(run, "skipped", error=reason)
