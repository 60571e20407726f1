"""Compiled models."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentModel, map_state
from rnnkit.testing._check import check
from rnnkit.testing._comparison import floating_leaves, largest_difference
from rnnkit.testing._context import CheckContext, with_gradients, without_executors
from rnnkit.testing._traced_cases import small, traced_cases
from rnnkit.testing._tracing import Arguments, arguments_of, explain_failure, fixed_size_hint, sizes_of


class _Graphs:
    """torch's backend `eager`, which also counts the graphs.

    It compiles nothing, and needs no compiler: a kind can only break the tracing, which every backend begins with.
    """

    count = 0

    def __call__(self, graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        self.count += 1
        return graph.forward


@check("systems")
@without_executors()  # which run the step, whatever its code
def compiles_in_one_graph(context: CheckContext) -> None:
    """`torch.compile(fullgraph=True, dynamic=True)` gives equal results and gradients, in one graph for all sizes.

    A step reads the value of a tensor, as by `.item()` or `if`, stores a tensor in an attribute, changes one in place,
    or has a size that becomes a number. In training, if that is deterministic, otherwise in evaluation.
    """
    modes: dict[str, None] = {}
    for case in traced_cases(context, small(context.kind)):
        model, graphs = case.model(), _Graphs()
        modes[_prefer_training(model, case.input())] = None
        context.figures["mode"] = " and ".join(modes)
        compiled = torch.compile(model, backend=graphs, fullgraph=True, dynamic=True)
        try:
            for batch, time in sizes_of(model):
                arguments = arguments_of(case, model, batch, time)
                # With gradients, although they take half of the time: without them torch traces `.item()`.
                with explain_failure("torch.compile", model):
                    actual = _results(model, compiled, arguments)
                what = f"compiled, with {batch} sequences of {time} steps,"
                context.assert_each_close(actual, _results(model, model, arguments), what)
        finally:
            torch.compiler.reset()
        message = f"torch.compile made {graphs.count} graphs for two sizes, not one: {fixed_size_hint(model)}"
        context.assert_true(graphs.count == 1, message)


def _prefer_training(model: RecurrentModel, x: Tensor) -> str:
    """Put a model in training mode, unless its calls in training are random or update buffers."""
    before = deepcopy(model.state_dict())
    one, other = (model.train()(x) for _ in range(2))
    same = not largest_difference([one, model.state_dict()], [other, before], relative=0, absolute=1e-9).message
    model.load_state_dict(before)
    return "training" if model.train(same).training else "evaluation"


def _results(model: RecurrentModel, function: Callable[..., Any], arguments: Arguments) -> dict[str, Any]:
    """The output, the final state and all gradients."""
    x, state, lengths = arguments
    x, state = _leaf(x), map_state(_leaf, state)
    output, final = function(x, state, lengths, return_state=True)
    return with_gradients(model, output, final, *floating_leaves((x, state)))


def _leaf(part: Tensor) -> Tensor:
    return part.detach().clone().requires_grad_(part.is_floating_point())
