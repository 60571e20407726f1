"""The two directions of a bidirectional model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rnnkit import CellStack, InputError, RecurrentModel, map_state
from rnnkit._messages import join_names
from rnnkit.testing._check import check
from rnnkit.testing._context import BATCH, Case, CheckContext, derivatives, random_state, total
from rnnkit.testing.kind_under_test import Changes


@check("numerics")
def each_direction_is_causal(context: CheckContext) -> None:
    """The forward output of a step depends only on inputs up to that step, the reverse output only on later ones.

    The input or the output of the reverse direction is not reversed in time, or a statistic such as a mean is computed
    over all steps.
    """
    # with two directions one layer only: the second layer reads both
    bidirectional = {**context.kind.one_layer, "bidirectional": True}
    for case in context.cases(_variants(context), [{"bidirectional": False}, bidirectional], batch_first=True):
        model, x = case.model(), case.input().requires_grad_()
        output, _ = model.backbone(x)
        forward, *reverse = _split_directions(context, output) if case.spec.bidirectional else [output]
        _check_causal(context, "forward", _influence(forward, x))
        for direction in reverse:
            _check_causal(context, "reverse", _influence(direction, x).flip(0, 1))


@check("numerics")
def directions_are_symmetric(context: CheckContext) -> None:
    """Swapping the weights of the directions and reversing the input swaps and reverses the output.

    The directions compute different functions, or the reverse direction is not reversed in time. The forward direction
    must also equal a unidirectional model.
    """
    for case in context.cases(_variants(context), [context.kind.one_layer], bidirectional=True, batch_first=True):
        model, mirror = case.model(), case.model()
        weights = model.backbone.state_dict()
        mirror.backbone.load_state_dict(_swap_weights(context, weights))
        with context.optional_feature("a unidirectional model with the weights of the forward direction"):
            forward = Case(replace(case.spec, bidirectional=False)).model()
            forward.backbone.load_state_dict({name: each for name, each in weights.items() if not _is_reverse(name)})
        _check_symmetry(context, case.input(), model, mirror, forward)


def _variants(context: CheckContext) -> list[Changes]:
    """Return the variants without output layer norm, which normalizes the concatenated directions."""
    return [each for each in context.kind.variants if each.get("options", {}).get("layer_norm") != "output"]


def _check_causal(context: CheckContext, direction: str, influence: Tensor) -> None:
    """Steps are in the order of the direction: each output must depend on its own input and not on later ones."""
    what = f"the influence of later inputs on the {direction} output"
    context.assert_close(influence.triu(1), torch.zeros_like(influence), what)
    blind = influence.diagonal().eq(0).nonzero().flatten().tolist()
    what = f"the {direction} output at steps {blind} does not depend on the input of the same step"
    context.assert_true(not blind, what)


def _check_symmetry(context: CheckContext, x: Tensor, *models: RecurrentModel) -> None:
    model, mirror, forward = models
    actual, expected = _split_directions(context, model.backbone(x)[0])[0], forward.backbone(x)[0]
    context.assert_close(actual, expected, "compared with a unidirectional model, the forward output")
    state = random_state(model)
    swapped = _swap_state(state, model, forward)
    output, final = model.backbone(x, None if swapped is None else state)
    mirrored, mirrored_final = mirror.backbone(x.flip(1), swapped)
    first, second = _split_directions(context, mirrored.flip(1))
    context.assert_close(torch.cat([second, first], dim=-1), output, "with swapped directions, the output")
    if swapped is not None:
        after = _swap_state(mirrored_final, model, forward)
        context.assert_close(after, final, "with swapped directions, the final state")


def _split_directions(context: CheckContext, output: Tensor) -> list[Tensor]:
    features = output.shape[-1]
    context.skip_unless(features % 2 == 0, f"the {features} output features are not those of two equal directions")
    return list(output.chunk(2, dim=-1))


def _influence(output: Tensor, x: Tensor) -> Tensor:
    """How much the output of each step depends on the input of each step: `(output step, input step)`."""
    by_step = [derivatives(total(at_t), x)[0] for at_t in output.unbind(1)]
    return torch.stack([gradient.abs().amax((0, 2)) for gradient in by_step])


def _is_reverse(name: str) -> bool:
    return bool(re.match(r"(cells|initial)\.1\.", name) or re.search(r"_reverse(\.|$)", name))


def _swap_weights(context: CheckContext, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    partners = {name: partner for name in weights for partner in _partners(name) if partner in weights}
    unknown = [name for name in weights if name not in partners]
    context.skip_unless(not unknown, f"the direction of {join_names(unknown)} cannot be inferred from the name")
    return {name: weights[partner] for name, partner in partners.items()}


def _partners(name: str) -> list[str]:
    """Possible names of the same weight of the other direction, in a stack of cells or in torch's modules."""
    if re.match(r"(cells|initial)\.[01]\.", name):
        first, index, rest = name.split(".", 2)
        return [f"{first}.{1 - int(index)}.{rest}"]
    if _is_reverse(name):
        return [re.sub(r"_reverse(?=\.|$)", "", name)]
    parts = name.split(".")
    return [".".join([*parts[:i], f"{part}_reverse", *parts[i + 1 :]]) for i, part in enumerate(parts)]


def _swap_state(state: Any, model: RecurrentModel, forward: RecurrentModel) -> Any:
    """The state with its directions swapped; None if its layout does not show the directions."""
    if isinstance(model.backbone, CellStack):
        return state[::-1]
    try:
        return map_state(_swap_halves, state, forward.backbone.state_shapes(BATCH))
    except (InputError, ValueError):  # the structure or the number of axes differs
        return None


def _swap_halves(part: Tensor, forward: torch.Size) -> Tensor:
    """Swap the halves along the axis that is twice as long as in one direction."""
    axes = [axis for axis, (two, one) in enumerate(zip(part.shape, forward, strict=True)) if two == 2 * one]
    return torch.cat(part.chunk(2, axes[0])[::-1], axes[0]) if axes else part
