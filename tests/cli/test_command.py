"""The output and the exit status of each command."""

import json
import os
import re
import tomllib
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
import yaml

from rnnkit import RecurrentSpec, build_model
from rnnkit._messages import escape_control_chars
from rnnkit.cli.command import quote_argument
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


REGISTERS = "@hookimpl\ndef register_kinds(register):\n    register(kind('nbrc'))\n"


def facts(*arguments, **environment):
    """Run a command with `--json` and return the parsed output."""
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
def test_exit_status(status, arguments, spec_file, model_file, tmp_path):
    drifted = tmp_path / "drifted.safetensors"
    drifted.write_bytes(model_file.read_bytes())
    drift(drifted)
    result = run(*arguments.format(spec=spec_file, model=model_file, drifted=drifted).split())
    assert result.exit_code == status, result.output


def test_strict_doctor_exits_with_1_for_a_broken_plugin(plugins):
    plugins.install("broken", source="raise RuntimeError", distribution="broken-plugin")
    assert run("doctor", "broken-plugin").exit_code == 0
    assert run("doctor", "broken-plugin", "--strict").exit_code == 1


def test_strict_doctor_exits_with_0_for_a_working_plugin(plugins):
    plugins.install("works", distribution="working-plugin")
    assert run("doctor", "working-plugin", "--strict").exit_code == 0


# check


def test_check_prints_the_report_of_check_kind():
    only = ("--only", "record", "--only", "equation")
    assert facts("check", "gru_cell", *only) == check_kind("gru_cell", only=["record", "equation"]).to_dict()
    assert run("check", "gru_cell", *only).exit_code == 0


def test_check_takes_a_seed():
    report = facts("check", "gru", "--only", "large_batches", "--seed", "3")
    assert report["seed"] == report["results"][0]["figures"]["seed"] == 3


@pytest.mark.parametrize(("field", "reason"), [("kind=gru", "The kind under test"), ("num_embeddings=5", "The checks")])
def test_check_refuses_fields_that_it_sets_or_does_not_support(field, reason):
    result = run("check", "lstm", "--spec", field)
    assert result.exit_code == 2
    assert f"spec must not set {field.partition('=')[0]!r}" in result.stderr
    assert reason in result.stderr


def test_failed_check_exits_with_1(plugins):
    plugins.install("nbrc", source=REGISTERS, distribution="acme-cells")
    result = run("check", "nbrc", "--only", "output_shape", "--only", "record")
    assert result.exit_code == 1
    assert "FAILED  output_shape" in result.stdout
    assert "NotImplementedError" in result.stdout


def test_check_outcomes_are_coloured():
    arguments = ("check", "gru", "--only", "record", "--only", "equation")
    plain, colored = (run(*arguments, FORCE_COLOR=force, NO_COLOR="").stdout for force in ("", "1"))
    assert "\x1b" not in plain
    assert "\x1b[32mpassed\x1b[0m  record_is_complete" in colored
    assert "\x1b[33mn/a\x1b[0m     step_matches_equation" in colored
    assert re.sub(r"\x1b\[\d+m", "", colored) == plain


def test_headings_are_bold():
    colored = run("show", "lstm", FORCE_COLOR="1", NO_COLOR="").stdout
    assert re.findall(r"\x1b\[1m\n?(.*)\x1b", colored) == ["lstm", "Options"]


GRID = """
from rnnkit import cell_kind
from tests.helpers.healthy import GridCell, GridOptions, grid_problems

@hookimpl
def register_kinds(register):
    register(cell_kind(GridCell, name="grid", summary="A test.", options=GridOptions, check=grid_problems))
"""


def test_check_takes_a_spec_and_options_that_fit_the_sizes(plugins):
    plugins.install("grid", source=GRID, distribution="acme-grid")
    only = ("--only", "step_equals_forward")
    spec = ("--spec", "hidden_size=6", "--spec", "options.height=2", "--spec", "options.width=3")
    assert "height times width must be hidden_size=6" in run("check", "grid", *only).stderr
    [one] = facts("check", "grid", *spec, *only)["results"]
    [two] = facts("check", "grid", *spec, "--options", "height=3 width=2", *only)["results"]
    rejected = run("check", "grid", *spec, "--options", "height=5", *only)
    assert one["outcome"] == two["outcome"] == "passed"
    assert two["figures"]["cases"] > one["figures"]["cases"]
    assert rejected.exit_code == 2
    assert "rejects the options" in rejected.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["check", "gru", "--spec", "5"], 2, "'5': Should be KEY=VALUE"),
        (["check", "nonsense"], 1, "No installed plugin provides the kind 'nonsense'"),
        (["check", "gru", "--only", "nonsense"], 2, "There is no check 'nonsense'"),
        (["check"], 2, "Missing argument 'KIND'"),
    ],
    ids=["spec", "kind", "check", "nothing"],
)
def test_check_rejects_unknown_kinds_and_checks(arguments, status, message):
    result = run(*arguments)
    assert result.exit_code == status
    assert message in result.stderr


# All commands


@pytest.mark.parametrize("name", SUMMARIES)
def test_summaries_match_the_help_of_each_command(name):
    assert import_module(module_of(name)).command.help.partition("\n")[0] == SUMMARIES[name]


@pytest.mark.parametrize("name", SUMMARIES)
def test_short_help_option(name):
    assert run(name, "-h").output == run(name, "--help").output


def test_version_option():
    import rnnkit

    assert run("--version").output == f"rnnkit {rnnkit.__version__}\n"


def test_misspelled_command_gets_a_suggestion():
    assert "Did you mean 'summary'?" in run("sumary").output


@pytest.mark.parametrize(
    "arguments", ["show lstn", "summary missing.yaml", "verify {spec}", "init lstn", "schema lstn"]
)
def test_error_is_one_line_on_stderr(arguments, spec_file):
    result = run(*arguments.format(spec=spec_file).split())
    assert result.stdout == ""
    assert re.fullmatch(r"Error: .+\n", result.stderr)


def test_error_of_a_process_is_one_line_on_stderr():
    done = run_process("show", "lstn")
    assert done.stdout == b""
    assert re.fullmatch(rb"Error: .+\n", done.stderr)


# list


def test_list_matches_parts_of_names():
    assert {row["kind"] for row in facts("list", "gru")} >= {"gru", "gru_cell"}


def test_list_pattern_matches_whole_names(plugins):
    plugins.install("nbrc", "nbrc2", distribution="acme-cells")
    assert [row["kind"] for row in facts("list", "nbr?")] == ["acme-cells/nbrc"]
    assert [row["kind"] for row in facts("list", "acme-cells/*")] == ["acme-cells/nbrc", "acme-cells/nbrc2"]


def test_listing_imports_no_plugin(plugins):
    plugins.install("nbrc")
    run("list")
    run("why", "nbrc")
    assert plugins.imported() == []


def test_list_all_includes_blocked_kinds(plugins):
    plugins.install("nbrc", distribution="acme-cells")
    policy = {"RNNKIT_BLOCK_PLUGINS": "acme-cells"}
    result = run("list", **policy)
    assert "acme-cells" not in result.stdout
    assert "1 blocked kind is not listed" in result.stderr
    [row] = facts("list", "nbrc", "--all", **policy)
    assert (row["state"], row["note"]) == ("blocked", "blocked by RNNKIT_BLOCK_PLUGINS")


def test_list_marks_ambiguous_bare_names(plugins):
    plugins.install("nbrc", distribution="acme-cells")
    plugins.install("nbrc", distribution="other-cells")
    assert {row["note"] for row in facts("list", "nbrc")} == {"The bare name 'nbrc' is ambiguous."}


def test_broken_plugins_do_not_hide_others(tmp_path):
    path = [case.write(tmp_path) for case in READABLE]
    done = run_process("list", "--load", "--json", path=path)
    shown = {row["kind"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 0
    for case in READABLE:
        for name in case.listed:
            assert_shown(case, shown[name])
    assert {row["state"] for name, row in shown.items() if "/" not in name} == {"loaded"}


def assert_shown(case: Hostile, row):
    assert row["state"] == ("broken" if case.message else "loaded")
    if case.message:
        cause = re.sub(r"0x\w+", "ADDRESS", row["note"])
        assert cause
        assert case.message.startswith(cause)
    assert row["summary"] == (None if case.message else "A test.")


def test_strict_policy_reports_the_broken_plugin(plugins):
    plugins.install("nbrc", source="raise RuntimeError('out of luck')")
    result = run("list", RNNKIT_STRICT_PLUGINS="1")
    assert result.exit_code == 1
    assert "RuntimeError: out of luck" in result.stderr


def test_unreadable_distribution_gives_a_warning(tmp_path):
    cases = [case for case in ALL if case.hidden]
    done = run_process("list", path=[case.write(tmp_path) for case in cases])
    warned = done.stderr.decode()
    assert [
        case.name for case in cases if case.message.replace("FOLDER", str(tmp_path / case.module)) not in warned
    ] == []


def test_text_that_a_plugin_prints_goes_to_stderr(plugins):
    plugins.install("nbrc", source="print('Welcome!')\n" + REGISTERS)
    result = run("list", "--load", "--json")
    assert "Welcome!" in result.stderr
    assert json.loads(result.stdout)


def test_plugin_warning_is_one_line(plugins):
    module = plugins.install("nbrc", source="import warnings\nwarnings.warn('look out', stacklevel=1)\n" + REGISTERS)
    done = run_process("show", "nbrc", path=[plugins.folder(module)])
    assert done.stderr == b"Warning: look out\n"


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "\u202e", "\x07", "\ud800"])
def test_control_characters_of_plugins_are_escaped(plugins, text):
    plugins.install(
        "nbrc", source=REGISTERS.replace("kind('nbrc')", f"kind('nbrc', summary={text!r}, equation={text!r})")
    )
    for command in (["list", "--load"], ["show", "nbrc"]):
        assert text not in run(*command).output
        assert escape_control_chars(text) in run(*command).output


# show


def test_example_parameters_match_a_real_model(kind):
    shown = facts("show", kind)["example"]
    model = build_model(RecurrentSpec(kind=kind, input_size=shown["input_size"], hidden_size=shown["hidden_size"]))
    assert shown["parameters"] == sum(parameter.numel() for parameter in model.parameters())


def test_show_lists_options_with_defaults(kind):
    shown = {option["name"]: json.loads(option["default"]) for option in facts("show", kind)["options"]}
    assert shown == RecurrentSpec(kind=kind, input_size=1, hidden_size=1).to_dict()["options"]
    screen = run("show", kind, width=1000).output
    assert all(f"  {name}: " in screen for name in shown)


def test_show_works_without_an_example(plugins):
    plugins.install("nbrc")
    result = run("show", "nbrc", width=1000)
    assert result.exit_code == 0
    assert "Parameters: unknown" in result.output


# why


def test_why_lists_all_candidates(plugins):
    plugins.install("lstm", distribution="acme-lstm")
    plugins.install("lstm", distribution="turned-off")
    answer = facts("why", "lstm", RNNKIT_BLOCK_PLUGINS="turned-off")
    verdicts = {each["candidate"]: each["verdict"] for each in answer["candidates"]}
    assert answer["resolves_to"] == "lstm"
    assert verdicts == {"lstm": "chosen", "acme-lstm/lstm": "shadowed", "turned-off/lstm": "blocked"}


def test_why_reports_ambiguity(plugins):
    plugins.install("nbrc", distribution="acme-cells")
    plugins.install("nbrc", distribution="other-cells")
    answer = facts("why", "nbrc")
    assert answer["resolves_to"] is None
    assert {each["verdict"] for each in answer["candidates"]} == {"ambiguous"}


def test_why_load_reports_broken_candidates(plugins):
    module = plugins.install("nbrc", distribution="acme-cells", source="import no_such_module")
    assert facts("why", "nbrc")["candidates"][0]["verdict"] == "chosen"
    assert plugins.imported() == []
    result = run("why", "nbrc", "--load")
    assert result.exit_code == 1
    assert "acme-cells/nbrc  broken" in result.stdout
    assert "no_such_module" in result.stdout
    assert module in result.stdout


@pytest.mark.parametrize(
    ("name", "executor"), [("gru_cell", "unroll_layers"), ("gru", "torch (no executor is installed)")]
)
def test_why_load_shows_what_runs_a_model(name, executor, monkeypatch):
    monkeypatch.setenv("RNNKIT_EXECUTORS", "")
    assert f"Executor of a small model: {executor}\n" in run("why", name, "--load").output
    assert json.loads(run("why", name, "--load", "--json").stdout)["executor"] == executor


def test_why_load_shows_why_a_model_cannot_run(plugins):
    plugins.install("nbrc", source=REGISTERS)
    assert "Executor of a small model: none: a small model raises" in run("why", "nbrc", "--load").output


def test_why_load_keeps_working_candidates(plugins):
    module = plugins.install("nbrc", distribution="acme-cells")
    result = run("why", "nbrc", "--load")
    assert (result.exit_code, plugins.imported()) == (0, [module])


# init


@pytest.mark.parametrize("suffix", ["yaml", "toml"])
def test_init_writes_a_valid_complete_file(kind, suffix, tmp_path):
    file = tmp_path / f"model.{suffix}"
    assert run("init", kind, "--output", file).exit_code == 0
    spec = load_spec(file)
    assert spec == RecurrentSpec(kind=kind, input_size=64, hidden_size=128)
    text = file.read_text(encoding="utf-8")
    fields = spec.to_dict()
    assert [
        name for name in [*fields, *fields["options"]] if not re.search(rf"^[ #\[]*{name}\b", text, re.MULTILINE)
    ] == []


def test_init_prints_what_it_writes(tmp_path):
    run("init", "gru", "--output", tmp_path / "model.toml")
    assert run("init", "gru", "--format", "toml").stdout == (tmp_path / "model.toml").read_text(encoding="utf-8")


def test_init_files_work_in_other_readers(tmp_path):
    wanted = RecurrentSpec(kind="rnn", input_size=64, hidden_size=128).to_dict()
    in_yaml = yaml.safe_load(run("init", "rnn").stdout)
    in_toml = tomllib.loads(run("init", "rnn", "--format", "toml").stdout)
    assert {name: in_yaml[name] for name in wanted} == wanted
    assert {name: in_toml.get(name) for name in wanted} == wanted


def test_init_overwrites_only_with_force(tmp_path):
    file = tmp_path / "model.yaml"
    file.write_text("mine")
    assert "--force" in run("init", "gru", "--output", file).output
    assert file.read_text() == "mine"
    run("init", "gru", "--output", file, "--force")
    assert load_spec(file).kind == "gru"


def test_init_reports_invalid_defaults(plugins):
    refuses = "\n    ".join(REGISTERS.splitlines()).replace(
        "kind('nbrc')", "kind('nbrc', check=lambda spec: [Problem('num_layers', 'never')])"
    )
    plugins.install("nbrc", source=refuses.replace("\n    ", "\n"))
    result = run("init", "nbrc")
    assert result.exit_code == 1
    assert "rejects its own defaults" in result.output
    assert "never" in result.output


# validate


WRONG = "kind: lstm\ninput_size: 0\nbias: 3\n"


def test_validate_reports_all_problems(tmp_path, spec_file):
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


def test_validate_json_has_each_problem(tmp_path, spec_file):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(WRONG)
    of_wrong, of_spec = facts("validate", wrong, spec_file)
    assert [(each["line"], each["field"]) for each in of_wrong["problems"]] == [
        (2, "input_size"),
        (3, "bias"),
        (None, "hidden_size"),
    ]
    assert of_spec == {"file": str(spec_file), "ok": True, "problems": []}


def test_validate_allow_unresolved(tmp_path):
    file = tmp_path / "elsewhere.yaml"
    file.write_text("plugin: acme-cells==1.0\nkind: acme-cells/nbrc\ninput_size: 3\nhidden_size: 4\n")
    assert 'pip install "acme-cells==1.0"' in run("validate", file).output
    assert run("validate", file, "--allow-unresolved").exit_code == 0


def test_validate_shows_many_problems(tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text(SPEC + "".join(f"unknown_{number}: 0\n" for number in range(100)))
    assert len(run("validate", file).stdout.splitlines()) == 101


def test_validate_rejects_a_directory(tmp_path):
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    result = run("validate", folder)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{folder}: Is a directory")


def test_validate_names_the_file_once(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"no model")
    line = run("validate", file, width=1000).stdout.splitlines()[0]
    assert line.startswith(f"{file}: cannot be read: ")
    assert line.count(str(file)) == 1


# schema


def test_schema_has_the_given_kinds():
    assert facts_of_schema("gru", "rnn") == {"gru", "rnn", "rnnkit/gru", "rnnkit/rnn"}


def test_schema_leaves_out_broken_plugins_with_a_note(plugins):
    plugins.install("nbrc", source="import no_such_dependency", distribution="acme-cells")
    result = run("schema")
    assert "Left out: acme-cells/nbrc. The plugin" in result.stderr
    assert "acme-cells/nbrc" not in json.loads(result.stdout)["properties"]["kind"]["enum"]


def test_schema_output_file(tmp_path):
    file = tmp_path / "spec.schema.json"
    assert run("schema", "gru", "--output", file).output == ""
    assert json.loads(file.read_text(encoding="utf-8")) == json.loads(run("schema", "gru").stdout)


def facts_of_schema(*kinds):
    return set(json.loads(run("schema", *kinds).stdout)["properties"]["kind"]["enum"])


# summary


def test_summary_matches_the_formulas(spec_file):
    answer = facts("summary", spec_file, "--time", "7")
    layers = [4 * 64 * (8 + 64) + 8 * 64, 4 * 64 * (64 + 64) + 8 * 64]
    assert [layer["parameters"] for layer in answer["layers"]] == [*layers, 65 * 10]
    assert answer["weight_bytes"] == 4 * answer["parameters"]
    assert answer["multiply_adds"] == 7 * (4 * 64 * (8 + 64) + 4 * 64 * (64 + 64)) + 64 * 10


def test_summary_overrides(spec_file):
    answer = facts("summary", spec_file, "kind=gru", "output_size=null", "num_layers=1")
    assert (answer["kind"], len(answer["layers"])) == ("gru", 2)
    assert answer["parameters"] == 3 * 64 * (8 + 64) + 6 * 64


def test_summary_dtype_of_a_saved_model(model_file):
    half, double = facts("summary", model_file), facts("summary", model_file, "--dtype", "float64")
    assert (half["dtype"], half["weight_bytes"]) == ("float16", 2 * half["parameters"])
    assert (double["dtype"], double["weight_bytes"]) == ("float64", 8 * half["parameters"])


def test_summary_of_a_huge_model(spec_file):
    assert facts("summary", spec_file, "hidden_size=1000000")["weight_bytes"] > 10**13


# verify


def test_verify_ok(model_file):
    answer = facts("verify", model_file)
    assert (answer["ok"], answer["drift"], answer["differences"]) == (True, 0.0, [])


def test_verify_reports_drift(model_file):
    drift(model_file)
    answer = facts("verify", model_file)
    assert not answer["ok"]
    assert answer["relative_drift"] == pytest.approx(1)
    assert "drifted" in run("verify", model_file).output


def test_infinite_drift_is_valid_json(model_file):
    def edit(_header, record):
        record["fingerprint"]["output"][0] = "nan"

    model_file.write_bytes(edited(model_file.read_bytes(), edit))
    answer = facts("verify", model_file)
    assert (answer["ok"], answer["drift"]) == (False, None)


def test_verify_unknown_result(model_file):
    def edit(_header, record):
        record["fingerprint"] = {"output": [], "state": [], "reason": "no such operation"}

    model_file.write_bytes(edited(model_file.read_bytes(), edit))
    result = run("verify", model_file)
    assert result.exit_code == 1
    assert "no such operation" in result.output


def test_arguments_are_quoted_as_in_the_shell_of_the_system(monkeypatch):
    assert quote_argument("a b") == "'a b'"
    monkeypatch.setattr("rnnkit.cli.command.os", SimpleNamespace(name="nt"))
    assert quote_argument(r"a b\c") == r'"a b\c"'
    assert quote_argument(r"docs\kinds") == r"docs\kinds"
