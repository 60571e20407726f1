"""The kind `ligru`: a GRU without its reset gate, with ReLU and normalized inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import CellState, GatedCell, Kind, Paper, Problem, RecurrentSpec, StackOptions, cell_kind, hookimpl

RAVANELLI = Paper(
    title="Light Gated Recurrent Units for Speech Recognition",
    authors="Mirco Ravanelli, Philemon Brakel, Maurizio Omologo, Yoshua Bengio",
    year=2018,
    link="https://arxiv.org/abs/1803.10225",
)

NORM_NOTE = (
    "The paper normalizes the products with the input over the batch. rnnkit normalizes each over its features, so "
    "that a sequence gives the same result alone, in a batch and with padding. The layer norm of SpeechBrain is over "
    "both products together."
)
RELU_NOTE = (
    'ReLU does not bound the state, which can grow without limit over long sequences; `nonlinearity="tanh"` does.'
)


class LiGRUOptions(StackOptions):
    """Options of the kind `ligru`."""

    layer_norm: Literal["none", "output", "gates"] = "gates"
    """`"gates"` normalizes the two products with the input, each over its features, in place of the paper's batch
    normalization; `"output"` normalizes the output of each layer instead; `"none"` normalizes nothing."""
    nonlinearity: Literal["relu", "tanh"] = "relu"
    """Activation of the new values, phi in the equation."""


class LiGRUCell(GatedCell):
    """One step of a light GRU; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(2 * hidden_size, input_size)`; the rows of the new values n, then those of z.
        weight_hh: `(2 * hidden_size, hidden_size)`; each block starts orthogonal.
        bias: `(2 * hidden_size,)`, added after the normalization, or None.
        gain: `(2 * hidden_size,)`, the factors of the normalized products; None without normalization.
    """

    gates = "nz"
    forget_gate = "z"
    input_gate = ""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: Literal["relu", "tanh"] = "relu",
        layer_norm: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, **kwargs)
        self.nonlinearity = nonlinearity
        self.gain = nn.Parameter(torch.ones_like(self.weight_ih[:, 0])) if layer_norm else None
        self.init_orthogonal()
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def project(self, x: Tensor) -> Any:
        if self.gain is None:
            return super().project(x)
        products = F.linear(x, self.weight_ih).unflatten(-1, (2, self.hidden_size))
        projected = self._normalize(products).flatten(-2) * self.gain
        return projected if self.bias is None else projected + self.bias

    def step(self, projected_t: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        n, z = self.pre_activations(projected_t, state.h)
        # not lerp: without a bound on n or h, it would lose the smaller term to a rounding of 1 - sigmoid(z)
        h = torch.sigmoid(-z) * self._phi(n) + torch.sigmoid(z) * state.h
        return h, CellState(h)

    def symbols(self) -> dict[str, Any]:
        if self.gain is None:
            norm: dict[str, Any] = {"a_n": 1, "a_z": 1, r"\mathrm{LN}": torch.clone}
        else:
            norm = {"a_n": self.gain.chunk(2)[0], "a_z": self.gain.chunk(2)[1], r"\mathrm{LN}": self._normalize}
        return {**super().symbols(), **norm, r"\phi": self._phi}

    def _normalize(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, (self.hidden_size,))

    @property
    def _phi(self) -> Callable[[Tensor], Tensor]:
        return torch.relu if self.nonlinearity == "relu" else torch.tanh


def check(spec: RecurrentSpec[LiGRUOptions]) -> Iterator[Problem]:
    if spec.options.layer_norm == "gates" and 1 in spec.hidden_sizes:
        message = 'Normalizing a single feature always gives zero: set hidden_size above 1, or layer_norm to "none"'
        yield Problem("hidden_size", message)


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            LiGRUCell,
            name="ligru",
            summary="A GRU with one gate and ReLU, for speech recognition.",
            keywords=["light GRU"],
            family="gated",
            equation=r"""
                z_t &= \sigma(a_z \odot \mathrm{LN}(W_{iz} x_t) + W_{hz} h_{t-1} + b_z) \\
                n_t &= \phi(a_n \odot \mathrm{LN}(W_{in} x_t) + W_{hn} h_{t-1} + b_n) \\
                h_t &= z_t \odot h_{t-1} + (1 - z_t) \odot n_t
            """,
            meanings={
                "z_t": "update gate: how much of the old state stays",
                "n_t": "new values for the state",
                "a_z": "gain of the normalization of the gate",
                "a_n": "gain of the normalization of the new values",
                r"\mathrm{LN}": "normalization over the features to mean 0 and variance 1; without it, the identity",
                r"\phi": "function of each feature that `nonlinearity` names: the positive part, or tanh",
            },
            papers=[RAVANELLI],
            notes=[NORM_NOTE, RELU_NOTE],
            options=LiGRUOptions,
            check=check,
        )
    )
