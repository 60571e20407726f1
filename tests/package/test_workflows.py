"""The workflows have the least permissions and fixed actions, and call only what is there."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github/workflows"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yml"))}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)) | {".venv/ready"}
WRITES = {("codeql", "security-events"), ("docs", "contents"), ("release", "id-token")}
each_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_all_workflows_are_found():
    assert set(WORKFLOWS) == {"ci", "codeql", "docs", "nightly", "release"}


@each_workflow
def test_jobs_have_the_permissions_that_they_need(name):
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {}
    granted = {(name, what): how for job in workflow["jobs"].values() for what, how in job["permissions"].items()}
    assert {what for what, how in granted.items() if how == "write"} == {each for each in WRITES if each[0] == name}
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())


@each_workflow
def test_only_documentation_keeps_its_credentials(name):
    checkouts = [step for step in steps(WORKFLOWS[name]) if "actions/checkout@" in step.get("uses", "")]
    assert checkouts or name == "release"
    assert {step["with"]["persist-credentials"] for step in checkouts} <= {name == "docs"}


def test_actions_are_fixed_by_the_hash_of_one_version():
    lines = [line for path in FOLDER.glob("*.yml") for line in path.read_text("utf-8").splitlines() if "uses:" in line]
    assert len(lines) > 20
    found = [re.fullmatch(r" +(?:- )?uses: ([\w/-]+)@([0-9a-f]{40}) # (v[\d.]+)", line) for line in lines]
    assert None not in found
    versions = {}
    for match in found:
        versions.setdefault(match[1], set()).add((match[2], match[3]))
    assert [action for action, used in versions.items() if len(used) > 1] == []


@pytest.mark.parametrize(
    ("tag", "published"), [("v1.2.3", True), ("v1.2.3rc1", False), ("v1.2", False), ("vnext", False)]
)
def test_documentation_of_final_versions_is_published(tag, published):
    pattern, *others = WORKFLOWS["docs"][True]["push"]["tags"]  # YAML reads the key `on` as True
    assert others == []
    assert (
        bool(re.fullmatch(pattern.replace(".", r"\."), tag)) is published
    )  # GitHub's `+` and `[0-9]` are those of regex


def test_a_release_publishes_the_folder_that_was_checked():
    [check] = [step for step in steps(WORKFLOWS["release"]) if "tools.distributions" in step.get("run", "")]
    folder = check["run"].split()[3]
    [upload] = [step for step in steps(WORKFLOWS["release"]) if step.get("with", {}).get("path") == folder]
    assert "--all-platforms" in check["run"]
    assert upload["uses"].startswith("actions/upload-artifact@")
    assert upload["with"]["name"] == "distributions"


@each_workflow
def test_targets_of_make_exist(name):
    commands = [step["run"] for step in steps(WORKFLOWS[name]) if "run" in step]
    called = set(re.findall(r"\bmake ([\w./-]+)", "\n".join(commands)))
    for job in WORKFLOWS[name]["jobs"].values():
        called |= set(job.get("strategy", {}).get("matrix", {}).get("target", []))
    assert called or name == "codeql"
    assert called <= TARGETS


def test_every_supported_version_of_python_is_tested():
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["classifiers"]
    supported = re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))
    assert WORKFLOWS["ci"]["jobs"]["all"]["strategy"]["matrix"]["python"] == supported


def test_nightly_mutants_are_drawn_from_every_subpackage():
    rooms = {path.parent.name for path in (ROOT / "registry/rnnkit").glob("*/__init__.py")}
    assert set(WORKFLOWS["nightly"]["jobs"]["mutation"]["strategy"]["matrix"]["room"]) == rooms
