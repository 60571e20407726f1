"""Checkpoints: their content, round trips, and errors for files that are not checkpoints."""

import copy
import json
import math
import pickle
import re
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, load_file, save_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import rnnkit
from rnnkit import (
    Backbone,
    Catalog,
    CheckpointError,
    LockWarning,
    RecurrentSpec,
    UnresolvedKindError,
    WeightWarning,
    register_kind,
)
from rnnkit.files.checkpoint import read_header, read_spec_data
from rnnkit.files.checkpoint.checkpoint_file import load_model, save_model, verify_model
from rnnkit.files.spec import load_spec
from rnnkit.testing import use_catalog
from tests.golden.checkpoints.write import FOLDER, SPECS, VERSIONS
from tests.helpers.checkpoint_files import digest_of, edited, put_together, take_apart, with_record
from tests.helpers.kinds import CORE
from tests.helpers.models import leaves, small_input, small_model, small_spec
from tests.helpers.plugins_on_disk import FIRST_READOUT

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
WEIGHT_HH = "backbone.rnn.weight_hh_l0"

dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype).removeprefix("torch."))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.fixture
def saved(path):
    """The content of the checkpoint of a small `lstm`."""
    save_model(small_model("lstm", dtype=torch.float32), path)
    return path.read_bytes()


def outputs(model, dtype=torch.float64):
    """The output and the state of a copy of a model for a fixed input."""
    torch.manual_seed(0)
    with torch.no_grad():
        y, state = copy.deepcopy(model).eval()(small_input(dtype=dtype), return_state=True)
    return [y, *leaves(state)]


def assert_same_bits(actual, expected):
    assert [part.dtype for part in actual] == [part.dtype for part in expected]
    assert [part.shape for part in actual] == [part.shape for part in expected]
    assert [bits(part) for part in actual] == [bits(part) for part in expected]


def bits(tensor):
    return tensor.detach().contiguous().view(-1).view(torch.uint8).tolist()


def load_error(content, path):
    """The message of the error from loading a file with this content, without its path."""
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


# Round trips


@dtypes
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
def test_a_model_round_trips(kind, dtype, bidirectional, path):
    torch.manual_seed(1)
    model = small_model(kind, dtype=dtype, bidirectional=bidirectional)
    x = small_input(dtype=dtype)
    save_model(model, path)
    torch.manual_seed(2)
    twin = load_model(path)

    assert twin.spec == model.spec
    assert {name: tensor.dtype for name, tensor in twin.state_dict().items()} == dict.fromkeys(
        model.state_dict(), dtype
    )
    with torch.no_grad():
        expected, actual = ([y, *leaves(state)] for y, state in (m.eval()(x, return_state=True) for m in (model, twin)))
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lstm", {"proj_size": 2, "recurrent_init": "orthogonal"}),
        ("lstm_cell", {"learn_initial_state": True, "layer_norm": "gates", "forget_bias": 1.0, "zoneout": 0.1}),
        ("gru_cell", {"layer_norm": "output", "variational_dropout": True}),
        ("mixed", {"cells": ["gru_cell", "rnn_cell"], "residual": True}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_options_round_trip(name, options, path):
    model = small_model(name, options=options, dropout=0.25)
    save_model(model, path)
    twin = load_model(path)
    assert twin.spec == model.spec
    assert_same_bits(outputs(twin), outputs(model))


def test_safetensors_reads_a_checkpoint(kind, path):
    model = small_model(kind, dtype=torch.float32)
    save_model(model, path)
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is not a dictionary
        metadata = file.metadata()
    assert tensors.keys() == model.state_dict().keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in model.state_dict().items())
    assert list(metadata) == ["rnnkit"]
    record = json.loads(metadata["rnnkit"])
    assert record["format_version"] == 2
    assert RecurrentSpec.from_dict(record["spec"]) == model.spec
    version = rnnkit.__version__
    assert record["lock"] == {
        "rnnkit": version,
        "plugin": f"rnnkit=={version}",
        "torch": torch.__version__.split("+")[0],
    }
    assert record["dtype"] == "float32"
    assert record["tied"] == {}


def test_the_digest_is_the_last_field_and_covers_the_record_and_the_tensors(saved):
    header, record, data = take_apart(saved)
    text = json.dumps(record, separators=(",", ":"))
    body, _, rest = text.partition('"sha256":')
    assert rest == f'"{record["sha256"]}"}}'
    assert digest_of(body, header, data) == record["sha256"]


def test_saving_is_deterministic(saved, path):
    save_model(load_model(path), path)
    assert path.read_bytes() == saved


def test_reading_the_spec_imports_neither_torch_nor_numpy(saved, path):
    program = (
        "import sys; from rnnkit.files.checkpoint import read_spec_data; "
        "print(read_spec_data(sys.argv[1])); print(sorted({'torch', 'numpy'} & {*sys.modules}))"
    )
    shown = subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True, text=True).stdout
    data, imported = shown.splitlines()
    assert data == str(read_spec_data(path))
    assert imported == "[]"


def test_spec_data_has_the_form_of_a_spec_file(saved, path):
    data = read_spec_data(path)
    assert data == {"plugin": f"rnnkit=={rnnkit.__version__}", **small_spec("lstm").to_dict()}


def test_special_values_round_trip_bit_by_bit(path):
    model = small_model("rnn", dtype=torch.float32)
    with torch.no_grad():
        special = torch.tensor([math.nan, math.inf, -math.inf, -0.0, 1e-45, 3.4e38])
        model.backbone.rnn.weight_hh_l0[0] = special
        model.backbone.rnn.bias_ih_l0.view(torch.int32)[0] = 0x7FC12345  # not the usual NaN
    save_model(model, path)
    names = "'backbone.rnn.bias_ih_l0' and 'backbone.rnn.weight_hh_l0'"
    with pytest.warns(WeightWarning, match=f"has weights that are NaN or infinite: {names}.") as caught:
        loaded = load_model(path)
    assert [each.filename for each in caught] == [__file__]
    assert_same_bits(list(loaded.state_dict().values()), list(model.state_dict().values()))
    with pytest.warns(WeightWarning, match="NaN or infinite") as caught:
        assert verify_model(path).ok
    assert [each.filename for each in caught] == [__file__]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_a_single_value_that_is_not_finite_is_found(dtype, value, path):
    model = small_model("lstm_cell", dtype=dtype)
    with torch.no_grad():
        model.readout.linear.bias[1] = value
    save_model(model, path)
    with pytest.warns(WeightWarning, match=r"infinite: 'readout\.linear\.bias'\."):
        load_model(path)


def test_each_tensor_keeps_its_own_dtype(path):
    model = small_model("lstm_cell", dtype=torch.float32)
    model.readout.double()
    model.backbone.cells[1].half()
    save_model(model, path)
    with pytest.warns(WeightWarning, match="in another dtype than float32, so that the model may not run: ") as caught:
        loaded = load_model(path)
    assert [each.filename for each in caught] == [__file__]
    dtypes_of = {name: tensor.dtype for name, tensor in loaded.state_dict().items()}
    assert dtypes_of == {name: tensor.dtype for name, tensor in model.state_dict().items()}
    assert len(set(dtypes_of.values())) == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64], ids=str)
def test_a_weight_in_another_dtype_is_a_warning(dtype, path):
    model = small_model("lstm_cell", dtype=torch.float32)
    cell = model.backbone.cells[0]
    cell.weight_ih.data = cell.weight_ih.data.to(dtype)
    save_model(model, path)
    says = r"in another dtype than float32, .*: 'backbone\.cells\.0\.weight_ih'\. .* model\.to\(torch\.float32\)"
    for act in (load_model, verify_model):
        with pytest.warns(WeightWarning, match=says):
            act(path)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
def test_a_float8_model_round_trips_without_a_fingerprint(path, dtype):
    """torch can neither initialize nor run it on the CPU."""
    model = small_model("gru", dtype=torch.float32).to(dtype)
    save_model(model, path)
    with pytest.warns(
        WeightWarning, match=r"in float8, .* Convert the model, .* model\.to\(torch\.bfloat16\)"
    ) as caught:
        loaded = load_model(path)
    assert [each.filename for each in caught] == [__file__]
    assert_same_bits([*loaded.state_dict().values()], [*model.state_dict().values()])
    with pytest.warns(WeightWarning, match="in float8"):
        assert re.match("The model could not run when it was saved: .+", verify_model(path).reason)


def test_the_default_dtype_does_not_matter(saved, path, monkeypatch):
    expected = load_model(path).state_dict()
    torch.set_default_dtype(torch.float64)
    try:
        assert_same_bits(list(load_model(path).state_dict().values()), list(expected.values()))
        save_model(load_model(path), path)
        assert path.read_bytes() == saved
    finally:
        torch.set_default_dtype(torch.float32)


def test_tensors_need_not_be_contiguous(path):
    model = small_model("lstm")
    weight = model.backbone.rnn.weight_ih_l1
    weight.data = torch.randn(weight.shape[::-1], dtype=weight.dtype).t()
    save_model(model, path)
    assert_same_bits(list(load_model(path).state_dict().values()), list(model.state_dict().values()))


@pytest.mark.parametrize("path_of", [str, Path], ids=["str", "PathLike"])
def test_paths_may_be_str(saved, path, path_of):
    model = load_model(path_of(path))
    save_model(model, path_of(path))
    assert verify_model(path_of(path)).path == str(path)


def test_a_device_can_be_given(saved, path):
    assert {tensor.device.type for tensor in load_model(path, device="cpu").state_dict().values()} == {"cpu"}


def test_the_file_may_be_overwritten_after_loading(saved, path):
    model = load_model(path)
    before = outputs(model.double())
    with path.open("r+b") as file:  # the very file, not another one in its place
        file.write(b"\xff" * len(saved))
        file.truncate(10)
    assert_same_bits(outputs(model), before)


# Tied tensors


def tied_model():
    """A model whose two layers share their recurrent matrix."""
    model = small_model("rnn")
    model.backbone.rnn.weight_hh_l1 = model.backbone.rnn.weight_hh_l0
    return model


def test_tied_tensors_are_stored_once_and_loaded_tied(path):
    model = tied_model()
    save_model(model, path)
    assert "backbone.rnn.weight_hh_l1" not in load_file(path)
    rnn = load_model(path).backbone.rnn
    assert rnn.weight_hh_l0 is rnn.weight_hh_l1
    assert_same_bits(outputs(load_model(path)), outputs(model))


def test_tied_tensors_train_together_after_loading(path):
    save_model(tied_model(), path)
    model = load_model(path)
    model(small_input()).sum().backward()
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    weights = [model.backbone.rnn.get_parameter(f"weight_hh_l{layer}") for layer in (0, 1)]
    assert torch.equal(*weights)
    assert weights[0].grad is not None
    assert verify_model(path).ok


def test_tensors_are_tied_if_memory_and_shape_are_equal(path):
    """Other parameters over the same memory, whole or in part."""
    model = small_model("rnn")
    rnn = model.backbone.rnn
    rnn.weight_hh_l1 = nn.Parameter(rnn.weight_hh_l0.data)  # the same tensor by another parameter
    rnn.bias_hh_l1 = nn.Parameter(rnn.weight_hh_l0.data[0])  # a part of it
    save_model(model, path)
    _, record, _ = take_apart(path.read_bytes())
    assert record["tied"] == {"backbone.rnn.weight_hh_l1": WEIGHT_HH}
    assert_same_bits(outputs(load_model(path)), outputs(model))


@pytest.mark.parametrize("seed", range(3))
def test_tensors_with_overlapping_memory_are_stored_as_copies(path, seed):
    model = small_model("lstm")
    memory = torch.randn(24 * 6 + 24, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    model.backbone.rnn.weight_hh_l0.data = memory[: 24 * 6].view(24, 6)
    model.backbone.rnn.weight_hh_l1.data = memory[24:].view(24, 6)
    save_model(model, path)
    assert_same_bits(list(load_model(path).state_dict().values()), list(model.state_dict().values()))


# Side effects


def test_saving_does_not_change_the_model(path):
    model = small_model("lstm_cell", dropout=0.5)
    model.backbone.cells[0].eval()
    model.readout.linear.weight.requires_grad_(False)
    model(small_input()).sum().backward()
    calls = []
    for module in model.modules():
        module.register_forward_hook(lambda *_: calls.append("forward"))
        module.register_forward_pre_hook(lambda *_: calls.append("before"))
    tensors = [*model.parameters()]
    before = [(t.clone(), t._version, t.requires_grad, None if t.grad is None else t.grad.clone()) for t in tensors]
    training, state = [module.training for module in model.modules()], torch.get_rng_state()

    save_model(model, path)

    assert calls == []
    assert [module.training for module in model.modules()] == training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(now is then for now, then in zip(model.parameters(), tensors, strict=True))
    for now, (value, version, requires_grad, grad) in zip(tensors, before, strict=True):
        assert torch.equal(now, value)
        assert (now._version, now.requires_grad) == (version, requires_grad)
        assert (now.grad is None) == (grad is None)
        assert grad is None or torch.equal(now.grad, grad)


@pytest.mark.parametrize("act", [load_model, verify_model], ids=["load", "verify"])
def test_loading_does_not_change_the_rng_state(saved, path, act):
    state = torch.get_rng_state()
    act(path)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loaded_model_is_in_training_mode(path):
    save_model(small_model("gru").eval(), path)
    model = load_model(path)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in model.parameters())


@pytest.mark.parametrize(
    "around",
    [torch.inference_mode, torch.no_grad, lambda: torch.autocast("cpu", torch.bfloat16), lambda: torch.device("meta")],
    ids=["inference_mode", "no_grad", "autocast", "default_device"],
)
def test_saving_does_not_depend_on_context_managers(saved, path, around):
    model = load_model(path)
    with around():
        save_model(model, path)
    assert path.read_bytes() == saved


@pytest.mark.parametrize("load", [load_model, verify_model])
def test_loading_on_the_meta_device_is_refused(saved, path, load):
    with pytest.raises(CheckpointError, match=r"the meta device, which has no values: .*build_model"):
        load(path, device="meta")
    with torch.device("meta"), pytest.raises(CheckpointError, match="the meta device, which has no values"):
        load(path)


def test_the_default_device_does_not_matter_if_a_device_is_given(saved, path):
    with torch.device("meta"):
        loaded = load_model(path, device="cpu")
        assert verify_model(path, device="cpu").ok
    assert_same_bits(list(loaded.state_dict().values()), list(load_model(path).state_dict().values()))


# Models that cannot be saved


def added_layer(model):
    model.extra = nn.Linear(2, 2)
    return ["extra.weight is unexpected: (2, 2) of float32", "extra.bias is unexpected: (2,) of float32"]


def removed_layer(model):
    model.readout.linear = None
    return ["readout.linear.weight is missing: (2, 6) of float64", "readout.linear.bias is missing: (2,) of float64"]


def replaced_layer(model):
    model.readout.linear = nn.Linear(6, 3)
    return ["readout.linear.weight is (3, 6) of float32, expected (2, 6) of float64"]


def weight_norm(model):
    parametrizations.weight_norm(model.readout.linear)
    return ["readout.linear.weight is missing", "readout.linear.parametrizations.weight.original0 is unexpected"]


def pruned(model):
    prune.l1_unstructured(model.readout.linear, "weight", amount=0.5)
    return ["readout.linear.weight is missing", "weight_orig is unexpected", "weight_mask is unexpected"]


def integers(model):
    model.readout.linear.weight = nn.Parameter(torch.ones(2, 6, dtype=torch.int64), requires_grad=False)
    return ["readout.linear.weight is (2, 6) of int64, expected (2, 6) of float64"]


def without_values(model):
    model.readout.to("meta")
    return ["readout.linear.weight is on the meta device"]


def sparse(model):
    model.readout.linear.weight = nn.Parameter(torch.ones(2, 6).to_sparse())
    return ["readout.linear.weight is a Tensor with layout torch.sparse_coo"]


def wide_complex(model):
    model.readout.linear.weight.data = torch.ones(2, 6, dtype=torch.complex128)
    return ["readout.linear.weight has dtype torch.complex128, which safetensors does not support"]


def lazy(model):
    model.extra = nn.LazyLinear(2)
    return ["extra.weight is not initialized yet"]


def extra_state(model):
    class Counting(nn.Identity):
        def get_extra_state(self):
            return {"steps": 3}

        def set_extra_state(self, state):
            pass

    model.extra = Counting()
    return ["extra._extra_state is a dict, not a tensor"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # from torch
@pytest.mark.parametrize(
    "change",
    [
        added_layer,
        removed_layer,
        replaced_layer,
        weight_norm,
        pruned,
        integers,
        without_values,
        sparse,
        wide_complex,
        lazy,
        extra_state,
    ],
    ids=lambda change: change.__name__,
)
def test_a_changed_model_is_refused_and_the_old_file_kept(change, saved, path):
    model = small_model("gru")
    problems = change(model)
    with pytest.raises(CheckpointError) as caught:
        save_model(model, path)
    assert [problem for problem in problems if problem not in str(caught.value)] == []
    assert path.read_bytes() == saved
    assert list(path.parent.iterdir()) == [path]


def test_a_model_can_be_saved_after_its_changes_are_removed(path):
    model = small_model("gru")
    pruned(model)
    prune.remove(model.readout.linear, "weight")
    weight_norm(model)
    nn.utils.parametrize.remove_parametrizations(model.readout.linear, "weight")
    save_model(model, path)
    assert_same_bits(outputs(load_model(path)), outputs(model))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # from torch.compile's imports
@pytest.mark.parametrize(
    ("wrap", "attribute"),
    [
        (nn.DataParallel, "module"),
        (torch.compile, "_orig_mod"),
        (lambda model: nn.Sequential(nn.Flatten(), model), "1"),
    ],
    ids=["DataParallel", "compile", "Sequential"],
)
def test_a_wrapper_is_refused_with_the_attribute_of_the_model(wrap, attribute, path):
    wrapper = wrap(small_model("rnn"))
    with pytest.raises(
        CheckpointError, match=f"not a {type(wrapper).__name__}: save its attribute {attribute!r}, which is one$"
    ):
        save_model(wrapper, path)
    save_model(wrapper.get_submodule(attribute), path)


@pytest.mark.parametrize("other", [nn.Linear(2, 2), {}, None], ids=["module", "state_dict", "none"])
def test_other_objects_are_refused(other, path):
    with pytest.raises(CheckpointError, match=f"takes a RecurrentModel, not a {type(other).__name__}$"):
        save_model(other, path)


@pytest.mark.parametrize("name", ["model", "model.pt", "model.safetensors.bin", ".safetensors"])
def test_the_suffix_must_be_safetensors(name, tmp_path):
    with pytest.raises(CheckpointError, match=r"must end in \.safetensors, but is .*" + re.escape(name)):
        save_model(small_model("rnn"), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_raises_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere/model\.safetensors"):
        save_model(small_model("rnn"), tmp_path / "nowhere/model.safetensors")


def test_missing_files_and_directories_raise_os_errors(tmp_path):
    for act in (load_model, verify_model, read_header):
        with pytest.raises(FileNotFoundError):
            act(tmp_path / "none.safetensors")
        with pytest.raises(IsADirectoryError):
            act(tmp_path)


# Files that are not checkpoints


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda saved: b"", "the file is empty"),
        (lambda saved: saved[:7], "it is not a safetensors file"),
        (lambda saved: saved[:100], "the file is truncated: its header has"),
        (lambda saved: saved[:-1], "the file is truncated: 1 bytes of its tensors are missing"),
        (lambda saved: saved + b"\0", "the file is too long: 1 bytes follow its tensors"),
        (lambda saved: struct.pack("<Q", 2**63) + saved[8:], "bytes, of which load_model reads at most 10,000,000"),
        (lambda saved: struct.pack("<Q", 0) + saved[8:], "the file is truncated"),
        (lambda saved: saved[:8] + b"{" * 100 + saved[108:], "its header is not valid JSON"),
        (lambda saved: struct.pack("<Q", 4) + "{}".encode("utf-16-le"), "its header is not valid JSON"),
        (lambda saved: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (lambda saved: b"<!DOCTYPE html><html></html>", "it is not a safetensors file"),
    ],
    ids=[
        "empty",
        "start",
        "half_header",
        "short",
        "long",
        "huge_header",
        "no_header",
        "no_json",
        "utf_16",
        "git_lfs",
        "html",
    ],
)
def test_incomplete_and_foreign_files_are_recognized(content, says, saved, path):
    assert re.search(says, load_error(content(saved), path))


def test_spec_file_is_recognized(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text("kind: gru\ninput_size: 3\nhidden_size: 4\n")
    with pytest.raises(CheckpointError, match=r"it is a spec file, not a saved model: .* build_model\(load_spec"):
        load_model(path, device="cpu")


def test_a_safetensors_file_without_rnnkit_metadata_is_refused(path):
    save_file({"weight": torch.ones(2)}, path, metadata={"format": "pt"})
    assert "has no rnnkit metadata: it was not written by save_model, or a tool has dropped its metadata" in load_error(
        path.read_bytes(), path
    )


class Dangerous:
    """Creates a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("protocol", [*range(2, pickle.HIGHEST_PROTOCOL + 1), "zip", "legacy"])
def test_a_pickle_is_recognized_and_never_run(protocol, path):
    dangerous = Dangerous(path.with_name("was_here"))
    if isinstance(protocol, int):
        path.write_bytes(pickle.dumps(dangerous, protocol))
    else:
        torch.save(dangerous, path, _use_new_zipfile_serialization=protocol == "zip")
    assert "it is a pickle, as torch.save writes it" in load_error(path.read_bytes(), path)
    with pytest.raises(CheckpointError, match="it is a pickle"):
        verify_model(path)
    assert not dangerous.mark.exists()


@pytest.mark.parametrize("position", [0, 0.1, 0.3, 0.6, 0.9, 1], ids=lambda position: f"{position:.0%}")
def test_an_edited_tensor_is_detected(saved, path, position):
    _, _, data = take_apart(saved)
    place = len(saved) - len(data) + round(position * (len(data) - 1))
    content = saved[:place] + bytes([saved[place] ^ 1]) + saved[place + 1 :]
    assert load_error(content, path) == " was damaged or edited after it was saved: its SHA-256 digest differs"


def test_an_edited_spec_is_detected(saved, path):
    edited_spec = saved.replace(b'\\"dropout\\":0.0', b'\\"dropout\\":0.5')
    assert edited_spec != saved
    assert "damaged or edited" in load_error(edited_spec, path)


def change_entry(name, **changes):
    def edit(header, record):
        header[name] |= changes

    return edit


def rename(header, record):
    header["backbone.rnn.weight"] = header.pop(WEIGHT_HH)


def add_layer(header, record):
    record["spec"]["num_layers"] = 3


@pytest.mark.parametrize("offsets", [[0, 2**63], [0], None, {}, [0, "1"]], ids=str)
def test_wrong_sizes_are_refused_before_the_tensors_are_read(offsets, saved, path):
    path.write_bytes(edited(saved, change_entry(WEIGHT_HH, data_offsets=offsets)))
    with pytest.raises(CheckpointError, match="the file is damaged: its header "):
        read_header(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "F3"},
        {"shape": [24, 7]},
        {"shape": [-24, 6]},
        {"shape": [24.0, 6]},
        {"shape": [2**62, 2**62]},
        {"data_offsets": [0, 576]},
        {"data_offsets": [1, 0]},
        {"data_offsets": [0.0, 576.0]},
        {"shape": [0, 2**70], "data_offsets": [0, 0]},
    ],
    ids=str,
)
def test_a_damaged_header_is_refused(changes, saved, path):
    content = edited(saved, change_entry(WEIGHT_HH, **changes))
    with pytest.raises(SafetensorError):  # whose rules these are
        load(content)
    assert " cannot be read: the file is damaged: its header " in load_error(content, path)


def test_tensors_need_not_be_aligned(local, path):
    """safetensors aligns the tensors that it writes, and reads others too."""
    model = small_model("shifted", dtype=torch.float32)
    save_model(model, path)
    header, record, data = take_apart(path.read_bytes())
    names = sorted(header, key=lambda name: header[name]["data_offsets"], reverse=True)  # the three flags first
    parts = {name: data[slice(*header[name]["data_offsets"])] for name in names}
    end = 0
    for name, part in parts.items():
        header[name]["data_offsets"] = [end, end := end + len(part)]
    path.write_bytes(put_together(header, record, b"".join(parts.values())))
    assert_same_bits([*load_model(path).state_dict().values()], [*model.state_dict().values()])


@pytest.mark.parametrize(
    ("edit", "problems"),
    [
        (change_entry(WEIGHT_HH, dtype="I32"), [f"{WEIGHT_HH} is (24, 6) of int32, expected (24, 6) of float32"]),
        (change_entry(WEIGHT_HH, shape=[6, 24]), [f"{WEIGHT_HH} is (6, 24) of float32, expected (24, 6) of float32"]),
        (
            rename,
            [f"{WEIGHT_HH} is missing: (24, 6) of float32", "backbone.rnn.weight is unexpected: (24, 6) of float32"],
        ),
        (add_layer, [f"{part}_{way}_l2 is missing" for part in ("weight", "bias") for way in ("ih", "hh")]),
    ],
)
def test_every_mismatch_is_listed(edit, problems, saved, path):
    message = load_error(edited(saved, edit), path)
    assert [problem for problem in problems if problem not in message] == []


def set_spec(**fields):
    return lambda header, record: record["spec"].update(fields)


def set_record(**fields):
    return lambda header, record: record.update(fields)


def set_readout_plugin(plugin):
    def edit(header, record):
        record["lock"]["readout_plugin"] = plugin

    return edit


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (set_record(format_version=3), "has format version 3, but this rnnkit reads versions up to 2: update rnnkit"),
        (set_record(format_version=True), "format_version: "),
        (set_record(format_version=0), "format_version: "),
        (set_record(dtype="float31"), "dtype: Input should be"),
        (set_record(tied={"a": 1}), "tied.a: Input should be a valid string, but is 1"),
        (set_record(tied={WEIGHT_HH: WEIGHT_HH}), f"'{WEIGHT_HH}' should be tied to tensors that it does not have"),
        (set_record(tied={"a": "b"}), "'a' should be tied to tensors that it does not have"),
        (set_record(lock={}), "lock.torch: Field required"),
        (set_record(lock={"rnnkit": "1", "torch": "2", "plugin": "a b"}), "lock.plugin: "),
        (set_readout_plugin("a b"), "lock.readout_plugin: "),
        (set_record(fingerprint={"output": ["1"]}), "fingerprint.output"),
        (set_record(new=1), "new: "),
        (set_record(spec=[]), "spec: Input should be"),
        (set_spec(input_size=0), "input_size: Input should be greater than or equal to 1, but is 0"),
        (set_spec(new=1), "A RecurrentSpec has no field 'new'"),
        (set_spec(options={"proj": 1}), "The kind 'lstm' has no option 'proj'"),
        (set_spec(options={"a": "\ud800"}), "half of a surrogate pair"),
        (set_spec(num_layers=10**9), "its spec has 1000000000 layers, but it has too few tensors for them"),
        (set_spec(hidden_size=10**18), "A model of kind 'lstm' cannot be built on the meta device"),
        (set_spec(input_size=2**400), "input_size: Input should be less than or equal to 9223372036854775807"),
        (set_spec(hidden_size=2**62), "A model of kind 'lstm' cannot be built on the meta device"),
    ],
)
def test_invalid_metadata_is_described(edit, says, saved, path):
    path.write_bytes(edited(saved, edit))
    with pytest.raises(rnnkit.RnnkitError) as caught:
        load_model(path)
    assert says in str(caught.value)


def test_an_invalid_digest_is_damage(saved, path):
    digest = take_apart(saved)[1]["sha256"].encode()
    assert "sha256: String should match pattern" in load_error(saved.replace(digest, digest[:-1] + b"G"), path)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "NaN", "[" * 100_000, "1" * 5_000], ids=lambda text: text[:5])
def test_metadata_that_is_not_a_record_is_damage(text, saved, path):
    header, _, data = take_apart(saved)
    assert " is damaged: its rnnkit metadata " in load_error(with_record(header, text, data), path)


def test_a_huge_model_in_a_small_file_is_refused_before_anything_is_allocated(saved, path):
    """Ten billion weights would take 40 GB."""
    message = load_error(edited(saved, set_spec(hidden_size=50_000)), path)
    assert "(200000, 50000) of float32" in message


# Versions and plugins

REGISTERS = """
from rnnkit import get_kind
from dataclasses import replace

def build(spec, *, device, dtype):
    return get_kind("gru").builder(replace(spec, kind="gru", options={}), device=device, dtype=dtype)

@hookimpl
def register_kinds(register):
    register(kind("other", builder=build))
"""


@pytest.fixture
def third_party(plugins, path):
    """The checkpoint of a model whose kind is provided by the installed distribution `third-party` 1.0."""
    plugins.install("other", source=REGISTERS, distribution="third-party")
    with use_catalog(Catalog()):
        save_model(small_model("other"), path)
        yield path


def test_the_lock_names_the_plugin(third_party):
    assert read_header(third_party).record.lock.plugin == "third-party==1.0"
    assert load_model(third_party, strict_versions=True).spec.kind == "third-party/other"


def assert_version_differs(path, name, field, saved):
    """Assert that loading a checkpoint of `name` reports that the file, edited, has another version of its plugin."""
    plugin = saved.replace("0.9", "1.0")

    def older(header, record):
        record["lock"][field] = saved

    path.write_bytes(edited(path.read_bytes(), older))
    says = f"model.safetensors was saved with {saved}, but {name!r} is now provided by {plugin}"
    with pytest.warns(LockWarning, match=says) as caught:
        load_model(path)
    assert caught[0].filename == __file__
    with pytest.raises(CheckpointError, match=says):
        load_model(path, strict_versions=True)
    [difference] = verify_model(path).differences
    assert difference == (field, saved, plugin)


def assert_says_what_to_install(path, requirement):
    """Assert that a checkpoint cannot be used without the distributions that lie beside it."""
    with use_catalog(Catalog(block=[])), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [folder for folder in sys.path if str(path.parent) not in folder])
        for act in (load_model, verify_model):
            with pytest.raises(UnresolvedKindError, match=re.escape(f'pip install "{requirement}"')):
                act(path)


def test_a_different_plugin_version_is_a_warning_or_an_error(third_party):
    assert_version_differs(third_party, "third-party/other", "plugin", "third-party==0.9")


def test_a_model_without_its_plugin_says_what_to_install(third_party):
    assert_says_what_to_install(third_party, "third-party==1.0")


@pytest.fixture
def with_readout(plugins, path):
    """The checkpoint of a `gru` whose readout is provided by the installed distribution `rnnkit-first` 1.0."""
    plugins.install("first", source=FIRST_READOUT, distribution="rnnkit-first", group="rnnkit.readouts")
    with use_catalog(Catalog()):
        save_model(small_model("gru", readout="first"), path)
        yield path


def test_the_lock_names_the_plugin_of_a_readout(with_readout):
    assert read_header(with_readout).record.lock.readout_plugin == "rnnkit-first==1.0"
    assert read_spec_data(with_readout)["readout_plugin"] == "rnnkit-first==1.0"
    assert load_spec(with_readout).readout == "rnnkit-first/first"
    assert load_model(with_readout, strict_versions=True).spec.readout == "rnnkit-first/first"
    assert verify_model(with_readout).differences == ()


def test_a_different_version_of_a_readouts_plugin_is_a_warning_or_an_error(with_readout):
    assert_version_differs(with_readout, "rnnkit-first/first", "readout_plugin", "rnnkit-first==0.9")


def test_a_file_without_the_plugin_of_its_readout_is_read(with_readout):
    """Earlier versions of rnnkit did not save it."""

    def without(header, record):
        del record["lock"]["readout_plugin"]

    with_readout.write_bytes(edited(with_readout.read_bytes(), without))
    assert load_model(with_readout, strict_versions=True).spec.readout == "rnnkit-first/first"
    assert verify_model(with_readout).differences == ()


def test_a_model_without_the_plugin_of_its_readout_says_what_to_install(with_readout):
    assert_says_what_to_install(with_readout, "rnnkit-first==1.0")


def test_verify_reports_different_versions_of_rnnkit_and_torch(saved, path):
    def elsewhere(header, record):
        record["lock"] |= {"torch": "2.5.0", "rnnkit": "0.0.9"}

    path.write_bytes(edited(saved, elsewhere))
    load_model(path)  # no warning: the plugin is the same
    assert [difference[:2] for difference in verify_model(path).differences] == [
        ("rnnkit", "0.0.9"),
        ("torch", "2.5.0"),
    ]


# Local kinds


class Part(NamedTuple):
    h: Tensor


class Shifted(Backbone):
    """A layer without recurrence, with every kind of tensor that a module can have."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, features=spec.hidden_size)
        self.weight = nn.Parameter(torch.randn(spec.hidden_size, spec.input_size, device=device, dtype=dtype))
        self.register_buffer("steps", torch.zeros(2, dtype=torch.int64, device=device))
        self.register_buffer("flags", torch.zeros(3, dtype=torch.bool, device=device))
        self.register_buffer("scale", torch.full((), 0.5, device=device, dtype=dtype), persistent=False)
        self.shift = torch.linspace(0, 1, spec.hidden_size, device=device, dtype=dtype)  # neither parameter nor buffer

    def run(self, x, state, lengths):
        output = torch.tanh(x @ self.weight.t() * self.scale + self.shift + self.steps.sum())
        return output, Part(output.sum(1 if self.batch_first else 0))

    def state_shapes(self, batch_size):
        return Part(torch.Size((batch_size, self.features)))


@pytest.fixture
def local():
    with use_catalog(Catalog()):
        register_kind("shifted")(Shifted)
        yield


class Exact(Shifted):
    """A layer that keeps a buffer in float64."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, device=device, dtype=dtype)
        self.register_buffer("exact", torch.zeros(3, dtype=torch.float64, device=device))


@dtypes
@pytest.mark.parametrize("is_converted", [False, True], ids=["built", "converted"])
def test_a_buffer_that_a_kind_keeps_in_another_dtype_does_not_warn(local, dtype, is_converted, path):
    register_kind("exact")(Exact)
    model = small_model("exact", dtype=torch.float32).to(dtype) if is_converted else small_model("exact", dtype=dtype)
    save_model(model, path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", WeightWarning)
        assert load_model(path).backbone.exact.dtype == (dtype if is_converted else torch.float64)


@dtypes
def test_the_whole_state_dict_of_a_local_kind_round_trips(local, path, dtype):
    model = small_model("shifted", dtype=dtype)
    model.backbone.steps += 3
    model.backbone.flags[1] = True
    save_model(model, path)
    twin = load_model(path)
    assert_same_bits(list(twin.state_dict().values()), list(model.state_dict().values()))
    assert_same_bits(outputs(twin, dtype), outputs(model, dtype))
    assert "scale" not in str(load_file(path).keys())
    assert verify_model(path).drift == 0


@pytest.mark.parametrize("act", [save_model, lambda _, path: load_model(path)], ids=["save", "load"])
def test_saving_and_loading_a_local_kind_keep_the_rng_state(local, path, act):
    model = small_model("shifted")
    save_model(model, path)
    state = torch.get_rng_state()
    act(model, path)
    assert torch.equal(torch.get_rng_state(), state)


class Tied(Shifted):
    """The same with two names for its weight."""

    def __init__(self, spec, *, device, dtype):
        super().__init__(spec, device=device, dtype=dtype)
        self.alias = self.weight


@pytest.mark.parametrize("state", [(), None], ids=["empty", "none"])
def test_a_stateless_kind_has_a_fingerprint_of_its_outputs(local, path, state):
    run = lambda self, x, _state, lengths: (Shifted.run(self, x, None, lengths)[0], state)  # noqa: E731
    register_kind("stateless")(type("Stateless", (Shifted,), {"run": run, "state_shapes": lambda self, _: ()}))
    save_model(small_model("stateless"), path)
    verification = verify_model(path)
    assert verification.ok
    assert verification.drift == 0


def test_untied_weights_of_a_kind_that_ties_them_are_refused(local, path):
    register_kind("tied")(Tied)
    model = small_model("tied")
    save_model(model, path)
    assert "backbone.alias" not in load_file(path)
    model.backbone.alias = nn.Parameter(model.backbone.weight.detach() + 1)
    with pytest.raises(
        CheckpointError, match=r"backbone.alias is a separate tensor, expected to be tied to backbone.weig"
    ):
        save_model(model, path)
    twin = load_model(path)
    assert twin.backbone.alias is twin.backbone.weight


def test_the_checkpoint_of_a_local_kind_has_no_plugin(local, path):
    save_model(small_model("shifted"), path)
    assert "plugin" not in read_spec_data(path)
    with use_catalog(Catalog()), pytest.raises(UnresolvedKindError, match="shifted"):
        load_model(path)


def test_a_kind_that_cannot_run_is_saved_without_a_fingerprint(local, path):
    Broken = type("Broken", (Shifted,), {"run": lambda self, x, state, lengths: 1 / 0})
    register_kind("broken")(Broken)
    save_model(small_model("broken"), path)
    verification = verify_model(path)
    assert not verification.ok
    assert verification.drift is None
    assert "could not run when it was saved: ZeroDivisionError" in verification.reason


# Fingerprints


def fixed_input(size):
    """The documented formula, with integers of Python."""
    numbers = [place * 2654435761 % 2**32 / 2**31 - 1 for place in range(1, 2 * 4 * size + 1)]
    return torch.tensor(numbers, dtype=torch.float64).reshape(2, 4, size)


def test_the_fingerprint_holds_the_outputs_for_the_fixed_input(kind, path):
    model = small_model(kind)
    save_model(model, path)
    y, state = model.eval()(fixed_input(3), return_state=True)
    _, record, _ = take_apart(path.read_bytes())
    expected = torch.cat([y.flatten(), *(part.flatten() for part in leaves(state))])
    actual = torch.tensor(record["fingerprint"]["output"] + record["fingerprint"]["state"], dtype=torch.float64)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


def test_the_fingerprint_of_a_large_model_is_small(path):
    save_model(small_model("lstm", hidden_size=100, readout="all", output_size=None), path)
    _, record, _ = take_apart(path.read_bytes())
    assert {part: 100 < len(record["fingerprint"][part]) <= 256 for part in ("output", "state")} == {
        "output": True,
        "state": True,
    }


@dtypes
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
def test_an_unchanged_model_is_verified(kind, dtype, bidirectional, path):
    save_model(small_model(kind, dtype=dtype, batch_first=not bidirectional, bidirectional=bidirectional), path)
    verification = verify_model(path)
    assert (verification.ok, verification.drift, verification.relative_drift) == (True, 0, 0)
    assert (verification.differences, verification.reason) == ((), "")
    assert verification.tolerance == pytest.approx(torch.finfo(dtype).eps ** (2 / 3))


@pytest.mark.parametrize(("factor", "ok"), [(1 + 1e-6, True), (1.01, False), (math.nan, False), (math.inf, False)])
def test_drift_is_distinguished_from_rounding(local, path, factor, ok):
    save_model(small_model("shifted", dtype=torch.float32), path)

    def run(self, x, state, lengths):
        output, final = Shifted.run(self, x, state, lengths)
        return output * factor, Part(final.h * factor)

    with use_catalog(Catalog()):
        register_kind("shifted")(type("Shifted", (Shifted,), {"run": run}))
        verification = verify_model(path)
    assert verification.ok is ok
    assert verification.relative_drift > 0
    assert math.isfinite(verification.drift) is math.isfinite(factor)


def change_value(value):
    return lambda header, record: record["fingerprint"]["output"].__setitem__(0, value)


@pytest.mark.parametrize(("value", "drift"), [("nan", math.inf), ("inf", math.inf), ("-inf", math.inf)])
def test_a_saved_value_that_is_not_finite_is_infinite_drift(saved, path, value, drift):
    path.write_bytes(edited(saved, change_value(value)))
    verification = verify_model(path)
    assert (verification.ok, verification.drift) == (False, drift)


def test_a_different_number_of_outputs_is_drift(saved, path):
    path.write_bytes(edited(saved, lambda header, record: record["fingerprint"]["output"].pop()))
    assert verify_model(path).drift == math.inf


# Golden files


@pytest.mark.parametrize("version", VERSIONS)
def test_there_is_a_golden_file_of_each_kind_of_the_core(version):
    files = sorted(file.stem for file in (FOLDER / version).iterdir())
    assert files == CORE


@pytest.mark.parametrize("golden", SPECS)
@pytest.mark.parametrize("version", VERSIONS)
def test_files_of_every_version_are_read(golden, version):
    """See `tests/golden/checkpoints/write.py` for when to write new ones."""
    file = FOLDER / version / f"{golden}.safetensors"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LockWarning)  # a later version of rnnkit reads them too
        model = load_model(file)
    assert model.spec == SPECS[golden]
    expected = load_file(file)
    assert_same_bits([model.state_dict()[name] for name in expected], list(expected.values()))
    assert verify_model(file).ok


def edit_spec(content):
    return content.replace(b'readout\\":\\"all', b'readout\\":\\"max')


def edit_weight(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("edit", [edit_spec, edit_weight])
def test_the_digest_of_every_version_is_verified(version, edit, path):
    content = (FOLDER / version / "rnn.safetensors").read_bytes()
    assert edit(content) != content
    assert "was damaged or edited" in load_error(edit(content), path)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_tied_tensor_of_every_version_is_tied(version):
    rnn = load_model(FOLDER / version / "rnn.safetensors").backbone.rnn
    assert rnn.weight_hh_l0 is rnn.weight_hh_l1


class Loading(Shifted):
    """Computes a value from its parameters when it is loaded."""

    def __init__(self, spec, **factory_kwargs):
        super().__init__(spec, **factory_kwargs)
        self.loaded = 0
        self.register_load_state_dict_post_hook(lambda module, _keys: setattr(module, "loaded", module.loaded + 1))


def test_a_module_that_acts_on_loading_does_so(local, path):
    register_kind("loading")(Loading)
    save_model(small_model("loading"), path)
    assert load_model(path).backbone.loaded == 1
