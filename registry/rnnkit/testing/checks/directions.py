"""What a kind promises of its two directions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rnnkit import InputError, RecurrentModel, map_state
from rnnkit.testing.check import check
from rnnkit.testing.check_context import BATCH, Case, CheckContext, derivatives, random_state, total
from rnnkit.testing.kind_under_test import Changes


@check("numerics")
def each_direction_is_causal(context: CheckContext) -> None:
    """The output of a step depends on the input up to that step; of the reverse direction on that from it on.

    The input or the output of the reverse direction was not turned around in time, or something is taken over all
    steps, such as a mean.
    """
    # in one layer, where there are two directions: those of the next would read both
    both_ways = {**context.kind_under_test.one_layer, "bidirectional": True}
    for case in context.cases(_variants(context), [{"bidirectional": False}, both_ways], batch_first=True):
        model, x = case.model(), case.input().requires_grad_()
        output, _ = model.backbone(x)
        forward, *reverse = _ways(context, output) if case.spec.bidirectional else [output]
        _check_side(context, "forward", _reach(forward, x))
        for way in reverse:
            _check_side(context, "reverse", _reach(way, x).flip(0, 1))


@check("numerics")
def directions_are_symmetric(context: CheckContext) -> None:
    """With the weights of its directions exchanged, a model gives on reversed input the reversed output, exchanged.

    The directions do not compute the same, or the reverse one is not turned around in time. The forward one must also
    be what a model of one direction computes.
    """
    for case in context.cases(
        _variants(context), [context.kind_under_test.one_layer], bidirectional=True, batch_first=True
    ):
        model, mirror, x = case.model(), case.model(), case.input()
        weights = model.backbone.state_dict()
        mirror.backbone.load_state_dict(_exchanged(context, weights))
        with context.capability("a model of one direction with the weights of the forward one"):
            alone = Case(replace(case.spec, bidirectional=False)).model()
            alone.backbone.load_state_dict({name: each for name, each in weights.items() if not _is_reverse(name)})
        _check_symmetry(context, model, mirror, alone, x)


def _variants(context: CheckContext) -> list[Changes]:
    """Those in which nothing of rnnkit's own acts on both directions together."""
    return [each for each in context.kind_under_test.variants if each.get("options", {}).get("layer_norm") != "output"]


def _check_side(context: CheckContext, direction: str, reach: Tensor) -> None:
    """Hold each step, in the order in which a direction reads them, to depend on itself and on those before alone."""
    what = f"the influence on the {direction} output at a step of its direction of the input at another"
    context.same(reach.triu(1), torch.zeros_like(reach), what)
    blind = reach.diagonal().eq(0).nonzero().flatten().tolist()
    context.that(not blind, f"the {direction} output at the steps {blind} does not depend on the input of that step")


def _check_symmetry(
    context: CheckContext, model: RecurrentModel, mirror: RecurrentModel, alone: RecurrentModel, x: Tensor
) -> None:
    output, _ = model.backbone(x)
    context.same(
        _ways(context, output)[0], alone.backbone(x)[0], "the forward half of the output, beside one direction,"
    )
    state = random_state(model)
    exchanged = _exchanged_state(state, model, alone)
    output, final = model.backbone(x, None if exchanged is None else state)
    mirrored, mirrored_final = mirror.backbone(x.flip(1), exchanged)
    forward, reverse = _ways(context, mirrored.flip(1))
    context.same(torch.cat([reverse, forward], dim=-1), output, "the output in the mirror")
    if exchanged is not None:
        context.same(_exchanged_state(mirrored_final, model, alone), final, "the final state in the mirror")


def _ways(context: CheckContext, output: Tensor) -> list[Tensor]:
    """The output of each direction."""
    features = output.shape[-1]
    context.needs(
        features % 2 == 0, f"the {features} features of the output are not those of one direction and another"
    )
    return list(output.chunk(2, dim=-1))


def _reach(output: Tensor, x: Tensor) -> Tensor:
    """How much the output at each step depends on the input at each: `(time of output, time of input)`."""
    by_step = [derivatives(total(at_t), x)[0] for at_t in output.unbind(1)]
    return torch.stack([gradient.abs().amax((0, 2)) for gradient in by_step])


def _is_reverse(name: str) -> bool:
    """Whether a weight of a backbone of one layer, by its name, is of the reverse direction."""
    return bool(re.match(r"(cells|initial)\.1\.", name) or re.search(r"_reverse(\.|$)", name))


def _exchanged(context: CheckContext, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of each direction under the names of the other."""
    partners = {name: partner for name in weights for partner in _partners(name) if partner in weights}
    alone = [name for name in weights if name not in partners]
    context.needs(not alone, f"the names of {', '.join(alone)} do not tell which direction they are of")
    return {name: weights[partner] for name, partner in partners.items()}


def _partners(name: str) -> list[str]:
    """What the same weight of the other direction may be called, as in a stack of cells or in torch's modules."""
    if re.match(r"(cells|initial)\.[01]\.", name):
        first, index, rest = name.split(".", 2)
        return [f"{first}.{1 - int(index)}.{rest}"]
    if _is_reverse(name):
        return [re.sub(r"_reverse(?=\.|$)", "", name)]
    parts = name.split(".")
    return [".".join([*parts[:i], f"{part}_reverse", *parts[i + 1 :]]) for i, part in enumerate(parts)]


def _exchanged_state(state: Any, model: RecurrentModel, alone: RecurrentModel) -> Any:
    """The state of each direction in the place of the other; None: there is no telling which is which."""
    if hasattr(model.backbone, "cells"):
        return state[::-1]
    try:
        return map_state(_rows_exchanged, state, alone.backbone.state_shapes(BATCH))
    except (InputError, ValueError):  # the layout differs, or the axes do
        return None


def _rows_exchanged(part: Tensor, of_one: torch.Size) -> Tensor:
    """The two halves exchanged along the axis that is twice as long as in one direction."""
    axes = [axis for axis, (both, one) in enumerate(zip(part.shape, of_one, strict=True)) if both == 2 * one]
    return torch.cat(part.chunk(2, axes[0])[::-1], axes[0]) if axes else part
