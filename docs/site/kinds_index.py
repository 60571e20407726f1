"""The page for choosing a kind: advice, and a table of all kinds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import NamedTuple

from docs.site.step_times import step_note, step_time
from rnnkit_cards import CardContext, Measurements, Speed
from rnnkit_cards.equation_lines import gates_of
from rnnkit_cards.sections.cost import layer_summary, measured_on
from rnnkit_cards.sections.header import surnames
from rnnkit_cards.sections.learning import percent

# the use of each kind, in the order of the table
ENTRIES = {
    "lstm": "The default choice: a long memory, and fused kernels in torch.",
    "lstm_cell": "An LSTM with layer norm, zoneout, residual connections or a size per layer.",
    "gru": "Close to an LSTM, with three quarters of its parameters and half its state.",
    "gru_cell": "A GRU with layer norm, zoneout, residual connections or a size per layer.",
    "rnn": "A baseline, for short memory and small models.",
    "rnn_cell": "The same with layer norm, zoneout, residual connections or a size per layer.",
    "janet": "A forget gate only: half of an LSTM's parameters.",
    "ugrnn": "One gate, which selects between the old state and new values.",
    "mgu": "A GRU with a single gate: two thirds of its parameters.",
    "peephole_lstm": "An LSTM whose gates read the cell state, for precise timing.",
    "ligru": "A ReLU and one gate, from speech recognition.",
    "fastgrnn": "A gate that shares its matrices with the candidate: models of a few kilobytes for microcontrollers.",
    "fastrnn": "A residual step with two learned scalars, for microcontrollers.",
    "ran": "A gated sum of inputs, interpretable as a weight per input.",
    "cfn": "Two gates and stable dynamics: without input, the state decays.",
    "minimalrnn": "One gate, and an interpretable state in the space of the encoded input.",
    "star": "One gate and a bounded state, for deep stacks.",
    "rhn": "Several gated layers within each step.",
    "mogrifier_lstm": "An LSTM whose input and state first gate each other, for language models.",
    "slstm": "xLSTM's scalar memory: exponential gates, for state tracking.",
    "mingru": "The simplest gated cell that trains in parallel over time.",
    "minlstm": "minGRU with a forget gate and an input gate.",
    "rglru": "The recurrence of Griffin and RecurrentGemma: a gated decay near 1.",
    "hgrn": "Forget gates with a lower bound that rises with the layer, for deep stacks.",
    "qrnn": "Gates from a convolution over the last inputs, for text and audio.",
    "sru": "A light unit with a highway connection, for fast classifiers.",
    "lru": "Slowly decaying oscillations: long-range dependencies with few parameters.",
    "s5": "A state space model with HiPPO initialization, for continuous signals.",
    "selective_ssm": "Mamba's recurrence: the input selects what the state keeps.",
    "lem": "Two states with learned time scales, for signals with several of them.",
    "cornn": "Coupled, damped oscillators, whose gradients stay bounded.",
    "unicornn": "Uncoupled oscillators with one frequency per unit, for deep stacks.",
    "antisymmetric": "A stable linear part without gates.",
    "cfc": "A closed-form continuous-time cell, for irregular time series and control.",
    "lmu": "A sliding window of the past as Legendre coefficients.",
    "indrnn": "Each unit reads only its own state, for very long sequences and deep stacks.",
    "exprnn": "An orthogonal recurrent matrix, for copying over long gaps.",
    "esn": "A fixed random network whose readout is fitted by linear regression.",
    "gla": "Linear attention with a decay: RetNet, GLA and HGRN2 in one cell.",
    "xlstm_matrix": "xLSTM's matrix memory (mLSTM), for recall.",
    "gated_deltanet": "The gated delta rule, which replaces values in memory, for recall.",
    "mixed": "A different cell in each layer, such as an LSTM below a GRU.",
    "rnnkit-nbrc/nbrc": "Units that can hold one bit for any number of steps. An example plugin.",
}
# the family of a record, and the title of its page
FAMILIES = {
    "gated": "Gated cells",
    "linear": "Linear recurrences",
    "matrix": "Matrix states",
    "continuous": "Continuous-time cells",
    "simple": "Simple cells",
}
FRONT_MATTER = """\
---
description: "Choose a recurrent model: a decision diagram, and a table with sizes, costs and times of every kind."
tags: [GRU vs LSTM, which RNN should I use, comparison of recurrent networks]
styles: [assets/stylesheets/kinds.css]
scripts: [assets/javascripts/kinds_table.js]
hide: [navigation, toc]
---
"""
INTRO = """\
# Models

A *kind* is a type of recurrent model, such as `lstm` or `mingru`. A spec selects it by name. Each kind has a model card
with its equation, a drawing of one step, options, shapes, an example and measurements.

## Choosing a kind

<figure class="rnnkit-drawing">
--8<-- "docs/pictures/choose.svg"
</figure>

- **No special requirements**: use [`lstm`](lstm.md). It has a long memory, and fused kernels on CPUs and GPUs.
- **Fewer parameters, a smaller state**: [`gru`](gru.md) has three quarters of the parameters of an LSTM and half of its
  state.
- **Layer norm, zoneout, residual connections, a hidden size per layer**: use the same network as a stack of cells,
  [`lstm_cell`](lstm_cell.md) or [`gru_cell`](gru_cell.md). It computes the same function with the same kernels, and has
  more options.
- **Per-sample gradients, `torch.func`**: also use a stack of cells. torch's own modules do not support them.
- **A baseline**: [`rnn`](rnn.md) has no gates.
- **Thousands of steps**: use a [linear recurrence](families/linear.md), such as [`mingru`](mingru.md) or
  [`lru`](lru.md), which trains in parallel over time.
- **Recall of values from long before**: use a [matrix state](families/matrix.md), such as [`gla`](gla.md).
- **Irregular time steps, physical signals**: use a [continuous-time cell](families/continuous.md), such as
  [`cfc`](cfc.md) or [`lem`](lem.md).
- **Your own equation**: implement one step, and [register it as a kind](../plugins/cells.md). [`nbrc`](nbrc.md) is an
  example.

Speed on a CPU depends on the kernels more than on the network. With [`rnnkit-kernels`](../explanation/plans.md) and a
`hidden_size` of {long_size}, a forward pass over {long_steps} steps takes {gru_long} times the time of `torch.nn.LSTM`
for `gru`, and {rnn_long} times for `rnn`. Without it, `gru` is several times slower, because torch has no fused CPU
kernel for `nn.GRU`. On a GPU the ratios are different again. To choose by cost, use the bytes and multiply-adds in the
table, which do not depend on kernels.

The [leaderboard](leaderboard.md) shows what each kind learns on six tasks, and [Speed of each kind](speed.md) how long
it takes. [Compare two kinds](compare.md) shows two of them side by side, and [Compare
kinds](../how_to/compare_kinds.md) measures them on your data.

All kinds support streaming inference, variable-length sequences, `torch.compile`, and export to ONNX and `torch.export`
with dynamic batch size and number of steps.

## All kinds
"""
NOTES = """\
*Parameters*, *weights*, *state* and *multiply-adds* are those of one layer with `input_size` 64 and `hidden_size` 128,
in float32; the state is that of one sequence. *Parallel* kinds compute all steps of a sequence at once in training,
with a scan. *Forward* and *training* are CPU times relative to `torch.nn.LSTM` on one thread with `rnnkit-kernels`, for
{sizes}; differences of a few percent are noise. *Digits* is the test accuracy on a small classification task after
{epochs} epochs, with a random variation of about one percent. See each card for details.

{step}

{measured_on}
"""
LARGEST_BAR = 1.5
NO_FAMILY = "other"


def index_text(measured: Mapping[str, Measurements]) -> str:
    """Return the page, from the measurements of the kinds in the table."""
    rows = [_row(CardContext.of(kind), measured[kind]) for kind in ENTRIES if kind in measured]
    return "\n".join([FRONT_MATTER, _intro(measured), *_table(rows), "", _notes(measured)])


def _intro(measured: Mapping[str, Measurements]) -> str:
    long = speed_at(measured["gru"], "long")
    return INTRO.format(
        long_steps=f"{long.sizes['time']:,}",
        long_size=long.sizes["hidden_size"],
        gru_long=f"{long.forward.ratio:.1f}",
        rnn_long=f"{speed_at(measured['rnn'], 'long').forward.ratio:.1f}",
    )


def _notes(measured: Mapping[str, Measurements]) -> str:
    example = measured["lstm"]
    sizes = ", ".join(f"`{name}` {size}" for name, size in speed_at(example, "medium").sizes.items())
    notes = sorted({measured_on(each) for kind, each in measured.items() if "/" not in kind})
    return NOTES.format(
        sizes=sizes, epochs=len(example.learning.accuracies), step=step_note(), measured_on="\n\n".join(notes)
    )


def speed_at(measurements: Measurements, shape: str) -> Speed:
    """Return the speed of a kind at a shape."""
    return next(each for each in measurements.speed if each.shape == shape)


class Cell(NamedTuple):
    """A cell of the table.

    Attributes:
        html: its content.
        value: the sort key; None: the content.
        bar: length of its bar relative to the longest; None: no bar.
    """

    html: str
    value: float | None = None
    bar: float | None = None


class Row(NamedTuple):
    """A row of the table: the values for filters, its first cell, and the other cells by heading."""

    filters: dict[str, str]
    kind: str
    cells: dict[str, Cell]


# heading, its unit, and its sort order
HEADINGS = {
    "kind": ("", "text"),
    "use": ("", ""),
    "family": ("", "text"),
    "states": ("", "number"),
    "state": ("bytes", "number"),
    "gates": ("", "number"),
    "parallel": ("over time", "text"),
    "parameters": ("64 to 128", "number"),
    "weights": ("bytes", "number"),
    "multiply-adds": ("per step", "number"),
    "step": ("µs, batch 1", "number"),
    "forward": ("LSTM = 1", "number"),
    "training": ("LSTM = 1", "number"),
    "digits": ("accuracy", "number"),
    "export": ("ONNX", "text"),
    "paper": ("", "number"),
}


def _row(card: CardContext, measurements: Measurements) -> Row:
    medium, summary = speed_at(measurements, "medium"), layer_summary(card)
    costs: tuple[int | None, ...] = (None, None, None, None)
    if not isinstance(summary, str):
        costs = (summary.state_bytes, summary.parameters, summary.weight_bytes, summary.multiply_adds_per_step)
    state, parameters, weights, multiply_adds = map(_count, costs)
    cells = {
        "use": Cell(escape(ENTRIES[card.name])),
        "family": Cell(escape(card.record.family or NO_FAMILY)),
        "states": _states(card),
        "state": state,
        "gates": _gates(card),
        "parallel": Cell("yes" if card.parallel_over_time else "no"),
        "parameters": parameters,
        "weights": weights,
        "multiply-adds": multiply_adds,
        "step": _step(card),
        "forward": _ratio(medium.forward.ratio),
        "training": _ratio(medium.training.ratio),
        "digits": Cell(percent(measurements.learning.accuracies[-1]), measurements.learning.accuracies[-1]),
        "export": Cell("yes" if exports(measurements) else "no"),
        "paper": _paper(card),
    }
    return Row(_filters(card, measurements), _name(card), cells)


def _filters(card: CardContext, measurements: Measurements) -> dict[str, str]:
    answers = {
        "export": exports(measurements),
        "parallel": card.parallel_over_time,
        "sizes": card.record.sizes_per_layer,
        "kernel": has_torch_kernel(card),
        "own": card.distribution == "rnnkit",
    }
    return {
        "family": card.record.family or NO_FAMILY,
        **{name: "yes" if answer else "no" for name, answer in answers.items()},
    }


def exports(measurements: Measurements) -> bool:
    """Whether a kind can be exported to ONNX."""
    outcome = measurements.outcome_of("onnx_file_equals_model")
    return outcome is not None and outcome.outcome == "passed"


def has_torch_kernel(card: CardContext) -> bool:
    """Whether torch's fused kernels run all steps at once."""
    return bool(card.torch_module) or any(getattr(cell, "kernel", None) is not None for cell in card.cells)


def _name(card: CardContext) -> str:
    bare = card.name.rpartition("/")[2]
    provider = "" if card.distribution == "rnnkit" else f"<small>{escape(card.distribution)}</small>"
    return f'<a href="{bare}.html"><code>{escape(bare)}</code></a>{provider}'


def _states(card: CardContext) -> Cell:
    parts = list(card.state_parts)
    if len({type(cell) for cell in card.cells}) > 1:
        return Cell("of its cells", 0)
    return Cell(", ".join(f"<i>{escape(part)}</i>" for part in parts), len(parts))


def _gates(card: CardContext) -> Cell:
    if not card.record.equation:
        return Cell("of its cells", 0)
    count = len(gates_of(card.record.equation))
    return Cell(str(count), count)


def _count(number: int | None) -> Cell:
    return Cell("not known", 0) if number is None else Cell(f"{number:,}", number)


def _step(card: CardContext) -> Cell:
    time = step_time(card.name)
    return Cell("not measured", 0) if time is None else Cell(f"{time.microseconds:.0f}", time.microseconds)


def _ratio(ratio: float) -> Cell:
    return Cell(f"{ratio:.2f}", ratio, min(ratio / LARGEST_BAR, 1))


def _paper(card: CardContext) -> Cell:
    paper = next(iter(card.record.papers), None)
    if paper is None:
        return Cell("none", 0)
    return Cell(f'<a href="{escape(paper.link)}">{escape(surnames(paper.authors))}, {paper.year}</a>', paper.year)


def _table(rows: list[Row]) -> Iterator[str]:
    yield '<div class="rnnkit-kinds" role="region" aria-label="Table of kinds" tabindex="0">'
    yield '<table class="rnnkit-kinds-table">'
    yield "<thead><tr>"
    yield from (_heading(name) for name in HEADINGS)
    yield "</tr></thead>"
    yield "<tbody>"
    yield from (_row_html(row) for row in rows)
    yield "</tbody>"
    yield "</table>"
    yield "</div>"


def _heading(name: str) -> str:
    unit, sort = HEADINGS[name]
    sorted_by = f' data-sort="{sort}"' if sort else ""
    small = f"<small>{unit}</small>" if unit else ""
    classes = ' class="rnnkit-number"' if _is_number(name) else ""
    return f'<th scope="col"{classes}{sorted_by}><span>{name}</span>{small}</th>'


def _row_html(row: Row) -> str:
    filters = "".join(f' data-{name}="{escape(value)}"' for name, value in row.filters.items())
    cells = "".join(_cell_html(name, cell) for name, cell in row.cells.items())
    return f'<tr{filters}><th scope="row">{row.kind}</th>{cells}</tr>'


def _cell_html(name: str, cell: Cell) -> str:
    classes = ["rnnkit-number"] * _is_number(name) + ["rnnkit-bar"] * (cell.bar is not None)
    attributes = f' class="{" ".join(classes)}"' if classes else ""
    if cell.value is not None:
        attributes += f' data-value="{round(cell.value, 4):.12g}"'
    if cell.bar is not None:
        attributes += f' style="--share: {100 * cell.bar:.0f}%"'
    return f"<td{attributes}>{cell.html}</td>"


def _is_number(name: str) -> bool:
    """Whether the cells of a column show numbers, rather than text with a numeric sort key."""
    return HEADINGS[name][1] == "number" and name not in {"states", "paper"}
