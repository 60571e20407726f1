"""The language linter finds a banned form wherever it can stand, and refuses an exemption that covers nothing."""

import pytest

from tools import language

TERMS = """
files = ["*.py"]
[[terms]]
pattern = '\\bis no \\w+'
instead = "'is not a ...'"
[[terms]]
pattern = '\\bplain loop\\b'
instead = "'step loop'"
[[exemptions]]
files = "old.py"
reason = "kept as released"
"""
EXEMPT = "# it is no folder\n"


@pytest.fixture
def problems(tmp_path):
    (tmp_path / "terms.toml").write_text(TERMS)
    (tmp_path / "old.py").write_text(EXEMPT)
    language._matching.cache_clear()

    def run(text, name="new.py"):
        (tmp_path / name).write_text(text)
        return list(language.problems(tmp_path, tmp_path / "terms.toml"))

    return run


@pytest.mark.parametrize(
    "text",
    [
        "x = 1  # it is no folder\n",
        '"""It is no\n    folder."""\n',
        "# it is\n# no folder\n",
        'raise ValueError("it is " f"no folder")\n',
        'raise ValueError(\n    "it is "\n    "no folder"\n)\n',
        "def test_it_is_no_folder(): ...\n",
        "class x: is_no_folder = 1\n",
    ],
)
def test_a_banned_form_is_found_in_code(text, problems):
    [problem] = problems(text)
    assert problem.startswith("new.py:")
    assert problem.endswith("use 'is not a ...'")


def test_a_finding_names_the_line_and_the_replacement(problems):
    assert problems("\n\nplain_loop = 1\n") == ["new.py:3: 'plain loop': use 'step loop'"]


def test_good_text_and_exempt_files_have_no_findings(problems):
    assert problems("# it is not a folder\n") == []


def test_an_exemption_that_covers_nothing_is_an_error(problems):
    [problem] = problems("", name="old.py")
    assert "the exemption of 'old.py' (kept as released) covers nothing" in problem


def test_a_long_run_of_spaces_takes_no_time(problems):
    assert problems("x = 1" + " " * 100_000 + "\n") == []
