"""Damaged and hostile spec files give a spec or an error of rnnkit, in bounded time and memory."""

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rnnkit import RecurrentSpec, RnnkitError
from rnnkit.files.spec import load_spec, save_spec
from tests.golden.specs.write import FOLDER, SUFFIXES
from tests.helpers.repeats import REPEATS

ROOT = Path(__file__).parents[2]
FILES = 5_000 * REPEATS

# Text that is inserted into files, separated by bars.
SPECIALS = {
    ".yaml": (
        "&a ¦*a¦!!python/name:os.system ¦!¦? ¦- ¦- - ¦---\n¦...\n¦%YAML 1.1\n¦|\n¦>-\n¦<<: ¦{¦}¦[¦]¦: ¦"
        "#¦'¦\"¦\t¦~¦.inf¦-.nan¦1e999¦0o7¦\\x¦2001-12-14¦@"
    ),
    ".toml": (
        "[¦]¦[[¦]]¦[[options]]\n¦[options.a]\n¦{¦}¦= ¦\"\"\"¦'''¦\\¦inf¦nan¦1e999¦"
        "null = ['options.a']\n¦null = ['options.periods.2', 'kind']\n¦a.b.c = 1\n¦1979-05-27T07:32:00Z¦"
        "0x¦_¦#"
    ),
    ".json": ('{¦}¦[¦]¦,¦:¦"¦\\u0000¦\\ud800¦\\¦NaN¦-Infinity¦1e999¦null¦"a": ¦\t'),
}
ANYWHERE = (
    "\0¦\ufeff¦\x85¦\u2028¦😀¦\r¦\n¦-1¦0.5¦true¦null¦kind¦lstm_cell¦rnnkit-absent/x¦local/x¦a/b/c¦"
    "options¦format_version¦plugin¦$schema"
)
LONG = [" " * 50, "9" * 50, "9" * 5000]


def flip(content, _specials, chance):
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def cut(content, _specials, chance):
    begin, end = sorted(chance.choices(range(len(content)), k=2))
    return chance.choice([content[:begin], content[end:], content[:begin] + content[end:]])


def double(content, _specials, chance):
    begin, end = sorted(chance.choices(range(len(content)), k=2))
    return content[:end] + content[begin:end] * chance.choice([1, 1, 1, 30]) + content[end:]


def insert(content, specials, chance):
    place, special = chance.randrange(len(content)), chance.choice(specials).encode()
    return content[:place] + special * chance.choice([1, 1, 1, 1, 200]) + content[place:]


def swap(content, _specials, chance):
    """Swap two tokens."""
    tokens = re.findall(rb"[\w./-]+|\s+|.", content, re.DOTALL)
    first, second = chance.choices(range(len(tokens)), k=2)
    tokens[first], tokens[second] = tokens[second], tokens[first]
    return b"".join(tokens)


def replace(content, specials, chance):
    """Replace a word or number."""
    words = list(re.finditer(rb"[\w./-]+", content))
    word = chance.choice(words) if words else re.match(b"", content)
    return content[: word.start()] + chance.choice(specials).encode() + content[word.end() :]


def damaged(content, specials, chance):
    for _ in range(chance.choice([1, 1, 2, 3])):
        if content:
            content = chance.choice([flip, cut, double, insert, swap, replace, replace])(content, specials, chance)
    return content


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_file_gives_a_valid_spec_or_an_rnnkit_error(suffix, tmp_path):
    chance = random.Random(suffix)  # noqa: S311  # the same files each time
    specials = [*f"{SPECIALS[suffix]}¦{ANYWHERE}".split("¦"), *LONG]
    originals = [path.read_bytes() for path in sorted(FOLDER.glob(f"*{suffix}"))]
    path, again = tmp_path / f"damaged{suffix}", tmp_path / f"again{suffix}"
    valid = 0
    for number in range(-(-FILES // len(SUFFIXES))):
        content = damaged(chance.choice(originals), specials, chance)
        path.write_bytes(content)
        allow_unresolved = number % 2 == 0
        try:
            spec = load_spec(path, allow_unresolved=allow_unresolved)
        except RnnkitError:
            continue
        except BaseException as error:
            raise AssertionError(f"{content!r} raised {error!r}") from error
        valid += 1
        assert RecurrentSpec.from_dict(spec.to_dict(), allow_unresolved=allow_unresolved) == spec, content
        save_spec(spec, again)
        assert load_spec(again, allow_unresolved=allow_unresolved) == spec, content
    assert FILES / 200 < valid < FILES / 10, "both happen"


# Large files

SIZE = 2**18  # a quarter of the limit, which is enough to find superlinear time
HEAD = {
    "yaml": "kind: lstm\ninput_size: 3\nhidden_size: 4\n",
    "toml": 'kind = "lstm"\ninput_size = 3\nhidden_size = 4\n',
    "json": '{"kind": "lstm", "input_size": 3, "hidden_size": 4, ',
}


def filled(unit, head="", tail="", size=SIZE):
    return head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail


LARGE = {
    "brackets.yaml": filled("["),
    "braces.yaml": filled("{a: ", HEAD["yaml"] + "options: "),
    "dashes.yaml": filled("- "),
    "questions.yaml": filled("? "),
    "entries.yaml": filled("a,", HEAD["yaml"] + "output_size: [", "]", size=2**20 - 1),
    "quoted.yaml": filled("\\x41", 'kind: "', '"'),
    "doubled-quotes.yaml": filled("''", "kind: '", "'"),
    "plain.yaml": filled("a\n ", "kind: "),
    "folded.yaml": filled(" a\n", "kind: >\n"),
    "lines.yaml": filled("\n"),
    "comments.yaml": filled("#\n"),
    "directives.yaml": filled("%A\n"),
    "documents.yaml": filled("---\n"),
    "unknown.yaml": "".join(f"k{number}: 1\n" for number in range(9_900)),
    "unknown-options.yaml": HEAD["yaml"] + "options:\n" + "".join(f"  k{number}: 1\n" for number in range(9_900)),
    "sizes.yaml": HEAD["yaml"].replace("4", "[" + "0," * 9_900 + "0]"),
    "digits.yaml": filled("9", HEAD["yaml"] + "num_layers: "),
    "laughs.yaml": "".join(f"l{n + 1}: &l{n + 1} [{', '.join([f'*l{n}'] * 9)}]\n" for n in range(9)),
    "one-key.yaml": filled("k", HEAD["yaml"], ": 1"),
    "brackets.json": filled("["),
    "objects.json": filled('{"a":'),
    "entries.json": filled("0,", HEAD["json"] + '"output_size": [', "0]}"),
    "digits.json": filled("9", HEAD["json"] + '"num_layers": ', "}"),
    "tabs.json": filled("\t", HEAD["json"], '"num_layers": 0}'),
    "unknown.json": "{" + ", ".join(f'"k{number}": 1' for number in range(9_900)) + "}",
    "dots.toml": filled("a.", "", "a = 1"),
    "dots-quoted.toml": filled('"a" . ', "", '"a" = 1'),
    "dots-in-a-table.toml": filled("a.", "x = {", "a = 1}"),
    "dots-in-a-list.toml": filled("a.", "x = [1, {b = 2, ", "a = 1}]"),
    "dots-in-a-header.toml": filled("a.", "[", "a]"),
    "dots-behind-an-open-quote.toml": filled("a.", 'x = "\n', "a = 1"),
    "dots-in-long-lines.toml": "\n".join(f"k{number}." + "b." * 2_000 + "a=1" for number in range(64)),
    "dots-in-few-lines.toml": "\n".join(f"k{number}." + "b." * 2_000 + "a=1" for number in range(4)),
    "dots-in-many-lines.toml": "\n".join(f"k{number}." + "b." * 45 + "a=1" for number in range(9_000)),
    "open-quotes.toml": filled('"""\\', "x = "),
    "brackets.toml": filled("[", "x = "),
    "braces.toml": filled("{a=", "x = "),
    "lists.toml": filled("[],", "x = [", "]"),
    "tables.toml": filled("[[a]]\n[[a.b]]\n"),
    "text.toml": filled("a\n", 'kind = """', '"""'),
    "digits.toml": filled("9", HEAD["toml"] + "num_layers = "),
    "nulls.toml": filled("'options.a',", HEAD["toml"] + "null = [", "]", size=SIZE // 10),
    "a-long-null.toml": filled("a.", HEAD["toml"] + "null = ['", "a']"),
    "lines.toml": HEAD["toml"] + "dropout = 2\n" + "".join(f"options.k{number} = 1\n" for number in range(1_000)),
    "a-long-list.toml": HEAD["toml"] + "dropout = 2\nx = [\n" + "1,\n" * 1_000 + "]\n",
}
# Reads each file with limits on memory and CPU time that are several times what it needs: a process that exceeds them
# is killed.
CHILD = """
import resource, sys
from pathlib import Path
from rnnkit import RnnkitError
from rnnkit.files.spec import load_spec

load_spec(sys.argv[1])
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 400 * 2**20,) * 2)
for path in sys.argv[2:]:
    seconds = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds + 10, resource.RLIM_INFINITY))
    try:
        load_spec(path, allow_unresolved=True)
    except RnnkitError as error:
        print(Path(path).name, len(str(error)), flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory limit needs Linux")
def test_large_and_hostile_files_are_refused_in_bounded_time_and_memory(tmp_path):
    for name, content in LARGE.items():
        assert len(content) < 2**20
        (tmp_path / name).write_text(content, encoding="utf-8")
    paths = [FOLDER / "lstm.yaml", *(tmp_path / name for name in LARGE)]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *paths], cwd=ROOT, check=False, capture_output=True, text=True, encoding="utf-8"
    )
    refused = dict(line.split() for line in done.stdout.splitlines())
    assert list(refused) == list(LARGE), done.stderr[-2000:]
    assert max(map(int, refused.values())) < 10_000, "messages are short"
