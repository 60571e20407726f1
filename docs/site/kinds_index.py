"""The page on which one chooses a kind: advice, and a table of all kinds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import NamedTuple

from rnnkit_cards import CardContext, Measurements, Speed
from rnnkit_cards.capabilities import streaming_support
from rnnkit_cards.equation_lines import gates_of
from rnnkit_cards.sections.cost import layer_summary, measured_on
from rnnkit_cards.sections.header import surnames
from rnnkit_cards.sections.learning import percent

# what one takes each kind for, in the order of the table
ENTRIES = {
    "lstm": "The first to try: a long memory, and a fast kernel of torch on a CPU.",
    "lstm_cell": "An LSTM with layer norm, zoneout, residual layers or a size for each layer.",
    "gru": "Nearly an LSTM, with three quarters of its parameters and half its state.",
    "gru_cell": "A GRU with layer norm, zoneout, residual layers or a size for each layer.",
    "rnn": "Short memories and small models, and a baseline that the others must beat.",
    "rnn_cell": "The same with layer norm, zoneout, residual layers or a size for each layer.",
    "janet": "A forget gate and nothing else: half an LSTM's parameters.",
    "ugrnn": "One gate, which decides what to keep and what to take in.",
    "mgu": "A GRU with a single gate: two thirds of its parameters.",
    "peephole_lstm": "An LSTM whose gates read the cell state, for precise timing.",
    "ligru": "A ReLU and one gate, from speech recognition.",
    "fastgrnn": "Gates that share their matrices: models of kilobytes for microcontrollers.",
    "fastrnn": "A residual step with two learned scalars, for microcontrollers.",
    "ran": "A gated sum of inputs, which can be read as weights of each input.",
    "cfn": "Two gates and stable dynamics: without input the state decays.",
    "minimalrnn": "One gate, and a state in the space of the encoded input, which can be interpreted.",
    "star": "One gate and a bounded state, for deep stacks.",
    "rhn": "Several gated layers within each step.",
    "mogrifier_lstm": "An LSTM whose input and state gate each other first, from language modelling.",
    "slstm": "xLSTM's scalar memory: exponential gates, for state tracking.",
    "mingru": "The simplest gated cell that trains in parallel over time.",
    "minlstm": "minGRU with a forget gate and an input gate.",
    "rglru": "The recurrence of Griffin and RecurrentGemma: a gated decay near 1.",
    "hgrn": "Forget gates with a lower bound that rises with the layer, for deep stacks.",
    "qrnn": "Gates from a convolution over the last inputs, for text and audio.",
    "sru": "A light unit with a highway connection, for fast classifiers.",
    "lru": "Slowly decaying oscillations: long-range dependencies with few parameters.",
    "s5": "A state space model with a HiPPO start, for continuous signals.",
    "selective_ssm": "Mamba's recurrence: the input selects what the state keeps.",
    "lem": "Two states with learned time scales, for signals with several of them.",
    "cornn": "Coupled, damped oscillators, whose gradients stay bounded.",
    "unicornn": "Uncoupled oscillators, one frequency for each unit, for deep stacks.",
    "antisymmetric": "A stable linear part without gates.",
    "cfc": "A closed-form continuous-time cell, for irregular time series and control.",
    "lmu": "A window of the past as Legendre coefficients.",
    "indrnn": "Each unit reads only its own state: very long sequences, deep stacks.",
    "exprnn": "An orthogonal recurrent matrix, for copying over long gaps.",
    "esn": "A fixed random network, whose readout is fitted in one solve.",
    "gla": "Linear attention with a decay: RetNet, GLA and HGRN2 in one cell.",
    "xlstm_matrix": "xLSTM's matrix memory (mLSTM), for recall.",
    "gated_deltanet": "The gated delta rule, which replaces values in its memory: the best recall.",
    "mixed": "Another cell in each layer, such as an LSTM below a GRU.",
    "rnnkit-nbrc/nbrc": "Units that can hold one bit for any number of steps. The example of a plugin.",
}
# of a record, and the title of its page
FAMILIES = {
    "gated": "Gated cells",
    "linear": "Linear recurrences",
    "matrix": "Matrix states",
    "continuous": "Continuous-time cells",
    "simple": "Simple cells",
}
FRONT_MATTER = """\
---
description: "A table to choose a recurrent network by: what each kind is for, its states, gates, parameters, speed."
styles: [assets/stylesheets/kinds.css]
scripts: [assets/javascripts/kinds_table.js]
hide: [navigation, toc]
---
"""
INTRO = """\
# Kinds

A kind is a family of recurrent networks, which a spec names. Each has a page with its equation, a drawing of one step,
its options, shapes, an example, and what was measured of it.

## Which one to take

- **No idea yet?** Take [`lstm`](lstm.md). Its memory is long, and torch has a fast kernel for it on a CPU. With
  [`rnnkit-kernels`](../explanation/plans.md) a GRU takes {gru_long} times as long over {long_steps} steps with a
  `hidden_size` of {long_size}, and several times as long without.
- **Fewer parameters, a smaller state?** [`gru`](gru.md) has three quarters of the parameters and half the state.
- **Layer norm, zoneout, residual layers, another size in each layer?** Take the same network as a stack of cells,
  [`lstm_cell`](lstm_cell.md) or [`gru_cell`](gru_cell.md): the same numbers from the same kernels, and more options.
- **Gradients of each row, `torch.func`?** Take a stack of cells too: torch's own modules cannot do that.
- **A baseline?** [`rnn`](rnn.md) has no gates, and takes {rnn_medium} of the time of an LSTM at medium sizes.
- **Thousands of steps?** Take a [linear recurrence](families/linear.md), such as [`mingru`](mingru.md) or
  [`lru`](lru.md), which trains in parallel over time.
- **Look up what was read before?** Take a [matrix state](families/matrix.md), such as [`gla`](gla.md).
- **Irregular samples, physical signals?** Take a [continuous-time cell](families/continuous.md), such as
  [`cfc`](cfc.md) or [`lem`](lem.md).
- **None of these?** Write one time step, and [get the network](../plugins/cells.md), as [`nbrc`](nbrc.md) came about.

## All of them
"""
NOTES = """\
*Parameters*, *multiply-adds* and *state* are those of one layer with `input_size` 64 and `hidden_size` 128; the state
is that of one sequence in float32. *Parallel* kinds compute all steps of a sequence at once, with a scan. *Forward* and
*training* are the time relative to `torch.nn.LSTM`, which is 1, in CPU time of one thread with `rnnkit-kernels`, with
{sizes}.
*Digits* is the accuracy on the demo task after {epochs} epochs, of which a percent or two are chance. Each page has the
details.

{measured_on}
"""
LARGEST_BAR = 1.5
NO_FAMILY = "other"


def index_text(measured: Mapping[str, Measurements]) -> str:
    """The page, from what was measured of each kind that is to stand in the table, in their order there."""
    rows = [_row(CardContext.of(kind), measured[kind]) for kind in ENTRIES if kind in measured]
    return "\n".join([FRONT_MATTER, _intro(measured), *_table(rows), "", _notes(measured)])


def _intro(measured: Mapping[str, Measurements]) -> str:
    long = speed_at(measured["gru"], "long")
    return INTRO.format(
        long_steps=f"{long.sizes['time']:,}",
        long_size=long.sizes["hidden_size"],
        gru_long=f"{long.forward.ratio:.1f}",
        rnn_medium=f"{100 * speed_at(measured['rnn'], 'medium').forward.ratio:.0f}\N{NO-BREAK SPACE}%",
    )


def _notes(measured: Mapping[str, Measurements]) -> str:
    example = measured["lstm"]
    sizes = ", ".join(f"`{name}` {size}" for name, size in speed_at(example, "medium").sizes.items())
    notes = sorted({measured_on(each) for kind, each in measured.items() if "/" not in kind})
    return NOTES.format(sizes=sizes, epochs=len(example.learning.accuracies), measured_on="\n\n".join(notes))


def speed_at(measurements: Measurements, shape: str) -> Speed:
    """How fast a kind is at a shape."""
    return next(each for each in measurements.speed if each.shape == shape)


class Cell(NamedTuple):
    """A cell of the table.

    Attributes:
        html: what it shows.
        value: what its column is sorted by; None: what it shows.
        bar: its size as a part of the largest, for a bar; None: it has none.
    """

    html: str
    value: float | None = None
    bar: float | None = None


class Row(NamedTuple):
    """A row of the table: what it is filtered by, its first cell, and the others by their headings."""

    filters: dict[str, str]
    kind: str
    cells: dict[str, Cell]


# heading, what stands below it in small, and how it is sorted
HEADINGS = {
    "kind": ("", "text"),
    "what it is for": ("", ""),
    "family": ("", "text"),
    "states": ("", "number"),
    "state": ("bytes", "number"),
    "gates": ("", "number"),
    "parallel": ("over time", "text"),
    "parameters": ("64 to 128", "number"),
    "multiply-adds": ("a step", "number"),
    "forward": ("LSTM = 1", "number"),
    "training": ("LSTM = 1", "number"),
    "digits": ("accuracy", "number"),
    "streaming": ("", "text"),
    "paper": ("", "number"),
}


def _row(card: CardContext, measurements: Measurements) -> Row:
    medium, summary = speed_at(measurements, "medium"), layer_summary(card)
    costs: tuple[int | None, ...] = (None, None, None)
    if not isinstance(summary, str):
        costs = (summary.state_bytes, summary.parameters, summary.multiply_adds_per_step)
    state, parameters, multiply_adds = map(_count, costs)
    cells = {
        "what it is for": Cell(escape(ENTRIES[card.name])),
        "family": Cell(escape(card.record.family or NO_FAMILY)),
        "states": _states(card),
        "state": state,
        "gates": _gates(card),
        "parallel": Cell("yes" if card.parallel_over_time else "no"),
        "parameters": parameters,
        "multiply-adds": multiply_adds,
        "forward": _ratio(medium.forward.ratio),
        "training": _ratio(medium.training.ratio),
        "digits": Cell(percent(measurements.learning.accuracies[-1]), measurements.learning.accuracies[-1]),
        "streaming": Cell(streaming_support(measurements)),
        "paper": _paper(card),
    }
    return Row(_filters(card, measurements), _name(card), cells)


def _filters(card: CardContext, measurements: Measurements) -> dict[str, str]:
    answers = {
        "streaming": streaming_support(measurements) == "yes",
        "parallel": card.parallel_over_time,
        "sizes": card.record.sizes_per_layer,
        "kernel": has_torch_kernel(card),
        "own": card.distribution == "rnnkit",
    }
    return {
        "family": card.record.family or NO_FAMILY,
        **{name: "yes" if answer else "no" for name, answer in answers.items()},
    }


def has_torch_kernel(card: CardContext) -> bool:
    """Whether torch's own kernels run it, over all steps at once."""
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
    """Whether the cells of a column show numbers, and not only have one to be sorted by."""
    return HEADINGS[name][1] == "number" and name not in {"states", "paper"}
