"""What `rnn`, `lstm` and `gru` share: one of torch's own recurrent modules as a backbone."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnkit import Backbone, RecurrentSpec, orthogonal_

# how the name of a symbol begins that stands for rows of a parameter
_PARAMETERS = {"W_{i": "weight_ih_l0", "W_{h": "weight_hh_l0", "b_{i": "bias_ih_l0", "b_{h": "bias_hh_l0"}


class HiddenState(NamedTuple):
    """The state of a network whose only memory is its output."""

    h_n: Tensor
    """`(num_layers * directions, batch, hidden_size)`."""


def shared_arguments(spec: RecurrentSpec[Any]) -> dict[str, Any]:
    """The constructor arguments that `nn.RNN`, `nn.LSTM` and `nn.GRU` have in common."""
    names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
    return {name: getattr(spec, name) for name in names}


class TorchBackbone(Backbone):
    """A backbone around `nn.RNN`, `nn.LSTM` or `nn.GRU`.

    Args:
        spec: what the network was built from.
        rnn: the network, kept as the attribute `rnn`.

    Shape:
        Each part of the state is `(num_layers * directions, batch, features)`, as in torch: layer 0 forward,
        layer 0 reverse, layer 1 forward, and so on.
    """

    def __init__(self, spec: RecurrentSpec[Any], rnn: nn.RNNBase) -> None:
        directions = 2 if rnn.bidirectional else 1
        super().__init__(spec, features=directions * (rnn.proj_size or rnn.hidden_size))
        self.rnn = rnn
        self.rows = rnn.num_layers * directions
        if spec.options.recurrent_init == "orthogonal":
            for _, weight_hh, *_ in rnn.all_weights:
                orthogonal_(weight_hh, rnn.hidden_size)

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.rnn.weight_ih_l0.dtype  # type: ignore[assignment]  # a parameter, which its type stub does not know
        return dtype

    def state_shapes(self, batch_size: int) -> Any:
        h_n: Any = torch.Size((self.rows, batch_size, self.rnn.hidden_size))
        return HiddenState(h_n)

    def _symbols(self, gates: str) -> dict[str, Tensor]:
        """The weights and biases of the lowest layer under the names that equations give them: `W_{ir}`, `b_{hz}`."""
        found: dict[str, Tensor] = {}
        for letters, name in _PARAMETERS.items():
            if hasattr(self.rnn, name):
                of_gates = getattr(self.rnn, name).chunk(len(gates))
                found |= {f"{letters}{gate}}}": rows for gate, rows in zip(gates, of_gates, strict=True)}
        return found

    def run(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> tuple[Tensor, Any]:
        if lengths is None:
            return self._call(x, state)
        time = x.shape[1 if self.batch_first else 0]
        ends = lengths.cpu()
        packed = pack_padded_sequence(x, ends.clamp(min=1), self.batch_first, enforce_sorted=False)
        packed_output, final = self._call(packed, state)
        output, _ = pad_packed_sequence(packed_output, self.batch_first, total_length=time)
        if not bool(ends.all()):
            final = self._without_empty_rows(final, state, lengths == 0)
        return output, final

    def _call(self, x: Any, state: Any | None) -> tuple[Any, Any]:
        """Torch takes and returns a bare tensor where the state has one part."""
        hx = state[0] if state is not None and len(state) == 1 else state
        output, final = self.rnn(x, hx)
        return output, self._named(final)

    def _named(self, final: Any) -> Any:
        return HiddenState(final)

    def _without_empty_rows(self, final: Any, state: Any | None, empty: Tensor) -> Any:
        """Undo the one step that rows of length 0 have run, because torch's packing refuses them."""
        before = self.initial_state(len(empty)) if state is None else state
        return type(final)(*(torch.where(empty[:, None], *parts) for parts in zip(before, final, strict=True)))
