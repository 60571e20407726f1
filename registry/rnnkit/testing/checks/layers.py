"""What a kind promises of its layers."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import torch
from torch import Tensor, nn

from rnnkit import RecurrentSpec, build_model
from rnnkit.testing.check import check
from rnnkit.testing.check_context import DIRECTIONS, Case, CheckContext, derivatives, gradients, random_state, total
from rnnkit.testing.comparison import leaves

_LAYERS = [{"num_layers": count} for count in (1, 2, 3)]


@check("numerics")
def layers_do_not_share_weights(context: CheckContext) -> None:
    """Each layer, and each of its directions, brings weights of its own, which start with values of their own.

    A module or a parameter is made once and used several times, or copied, or drawn from a seed of its own.
    """
    for case in context.cases():
        shared = _shared(case.model(moved=False).backbone)
        context.that(
            len(shared) <= _shared_within_layers(context, case.spec), f"weights are shared: {', '.join(shared)}"
        )
        equal = _starting_equal(case)
        context.that(not equal, f"weights start with the same random values: {', '.join(equal)}")
    counts: list[dict[int, int]] = [{}, {}]
    for case in context.cases(DIRECTIONS, _LAYERS, input_size=_any_size(context)):
        counts[case.spec.bidirectional][case.spec.num_layers] = _entries(case.model(moved=False).backbone)
    _check_counts(context, *counts)


@check("numerics")
def output_depends_on_every_layer(context: CheckContext) -> None:
    """The output depends on the weights of every layer.

    An upper layer reads the input of the network in the place of the layer below, or the output is that of another
    layer than the last.
    """
    counts = {}
    for case in context.cases(_LAYERS, input_size=_any_size(context)):
        model = case.model()
        context.needs(any(each.requires_grad for each in model.backbone.parameters()), "no weights of it are learned")
        found = gradients(total(model.backbone(case.input())[0]), model.backbone)
        counts[case.spec.num_layers] = sum(int(each.count_nonzero()) for each in found.values())
    _grows(context, counts, "weights that the output depends on")


@check("numerics")
def dropout_between_layers(context: CheckContext) -> None:
    """In training alone, `dropout` zeroes features between layers: not those of the input, nor of the last output.

    `dropout` is not handed on, or acts in evaluation too, or before the first layer or after the last.
    """
    for plain in context.kind_under_test.step_loop_choices:
        for case in context.cases(DIRECTIONS, num_layers=2, dropout=1.0):
            _check_all_dropped(context, case, plain=plain)
        for case in context.cases(DIRECTIONS, num_layers=2, dropout=0.5):
            _check_half_dropped(context, case, plain=plain)


@check("shape and state")
def hidden_size_per_layer(context: CheckContext) -> None:
    """A tuple as `hidden_size` gives each layer its size, from the bottom up.

    The first size is used for all layers, or the sizes come in another order.
    """
    size = context.kind_under_test.spec().hidden_sizes[0]
    for case in context.cases(DIRECTIONS, num_layers=2, hidden_size=(size, 2 * size)):
        _check_sizes(context, case, size)


def _check_counts(context: CheckContext, of_one: dict[int, int], of_both: dict[int, int]) -> None:
    """Hold the numbers of weights, by the number of layers, to be more with each layer and direction."""
    for of_layers in (of_one, of_both):
        _grows(context, of_layers, "weights")
    for layers, count in of_both.items():
        more = count > of_one.get(layers, 0)
        context.that(more, f"with {layers} layers there are {count} weights, in both directions as in one")


def _check_all_dropped(context: CheckContext, case: Case, *, plain: bool) -> None:
    """With all dropped between layers, the upper one has its state alone, and the lower one its input."""
    model, x = case.model().train(), case.input().requires_grad_()
    model.backbone.force_step_loop = plain
    output, final = model.backbone(x, random_state(model))
    reach = _reach(x, output)
    context.equal(reach, torch.zeros_like(x), "with dropout=1.0 in training, what the output depends on the input")
    context.that(output.ne(0).any(), "with dropout=1.0, all of the last output is dropped")
    reaches = not any(part.is_floating_point() for part in leaves(final)) or _reach(x, final).ne(0).any()
    context.that(reaches, "with dropout=1.0, no state depends on the input: it is dropped before the first layer")


def _check_half_dropped(context: CheckContext, case: Case, *, plain: bool) -> None:
    model, without, x = case.model(), Case(replace(case.spec, dropout=0.0)).model(), case.input()
    model.backbone.force_step_loop = plain
    without.load_state_dict(model.state_dict())
    context.same(model(x), without(x), "in evaluation, the output with dropout=0.5")
    model.train()
    context.that(not torch.equal(model(x), model(x)), "with dropout=0.5 in training, two calls give the same")


def _check_sizes(context: CheckContext, case: Case, size: int) -> None:
    """Hold layers of a size and of twice that to lie between layers that are all of the one, and all of the other."""
    choices = ((size, size), case.spec.hidden_size, 2 * size, size)
    small, model, large, one = (Case(replace(case.spec, hidden_size=each)).model(moved=False) for each in choices)
    features = model.backbone.features
    context.that(features == large.backbone.features, f"the output has {features} features, not those of the last size")
    counts = [_entries(each.backbone) for each in (small, model, large)]
    context.that(counts[0] < counts[1] < counts[2], f"there are {counts[1]} weights, as if layers were of one size")
    one.load_state_dict(small.state_dict())
    context.same(small(case.input()), one(case.input()), f"the output with hidden_size={size, size}")


def _any_size(context: CheckContext) -> int:
    """An input size with which all layers are of one size."""
    return context.kind_under_test.spec().hidden_sizes[0]


def _shared(backbone: nn.Module) -> list[str]:
    """The parameters in the memory of others."""
    first: dict[int, str] = {}
    named = {name: each for name, each in backbone.named_parameters(remove_duplicate=False) if each.numel()}
    found = {name: first.setdefault(each.data_ptr(), name) for name, each in named.items()}
    return [f"{name} with {other}" for name, other in found.items() if name != other]


def _shared_within_layers(context: CheckContext, spec: RecurrentSpec) -> int:
    """How many parameters are in the memory of others of their own layer and direction, where the kind ties some."""
    same = {"bias": spec.bias, "options": spec.to_dict()["options"]}
    changes = {**context.kind_under_test.one_layer, **same, "bidirectional": False}
    if not context.kind_under_test.takes(**changes):
        return 0
    one = Case(context.kind_under_test.spec(**changes)).model(moved=False)
    return len(_shared(one.backbone)) * spec.num_layers * spec.directions


def _starting_equal(case: Case) -> list[str]:
    """The pairs of parameters that are random and start with the same values."""
    built = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        built.append(dict(build_model(case.spec).backbone.named_parameters()))
    first, second = built
    random = {name: each for name, each in first.items() if not torch.equal(each, second[name])}
    return [f"{one} and {other}" for one, other in combinations(random, 2) if torch.equal(random[one], random[other])]


def _entries(backbone: nn.Module) -> int:
    return sum(each.numel() for each in backbone.state_dict().values())


def _grows(context: CheckContext, counts: dict[int, int], what: str) -> None:
    """Hold a number to be larger with every layer."""
    for layers, count in counts.items():
        more = layers - 1 not in counts or count > counts[layers - 1]
        context.that(more, f"with {layers} layers there are {count} {what}, and as many or more with {layers - 1}")


def _reach(x: Tensor, result: object) -> Tensor:
    """What a result depends on the input."""
    (found,) = derivatives(total(result), x)
    return found
