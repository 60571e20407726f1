"""The examples of padded text, streaming inference and truncated BPTT, and the cell of a tutorial."""

import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
import torchrecurrent
from matplotlib import cbook

from rnnkit import Catalog, build_model
from rnnkit.testing import use_catalog
from tests.helpers.models import leaves, random_state, small_input, small_model
from tests.helpers.pages import blocks_of

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


def printed_by(example, *arguments):
    command = [sys.executable, EXAMPLES / example, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout


def module(name):
    """Import an example."""
    spec = spec_from_file_location(name, EXAMPLES / f"{name}.py")
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


# padded_classifier.py


def test_classifier_beats_the_baseline():
    printed = printed_by("padded_classifier.py")
    accuracies = [float(percent) for percent in re.findall(r"test accuracy ([\d.]+)%", printed)]
    assert len(accuracies) == 6
    assert accuracies[-1] > 80
    assert "eacute: letter\nhookrightarrow: arrow\n" in printed


def test_scores_of_a_padded_text_are_those_of_the_text_alone():
    example = module("padded_classifier")
    model = build_model(example.SPEC).eval()
    train, test = example.load_data()
    assert (len(train), len(test)) == (1532, 500)
    tokens, lengths, labels = example.collate(test[:8])
    assert len(set(lengths.tolist())) > 1
    scores = model(tokens, lengths=lengths)
    for each, (text, label), expected in zip(scores, test, labels, strict=False):
        torch.testing.assert_close(each, model(text.unsqueeze(0))[0])
        assert label == expected
    other_padding = tokens.masked_fill(torch.arange(tokens.shape[1]) >= lengths[:, None], 7)
    assert not torch.equal(other_padding, tokens)
    torch.testing.assert_close(model(other_padding, lengths=lengths), scores)


# stream.py


def test_stream_example_resumes_in_another_process_with_identical_scores():
    printed = " ".join(printed_by("stream.py").split())
    pages, digits, percent = re.search(r"(\d+) pages with (\d+) digits: ([\d.]+)% correct", printed).groups()
    assert int(digits) > int(pages) > 50
    assert float(percent) > 88
    after_row = [int(number) for number in re.findall(r"(\d+)% [│┃]", printed)]
    assert len(after_row) == 8
    assert after_row[0] < 60 < after_row[-1]
    other, own = re.search(r"Process (\d+) resumed from the state that process (\d+) saved", printed).groups()
    assert other != own
    assert "600 steps, identical scores." in printed


@pytest.fixture
def stream(monkeypatch):
    example = module("stream")
    monkeypatch.setattr(example, "STEPS", 120)
    return example


@pytest.fixture
def trained(stream):
    model = build_model(stream.SPEC)
    stream.train(model, *stream.load_data()[0], epochs=8)
    return model.eval()


def test_each_page_has_the_predictions_that_it_has_alone(stream, trained, tmp_path):
    _, test = stream.load_data()
    scanners = [stream.Scanner(stream.endless_pages(*test)) for _ in range(stream.SCANNERS)]
    pages = stream.read(trained, scanners, tmp_path).pages
    assert {len(page.answers) for page in pages} > {8}, "they end at different times"
    for page in pages:
        alone = trained(page.images.flatten(0, 1).unsqueeze(0)).squeeze(0).argmax(dim=1)
        assert page.answers == alone.tolist()
    assert len({answer for page in pages for answer in page.answers}) == 10


def test_another_process_restores_the_state_from_disk(stream, trained, tmp_path):
    """From the state that was saved come the same scores, from another one others."""
    _, test = stream.load_data()
    record = stream.read(trained, [stream.Scanner(stream.endless_pages(*test)) for _ in range(4)], tmp_path)
    stream.write_down(trained, record, tmp_path)
    expected = torch.stack(record.scores[60:])
    torch.testing.assert_close(gone_on(stream, tmp_path), expected)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    torch.save({path: torch.zeros_like(part) for path, part in state.items()}, tmp_path / "state.pt")
    assert not torch.equal(gone_on(stream, tmp_path), expected)


def gone_on(stream, folder):
    stream.go_on(folder)
    return torch.load(folder / "scores.pt", weights_only=True)


# truncated_bptt.py


def voltage():
    return 100 * np.fromfile(cbook.get_sample_data("membrane.dat", asfileobj=False), np.float32).astype(float)


def root_mean_square(errors):
    return np.sqrt(np.mean(errors**2))


def test_forecast_beats_the_baselines(tmp_path):
    picture = tmp_path / "forecast.png"
    printed = printed_by("truncated_bptt.py", "--picture", picture)
    stays, linear, forgotten, carried = (float(error) for error in re.findall(r"([\d.]+) mV │", printed))
    assert carried < 0.7 * linear
    assert carried < forgotten
    measured = voltage()
    assert stays == pytest.approx(root_mean_square(measured[9000:] - measured[8990:-10]), abs=0.006)
    assert linear == pytest.approx(root_mean_square(measured[9000:] - linear_forecast(measured)), abs=0.02)
    assert picture.read_bytes().startswith(b"\x89PNG")


def linear_forecast(measured):
    """The last 100 values and a constant, fitted to what comes 10 steps later, one row after another."""
    rows = np.array([[*measured[t - 109 : t - 9], 1] for t in range(109, len(measured))])
    fitted, *_ = np.linalg.lstsq(rows[: 9000 - 109], measured[109:9000], rcond=None)
    return rows[9000 - 109 :] @ fitted


def test_forecast_is_causal():
    """A change in the held-out part changes no weights and no earlier forecasts, in any of the four training modes."""
    example = module("truncated_bptt")
    measured = example.load_voltage()
    other = measured.clone()
    other[9500:] = measured[2000:4500]
    made, made_of_other = (example.forecasts(series, epochs=1) for series in (measured, other))
    for name, forecast in made.items():
        assert forecast.shape == (3000,)
        torch.testing.assert_close(made_of_other[name][:510], forecast[:510])
        assert not torch.equal(made_of_other[name][510:520], forecast[510:520]), name


@pytest.mark.parametrize("carry", [True, False], ids=["carried", "forgotten"])
def test_chunk_starts_from_the_detached_state_of_the_previous_one(monkeypatch, carry):
    example, given, returned = module("truncated_bptt"), [], []

    def watched(spec):
        model = build_model(spec)
        model.register_forward_pre_hook(lambda _model, arguments: given.append(arguments[1]))
        model.register_forward_hook(lambda _model, _arguments, result: returned.append(result[1]))
        return model

    monkeypatch.setattr(example, "build_model", watched)
    example.train(torch.randn(8, 30, 1), torch.randn(8, 30, 1), epochs=2, carry=carry)
    starts = [given[0], given[3]]
    assert starts == [None, None], "an epoch starts without a state"
    for before, after in [(returned[i], given[i + 1]) for i in (0, 1, 3, 4)]:
        assert (after is not None) == carry
        for part, earlier in zip(after[0] if carry else (), before[0], strict=carry):
            assert torch.equal(part, earlier)
            assert earlier.requires_grad
            assert not part.requires_grad


# docs/plugins/cells.md


def test_cell_of_the_tutorial_matches_torchrecurrent():
    """Two layers; torchrecurrent has two biases for each gate, whose sum is the one of the page."""
    theirs = torchrecurrent.UGRNN(3, 6, num_layers=2, batch_first=True).double()
    with use_catalog(Catalog()):
        exec(first_code_of(EXAMPLES.parent / "plugins/cells.md"), {"__name__": "page"})  # noqa: S102  # our own page
        model = small_model("update_gate")
    with torch.no_grad():
        for ours, other in zip(model.backbone.cells, theirs.cells, strict=True):
            for parameter in other.parameters():
                parameter.normal_()
            ours.weight_ih.copy_(other.weight_ih)
            ours.weight_hh.copy_(other.weight_hh)
            ours.bias.copy_(other.bias_ih + other.bias_hh)
    x, state = small_input(), random_state(model)
    output, final = model.backbone(x, state)
    expected, expected_final = theirs(x, torch.stack(leaves(state)))
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(leaves(final), list(expected_final))


# docs/plugins/cell_families.md


def test_typed_gru_of_the_page_matches_torchrecurrent():
    names = {"__name__": "page"}
    with use_catalog(Catalog()):
        for language, code, _ in blocks_of(EXAMPLES.parent / "plugins/cell_families.md"):
            if language == "python":
                exec(code, names)  # noqa: S102  # our own page
    ours, theirs = names["TypedGRUCell"](3, 6).double(), torchrecurrent.TGRUCell(3, 6).double()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
        ours.convolution.weight.copy_(torch.stack([theirs.weight_hh, theirs.weight_ih], dim=-1))
        ours.convolution.bias.copy_(theirs.bias_ih + theirs.bias_hh)
    state, expected = ours.initial_state(4, dtype=torch.float64), None
    for x_t in torch.randn(5, 4, 3, dtype=torch.float64):
        h, state = ours(x_t, state)
        expected = theirs(x_t, expected)
        torch.testing.assert_close(h, expected[0])


def first_code_of(page):
    return re.search(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[1]
