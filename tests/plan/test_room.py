"""The room as a whole: its imports, and plans as text."""

import torch

from rnnkit.plan import Place
from rnnkit_builtin.gru_cell import GRUCell
from tests.helpers.commands import run_process
from tests.helpers.plans import plan_of

IMPORTS = """
import sys, torch
from rnnkit import RecurrentSpec, build_model
model = build_model(RecurrentSpec(kind="gru_cell", input_size=3, hidden_size=4))
model(torch.zeros(2, 5, 3))
assert not any(name.startswith("rnnkit.plan") for name in sys.modules), "a model imports plans"
before = set(sys.modules)  # torch 2.6 imports sympy itself
from rnnkit.plan import Plan, plan_for
assert isinstance(plan_for(model.backbone.cells[0]), Plan)
heavy = {"sympy", "torch._dynamo", "torch._inductor"} & (set(sys.modules) - before)
assert not heavy, f"a plan imports {heavy}"
"""


def test_imports():
    """Models do not import plans, and plans do not import torch's compiler."""
    done = run_process(code=IMPORTS)
    assert done.returncode == 0, done.stderr.decode()


def test_programs_are_readable():
    plan = plan_of(GRUCell(3, 4, dtype=torch.float64))
    assert str(plan.inference).startswith("  stage 0\n    product[0] = state[0] @ weight[0]\n  stage 1\n")
    assert "    grad_operand[0] = grad_product[0] @ weight[0].T\n" in str(plan.backward)


def test_every_place_is_written_before_it_is_read():
    plan = plan_of(GRUCell(3, 4, dtype=torch.float64))
    for program in (plan.inference, plan.forward, plan.backward):
        for stage in program.stages:
            written = set()
            for instruction in stage.instructions:
                reads = [each for each in instruction.arguments if isinstance(each, Place)]
                assert all(each in written for each in reads if each.kind == "temporary")
                written.add(instruction.result)
