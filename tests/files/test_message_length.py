"""Messages have a bounded length and no control characters, whatever is in a file."""

import warnings

import pytest
import torch

from rnnkit import RecurrentSpec, RnnkitError, load_model, load_spec, save_model, save_spec, verify_model
from tests.helpers.checkpoint_files import edited
from tests.helpers.models import small_model

LONG = 300_000
MOST = 5_000
SPEC = {"kind": "lstm", "input_size": 3, "hidden_size": 4}
YAML = "kind: lstm\ninput_size: 3\nhidden_size: 4\n"
DIGITS = 10**4_000


def message_of(act):
    """Return the messages of the error and of all warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            act()
        except (RnnkitError, ValueError, OSError) as error:
            return "\n".join([str(error), *(str(each.message) for each in caught)])
    return "\n".join(str(each.message) for each in caught)


@pytest.mark.parametrize(
    "text",
    [
        f"{YAML}? {'1' * LONG}\n: 1\n",
        f"{YAML}x: !{'a' * LONG}!foo bar\n",
        f"%TAG !{'a' * LONG}! tag:x\n%TAG !{'a' * LONG}! tag:x\n---\n{YAML}",
        f"format_version: {DIGITS}\n{YAML}",
        f"{YAML}num_layers: {DIGITS}\n",
        f"{YAML}num_embeddings: 5\npadding_idx: {DIGITS}\n",
        f"{YAML}output_size: {DIGITS + 1}\nnum_embeddings: {DIGITS}\ntie_weights: true\n",
        f"{YAML}options: {{forget_bias: chrono, chrono_length: {DIGITS}}}\n",
        f"plugin: a==1.{'1' * LONG}\n{YAML}",
        f"plugin: a==1.{'1' * LONG}\n{YAML.replace('lstm', 'a/b')}",
        f"plugin: {'k' * LONG}==1\n{YAML.replace('lstm', 'k' * LONG + '/b')}",
        f"readout_plugin: {'k' * LONG}\n{YAML}readout: {'k' * LONG}/b\n",
    ],
    ids=[
        "key",
        "tag",
        "directive",
        "version",
        "layers",
        "padding",
        "tied",
        "chrono",
        "plugin",
        "plugin_of_kind",
        "kind",
        "readout",
    ],
)
def test_messages_about_spec_files_are_short(text, tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    message = message_of(lambda: load_spec(path))
    assert "spec.yaml" in message
    assert len(message) < MOST


def test_the_path_in_a_message_is_short():
    spec = RecurrentSpec(**SPEC)
    assert 0 < len(message_of(lambda: save_model(small_model("gru"), "k" * LONG))) < MOST
    assert 0 < len(message_of(lambda: save_spec(spec, "k" * LONG))) < MOST
    assert 0 < len(message_of(lambda: load_spec("k" * LONG))) < MOST


def change(field, value):
    def edit(_, record):
        *outer, last = field.split(".")
        for name in outer:
            record = record[name]
        record[last] = value

    return edit


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(small_model("lstm_cell", dtype=torch.float32), path)
    return path


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tied", {"x" * LONG: "y"}),
        ("tied", {"\x1b[2J": "y"}),
        ("lock.plugin", f"rnnkit==1.{'1' * LONG}"),
        ("format_version", DIGITS),
        ("spec.num_layers", DIGITS),
        ("spec.hidden_size", DIGITS),
        ("spec.kind", "k" * LONG),
        ("spec.options", {"k" * LONG: 1}),
        ("dtype", "k" * LONG),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 50 else "",
)
def test_messages_about_checkpoints_are_short(field, value, path):
    path.write_bytes(edited(path.read_bytes(), change(field, value)))
    for act in (load_model, verify_model):
        message = message_of(lambda: act(path))  # noqa: B023  # called here
        assert message
        assert len(message) < MOST
        assert "\x1b" not in message


@pytest.mark.parametrize("text", ["r" * LONG, "\x1b[2J", "a\nmodel.safetensors: ok", "a\x85b\u2028c"], ids=ascii)
@pytest.mark.parametrize("field", ["lock.torch", "lock.rnnkit", "fingerprint"])
def test_texts_of_a_record_are_on_one_line(field, text, path):
    """`rnnkit verify` prints them."""
    value = {"reason": text} if field == "fingerprint" else text
    path.write_bytes(edited(path.read_bytes(), change(field, value)))
    verification = verify_model(path)
    texts = [verification.reason, *(each.saved for each in verification.differences)]
    assert any(texts)
    for each in texts:
        assert len(each) < MOST
        assert each.isprintable()


# Integers


@pytest.mark.parametrize("number", [2**64, DIGITS, 10**5_000], ids=["2**64", "4,000 digits", "5,000 digits"])
@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("hidden_size", {}),
        ("input_size", {}),
        ("output_size", {}),
        ("num_embeddings", {}),
        ("padding_idx", {"num_embeddings": 5}),
        ("options.proj_size", {}),
        ("options.chrono_length", {"options": {"forget_bias": "chrono"}}),
        ("options.time_feature", {"kind": "cfc"}),
        ("options.state_size", {"kind": "lru"}),
    ],
)
def test_an_integer_that_torch_cannot_hold_is_refused(field, fields, number):
    data = {**SPEC, "options": {}, **fields}
    inner = data if "." not in field else (data := {**data, "options": {**data["options"]}})["options"]
    inner[field.rpartition(".")[2]] = number
    with pytest.raises(ValueError, match=r"9223372036854775807|18446744073709551615") as caught:
        RecurrentSpec.from_dict(data)
    assert [line["loc"] for line in caught.value.errors(include_input=False)] == [tuple(field.split("."))]
    assert len(str(caught.value)) < MOST


def test_the_largest_size_has_a_repr():
    spec = RecurrentSpec(kind="lstm", input_size=3, hidden_size=2**63 - 1)
    assert "hidden_size=9223372036854775807" in repr(spec)


# Checkpoints with a right digest


@pytest.mark.parametrize("dtype", ["float8_e5m2", "float8_e4m3fn", "complex64", "int64"])
def test_a_dtype_in_which_no_model_is_built_is_refused(dtype, path):
    path.write_bytes(edited(path.read_bytes(), change("dtype", dtype)))
    for act in (load_model, verify_model):
        with pytest.raises(RnnkitError, match="dtype: Input should be 'float64'"):
            act(path)


def test_a_depth_that_no_model_has_is_refused(path):
    """Building the model would not end."""
    save_model(small_model("rhn", dtype=torch.float32), path)
    path.write_bytes(edited(path.read_bytes(), change("spec.options.depth", 10_000_000)))
    with pytest.raises(RnnkitError, match="depth: Input should be less than or equal to 1024"):
        load_model(path)


@pytest.mark.parametrize("place", ["record", "header"])
def test_a_duplicate_key_is_refused(place, path):
    content = path.read_bytes()
    old, new = {
        "record": (b'\\"input_size\\":', b'\\"input_size\\":99,\\"input_size\\":'),
        "header": (b'"readout.linear.bias":', b'"readout.linear.bias":0,"readout.linear.bias":'),
    }[place]
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].replace(old, new, 1).rstrip()
    assert len(header) > len(content[8 : 8 + length].rstrip())
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
    with pytest.raises(RnnkitError, match=r"Duplicate key '(input_size|readout\.linear\.bias)'"):
        load_model(path)
    with pytest.raises(RnnkitError, match="Duplicate key"):
        load_spec(path)
