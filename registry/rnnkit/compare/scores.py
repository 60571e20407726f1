"""The statistics of a comparison: median and range over seeds, and ranks that respect them."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from statistics import fmean, median
from typing import Any, NamedTuple

from rnnkit.compare.run import RunResult


class Measure(NamedTuple):
    """A column of a comparison: a score of a task."""

    task: str
    metric: str
    higher_is_better: bool

    @classmethod
    def of(cls, result: RunResult) -> Measure:
        """Return the measure of a result."""
        return cls(result.task, result.metric, result.higher_is_better)

    def __str__(self) -> str:
        return f"{self.task} {self.metric} {'↑' if self.higher_is_better else '↓'}"


@dataclass(frozen=True)
class Scores:
    """The results of one label on one task.

    Attributes:
        results: one for each seed.
    """

    results: Sequence[RunResult]

    @cached_property
    def values(self) -> list[float]:
        """The scores in rising order. A run that diverged, failed or was skipped has none."""
        return sorted(each.score for each in self.results if each.score is not None)

    @property
    def median(self) -> float | None:
        """The median of the scores; None without scores."""
        return median(self.values) if self.values else None

    def utilities(self, *, higher_is_better: bool) -> list[float]:
        """Return the scores in rising order, so signed that higher is better; -inf for a run without a score."""
        lost = [-math.inf] * max(len(self.results) - len(self.values), not self.results)
        return lost + sorted(value if higher_is_better else -value for value in self.values)

    def beats(self, other: Scores, *, higher_is_better: bool) -> bool:
        """Return whether the worst run is better than the best one of the other label."""
        own = self.utilities(higher_is_better=higher_is_better)
        return own[0] > other.utilities(higher_is_better=higher_is_better)[-1]

    def problems(self) -> Iterator[str]:
        """Yield what happened to the runs that were not finished, as `2 of 5 diverged`."""
        statuses = Counter(each.status for each in self.results)
        for status in ("stopped", "diverged", "failed", "skipped"):
            if count := statuses[status]:
                several = "" if len(self.results) == 1 else f"{count} of {len(self.results)} "
                yield several + status + (self._progress() if status == "stopped" else "")

    def _progress(self) -> str:
        shares = [trained_share(each) for each in self.results if each.status == "stopped"]
        ends = dict.fromkeys(f"{100 * share:.0f} %" for share in (min(shares), max(shares)))
        return " at " + " to ".join(ends)


def trained_share(result: RunResult) -> float:
    """Return how much of its training a run did, from 0 to 1."""
    steps, seconds = result.training.steps, result.training.seconds
    done, wanted = (result.steps, steps) if seconds is None else (result.seconds, seconds)
    return min(1.0, done / wanted) if wanted else 1.0


class Board:
    """The scores of all labels on all tasks.

    A label beats another one on a task if its worst run is better than the best run of the other; a run without a score
    counts as worse than any score. Its rank is 1, plus one for each label that beats it, plus a half for each other
    label that it does not beat, so that labels whose ranges overlap share a rank. Labels are in the order of their mean
    rank over tasks, and those with the same mean rank in the order of their medians.

    Attributes:
        measures: the tasks, in alphabetical order.
        labels: the labels, the best first.
        ranks: the mean rank of each label.
    """

    def __init__(self, results: Iterable[RunResult]) -> None:
        results = list(results)
        names = distinct_labels(results)
        grouped: dict[tuple[str, Measure], list[RunResult]] = defaultdict(list)
        for result in results:
            grouped[names[result.key], Measure.of(result)].append(result)
        self._scores = {key: Scores(group) for key, group in grouped.items()}
        self.measures = sorted({measure for _, measure in grouped})
        labels = sorted({label for label, _ in grouped})
        self.ranks = {label: self._mean(self._rank, label, labels) for label in labels}
        by_median = {label: self._mean(self._median_rank, label, labels) for label in labels}
        self.labels = sorted(labels, key=lambda label: (self.ranks[label], by_median[label], label))

    def scores(self, label: str, measure: Measure) -> Scores:
        """Return the scores of a label on a task; without results if there was no run."""
        return self._scores.get((label, measure), Scores([]))

    def of_label(self, label: str) -> list[RunResult]:
        """Return all results of a label."""
        return [result for measure in self.measures for result in self.scores(label, measure).results]

    def of_measure(self, measure: Measure) -> list[RunResult]:
        """Return all results of a task."""
        return [result for label in self.labels for result in self.scores(label, measure).results]

    def is_best(self, label: str, measure: Measure) -> bool:
        """Return whether a label beats every other one. With a single seed, no label does: the noise is unknown."""
        seeds = {each: len(self.scores(each, measure).results) for each in self.labels}
        others = [each for each in self.labels if seeds[each] and each != label]
        noise_is_known = bool(others) and all(seeds[each] > 1 for each in (label, *others))
        return noise_is_known and all(self._beats(label, other, measure) for other in others)

    def _beats(self, label: str, other: str, measure: Measure) -> bool:
        own, its = self.scores(label, measure), self.scores(other, measure)
        return own.beats(its, higher_is_better=measure.higher_is_better)

    def _mean(self, rank: Any, label: str, labels: Sequence[str]) -> float:
        return fmean(rank(label, measure, labels) for measure in self.measures)

    def _rank(self, label: str, measure: Measure, labels: Sequence[str]) -> float:
        others = [each for each in labels if each != label]
        beaten_by = sum(self._beats(other, label, measure) for other in others)
        equal = len(others) - beaten_by - sum(self._beats(label, other, measure) for other in others)
        return 1 + beaten_by + equal / 2

    def _median_rank(self, label: str, measure: Measure, labels: Sequence[str]) -> float:
        medians = {
            each: median(self.scores(each, measure).utilities(higher_is_better=measure.higher_is_better))
            for each in labels
        }
        return sum(each > medians[label] for each in medians.values())


def settings_of(result: RunResult) -> dict[str, Any]:
    """Return the spec and the training of a run, with the names of nested settings joined by points."""
    return {**flat(result.spec), **asdict(result.training)}


def differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the settings that are not the same in all."""
    names = dict.fromkeys(name for each in settings for name in each)
    return [name for name in names if len({repr(each.get(name)) for each in settings}) > 1]


def distinct_labels(results: Sequence[RunResult]) -> dict[str, str]:
    """Return the label of each run, by its key.

    If the runs of a label on a task differ in their spec or training, the label has the settings that differ behind it,
    so that a median never mixes them.
    """
    variants: dict[tuple[str, Measure], dict[str, dict[str, Any]]] = defaultdict(dict)
    identities = {}
    for result in results:
        settings = settings_of(result)
        identities[result.key] = identity = json.dumps(settings, sort_keys=True, default=repr)
        variants[result.label, Measure.of(result)][identity] = settings
    suffixes = {
        (where, identity): _suffix(settings, differing([*found.values()]))
        for where, found in variants.items()
        for identity, settings in found.items()
    }
    return {each.key: each.label + suffixes[(each.label, Measure.of(each)), identities[each.key]] for each in results}


def _suffix(settings: Mapping[str, Any], names: Sequence[str]) -> str:
    values = ", ".join(f"{name}={settings.get(name)}" for name in names)
    return f" [{values}]" if values else ""


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one mapping, with their names joined by points."""
    joined: dict[str, Any] = {}
    for name, value in settings.items():
        joined |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return joined
