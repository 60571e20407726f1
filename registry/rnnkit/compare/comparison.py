"""The results of a comparison: a file, and what is shown of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rnnkit._messages import counted, did_you_mean, join_quoted, short_repr
from rnnkit.compare.difference import difference_table
from rnnkit.compare.frames import curves_frame, results_frame
from rnnkit.compare.result_file import read_results, write_results
from rnnkit.compare.run import RunResult
from rnnkit.compare.summary import statuses_text
from rnnkit.compare.table import Table, comparison_table
from rnnkit.errors import CompareError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Comparison:
    """The results of runs, in the order of their tasks, labels and seeds.

    Of two results of the same run (the same spec, task, seed and training), the later one counts. A label that was
    skipped on a task counts only as long as it has no other result there.

    Attributes:
        results: one for each run.
    """

    def __init__(self, results: Iterable[RunResult]) -> None:
        by_key = {result.key: result for result in results}
        made = {(each.label, each.task) for each in by_key.values() if each.status != "skipped"}
        chosen = [each for each in by_key.values() if each.status != "skipped" or (each.label, each.task) not in made]
        self.results: Sequence[RunResult] = sorted(chosen, key=lambda each: (each.task, each.label, each.seed))

    @property
    def labels(self) -> list[str]:
        """The labels, in alphabetical order."""
        return sorted({each.label for each in self.results})

    @property
    def tasks(self) -> list[str]:
        """The tasks with their settings, in alphabetical order."""
        return sorted({each.task for each in self.results})

    def select(self, *, labels: Iterable[str] | None = None, tasks: Iterable[str] | None = None) -> Comparison:
        """Return the results of some labels and tasks.

        Args:
            labels: None: all.
            tasks: as in `tasks`; None: all.

        Raises:
            CompareError: there is no such label or task.
        """
        chosen_labels = _chosen("label", self.labels, labels)
        chosen_tasks = _chosen("task", self.tasks, tasks)
        return Comparison(each for each in self.results if each.label in chosen_labels and each.task in chosen_tasks)

    def table(self) -> Table:
        """Return the median and range over seeds of each label on each task, with the machine and the versions.

        It prints as text, and a notebook shows it as HTML. The best labels come first: a label is better than another
        one if its worst run is better than the best run of the other; labels whose ranges overlap share a rank.
        """
        return comparison_table(self.results)

    def difference(self, older: Comparison) -> Table:
        """Return the change of the median of each label on each task since an older comparison.

        Changes are marked if the ranges of the seeds do not overlap.

        Raises:
            CompareError: the comparisons have nothing in common, or a label was sized or trained differently.
        """
        return difference_table(older.results, self.results)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row for each run, with columns such as `spec.hidden_size` and `environment.versions.torch`."""
        return results_frame(self.results)

    def curves(self) -> pd.DataFrame:
        """Return one row for each point of each learning curve: its step, seconds of training, loss and score."""
        return curves_frame(self.results)

    def plot(self, *, x: Literal["steps", "seconds"] = "steps") -> Figure:
        """Return the learning curves, a panel for each task: median and range over seeds of the validation score.

        Of more than 14 labels, the best seven are coloured, and all others are grey.

        Args:
            x: the horizontal axis: optimizer steps, or seconds of training.
        """
        from rnnkit.compare.plot import plot_curves

        return plot_curves(self.results, x=x)

    def plot_scores(self) -> Figure:
        """Return the scores against the seconds of training, a panel for each task: median and range over seeds."""
        from rnnkit.compare.plot import plot_scores

        return plot_scores(self.results)

    def to_html(self, path: str | Path) -> None:
        """Write a report to one HTML file that needs no other: table, plots, settings, specs, machine and errors.

        Raises:
            OSError: the file cannot be written.
        """
        from rnnkit.compare.report import write_report

        write_report(self.results, path)

    def save(self, path: str | Path) -> None:
        """Write the results to a JSON file, which `load` reads; an existing file is replaced completely or not at all.

        Raises:
            OSError: the file cannot be written.
        """
        write_results(self.results, path)

    @classmethod
    def load(cls, path: str | Path) -> Comparison:
        """Read the results from a file.

        Raises:
            CompareError: the file does not hold the results of a comparison, or was written by a later version of
                rnnkit.
            OSError: the file cannot be read.
        """
        return cls(read_results(path))

    def merge(self, other: Comparison) -> Comparison:
        """Return the results of both; of a run that is in both, the result of `other`."""
        return Comparison([*self.results, *other.results])

    def __len__(self) -> int:
        return len(self.results)

    def __eq__(self, other: object) -> bool:
        return self.results == other.results if isinstance(other, Comparison) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal by value, and may hold unhashable specs

    def __repr__(self) -> str:
        sizes = f"{counted(len(self.labels), 'label')}, {counted(len(self.tasks), 'task')}"
        return f"Comparison({sizes}, {statuses_text(self.results)})"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _chosen(what: str, known: Sequence[str], wanted: Iterable[str] | None) -> set[str]:
    if isinstance(wanted, str):
        raise CompareError(f"{what}s={wanted!r} is a single name: write [{wanted!r}]")
    chosen = set(known if wanted is None else wanted)
    for name in chosen - set(known):
        hint = did_you_mean(name, known)
        raise CompareError(
            f"The comparison has no {what} {short_repr(name)}.{hint} Its {what}s are {join_quoted(known)}"
        )
    return chosen
