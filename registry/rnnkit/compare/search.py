"""Search for the learning rate, and for some fields of the spec, of each kind on each task, by Optuna."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from rnnkit._messages import describe_exception, short_repr
from rnnkit.compare.candidate import Candidate, Choice, Skipped
from rnnkit.compare.progress import Progress, trial_text
from rnnkit.compare.run import Run, RunResult
from rnnkit.compare.task import Task
from rnnkit.errors import CompareError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

RATE = "learning_rate"
LEARNING_RATES = (3e-4, 3e-2)  # the ends of the range that is searched
SPACE: Mapping[str, Sequence[Any]] = {"num_layers": [1, 2, 3]}
FIRST_SEED = 1_000_000  # of the trials, far from the usual seeds of a comparison


class Search:
    """Searches for all candidates side by side: each round makes one trial of each.

    The suggestions depend on the results of earlier trials alone, so that a search that was interrupted continues as it
    would have. Trials are scored on the validation, by its last point.

    Args:
        trials: of each candidate.
        space: the values to try for fields of the spec, by their names: `{"dropout": [0, 0.2]}`.
        file: Optuna's journal of the trials, which `optuna-dashboard` reads; None: it is not kept.
        learning_rate: the one of candidates whose trials all fail.
    """

    def __init__(
        self, trials: int, space: Mapping[str, Sequence[Any]] | None, file: Path | None, learning_rate: float
    ) -> None:
        self._trials = trials
        self._learning_rate = learning_rate
        self._space = _checked(SPACE if space is None else space)
        self._storage = _storage(file)

    def choose(
        self,
        candidates: Sequence[Candidate],
        make_run: Callable[[Candidate, Choice, int], Run],
        execute: Callable[[list[Run]], Generator[tuple[Run, RunResult], None, None]],
        *,
        skipped: Skipped,
        progress: bool | None,
    ) -> list[tuple[Candidate, Choice]]:
        """Return the candidates with their best settings.

        Args:
            candidates: what to search for.
            make_run: makes the run of a choice and a seed.
            execute: makes runs, and returns them with their results in any order.
            skipped: the candidates to leave out, to which those are added that no trial can build.
            progress: as in `compare`.
        """
        default_runs = [make_run(each, self._default(each), FIRST_SEED) for each in candidates]
        studies = [(each, self._study(run, run.task)) for each, run in zip(candidates, default_runs, strict=True)]
        done = sum(trial.state.is_finished() for _, study in studies for trial in study.trials[: self._trials])
        with Progress(len(studies) * self._trials, done, show=progress) as shown:
            for number in range(self._trials):
                self._round(number, studies, make_run, execute, shown)
        chosen = []
        for candidate, study in studies:
            with skipped.unless_required(candidate):
                chosen.append((candidate, self._best(study, candidate, make_run)))
        return chosen

    def _round(
        self,
        number: int,
        studies: Sequence[tuple[Candidate, Study]],
        make_run: Callable[[Candidate, Choice, int], Run],
        execute: Callable[[list[Run]], Generator[tuple[Run, RunResult], None, None]],
        shown: Progress,
    ) -> None:
        """Make one trial of each candidate, unless an earlier search did."""
        from optuna.trial import TrialState

        open_trials: dict[str, Study] = {}
        runs: list[Run] = []
        for candidate, study in studies:
            trial = self._trial(study, number)
            if trial.state.is_finished():
                continue
            try:
                run = make_run(candidate, self._choice(candidate, trial.params), FIRST_SEED + number)
            except CompareError:  # values that do not go together; those of the default have built
                study.tell(number, state=TrialState.FAIL)
                shown.add(trial_text(candidate.label, candidate.task, number, "cannot be built"))
                continue
            open_trials[run.key] = study
            runs.append(run)
        with closing(execute(runs)) as made:
            for run, result in made:
                end = _tell(open_trials[run.key], number, result)
                shown.add(trial_text(run.label, run.task, number, end))

    def _study(self, run: Run, task: Task) -> Study:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        return optuna.create_study(
            storage=self._storage,
            study_name=f"{run.label} on {task}, {run.key}",  # another spec, task or training is another study
            direction="maximize" if task.objective.higher_is_better else "minimize",
            load_if_exists=True,
        )

    def _trial(self, study: Study, number: int) -> FrozenTrial:
        """Return the trial of a number, which an interruption may have left open."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution
        from optuna.samplers import TPESampler

        if len(study.trials) <= number:
            # seeded for each trial, so that a suggestion depends on the earlier results alone
            study.sampler = TPESampler(seed=crc32(study.study_name.encode()) + number)
            rate = FloatDistribution(*LEARNING_RATES, log=True)
            others = {name: CategoricalDistribution(values) for name, values in self._space.items()}
            study.ask({RATE: rate, **others})
        return study.trials[number]

    def _default(self, candidate: Candidate) -> Choice:
        return Choice(candidate.fields, self._learning_rate)

    def _choice(self, candidate: Candidate, found: Mapping[str, Any]) -> Choice:
        fields: dict[str, Any] = {**candidate.fields, "options": dict(candidate.fields.get("options", {}))}
        for name, value in found.items():
            *outer, last = name.split(".")
            (fields["options"] if outer == ["options"] else fields)[last] = value
        return Choice(fields, fields.pop(RATE))

    def _best(self, study: Study, candidate: Candidate, make_run: Callable[[Candidate, Choice, int], Run]) -> Choice:
        if all(trial.value is None for trial in study.trials):
            self._require_buildable(study, candidate, make_run)
            return self._default(candidate)  # all trials failed, and the runs will say why
        return self._choice(candidate, study.best_params)

    def _require_buildable(
        self, study: Study, candidate: Candidate, make_run: Callable[[Candidate, Choice, int], Run]
    ) -> None:
        problems: list[CompareError] = []
        for trial in study.trials:
            try:
                make_run(candidate, self._choice(candidate, trial.params), FIRST_SEED)
            except CompareError as error:
                problems.append(error)
        if len(problems) == len(study.trials):
            raise CompareError(
                f"No trial of {candidate.label!r} on {candidate.task} can be built with the search space: "
                f"{problems[-1]}"
            ) from problems[-1]


def _tell(study: Study, number: int, result: RunResult) -> str:
    """Tell a study the result of a trial, and return it as text."""
    from optuna.trial import TrialState

    # the trial may have been finished by another process with the same journal
    if result.status == "finished" and result.curve:
        score = result.curve[-1].score
        study.tell(number, score, skip_if_finished=True)
        return f"{result.metric} {score:.3f}"
    study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
    return result.status


def _storage(file: Path | None) -> BaseStorage:
    from optuna.storages import InMemoryStorage, JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    if file is None:
        return InMemoryStorage()
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and not is_journal(file):  # Optuna would accept a damaged last line, and append to it
        raise CompareError(f"{file} is not a journal of Optuna (a line is damaged): delete it, or use another file")
    try:
        # Optuna's other lock is a symbolic link, which Windows does not allow all users
        return JournalStorage(JournalFileBackend(str(file), JournalFileOpenLock(str(file))))
    except (ValueError, KeyError, TypeError) as error:
        raise CompareError(
            f"{file} is not a journal of Optuna ({describe_exception(error)}): delete it, or use another file"
        ) from error


def is_journal(file: Path) -> bool:
    """True if each line of a file is a record of Optuna's journal."""
    try:
        lines = file.read_bytes().splitlines(keepends=True)
        return all(line.endswith(b"\n") and "op_code" in dict(json.loads(line)) for line in lines)
    except (ValueError, TypeError, RecursionError):
        return False


def _checked(space: Mapping[str, Sequence[Any]]) -> Mapping[str, Sequence[Any]]:
    """Return a search space of fields and options, each with values to try.

    Raises:
        CompareError: a name is not that of a field, it has no values, or Optuna cannot store one of them.
    """
    if not isinstance(space, Mapping):
        raise CompareError(f"space={short_repr(space)} must be a mapping from names to lists of values")
    for name, values in space.items():
        _check_name(name)
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise CompareError(f"The search space of {name!r} must be a list of values, but is {short_repr(values)}")
        for value in values:
            if not isinstance(value, bool | int | float | str | None):
                raise CompareError(
                    f"The values of {name!r} must be numbers, strings, booleans or None, which Optuna can store, but "
                    f"one is {short_repr(value)}"
                )
    return space


def _check_name(name: object) -> None:
    if not isinstance(name, str) or name.removeprefix("options.").count("."):
        raise CompareError(f"The search space names {name!r}: write a field, or options.NAME")
    if name == "kind":
        raise CompareError("The search space names 'kind': name each kind in `kinds`")
