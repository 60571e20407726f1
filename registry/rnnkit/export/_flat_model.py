"""A model as a function of named tensors: exporters and runtimes know neither None nor nested states."""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rnnkit.model import RecurrentModel, flatten_with_paths, padding_mask, replace_tensors, state_tensors

_WARM_UP_STEPS = 3


class Input(NamedTuple):
    """An input of an exported model.

    Attributes:
        name: its name in an ONNX file.
        axes: the names of its axes of free size, by index.
    """

    name: str
    axes: dict[int, str]


class FlatModel(nn.Module, ABC):
    """Base class of modules that take and return tensors only, as `(*inputs) -> (y, *state)`, or `y` without a state.

    Attributes:
        model: the model, whose parameters the module shares.
        inputs: the inputs, in the order of the arguments.
        outputs: the names of the outputs.
    """

    def __init__(self, model: RecurrentModel, inputs: Sequence[Input], outputs: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.forward = _with_signature(self.run, [each.name for each in inputs])

    @abstractmethod
    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs."""

    @abstractmethod
    def replace(self, model: RecurrentModel) -> FlatModel:
        """Return the same function of another model."""

    @abstractmethod
    def random_inputs(self, batch: int, time: int) -> tuple[Tensor, ...]:
        """Return random inputs for a batch of sequences, with nonzero states."""


class WholeSequences(FlatModel):
    """`(x, lengths, *state) -> (y, *state)` for whole sequences; `lengths` and the states are optional."""

    def __init__(self, model: RecurrentModel, *, lengths: bool, state: bool) -> None:
        axes = {0: "batch", 1: "time"} if model.spec.batch_first else {0: "time", 1: "batch"}
        state_inputs = _state_inputs(model) if state else []
        length_inputs = [Input("lengths", {0: "batch"})] if lengths else []
        super().__init__(model, [Input("x", axes), *length_inputs, *state_inputs], ["y", *_outputs(state_inputs)])
        self.has_lengths, self.has_state = lengths, state

    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, *others = inputs
        lengths = others.pop(0) if self.has_lengths else None
        state = _nested(self.model, others) if self.has_state else None
        y, state = self.model(x, state, lengths, return_state=True)
        return (y, *state_tensors(state)) if self.has_state else (y,)

    def replace(self, model: RecurrentModel) -> WholeSequences:
        return WholeSequences(model, lengths=self.has_lengths, state=self.has_state)

    def random_inputs(self, batch: int, time: int) -> tuple[Tensor, ...]:
        x = _random_sequences(self.model, batch, time)
        inputs = [x]
        if self.has_lengths:
            lengths = torch.randint(0, time + 1, (batch,), generator=torch.Generator().manual_seed(0)).to(x.device)
            lengths[0] = time
            lengths[1:2] = 0
            inputs = [_spoil_padding(x, lengths, batch_first=self.model.spec.batch_first), lengths]
        if self.has_state:
            inputs += _random_state(self.model, batch)
        return tuple(inputs)


class SingleStep(FlatModel):
    """`(x_t, *state) -> (y, *state)` for one step, as in `RecurrentModel.step`.

    Raises:
        StepError: the model has no single steps.
    """

    def __init__(self, model: RecurrentModel) -> None:
        model.step_module()  # which raises the StepError
        state_inputs = _state_inputs(model)
        super().__init__(model, [Input("x_t", {0: "batch"}), *state_inputs], ["y", *_outputs(state_inputs)])

    def run(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        x_t, *state = inputs
        y, state = self.model.step(x_t, _nested(self.model, state))
        return (y, *state_tensors(state))

    def replace(self, model: RecurrentModel) -> SingleStep:
        return SingleStep(model)

    def random_inputs(self, batch: int, time: int) -> tuple[Tensor, ...]:  # noqa: ARG002  # steps have no time axis
        x = _random_sequences(self.model, batch, 1)
        return x.squeeze(1 if self.model.spec.batch_first else 0), *_random_state(self.model, batch)


def _with_signature(run: Any, names: Sequence[str]) -> Any:
    """Return a function with a parameter for each input: `torch.export` names the inputs of a program after them."""

    def forward(*inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...] = run(*inputs)
        return outputs if len(outputs) > 1 else outputs[0]  # pyright: ignore[reportGeneralTypeIssues]  # torch's stub

    identifiers = [re.sub(r"\W", "_", name) for name in names]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in identifiers]
    forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # `inspect` reads it
    return forward


def _state_inputs(model: RecurrentModel) -> list[Input]:
    axes = flatten_with_paths(model.backbone.batch_axes())
    return [Input(_joined("state", path), {} if axis is None else {axis: "batch"}) for path, axis in axes]


def _outputs(state_inputs: Sequence[Input]) -> list[str]:
    return [each.name.replace("state", "state_out", 1) for each in state_inputs]


def _joined(name: str, path: str) -> str:
    return f"{name}.{path}" if path else name


def _nested(model: RecurrentModel, tensors: Sequence[Tensor]) -> Any:
    return replace_tensors(model.backbone.state_shapes(0), tensors)


def _random_sequences(model: RecurrentModel, batch: int, time: int) -> Tensor:
    spec = model.spec
    sizes = (batch, time) if spec.batch_first else (time, batch)
    generator = torch.Generator(model.device).manual_seed(0)
    place: Any = {"generator": generator, "device": model.device}
    if spec.num_embeddings is not None:
        return torch.randint(spec.num_embeddings, sizes, **place)
    return torch.randn(*sizes, spec.input_size, **place, dtype=model.dtype)


def _random_state(model: RecurrentModel, batch: int) -> list[Tensor]:
    """Return a state after some steps: not every random tensor is a state of a model."""
    _, state = model(_random_sequences(model, batch, _WARM_UP_STEPS), return_state=True)
    return state_tensors(state)


def _spoil_padding(x: Tensor, lengths: Tensor, *, batch_first: bool) -> Tensor:
    """Fill the padding with values that must have no effect: NaN, or a token id that does not exist."""
    padding = padding_mask(lengths, x.shape[1 if batch_first else 0], batch_first=batch_first)
    if x.is_floating_point():
        return x.masked_fill(padding, torch.nan)
    return x.masked_fill(padding.squeeze(-1), -1)
