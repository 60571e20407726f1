"""The liquid time-constant cell of ncps, with a wiring, as a kind of rnnkit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import torch
from ncps.torch import LTCCell as InnerCell
from ncps.wirings import AutoNCP, FullyConnected
from pydantic import Field
from torch import Tensor, nn

from rnnkit import Cell, CellState, Kind, Paper, Problem, StackOptions, cell_kind, hookimpl

# AutoNCP needs this many interneurons and command neurons beside its motor neurons.
_FEWEST_OTHERS = 3

HASANI = Paper(
    title="Liquid Time-constant Networks",
    authors="Ramin Hasani, Mathias Lechner, Alexander Amini, Daniela Rus, Radu Grosu",
    year=2021,
    link="https://arxiv.org/abs/2006.04439",
    contribution="the cell and its fused solver",
)
LECHNER = Paper(
    title="Neural circuit policies enabling auditable autonomy",
    authors="Mathias Lechner, Ramin Hasani, Alexander Amini, Thomas A. Henzinger, Daniela Rus, Radu Grosu",
    year=2020,
    link="https://doi.org/10.1038/s42256-020-00237-3",
    contribution="the wiring",
)


class LTCOptions(StackOptions):
    """Options of the kind `ltc`."""

    wiring: Literal["full", "ncp"] = "full"
    """`"full"` connects every neuron with every other; `"ncp"` arranges them in layers of interneurons, command neurons
    and motor neurons, with sparse connections."""
    motor_neurons: Annotated[int, Field(ge=1)] | None = None
    """How many of the neurons are the output of a layer; None: all with `"full"`, a third with `"ncp"`."""
    sparsity: Annotated[float, Field(ge=0.1, le=0.9)] = 0.5
    """Fraction of connections that the wiring `"ncp"` leaves out."""
    ode_unfolds: Annotated[int, Field(ge=1, le=100)] = 6
    """Steps of the solver in one time step."""


class _FunctionalCell(InnerCell):  # type: ignore[misc]  # ncps has no types
    """The cell of ncps, reading its parameters from the module, so that `torch.func.functional_call` replaces them.

    ncps keeps a dict of its own, which continues to hold the first parameters.
    """

    @property
    def _params(self) -> dict[str, nn.Parameter | None]:
        parameters: dict[str, nn.Parameter | None] = self._parameters
        return parameters

    @_params.setter
    def _params(self, value: Any) -> None:
        """Ignore the empty dict that the constructor of ncps assigns."""


class LTCCell(Cell):
    """One step of a liquid time-constant network; its state is `CellState(h)`, the potentials of the neurons.

    Attributes:
        inner: the cell of ncps.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        wiring: str = "full",
        motor_neurons: int | None = None,
        sparsity: float = 0.5,
        ode_unfolds: int = 6,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.output_size = outputs_of(hidden_size, wiring, motor_neurons)
        connections = (
            FullyConnected(hidden_size, self.output_size)
            if wiring == "full"
            else AutoNCP(hidden_size, self.output_size, sparsity_level=sparsity)
        )
        with torch.device("cpu"), _default_dtype(dtype):  # ncps converts NumPy arrays, and takes no dtype
            inner = _FunctionalCell(connections, input_size, ode_unfolds=ode_unfolds)
        self.inner = inner.to(device=torch.get_default_device() if device is None else device, dtype=dtype)

    def project(self, x: Tensor, elapsed: Tensor | float = 1.0) -> Any:
        return x, elapsed

    def step(self, projected_t: Any, state: CellState) -> tuple[Tensor, CellState]:
        x, elapsed = projected_t
        output, h = self.inner(x, state.h, elapsed)
        return output, CellState(h)

    def constrain_(self) -> None:
        """Make conductances and capacitances positive, as the paper does after each optimizer step."""
        self.inner.apply_weight_constraints()


@contextmanager
def _default_dtype(dtype: torch.dtype | None) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(before if dtype is None else dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def outputs_of(hidden_size: int, wiring: str, motor_neurons: int | None) -> int:
    """Return the number of motor neurons of a layer."""
    if motor_neurons is not None:
        return motor_neurons
    return hidden_size if wiring == "full" else max(1, hidden_size // 3)


def check(spec: Any) -> Iterator[Problem]:
    """Yield a problem if a layer has too few neurons for its wiring."""
    options = spec.options
    for size in spec.hidden_sizes:
        outputs = outputs_of(size, options.wiring, options.motor_neurons)
        others = 0 if options.wiring == "full" else _FEWEST_OTHERS
        if outputs + others > size:
            yield Problem(
                "options.motor_neurons",
                f"wiring={options.wiring!r} with {outputs} motor neurons needs hidden_size >= {outputs + others}, "
                f"but it is {size}",
            )
            return


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            LTCCell,
            name="ltc",
            summary="Neurons with input-dependent time constants, for irregular time series and small controllers.",
            keywords=["liquid time-constant network"],
            family="continuous",
            papers=[HASANI, LECHNER],
            options=LTCOptions,
            check=check,
            inapplicable_checks={"loss_decreases": "few neurons with a sparse wiring learn the short task too slowly"},
        )
    )
