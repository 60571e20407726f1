"""A table of your own as a task: its sequences, its parts, and errors that name the row and the column."""

import json
import pickle
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from rnnkit import RecurrentSpec, build_model
from rnnkit.compare import CLASSIFICATION, IGNORED, REGRESSION, tasks
from rnnkit.compare.sizing import spec_for
from rnnkit.errors import CompareError

ARGUMENTS = {"target": "label", "group": "series", "time": "t"}


def table(groups=25):
    """A shuffled table with groups of 3 to 8 steps: `number` tells their order, `step` that of the steps."""
    random = np.random.RandomState(0)
    rows = [
        {
            "series": f"s{number:02}",
            "t": 1.5 * step + number,
            "label": "yes" if number % 2 else "no",
            "number": number,
            "step": step,
            "size": 100 * random.rand(),
        }
        for number in range(groups)
        for step in range(3 + number % 6)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=1).reset_index(drop=True)


def written(frame, folder, name="my.csv"):
    path = folder / name
    if name.endswith(".csv"):
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def sequences(part):
    """The sequences of a part without their padding, and their targets."""
    lengths = [part.x.shape[1]] * len(part.x) if part.lengths is None else part.lengths.tolist()
    return [(x[:n], y[:n] if y.dim() else y) for x, y, n in zip(part.x, part.target, lengths, strict=True)]


def numbered(data, feature=0):
    """The part and the sequence of each group, by the feature `number`, whose scale is the same in all parts."""
    found = [(name, x, y) for name, part in data._asdict().items() for x, y in sequences(part)]
    return sorted(found, key=lambda each: each[1][0, feature].item())


@pytest.mark.parametrize("name", ["my.csv", "my.parquet", "frame"])
def test_groups_are_sequences_in_the_order_of_time(name, tmp_path):
    if name == "my.parquet":
        pytest.importorskip("pyarrow")
    frame = table()
    task = (
        tasks.from_frame(frame, **ARGUMENTS)
        if name == "frame"
        else tasks.from_file(written(frame, tmp_path, name), **ARGUMENTS)
    )
    found = numbered(task.load())
    assert len(found) == 25
    training = frame[frame["number"].isin([number for number, each in enumerate(found) if each[0] == "training"])]
    features = ["number", "step", "size"]
    assert task.features == tuple(features)
    assert task.classes == ("no", "yes")
    for number, (_, x, y) in enumerate(found):
        rows = frame[frame["number"] == number].sort_values("step")[features]
        expected = (rows - training[features].mean()) / training[features].std(ddof=0)
        np.testing.assert_allclose(x, expected, atol=1e-5)
        assert y == number % 2


def test_the_parts_have_groups_of_their_own_and_equal_shares_of_the_classes():
    data = tasks.from_frame(table(groups=50), **ARGUMENTS).load()
    assert [len(part.target) for part in data] == [30, 10, 10]
    assert [part.target.sum() for part in data] == [15, 5, 5]
    assert data.training.x.shape[1:] == (8, 3)
    assert not data.training.x[0, data.training.lengths[0] :].any()


@pytest.mark.parametrize("name", ["my.parquet", "frame"])
def test_levels_of_the_index_are_columns(name, tmp_path):
    if name == "my.parquet":
        pytest.importorskip("pyarrow")
    frame = table()
    indexed = frame.set_index(["series", "t"])
    task = (
        tasks.from_frame(indexed, **ARGUMENTS)
        if name == "frame"
        else tasks.from_file(written(indexed, tmp_path, name), **ARGUMENTS)
    )
    assert task.features == ("number", "step", "size")
    assert task.test().x.equal(tasks.from_frame(frame, **ARGUMENTS).test().x)


@pytest.mark.parametrize("again", [False, True], ids=["written once", "read and written again"])
def test_the_index_that_pandas_writes_is_not_a_feature(again, tmp_path):
    path = tmp_path / "my.csv"
    table().to_csv(path)
    if again:
        pd.read_csv(path).to_csv(path)
    with pytest.warns(UserWarning, match=r"no heading for 'Unnamed: 0.*: it is not used as a feature") as caught:
        task = tasks.from_file(path, **ARGUMENTS)
    assert [each.filename for each in caught] == [__file__]
    assert task.features == ("number", "step", "size")
    with pytest.warns(UserWarning, match="To use it, name it in features="):
        tasks.from_frame(pd.read_csv(path), **ARGUMENTS)
    assert tasks.from_file(path, **ARGUMENTS, features=["Unnamed: 0", "size"]).features == ("Unnamed: 0", "size")


def test_a_seed_is_a_split():
    parts = []
    for seed in (0, 0, 1):
        found = numbered(tasks.from_frame(table(), **ARGUMENTS, seed=seed).load())
        parts.append([name for name, _, _ in found])
    assert parts[0] == parts[1] != parts[2]


def test_the_order_of_the_rows_does_not_matter():
    frame = table()
    first = tasks.from_frame(frame, **ARGUMENTS).load()
    second = tasks.from_frame(frame.sample(frac=1, random_state=7), **ARGUMENTS).load()
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one.x, other.x)
        assert one.target.equal(other.target)


def test_without_a_time_the_order_of_the_rows_counts():
    frame = table().sort_values(["t", "series"], ascending=False).drop(columns="t")
    found = numbered(tasks.from_frame(frame, target="label", group="series").load())
    for _, x, _ in found:
        assert x[:, 1].tolist() == sorted(x[:, 1].tolist(), reverse=True)


def test_a_target_that_changes_within_groups_is_one_at_each_step():
    frame = table()
    frame["label"] = np.where(frame["step"] % 3 == 0, "c", np.where(frame["step"] % 3 == 1, "a", "b"))
    task = tasks.from_frame(frame, **ARGUMENTS)
    assert task.fields() == {"input_size": 3, "output_size": 3, "readout": "all"}
    for _, x, y in numbered(task.load()):
        assert [task.classes[each] for each in y] == ["cab"[step % 3] for step in range(len(x))]
    training = task.load().training
    assert (training.target == IGNORED).sum() == training.target.numel() - training.lengths.sum()


def test_regression_at_each_step():
    frame = table()
    task = tasks.from_frame(frame, target="size", group="series", time="t", features=["number", "step"])
    assert task.objective is REGRESSION
    assert task.fields() == {"input_size": 2, "output_size": 1, "readout": "all"}
    assert task.classes == ()
    data = task.load()
    found = numbered(data)
    training = frame[frame["number"].isin([number for number, each in enumerate(found) if each[0] == "training"])][
        "size"
    ]
    for number, (_, _, y) in enumerate(found):
        rows = frame[frame["number"] == number].sort_values("step")["size"]
        np.testing.assert_allclose(y[:, 0], (rows - training.mean()) / training.std(ddof=0), atol=1e-5)
    assert data.training.target.isnan().sum() == data.training.target.numel() - data.training.lengths.sum()


def test_regression_of_one_value_for_each_sequence():
    frame = table()
    frame["age"] = frame["number"] * 2.0
    task = tasks.from_frame(frame, target="age", group="series", time="t", features=["number", "size"])
    assert task.fields()["readout"] == "last"
    assert task.load().training.target.shape == (15, 1)
    for _, x, y in numbered(task.load()):
        assert y.item() == pytest.approx(x[0, 0].item(), abs=1e-4)


def test_elapsed_time_is_a_feature():
    frame = table()
    frame["t"] = frame["step"] ** 2.0
    task = tasks.from_frame(frame, **ARGUMENTS, elapsed=True)
    assert task.time_feature == 0
    assert task.fields()["input_size"] == 4
    found = numbered(task.load(), feature=1)
    training = [len(x) for name, x, _ in found if name == "training"]
    mean = np.mean([2 * step - 1 for length in training for step in range(1, length)])
    for _, x, _ in found:
        np.testing.assert_allclose(x[1:, 0], [(2 * step - 1) / mean for step in range(1, len(x))], rtol=1e-5)
        assert x[0, 0] == 1
    assert spec_for(task, {"kind": "cfc", "hidden_size": 4}, parameters=None)["options"]["time_feature"] == 0
    assert tasks.from_frame(frame, **ARGUMENTS).time_feature is None


def test_dates_are_times():
    frame = table()
    numbers = numbered(tasks.from_frame(frame, **ARGUMENTS, elapsed=True).load(), feature=1)
    dates = pd.Timestamp("2024-02-28") + pd.to_timedelta(frame["t"], unit="D")
    for column in (dates, dates.dt.strftime("%Y-%m-%dT%H:%M:%S")):
        found = numbered(tasks.from_frame(frame.assign(t=column), **ARGUMENTS, elapsed=True).load(), feature=1)
        for (_, x, _), (_, other, _) in zip(numbers, found, strict=True):
            torch.testing.assert_close(x, other)


def test_large_times_are_exact():
    frame = table()
    frame["t"] = 1_700_000_000_000_000_000 + frame["step"]
    found = numbered(tasks.from_frame(frame, **ARGUMENTS, elapsed=True).load(), feature=1)
    assert all((x[:, 0] == 1).all() for _, x, _ in found)


def test_the_difference_of_times_can_exceed_their_type():
    frame = table()
    frame = frame[frame["step"] < 4]
    expected = tasks.from_frame(frame, **ARGUMENTS, features=["step"]).load().training
    narrow = frame.assign(t=(85 * frame["step"] - 128).astype("int8"))
    torch.testing.assert_close(tasks.from_frame(narrow, **ARGUMENTS, features=["step"]).load().training.x, expected.x)


@pytest.mark.parametrize("scale", [1e-310, 1e300], ids=["small", "large"])
def test_very_small_and_large_values_are_standardized(scale):
    frame = table()
    frame["target"] = frame["size"] / 100
    settings = {"target": "target", "group": "series", "time": "t", "features": ["size"]}
    expected = tasks.from_frame(frame, **settings).load().training
    scaled = frame.assign(size=frame["size"] * scale, target=frame["target"] * scale)
    found = tasks.from_frame(scaled, **settings).load().training
    torch.testing.assert_close(found.x, expected.x)
    torch.testing.assert_close(found.target, expected.target, equal_nan=True)


@pytest.mark.parametrize("value", [0.1, 1e300, 5e-324])
def test_a_constant_feature_is_zero(value):
    task = tasks.from_frame(table().assign(size=value), **ARGUMENTS, features=["size"])
    assert (task.load().training.x == 0).all()


@pytest.mark.parametrize(
    ("values", "objective"),
    [
        (["x", "y"], CLASSIFICATION),
        ([True, False], CLASSIFICATION),
        ([7, 3], CLASSIFICATION),
        (pd.Categorical(["x", "y"]), CLASSIFICATION),
        ([7.0, 3.0], REGRESSION),
    ],
    ids=["words", "booleans", "integers", "categories", "decimals"],
)
def test_the_type_of_the_target_decides(values, objective):
    frame = table(groups=40)
    frame["target"] = pd.Series(values)[frame["number"] // 2 % 2].to_numpy()
    task = tasks.from_frame(frame, target="target", group="series", features=["size"])
    assert task.objective is objective
    assert task.classes == (tuple(map(str, sorted(values))) if objective is CLASSIFICATION else ())
    assert task.load().test.target.dtype == (torch.int64 if objective is CLASSIFICATION else torch.float32)


def test_the_problem_can_be_given():
    frame = table()
    arguments = {"group": "series", "time": "t", "features": ["size"]}
    assert tasks.from_frame(frame, target="step", **arguments).classes == tuple(map(str, range(8)))
    assert tasks.from_frame(frame, target="step", **arguments, problem="regression").objective is REGRESSION
    by_float = frame.assign(step=frame["step"] / 2)
    task = tasks.from_frame(by_float, target="step", **arguments, problem="classification")
    assert task.classes[:3] == ("0.0", "0.5", "1.0")


def test_a_model_of_the_fields_fits_the_data(tmp_path):
    path = written(table(), tmp_path)
    for target, features in (("label", None), ("step", ["size"]), ("size", ["number", "step"])):
        task = tasks.from_file(path, target=target, group="series", time="t", features=features, elapsed=True)
        model = build_model(RecurrentSpec(kind="gru", hidden_size=4, **task.fields()))
        batch = task.training_batch(4, torch.Generator())
        assert task.objective.loss(model(batch.x, lengths=batch.lengths), batch.target).isfinite()


@pytest.mark.slow
def test_a_task_travels_and_holds_no_data(tmp_path):
    path = written(table(groups=2000), tmp_path)
    task = tasks.from_file(path, **ARGUMENTS)
    sent = pickle.dumps(task)
    assert len(sent) < 1000 < path.stat().st_size
    assert pickle.loads(sent) == task
    settings = json.loads(json.dumps(task.settings()))
    assert settings["file"] == "my.csv"
    assert str(tmp_path) not in json.dumps(settings)
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).test().x.sum().item())"
    elsewhere = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True, cwd="/")
    assert float(elsewhere.stdout) == pytest.approx(task.test().x.sum().item())


def test_a_data_frame_travels_with_its_task():
    frame = table()
    task = tasks.from_frame(frame, **ARGUMENTS)
    expected = task.test().x.clone()
    frame["size"] = 0
    copy = pickle.loads(pickle.dumps(task))
    assert copy == task
    tasks.table._load.cache_clear()
    assert copy.test().x.equal(expected)
    assert json.loads(json.dumps(task.settings()))["file"] == ""


def test_other_data_and_other_settings_are_other_tasks(tmp_path):
    frame = table()
    path = written(frame, tmp_path)
    first = tasks.from_file(path, **ARGUMENTS)
    others = [
        tasks.from_file(path, **ARGUMENTS, elapsed=True),
        tasks.from_file(path, **ARGUMENTS, seed=1),
        tasks.from_file(path, **ARGUMENTS, features=["size"]),
        tasks.from_frame(frame, **ARGUMENTS),
        tasks.from_file(written(frame.assign(size=frame["size"] + 1e-9), tmp_path), **ARGUMENTS),
    ]
    every = [first, *others]
    assert len(set(every)) == len({str(each) for each in every}) == len(every)
    assert len({json.dumps(each.settings()) for each in every}) == len(every)
    assert str(first).startswith("my.csv(label, ")


def test_a_file_that_changes_is_refused(tmp_path):
    path = written(table(), tmp_path)
    task = tasks.from_file(path, **ARGUMENTS)
    written(table(groups=30), tmp_path)
    tasks.table._load.cache_clear()
    with pytest.raises(CompareError, match=r"my\.csv has changed since the task was made of it"):
        task.load()


def test_a_copied_file_is_the_same_task(tmp_path):
    (tmp_path / "other").mkdir()
    first, second = (
        tasks.from_file(written(table(), folder), **ARGUMENTS) for folder in (tmp_path, tmp_path / "other")
    )
    assert first == second
    assert first.settings() == second.settings()


def without(frame, row, column):
    frame = frame.copy()
    frame[column] = frame[column].astype(object if column in ("series", "label") else float)
    frame.loc[row, column] = None
    return frame


ERRORS = {
    "misspelled": (
        lambda f: f,
        {"target": "lable"},
        "no column 'lable'. Did you mean 'label'? Its columns are 'series'",
    ),
    "feature": (lambda f: f, {"features": ["sise"]}, "no column 'sise'. Did you mean 'size'?"),
    "number": (lambda f: f, {"target": 3}, "The name of a column must be a string, but is 3"),
    "twice": (lambda f: f, {"features": ["size", "t"]}, "Use each column once: 't' occurs more than once"),
    "names": (lambda f: f.rename(columns={"step": "size"}), {}, "Several columns of the table are called 'size'"),
    "text": (
        lambda f: f.assign(color="red"),
        {},
        "such as 'red': encode it, such as by pandas.get_dummies, or leave it out by features=[...]",
    ),
    "dates": (lambda f: f.assign(day=pd.Timestamp("2024-01-01")), {}, "The feature 'day' does not hold numbers"),
    "gap": (lambda f: without(f, 6, "size"), {}, "Column 'size' has no value in row 7 of the data, and in 1 of "),
    "label": (lambda f: without(f, 3, "label"), {}, "Column 'label' has no value in row 4 of the data"),
    "group": (lambda f: without(f, 0, "series"), {}, "Column 'series' has no value in row 1 of the data"),
    "time": (lambda f: without(f, 1, "t"), {}, "Column 't' has no value in row 2 of the data"),
    "infinite": (lambda f: f.assign(size=np.inf), {}, "Column 'size' has inf in row 1 of the data"),
    "same time": (lambda f: f.assign(t=f["step"] // 2), {}, "Group 's00' has the time 0 twice: drop a row, or choose"),
    "no date": (lambda f: f.assign(t="31.12.2024"), {}, "The time 't' must hold numbers, or dates as ISO 8601"),
    "groups": (lambda f: f[f["number"] < 4], {}, "Column 'series' has 4 groups: a split into training, validation"),
    "class": (
        lambda f: f.assign(label=np.where(f["number"] == 7, "rare", "a usual one")),
        {},
        "Class 'rare' is in 1 of 25 sequences, but in none for training",
    ),
    "constant": (lambda f: f.assign(label="same"), {}, "The target 'label' is constant: all rows have 'same'"),
    "value": (lambda f: f.assign(label=2.5), {}, "All targets of the training are 2.5"),
    "integers": (
        lambda f: f.assign(label=range(len(f))),
        {},
        "different integers: say whether they are classes or a quantity, by problem='classification' or",
    ),
    "strings": (lambda f: f, {"problem": "regression"}, "'label' does not hold numbers: use problem='classification'"),
    "problem": (lambda f: f, {"problem": "clustering"}, "does not accept problem='clustering'"),
    "seed": (lambda f: f, {"seed": -1}, "does not accept seed=-1"),
    "elapsed": (lambda f: f.drop(columns="t"), {"time": None, "elapsed": True}, "elapsed=True needs a column of times"),
    "features": (lambda f: f[["series", "t", "label"]], {}, "no column for features beside 'label', 'series' and 't'"),
    "rows": (lambda f: f.head(0), {}, "The table has no rows"),
    "index": (lambda f: f.set_index("size", drop=False), {}, "Several columns of the table are called 'size'"),
    "lists": (lambda f: f.assign(label=[[1]] * len(f)), {}, "'label' holds values such as [1], which are not hashable"),
    "one name": (lambda f: f, {"features": "size"}, "features='size' is a single name: write ['size']"),
}


@pytest.mark.parametrize(("change", "arguments", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_say_what_is_wrong_and_where(change, arguments, message):
    with pytest.raises(CompareError, match=re.escape(message)):
        tasks.from_frame(change(table()), **(ARGUMENTS | arguments))


def test_a_row_is_counted_in_the_file(tmp_path):
    path = tmp_path / "my.csv"
    written(table(), tmp_path)
    lines = path.read_text().splitlines()
    lines[5] = lines[5].rpartition(",")[0] + ","
    path.write_text("\n".join(lines))
    with pytest.raises(CompareError, match="Column 'size' has no value in row 5 of the data"):
        tasks.from_file(path, **ARGUMENTS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("my.xlsx", b"", "is neither a .csv nor a .parquet file"),
        ("my.csv", b"", "is not a valid .csv file"),
        ("my.csv", b"a,b\n1,2,3\n1,2,3,4\n", "is not a valid .csv file"),
        ("my.parquet", b"nothing of the kind", "is not a valid .parquet file"),
    ],
)
def test_a_file_that_is_not_a_table_is_refused(name, content, message, tmp_path):
    if name == "my.parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CompareError, match=re.escape(message)):
        tasks.from_file(tmp_path / name, **ARGUMENTS)


def test_a_heading_that_occurs_twice_is_refused(tmp_path):
    frame = table()
    frame["copy"] = frame["size"]
    path = written(frame, tmp_path)
    path.write_text(path.read_text().replace("copy", "size", 1))
    with pytest.raises(CompareError, match="Several columns of the table are called 'size': rename them"):
        tasks.from_file(path, target="size", group="series", features=["number", "size.1"])


def test_more_values_than_headings_are_refused(tmp_path):
    """pandas takes the first column for an index, so that each heading is that of the next column."""
    path = written(table()[["number", "step", "size"]], tmp_path)
    first, *rows = path.read_text().splitlines()
    path.write_text("\n".join([first, *[f"{row},0" for row in rows]]))
    with pytest.raises(CompareError, match="has 3 headings, but more values in each row: remove commas at the ends"):
        tasks.from_file(path, target="size", group="number")


def test_a_class_that_pandas_takes_for_no_value_is_explained(tmp_path):
    path = written(table().replace({"label": {"no": "NA"}}), tmp_path)
    with pytest.raises(CompareError, match=r"use from_frame\(pandas.read_csv\(path, keep_default_na=False\), ...\)"):
        tasks.from_file(path, **ARGUMENTS)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_file_with_another_separator_is_reported(separator, tmp_path):
    path = tmp_path / "my.csv"
    table().to_csv(path, index=False, sep=separator)
    message = f"columns that are separated by {separator!r}: separate them by commas, or use from_frame"
    with pytest.raises(CompareError, match=re.escape(message)):
        tasks.from_file(path, **ARGUMENTS)


def test_a_file_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError):
        tasks.from_file(tmp_path / "my.csv", **ARGUMENTS)


def test_a_path_is_not_a_data_frame(tmp_path):
    with pytest.raises(CompareError, match=r"takes a pandas\.DataFrame, not a PosixPath; use from_file for a path"):
        tasks.from_frame(tmp_path, **ARGUMENTS)


def test_parquet_without_a_reader(tmp_path, monkeypatch):
    def fail(_source):
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", fail)
    (tmp_path / "my.parquet").touch()
    with pytest.raises(CompareError, match="Parquet files need a reader: pip install pyarrow"):
        tasks.from_file(tmp_path / "my.parquet", **ARGUMENTS)


def test_tables_need_pandas(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks.table, "find_spec", lambda _: None)
    for make in (tasks.from_file, tasks.from_frame):
        with pytest.raises(CompareError, match=re.escape("Tables need pandas: pip install 'rnnkit[compare]'")):
            make(tmp_path / "my.csv", **ARGUMENTS)


@pytest.mark.slow
def test_tasks_are_listed_without_pandas():
    code = "import sys; sys.modules['pandas'] = None; from rnnkit.compare import find_tasks; find_tasks(['adding'])"
    subprocess.run([sys.executable, "-c", code], check=True)
