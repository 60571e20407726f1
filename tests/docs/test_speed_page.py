"""The page on the speed of each kind is up to date, and complete."""

import json

from docs.site import zoo
from rnnkit import get_kind, list_kinds
from rnnkit.options import StackOptions

RECORD = json.loads((zoo.FOLDER / "zoo.json").read_text("utf-8"))


def test_tables_show_the_figures():
    assert zoo.main(["--check"]) == 0


def test_every_stack_of_cells_was_measured_at_every_shape():
    stacks = {
        name for name in list_kinds("rnnkit/*") if issubclass(get_kind(name).options, StackOptions) and name != "mixed"
    }
    assert len(stacks) >= 35
    measured = {(row["kind"], row["shape"], row["what"]) for row in RECORD["results"]}
    assert measured == {
        (kind, shape, what) for kind in stacks for shape in ("medium", "long", "longest") for what in zoo.WHAT
    }
