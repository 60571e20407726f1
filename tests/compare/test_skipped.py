"""Kinds that cannot be built: left out if a pattern found them, an error if the user named them."""

import pytest

from rnnkit import Catalog, PluginError, StackOptions, cell_kind, register_kind
from rnnkit.compare import Comparison, compare, runner, tasks
from rnnkit.errors import CompareError
from rnnkit.testing import use_catalog
from tests.compare.results import result, seeds
from tests.helpers.cells import SimpleCell
from tests.helpers.plugins_on_disk import DECAY_CELL

TASK = tasks.adding(length=6)
QUICK = {"steps": 3, "parameters": 200, "num_layers": 1, "seeds": 2, "engine": "here"}
DECAY = f"{DECAY_CELL}\n\n@hookimpl\ndef register_kinds(register):\n    register(decay_kind('decay'))\n"
SOURCES = {
    "its import fails": ("raise OSError('no such library')", "PluginError: .*no such library"),
    "an option is required": (
        DECAY.replace("super().__init__", "assert decay != 0.5, 'set the option decay'; super().__init__"),
        "set the option decay",
    ),
    "its builder raises": (DECAY.replace("decay_kind('decay')", "kind('decay')"), "NotImplementedError"),
}


@pytest.fixture(params=SOURCES)
def broken(plugins, request):
    """The kind `rnnkit-acme/decay`, which cannot be built, and why."""
    source, reason = SOURCES[request.param]
    plugins.install("decay", source=source, distribution="rnnkit-acme")
    with use_catalog(Catalog()):
        yield reason


@pytest.mark.parametrize("match", ["parameters", "hidden_size"])
def test_a_pattern_goes_on_without_it(broken, match, tmp_path):
    with pytest.warns(UserWarning, match=f"goes on without rnnkit-acme/decay on adding .*{broken}") as caught:
        result = compare(["gru", "*/decay"], [TASK], match=match, file=tmp_path / "a.json", **QUICK)
    assert [each.filename for each in caught] == [__file__]
    assert [(each.label, each.status) for each in result.results] == [
        *[("gru", "finished")] * 2,
        *[("rnnkit-acme/decay", "skipped")] * 2,
    ]
    assert Comparison.load(tmp_path / "a.json") == result
    (note,) = [each for each in result.table().notes if "was skipped: " in each]
    assert note.startswith("rnnkit-acme/decay on adding(length=6) was skipped: ")
    assert "2 of 2 skipped" in str(result.table())
    assert "skipped" in result.to_pandas()["status"].tolist()


def test_a_name_is_an_error_before_anything_runs(broken, monkeypatch):
    monkeypatch.setattr(runner, "execute", lambda run: pytest.fail("a run was made"))
    for kinds in (["gru", "rnnkit-acme/decay"], ["*/decay", "rnnkit-acme/decay"], {"a": {"kind": "rnnkit-acme/decay"}}):
        with pytest.raises((CompareError, PluginError)):
            compare(kinds, [TASK], **QUICK)


def test_a_search_goes_on_without_it(broken):
    with pytest.warns(UserWarning, match="goes on without rnnkit-acme/decay"):
        result = compare(["gru", "*/decay"], [TASK], search=2, **QUICK)
    assert {each.label: each.status for each in result.results} == {"gru": "finished", "rnnkit-acme/decay": "skipped"}


def test_a_search_space_that_a_kind_of_a_pattern_does_not_have():
    space = {"options.zoneout": [0.0, 0.1]}  # gru_cell has zoneout, gru has not
    with pytest.warns(UserWarning, match=r"goes on without gru on adding \(No trial of 'gru' .*no option 'zoneout'"):
        result = compare(["gru*"], [TASK], search=1, space=space, **QUICK)
    assert {each.label: each.status for each in result.results} == {"gru": "skipped", "gru_cell": "finished"}


def test_a_pattern_goes_on_without_a_kind_of_this_process():
    with (
        register_kind(cell_kind(SimpleCell, name="tanh", summary="A test.", options=StackOptions)),
        pytest.warns(UserWarning, match="without local/tanh .*Workers import kinds from installed distributions"),
    ):
        result = compare(["local/*"], [TASK], **{**QUICK, "engine": "loky"})
    assert {each.status for each in result.results} == {"skipped"}


def test_a_kind_that_was_repaired_has_its_results_only(plugins, tmp_path):
    plugins.install("decay", source="raise OSError('no data')", distribution="rnnkit-acme")
    arguments = {"kinds": ["*/decay"], "tasks": [TASK], "file": tmp_path / "a.json", **QUICK}
    with use_catalog(Catalog()), pytest.warns(UserWarning, match="goes on without"):
        compare(**arguments)
    plugins.forget()
    plugins.install("decay", source=DECAY, distribution="rnnkit-acme")
    with use_catalog(Catalog()):
        result = compare(**arguments)
    assert [each.status for each in result.results] == ["finished"] * 2
    assert Comparison.load(tmp_path / "a.json") == result


def skipped(label, error="no data", **changes):
    return result(label, score=None, status="skipped", error=error, **changes)


def test_a_skipped_label_is_compared_with_an_older_comparison():
    older = Comparison([*seeds("a", 0.1, 0.2), result("b")])
    newer = Comparison([*seeds("a", 0.3, 0.4), skipped("b", spec={"kind": "b"})])
    assert any("skipped" in cell.text for cells in newer.difference(older).rows for cell in cells)


def test_the_notes_name_all_tasks_of_one_reason():
    results = [skipped("a", task=f"t{number}", error="no data") for number in range(3)]
    assert "a on t0, t1, t2 was skipped: no data" in Comparison(results).table().notes
