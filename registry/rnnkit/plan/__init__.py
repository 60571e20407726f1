"""Plans: the step of a cell as data, which an executor runs without Python.

`plan_for` records the step of a cell once, lowers it to matrix products and element-wise instructions, derives its
gradient and arranges both in stages: a `Plan`. A step that does anything else has a `Refusal` with the reason.
`unroll` is the reference executor. This room knows cells by their methods alone, so that `rnnkit.cells` may import it
to choose an executor.
"""

from rnnkit.plan.choice import Choice, choose, choose_each
from rnnkit.plan.executor import Executor
from rnnkit.plan.instructions import INSTRUCTIONS, Instruction
from rnnkit.plan.programs import Place, PlacedInstruction, PlacedProduct, Plan, Program, Stage
from rnnkit.plan.record import flatten
from rnnkit.plan.reference import unroll
from rnnkit.plan.steps import Regularization
from rnnkit.plan.trust import Refusal, plan_for

__all__ = [
    "INSTRUCTIONS",
    "Choice",
    "Executor",
    "Instruction",
    "Place",
    "PlacedInstruction",
    "PlacedProduct",
    "Plan",
    "Program",
    "Refusal",
    "Regularization",
    "Stage",
    "choose",
    "choose_each",
    "flatten",
    "plan_for",
    "unroll",
]
