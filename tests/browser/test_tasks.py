"""Questions with which readers come, each answered at most two clicks from Home, and by one search."""

from typing import NamedTuple

import pytest
from playwright.sync_api import expect

from tests.browser.searching import COUNT, FIRST, RESULT, search
from tests.browser.visit import opened, settled


class Task(NamedTuple):
    """A question: the links to click from Home, what to type into the search, and a text of the answer."""

    clicks: tuple[str, ...]
    query: str
    answer: str


COMING_FROM = "Coming from torch.nn, Keras or Flax"
TASKS = {
    "a padded bidirectional classifier": Task(
        ("Variable-length sequences",), "bidirectional text classification", "bidirectional = train_classifier("
    ),
    "what instead of out[:, -1]": Task((COMING_FROM,), "last output of nn.LSTM", "the readout last is the default"),
    "my nn.LSTM class as a spec": Task((COMING_FROM,), "nn.LSTM", "A tutorial's class:"),
    "the shape of h_n": Task(
        ("Guides", "Using a model"), "shape of h_n", "(num_layers * directions, batch, hidden_size)"
    ),
    "an embedding below": Task(("Guides", "Tokens and embeddings"), "embedding", "set num_embeddings to the size"),
    "a loss without padding": Task(
        ("Variable-length sequences",), "loss without padding", "ignore_index of cross_entropy"
    ),
    "bytes of state and weights": Task(
        ("Guides", "Parameters, memory and FLOPs"), "memory footprint", "State of one sequence: 512 bytes"
    ),
    "the time of one streaming step": Task(("Export and deploy",), "latency", "Latency of one step at batch size 1"),
    "export to ONNX": Task(("Export and deploy",), "onnx", "export_onnx(model"),
    "keep the state over a restart": Task(
        ("Guides", "Carry, reset and save states"), "save state", "also in another process"
    ),
    "the options of gru": Task(("Models", "gru"), "gru options", "recurrent_init"),
    "is loading a file safe": Task(
        ("Save, load and verify a model",),
        "is it safe to load a model file",
        "executes no code, unlike a pickled model",
    ),
    "start a plugin": Task(("tutorial",), "write a plugin", "rnnkit new-plugin rnnkit-cfr"),
    "publish a plugin": Task(("Plugins", "Publish the plugin"), "publish a plugin on pypi", "twine upload"),
    "what stays compatible": Task(
        ("Plugins", "compatibility policy"), "backward compatibility", "The public API consists of"
    ),
    "how to cite": Task(("Cite rnnkit",), "how to cite", "@software{rnnkit,"),
}


@pytest.fixture(params=TASKS)
def task(request):
    return TASKS[request.param]


def answers(tab, task):
    """The places of a page that show the answer."""
    return tab.locator("article").get_by_text(task.answer).filter(visible=True)


def test_a_question_is_answered_two_clicks_from_home(tab, site, task):
    opened(tab, site.address())
    assert 1 <= len(task.clicks) <= 2
    assert answers(tab, task).count() == 0, "the answer is on Home, so that the clicks test nothing"
    for name in task.clicks:
        with tab.expect_navigation():
            tab.get_by_role("link", name=name, exact=True).filter(visible=True).first.click()
    settled(tab)
    expect(answers(tab, task).first).to_be_visible()


class TestSearch:
    @pytest.fixture
    def scripts(self):
        return [COUNT]

    def test_a_question_is_answered_by_one_search(self, tab, site, task):
        assert any(self.answered_by_result(tab, site, task, place) for place in range(FIRST))

    def answered_by_result(self, tab, site, task, place):
        """Whether the page of a result shows the answer; the result is clicked."""
        opened(tab, site.address())
        search(tab, task.query)
        with tab.expect_navigation():
            tab.locator(RESULT).nth(place).click()
        settled(tab)
        return answers(tab, task).count() > 0
