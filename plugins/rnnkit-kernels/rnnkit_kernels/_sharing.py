"""Let the gradient of a projected input be a part of the gradient of a product, if the two are equal.

A step often adds the two, so that a backward program writes the same values twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rnnkit.plan import Place, PlacedInstruction, Program, Stage


def share_gradients(program: Program, pieces: Sequence[int]) -> tuple[Program, dict[int, tuple[int, int]]]:
    """Return the program without the second writes, and where the gradients are.

    Args:
        program: a backward program.
        pieces: the number of pieces of each projected input.

    Returns:
        The program, and for some projected inputs the number of a product and of the first piece in its gradient.
    """
    copies = _copies(program)
    shared: dict[int, tuple[int, int]] = {}
    moved: dict[Place, Place] = {}
    for number, count in enumerate(pieces):
        of_projected = [Place("grad_projected", number, piece) for piece in range(count)]
        places = [copies.get(place) for place in of_projected]
        first = next(iter(places), None)  # the input of the cell may be narrower than a piece
        if first is None or not set(moved.values()).isdisjoint(places):  # two gradients must not be the same memory
            continue
        if places == [Place("grad_product", first.number, first.piece + piece) for piece in range(count)]:
            shared[number] = first.number, first.piece
            moved.update(zip(of_projected, places, strict=True))  # type: ignore[arg-type]  # none of them is None
    return program._replace(stages=tuple(_moved(stage, moved) for stage in program.stages)), shared


def _copies(program: Program) -> dict[Place, Place]:
    """Return the places in gradients of products to which gradients of projected inputs are copied."""
    instructions = [each for stage in program.stages for each in stage.instructions]
    return {
        source: place
        for name, place, (source, *_) in instructions
        if name == "copy" and isinstance(source, Place)
        if (source.kind, place.kind) == ("grad_projected", "grad_product")
    }


def _moved(stage: Stage, moved: Mapping[Place, Place]) -> Stage:
    instructions = [
        PlacedInstruction(name, moved.get(place, place), tuple(_read(each, moved) for each in arguments))
        for name, place, arguments in stage.instructions
    ]
    return stage._replace(
        instructions=tuple(each for each in instructions if each.name != "copy" or each.arguments != (each.result,))
    )


def _read(argument: Place | float, moved: Mapping[Place, Place]) -> Place | float:
    return moved.get(argument, argument) if isinstance(argument, Place) else argument
