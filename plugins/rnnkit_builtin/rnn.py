r"""The kind `rnn`: Elman's recurrent network, on `torch.nn.RNN`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from rnnkit import InitOptions, Kind, RecurrentSpec, hookimpl
from rnnkit_builtin._equations import ELMAN, ELMAN_MEANINGS, ELMAN_STEP
from rnnkit_builtin._torch_backbone import TorchBackbone, hidden_features, new_module, shared_arguments


class RNNOptions(InitOptions):
    """Options of `rnn`."""

    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """Activation function, phi in the equation."""


class RNNBackbone(TorchBackbone):
    """`torch.nn.RNN` as a backbone; its state is `HiddenState(h_n)`."""

    def __init__(
        self, spec: RecurrentSpec[RNNOptions], *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        rnn = new_module(
            nn.RNN, **shared_arguments(spec), nonlinearity=spec.options.nonlinearity, device=device, dtype=dtype
        )
        super().__init__(spec, rnn)

    def symbols(self) -> dict[str, Any]:
        return {**self._symbols("h"), r"\phi": getattr(torch, str(self.rnn.nonlinearity))}


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        Kind(
            name="rnn",
            keywords=("Elman network", "vanilla RNN"),
            builder=RNNBackbone,
            options=RNNOptions,
            features=hidden_features,
            summary="Elman's recurrent network: the new state is one nonlinear layer of the input and the old state.",
            equation=ELMAN_STEP,
            meanings=ELMAN_MEANINGS,
            family="simple",
            papers=(ELMAN,),
        )
    )
