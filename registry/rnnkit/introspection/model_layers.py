"""The layers that a model consists of, as its parts show it."""

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
    """A part of a model that one would speak of as one thing.

    Attributes:
        name: `layer 0`, `readout`; in a backbone of another structure the path of a module, as `backbone.conv`.
        what: of which class it is made, and how.
        features: of its output; None: only its author knows.
        tensors: its own parameters and buffers; one that several layers share belongs to the first.
    """

    name: str
    what: str
    features: int | None
    tensors: list[Tensor]

    @property
    def parameters(self) -> int:
        """How many numbers its parameters have."""
        return sum(tensor.numel() for tensor in self.tensors if isinstance(tensor, nn.Parameter))


READOUT = "readout"

_OF_STACK = re.compile(r"(cells|initial|norms)\.(\d+)\.")
_OF_TORCH = re.compile(r"_l(\d+)(_reverse)?\b")
_FIRST_PARTS = re.compile(r"\w+(\.\d+)?(?=\.)")  # `conv` of `conv.weight`, `blocks.0` of `blocks.0.conv.weight`


def layers_of(model: nn.Module) -> list[Layer]:
    """The layers of a `RecurrentModel` from the bottom up, then the readout, then what its user has added to it.

    Each parameter and buffer of the model belongs to one of them.
    """
    features: int | None = getattr(model.backbone, "features", None)  # None: its user has put something else there
    readout = _layer_of_readout(model.readout, features)
    added = Layer("added", type(model).__name__, None, _tensors(model))
    *own, rest = _each_tensor_once([*_layers_of_backbone(model.backbone, features), readout, added])
    return [*own, rest] if rest.tensors else own


def _layers_of_backbone(backbone: Any, features: int | None) -> list[Layer]:
    rnns = _torch_modules(backbone)
    layers = {layer.name: layer for layer in [*_layers_of_stack(backbone), *_layers_of_torch(rnns)]}
    for path, tensor in [*backbone.named_parameters(), *backbone.named_buffers()]:
        name = _layer_name(path, backbone, rnns)
        if name not in layers:
            layers[name] = _other_layer(backbone, name)
        layers[name].tensors.append(tensor)
    *lower, last = layers.values() or [_other_layer(backbone, "")]
    return [*lower, last if last.features else last._replace(features=features)]


def _layers_of_stack(backbone: Any) -> Iterator[Layer]:
    if isinstance(backbone, CellStack):
        cells: list[Any] = list(backbone.cells)
        for first in range(0, len(cells), backbone.directions):
            of_layer = cells[first : first + backbone.directions]
            name, what = f"layer {first // backbone.directions}", _class_of(cells[first], backbone.directions)
            yield Layer(name, what, output_features(of_layer), [])


def _layers_of_torch(rnns: Mapping[str, nn.RNNBase]) -> Iterator[Layer]:
    for path, rnn in rnns.items():
        directions = 2 if rnn.bidirectional else 1
        features = directions * (rnn.proj_size or rnn.hidden_size)
        for layer in range(rnn.num_layers):
            yield Layer(_name_in_torch(path, layer, rnns), _class_of(rnn, directions), features, [])


def _torch_modules(backbone: nn.Module) -> dict[str, nn.RNNBase]:
    """Torch's own recurrent modules in a backbone, by their paths."""
    return {path: module for path, module in backbone.named_modules() if isinstance(module, nn.RNNBase)}


def _layer_name(path: str, backbone: Any, rnns: Mapping[str, nn.RNNBase]) -> str:
    """The name of the layer to which the parameter or buffer of a path belongs; empty: the backbone itself."""
    if isinstance(backbone, CellStack) and (found := _OF_STACK.match(path)):
        return f"layer {int(found[2]) // (1 if found[1] == 'norms' else backbone.directions)}"
    rnn = next((each for each in rnns if path.startswith(f"{each}.")), None)
    if rnn is not None and (found := _OF_TORCH.search(path)):
        return _name_in_torch(rnn, found[1], rnns)
    first = _FIRST_PARTS.match(path)
    return first[0] if first else ""


def _name_in_torch(path: str, layer: int | str, rnns: Mapping[str, nn.RNNBase]) -> str:
    return f"layer {layer}" if len(rnns) == 1 else f"backbone.{path} layer {layer}"


def _other_layer(backbone: nn.Module, path: str) -> Layer:
    return Layer(f"backbone.{path}" if path else "backbone", _class_of(backbone.get_submodule(path), 1), None, [])


def _layer_of_readout(readout: Any, features: int | None) -> Layer:
    if not isinstance(readout, Readout):  # its user has put something else in its place
        return Layer(READOUT, _class_of(readout, 1), None, _tensors(readout))
    if readout.linear is None:
        return Layer(READOUT, readout.name, features, _tensors(readout))
    what = f"{readout.name}, {_class_of(readout.linear, 1)}"
    return Layer(READOUT, what, getattr(readout.linear, "out_features", None), _tensors(readout))


def _class_of(module: nn.Module, directions: int) -> str:
    return type(module).__name__ + (", both directions" if directions == 2 else "")


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _each_tensor_once(layers: Iterable[Layer]) -> Iterator[Layer]:
    seen: set[int] = set()
    for layer in layers:
        own = [tensor for tensor in layer.tensors if id(tensor) not in seen]
        seen |= {id(tensor) for tensor in own}
        yield layer._replace(tensors=own)


def shape_of(layer: Layer, spec: RecurrentSpec[Any]) -> str:
    """The shape of a layer's output in words, `(batch, time, 40)`; empty where its features are not known."""
    at_each_step = layer.name != READOUT or spec.readout == "all"
    return "" if layer.features is None else shape_words(spec, layer.features, at_each_step=at_each_step)


def shape_words(spec: RecurrentSpec[Any], features: int, *, at_each_step: bool = True) -> str:
    """`(batch, time, 40)`, `(time, batch, 40)` or `(batch, 40)`."""
    axes = ("batch, time" if spec.batch_first else "time, batch") if at_each_step else "batch"
    return f"({axes}, {features})"
