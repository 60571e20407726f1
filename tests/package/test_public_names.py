"""The public surface: a name appears or goes only together with a change here."""

import inspect

import pytest

import rnnkit
from rnnkit import errors

PUBLIC = [
    "AmbiguousKindError",
    "Backbone",
    "BlockedKindError",
    "BuildError",
    "Builder",
    "Candidate",
    "Catalog",
    "CausalConv",
    "Cell",
    "CellStack",
    "CellState",
    "CheckpointError",
    "CompareError",
    "ComplexLinearCell",
    "ComplexState",
    "ConvolvedLinearCell",
    "ConvolvedState",
    "DeprecatedKindWarning",
    "Deprecation",
    "ExportError",
    "ExportReport",
    "FieldDescription",
    "FileProblem",
    "ForgetBiasOptions",
    "GatedCell",
    "InitOptions",
    "InputError",
    "Kind",
    "KindAlias",
    "LayerSummary",
    "LinearCell",
    "LocalExecutor",
    "LocalKind",
    "LocalReadout",
    "LockDifference",
    "LockWarning",
    "MatrixCell",
    "MatrixState",
    "ModelSummary",
    "OperatorGraph",
    "Options",
    "Paper",
    "PerLayer",
    "PluginError",
    "Problem",
    "Provider",
    "Readout",
    "RecurrentModel",
    "RecurrentSpec",
    "RegisteredHooks",
    "ReservedKindError",
    "Resolution",
    "RestartSegments",
    "RnnkitError",
    "SpecFileError",
    "StackOptions",
    "StepError",
    "StepModule",
    "UnknownKindError",
    "UnresolvedKindError",
    "UnresolvedOptions",
    "Verification",
    "WeightWarning",
    "build_model",
    "cell_kind",
    "chrono_",
    "constrain_",
    "current_catalog",
    "describe_options",
    "describe_spec",
    "detach_state",
    "export_onnx",
    "export_program",
    "fit_readout",
    "flatten_state",
    "get_kind",
    "get_readout",
    "hookimpl",
    "kinds_left_out",
    "list_executors",
    "list_kinds",
    "list_readouts",
    "load_model",
    "load_spec",
    "map_state",
    "matrix_scan",
    "move_state",
    "orthogonal_",
    "override_spec",
    "register_executor",
    "register_hooks",
    "register_kind",
    "register_readout",
    "reorder_gates",
    "resolve_kind",
    "save_model",
    "save_spec",
    "scan",
    "set_plugin_policy",
    "spec_schema",
    "summarize_spec",
    "verify_model",
]
ERRORS = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, Exception) and not issubclass(value, Warning)
]


def test_the_public_names_are_these():
    assert rnnkit.__all__ == PUBLIC


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "hookimpl"])  # an object of pluggy's
def test_a_public_name_has_a_docstring_of_its_own(name):
    value = getattr(rnnkit, name)
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    assert text
    assert not text.startswith(f"{name}(")  # what dataclasses and named tuples make up


def test_hookimpl_marks_hooks_of_this_project():
    assert rnnkit.hookimpl.project_name == "rnnkit"


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_is_public_and_an_rnnkit_error(error):
    assert issubclass(error, rnnkit.RnnkitError)
    assert getattr(rnnkit, error.__name__) is error
    assert error.__name__ in PUBLIC


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_says_in_one_sentence_what_happened(error):
    text = error.__doc__
    assert text.endswith(".")
    assert text.count(". ") == text.count("\n") == 0


CATALOG_ERRORS = [
    rnnkit.RnnkitError,
    rnnkit.AmbiguousKindError,
    rnnkit.BlockedKindError,
    rnnkit.PluginError,
    rnnkit.ReservedKindError,
    rnnkit.UnknownKindError,
]


@pytest.mark.parametrize("error", CATALOG_ERRORS)
def test_an_error_of_the_catalog_passes_through_pydantic(error):
    assert not issubclass(error, (ValueError, AssertionError))
