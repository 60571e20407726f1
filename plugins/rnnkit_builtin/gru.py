"""The kind `gru`: the gated recurrent unit, on `torch.nn.GRU`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rnnkit import InitOptions, Kind, RecurrentSpec, hookimpl
from rnnkit_builtin._equations import CHO, GRU_MEANINGS, GRU_NOTES, GRU_STEP
from rnnkit_builtin._torch_backbone import TorchBackbone, hidden_features, new_module, shared_arguments


class GRUBackbone(TorchBackbone):
    """`torch.nn.GRU` as a backbone; its state is `HiddenState(h_n)`."""

    def __init__(
        self, spec: RecurrentSpec[InitOptions], *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        super().__init__(spec, new_module(nn.GRU, **shared_arguments(spec), device=device, dtype=dtype))

    def symbols(self) -> dict[str, Tensor]:
        return self._symbols("rzn")


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        Kind(
            name="gru",
            keywords=("gated recurrent unit",),
            builder=GRUBackbone,
            options=InitOptions,
            features=hidden_features,
            summary="Gated recurrent unit: a reset and an update gate, about three quarters of an LSTM's parameters.",
            equation=GRU_STEP,
            meanings=GRU_MEANINGS,
            family="gated",
            papers=(CHO,),
            notes=GRU_NOTES,
        )
    )
