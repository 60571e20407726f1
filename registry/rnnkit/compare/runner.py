"""Compare kinds: one run for every kind, task and seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from rnnkit._messages import join_quoted, short_repr
from rnnkit.catalog import list_kinds, resolve_kind
from rnnkit.catalog.discovery import LOCAL
from rnnkit.compare.comparison import Comparison
from rnnkit.compare.engine import check_engine, run_all, workers
from rnnkit.compare.environment import required_versions
from rnnkit.compare.registry import candidates_of, find_tasks
from rnnkit.compare.requirements import require
from rnnkit.compare.resuming import SavedResults, complete
from rnnkit.compare.run import Run, execute, lost_run
from rnnkit.compare.search import Candidate, Choice, Search
from rnnkit.compare.setting import Amount, Count, Match, Setting
from rnnkit.compare.settings import check_argument
from rnnkit.compare.task import VALIDATION_SEED, Task
from rnnkit.compare.training import LEARNING_RATE
from rnnkit.errors import CompareError

Seeds = Annotated[list[Annotated[int, Field(ge=0, lt=VALIDATION_SEED)]], Field(min_length=1)]
Kinds = Sequence[str] | Mapping[str, Mapping[str, Any]]


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
            specs. The fields that the task sets are left out.
        tasks: tasks, or their names; see `find_tasks`.
        seeds: the seeds, from 0 to 4,000,000,000, or how many: 0, 1, ...
        match: the conditions that are equal. `"parameters"`: the number of parameters, by the choice of the hidden
            size, and of optimizer steps; `"hidden_size"`: the hidden size, and the number of optimizer steps; `"time"`:
            the number of parameters, and the time of training.
        parameters: about how many each model has, including those that are not trained.
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
        engine: `"loky"`: the processors of this machine; `"dask"` or `"ray"`: a cluster; `"here"`: this process, whose
            generator of torch is seeded for each run, and restored.
        jobs: runs at the same time; -1: one for each processor or worker.
        address: of the cluster; None: one that is started on this machine.
        file: results are written to it while runs are made, and at the end, also after an interruption. Runs whose
            results are in it already are not made again. With `search`, Optuna's journal is beside it, with the suffix
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
    budget = None if budget is None else check_argument("budget", budget, Amount)
    numbers = _numbers_of(seeds)
    extra = [*(["optuna"] if search else []), *(["cloudpickle"] if engine != "here" else [])]
    require("A comparison", "joblib", "rich", *extra)
    if space is not None and not search:
        raise CompareError("space has no effect without search: set search=20, the number of trials")
    saved = SavedResults(None if file is None else Path(file))
    specs = _specs_of(kinds)
    if engine != "here":
        _refuse_local(specs)
    candidates = [Candidate(label, fields, task) for task in find_tasks(tasks) for label, fields in specs.items()]
    if not candidates:
        raise CompareError(f"{'tasks' if specs else 'kinds'}={tasks if specs else kinds!r} is empty: name at least one")
    execution = partial(
        run_all,
        execute,
        engine=engine,
        jobs=jobs,
        address=address,
        lost=lost_run,
        requires=attrgetter("versions"),
    )
    if budget is not None:
        share = budget * workers(engine, jobs, address) / (len(candidates) * (len(numbers) + search))
        setting = replace(setting, limit=share)
    make_run = partial(_run, setting)
    choices = [Choice(each.fields, learning_rate) for each in candidates]
    if search:
        journal = None if file is None else Path(file).with_suffix(".optuna")
        choices = Search(search, space, journal, learning_rate).choose(candidates, make_run, execution)
    chosen = zip(candidates, choices, strict=True)
    runs = [make_run(candidate, choice, seed) for candidate, choice in chosen for seed in numbers]
    return complete(runs, execution, saved=saved, progress=progress)


def _numbers_of(seeds: int | Sequence[int]) -> list[int]:
    """Return the seeds, each of them once."""
    if isinstance(seeds, Iterable) and not isinstance(seeds, str):
        return [*dict.fromkeys(check_argument("seeds", [*seeds], Seeds))]
    return [*range(check_argument("seeds", seeds, Count))]


def _specs_of(kinds: Kinds) -> dict[str, Mapping[str, Any]]:
    """Return the fields of the spec for each label."""
    if isinstance(kinds, Mapping):
        for label, fields in kinds.items():
            _check_spec(label, fields)
        return dict(kinds)
    if isinstance(kinds, str):
        raise CompareError(f"kinds={kinds!r} is a single name: write [{kinds!r}]")
    if not isinstance(kinds, Iterable):
        raise CompareError(f"kinds={kinds!r} is not a list of names: write them as ['gru', 'lstm']")
    return {name: {"kind": name} for each in kinds for name in _names(each)}


def _check_spec(label: object, fields: object) -> None:
    if not isinstance(label, str) or not label:
        raise CompareError(f"A label must be a string, but is {label!r}")
    if not isinstance(fields, Mapping) or "kind" not in fields:
        raise CompareError(
            f"The spec of {label!r} must be a mapping of fields with the field `kind`, such as {{'kind': 'gru'}}, but "
            f"is {short_repr(fields)}"
        )
    if not isinstance(options := fields.get("options", {}), Mapping):
        raise CompareError(f"The `options` of {label!r} must be a mapping, but are {short_repr(options)}")


def _names(pattern: str) -> list[str]:
    if not isinstance(pattern, str):
        raise CompareError(
            f"kinds has {short_repr(pattern)}, which is not a name: to compare specs, write a mapping from labels to "
            "fields, such as {'narrow': {'kind': 'gru', 'hidden_size': 16}}"
        )
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


def _run(setting: Setting, candidate: Candidate, choice: Choice, seed: int) -> Run:
    task = candidate.task
    spec = setting.spec(choice.fields, task)
    return Run(
        label=candidate.label,
        spec=spec,
        task=task,
        seed=seed,
        training=replace(setting.training(task), learning_rate=choice.learning_rate),
        trials=setting.search,
        versions=required_versions([resolve_kind(spec["kind"]).require(), *candidates_of(task)]),
    )
