"""The plugin in `docs/examples/rnnkit-nbrc`: installed beside rnnkit in a fresh environment, used, and gone again.

Nothing is downloaded: the fresh environment finds what the running one has installed, rnnkit and its kinds included.
"""

import ast
import re
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
import torchrecurrent
from torch.nn.functional import pad

import rnnkit
from rnnkit.equation import Equation
from tests.helpers.environments import Environment
from tests.helpers.models import leaves, map_state, random_state, small_input, small_model, total

ROOT = Path(__file__).parents[2]
BUILT_IN = ["gru", "gru_cell", "lstm", "lstm_cell", "mixed", "rnn", "rnn_cell"]


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """A copy, so that a build leaves nothing in the checkout."""
    copy = tmp_path_factory.mktemp("example") / "rnnkit-nbrc"
    ignored = shutil.ignore_patterns("__pycache__", "build", "dist")
    return Path(shutil.copytree(ROOT / "docs/examples/rnnkit-nbrc", copy, ignore=ignored))


@pytest.fixture(scope="module")
def installed(tmp_path_factory, example):
    """A fresh environment with the example installed in it."""
    environment = Environment(tmp_path_factory.mktemp("environment"))
    assert "rnnkit-nbrc/nbrc" not in kinds_of(environment), "uninstall rnnkit-nbrc from the environment that runs this"
    install(environment, example)
    return environment


@pytest.fixture
def uninstalled(installed, example):
    """The same environment without it, until the test ends."""
    installed.pip("uninstall", "--yes", "rnnkit-nbrc")
    yield installed
    install(installed, example)


@pytest.fixture(scope="module")
def saved(installed):
    """A trained model's spec in `spec.json`, its weights in `weights.pt`, and what it computes in `example.pt`."""
    installed.code("""
        from pathlib import Path

        import torch
        from rnnkit import RecurrentSpec, build_model

        spec = RecurrentSpec(
            kind="nbrc", input_size=3, hidden_size=8, num_layers=2, bidirectional=True, dropout=0.5, output_size=2
        )
        model, x, y = build_model(spec), torch.randn(16, 5, 3), torch.randn(16, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        def loss():
            return torch.nn.functional.mse_loss(model.eval()(x), y)

        before = loss()
        before.backward()
        optimizer.step()
        assert loss() < before

        Path("spec.json").write_text(spec.to_json())
        torch.save(model.state_dict(), "weights.pt")
        torch.save({"x": x, "y": model(x).detach()}, "example.pt")
        """)
    return installed.folder


def install(environment, example):
    environment.pip("install", "--no-deps", "--no-build-isolation", "--no-index", example)


def kinds_of(environment):
    return environment.code("import rnnkit; print(*rnnkit.list_kinds())").split()


# Installed


def test_list_shows_nbrc_and_builtin_kinds(installed):
    assert {*BUILT_IN, "rnnkit-nbrc/nbrc"} <= set(kinds_of(installed))


def test_bare_name_resolves_to_nbrc(installed):
    printed = installed.code("""
        from rnnkit import RecurrentSpec, resolve_kind

        print(resolve_kind("nbrc"))
        print(RecurrentSpec(kind="nbrc", input_size=3, hidden_size=4).kind)
        """)
    assert printed.splitlines() == [
        "nbrc -> rnnkit-nbrc/nbrc: it has no other provider",
        "  rnnkit-nbrc/nbrc: rnnkit_nbrc (distribution rnnkit-nbrc 0.1.0, entry point 'nbrc'), not loaded",
        "rnnkit-nbrc/nbrc",
    ]


def test_wheel_installs_only_the_module(installed):
    printed = installed.code("""
        from importlib.metadata import files

        print(*sorted({path.parts[0] for path in files("rnnkit-nbrc")} - {"__pycache__"}))
        print(__import__("rnnkit_nbrc").__file__)
        """)
    names, module = printed.splitlines()
    assert names.split() == ["rnnkit_nbrc-0.1.0.dist-info", "rnnkit_nbrc.py"]
    assert Path(module) == installed.packages / "rnnkit_nbrc.py"


@pytest.mark.usefixtures("saved")
def test_new_process_loads_the_trained_model(installed):
    printed = installed.code("""
        from pathlib import Path

        import torch
        from rnnkit import RecurrentSpec, build_model

        spec = RecurrentSpec.from_json(Path("spec.json").read_text())
        model = build_model(spec)
        example = torch.load("example.pt", weights_only=True)
        assert not torch.equal(model.eval()(example["x"]), example["y"])
        model.load_state_dict(torch.load("weights.pt", weights_only=True))
        torch.testing.assert_close(model(example["x"]), example["y"])
        print(spec.kind, model.spec == spec)
        """)
    assert printed == "rnnkit-nbrc/nbrc True\n"


def test_tests_of_the_plugin_pass(installed, example):
    assert installed.pytest("-W", "error", example / "tests") > 55


def test_tests_of_rnnkit_include_nbrc(installed):
    """A few of the conformance checks: the tests of the plugin run them all."""
    checks = ["name_resolves_to_kind", "record_is_complete", "output_shape", "state_round_trip"]
    conformance = [f"tests/testing/test_conformance.py::test_other_kinds[rnnkit-nbrc/nbrc-{each}]" for each in checks]
    assert installed.pytest(*conformance, folder=ROOT) == len(checks)
    assert installed.pytest("tests/model/test_inputs.py", "-k", "nbrc", folder=ROOT) > 10


def test_readme_of_the_plugin_runs_with_the_shown_output(installed, example):
    page = (example / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    code, shown = ("".join(text for name, text in blocks if name == language) for language in ("python", "text"))
    assert "build_model" in code
    assert installed.code(code) == shown


def test_digits_example_includes_nbrc(installed):
    printed = installed.python(ROOT / "docs/examples/digits.py", "--epochs", "1", "--picture", "digits.png")
    assert re.search(r"│ rnnkit-nbrc/nbrc +│ rnnkit-nbrc +│.*%", printed), printed
    assert (installed.folder / "digits.png").stat().st_size > 0


# Uninstalled


def test_uninstalled_kind_is_unknown(uninstalled):
    assert "rnnkit-nbrc/nbrc" not in kinds_of(uninstalled)
    assert set(BUILT_IN) <= set(kinds_of(uninstalled))


@pytest.mark.usefixtures("saved")
def test_saved_spec_names_the_uninstalled_distribution(uninstalled):
    printed = uninstalled.code("""
        from pathlib import Path

        from pydantic import ValidationError
        from rnnkit import RecurrentSpec

        try:
            RecurrentSpec.from_json(Path("spec.json").read_text())
        except ValidationError as error:
            print(error)
        """)
    assert printed.startswith("1 validation error for RecurrentSpec\nkind\n")
    assert "No distribution 'rnnkit-nbrc' with a kind 'nbrc' is installed." in printed
    assert "To use it, run `pip install rnnkit-nbrc`." in printed


# The module


@pytest.fixture
def record(example):
    """The record that the module's hook registers."""
    spec = spec_from_file_location("rnnkit_nbrc", example / "rnnkit_nbrc.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    kinds = []
    module.register_kinds(kinds.append)
    (kind,) = kinds
    return kind


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
def test_nbrc_matches_its_equation(record, bias):
    with rnnkit.register_kind(record) as local:
        model = small_model(local.name, num_layers=1, bias=bias)
    x, state = small_input().requires_grad_(), random_state(model)
    inputs = [x, state[0].h.requires_grad_(), *model.backbone.parameters()]

    output, final = model.backbone(x, state)
    expected_output, expected_final = by_equation(record.equation, model.backbone.cells[0], x, state[0].h)

    torch.testing.assert_close(output, expected_output)
    torch.testing.assert_close(leaves(final), [expected_final])
    torch.testing.assert_close(
        torch.autograd.grad(total(output, final), inputs),
        torch.autograd.grad(total(expected_output, expected_final), inputs),
    )


def by_equation(equation, cell, x, h):
    """The output and the final h of one layer and direction."""
    weights = [*cell.weight_ih.chunk(3), *cell.weight_hh.chunk(2)]
    biases = [0, 0, 0] if cell.bias is None else cell.bias.chunk(3)
    names = ["W_{ia}", "W_{ic}", "W_{in}", "W_{ha}", "W_{hc}", "b_a", "b_c", "b_n"]
    symbols = dict(zip(names, [*weights, *biases], strict=True))
    outputs = []
    for x_t in x.unbind(1):
        h = Equation(equation).evaluate(symbols, {"x_t": x_t, "h_{t-1}": h})["h_t"]
        outputs.append(h)
    return torch.stack(outputs, dim=1), h


def test_nbrc_matches_torchrecurrent(record):
    """Outputs, final states and gradients of two layers, against cells that somebody else wrote."""
    with rnnkit.register_kind(record) as local:
        model = small_model(local.name)
    ours, theirs = model.backbone, torchrecurrent.NBR(3, 6, num_layers=2, batch_first=True).double()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    with torch.no_grad():
        for parameter, expected in zip(ours.parameters(), as_ours(theirs, lambda parameter: parameter), strict=True):
            parameter.copy_(expected)
    x, state = small_input().requires_grad_(), random_state(model)
    same_x, same_state = x.detach().clone().requires_grad_(), torch.stack([h for (h,) in state]).requires_grad_()

    output, final = ours(x, map_state(torch.Tensor.requires_grad_, state))
    their_output, their_final = theirs(same_x, same_state)
    total(output, final).backward()
    total(their_output, tuple(their_final)).backward()

    torch.testing.assert_close(output, their_output)
    torch.testing.assert_close(leaves(final), list(their_final))
    torch.testing.assert_close([x.grad, *(h.grad for (h,) in state)], [same_x.grad, *same_state.grad])
    # the sum of two biases has the gradient of either
    gradients = as_ours(theirs, lambda parameter: parameter.grad, bias=lambda cell: cell.bias_ih.grad)
    torch.testing.assert_close([parameter.grad for parameter in ours.parameters()], gradients)


def as_ours(theirs, value, bias=lambda cell: cell.bias_ih + pad(cell.bias_hh, (0, cell.hidden_size))):
    """A value of each parameter of torchrecurrent's cells, in the order of the example's."""
    return [tensor for cell in theirs.cells for tensor in (value(cell.weight_ih), value(cell.weight_hh), bias(cell))]


def test_plugin_uses_only_the_public_api(example):
    tree = ast.parse((example / "rnnkit_nbrc.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    from_rnnkit = [node for node in imports if "rnnkit" in ast.unparse(node)]
    names = [alias.name for node in from_rnnkit for alias in node.names]
    assert [getattr(node, "module", None) for node in from_rnnkit] == ["rnnkit"]
    assert set(names) <= set(rnnkit.__all__)
