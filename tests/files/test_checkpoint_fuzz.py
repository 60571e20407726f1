"""Damaged and fuzzed checkpoints give their model or an error, in bounded memory."""

import copy
import json
import random
import resource
import struct
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load

from rnnkit import LockWarning, RecurrentSpec, RnnkitError
from rnnkit.files.checkpoint import read_spec_data
from rnnkit.files.checkpoint.checkpoint_file import load_model, save_model, verify_model
from tests.helpers.checkpoint_files import put_together, take_apart
from tests.helpers.models import small_model
from tests.helpers.repeats import REPEATS

ALLOWANCE = 256 * 2**20  # bytes
BATCHES, IN_A_BATCH = 5 * REPEATS, 500
MODELS = [
    ("lstm", {"options": {"proj_size": 2}}),
    ("gru", {"bidirectional": True, "dropout": 0.5}),
    ("lstm_cell", {"options": {"learn_initial_state": True, "layer_norm": "output"}, "hidden_size": (6, 5)}),
    ("mixed", {"options": {"cells": ["gru_cell", "rnn_cell"]}, "output_size": None}),
    ("rnn", {}),
]
VALUES = [
    *(None, True, False, 0, 1, 2, 3, 5, 8, 24, -1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 0.0, 0.5, 1.5, -0.5, 1e308),
    *(
        "",
        "x",
        "rnn",
        "local/x",
        "no-such/kind",
        "a/b/c",
        "\0",
        "\ud800",
        "é" * 100,
        "nan",
        "inf",
        "F16",
        "BF16",
        "I64",
    ),
    *("last", "float64", "int8", "a==1", "==", "0" * 63, "__metadata__", "backbone.rnn.weight_hh_l0"),
    *([], {}, [1], [2, 3], [0, 0], [[]], {"a": 1}, {"options": {}}, json.loads("[" * 60 + "]" * 60), [1] * 100),
]


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """The contents of checkpoints, one of them with tied tensors."""
    path = tmp_path_factory.mktemp("files") / "model.safetensors"
    torch.manual_seed(0)
    contents = []
    for kind, changes in MODELS:
        model = small_model(kind, **changes, dtype=torch.float32)
        if kind == "rnn":
            model.backbone.rnn.weight_hh_l1 = model.backbone.rnn.weight_hh_l0
        save_model(model, path)
        contents.append(path.read_bytes())
    return contents


@contextmanager
def little_memory():
    """Limit the memory that the block may allocate to the allowance."""
    taken = int(Path("/proc/self/statm").read_text("utf-8").split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + ALLOWANCE, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def outcome(act, path):
    """The result; None for an error of rnnkit or pydantic."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LockWarning)
            return act(path)
    except (RnnkitError, ValidationError) as error:
        str(error).encode()  # it can be printed
        return None


def dice(seed):
    """A reproducible random number generator."""
    return random.Random(seed)  # noqa: S311  # not a secret


# Bytes


def flip(content, chance):
    content = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


def overwrite(content, chance):
    start = chance.randrange(len(content))
    return content[:start] + chance.randbytes(chance.randint(1, 16)) + content[start + chance.randint(0, 16) :]


def cut(content, chance):
    return content[: chance.randrange(len(content))]


def cut_out(content, chance):
    start, stop = sorted(chance.sample(range(len(content) + 1), 2))
    return content[:start] + content[stop:]


def repeat(content, chance):
    start, stop = sorted(chance.sample(range(len(content) + 1), 2))
    return content[:stop] + content[start:]


def change_length(content, chance):
    length = chance.choice(
        [0, 1, 2, 8, len(content) - 8, len(content), 2**32, 2**63, 2**64 - 1, chance.randrange(5000)]
    )
    return struct.pack("<Q", length) + content[8:]


BYTES = [flip, flip, overwrite, cut, cut_out, repeat, change_length]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_damaged_bytes_never_give_a_different_model(batch, contents, tmp_path):
    chance, path = dice(batch), tmp_path / "model.safetensors"
    with little_memory():
        for _ in range(IN_A_BATCH):
            content = chance.choice(contents)
            damaged = chance.choice(BYTES)(content, chance)
            path.write_bytes(damaged)
            model = outcome(load_model, path)
            assert model is None or damaged == content, "a change was not detected"


# Headers, with the right digest


def places(value):
    """All dictionaries and lists in a value, including itself."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    inner = [place for part in parts for place in places(part)]
    return [value, *inner] if isinstance(value, dict | list) else inner


def change_one(header, record, chance):
    """Replace, drop, add or swap a value anywhere."""
    containers = [place for place in places([header, record]) if place]
    place = chance.choice(containers[1:])
    keys = list(place) if isinstance(place, dict) else range(len(place))
    key = chance.choice(keys)
    what = chance.choice(["replace", "replace", "replace", "number", "drop", "add", "swap"])
    if what == "drop":
        del place[key]
    elif what == "add" and isinstance(place, dict):
        place[chance.choice([str(each) for each in VALUES[:40]])] = copy.deepcopy(chance.choice(VALUES))
    elif what == "swap":
        other = chance.choice(keys)
        place[key], place[other] = place[other], place[key]
    elif what == "number" and type(place[key]) is int:
        place[key] += chance.choice([-8, -4, -1, 1, 4, 8, 1000])
    else:
        place[key] = copy.deepcopy(chance.choice(VALUES))


def tie_some(header, record, chance):
    names = list(header)
    record["tied"] = {chance.choice([*names, "x"]): chance.choice([*names, "x"]) for _ in range(chance.randint(1, 2))}
    if chance.random() < 0.5:
        header.pop(next(iter(record["tied"])), None)


def rename_one(header, record, chance):
    name = chance.choice(list(header))
    header[chance.choice([name + "x", name.replace("0", "1"), "", "\n", chance.choice(list(header))])] = header.pop(
        name
    )


def made_up(content, chance):
    header, record, data = take_apart(content)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        change = chance.choice([change_one, change_one, change_one, change_one, tie_some, rename_one])
        if header:
            change(header, record, chance)
    return put_together(header, record, data[: len(data) - chance.choice([0] * 20 + [4, 1])])


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_fuzzed_header_gives_the_model_that_it_describes_or_an_error(batch, contents, tmp_path):
    chance, path, loaded = dice(batch), tmp_path / "model.safetensors", 0
    with little_memory():
        for _ in range(IN_A_BATCH):
            content = made_up(chance.choice(contents), chance)
            path.write_bytes(content)
            model = outcome(load_model, path)
            if model is not None:
                loaded += 1
                assert_describes(content, model)
                assert outcome(verify_model, path).path == str(path)
            outcome(read_spec_data, path)
    assert loaded > IN_A_BATCH / 50  # more than the first check is fuzzed


def assert_describes(content, model):
    """Compare a loaded model with its file, as json and safetensors read it."""
    _, record, _ = take_apart(content)
    assert model.spec == RecurrentSpec.from_dict(record["spec"])
    tensors = load(content)
    for name, tensor in model.state_dict().items():
        expected = tensors[record["tied"].get(name, name)]
        assert tensor.dtype == expected.dtype
        assert torch.equal(tensor.nan_to_num(), expected.nan_to_num())


# Size


def header_of(text):
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**40) + b"{}",
        header_of(b'{"__metadata__":{"rnnkit":' + b"[" * 9_000_000),
        header_of(b'{"a":' + b"[" * 4_000_000 + b"]" * 4_000_000 + b"}"),
        header_of(b'{"a":[' + b"{}," * 2_000_000 + b"{}]}"),
        header_of(b'{"a":[' + b"9" * 5_000_000 + b"]}"),
        header_of(b'{"a":{"dtype":"F32","shape":[' + b"9223372036854775807," * 100_000 + b'1],"data_offsets":[0,4]}}'),
        header_of(b'{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,9223372036854775807]}}'),
        header_of(b"{" + b",".join(b'"%d":0' % number for number in range(500_000)) + b"}"),
    ],
    ids=["length", "open", "deep", "objects", "digits", "axes", "exabytes", "names"],
)
def test_hostile_headers_do_not_allocate_memory(content, tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with little_memory():
        assert outcome(load_model, path) is None


def test_hostile_specs_do_not_allocate_memory(contents, tmp_path):
    path = tmp_path / "model.safetensors"
    for field, value in [("hidden_size", 10**6), ("num_layers", 10**9), ("input_size", 10**12), ("output_size", 10**9)]:
        header, record, data = take_apart(contents[-1])
        record["spec"][field] = value
        path.write_bytes(put_together(header, record, data))
        with little_memory():
            assert outcome(load_model, path) is None
            assert outcome(verify_model, path) is None
