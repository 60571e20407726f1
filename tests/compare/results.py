"""Results that no run made, for the tests of tables, figures and files."""

import hashlib

from rnnkit.compare import Environment, Point, RunResult, Training

MACHINE = Environment(
    processor="Processor 9000",
    cores=4,
    system="Linux",
    versions={"python": "3.12.1", "torch": "2.13.0", "rnnkit": "1.0"},
)
TRAINING = Training(steps=500, batch_size=32, learning_rate=0.004)
HOSTILE = "<script>alert('x')</script> & \"quotes\" $\\frac{1}{$ \x1b[31m_under [bold]"


def result(label="lstm", task="adding(length=100)", seed=0, score=0.5, **changes):
    """The result of a run, with a curve of three points that ends at its score."""
    fields = {
        "key": "",
        "label": label,
        "kind": "lstm",
        "task": task,
        "metric": "accuracy",
        "higher_is_better": True,
        "seed": seed,
        "status": "finished" if score is not None else "diverged",
        "score": score,
        "chance": 0.1,
        "parameters": 20_000 + len(label),
        "steps": 500,
        "seconds": 10.0 + seed,
        "curve": []
        if score is None
        else [Point(s, s / 50, 1 - score * s / 500, score * s / 500) for s in (100, 250, 500)],
        "spec": {"kind": "lstm", "input_size": 2, "hidden_size": 48, "options": {"forget_bias": 1.0}},
        "training": TRAINING,
        "environment": MACHINE,
    } | changes
    facts = repr((label, fields["task"], seed, fields["spec"], fields["training"]))
    return RunResult(**fields | {"key": fields["key"] or hashlib.sha256(facts.encode()).hexdigest()[:16]})


def seeds(label, *scores, **changes):
    """A result for each score, with the seeds 0, 1, ..."""
    return [result(label, seed=seed, score=score, **changes) for seed, score in enumerate(scores)]


def failed(label="broken", seed=0, error="ValueError: no", **changes):
    """The result of a run that raised an error."""
    return result(
        label, seed=seed, score=None, status="failed", error=error, parameters=0, steps=0, seconds=0.0, **changes
    )


def large(labels=41, tasks=("adding(length=100)", "digits(order='rows')", "text(length=64)"), count=3):
    """Results of many labels on several tasks, one of which has an error as its score, and some of which diverged."""
    return [
        each
        for place in range(labels)
        for number, task in enumerate(tasks)
        for each in seeds(
            f"kind_{place}" + "_with_a_long_name" * (place % 10 == 3),
            *[
                None
                if place % 9 == 8 and seed == 1
                else (0.02 * 1.12**place if number == 0 else 0.98 - place / 60) + seed / 200
                for seed in range(count)
            ],
            task=task,
            metric="NRMSE" if number == 0 else "accuracy",
            higher_is_better=number != 0,
            seconds=5.0 + place * (number + 1),
        )
    ]
