"""The data of each task against a statement of its own of what the task is."""

import json
import math
import pickle
import re
import sys
from dataclasses import MISSING, fields

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge
from torch import Generator

from rnnkit import RecurrentSpec, build_model
from rnnkit.compare import IGNORED, DatasetTask, GeneratedTask, Task, find_tasks, list_tasks, tasks
from rnnkit.compare.tasks import TASKS
from rnnkit.compare.tasks import mackey_glass as MackeyGlass
from rnnkit.errors import CompareError
from rnnkit.kind import Paper
from tests.helpers.pages import DOCS

SHIPPED_BY_SKTIME = ("motions", "vowels")


def parameters(classes):
    return [
        pytest.param(each, id=each.name, marks=[pytest.mark.slow] if each.name in SHIPPED_BY_SKTIME else [])
        for each in classes
    ]


EACH = pytest.mark.parametrize("task", parameters(TASKS))
GENERATED = [each for each in TASKS if issubclass(each, GeneratedTask)]
DATASETS = [each for each in TASKS if issubclass(each, DatasetTask)]


def made(task):
    """A task with its default settings."""
    if task.name in SHIPPED_BY_SKTIME:
        pytest.importorskip("sktime")
    return task()


def batches(task):
    return [task.training_batch(5, Generator().manual_seed(0)), task.validation(), task.test()]


def drawn(task, *, testing=False):
    return task.draw(50, Generator().manual_seed(0), testing=testing)


def test_each_task_has_its_name():
    assert {each.name for each in TASKS} == {name for name in list_tasks() if "/" not in name}
    for each in TASKS:
        assert getattr(tasks, each.name) is each
    made = {"from_file", "from_frame"}
    assert set(tasks.__all__) - made == {each.name for each in TASKS}
    assert len(GENERATED) + len(DATASETS) == len(TASKS)


@EACH
def test_each_task_says_what_it_shows(task):
    assert task.summary.endswith(".")
    assert not task.measures.endswith(".")
    assert re.match("[a-z]", task.measures)
    assert "https://" in (task.source.link if isinstance(task.source, Paper) else task.source)


@EACH
def test_a_model_of_its_fields_fits_its_data(task):
    task = made(task)
    model = build_model(RecurrentSpec(kind="gru", hidden_size=4, **task.fields()))
    for batch in batches(task):
        x, target, lengths = (None if part is None else part[:8] for part in batch)
        output = model(x, lengths=lengths)
        assert task.objective.loss(output, target).isfinite()
        assert math.isfinite(task.objective.score(output.detach(), target))
    chance = task.objective.chance(task.test().target)
    assert chance > 0 if task.objective.higher_is_better is False else 0 < chance < 1


@EACH
def test_the_same_generator_draws_the_same_data(task):
    task = made(task)
    for first, second in zip(batches(task), batches(task), strict=True):
        assert first.x.equal(second.x)
        assert first.target.equal(second.target) or first.target.nan_to_num().equal(second.target.nan_to_num())
    other = task.training_batch(5, Generator().manual_seed(1))
    assert not (other.x.shape == first.x.shape and other.x.equal(first.x))


@EACH
def test_a_task_travels_and_is_written(task):
    task = made(task)
    copy = pickle.loads(pickle.dumps(task))
    assert copy == task
    assert hash(copy) == hash(task)
    settings = json.loads(json.dumps(task.settings(), allow_nan=False))
    assert type(task)(**settings) == task
    assert find_tasks([str(task)]) == [task]


@pytest.mark.parametrize("task", parameters(each for each in TASKS if each is not tasks.text))  # which repeats phrases
def test_no_sequence_is_in_two_parts(task):
    task = made(task)
    training = task.load().training if isinstance(task, DatasetTask) else task.training_batch(500, Generator())
    parts = [{each.numpy().tobytes() for each in part.x} for part in (training, task.validation(), task.test())]
    assert all(parts)
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("task", parameters(GENERATED))
def test_no_seed_of_a_run_draws_the_validation_or_the_test(task, seed):
    task = task()
    ours = task.draw(8, Generator().manual_seed(seed), testing=True).x
    for held_out in (task.validation().x[:8], task.test().x[:8]):
        assert not ours.equal(held_out)


def test_adding():
    batch = drawn(tasks.adding(10))
    for x, target in zip(batch.x, batch.target, strict=True):
        marked = [step for step in range(10) if x[step, 1] == 1]
        assert len(marked) == 2
        assert marked[0] < 5 <= marked[1]
        assert x[:, 1].sum() == 2
        assert target.item() == pytest.approx(sum(x[step, 0].item() for step in marked))
    assert 0 <= batch.x[..., 0].min() < batch.x[..., 0].max() < 1


def test_copying():
    batch = drawn(tasks.copying(gap=7, symbols=3))
    assert batch.x.shape == (50, 3 + 7 + 3)
    for tokens, target in zip(batch.x.tolist(), batch.target.tolist(), strict=True):
        assert all(0 <= each < 8 for each in tokens[:3])
        assert tokens[3:] == [8] * 7 + [9] * 3
        assert target == [IGNORED] * 10 + tokens[:3]


def test_selective_copying():
    batch = drawn(tasks.selective_copying(length=12, symbols=4))
    places = set()
    for tokens, target in zip(batch.x.tolist(), batch.target.tolist(), strict=True):
        symbols = [each for each in tokens[:12] if each < 14]
        assert len(symbols) == 4
        assert set(tokens[:12]) - set(symbols) == {14}
        assert tokens[12:] == [15] * 4
        assert target == [IGNORED] * 12 + symbols
        places.add(tuple(each < 14 for each in tokens))
    assert len(places) > 40


@pytest.mark.parametrize("testing", [False, True])
def test_parity(testing):
    batch = drawn(tasks.parity(train_length=6, test_length=20), testing=testing)
    for x, target in zip(batch.x, batch.target.tolist(), strict=True):
        ones = 0
        for step, answer in enumerate(target):
            ones += int(x[step] == 1)
            assert answer == (IGNORED if testing and step < 10 else ones % 2)
    assert set(batch.x.unique().tolist()) == {-1, 1}


def test_training_on_parity_has_all_lengths_up_to_the_longest():
    task, generator = tasks.parity(train_length=4), Generator().manual_seed(0)
    assert {task.training_batch(2, generator).x.shape[1] for _ in range(50)} == {1, 2, 3, 4}


@pytest.mark.parametrize("testing", [False, True])
def test_flip_flop(testing):
    batch = drawn(tasks.flip_flop(train_length=20, test_length=40), testing=testing)
    write, read, ignore = 2, 3, 4
    seen = set()
    for tokens, target in zip(batch.x.tolist(), batch.target.tolist(), strict=True):
        stored = None
        assert tokens[0] == write
        assert tokens[-2] == read
        for step in range(0, len(tokens), 2):
            instruction, bit = tokens[step : step + 2]
            seen.add(instruction)
            stored = bit if instruction == write else stored
            counts = instruction == read and not (testing and step < 20)
            assert target[step] == (stored if counts else IGNORED)
            assert target[step + 1] == IGNORED
            assert bit in (0, 1)
            assert bit == stored or instruction == ignore
    assert seen == {write, read, ignore}


def test_flip_flop_ignores_with_its_probability():
    tokens = tasks.flip_flop(train_length=200, ignore=0.3).draw(200, Generator().manual_seed(0), testing=False).x
    instructions = tokens[:, 2:-2:2]
    assert (instructions == 4).double().mean().item() == pytest.approx(0.3, abs=0.02)
    assert (instructions == 2).double().mean().item() == pytest.approx(0.35, abs=0.02)


def test_recall():
    batch = drawn(tasks.recall(pairs=3))
    for tokens, target in zip(batch.x.tolist(), batch.target.tolist(), strict=True):
        value_of = dict(zip(tokens[:-1:2], tokens[1::2], strict=True))
        assert len(value_of) == 3
        assert all(key < 6 <= value < 12 for key, value in value_of.items())
        assert target == value_of[tokens[-1]] - 6
    assert batch.target.unique().tolist() == [0, 1, 2, 3, 4, 5]


def test_delay():
    batch = drawn(tasks.delay(lag=12, length=100))
    assert batch.x[:, :-12].equal(batch.target[:, 12:])
    assert batch.target[:, :12].isnan().all()
    assert batch.x.var().item() == pytest.approx(1, abs=0.1)


def test_the_signal_of_the_delay_is_band_limited():
    x = tasks.delay(lag=40, length=1024).draw(20, Generator().manual_seed(0), testing=False).x[..., 0]
    power = np.abs(np.fft.rfft(x.numpy() * np.hanning(1024))) ** 2
    frequency = np.fft.rfftfreq(1024)
    assert power[:, frequency > 3.5 / 40].sum() < 1e-3 * power.sum()
    assert power[:, frequency > 2.0 / 40].sum() > 0.1 * power.sum()


def test_legendre_polynomials_represent_the_window_of_the_delay():
    """A window of 12 coefficients holds three cycles: the theory of the LMU."""
    x = tasks.delay(lag=40, length=200).draw(20, Generator().manual_seed(0), testing=False).x[..., 0].double()
    windows = x.unfold(1, 41, 10).flatten(0, 1).numpy().T
    basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, 41), 17)
    fitted = basis @ np.linalg.lstsq(basis, windows, rcond=None)[0]
    assert np.sqrt(np.mean((fitted - windows) ** 2)) < 0.01


def reference_mackey_glass(until, tau):
    """The same equation, solved interval by interval with SciPy's method of order 8."""
    solutions = [lambda _time: [1.2]]
    for start in range(0, until, tau):

        def slope(time, x, past=solutions[-1]):
            delayed = past(time - tau)[0]
            return 0.2 * delayed / (1 + delayed**10) - 0.1 * x

        begin = solutions[-1](start)
        solved = solve_ivp(slope, (start, start + tau), begin, "DOP853", dense_output=True, rtol=1e-10, atol=1e-12)
        solutions.append(solved.sol)
    return np.array([solutions[1 + time // tau](time)[0] for time in range(until)])


@pytest.mark.parametrize("tau", [17, 30])
def test_mackey_glass_solves_its_equation(tau, monkeypatch):
    module = sys.modules[MackeyGlass.__module__]  # whose name the class has in `tasks`
    monkeypatch.setattr(module, "DISCARDED", 0)
    series = module.integrate(150, tau)
    assert np.abs(series.numpy() - reference_mackey_glass(150, tau)).max() < 1e-3
    assert series.std() > 0.1


def test_the_target_of_mackey_glass_is_the_input_of_later():
    task = tasks.mackey_glass(ahead=7)
    batch = task.test()
    assert batch.target[:, :100].isnan().all()
    assert batch.target[:, 100:-7].equal(batch.x[:, 107:])
    assert not batch.target[:, 100:].isnan().any()


def test_the_last_value_does_not_predict_mackey_glass():
    task = tasks.mackey_glass()
    batch = task.test()
    assert task.objective.score(batch.x, batch.target) > 0.5


@pytest.mark.parametrize("order", ["rows", "pixels", "permuted"])
def test_digits(order):
    task, data = tasks.digits(order), load_digits()
    split = task.load()
    x = torch.cat([each.x for each in split])
    target = torch.cat([each.target for each in split])
    assert len(x) == 1797
    pixels = x.flatten(1) * 16
    if order == "permuted":
        assert not pixels[0].sort().values.equal(pixels[0])
        pixels, expected = pixels.sort(1).values, np.sort(data.data, 1)
    else:
        expected = data.data
    rows = sorted([*each, label] for each, label in zip(pixels.tolist(), target.tolist(), strict=True))
    assert rows == sorted([*each, label] for each, label in zip(expected.tolist(), data.target.tolist(), strict=True))
    shares = [len(each.x) / 1797 for each in split]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.01)
    for each in split:
        assert (each.target.bincount() / len(each.target)).tolist() == pytest.approx([0.1] * 10, abs=0.01)


def test_the_permutation_of_digits_is_one_order_for_all_pixels():
    pixels, permuted = (tasks.digits(order).test().x[..., 0] for order in ("pixels", "permuted"))
    order = [next(i for i in range(64) if pixels[:, i].equal(permuted[:, j])) for j in range(64)]
    nonzero = {j for j in range(64) if permuted[:, j].any()}
    assert len({order[j] for j in nonzero}) == len(nonzero) > 50
    assert order != sorted(order)


def test_irregular_sine():
    task = tasks.irregular_sine(length=40)
    batch = drawn(task)
    previous, elapsed = batch.x.double().unbind(-1)
    target = batch.target[..., 0].double()
    assert task.time_feature == 1
    assert target[:, :8].isnan().all()
    assert target[:, 8:-1].equal(previous[:, 9:])
    assert elapsed.min() > 0.1
    assert elapsed.mean().item() == pytest.approx(1, abs=0.1)
    for times, answers in zip(elapsed.cumsum(1)[:5], target, strict=False):
        errors = [sine_error(times, answers, period) for period in np.linspace(5, 20, 1501)]
        assert min(errors) < 0.02


def sine_error(times, answers, period):
    """The error of the best sine wave of a period at the samples."""
    phase = 2 * np.pi * times[8:].numpy() / period
    waves = np.stack([np.sin(phase), np.cos(phase)], 1)
    fitted = waves @ np.linalg.lstsq(waves, answers[8:].numpy(), rcond=None)[0]
    return np.abs(fitted - answers[8:].numpy()).max()


def test_text_is_that_of_the_standard_library():
    from pydoc_data.topics import topics

    task = tasks.text(length=50)
    data = task.load()
    for part in data:
        assert part.x[:, 1:].equal(part.target[:, :-1])
        assert part.x[1:, 0].equal(part.target[:-1, -1])
    training, validation, test = ("".join(map(task.characters.__getitem__, part.x.flatten().tolist())) for part in data)
    known = {" ".join(each.split()) for topic in topics.values() for each in topic.split("\n\n")}
    parts = [paragraphs(each) for each in (training, validation, test)]
    for part in parts:
        assert len(part) > 100
        assert len(part - known) <= 2  # the first and the last one, which are cut
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert len(training) == pytest.approx(8 * len(test), rel=0.01)


def paragraphs(text):
    """The different paragraphs of a text, without its line breaks and indentation."""
    return {" ".join(each.split()) for each in text.split("\n\n")} - {""}


def test_text_of_another_python_is_refused():
    with pytest.raises(CompareError, match=r"the text of python='2.7.18' is not available in Python 3"):
        tasks.text(python="2.7.18")


@pytest.mark.slow
def test_motions():
    datasets = pytest.importorskip("sktime.datasets")
    check_recordings(tasks.motions().load(), datasets.load_basic_motions, [32, 8, 40])


@pytest.mark.slow
def test_vowels():
    datasets = pytest.importorskip("sktime.datasets")
    check_recordings(tasks.vowels().load(), datasets.load_japanese_vowels, [216, 54, 370])


def check_recordings(data, load, sizes):
    """The parts are those of sktime, up to the scale and the order of the training."""
    assert [len(part.target) for part in data] == sizes
    x, labels = load(split="test")
    assert np.unique(labels, return_inverse=True)[1].tolist() == data.test.target.tolist()
    lengths = [len(each) for each in x.iloc[:, 0]]
    assert (data.test.lengths is None) == (len(set(lengths)) == 1)
    original = np.concatenate([np.stack([column.to_numpy() for column in row], 1) for row in x.to_numpy()])
    ours = np.concatenate([each[:n].numpy() for each, n in zip(data.test.x, lengths, strict=True)])
    for feature in range(ours.shape[1]):
        assert Ridge(alpha=0).fit(original[:, [feature]], ours[:, feature]).score(
            original[:, [feature]], ours[:, feature]
        ) == pytest.approx(1, abs=1e-6)
    lengths = data.training.lengths
    steps = torch.cat([each[: None if lengths is None else lengths[i]] for i, each in enumerate(data.training.x)])
    assert steps.mean(0).abs().max() < 1e-5
    assert (steps.std(0, correction=0) - 1).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tasks.adding(1), "Task 'adding' does not accept length=1: Input should be greater than or equal to 2"),
        (lambda: tasks.adding(2.0), "does not accept length=2.0: Input should be a valid integer"),
        (lambda: tasks.adding(True), "does not accept length=True"),
        (lambda: tasks.digits("columns"), "order='columns': Input should be 'rows', 'pixels' or 'permuted'"),
        (lambda: tasks.flip_flop(train_length=5), "train_length=5: Input should be a multiple of 2"),
        (lambda: tasks.flip_flop(ignore=1.0), "ignore=1.0: Input should be less than 1"),
        (lambda: tasks.delay(lag=50, length=50), "length=50 is too short for lag=50; use length > 50"),
        (lambda: tasks.selective_copying(4, 5), "symbols=5 do not fit into length=4; use length >= 5"),
        (lambda: tasks.text(length=10**6).load(), "a tenth of the text has"),
    ],
)
def test_settings_are_validated(make, message):
    with pytest.raises(CompareError, match=re.escape(message)):
        make()


def test_numbers_of_numpy_become_plain():
    task = tasks.adding(np.int64(7))
    assert type(task.length) is int
    assert json.dumps(task.settings()) == '{"length": 7}'
    assert task == tasks.adding(7)
    assert type(tasks.flip_flop(ignore=np.float32(0.5)).ignore) is float


@pytest.mark.parametrize(
    "shortest",
    [
        tasks.adding(2),
        tasks.copying(0, 1),
        tasks.selective_copying(1, 1),
        tasks.parity(1, 2),
        tasks.flip_flop(4, 4),
        tasks.recall(1),
        tasks.delay(6, 7),
        tasks.irregular_sine(9),
        tasks.text(1),
    ],
    ids=str,
)
def test_the_smallest_settings_work(shortest):
    for batch in batches(shortest):
        known = batch.target[~batch.target.isnan()] if batch.target.is_floating_point() else batch.target
        assert (known != IGNORED).any()


def test_a_task_is_abstract():
    with pytest.raises(TypeError):
        Task()


def row_of(task):
    """The row of a task in the table of `docs/reference/tasks.md`."""
    settings = ", ".join(f"`{each.name}={each.default!r}`" for each in fields(task) if each.default is not MISSING)
    source = re.sub(r"https://\S+", r"<\g<0>>", str(task.source))
    if isinstance(task.source, Paper):
        source = f"[{task.source.title}]({task.source.link}), {task.source.year}"
    parts = [f"{task.summary} It measures {task.measures}.", settings and f"Settings: {settings}", f"Source: {source}"]
    return f"| `{task.name}` | {'<br>'.join(filter(None, parts))} | {task().objective.metric} |"


def test_the_page_of_tasks_has_each_task():
    rows = [
        line for line in (DOCS / "reference" / "tasks.md").read_text("utf-8").splitlines() if line.startswith("| `")
    ]
    assert rows == [row_of(each) for each in TASKS]
