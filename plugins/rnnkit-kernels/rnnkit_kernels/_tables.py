"""The tables of a plan, made once for each plan and kept as long as the plan."""

from __future__ import annotations

import math
import weakref
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from rnnkit.plan import Plan
from rnnkit_kernels._code import Code
from rnnkit_kernels._layout import Layout
from rnnkit_kernels._parameters import Parameters
from rnnkit_kernels._sharing import share_gradients


class Tables:
    """The programs of a plan for the library, each made when it is first used.

    Args:
        plan: the plan.
        opcodes: the number of each instruction of the library.

    Attributes:
        unknown: the instructions of the plan that the library does not have.
        operands: the products whose operand is computed for them.
        products: the products whose results the backward program reads.
        parameters: reads the inputs of the plan.
        projection: the number of multiplications of products of the input of the cell, for each step and sequence.
        shared: for some projected inputs the number of the product whose gradient has theirs, and of its first piece.
    """

    def __init__(self, plan: Plan, opcodes: Mapping[str, int]) -> None:
        # not the plan itself, which these tables must not keep alive
        self._plan = weakref.ref(plan)
        self._opcodes = opcodes
        self._constants: dict[tuple[int, torch.dtype], Tensor] = {}
        self._layouts: dict[Any, Layout] = {}
        self.parameters = Parameters(plan)
        self.unknown = sorted(_instruction_names(plan) - opcodes.keys())
        self.operands = [number for number, (kind, _) in enumerate(plan.operands) if kind == "operand"]
        self.products = list(plan.kept_products)
        self.projection = sum(math.prod(plan.products[number]) for number in plan.input_products)
        pieces = [math.prod(shape) // plan.width for shape in plan.projected]
        self._backward, self.shared = share_gradients(plan.backward, pieces)

    @cached_property
    def inference(self) -> Code:
        plan = self.plan
        return Code(plan, plan.inference, self._opcodes, last_two=["state"])

    @cached_property
    def forward(self) -> Code:
        plan = self.plan
        stored = [*[("operand", each) for each in self.operands], *[("product", each) for each in self.products]]
        return Code(plan, plan.forward, self._opcodes, stored=stored)

    @cached_property
    def backward(self) -> Code:
        plan = self.plan
        stored = [("product", each) for each in self.products]
        return Code(plan, self._backward, self._opcodes, stored=stored, last_two=["grad_state"], reverse=True)

    def constants(self, code: Code, dtype: torch.dtype) -> Tensor:
        """Return the memory `CONSTANTS` of a program."""
        key = (id(code), dtype)
        if key not in self._constants:
            values = torch.tensor(code.constants, dtype=torch.float64).to(dtype)
            self._constants[key] = values.repeat_interleave(self.plan.width)
        return self._constants[key]

    def layout(self, inputs: Sequence[Tensor], sizes: tuple[int, int], *, is_masked: bool) -> Layout:
        """Return the layout for inputs of these shapes and strides, made at the first call with them.

        Args:
            inputs: the inputs, as `Parameters.inputs` returns them.
            sizes: the number of steps and of sequences.
            is_masked: True if sequences have lengths.

        Raises:
            ValueError: an input has another shape, dtype or device than the plan.
        """
        # a list, not a generator: this runs at every call
        key = (sizes, is_masked, *[(each.shape, each.stride(), each.dtype, each.is_cpu) for each in inputs])
        layout = self._layouts.get(key)
        if layout is None:
            if len(self._layouts) >= _MOST_LAYOUTS:
                self._layouts = {}
            layout = self._layouts[key] = Layout(self, inputs, sizes, is_masked=is_masked)
        return layout

    def with_oriented_weights(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return the inputs with weights `(features, other_features)`."""
        oriented = list(inputs)
        first = len(self.plan.projected) + len(self.plan.state)
        for number, transposed in enumerate(self.parameters.transposed, first):
            oriented[number] = inputs[number].t() if transposed else inputs[number]
        return oriented

    @property
    def plan(self) -> Plan:
        """The plan."""
        plan = self._plan()
        assert plan is not None, "the tables outlive their plan"  # noqa: S101  # for type checkers: a weak reference
        return plan


_MOST_LAYOUTS = 64  # a batch size and other strides at every call must not fill the memory

# By identity: plans are compared by all their tables.
_known: dict[tuple[int, int], Tables] = {}


def tables_for(plan: Plan, opcodes: Mapping[str, int]) -> Tables:
    """Return the tables of a plan for a library, which has these instructions."""
    key = (id(plan), id(opcodes))
    tables = _known.get(key)
    if tables is None:
        tables = _known[key] = Tables(plan, opcodes)
        weakref.finalize(plan, _known.pop, key, None)
    return tables


def _instruction_names(plan: Plan) -> set[str]:
    programs = (plan.inference, plan.forward, plan.backward)
    return {each.name for program in programs for stage in program.stages for each in stage.instructions}
