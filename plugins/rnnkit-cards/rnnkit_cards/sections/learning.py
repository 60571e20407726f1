"""The learning curve of a kind on the demo task, with that of torch's LSTM."""

from __future__ import annotations

from rnnkit_cards.learning_curve import curve_svg
from rnnkit_cards.markdown import collapsed, figure
from rnnkit_cards.measurements import Learning, Measurements


def learning(measurements: Measurements) -> str:
    """The final accuracies, and collapsed: the task and the curve."""
    curve = figure(curve_svg(measurements.kind, measurements.learning), _task(measurements.learning))
    return "\n\n".join(["## Learning curve", _result(measurements), collapsed("Task and curve", curve)])


def percent(share: float) -> str:
    """`97.1 %`."""
    return f"{100 * share:.1f} %"


def _task(found: Learning) -> str:
    return (
        "The task: classify scikit-learn's 1,797 images of handwritten digits, 8 by 8 pixels, each read row by "
        f"row as 8 steps of 8 features. One layer with `hidden_size` {found.hidden_size}, Adam with a learning rate of "
        f"{found.learning_rate:g}, batches of 32, one seed; {found.images} images are held out for testing."
    )


def _result(measurements: Measurements) -> str:
    found = measurements.learning
    return (
        f"Test accuracy on a small task, images of digits, after {len(found.accuracies)} epochs: "
        f"**{percent(found.accuracies[-1])}**; `torch.nn.LSTM`: {percent(found.lstm_accuracies[-1])}. {_note(found)}"
    )


def _note(found: Learning) -> str:
    if found.accuracies == found.lstm_accuracies:
        return "The two are equal, because they compute the same function."
    return "One seed: differences of one or two percent are not significant."
