"""The kind `gru`: the gated recurrent unit, on `torch.nn.GRU`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rnnkit import InitOptions, Kind, Paper, RecurrentSpec, hookimpl
from rnnkit_builtin._torch_backbone import TorchBackbone, hidden_features, shared_arguments

CHO = Paper(
    title="Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
    authors="Kyunghyun Cho et al.",
    year=2014,
    link="https://arxiv.org/abs/1406.1078",
)
# The reset gate is applied after the matrix product, as in torch and cuDNN; in the paper (v3), before it.
GRU_STEP = r"""
    r_t &= \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr}) \\
    z_t &= \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz}) \\
    n_t &= \tanh(W_{in} x_t + b_{in} + r_t \odot (W_{hn} h_{t-1} + b_{hn})) \\
    h_t &= (1 - z_t) \odot n_t + z_t \odot h_{t-1}
"""
GRU_MEANINGS = {
    "r_t": "reset gate: how much of the old state the new values read",
    "z_t": "update gate: how much of the old state stays",
    "n_t": "new values for the state",
}


class GRUBackbone(TorchBackbone):
    """`torch.nn.GRU` as a backbone; its state is `HiddenState(h_n)`."""

    def __init__(
        self, spec: RecurrentSpec[InitOptions], *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        super().__init__(spec, nn.GRU(**shared_arguments(spec), device=device, dtype=dtype))

    def symbols(self) -> dict[str, Tensor]:
        return self._symbols("rzn")


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        Kind(
            name="gru",
            builder=GRUBackbone,
            options=InitOptions,
            features=hidden_features,
            summary="Gated recurrent unit: a reset and an update gate, about three quarters of an LSTM's parameters.",
            equation=GRU_STEP,
            meanings=GRU_MEANINGS,
            paper=CHO,
        )
    )
