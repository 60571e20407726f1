"""The conditions of a comparison in a few sentences: runs, sizes, training, machine and versions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import get_args

from rnnkit._messages import counted
from rnnkit.compare.run import RunResult
from rnnkit.compare.training import Status

DASH = "\N{EN DASH}"


def summary_lines(results: Sequence[RunResult]) -> list[str]:
    """Return the runs, the sizes and the training, the machine and the versions: a line for each."""
    return [runs_text(results), training_text(results), *environment_lines(results)] if results else ["no runs"]


def runs_text(results: Sequence[RunResult]) -> str:
    """Return how many runs there are, and how they ended."""
    seeds = number_range(Counter((each.label, each.task) for each in results).values())
    return f"{counted(len(results), 'run')} ({statuses_text(results)}), seeds for each label and task: {seeds}"


def statuses_text(results: Sequence[RunResult]) -> str:
    """Return how many runs ended in which way."""
    counts = Counter(each.status for each in results)
    return ", ".join(f"{counts[status]:,} {status}" for status in get_args(Status) if counts[status]) or "no runs"


def training_text(results: Sequence[RunResult]) -> str:
    """Return the sizes of the models, and how they were trained."""
    tasks = defaultdict(set)
    for each in results:
        tasks[_duration(each)].add(each.task)
    durations = [text if len(tasks) == 1 else f"{text} ({', '.join(sorted(tasks[text]))})" for text in tasks]
    rates = sorted({f"{each.training.learning_rate:g}" for each in results})
    optimizer = f"Adam, learning rate {' and '.join(rates)}"
    return f"{sizes_text(results)}; {', '.join(durations)}; {optimizer}, {tuning_text(results)}"


def sizes_text(results: Sequence[RunResult]) -> str:
    """Return the range of the numbers of parameters, as `20,000 parameters`."""
    sizes = number_range(each.parameters for each in results if each.parameters)
    return f"{sizes} parameter{'' if sizes == '1' else 's'}"


def tuning_text(results: Sequence[RunResult]) -> str:
    """Return how the settings were chosen, as `not tuned` or `tuned by 20 trials`."""
    numbers = sorted({each.trials for each in results})
    return " and ".join(f"tuned by {counted(number, 'trial')}" if number else "not tuned" for number in numbers)


def environment_lines(results: Sequence[RunResult]) -> list[str]:
    """Return the machine and the versions, and what differs between the runs, if anything does."""
    found = defaultdict(set)
    for environment in (each.environment for each in results):
        found["processor"].add(environment.processor)
        found["cores"].add(counted(environment.cores, "core"))
        found["system"].add(environment.system)
        for name, version in environment.versions.items():
            found[name].add(f"{name} {version}")
    values = {name: " or ".join(sorted(found[name])) for name in found}
    machine_text = ", ".join(values.pop(name) for name in ("processor", "cores", "system"))
    line = "; ".join([machine_text, ", ".join(values.values())])
    several = sorted(name for name in found if len(found[name]) > 1)
    warning = f"Environments differ in {', '.join(several)}: scores and seconds may not be comparable."
    return [line, warning] if several else [line]


def number_range(numbers: Iterable[int]) -> str:
    """Return the range of numbers, as `1,980` to `2,020` with a dash; `no` without any."""
    ordered = sorted(set(numbers))
    ends = [ordered[0], ordered[-1]] if len(ordered) > 1 else ordered
    return DASH.join(f"{each:,}" for each in ends) or "no"


def _duration(result: RunResult) -> str:
    seconds = result.training.seconds
    if seconds is None:
        return counted(result.training.steps, "step")
    return f"{seconds:g} second{'' if seconds == 1 else 's'}"
