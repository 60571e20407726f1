"""Wide layers that contain a narrow one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit import build_model
from rnnkit.testing._check import check
from rnnkit.testing._comparison import largest_difference
from rnnkit.testing._context import Case, CheckContext
from rnnkit.testing._drawn_sizes import draw_factors, random_of
from rnnkit.testing.kind_under_test import Changes, KindUnderTest

_NARROW = 4  # features; many round numbers are multiples of it
_SMALL_FACTORS = (2, 3)  # a way to widen a layer is tried with them
_TOLERANCE: dict[str, Any] = {"relative": 1e-9, "absolute": 1e-11}

# How a wide tensor contains a narrow one: given the tensor, an axis, the size of its blocks and a factor.
_Way = Callable[[Tensor, int, int, int], Tensor]


@check("numerics")
def wide_layers_equal_narrow_layers(context: CheckContext) -> None:
    """A layer of up to 520 features that repeats a narrow layer, or contains it beside zeros, gives its results.

    Another formula or another kernel is used from some number of features on. Not applicable to kinds whose results
    depend on the number of features already in small layers.
    """
    size = _narrow_size(context.kind)
    case = next(context.cases([_sizes(context.kind, size)], bidirectional=False, batch_first=True))
    way = next((each for each in (_repeat, _pad) if _holds_in_small_layers(context.kind, case, each)), None)
    context.skip_unless(way, "its results depend on the number of features already in small layers")
    for factor in draw_factors(random_of(context.kind), size):
        for force_step_loop in context.kind.force_step_loop_values:
            pair = _outputs(context.kind, case, way, factor, force_step_loop)
            if pair is None:
                return  # from here on the shapes of its weights depend on the width in another way
            what = f"of a layer of {factor * size} features that contains one of {size}, the output"
            context.assert_close(*pair, what, **_TOLERANCE)
        context.figures |= {"features": factor * size, "seed": context.kind.seed}


def _narrow_size(kind: KindUnderTest) -> int:
    return _NARROW if kind.accepts(**_sizes(kind, _NARROW)) else kind.spec().hidden_sizes[0]


def _sizes(kind: KindUnderTest, size: int) -> Changes:
    """One layer of equal sizes, so that a weight for input and state together consists of blocks of one size."""
    return {**kind.one_layer, "input_size": size, "hidden_size": size}


def _holds_in_small_layers(kind: KindUnderTest, case: Case, way: _Way) -> bool:
    pairs = [_outputs(kind, case, way, factor, kind.force_step_loop_values[-1]) for factor in _SMALL_FACTORS]
    return all(pair is not None and not largest_difference(*pair, **_TOLERANCE).message for pair in pairs)


@torch.no_grad()
def _outputs(
    kind: KindUnderTest, case: Case, way: _Way | None, factor: int, force_step_loop: bool
) -> tuple[Tensor, Tensor] | None:
    """The output of the wide layer, and that of the narrow one in its form; None if there is no such layer."""
    size = case.spec.input_size
    changes = _sizes(kind, factor * size)
    if way is None or not kind.accepts(**changes, bidirectional=False, batch_first=True):
        return None
    narrow, wide = case.model().backbone, build_model(kind.spec(**changes, batch_first=True), dtype=torch.float64)
    if not _copy_weights(narrow, wide.backbone.eval(), way, size, factor):
        return None
    if force_step_loop:
        wide.backbone.force_step_loop = True
    x = case.input()
    expected, _ = narrow(x)
    actual, _ = wide.backbone(way(x, -1, size, factor))
    if actual.shape[-1] != factor * expected.shape[-1]:
        return None
    if way is _pad:  # the other features may have any value
        return actual.unflatten(-1, (-1, factor, size))[..., 0, :].flatten(-2), expected
    return actual, way(expected, -1, size, factor)


def _copy_weights(narrow: nn.Module, wide: nn.Module, way: _Way, size: int, factor: int) -> bool:
    """Whether all tensors of the wide module consist of those of the narrow one, from which they are set."""
    tensors = _tensors(narrow)
    for name, target in _tensors(wide).items():
        source = tensors.get(name)
        if source is None or source.dim() != target.dim():
            return False
        scaled = [
            axis for axis, (one, other) in enumerate(zip(source.shape, target.shape, strict=True)) if one != other
        ]
        if any(source.shape[axis] % size or target.shape[axis] != factor * source.shape[axis] for axis in scaled):
            return False
        value = source
        for axis in scaled:
            value = way(value, axis, size, factor)
        sums = len(scaled) > 1 or (source.dim() > 1 and scaled == [source.dim() - 1])
        target.copy_(value / factor if way is _repeat and sums else value)
    return True


def _tensors(module: nn.Module) -> dict[str, Any]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _repeat(part: Tensor, axis: int, size: int, factor: int) -> Tensor:
    """Each block of features several times; a matrix product adds it as often, so that its weight is divided."""
    axis %= part.dim()
    blocks: Tensor = part.unflatten(axis, (-1, 1, size))
    return blocks.repeat_interleave(factor, axis + 1).flatten(axis, axis + 2)


def _pad(part: Tensor, axis: int, size: int, factor: int) -> Tensor:
    """Each block of features, then zeros."""
    axis %= part.dim()
    blocks: Tensor = part.unflatten(axis, (-1, 1, size))
    zeros = torch.zeros_like(blocks).repeat_interleave(factor - 1, axis + 1)
    return torch.cat([blocks, zeros], axis + 1).flatten(axis, axis + 2)
