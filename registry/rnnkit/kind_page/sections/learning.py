"""How a kind learns the demo task, beside torch's LSTM."""

from __future__ import annotations

from html import escape

from rnnkit.kind_page.curve import curve_svg
from rnnkit.kind_page.markdown import figure
from rnnkit.kind_page.measurements import Learning, Measurements


def learning(measurements: Measurements) -> str:
    """The curve, with the last accuracies in its caption."""
    found = measurements.learning
    return "\n\n".join(
        ["## Learning curve", _task(found), figure(curve_svg(measurements.kind, found), _caption(measurements))]
    )


def _task(found: Learning) -> str:
    return (
        "The demo task: scikit-learn's 1,797 images of handwritten digits, 8 by 8 pixels, each read row by row as 8 "
        f"steps of 8 features. One layer with a `hidden_size` of {found.hidden_size}, Adam with a learning rate of "
        f"{found.learning_rate:g}, batches of 32, one seed; tested on {found.images} images that were not trained with."
    )


def percent(share: float) -> str:
    """`97.1 %`."""
    return f"{100 * share:.1f} %"


def _beware(found: Learning) -> str:
    if found.accuracies == found.lstm_accuracies:
        return "The lines are one: at these sizes the two compute the very same."
    return "One seed: differences of a percent or two are chance."


def _caption(measurements: Measurements) -> str:
    found = measurements.learning
    return (
        f"After {len(found.accuracies)} epochs <code>{escape(measurements.kind)}</code> reads "
        f"<strong>{percent(found.accuracies[-1])}</strong> of them right, torch's LSTM "
        f"{percent(found.lstm_accuracies[-1])}. {_beware(found)}"
    )
