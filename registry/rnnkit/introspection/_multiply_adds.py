"""Multiply-adds of the matrix products of each layer, counted while the model runs."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from rnnkit._meta_operators import call_operator
from rnnkit.introspection.model_layers import EMBEDDING, Layer
from rnnkit.model import RecurrentModel
from rnnkit.specs import RecurrentSpec


class Work(NamedTuple):
    """Multiply-adds of one layer for one sequence.

    Attributes:
        step: multiply-adds of one more step.
        sequence: multiply-adds of the whole sequence.
    """

    step: int
    sequence: int


def count_work(model: RecurrentModel, layers: Sequence[Layer], time: int) -> dict[str, Work]:
    """Return the multiply-adds of each layer, by name, for one sequence of `time` steps.

    The model runs for one, two and three steps, and for `time` steps only if the counts do not grow linearly. A product
    that reads no parameter counts for the layer that computed its input.

    Args:
        model: a model on the meta device, in evaluation mode.
        layers: the layers that `layers_of` returns for it.
        time: number of steps of the sequence.
    """
    one, two, three = (_count(model, layers, steps) for steps in (1, 2, 3))
    step = _difference(two, one)
    if _difference(three, two) == step:
        return {layer.name: Work(step[layer.name], one[layer.name] + (time - 1) * step[layer.name]) for layer in layers}
    whole = _count(model, layers, time)
    step = _difference(_count(model, layers, time + 1), whole)
    return {layer.name: Work(step[layer.name], whole[layer.name]) for layer in layers}


def _difference(of: Counter[str], to: Counter[str]) -> dict[str, int]:
    """Return the difference for each layer; `Counter` subtraction would drop negative counts."""
    return {layer: of[layer] - to[layer] for layer in of}


@torch.no_grad()
def _count(model: RecurrentModel, layers: Sequence[Layer], steps: int) -> Counter[str]:
    products = _Products(layers)
    with products:
        model(_input(model.spec, steps, model.dtype))
    return products.multiply_adds


def _input(spec: RecurrentSpec[Any], steps: int, dtype: torch.dtype) -> Tensor:
    shape = (1, steps) if spec.batch_first else (steps, 1)
    if spec.num_embeddings is not None:
        return torch.empty(shape, device="meta", dtype=torch.int64)
    return torch.empty(*shape, spec.input_size, device="meta", dtype=dtype)


class _Products(TorchDispatchMode):
    """Counts the multiply-adds of all matrix products in its block, each for the layer whose weights it reads.

    Tensors are identified by their storage, which a parameter shares with its views, also on the meta device.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own
        self.multiply_adds: Counter[str] = Counter({layer.name: 0 for layer in layers})
        self._lowest = next(layer.name for layer in layers if layer.name != EMBEDDING)
        # The readout comes last: a weight that it shares with the embedding, which multiplies nothing, counts for it.
        self._own = {_memory(tensor): layer.name for layer in layers for tensor in layer.tensors}
        self._derived: dict[int, str] = {}  # from parameters only, such as a weight that is normalized at each call
        self._computed: dict[int, str] = {}
        self._known = ChainMap(self._own, self._derived, self._computed)  # the layers of all tensors
        self._kept: list[Tensor] = []  # keeps storages alive, so that their addresses are not reused

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True, the default, imports torch's compiler, which changes the process

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # as torch calls it
        kwargs = kwargs or {}
        output = call_operator(func, args, kwargs)
        read = [_memory(tensor) for tensor in _tensors([*args, *kwargs.values()])]
        layer = self._layer_of(read)
        formula = _FORMULAS.get(getattr(func, "overloadpacket", func))
        if formula is not None:
            self.multiply_adds[layer or self._lowest] += formula(*args, **kwargs, out_val=output) // 2
        if layer is not None:
            self._remember(output, read, layer)
        return output

    def _layer_of(self, read: list[int]) -> str | None:
        """Return the layer whose parameters are read or, without any, the layer that computed the input."""
        known = (layers[memory] for layers in self._known.maps for memory in read if memory in layers)
        return next(known, None)

    def _remember(self, output: Any, read: list[int], layer: str) -> None:
        is_derived = all(memory in self._own or memory in self._derived for memory in read)
        for tensor in _tensors([output]):
            if _memory(tensor) not in self._known:
                (self._derived if is_derived else self._computed)[_memory(tensor)] = layer
                self._kept.append(tensor)


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _memory(tensor: Tensor) -> int:
    memory: int = tensor.untyped_storage()._cdata  # noqa: SLF001  # `data_ptr()` is 0 on the meta device
    return memory


# Floating-point operations of each product; torch's own table lacks matrix-vector products.
_FORMULAS: Mapping[Any, Callable[..., int]] = ChainMap(
    flop_registry,
    {
        torch.ops.aten.mv: lambda matrix, _vector, **_: 2 * matrix.numel(),
        torch.ops.aten.addmv: lambda _bias, matrix, _vector, **_: 2 * matrix.numel(),
        torch.ops.aten.dot: lambda left, _right, **_: 2 * left.numel(),
    },
)
