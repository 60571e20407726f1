"""Limits of files: a writer refuses whatever its reader does not read, and keeps the old file."""

import json
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnkit import (
    CheckpointError,
    ExportError,
    RecurrentSpec,
    SpecFileError,
    build_model,
    load_model,
    load_spec,
    save_model,
    save_spec,
    verify_model,
)
from rnnkit.files import OnnxMetadata, OnnxTensor, _onnx_metadata, read_onnx_metadata
from rnnkit.files.checkpoint import _format
from rnnkit.files.spec import _formats
from rnnkit.specs import plain_data
from tests.files.test_onnx_metadata import entry, model

SUFFIXES = [".json", ".toml", ".yaml"]


def stack(layers, **fields):
    """The spec of a stack with one entry for each layer."""
    fields = {"kind": "rnn_cell", "input_size": 1, "hidden_size": (1,) * layers, **fields}
    return RecurrentSpec(num_layers=layers, **fields)


def refusal(write, error):
    """Return the message of the error that writing a file raises; an empty string if it is written."""
    try:
        write()
    except error as raised:
        return str(raised)
    return ""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def few_values(monkeypatch):
    """At most 60 values in a spec."""
    monkeypatch.setattr(plain_data, "MAX_VALUES", 60)


# Checkpoints


@pytest.mark.usefixtures("few_values")
@pytest.mark.parametrize("layers", range(31, 35))
def test_a_model_whose_spec_has_too_many_values_is_not_saved(layers, path):
    """The values of the lock and of the fingerprint do not count, and `load_spec` has the same limit."""
    path.write_text("old")
    message = refusal(lambda: save_model(build_model(stack(layers)), path), CheckpointError)
    assert bool(message) == (layers > 32)
    if message:
        assert "was not written, because load_model could not read it: " in message
        assert "has more than 60 values" in message
        assert "write model.state_dict() with safetensors.torch.save_file" in message
        assert path.read_text() == "old"
        assert list(path.parent.iterdir()) == [path]
    else:
        assert load_model(path).spec == load_spec(path) == stack(layers)
        assert verify_model(path).ok


@pytest.mark.usefixtures("few_values")
def test_a_model_may_have_more_tied_tensors_than_a_spec_has_values(path):
    shared = build_model(stack(30, hidden_size=1))
    first, *others = shared.backbone.cells
    for cell in others:
        for name, parameter in first.named_parameters():
            setattr(cell, name, parameter)
    save_model(shared, path)
    loaded = load_model(path)
    assert len(list(loaded.parameters())) == len(list(first.parameters()))
    assert load_spec(path) == shared.spec


def test_a_model_whose_header_is_too_long_is_not_saved(path, monkeypatch):
    save_model(build_model(stack(20)), path)
    before = path.read_bytes()
    monkeypatch.setattr(_format, "_MAX_HEADER", 5_000)
    with pytest.raises(CheckpointError) as caught:
        save_model(build_model(stack(21)), path)
    assert "was not written, because load_model could not read it: " in str(caught.value)
    assert "bytes, of which load_model reads at most 5,000" in str(caught.value)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(CheckpointError, match="bytes, of which load_model reads at most 5,000"):
        load_model(path)


def test_a_reason_with_half_of_a_surrogate_pair_is_saved(path, monkeypatch):
    """The message of an exception can have any character, JSON cannot."""
    spec = stack(1)
    cell = type(build_model(spec).backbone.cells[0])

    def fail(*_):
        raise RuntimeError("\ud800\x1b[2J")

    monkeypatch.setattr(cell, "forward", fail)
    monkeypatch.setattr(cell, "step", fail)
    monkeypatch.setattr(cell, "project", fail)
    save_model(build_model(spec), path)
    assert load_model(path).spec == spec
    assert verify_model(path).reason.isprintable()


# Spec files


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("count", range(20, 40))
@pytest.mark.usefixtures("few_values")
def test_a_spec_with_about_as_many_values_as_a_file_may_have(suffix, count, tmp_path):
    spec, path = stack(count), tmp_path / f"spec{suffix}"
    path.write_text("old")
    message = refusal(lambda: save_spec(spec, path), SpecFileError)
    if message:
        assert count > 30
        assert "has more than 60 values" in message
        assert path.read_text() == "old"
    else:
        assert count < 36
        assert load_spec(path) == spec


KEYS = st.text(max_size=20) | st.integers(4_060, 4_110).map("k".__mul__) | st.integers(2_030, 2_055).map('"'.__mul__)
TEXTS = (
    st.text(max_size=20) | st.integers(4_060, 4_110).map("é".__mul__) | st.sampled_from([2**19, 2**20]).map("x".__mul__)
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([4_299, 4_300]).map((10).__pow__) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def test_load_spec_reads_whatever_save_spec_writes(tmp_path):
    """The options of a kind that is not installed may be any plain data."""
    outcomes = set()

    @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
    @given(st.dictionaries(KEYS, VALUES, max_size=3), st.sampled_from(SUFFIXES), st.integers(40, 52))
    def check(options, suffix, depth):
        nested = None
        for _ in range(depth):
            nested = [nested]
        for values in (options, options | {"nested": nested}):
            outcomes.add((suffix, is_read_if_written(values, tmp_path / f"spec{suffix}")))

    check()
    assert {(suffix, True) for suffix in SUFFIXES} < outcomes, "some are written, and some refused"


def is_read_if_written(options, path):
    """Save a spec with these options, and load it again; False if they are refused."""
    data = {"kind": "elsewhere/kind", "input_size": 1, "hidden_size": 1, "options": options}
    try:
        spec = RecurrentSpec.from_dict(data, allow_unresolved=True)
        save_spec(spec, path)
    except (SpecFileError, ValueError):
        return False
    assert load_spec(path, allow_unresolved=True) == spec
    return True


@pytest.mark.parametrize("length", range(4_075, 4_100))
def test_a_key_about_as_long_as_a_line_of_toml_may_be(length, tmp_path):
    path = tmp_path / "spec.toml"
    data = {"kind": "elsewhere/kind", "input_size": 1, "hidden_size": 1, "options": {"k" * length: None}}
    spec = RecurrentSpec.from_dict(data, allow_unresolved=True)
    if refusal(lambda: save_spec(spec, path), SpecFileError):
        assert length > 4_079
        assert not path.exists()
    else:
        assert length < 4_090
        assert load_spec(path, allow_unresolved=True) == spec


def test_a_spec_that_would_be_read_as_another_is_not_written(tmp_path, monkeypatch):
    """The last resort against a writer and a reader that differ."""
    path = tmp_path / "spec.json"
    monkeypatch.setattr(_formats._module(".json"), "write", lambda data: json.dumps(data).replace("gru", "rnn"))
    with pytest.raises(SpecFileError, match="would be read back as another spec"):
        save_spec(RecurrentSpec(kind="gru", input_size=1, hidden_size=1), path)
    assert not path.exists()


# ONNX files


def metadata(spec, **versions):
    return OnnxMetadata(
        spec={"format_version": 1, "plugin": "rnnkit==0.1.0", **spec.to_dict()},
        versions=versions,
        inputs=(OnnxTensor("x", "float32", ("batch", "time", 1)),),
        outputs=(OnnxTensor("y", "float32", ("batch", 1)),),
    )


@pytest.mark.usefixtures("few_values")
@pytest.mark.parametrize("layers", range(30, 34))
def test_metadata_with_too_many_values_is_not_written(layers, tmp_path):
    path, written = tmp_path / "model.onnx", metadata(stack(layers))
    message = refusal(written.dump, ExportError)
    assert bool(message) == (layers > 31)
    if message:
        assert "has more than 60 values" in message
    else:
        path.write_bytes(model(entry("rnnkit", written.dump())))
        assert read_onnx_metadata(path) == written
        assert load_spec(path) == stack(layers)


@pytest.mark.parametrize("size", range(-1, 3))
def test_metadata_that_is_too_long_is_not_written(size, tmp_path, monkeypatch):
    path, short = tmp_path / "model.onnx", metadata(stack(1), é="")
    monkeypatch.setattr(_onnx_metadata, "_MAX_BYTES", 2_000)
    written = metadata(stack(1), é="x" * (2_000 - len(short.dump().encode()) + size))
    message = refusal(written.dump, ExportError)
    assert bool(message) == (size > 0)
    if message:
        assert "has 2,00" in message
    else:
        path.write_bytes(model(entry("rnnkit", written.dump())))
        assert read_onnx_metadata(path) == written


@pytest.mark.parametrize(
    "value", [float("nan"), "\ud800", 10 ** sys.get_int_max_str_digits()], ids=["nan", "half", "digits"]
)
def test_metadata_that_is_not_plain_data_is_not_written(value):
    written = metadata(stack(1))
    written.spec["options"]["x"] = value
    with pytest.raises(ExportError, match=r"spec\.options\.x: "):
        written.dump()
