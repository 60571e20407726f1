"""The leaderboard shows the committed comparison: every kind on every task, and results that confirm the text."""

from benchmarks.leaderboard import LEFT_OUT, TASKS
from docs.site import leaderboard
from rnnkit import get_kind, list_kinds
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


def medians(task):
    [measure] = [each for each in BOARD.measures if leaderboard.name_of(each) == task]
    return {label: BOARD.scores(label, measure).median for label in BOARD.labels}


def family(label):
    return get_kind(label).family if "/" not in label else None


def test_only_nonlinear_kinds_solve_parity():
    linear = {label: score for label, score in medians("parity").items() if family(label) in {"linear", "matrix"}}
    assert len(linear) == 12
    assert max(linear.values()) < 0.52
    assert len({label for label, score in medians("parity").items() if score > 0.95} - linear.keys()) >= 8


def test_a_window_and_rotations_are_the_best_delay_lines():
    scores = medians("delay")
    assert {*sorted(scores, key=scores.get)[:4]} == {"lmu", "s5", "exprnn", "lru"}


def test_rotations_copy():
    assert min(medians("copying")[name] for name in ("lru", "s5", "exprnn", "gru", "janet")) > 0.99
    assert medians("copying")["lstm"] < 0.7


def test_recall_contradicts_theory():
    scores = medians("recall")
    assert max(scores, key=scores.get) == "sru"
    assert max(score for label, score in scores.items() if family(label) == "matrix") < 0.7
