"""The line of each value in TOML, compared with a search that needs no knowledge of the syntax."""

import tomllib

import pytest

from rnnkit.files.spec._toml_lines import lines_of
from rnnkit.specs import walk

DOCUMENTS = {
    "values": "kind = 'lstm'\n\n# a comment with [ and ' and \"\"\"\ninput_size = 1 # [\nhidden_size = 2",
    "dotted keys": 'a.b = 1\na.c.d = 2\n\'a.b\'."c\\"d" = 3\n',
    "arrays": "a = [\n  1, # ]\n  [2, 3],\n  '[',\n]\nb = {c = 1, d = [1, {e = 2}]}\n",
    "tables": 'x = 1\n[options]\nu = 1\n  [ options . "v.w" ]  # [[\ny = 2\n\n[other]\nz = []\n',
    "arrays of tables": "[[c]]\na = 1\n[c.o]\nb = 1\n[[c]]\na = 2\n[[c.d]]\ne = 1\n[[c.d]]\n[c.d.f]\ng = 1\n[[ c ]]\n",
    "strings": 'a = "#\\"["\nb = """\n[x]\n"" \\""" y = 1"""""\nd = """"""\nf = 1\n',
    "literal strings": "a = ''\nb = '''\n''[\n\\'''''\nc = '\"'\nd = 1\n",
    "line breaks of Windows": "a = 1\r\n[b]\r\nc = '''\r\n'''\r\nd = [\r\n1]\r\n",
    "no values": "# nothing\n\n",
    "nothing": "",
    "a table named 0": "[a.0]\nb = 1\n[c]\n0 = 1\n",
}


def lines_by_search(text):
    """Parse each beginning of a text: one that is valid, unlike all shorter ones, ends with a complete statement."""
    lines, found, begin = text.split("\n"), {}, 1
    for end in range(1, len(lines) + 1):
        try:
            data = tomllib.loads("\n".join(lines[:end]) + "\n")
        except tomllib.TOMLDecodeError:
            continue
        found = {path: found.get(path, begin) for path, _ in walk(data)}
        begin = end + 1
    return found


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_value_has_the_line_of_its_statement(name):
    text = DOCUMENTS[name]
    found = dict(lines_of(text))
    assert found.keys() | {()} == {path for path, _ in walk(tomllib.loads(text))}
    assert found == {path: line for path, line in lines_by_search(text).items() if path in found}
