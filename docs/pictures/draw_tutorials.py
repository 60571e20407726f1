"""Draws the pictures of the tutorials from `tutorials.json` and the data: `python -m docs.pictures.draw_tutorials`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import cbook
from sklearn.datasets import load_digits

from docs.pictures.chart import Chart
from docs.pictures.svg import arrow, dot, drawing, line, rect, text

HERE = Path(__file__).parent
STYLES = {0: ("state", ""), 1: ("input", "7 4"), 2: ("gate", "2 3")}  # colours, and dashes for who does not see them
PERCENT = (40, 50, 60, 70, 80, 90, 100)


def measured() -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((HERE / "tutorials.json").read_text(encoding="utf-8"))
    return figures


def source(x: float, y: float) -> str:
    """When and with what the figures were measured."""
    on = measured()["measured_on"]
    words = f"Measured {on['date'][:10]}, torch {on['torch']}, {on['processor']}"
    return text(x, y, words, colour="line", size=13, anchor="middle")


def legend(x: float, y: float, words: list[str]) -> Iterator[str]:
    for number, name in enumerate(words):
        colour, dashes = STYLES[number]
        row = y + 20 * number
        yield line([(x, row - 5), (x + 30, row - 5)], colour, width=2.5, dashes=dashes)
        yield text(x + 38, row, name, size=15)


# digits.md


def digit_as_rows() -> str:
    cell, gap, left, states = 22, 12, 20, 306
    image = load_digits().images[0] / 16
    parts = [text(left, 22, "image"), text(states - 50, 22, "hidden state")]
    for t, row in enumerate(image):
        y = 36 + t * (cell + gap)
        for column, ink in enumerate(row):
            parts.append(rect(left + column * cell, y, cell, cell, stroke="edge"))
            if ink:
                parts.append(rect(left + column * cell, y, cell, cell, fill="input", strength=round(ink, 2)))
        middle = y + cell / 2
        parts.append(arrow((left + 8 * cell + 6, middle), (states - 50, middle), "input"))
        parts.append(rect(states - 50, y - 3, 100, cell + 6, stroke="state", radius=6))
        parts.append(text(states, middle + 5, f"row {t}", anchor="middle", size=15))
        if t:
            parts.append(arrow((states, y - gap + 3), (states, y - 3), "state"))
    parts += [arrow((states + 50, middle), (states + 92, middle), "output")]
    parts += [rect(states + 92, y - 3, 106, cell + 6, stroke="output", radius=6)]
    parts += [text(states + 145, middle + 5, "10 scores", anchor="middle", size=15)]
    words = (
        "Each of the 8 rows of an image goes into one step; the state goes from each step to the next; the last one "
    )
    return drawing(520, 312, "A digit as a sequence of rows", words + "gives the scores of the 10 digits.", parts)


def digits_confusion() -> str:
    cell, left, top = 36, 86, 50
    table = measured()["digits"]["confusion"]
    parts = [text(left + 5 * cell, 20, "predicted", colour="line", anchor="middle", size=15)]
    parts.append(text(26, top + 5 * cell, "true", colour="line", size=15, anchor="middle"))
    for digit in range(10):
        parts.append(text(left + (digit + 0.5) * cell, top - 8, str(digit), anchor="middle"))
        parts.append(text(left - 14, top + (digit + 0.5) * cell + 5, str(digit), anchor="middle"))
    for i, row in enumerate(table):
        for j, count in enumerate(row):
            x, y = left + j * cell, top + i * cell
            fill, strength = ("state", 0.3) if i == j else ("input", min(0.36, 0.18 + 0.06 * count))
            parts.append(rect(x, y, cell, cell, fill=fill if count else "surface", strength=strength, stroke="edge"))
            if count:
                parts.append(text(x + cell / 2, y + cell / 2 + 5, str(count), anchor="middle"))
    right, all_of_them = sum(table[i][i] for i in range(10)), sum(map(sum, table))
    parts.append(text(left + 5 * cell, top + 10 * cell + 24, f"{right} of {all_of_them} correct", anchor="middle"))
    parts.append(source(left + 5 * cell, top + 10 * cell + 46))
    words = "A table of 10 by 10: the rows are the true digits, the columns the predictions. Most are on the diagonal."
    return drawing(500, 468, "Confusion matrix of the digits", words, parts)


def digits_curves() -> str:
    accuracies = measured()["digits"]["accuracies"]
    epochs = range(1, 1 + len(accuracies["gru"]))
    chart = Chart(x=(1, len(epochs)), y=(50, 100))
    parts = [*chart.axes(epochs, PERCENT[1:], x_label="epoch", unit=" %")]
    for number, values in enumerate(accuracies.values()):
        colour, dashes = STYLES[number]
        points = chart.at(epochs, [100 * value for value in values])
        parts += [line(points, colour, width=2.5, dashes=dashes), *[dot(x, y, colour) for x, y in points]]
    parts += legend(400, 160, list(accuracies))
    parts.append(source(chart.left + chart.width / 2, 302))
    words = "Test accuracy after each epoch: all three kinds end above 90 percent."
    return drawing(520, 312, "Learning curves of three kinds", words, parts)


# variable_lengths.md


def names_by_batch() -> str:
    figures = measured()["variable_lengths"]
    sizes, other = figures["batch_sizes"], 100 * figures["other"]
    chart = Chart(x=(1, sizes[-1]), y=(30, 100), logarithmic=True)
    parts = [*chart.axes([1, 2, 4, 8, 16, 32, 64, 128, 256], range(30, 101, 10), x_label="batch size", unit=" %")]
    parts.append(line([(chart.left, chart.up(other)), (chart.left + chart.width, chart.up(other))], dashes="1 3"))
    parts.append(
        text(chart.left + chart.width, chart.up(other) - 6, "always “other”", colour="line", anchor="end", size=15)
    )
    names = {"with lengths": 93, "without lengths": 80, "lengths in training only": 44}
    for number, (name, height) in enumerate(names.items()):
        colour, dashes = STYLES[number]
        points = chart.at(sizes, [100 * share for share in figures["shares"][name]])
        parts += [line(points, colour, width=2.5, dashes=dashes), *[dot(x, y, colour) for x, y in points]]
        parts.append(text(chart.across(20), chart.up(height), name, colour=colour))
    parts.append(source(chart.left + chart.width / 2, 302))
    words = (
        "Accuracy by batch size. With lengths, it is the same for all sizes. Without lengths, it is lower, and "
        "lowest for one name at a time. With lengths in training only, it falls far below the others."
    )
    return drawing(520, 312, "Accuracy with and without lengths", words, parts)


# streaming.md


def scanners() -> str:
    pages = [(4, 7, 3, 6), (6, 2, 8, 4), (3, 5, 6, 6), (8, 4, 3, 5)]  # digits
    left, wide, high, digit = 96, 404, 34, 20.2
    parts = []
    for lane, lengths in enumerate(pages):
        y, start = 30 + lane * (high + 14), 0
        parts.append(text(left - 10, y + 22, f"scanner {lane + 1}", anchor="end", size=15))
        for number, length in enumerate(lengths):
            x, width = left + start * digit, min(length * digit, wide - start * digit)
            parts.append(
                rect(x, y, width, high, fill="input", strength=(0.12, 0.28)[number % 2], stroke="edge", radius=3)
            )
            parts.append(line([(x, y - 4), (x, y + high + 4)], "gate", width=3))
            start += length
        parts.append(line([(left, y + high / 2), (left + wide, y + high / 2)], "state", dashes="1 4", width=2))
    step = left + 11.4 * digit
    parts.append(rect(step, 22, 7, 194, fill="state", strength=0.9, radius=3))
    parts.append(text(step + 4, 14, "one step: a batch of size 4", anchor="middle", size=15, colour="state"))
    parts.append(arrow((left, 236), (left + wide, 236)))
    parts.append(text(left - 10, 241, "time", anchor="end", size=15, colour="line"))
    parts += [line([(left, 256), (left, 272)], "gate", width=3), text(left + 12, 269, "new page: reset", size=15)]
    parts += [line([(left + 196, 264), (left + 226, 264)], "state", dashes="1 4", width=2)]
    parts += [text(left + 236, 269, "state carried", size=15)]
    words = (
        "Four lanes, one for each scanner, with pages of different lengths; at the start of a page, its lane is reset."
    )
    return drawing(520, 284, "Four streams in one batch", words, parts)


def digits_after_rows() -> str:
    shares = [100 * share for share in measured()["streaming"]["after_row"]]
    chart = Chart(x=(0.4, 8.6), y=(0, 100), height=190)
    parts = [*chart.axes(range(1, 9), range(0, 101, 20), x_label="rows of the digit seen so far", unit=" %")]
    for row, share in enumerate(shares, start=1):
        x, y = chart.across(row) - 18, chart.up(share)
        parts.append(rect(x, y, 36, chart.bottom - y, fill="state", strength=0.35, stroke="state", radius=3))
        parts.append(text(x + 18, y - 5 if share < 95 else y + 16, f"{share:.0f}", anchor="middle", size=15))
    parts.append(source(chart.left + chart.width / 2, 272))
    words = "Accuracy after each of the eight rows of a digit: it grows to above 85 percent."
    return drawing(520, 282, "Accuracy after each row", words, parts)


# truncated_bptt.md


def membrane() -> str:
    values = 100 * np.fromfile(cbook.get_sample_data("membrane.dat", asfileobj=False), dtype=np.float32)
    bins = values.reshape(-1, 48)  # of which the lowest and the highest are drawn
    chart = Chart(x=(0, 6), y=(-80, 20), height=140)
    seconds = [t for number in range(len(bins)) for t in ((number + 0.3) * 0.024, (number + 0.7) * 0.024)]
    ends = [round(float(end), 1) for each in bins for end in (each.min(), each.max())]
    parts = [rect(chart.across(4.5), chart.top, chart.width / 4, chart.height, fill="output", strength=0.14)]
    parts += chart.axes(range(7), range(-80, 21, 20), x_label="seconds", unit=" mV")
    parts.append(line(chart.at(seconds, ends), "state", width=1))
    parts.append(text(chart.across(4.5) + 6, chart.top + 16, "test set", colour="output", size=15))
    words = "Six seconds of voltage, mostly from -70 to -30 mV with spikes up to 4; the last quarter is the test set."
    return drawing(520, 206, "The voltage of a membrane", words, parts)


def membrane_forecast() -> str:
    figures = measured()["truncated_bptt"]
    series, errors = figures["series"], figures["errors"]
    chart = Chart(x=(170, 370), y=(-60, 10), top=84, height=260)
    milliseconds = [170 + step / 2 for step in range(len(series["measured"]))]
    parts = [*chart.axes(range(170, 371, 50), range(-60, 11, 10), x_label="ms of the test set", unit=" mV")]
    shown = {"measured": "measured"} | {
        name: f"{name}: error {errors[name]:.1f} mV (no change: {errors['no change']:.1f} mV)"
        for name in ("state carried", "state reset")
    }
    for number, name in enumerate(shown):
        colour, dashes = [("line", ""), ("state", ""), ("input", "3 2")][number]
        points = chart.at(milliseconds, series[name])
        parts.append(line(points, colour, width=(3, 1.8, 1.6)[number], dashes=dashes))
        parts.append(line([(24, 12 + 22 * number), (54, 12 + 22 * number)], colour, width=3, dashes=dashes))
        parts.append(text(64, 17 + 22 * number, shown[name], size=15))
    parts.append(source(chart.left + chart.width / 2, 412))
    words = "200 ms of the test set, as measured and as forecast 5 ms ahead, with the state and without."
    return drawing(520, 422, "The voltage, forecast 5 ms ahead", words, parts)


PICTURES = (
    *(digit_as_rows, digits_confusion, digits_curves),
    *(names_by_batch, scanners, digits_after_rows, membrane, membrane_forecast),
)


def main() -> None:
    for picture in PICTURES:
        (HERE / f"{picture.__name__}.svg").write_text(picture(), encoding="utf-8")


if __name__ == "__main__":
    main()
