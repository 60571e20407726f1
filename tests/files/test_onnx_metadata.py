"""The metadata of ONNX files, read without the onnx package; the bytes here are written by hand."""

import json
import subprocess
import sys
from contextlib import suppress

import pytest

from rnnkit import RecurrentSpec, SpecFileError, load_spec
from rnnkit.files import OnnxMetadata, OnnxTensor, read_onnx_metadata

SPEC = RecurrentSpec(kind="gru", input_size=3, hidden_size=4)
METADATA = OnnxMetadata(
    spec=SPEC.to_dict(),
    versions={"rnnkit": "0.1.0"},
    inputs=(OnnxTensor("x", "float32", ("batch", "time", 3)),),
    outputs=(OnnxTensor("y", "float32", ("batch", 4)),),
)


def varint(value):
    return bytes([value]) if value < 128 else bytes([value % 128 + 128]) + varint(value // 128)


def field(number, content):
    return varint(8 * number + 2) + varint(len(content)) + content


def entry(name, value):
    return field(14, field(1, name.encode()) + field(2, value.encode()))


def model(*entries):
    """Return an ONNX file: its version, a graph, and entries of the metadata."""
    return varint(8) + varint(10) + field(7, bytes(100_000)) + b"".join(entries)


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "model.onnx"
        path.write_bytes(content)
        return path

    return write


def test_metadata_round_trip(write):
    path = write(model(entry("other", "value"), entry("rnnkit", METADATA.dump())))
    assert read_onnx_metadata(path) == METADATA
    assert load_spec(path) == SPEC
    assert load_spec(path, overrides=["hidden_size=5"]).hidden_size == 5


def test_other_files_are_refused(write):
    with pytest.raises(SpecFileError, match="has no rnnkit metadata: it was not written by export_onnx"):
        read_onnx_metadata(write(model()))
    with pytest.raises(SpecFileError, match="is not a valid ONNX file"):
        read_onnx_metadata(write(b"PK\x03\x04" + bytes(100)))
    with pytest.raises(FileNotFoundError):
        read_onnx_metadata("missing.onnx")


@pytest.mark.parametrize(
    "change", [{"format_version": 2}, {"spec": 3}, {"more": 1}, {"inputs": [{"name": "x"}]}], ids=str
)
def test_metadata_of_another_form_is_refused(change, write):
    data = {**json.loads(METADATA.dump()), **change}
    with pytest.raises(SpecFileError, match="its rnnkit metadata is not valid here"):
        read_onnx_metadata(write(model(entry("rnnkit", json.dumps(data)))))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("NaN", "spec.options.scale: Numbers should be finite, but is nan"),
        ("-Infinity", "spec.options.scale: Numbers should be finite, but is -inf"),
        ("[" * 60 + "]" * 60, "spec: It is nested more than 50 levels deep"),
    ],
    ids=["NaN", "infinite", "nested"],
)
def test_a_spec_that_has_other_values_is_refused(value, problem, write):
    data = METADATA.dump().replace('"recurrent_init":"default"', f'"scale":{value}')
    assert value in data
    with pytest.raises(SpecFileError, match="its rnnkit metadata is not valid here") as caught:
        read_onnx_metadata(write(model(entry("rnnkit", data))))
    assert problem in str(caught.value)


def test_a_truncated_file_is_refused(write):
    content = model(entry("rnnkit", METADATA.dump()))
    for end in [*range(1, 20), *range(100_000, len(content))]:
        with pytest.raises(SpecFileError):
            read_onnx_metadata(write(content[:end]))


def test_damaged_bytes_raise_no_other_error(write):
    content = model(entry("rnnkit", METADATA.dump()))
    for place in [*range(20), *range(len(content) - 40, len(content))]:
        for byte in (0, 0x7F, 0xFF):
            damaged = content[:place] + bytes([byte]) + content[place + 1 :]
            with suppress(SpecFileError):
                read_onnx_metadata(write(damaged))


def test_reading_imports_neither_torch_nor_onnx(write):
    path = write(model(entry("rnnkit", METADATA.dump())))
    code = f"import sys; from rnnkit.files import read_onnx_metadata as read; read({str(path)!r}); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"onnx", "torch"}.isdisjoint(modules)
