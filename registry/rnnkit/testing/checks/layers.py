"""Layers and the dropout between them."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import torch
from torch import Tensor, nn

from rnnkit import RecurrentModel, RecurrentSpec, build_model
from rnnkit._messages import join_names
from rnnkit.testing._check import check
from rnnkit.testing._comparison import floating_leaves
from rnnkit.testing._context import DIRECTIONS, Case, CheckContext, derivatives, gradients, random_state, total
from rnnkit.testing._seeding import seed_generators
from rnnkit.testing.kind_under_test import Changes, KindUnderTest

_CALLS = 8
_MAX_ZEROS = 0.4  # of the output with dropout=0.5 between layers; half of it, if it is dropped itself


@check("numerics")
def layers_do_not_share_weights(context: CheckContext) -> None:
    """Each layer and direction has its own weights, with different initial values.

    A module or parameter is reused or copied, or its initial values come from a fixed seed.
    """
    for case in context.cases():
        shared = _shared_weights(case.model(perturb=False).backbone)
        tied = _shared_within_layers(context, case.spec)
        context.assert_true(len(shared) <= tied, f"weights are shared: {join_names(shared)}")
        equal = _equally_initialized(case)
        context.assert_true(not equal, f"weights have the same random initial values: {join_names(equal)}")
    counts: dict[int, dict[int, int]] = {1: {}, 2: {}}
    for case in context.cases(DIRECTIONS, _equal_layers(context.kind)):
        counts[case.spec.directions][case.spec.num_layers] = _count_entries(case.model(perturb=False).backbone)
    for by_layer in counts.values():
        _assert_grows(context, by_layer, "weights")
    for layers, count in counts[2].items():
        more = count > counts[1].get(layers, 0)
        context.assert_true(more, f"with {layers} layers there are {count} weights, in two directions as in one")


@check("numerics")
def output_depends_on_every_layer(context: CheckContext) -> None:
    """The output depends on the weights of every layer.

    An upper layer reads the input of the network instead of the output of the layer below, or the output is not that of
    the last layer.
    """
    counts = {}
    for case in context.cases(_equal_layers(context.kind)):
        model = case.model()
        found = gradients(total(model.backbone(case.input())[0]), model.backbone)
        context.skip_unless(found, "it has no trainable weights")
        counts[case.spec.num_layers] = sum(int(each.count_nonzero()) for each in found.values())
    _assert_grows(context, counts, "weights that the output depends on")


@check("numerics")
def dropout_between_layers(context: CheckContext) -> None:
    """`dropout` zeroes features between layers, in training only; not of the input and not of the last output.

    `dropout` is not passed on, acts in evaluation mode, before the first layer or after the last.
    """
    for force in context.kind.force_step_loop_values:
        for case in context.cases(DIRECTIONS, num_layers=2, dropout=1.0):
            _check_all_dropped(context, case, force_step_loop=force)
        for case in context.cases(DIRECTIONS, num_layers=2, dropout=0.5):
            _check_half_dropped(context, case, force_step_loop=force)


@check("shape and state")
def hidden_size_per_layer(context: CheckContext) -> None:
    """A tuple as `hidden_size` sets the size of each layer, from the first to the last.

    All layers use the first size, or the sizes are in the wrong order.
    """
    size = context.kind.spec().hidden_sizes[0]
    directions = [each for each in DIRECTIONS if _accepts_layers_of_one_size(context.kind, size, each)]
    context.skip_unless(directions, f"the kind rejects layers of {size} and layers of {2 * size}")
    for case in context.cases(directions, num_layers=2, hidden_size=(size, 2 * size)):
        _check_sizes(context, case, size)


def _equal_layers(kind: KindUnderTest) -> list[Changes]:
    """One to three layers with inputs of one size, which gives all layers the same number of weights."""
    return [{"num_layers": count, "input_size": kind.spec().hidden_sizes[0]} for count in (1, 2, 3)]


def _check_all_dropped(context: CheckContext, case: Case, *, force_step_loop: bool) -> None:
    """With dropout=1.0, the output depends on the state of the last layer only, and the first layer on the input."""
    model, x = case.model().train(), case.input().requires_grad_()
    model.backbone.force_step_loop = force_step_loop
    output, final = model.backbone(x, random_state(model))
    (gradient,) = derivatives(total(output), x)
    context.assert_equal(gradient, torch.zeros_like(x), "with dropout=1.0 in training, the gradient of the output")
    if _maps_zeros_to_zeros(model, x):
        context.figures["zero input"] = "gives zero output, so dropout=0.5 shows whether the last output is dropped"
    else:
        context.assert_true(output.any(), "with dropout=1.0, the last output is dropped")
    depends = not floating_leaves(final) or derivatives(total(final), x)[0].ne(0).any()
    context.assert_true(depends, "with dropout=1.0, no state depends on the input: the input is dropped")


def _check_half_dropped(context: CheckContext, case: Case, *, force_step_loop: bool) -> None:
    model, without, x = case.model(), Case(replace(case.spec, dropout=0.0)).model(), case.input()
    model.backbone.force_step_loop = force_step_loop
    without.load_state_dict(model.state_dict())
    context.assert_close(model(x), without(x), "in evaluation, the output with dropout=0.5")
    model.train()
    differ = not torch.equal(model(x), model(x))
    context.assert_true(differ, "with dropout=0.5 in training, two calls give the same output")
    zeros = torch.stack([model.backbone(x)[0].eq(0) for _ in range(_CALLS)]).double().mean()
    few_zeros = zeros < _MAX_ZEROS or without.backbone(x)[0].eq(0).any()
    context.assert_true(few_zeros, f"with dropout=0.5, {zeros:.0%} of the last output are dropped")


@torch.no_grad()
def _maps_zeros_to_zeros(model: RecurrentModel, x: Tensor) -> bool:
    """Whether the output is zero for a zero input, as where a cell reads its state with a query of the input."""
    state, training = random_state(model), model.training
    output, _ = model.eval().backbone(torch.zeros_like(x), state)
    model.train(training)
    return not output.any()


def _accepts_layers_of_one_size(kind: KindUnderTest, size: int, directions: Changes) -> bool:
    sizes: list[int | tuple[int, int]] = [(size, size), 2 * size, size]
    return all(kind.accepts(num_layers=2, hidden_size=each, **directions) for each in sizes)


def _check_sizes(context: CheckContext, case: Case, size: int) -> None:
    """Compare layers of sizes (size, 2 * size) with layers that all have the one size, and all the other."""
    choices = ((size, size), case.spec.hidden_size, 2 * size, size)
    small, model, large, one = (Case(replace(case.spec, hidden_size=each)).model(perturb=False) for each in choices)
    features = model.backbone.features
    is_last = features == large.backbone.features
    context.assert_true(is_last, f"the output has {features} features, which is not the last size")
    fewer, count, more = (_count_entries(each.backbone) for each in (small, model, large))
    context.assert_true(fewer < count < more, f"there are {count} weights, as if all layers had one size")
    one.load_state_dict(small.state_dict())
    context.assert_close(small(case.input()), one(case.input()), f"the output with hidden_size={size, size}")


def _shared_weights(backbone: nn.Module) -> list[str]:
    """The parameters that share memory with an earlier one."""
    first: dict[int, str] = {}
    named = {name: each for name, each in backbone.named_parameters(remove_duplicate=False) if each.numel()}
    found = {name: first.setdefault(each.data_ptr(), name) for name, each in named.items()}
    return [f"{name} with {other}" for name, other in found.items() if name != other]


def _shared_within_layers(context: CheckContext, spec: RecurrentSpec) -> int:
    """How many parameters are shared within layers, where the kind ties weights on purpose."""
    options = spec.to_dict()["options"]
    changes = {**context.kind.one_layer, "bias": spec.bias, "options": options, "bidirectional": False}
    if not context.kind.accepts(**changes):
        return 0
    one = Case(context.kind.spec(**changes)).model(perturb=False)
    return len(_shared_weights(one.backbone)) * spec.num_layers * spec.directions


def _equally_initialized(case: Case) -> list[str]:
    built = []
    for seed in (1, 2):
        seed_generators(seed)
        built.append(dict(build_model(case.spec).backbone.named_parameters()))
    first, second = built
    random = {name: each for name, each in first.items() if not torch.equal(each, second[name])}
    return [f"{one} and {other}" for one, other in combinations(random, 2) if torch.equal(random[one], random[other])]


def _count_entries(backbone: nn.Module) -> int:
    return sum(each.numel() for each in backbone.state_dict().values())


def _assert_grows(context: CheckContext, counts: dict[int, int], what: str) -> None:
    for layers, count in counts.items():
        more = layers - 1 not in counts or count > counts[layers - 1]
        context.assert_true(more, f"with {layers} layers there are {count} {what}, no more than with {layers - 1}")
