"""The leaderboard shows the committed comparison: every kind on every task, and results that confirm the text."""

from benchmarks.leaderboard import LEFT_OUT, TASKS
from docs.site import leaderboard
from rnnkit import list_kinds
from rnnkit.compare import Comparison
from rnnkit.compare.scores import Board

RESULTS = Comparison.load(leaderboard.RESULTS).results
BOARD = Board(RESULTS)
EXAMPLES = {"rnnkit-nbrc/nbrc", "rnnkit-ncps/ltc"}


def test_the_page_shows_the_results():
    assert leaderboard.main(["--check"]) == 0


def test_every_kind_was_trained_on_every_task():
    built_in = set(list_kinds("rnnkit/*")) - LEFT_OUT
    assert set(BOARD.labels) == built_in | EXAMPLES
    runs = {(each.label, each.task, each.seed) for each in RESULTS}
    assert len(runs) == len(RESULTS) == len(BOARD.labels) * len(TASKS) * 2
    assert [leaderboard.name_of(measure) for measure in BOARD.measures] == sorted(task.name for task in TASKS)
