"""The kind `lstm`: long short-term memory, on `torch.nn.LSTM`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import starmap
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from rnnkit import ForgetBiasOptions, Kind, Problem, RecurrentSpec, StepError, chrono_, hookimpl
from rnnkit_builtin._autocast import cast_for_onednn
from rnnkit_builtin._equations import GERS, HOCHREITER, LSTM_MEANINGS, LSTM_NOTES, LSTM_STEP
from rnnkit_builtin._forget_bias import init_chrono_bias, init_forget_bias
from rnnkit_builtin._torch_backbone import TorchBackbone, new_module, shared_arguments


class LSTMState(NamedTuple):
    """The state of an LSTM."""

    h_n: Tensor
    """Hidden state, `(num_layers * directions, batch, proj_size or hidden_size)`."""
    c_n: Tensor
    """Cell state, `(num_layers * directions, batch, hidden_size)`."""


class LSTMOptions(ForgetBiasOptions):
    """Options of `lstm`."""

    proj_size: Annotated[int, Field(ge=0)] = 0
    """Number of features to which the hidden state is projected, smaller than `hidden_size`; 0: no projection."""


class LSTMBackbone(TorchBackbone):
    """`torch.nn.LSTM` as a backbone; its state is `LSTMState(h_n, c_n)`."""

    _make_state = LSTMState._make

    def __init__(
        self, spec: RecurrentSpec[LSTMOptions], *, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        rnn = new_module(
            nn.LSTM, **shared_arguments(spec), proj_size=spec.options.proj_size, device=device, dtype=dtype
        )
        super().__init__(spec, rnn)
        if spec.options.forget_bias is not None:
            for layer in rnn.all_weights:
                _, _, bias_ih, bias_hh, *_ = layer
                _init_forget_gate(spec.options, bias_ih, bias_hh)

    def state_shapes(self, batch_size: int) -> Any:
        h_n: Any = torch.Size((self.state_layers, batch_size, self.output_size))
        c_n: Any = torch.Size((self.state_layers, batch_size, self.hidden_size))
        return LSTMState(h_n, c_n)

    def symbols(self) -> dict[str, Tensor]:
        return self._symbols("ifgo")

    def _call(self, x: Any, state: Any | None) -> tuple[Any, Any]:
        if self.output_size != self.hidden_size and "quantized" in type(self.rnn).__module__:
            raise StepError(
                "torch's quantized LSTM does not support proj_size: leave nn.LSTM out of the modules that "
                "quantize_dynamic replaces, or build the model with proj_size=0"
            )
        if isinstance(x, Tensor):  # oneDNN has no kernel for a PackedSequence, so there is nothing to choose
            x, *parts = cast_for_onednn([x, *(state or ())])
            state = tuple(parts) or None
        return super()._call(x, state)


def _init_forget_gate(options: LSTMOptions, bias_ih: Tensor, bias_hh: Tensor) -> None:
    if options.forget_bias == "chrono":
        value = torch.empty_like(bias_ih[: len(bias_ih) // 4])
        init_chrono_bias(bias_ih, bias_hh, chrono_(value, options.chrono_length or 0))
    elif options.forget_bias is not None:
        init_forget_bias(bias_ih, bias_hh, options.forget_bias)


def _check_spec(spec: RecurrentSpec[LSTMOptions]) -> Iterator[Problem]:
    yield from starmap(Problem, spec.options.chrono_problems())
    if spec.options.forget_bias is not None and not spec.bias:
        yield Problem("options.forget_bias", "forget_bias requires bias=True: set it, or leave forget_bias at None")
    if spec.options.proj_size >= spec.hidden_sizes[0]:
        yield Problem(
            "options.proj_size",
            f"proj_size={spec.options.proj_size} must be smaller than hidden_size={spec.hidden_size}, "
            "or 0 for no projection",
        )


def _features(spec: RecurrentSpec[LSTMOptions]) -> int:
    return spec.directions * (spec.options.proj_size or spec.hidden_sizes[-1])


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        Kind(
            name="lstm",
            keywords=("long short-term memory",),
            builder=LSTMBackbone,
            options=LSTMOptions,
            check=_check_spec,
            features=_features,
            summary="Long short-term memory: a cell state guarded by an input, a forget and an output gate.",
            # With proj_size, h_t is the last line multiplied by W_{hr} (Sak et al., arXiv 1402.1128).
            equation=LSTM_STEP,
            meanings=LSTM_MEANINGS,
            family="gated",
            papers=(HOCHREITER, GERS),
            notes=LSTM_NOTES,
        )
    )
