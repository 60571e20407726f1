"""The page about export shows the recorded figures of every kind, and marks those that failed."""

import copy
import json

import pytest

from docs.site import export
from tests.helpers.pages import DOCS

RECORD = json.loads(export.FIGURES.read_text(encoding="utf-8"))


def row_of(kind, text):
    return [line for line in text.splitlines() if line.startswith(f"| `{kind}` |")]


def test_tables_are_up_to_date():
    assert export.TABLE.read_text(encoding="utf-8") == export.text(RECORD), "run python -m docs.site.export"
    page = (DOCS / "how_to/export.md").read_text(encoding="utf-8")
    assert '--8<-- "docs/measured/export.md"' in page


@pytest.mark.parametrize("name", export.KINDS)
def test_each_kind_has_its_files_times_and_steps(name):
    files, times, steps = row_of(name, export.text(RECORD))
    found = [each for each in RECORD["results"] if (each["kind"], each["shape"]) == (name, export.SHAPE)]
    assert {each["what"].partition(":")[0] for each in found} - {"training"} == {"forward", "step"}
    for each in found:
        is_step = each["what"].startswith("step")
        assert (f"({each['ratio']:.2f})" in steps) if is_step else (f"{each['ratio']:.2f}" in times)
    [recorded] = [each for each in RECORD["exports"] if (each["kind"], each["shape"]) == (name, export.SHAPE)]
    assert any(name in files for name in recorded["operators"] if name in export.RECURRENT)


def test_training_has_a_column_once_it_is_measured():
    record = copy.deepcopy(RECORD)
    record["results"] = [each for each in record["results"] if not each["what"].startswith("training")]
    assert "compiled training" not in export.text(record)
    forward = [each for each in record["results"] if each["what"] == "forward: compiled"]
    record["results"] += [{**each, "what": "training: compiled", "ratio": 7.77} for each in forward]
    text = export.text(record)
    assert "compiled training, 1 thread |" in text
    assert "| 7.77 |" in row_of("gru", text)[1]


def test_a_failure_is_shown_with_its_reason():
    record = copy.deepcopy(RECORD)
    failed = {"what": "step: compiled", "kind": "gru", "shape": export.SHAPE, "threads": 1}
    record["results"] = [each for each in record["results"] if not failed.items() <= each.items()]
    with pytest.raises(LookupError, match=r"0 records of .*'step: compiled'"):
        export.text(record)
    record["failures"].append({**failed, "reason": "no C++ compiler"})
    text = export.text(record)
    assert "| ✗ |" in row_of("gru", text)[2]
    assert "`no C++ compiler`" in text
