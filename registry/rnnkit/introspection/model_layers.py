"""The layers of a model, found by inspecting its modules and parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn

from rnnkit.cells import CellStack, output_features
from rnnkit.model import Readout

if TYPE_CHECKING:
    from rnnkit.specs import RecurrentSpec


class Layer(NamedTuple):
    """A layer of a model.

    Attributes:
        name: `embedding`, `layer 0`, `readout`, or the path of a module such as `backbone.conv` in a backbone that is
            not a stack.
        module: class of its module, such as `LSTMCell, bidirectional`.
        features: number of output features; None if unknown.
        tensors: its own parameters and buffers; a shared tensor belongs to the first layer that has it.
    """

    name: str
    module: str
    features: int | None
    tensors: list[Tensor]

    @property
    def parameters(self) -> int:
        """Number of elements of its parameters."""
        return sum(tensor.numel() for tensor in self.tensors if isinstance(tensor, nn.Parameter))


EMBEDDING, READOUT = "embedding", "readout"

_STACK_PATH = re.compile(r"(cells|initial|norms)\.(\d+)\.")
_TORCH_PATH = re.compile(r"_l(\d+)(_reverse)?\b")
_CHILD_PATH = re.compile(r"\w+(\.\d+)?(?=\.)")  # `conv` in `conv.weight`, `blocks.0` in `blocks.0.conv.weight`


def layers_of(model: nn.Module) -> list[Layer]:
    """Return the layers of a `RecurrentModel` in order: embedding, backbone, readout, and modules that were added.

    Each parameter and buffer of the model belongs to exactly one of them.
    """
    features: int | None = getattr(model.backbone, "features", None)  # None if the user has replaced the backbone
    readout = _readout_layer(model.readout, features)
    added = Layer("added", type(model).__name__, None, _tensors(model))
    backbone = _backbone_layers(model.backbone, features)
    *layers, rest = _each_tensor_once([*_embedding_layers(model), *backbone, readout, added])
    return [*layers, rest] if rest.tensors else layers


def _embedding_layers(model: Any) -> Iterator[Layer]:
    if model.embedding is not None:
        yield Layer(EMBEDDING, _module_text(model.embedding, 1), model.spec.input_size, _tensors(model.embedding))


def _backbone_layers(backbone: Any, features: int | None) -> list[Layer]:
    rnns = _torch_modules(backbone)
    layers = {layer.name: layer for layer in [*_stack_layers(backbone), *_torch_layers(rnns)]}
    for path, tensor in [*backbone.named_parameters(), *backbone.named_buffers()]:
        name = _layer_name(path, backbone, rnns)
        if name not in layers:
            layers[name] = _other_layer(backbone, name)
        layers[name].tensors.append(tensor)
    *lower, last = layers.values() or [_other_layer(backbone, "")]
    return [*lower, last if last.features else last._replace(features=features)]


def _stack_layers(backbone: Any) -> Iterator[Layer]:
    if isinstance(backbone, CellStack):
        cells: list[Any] = list(backbone.cells)
        for first in range(0, len(cells), backbone.directions):
            layer_cells = cells[first : first + backbone.directions]
            name = f"layer {first // backbone.directions}"
            yield Layer(name, _module_text(cells[first], backbone.directions), output_features(layer_cells), [])


def _torch_layers(rnns: Mapping[str, nn.RNNBase]) -> Iterator[Layer]:
    for path, rnn in rnns.items():
        directions = 2 if rnn.bidirectional else 1
        features = directions * (rnn.proj_size or rnn.hidden_size)
        for layer in range(rnn.num_layers):
            yield Layer(_torch_layer_name(path, layer, rnns), _module_text(rnn, directions), features, [])


def _torch_modules(backbone: nn.Module) -> dict[str, nn.RNNBase]:
    """Return the `torch.nn` recurrent modules of a backbone by their paths."""
    return {path: module for path, module in backbone.named_modules() if isinstance(module, nn.RNNBase)}


def _layer_name(path: str, backbone: Any, rnns: Mapping[str, nn.RNNBase]) -> str:
    """Return the name of the layer that a parameter or buffer belongs to; empty for the backbone itself."""
    if isinstance(backbone, CellStack) and (found := _STACK_PATH.match(path)):
        return f"layer {int(found[2]) // (1 if found[1] == 'norms' else backbone.directions)}"
    rnn = next((each for each in rnns if path.startswith(f"{each}.")), None)
    if rnn is not None and (found := _TORCH_PATH.search(path)):
        return _torch_layer_name(rnn, found[1], rnns)
    first = _CHILD_PATH.match(path)
    return first[0] if first else ""


def _torch_layer_name(path: str, layer: int | str, rnns: Mapping[str, nn.RNNBase]) -> str:
    return f"layer {layer}" if len(rnns) == 1 else f"backbone.{path} layer {layer}"


def _other_layer(backbone: nn.Module, path: str) -> Layer:
    return Layer(f"backbone.{path}" if path else "backbone", _module_text(backbone.get_submodule(path), 1), None, [])


def _readout_layer(readout: Any, features: int | None) -> Layer:
    if not isinstance(readout, Readout):  # the user has replaced it
        return Layer(READOUT, _module_text(readout, 1), None, _tensors(readout))
    if readout.linear is None:
        return Layer(READOUT, readout.name, features, _tensors(readout))
    module = f"{readout.name}, {_module_text(readout.linear, 1)}"
    return Layer(READOUT, module, getattr(readout.linear, "out_features", None), _tensors(readout))


def _module_text(module: nn.Module, directions: int) -> str:
    return type(module).__name__ + (", bidirectional" if directions == 2 else "")


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _each_tensor_once(layers: Iterable[Layer]) -> Iterator[Layer]:
    seen: set[int] = set()
    for layer in layers:
        own = [tensor for tensor in layer.tensors if id(tensor) not in seen]
        seen |= {id(tensor) for tensor in own}
        yield layer._replace(tensors=own)


def shape_of(layer: Layer, spec: RecurrentSpec[Any]) -> str:
    """Return the shape of a layer's output, such as `(batch, time, 40)`; empty if its features are unknown."""
    at_each_step = layer.name != READOUT or spec.readout == "all"
    return "" if layer.features is None else shape_text(spec, layer.features, at_each_step=at_each_step)


def input_shape(spec: RecurrentSpec[Any]) -> str:
    """Return the shape of the input, such as `(batch, time, 10)`, or `(batch, time)` for token ids."""
    if spec.num_embeddings is not None:
        return "(batch, time)" if spec.batch_first else "(time, batch)"
    return shape_text(spec, spec.input_size)


def shape_text(spec: RecurrentSpec[Any], features: int, *, at_each_step: bool = True) -> str:
    """Return `(batch, time, 40)`, `(time, batch, 40)` or `(batch, 40)`."""
    axes = ("batch, time" if spec.batch_first else "time, batch") if at_each_step else "batch"
    return f"({axes}, {features})"
