"""Each command answers its question, with the exit status that `rnnkit --help` promises."""

import json
import os
import re
import tomllib
from importlib import import_module

import pytest
import torch
import yaml

from rnnkit import RecurrentSpec, build_model
from rnnkit.cli.escape import escape_control_chars
from rnnkit.cli.group import SUMMARIES, module_of
from rnnkit.files.checkpoint.checkpoint_file import save_model
from rnnkit.files.spec import load_spec
from rnnkit.testing import check_kind
from tests.helpers.checkpoint_files import edited
from tests.helpers.commands import run, run_process
from tests.helpers.hostile import ALL, READABLE, Hostile

SPEC = "kind: lstm\ninput_size: 8\nhidden_size: 64\nnum_layers: 2\noutput_size: 10\n"


@pytest.fixture
def spec_file(tmp_path):
    file = tmp_path / "model.yaml"
    file.write_text(SPEC)
    return file


@pytest.fixture
def model_file(tmp_path):
    file = tmp_path / "model.safetensors"
    save_model(build_model(RecurrentSpec(kind="gru", input_size=3, hidden_size=4), dtype=torch.float16), file)
    return file


REGISTERS = "@hookimpl\ndef register_kinds(register):\n    register(kind('mgu'))\n"


def facts(*arguments, **environment):
    """What a command says as JSON, and on stdout nothing else."""
    return json.loads(run(*arguments, "--json", **environment).stdout)


def drift(model_file):
    def edit(_header, record):
        record["fingerprint"]["output"][0] = 1e9

    model_file.write_bytes(edited(model_file.read_bytes(), edit))


# Exit status


@pytest.mark.parametrize(
    ("status", "arguments"),
    [
        (0, "--help"),
        (0, "--version"),
        (0, "list"),
        (1, "list no_such_kind"),
        (0, "show gru"),
        (1, "show no_such_kind"),
        (0, "why lstm"),
        (1, "why no_such_kind"),
        (1, "doctor no-such-distribution"),
        (2, "doctor --timeout 0"),
        (0, "init gru"),
        (1, "init no_such_kind"),
        (2, "init gru --format json"),
        (2, "init gru --output model.json"),
        (2, "init gru --output model.toml --format yaml"),
        (0, "validate {spec} {model}"),
        (1, "validate {spec} missing.yaml"),
        (2, "validate"),
        (0, "schema"),
        (0, "schema gru lstm"),
        (1, "schema no_such_kind"),
        (0, "summary {spec} hidden_size=3"),
        (0, "summary {model}"),
        (1, "summary {spec} hidden_size=0"),
        (1, "summary {spec} hidden_size"),
        (1, "summary missing.yaml"),
        (2, "summary {spec} --time 0"),
        (2, "summary {spec} --dtype int8"),
        (0, "verify {model}"),
        (1, "verify {drifted}"),
        (1, "verify {spec}"),
        (1, "verify missing.safetensors"),
        (2, "verify {model} --device no_such_device"),
        (2, "no_such_command"),
        (2, "list --no-such-option"),
        (2, "show"),
    ],
)
def test_the_exit_status_is_the_one_that_is_promised(status, arguments, spec_file, model_file, tmp_path):
    drifted = tmp_path / "drifted.safetensors"
    drifted.write_bytes(model_file.read_bytes())
    drift(drifted)
    result = run(*arguments.format(spec=spec_file, model=model_file, drifted=drifted).split())
    assert result.exit_code == status, result.output


def test_strict_turns_a_broken_plugin_into_an_exit_status(plugins):
    plugins.install("broken", source="raise RuntimeError", distribution="broken-plugin")
    assert run("doctor", "broken-plugin").exit_code == 0
    assert run("doctor", "broken-plugin", "--strict").exit_code == 1


def test_strict_has_nothing_against_a_plugin_that_works(plugins):
    plugins.install("works", distribution="working-plugin")
    assert run("doctor", "working-plugin", "--strict").exit_code == 0


# check


def test_check_says_what_check_kind_says():
    only = ("--only", "record", "--only", "equation")
    assert facts("check", "gru_cell", *only) == check_kind("gru_cell", only=["record", "equation"]).to_dict()
    assert run("check", "gru_cell", *only).exit_code == 0


def test_check_ends_with_1_where_a_promise_is_broken(plugins):
    plugins.install("mgu", source=REGISTERS, distribution="acme-cells")
    result = run("check", "mgu", "--only", "output_has", "--only", "record")
    assert result.exit_code == 1
    assert "FAILED  output_shape" in result.stdout
    assert "NotImplementedError" in result.stdout


def test_check_shows_outcomes_in_colour_where_there_is_colour():
    arguments = ("check", "gru", "--only", "record", "--only", "equation")
    plain, colored = (run(*arguments, FORCE_COLOR=force, NO_COLOR="").stdout for force in ("", "1"))
    assert "\x1b" not in plain
    assert "\x1b[32mpassed\x1b[0m  record_is_complete" in colored
    assert "\x1b[33mn/a\x1b[0m     step_matches_equation" in colored
    assert re.sub(r"\x1b\[\d+m", "", colored) == plain


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["check", "nonsense"], 1, "No installed plugin provides the kind 'nonsense'"),
        (["check", "gru", "--only", "nonsense"], 2, "There is no promise 'nonsense'"),
        (["check"], 2, "Missing argument 'KIND'"),
    ],
    ids=["kind", "promise", "nothing"],
)
def test_check_says_what_cannot_be_checked(arguments, status, message):
    result = run(*arguments)
    assert result.exit_code == status
    assert message in result.stderr


# All commands


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_list_of_commands_says_of_each_what_its_own_help_says(name):
    assert import_module(module_of(name)).command.help.partition("\n")[0] == SUMMARIES[name]


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_short_option_asks_for_help_too(name):
    assert run(name, "-h").output == run(name, "--help").output


def test_the_version_is_that_of_the_package():
    import rnnkit

    assert run("--version").output == f"rnnkit {rnnkit.__version__}\n"


def test_a_misspelt_command_gets_did_you_mean():
    assert "Did you mean 'summary'?" in run("sumary").output


@pytest.mark.parametrize(
    "arguments", ["show lstn", "summary missing.yaml", "verify {spec}", "init lstn", "schema lstn"]
)
def test_an_error_is_one_sentence_on_stderr(arguments, spec_file):
    done = run_process(*arguments.format(spec=spec_file).split())
    assert done.stdout == b""
    assert re.fullmatch(rb"Error: .+\n", done.stderr)


# list


def test_a_plain_word_finds_every_name_that_it_is_part_of():
    assert {row["kind"] for row in facts("list", "gru")} >= {"gru", "gru_cell"}


def test_a_pattern_stands_for_whole_names(plugins):
    plugins.install("mgu", "mgu2", distribution="acme-cells")
    assert [row["kind"] for row in facts("list", "mg?")] == ["acme-cells/mgu"]
    assert [row["kind"] for row in facts("list", "acme-cells/*")] == ["acme-cells/mgu", "acme-cells/mgu2"]


def test_listing_imports_no_plugin(plugins):
    plugins.install("mgu")
    run("list")
    run("why", "mgu")
    assert plugins.imported() == []


def test_a_kind_that_is_turned_off_is_shown_when_asked_for(plugins):
    plugins.install("mgu", distribution="acme-cells")
    policy = {"RNNKIT_BLOCK_PLUGINS": "acme-cells"}
    result = run("list", **policy)
    assert "acme-cells" not in result.stdout
    assert "1 kind is turned off" in result.stderr
    [row] = facts("list", "mgu", "--all", **policy)
    assert (row["state"], row["note"]) == ("blocked", "blocked by RNNKIT_BLOCK_PLUGINS")


def test_an_ambiguous_bare_name_is_marked(plugins):
    plugins.install("mgu", distribution="acme-cells")
    plugins.install("mgu", distribution="other-cells")
    assert {row["note"] for row in facts("list", "mgu")} == {"'mgu' alone is ambiguous."}


def test_every_broken_plugin_is_shown_in_place_and_hides_no_other(tmp_path):
    path = [case.write(tmp_path) for case in READABLE]
    done = run_process("list", "--load", "--json", path=path)
    shown = {row["kind"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 0
    for case in READABLE:
        for name in case.listed:
            assert_shown(case, shown[name])
    assert {row["state"] for name, row in shown.items() if "/" not in name} == {"loaded"}


def assert_shown(case: Hostile, row):
    assert row["state"] == ("broken" if case.says else "loaded")
    if case.says:
        cause = re.sub(r"0x\w+", "ADDRESS", row["note"])
        assert cause
        assert case.says.startswith(cause)
    assert row["summary"] == (None if case.says else "A test.")


def test_a_strict_policy_makes_a_broken_plugin_the_answer(plugins):
    plugins.install("mgu", source="raise RuntimeError('out of luck')")
    result = run("list", RNNKIT_STRICT_PLUGINS="1")
    assert result.exit_code == 1
    assert "RuntimeError: out of luck" in result.stderr


def test_what_cannot_even_be_listed_is_warned_of(tmp_path):
    cases = [case for case in ALL if case.hidden]
    done = run_process("list", path=[case.write(tmp_path) for case in cases])
    warned = done.stderr.decode()
    assert [case.name for case in cases if case.says.replace("FOLDER", str(tmp_path / case.module)) not in warned] == []


def test_what_a_plugin_prints_does_not_get_into_the_answer(plugins):
    plugins.install("mgu", source="print('Welcome!')\n" + REGISTERS)
    result = run("list", "--load", "--json")
    assert "Welcome!" in result.stderr
    assert json.loads(result.stdout)


def test_a_warning_of_a_plugin_is_one_line(plugins):
    module = plugins.install("mgu", source="import warnings\nwarnings.warn('look out', stacklevel=1)\n" + REGISTERS)
    done = run_process("show", "mgu", path=[plugins.folder(module)])
    assert done.stderr == b"Warning: look out\n"


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "\u202e", "\x07", "\ud800"])
def test_no_text_of_a_plugin_commands_the_terminal(plugins, text):
    plugins.install("mgu", source=REGISTERS.replace("kind('mgu')", f"kind('mgu', summary={text!r}, equation={text!r})"))
    for command in (["list", "--load"], ["show", "mgu"]):
        assert text not in run(*command).output
        assert escape_control_chars(text) in run(*command).output


# show


def test_the_parameters_of_the_example_are_those_of_a_real_model(kind):
    shown = facts("show", kind)["example"]
    model = build_model(RecurrentSpec(kind=kind, input_size=shown["input_size"], hidden_size=shown["hidden_size"]))
    assert shown["parameters"] == sum(parameter.numel() for parameter in model.parameters())


def test_every_option_is_shown_with_its_default(kind):
    shown = {option["name"]: json.loads(option["default"]) for option in facts("show", kind)["options"]}
    assert shown == RecurrentSpec(kind=kind, input_size=1, hidden_size=1).to_dict()["options"]
    screen = run("show", kind, width=1000).output
    assert all(f"  {name}: " in screen for name in shown)


def test_a_kind_whose_example_cannot_be_built_is_shown_without(plugins):
    plugins.install("mgu")
    result = run("show", "mgu", width=1000)
    assert result.exit_code == 0
    assert "Parameters: not known" in result.output


# why


def test_all_candidates_are_shown_with_what_became_of_them(plugins):
    plugins.install("lstm", distribution="acme-lstm")
    plugins.install("lstm", distribution="turned-off")
    answer = facts("why", "lstm", RNNKIT_BLOCK_PLUGINS="turned-off")
    verdicts = {each["candidate"]: each["verdict"] for each in answer["candidates"]}
    assert answer["stands_for"] == "lstm"
    assert verdicts == {"lstm": "chosen", "acme-lstm/lstm": "shadowed", "turned-off/lstm": "blocked"}


def test_nothing_is_chosen_among_equals(plugins):
    plugins.install("mgu", distribution="acme-cells")
    plugins.install("mgu", distribution="other-cells")
    answer = facts("why", "mgu")
    assert answer["stands_for"] is None
    assert {each["verdict"] for each in answer["candidates"]} == {"ambiguous"}


def test_a_candidate_that_is_broken_is_told_when_it_is_loaded(plugins):
    module = plugins.install("mgu", distribution="acme-cells", source="import no_such_module")
    assert facts("why", "mgu")["candidates"][0]["verdict"] == "chosen"
    assert plugins.imported() == []
    result = run("why", "mgu", "--load")
    assert result.exit_code == 1
    assert "acme-cells/mgu  broken" in result.stdout
    assert "no_such_module" in result.stdout
    assert module in result.stdout


def test_candidates_that_work_are_loaded_and_nothing_more(plugins):
    module = plugins.install("mgu", distribution="acme-cells")
    result = run("why", "mgu", "--load")
    assert (result.exit_code, plugins.imported()) == (0, [module])


# init


@pytest.mark.parametrize("suffix", ["yaml", "toml"])
def test_the_file_of_every_kind_is_valid_and_has_every_field(kind, suffix, tmp_path):
    file = tmp_path / f"model.{suffix}"
    assert run("init", kind, "--output", file).exit_code == 0
    spec = load_spec(file)
    assert spec == RecurrentSpec(kind=kind, input_size=64, hidden_size=128)
    text = file.read_text(encoding="utf-8")
    fields = spec.to_dict()
    assert [
        name for name in [*fields, *fields["options"]] if not re.search(rf"^[ #\[]*{name}\b", text, re.MULTILINE)
    ] == []


def test_what_is_printed_is_what_is_written(tmp_path):
    run("init", "gru", "--output", tmp_path / "model.toml")
    assert run("init", "gru", "--format", "toml").stdout == (tmp_path / "model.toml").read_text(encoding="utf-8")


def test_other_readers_read_the_files_too(tmp_path):
    wanted = RecurrentSpec(kind="rnn", input_size=64, hidden_size=128).to_dict()
    in_yaml = yaml.safe_load(run("init", "rnn").stdout)
    in_toml = tomllib.loads(run("init", "rnn", "--format", "toml").stdout)
    assert {name: in_yaml[name] for name in wanted} == wanted
    assert {name: in_toml.get(name) for name in wanted} == wanted


def test_a_file_is_overwritten_only_by_force(tmp_path):
    file = tmp_path / "model.yaml"
    file.write_text("mine")
    assert "--force" in run("init", "gru", "--output", file).output
    assert file.read_text() == "mine"
    run("init", "gru", "--output", file, "--force")
    assert load_spec(file).kind == "gru"


def test_a_plugin_that_refuses_its_own_defaults_is_told_so(plugins):
    refuses = "\n    ".join(REGISTERS.splitlines()).replace(
        "kind('mgu')", "kind('mgu', check=lambda spec: [Problem('num_layers', 'never')])"
    )
    plugins.install("mgu", source=refuses.replace("\n    ", "\n"))
    result = run("init", "mgu")
    assert result.exit_code == 1
    assert "does not take its own defaults" in result.output
    assert "never" in result.output


# validate


WRONG = "kind: lstm\ninput_size: 0\nbias: 3\n"


def test_all_problems_of_all_files_are_said_at_once(tmp_path, spec_file):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(WRONG)
    lines = run("validate", wrong, spec_file, tmp_path / "missing.toml").stdout.splitlines()
    assert [line.removeprefix(f"{tmp_path}{os.sep}").split(": ")[:2] for line in lines[:-1]] == [
        ["wrong.yaml:2", "input_size"],
        ["wrong.yaml:3", "bias"],
        ["wrong.yaml", "hidden_size"],
        ["missing.toml", "No such file or directory"],
    ]
    assert lines[-1] == "4 problems in 2 of 3 files"


def test_the_json_of_a_validation_has_each_problem(tmp_path, spec_file):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(WRONG)
    of_wrong, of_spec = facts("validate", wrong, spec_file)
    assert [(each["line"], each["field"]) for each in of_wrong["problems"]] == [
        (2, "input_size"),
        (3, "bias"),
        (None, "hidden_size"),
    ]
    assert of_spec == {"file": str(spec_file), "ok": True, "problems": []}


def test_a_kind_that_is_not_installed_is_taken_when_that_is_allowed(tmp_path):
    file = tmp_path / "elsewhere.yaml"
    file.write_text("plugin: acme-cells==1.0\nkind: acme-cells/mgu\ninput_size: 3\nhidden_size: 4\n")
    assert 'pip install "acme-cells==1.0"' in run("validate", file).output
    assert run("validate", file, "--allow-unresolved").exit_code == 0


def test_many_problems_are_all_shown(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(SPEC + "".join(f"unknown_{number}: 0\n" for number in range(100)))
    assert len(run("validate", file).stdout.splitlines()) == 101


def test_a_folder_is_no_file(tmp_path):
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    result = run("validate", folder)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{folder}: Is a directory")


def test_a_problem_of_a_model_names_its_file_once(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"no model")
    line = run("validate", file, width=1000).stdout.splitlines()[0]
    assert line.startswith(f"{file}: cannot be read: ")
    assert line.count(str(file)) == 1


# schema


def test_the_schema_has_the_kinds_that_were_named():
    assert facts_of_schema("gru", "rnn") == {"gru", "rnn", "rnnkit/gru", "rnnkit/rnn"}


def test_a_plugin_that_is_broken_is_left_out_with_a_note(plugins):
    plugins.install("mgu", source="import no_such_dependency", distribution="acme-cells")
    result = run("schema")
    assert "Left out: acme-cells/mgu. The plugin" in result.stderr
    assert "acme-cells/mgu" not in json.loads(result.stdout)["properties"]["kind"]["enum"]


def test_a_schema_is_written_to_a_file(tmp_path):
    file = tmp_path / "spec.schema.json"
    assert run("schema", "gru", "--output", file).output == ""
    assert json.loads(file.read_text(encoding="utf-8")) == json.loads(run("schema", "gru").stdout)


def facts_of_schema(*kinds):
    return set(json.loads(run("schema", *kinds).stdout)["properties"]["kind"]["enum"])


# summary


def test_a_summary_has_the_numbers_of_the_formulas(spec_file):
    answer = facts("summary", spec_file, "--time", "7")
    layers = [4 * 64 * (8 + 64) + 8 * 64, 4 * 64 * (64 + 64) + 8 * 64]
    assert [layer["parameters"] for layer in answer["layers"]] == [*layers, 65 * 10]
    assert answer["weight_bytes"] == 4 * answer["parameters"]
    assert answer["multiply_adds"] == 7 * (4 * 64 * (8 + 64) + 4 * 64 * (64 + 64)) + 64 * 10


def test_overrides_change_the_spec(spec_file):
    answer = facts("summary", spec_file, "kind=gru", "output_size=null", "num_layers=1")
    assert (answer["kind"], len(answer["layers"])) == ("gru", 2)
    assert answer["parameters"] == 3 * 64 * (8 + 64) + 6 * 64


def test_a_saved_model_has_its_own_dtype_unless_another_is_asked_for(model_file):
    half, double = facts("summary", model_file), facts("summary", model_file, "--dtype", "float64")
    assert (half["dtype"], half["weight_bytes"]) == ("float16", 2 * half["parameters"])
    assert (double["dtype"], double["weight_bytes"]) == ("float64", 8 * half["parameters"])


def test_a_model_larger_than_any_memory_is_summarized(spec_file):
    assert facts("summary", spec_file, "hidden_size=1000000")["weight_bytes"] > 10**13


# verify


def test_a_model_that_computes_the_same_is_ok(model_file):
    answer = facts("verify", model_file)
    assert (answer["ok"], answer["drift"], answer["differences"]) == (True, 0.0, [])


def test_drift_is_reported(model_file):
    drift(model_file)
    answer = facts("verify", model_file)
    assert not answer["ok"]
    assert answer["relative_drift"] == pytest.approx(1)
    assert "drifted" in run("verify", model_file).output


def test_a_drift_without_bounds_is_still_json(model_file):
    def edit(_header, record):
        record["fingerprint"]["output"][0] = "nan"

    model_file.write_bytes(edited(model_file.read_bytes(), edit))
    answer = facts("verify", model_file)
    assert (answer["ok"], answer["drift"]) == (False, None)


def test_a_model_that_could_not_run_is_not_known_to_be_right(model_file):
    def edit(_header, record):
        record["fingerprint"] = {"output": [], "state": [], "reason": "no such operation"}

    model_file.write_bytes(edited(model_file.read_bytes(), edit))
    result = run("verify", model_file)
    assert result.exit_code == 1
    assert "no such operation" in result.output
