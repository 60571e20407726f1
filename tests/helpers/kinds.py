"""The built-in kinds, by how they are tested."""

from rnnkit import Catalog, list_kinds

BUILT_IN = [kind for kind in list_kinds() if Catalog().distribution(kind) == "rnnkit"]
# Every test of the core that takes a kind runs with these. They use every path: torch's kernels, stacks of cells with
# and without executors, and several classes of cells.
CORE = ["gru", "gru_cell", "lstm", "lstm_cell", "mixed", "rnn", "rnn_cell"]
# The others are stacks of one class of cells: `tests/zoo` runs the conformance checks and the tests of their papers.
ZOO = [kind for kind in BUILT_IN if kind not in CORE]
THIRD_PARTY = [kind for kind in list_kinds() if kind not in BUILT_IN]
TESTED = sorted([*CORE, *THIRD_PARTY])
