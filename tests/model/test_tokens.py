"""Models of token ids: an embedding in front of the backbone, and tied weights."""

import copy
import dataclasses

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from rnnkit import (
    BuildError,
    InputError,
    Readout,
    RecurrentModel,
    RecurrentSpec,
    build_model,
    get_kind,
    load_model,
    register_kind,
    register_readout,
    save_model,
    summarize_spec,
    verify_model,
)
from tests.helpers.models import leaves, map_state, small_model, small_spec

VOCABULARY = 7
LENGTHS = [5, 2, 0, 3]
TOKENS = torch.tensor([[1, 2, 3, 4, 5], [6, 0, 0, 0, 0], [0, 0, 0, 0, 0], [2, 2, 1, 0, 0]])
PADDED = TOKENS.masked_fill(torch.arange(5) >= torch.tensor(LENGTHS)[:, None], -1)


def token_model(kind, **changes):
    return small_model(kind, num_embeddings=VOCABULARY, **changes)


def tied_spec(kind="lstm", **changes):
    sizes = {"input_size": 6, "hidden_size": 6, "output_size": VOCABULARY, "num_embeddings": VOCABULARY}
    return small_spec(kind, **{**sizes, "readout": "all", "tie_weights": True, **changes})


def assert_same(results, expected):
    for result, other in zip(leaves(results), leaves(expected), strict=True):
        torch.testing.assert_close(result, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("batch_first", [True, False])
def test_tokens_equal_their_embeddings(kind, batch_first):
    model = token_model(kind, batch_first=batch_first, readout="all")
    floats = RecurrentModel(small_spec(kind, batch_first=batch_first), model.backbone, model.readout)
    tokens = TOKENS if batch_first else TOKENS.t()
    for options in ({}, {"lengths": LENGTHS}):
        expected = floats(F.embedding(tokens, model.embedding.weight), return_state=True, **options)
        assert_same(model(tokens, return_state=True, **options), expected)


@pytest.mark.parametrize("tied", [False, True])
def test_language_model_equals_handwritten_one(tied):
    """The loss and the gradients of `nn.Embedding`, `nn.LSTM` and `nn.Linear`."""
    torch.manual_seed(3)
    model = build_model(tied_spec(tie_weights=tied, num_layers=2), dtype=torch.float64)
    embedding = nn.Embedding(VOCABULARY, 6).double()
    lstm = nn.LSTM(6, 6, 2, batch_first=True).double()
    linear = nn.Linear(6, VOCABULARY).double()
    if tied:
        embedding.weight = linear.weight
    theirs = [*embedding.parameters(), *lstm.parameters(), *(linear.parameters() if not tied else [linear.bias])]
    with torch.no_grad():
        for parameter, ours in zip(theirs, model.parameters(), strict=True):
            parameter.copy_(ours)
    targets = TOKENS.roll(-1, 1)
    loss = F.cross_entropy(model(TOKENS).transpose(1, 2), targets)
    other = F.cross_entropy(linear(lstm(embedding(TOKENS))[0]).transpose(1, 2), targets)
    torch.testing.assert_close(loss, other, rtol=1e-13, atol=0)
    loss.backward()
    other.backward()
    for parameter, ours in zip(theirs, model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, parameter.grad, rtol=1e-10, atol=1e-14)


def test_steps_equal_the_whole_sequence(kind):
    model = token_model(kind, readout="all", batch_first=False)
    step = model.step_module()
    outputs, state, flat = [], None, step.initial_state(4)
    for tokens in TOKENS.t():
        y_t, state = model.step(tokens, state)
        y_flat, *flat = step(tokens, *flat)
        assert_same(y_flat, y_t)
        outputs.append(y_t)
    assert_same((torch.stack(outputs), state), model(TOKENS.t(), return_state=True))


@pytest.mark.parametrize("padding", [-1, 3, VOCABULARY, 2**40])
def test_padding_tokens_have_no_effect(kind, padding):
    model = token_model(kind, readout="mean")
    tokens = PADDED.masked_fill(PADDED == -1, padding)
    results = model(tokens, lengths=LENGTHS, return_state=True)
    assert_same(results, model(TOKENS, lengths=LENGTHS, return_state=True))
    mask = torch.arange(5) < torch.tensor(LENGTHS)[:, None]
    assert_same(results, model(tokens, mask=mask, return_state=True))
    results[0].sum().backward()
    of_padding = copy.deepcopy(model.embedding.weight.grad)
    model.zero_grad()
    model(TOKENS, lengths=LENGTHS).sum().backward()
    assert_same(of_padding, model.embedding.weight.grad)


def test_packed_sequences_of_tokens(kind):
    model = token_model(kind, readout="all", bidirectional=True)
    packed = pack_sequence([TOKENS[1, :2], TOKENS[0], TOKENS[3, :3]], enforce_sorted=False)
    y, lengths = pad_packed_sequence(model(packed), batch_first=True)
    assert lengths.tolist() == [2, 5, 3]
    assert_same(y, model(TOKENS[[1, 0, 3]], lengths=[2, 5, 3]))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.int8, torch.uint8], ids=str)
def test_tokens_of_any_integer_dtype(dtype):
    model = token_model("lstm_cell")
    assert_same(model(TOKENS.to(dtype)), model(TOKENS))


def test_backbone_takes_features():
    model = token_model("gru")
    assert model.backbone(torch.zeros(4, 5, 3, dtype=torch.float64))[0].shape == (4, 5, 6)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (TOKENS.double(), "integer token ids, as the spec has num_embeddings, but is torch.float64"),
        (TOKENS.bool(), "integer token ids, as the spec has num_embeddings, but is torch.bool"),
        (TOKENS[0], "token ids of shape (batch, time) with at least one step"),
        (TOKENS[..., None], "has the shape (4, 5, 1)"),
        (TOKENS[:, :0], "has the shape (4, 0)"),
        (
            TOKENS.tolist(),
            "must be a tensor or a PackedSequence, but is a list of 4: convert it, as in torch.tensor(x)",
        ),
        (TOKENS + 2, "between 0 and 6, as num_embeddings=7, but they range from 2 to 8"),
        (TOKENS - 1, "between 0 and 6, as num_embeddings=7, but they range from -1 to 5"),
    ],
    ids=["floats", "bool", "one_axis", "three_axes", "no_steps", "list", "too_high", "negative"],
)
def test_wrong_tokens_are_refused(tokens, message):
    with pytest.raises(InputError) as caught:
        token_model("lstm")(tokens)
    assert message in str(caught.value)


def test_steps_of_wrong_tokens_are_refused():
    model = token_model("lstm")
    with pytest.raises(InputError, match=r"step\(\) takes one step, \(batch,\) token ids, but got the shape"):
        model.step(TOKENS)
    with pytest.raises(InputError, match="range from 1 to 9"):
        model.step(torch.tensor([1, 9]))


def test_padding_idx():
    model = token_model("lstm", padding_idx=0)
    assert model.embedding.weight[0].eq(0).all()
    model(TOKENS).sum().backward()
    assert model.embedding.weight.grad[0].eq(0).all()
    assert model.embedding.weight.grad[1].ne(0).any()


def test_the_linear_layer_trains_the_tied_row_of_padding_idx():
    model = build_model(tied_spec(padding_idx=0))
    (gradient,) = torch.autograd.grad(model(TOKENS).square().sum(), model.embedding.weight)
    untied = build_model(tied_spec(padding_idx=0, tie_weights=False))
    untied.load_state_dict(model.state_dict())
    of_embedding, of_linear = torch.autograd.grad(
        untied(TOKENS).square().sum(), [untied.embedding.weight, untied.readout.linear.weight]
    )
    assert of_embedding[0].eq(0).all()
    torch.testing.assert_close(gradient[0], of_linear[0])
    assert gradient[0].ne(0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"padding_idx": 1}, "padding_idx requires num_embeddings"),
        ({"num_embeddings": 4, "padding_idx": 4}, "padding_idx=4 must be less than num_embeddings=4"),
        ({"tie_weights": True}, "but output_size=2 and num_embeddings=None"),
        ({"num_embeddings": 4, "tie_weights": True}, "but output_size=2 and num_embeddings=4"),
        ({"num_embeddings": 4, "output_size": None, "tie_weights": True}, "output_size=None and num_embeddings=4"),
        ({"num_embeddings": 0}, "greater than or equal to 1"),
        ({"num_embeddings": True}, "valid integer"),
        ({"readout_dropout": 0.5, "output_size": None}, "readout_dropout acts before the linear layer"),
    ],
    ids=str,
)
def test_specs_with_contradictions_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        small_spec("gru", **changes)


@pytest.mark.parametrize("changes", [{"hidden_size": 4}, {"hidden_size": 2, "bidirectional": True}], ids=str)
def test_features_that_differ_from_the_embedding_cannot_be_tied(kind, changes):
    says = "input_size=6 features, but they have 4: set input_size=4, or tie_weights to False"
    with pytest.raises(ValidationError, match=says):
        tied_spec(kind, **changes)
    build_model(tied_spec(kind, **changes, input_size=4))


def test_features_that_depend_on_options_and_layers_are_known():
    with pytest.raises(ValidationError, match="but they have 8"):
        tied_spec("lstm", bidirectional=True, options={"proj_size": 4})
    with pytest.raises(ValidationError, match="but they have 5"):
        tied_spec("mixed", hidden_size=(6, 5))
    build_model(tied_spec("lstm_cell", hidden_size=(5, 6)))


class Pairs(Readout):
    """A readout whose linear layer reads twice the features."""

    name = "pairs"

    def __init__(self, spec, features, **factory_kwargs):
        super().__init__(spec, 2 * features, **factory_kwargs)

    def pool(self, output, lengths):
        return torch.cat([output[:, 0], output[:, -1]], -1)


def test_the_linear_layer_of_another_readout_is_compared_when_the_model_is_built():
    with register_readout(Pairs) as pairs:
        build_model(tied_spec(hidden_size=3, readout=pairs.name))
        with pytest.raises(BuildError, match="input_size=6, and the linear layer reads 12 features"):
            build_model(tied_spec(readout=pairs.name))


def test_features_of_a_kind_that_does_not_know_them_are_compared_when_the_model_is_built():
    unknown = dataclasses.replace(get_kind("gru"), name="unknown", features=None)
    with register_kind(unknown) as kind, pytest.raises(BuildError, match="the linear layer reads 12 features"):
        build_model(tied_spec(kind.name, bidirectional=True))


def test_parts_of_a_model_match_its_spec():
    model = small_model("gru")
    with pytest.raises(BuildError, match="num_embeddings, which is 7"):
        RecurrentModel(small_spec("gru", num_embeddings=7), model.backbone, model.readout)
    with pytest.raises(BuildError, match="num_embeddings, which is None"):
        RecurrentModel(small_spec("gru"), model.backbone, model.readout, nn.Embedding(7, 3))


def test_tied_weights_are_one_parameter(kind):
    model = build_model(tied_spec(kind, padding_idx=2))
    assert model.embedding.weight is model.readout.linear.weight
    assert model.embedding.weight[2].eq(0).all()
    assert model.embedding.weight.abs().max() <= 1 / 6**0.5  # as nn.Linear, not a normal distribution
    for other in (copy.deepcopy(model), model.double()):
        assert other.embedding.weight is other.readout.linear.weight


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_weights_stay_tied_after_load_state_dict(device):
    saved = build_model(tied_spec("gru_cell")).state_dict()
    separate = {name: tensor.clone() for name, tensor in saved.items()}
    for tensors, assign in [(saved, True), (separate, True), (separate, device == "meta")]:
        model = build_model(tied_spec("gru_cell"), device=device)
        model.load_state_dict(tensors, assign=assign)
        assert model.embedding.weight is model.readout.linear.weight
        assert_same([model.embedding.weight], [saved["embedding.weight"]])


def test_weights_that_were_untied_stay_untied_after_load_state_dict():
    model = build_model(tied_spec("gru_cell"))
    model.embedding.weight = nn.Parameter(2 * model.embedding.weight.detach())
    for assign in (False, True):
        model.load_state_dict(model.state_dict(), assign=assign)
        assert_same([model.embedding.weight], [2 * model.readout.linear.weight])


def test_tied_models_whose_readout_was_replaced_are_moved_and_loaded():
    model = build_model(tied_spec("gru_cell"))
    model.readout = nn.Identity()
    model.double().load_state_dict(model.state_dict())
    assert model.embedding.weight.dtype == torch.float64


@pytest.mark.parametrize("tied", [False, True])
def test_token_models_are_initialized_after_to_empty(tied):
    spec = tied_spec("gru_cell", tie_weights=tied, padding_idx=2)
    model = build_model(spec, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert (model.embedding.weight is model.readout.linear.weight) == tied
    assert model.embedding.weight[2].eq(0).all()
    assert model(TOKENS).isfinite().all()


@pytest.mark.parametrize("tied", [False, True])
def test_token_models_are_saved_loaded_and_verified(tmp_path, tied):
    file = tmp_path / "model.safetensors"
    model = build_model(tied_spec("gru_cell", tie_weights=tied, padding_idx=0, readout_dropout=0.1)).eval()
    save_model(model, file)
    loaded = load_model(file)
    assert loaded.spec == model.spec
    assert (loaded.embedding.weight is loaded.readout.linear.weight) == tied
    assert_same(loaded.eval()(TOKENS), model(TOKENS))
    assert verify_model(file).ok


def test_specs_without_the_new_fields_are_those_without_tokens():
    spec = RecurrentSpec.from_dict({"kind": "gru", "input_size": 3, "hidden_size": 6})
    assert (spec.num_embeddings, spec.padding_idx, spec.tie_weights, spec.readout_dropout) == (None, None, False, 0.0)
    assert not any("embedding" in name for name in build_model(spec).state_dict())


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("batch_first", [True, False])
def test_summary_counts_the_embedding_and_its_products(tied, batch_first):
    spec = tied_spec("lstm", tie_weights=tied, num_layers=1, batch_first=batch_first)
    summary = summarize_spec(spec, time=10)
    layers = {layer.name: layer for layer in summary.layers}
    assert summary.input_dtype == "int64"
    assert summary.input_shape == ("(batch, time)" if batch_first else "(time, batch)")
    assert layers["embedding"].parameters == VOCABULARY * 6
    assert layers["embedding"].multiply_adds == 0
    assert layers["readout"].parameters == VOCABULARY + (0 if tied else VOCABULARY * 6)
    assert layers["readout"].multiply_adds == 10 * VOCABULARY * 6
    assert layers["layer 0"].multiply_adds == 10 * 4 * 6 * (6 + 6)
    assert summary.parameters == sum(parameter.numel() for parameter in build_model(spec).parameters())


def test_readout_dropout_acts_on_the_features_before_the_linear_layer():
    model = small_model("lstm", readout_dropout=0.5, readout="mean", hidden_size=200)
    x = torch.randn(4, 5, 3, dtype=torch.float64)
    read = []
    model.readout.linear.register_forward_pre_hook(lambda _module, args: read.append(args[0]))
    model.eval()(x)
    model.train()(x)
    kept = read[1] != 0
    assert 0.4 < kept.double().mean() < 0.6
    torch.testing.assert_close(read[1][kept], 2 * read[0][kept])
    without = small_model("lstm", readout="mean", hidden_size=200).train()
    without.load_state_dict(model.state_dict())
    assert_same(without(x), model.eval()(x))


@pytest.mark.filterwarnings("ignore")  # torch's tracer of `scan` warns about its own code
def test_token_models_compile_and_export():
    model = token_model("rnn_cell").eval()
    model.backbone.force_step_loop = True
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert_same(compiled(TOKENS), model(TOKENS))
    program = torch.export.export(model, (TOKENS,), dynamic_shapes={"x": {0: torch.export.Dim("batch")}}).module()
    assert_same(program(TOKENS[:3]), model(TOKENS[:3]))


@pytest.mark.filterwarnings("ignore")  # as above
def test_token_models_under_vmap():
    model = token_model("rnn_cell").eval()
    model.backbone.force_step_loop = True
    mapped = torch.func.vmap(lambda tokens: model(tokens[None])[0])(TOKENS)
    assert_same(mapped, model(TOKENS))


def test_states_of_tokens_continue(kind):
    model = token_model(kind, readout="all")
    first, state = model(TOKENS[:, :2], return_state=True)
    second, final = model(TOKENS[:, 2:], map_state(torch.clone, state), return_state=True)
    assert_same((torch.cat([first, second], 1), final), model(TOKENS, return_state=True))
