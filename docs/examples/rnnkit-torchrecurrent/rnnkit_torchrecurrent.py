"""The cells of torchrecurrent that rnnkit does not have, as kinds of rnnkit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import torch
import torchrecurrent
from torch import Tensor

from rnnkit import Cell, CellState, Kind, Paper, Problem, RecurrentSpec, cell_kind, hookimpl


class TwoPartState(NamedTuple):
    """The state of a cell with two parts, each `(batch, hidden_size)`."""

    h: Tensor
    c: Tensor


class DelayedState(NamedTuple):
    """The state after a step and the state before it, each `(batch, hidden_size)`."""

    h: Tensor
    delayed: Tensor


# what else multiplies the state in `dsgu` and in `multiplicative_lstm`, behind an element-wise product
MULTIPLIES_THE_STATE = {"weight_hh", "weight_ho", "weight_mh"}


class TorchrecurrentCell(Cell):
    """A cell of torchrecurrent, whose whole `forward` is the step.

    A plan moves the products with the input out of the time loop, so that an executor of rnnkit is as fast as for a
    cell that has a `project`.

    Attributes:
        inner: the cell of torchrecurrent.
        state_sizes: the number of features of each part of the state.
    """

    inner_class: ClassVar[Callable[..., Any]]
    separate_output: ClassVar[bool]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        # torchrecurrent creates its parameters on the CPU if no device is given
        device = torch.get_default_device() if device is None else torch.device(device)
        # `to`: some of its cells create a parameter in float32 on the CPU whatever they are given
        inner = type(self).inner_class(input_size, hidden_size, device=device, dtype=dtype)
        self.inner = inner.to(device=device, dtype=dtype)

        probe = type(self).inner_class(input_size, hidden_size, device=torch.device("meta"))
        self.state_sizes = [part.shape[-1] for part in self._state(probe(torch.empty(1, input_size, device="meta")))]

    def state_shapes(self, batch_size: int) -> Any:
        return self.State(*[torch.Size((batch_size, size)) for size in self.state_sizes])

    def step(self, projected_t: Tensor, state: Any) -> tuple[Tensor, Any]:
        result = self.inner(projected_t, tuple(state) if len(state) > 1 else state.h)
        new = self._state(result)
        return (result[0] if self.separate_output else new[0]), new

    def _state(self, result: Any) -> Any:
        """Return the state in the result of the inner cell."""
        parts = result[1] if self.separate_output else result
        return self.State(*parts) if isinstance(parts, tuple) else self.State(parts)

    def recurrent_weights(self) -> list[Tensor]:
        named = self.inner.named_parameters()
        return [weight for name, weight in named if name in MULTIPLIES_THE_STATE and weight.dim() == 2]


class TauGRUCell(TorchrecurrentCell):
    """The step of `torchrecurrent.tauGRUCell`, which also reads the state of one step earlier."""

    State = DelayedState
    inner_class = torchrecurrent.tauGRUCell
    separate_output = False

    def step(self, projected_t: Tensor, state: DelayedState) -> tuple[Tensor, DelayedState]:
        h = self.inner(projected_t, state.h, state.delayed)
        return h, DelayedState(h, state.h)

    def _state(self, result: Tensor) -> DelayedState:
        return DelayedState(result, result)


class Entry(NamedTuple):
    """The cell of a kind, and what the kind's record says."""

    cell: str
    summary: str
    papers: tuple[Paper, ...] = ()
    notes: tuple[str, ...] = ()


def arxiv(number: str, year: int, title: str, authors: str) -> tuple[Paper]:
    """Return the record of a paper on arXiv."""
    return (Paper(title=title, authors=authors, year=year, link=f"https://arxiv.org/abs/{number}"),)


BISTABLE = (
    Paper(
        title="A Bio-Inspired Bistable Recurrent Cell Allows for Long-Lasting Memory",
        authors="Nicolas Vecoven, Damien Ernst, Guillaume Drion",
        year=2021,
        link="https://doi.org/10.1371/journal.pone.0252676",
    ),
)
MUTANTS = (
    Paper(
        title="An Empirical Exploration of Recurrent Network Architectures",
        authors="Rafal Jozefowicz, Wojciech Zaremba, Ilya Sutskever",
        year=2015,
        link="https://proceedings.mlr.press/v37/jozefowicz15.html",
    ),
)
HOCHREITER = (
    Paper(
        title="Long Short-Term Memory",
        authors="Sepp Hochreiter, Jürgen Schmidhuber",
        year=1997,
        link="https://doi.org/10.1162/neco.1997.9.8.1735",
    ),
)
TYPED = arxiv("1602.02218", 2016, "Strongly-Typed Recurrent Neural Networks", "David Balduzzi, Muhammad Ghifary")
GATE_UNITS = arxiv("1604.02910", 2016, "Deep Gate Recurrent Neural Network", "Yuan Gao, Dorota Glowacka")
MIRU = "Published at https://doi.org/10.1016/j.neucom.2026.132847."
PRODUCT = "TensorFlow Addons multiplies the two products in the fourth branch of this cell; torchrecurrent adds them."
CONTEXT = (
    "In the paper the hidden layer reads itself and the context weight is fixed near 0.95; here the recurrence passes "
    "through the output and the weight is learned, starting from 0.5."
)

ENTRIES = {
    "atr": Entry(
        "ATRCell",
        "Two gates, the sigmoids of the sum and of the difference of the same two products.",
        arxiv(
            "1810.12546",
            2018,
            "Simplifying Neural Machine Translation with Addition-Subtraction Twin-Gated Recurrent Networks",
            "Biao Zhang, Deyi Xiong, Jinsong Su, Qian Lin, Huiji Zhang",
        ),
    ),
    "brc": Entry("BRCell", "Bistable units with element-wise feedback.", BISTABLE),
    "dsgu": Entry("DSGUCell", "A multiplicative gate on the new state, with a second product before it.", GATE_UNITS),
    "intersection_rnn": Entry(
        "IntersectionRNNCell",
        "Gates over depth and over time, for deep stacks.",
        arxiv(
            "1611.09913",
            2016,
            "Capacity and Trainability in Recurrent Neural Networks",
            "Jasmine Collins, Jascha Sohl-Dickstein, David Sussillo",
        ),
    ),
    "light_ru": Entry(
        "LightRUCell", "A light gated unit.", notes=("Published at https://www.mdpi.com/2079-9292/13/16/3204.",)
    ),
    "memory_controller_lstm": Entry(
        "MCLSTMCell",
        "An LSTM whose gates read a control vector beside the output.",
        notes=("This is not the mass-conserving LSTM (Hoedt et al., arXiv 2101.05186), which is also called MC-LSTM.",),
    ),
    "miru1": Entry("MiRU1Cell", "A gated unit with a fixed update coefficient.", notes=(MIRU,)),
    "miru2": Entry("MiRU2Cell", "A unit with fixed update and reset coefficients.", notes=(MIRU,)),
    "multiplicative_lstm": Entry(
        "MultiplicativeLSTMCell",
        "An LSTM whose recurrent weights depend on the input.",
        arxiv(
            "1609.07959",
            2016,
            "Multiplicative LSTM for sequence modelling",
            "Ben Krause, Liang Lu, Iain Murray, Steve Renals",
        ),
    ),
    "mut1": Entry("MUT1Cell", "The first of three cells found by a search of architectures.", MUTANTS),
    "mut2": Entry("MUT2Cell", "The second of three cells found by a search of architectures.", MUTANTS),
    "mut3": Entry("MUT3Cell", "The third of three cells found by a search of architectures.", MUTANTS),
    "nas": Entry(
        "NASCell",
        "A cell found by reinforcement learning.",
        arxiv("1611.01578", 2016, "Neural Architecture Search with Reinforcement Learning", "Barret Zoph, Quoc V. Le"),
        notes=(PRODUCT,),
    ),
    "original_lstm": Entry("OriginalLSTMCell", "The LSTM without a forget gate.", HOCHREITER),
    "residual_lstm": Entry(
        "ResLSTMCell",
        "An LSTM with peepholes and a shortcut from its input to its output.",
        arxiv(
            "1701.03360",
            2017,
            "Residual LSTM: Design of a Deep Recurrent Architecture for Distant Speech Recognition",
            "Jaeyoung Kim, Mostafa El-Khamy, Jungwon Lee",
        ),
    ),
    "scrn": Entry(
        "SCRNCell",
        "An Elman network beside a slowly changing context.",
        arxiv(
            "1412.7753",
            2014,
            "Learning Longer Memory in Recurrent Neural Networks",
            "Tomas Mikolov, Armand Joulin, Sumit Chopra, Michael Mathieu, Marc'Aurelio Ranzato",
        ),
        notes=(CONTEXT,),
    ),
    "sgrn": Entry(
        "SGRNCell", "A gated network with one gate.", notes=("Published at https://doi.org/10.1049/gtd2.12056.",)
    ),
    "sgu": Entry("SGUCell", "A multiplicative gate on the new state.", GATE_UNITS),
    "tau_gru": Entry(
        "tauGRUCell",
        "A GRU that also reads the state of one step earlier.",
        arxiv(
            "2212.00228",
            2022,
            "Gated Recurrent Neural Networks with Weighted Time-Delay Feedback",
            "N. Benjamin Erichson, Soon Hoe Lim, Michael W. Mahoney",
        ),
    ),
    "tgru": Entry("TGRUCell", "A strongly typed GRU: its gates read the input alone.", TYPED),
    "tlstm": Entry("TLSTMCell", "A strongly typed LSTM: its gates read the input alone.", TYPED),
    "trnn": Entry("TRNNCell", "A forget gate on a linear state; both read the input alone.", TYPED),
    "wmc_lstm": Entry(
        "WMCLSTMCell",
        "An LSTM whose gates read the cell state through matrices.",
        arxiv(
            "2109.00020",
            2021,
            "Working Memory Connections for LSTM",
            "Federico Landi, Lorenzo Baraldi, Marcella Cornia, Rita Cucchiara",
        ),
    ),
}


def cell_class(name: str, inner_class: Any) -> type[TorchrecurrentCell]:
    """Return the class of cells that run a class of torchrecurrent."""
    bases = {base.__name__ for base in inner_class.__mro__}
    two_parts = any("DoubleState" in base for base in bases)
    return type(
        f"Torchrecurrent{name}",
        (TorchrecurrentCell,),
        {
            "__doc__": f"The step of `torchrecurrent.{name}`.",
            "__module__": __name__,
            "State": TwoPartState if two_parts else CellState,
            "inner_class": staticmethod(inner_class),
            "separate_output": any("Decoupled" in base for base in bases),
        },
    )


CELLS = {name: cell_class(entry.cell, getattr(torchrecurrent, entry.cell)) for name, entry in ENTRIES.items()}
CELLS["tau_gru"] = TauGRUCell
globals().update({cell.__name__: cell for cell in CELLS.values()})  # so that they can be pickled


def no_problems(_spec: RecurrentSpec[Any]) -> Iterator[Problem]:
    """Yield nothing: most cells take any sizes."""
    yield from ()


def check_equal_sizes(spec: RecurrentSpec[Any]) -> Iterator[Problem]:
    """Yield a problem if the input of a layer has another size than its state."""
    inputs = [spec.input_size, *(spec.directions * size for size in spec.hidden_sizes)]
    if any(of_input != of_state for of_input, of_state in zip(inputs, spec.hidden_sizes, strict=False)):
        text = f"The output is a mix of input and state: use hidden_size={spec.input_size}, the input_size"
        alone = ", and bidirectional=False or num_layers=1" if spec.bidirectional and spec.num_layers > 1 else ""
        yield Problem("hidden_size", text + alone)


CHECKS = {"intersection_rnn": check_equal_sizes}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    for name, entry in ENTRIES.items():
        register(
            cell_kind(
                CELLS[name],
                name=name,
                summary=entry.summary,
                papers=entry.papers,
                notes=entry.notes,
                family="gated",
                check=CHECKS.get(name, no_problems),
            )
        )
