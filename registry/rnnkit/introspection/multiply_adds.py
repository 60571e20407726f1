"""The multiply-adds of a model's matrix products, counted while it runs, for each of its layers."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from rnnkit.introspection.model_layers import Layer
from rnnkit.model import RecurrentModel


class Work(NamedTuple):
    """The multiply-adds of one layer for one row.

    Attributes:
        step: of one more step.
        sequence: of the whole sequence.
    """

    step: int
    sequence: int


def count_work(model: RecurrentModel, layers: Sequence[Layer], time: int) -> dict[str, Work]:
    """The multiply-adds of each layer, by its name, for one row of `time` steps.

    What really runs is counted, in runs of a few steps, and of `time` steps only where these do not follow a straight
    line. A product that reads no parameter counts for the layer that made what it reads.

    Args:
        model: on the meta device, in evaluation.
        layers: what `layers_of` says of it.
        time: steps of the sequence.
    """
    one, two, three = (_count(model, layers, steps) for steps in (1, 2, 3))
    step = _difference(two, one)
    if _difference(three, two) == step:
        return {layer.name: Work(step[layer.name], one[layer.name] + (time - 1) * step[layer.name]) for layer in layers}
    whole = _count(model, layers, time)
    step = _difference(_count(model, layers, time + 1), whole)
    return {layer.name: Work(step[layer.name], whole[layer.name]) for layer in layers}


def _difference(of: Counter[str], to: Counter[str]) -> dict[str, int]:
    """By layer; a `Counter`'s own difference has no negative numbers."""
    return {layer: of[layer] - to[layer] for layer in of}


@torch.no_grad()
def _count(model: RecurrentModel, layers: Sequence[Layer], steps: int) -> Counter[str]:
    """The multiply-adds of each layer in a run of so many steps."""
    shape = (1, steps) if model.spec.batch_first else (steps, 1)
    x = torch.empty(*shape, model.spec.input_size, device="meta", dtype=model.backbone.dtype)
    products = _Products(layers)
    with products:
        model(x)
    return products.multiply_adds


class _Products(TorchDispatchMode):
    """Counts the multiply-adds of all matrix products in its block, each for the layer whose weights it reads.

    Tensors are known by their memory, which a parameter and its views have in common, on the meta device too.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own
        self.multiply_adds: Counter[str] = Counter({layer.name: 0 for layer in layers})
        self._lowest = layers[0].name
        self._own = {_memory(tensor): layer.name for layer in layers for tensor in layer.tensors}
        self._derived: dict[int, str] = {}  # of parameters alone, such as a weight that is normalized at each call
        self._computed: dict[int, str] = {}
        self._kept: list[Tensor] = []  # so that no other tensor gets the memory of one that is known

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # as torch calls it
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        read = [_memory(tensor) for tensor in _tensors([*args, *kwargs.values()])]
        layer = self._layer_of(read)
        formula = _FORMULAS.get(getattr(func, "overloadpacket", func))
        if formula is not None:
            self.multiply_adds[layer or self._lowest] += formula(*args, **kwargs, out_val=output) // 2
        if layer is not None:
            self._remember(output, read, layer)
        return output

    def _layer_of(self, read: list[int]) -> str | None:
        """The layer whose parameters are read or, if none are, that made what is read."""
        known = (layers[memory] for layers in self._known() for memory in read if memory in layers)
        return next(known, None)

    def _remember(self, output: Any, read: list[int], layer: str) -> None:
        is_derived = all(memory in self._own or memory in self._derived for memory in read)
        for tensor in _tensors([output]):
            if not any(_memory(tensor) in layers for layers in self._known()):
                (self._derived if is_derived else self._computed)[_memory(tensor)] = layer
                self._kept.append(tensor)

    def _known(self) -> tuple[dict[int, str], ...]:
        return self._own, self._derived, self._computed


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _memory(tensor: Tensor) -> int:
    memory: int = tensor.untyped_storage()._cdata  # noqa: SLF001  # `data_ptr()` is 0 on the meta device
    return memory


# The floating-point operations of each product; torch's own table lacks those of vectors.
_FORMULAS: Mapping[Any, Callable[..., int]] = ChainMap(
    flop_registry,
    {
        torch.ops.aten.mv: lambda matrix, _vector, **_: 2 * matrix.numel(),
        torch.ops.aten.addmv: lambda _bias, matrix, _vector, **_: 2 * matrix.numel(),
        torch.ops.aten.dot: lambda left, _right, **_: 2 * left.numel(),
    },
)
