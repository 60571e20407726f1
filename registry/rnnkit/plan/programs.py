"""Plans as data: what an executor runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rnnkit.plan.hoist import Hoisted, Projection


class Place(NamedTuple):
    """Where a piece of a tensor is: piece number `piece` of the tensor number `number` of a kind.

    A program reads places of the kinds `projected`, `state` and `vector`; a backward program also `product`, `kept` and
    `next_state` of the forward pass, `grad_output` and `grad_next_state`. It writes `output` and `next_state`; a
    backward program `grad_projected`, `grad_state`, `grad_vector` (this step's part of the sum over time and batch)
    and `grad_product`, the gradient of the result of a product. `operand` is the left side of a product.
    `temporary` is valid within a stage, `scratch` within a step.
    """

    kind: str
    number: int
    piece: int

    def __str__(self) -> str:
        return (
            f"{self.kind}[{self.number}]"
            if self.kind in {"temporary", "scratch", "kept"}
            else (f"{self.kind}[{self.number}].{self.piece}")
        )


class PlacedInstruction(NamedTuple):
    """An instruction of `INSTRUCTIONS` with the places of its result and of its arguments, which may be constants."""

    name: str
    result: Place
    arguments: tuple[Place | float, ...]

    def __str__(self) -> str:
        return f"{self.result} = {self.name}({', '.join(map(str, self.arguments))})"


class PlacedProduct(NamedTuple):
    """The product of the tensor `operand` with a weight, or with a transposed weight, written to `result`.

    Attributes:
        result: the kind and the number of a tensor.
        operand: the kind and the number of a tensor.
        weight: the number of a weight of `Plan.hoisted`.
        transposed: True to transpose the weight.
    """

    result: tuple[str, int]
    operand: tuple[str, int]
    weight: int
    transposed: bool

    def __str__(self) -> str:
        (result, number), (operand, other) = self.result, self.operand
        return f"{result}[{number}] = {operand}[{other}] @ weight[{self.weight}]{'.T' if self.transposed else ''}"


class Stage(NamedTuple):
    """Instructions, and then products of their results."""

    instructions: tuple[PlacedInstruction, ...]
    products: tuple[PlacedProduct, ...]

    def __str__(self) -> str:
        return "\n".join(f"    {line}" for line in (*self.instructions, *self.products))


class Program(NamedTuple):
    """Stages in order. `print` shows them."""

    stages: tuple[Stage, ...]

    def __str__(self) -> str:
        return "\n".join(f"  stage {number}\n{stage}" for number, stage in enumerate(self.stages))


@dataclass(frozen=True)
class Plan:
    """All that an executor needs to run a step and its gradient over a sequence.

    Attributes:
        width: the number of features of each piece.
        projected: the shape of each result of `projection` without the batch.
        state: the shape of each part of the state without the batch.
        output: the number of features of the output.
        hoisted: the weights and vectors, in terms of the parameters of the cell.
        projection: the inputs of the steps, in terms of the projected input and of the parameters.
        products: the number of features of the operand and of the result of each product.
        operands: the kind and the number of the tensor that is the operand of each product.
        input_products: those whose operand is the input of the cell, in a plan of the step and its projection. The
            backward program writes the gradients of their results, from which that of the input follows.
        kept: the number of pieces of the forward pass, `kept`, that the backward program reads.
        kept_products: the products of which the backward program reads the whole result; of others it reads `kept`.
        inference: the step.
        forward: the step, which also writes `kept`, for a backward pass.
        backward: the gradients of a step.
    """

    width: int
    projected: tuple[tuple[int, ...], ...]
    state: tuple[tuple[int, ...], ...]
    output: int
    hoisted: Hoisted
    projection: Projection
    products: tuple[tuple[int, int], ...]
    operands: tuple[tuple[str, int], ...]
    input_products: tuple[int, ...]
    kept: int
    kept_products: tuple[int, ...]
    inference: Program
    forward: Program
    backward: Program

    @property
    def takes_input(self) -> bool:
        """True for a plan of the step and its projection: its projected input is the input of the cell."""
        return bool(self.input_products)
