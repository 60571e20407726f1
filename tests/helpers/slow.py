"""The tests that `make test` leaves out: patterns of their node ids, each with the reason.

They are marked `slow`. Those of `NIGHTLY` are also marked `nightly`: they repeat for further kinds, engines and views
what other tests show for some. `make test-slow` runs the slow tests but these, `make test-nightly` these alone, and
`make test-all` all tests.
"""

import re
from fnmatch import translate

SLOW = {
    "tests/docs/": "run pages, tutorials and examples, and build the site",
    "tests/benchmarks/": "run benchmarks",
    "plugins/rnnkit-cards/tests/": "draw model cards, which the core does not need",
    "tests/zoo/": "run all checks on every kind",
    "tests/package/test_typing.py": "starts mypy and pyright",
    "tests/catalog/test_hostile_plugins.py": "starts a process for each broken distribution",
    "tests/catalog/test_processes.py": "starts worker processes",
    "tests/compare/test_engines_processes.py": "starts worker processes and clusters",
    "tests/cli/test_doctor.py": "starts a process for each plugin, and waits for some that hang",
    "tests/cli/test_scaffold.py": "creates a plugin, installs it and runs its own tests",
    "tests/cli/test_encodings.py": "runs each command in several encodings",
    "tests/cli/test_terminal.py": "starts the command in terminals",
    "tests/files/test_checkpoint_fuzz.py": "damages thousands of files",
    "tests/files/test_spec_file_fuzz.py": "damages thousands of files",
    "tests/files/test_linear_time.py": "counts the calls of large models",
    "tests/specs/test_spec_properties.py": "draws thousands of specs",
    "tests/specs/test_unresolved.py::test_others_read*": "draws many options",
    "tests/specs/test_unresolved.py::test_unknown_options_survive*": "draws many options",
    "tests/files/test_spec_files.py::test_a_spec_round_trips*": "draws many specs",
    "tests/files/test_spec_files.py::test_other_readers*": "draws many specs",
    "tests/files/test_overrides.py::test_no_overrides*": "draws many specs",
    "tests/files/test_save_limits.py::test_load_spec_reads*": "draws many specs",
    "tests/files/test_spec_files.py::test_the_largest_written*": "writes files of the largest size",
    "tests/introspection/test_schema.py::test_schema_agrees*": "draws many specs",
    "tests/files/test_checkpoint.py::test_a_wrapper_is_refused*[[]compile]": "imports the compiler",
    "tests/cli/test_output_file.py::test_a_full_disk*[[]card-": "runs checks for a card",
    "tests/cli/test_output_file.py::test_a_full_disk*[[]export-": "exports to ONNX",
    "tests/package/test_process_imports.py": "starts a process for each call",
    "tests/package/test_messages.py::test_errors_have_an_end[[]cells]": "builds thousands of cells",
    "tests/cli/test_command.py::test_broken_plugins_do_not_hide_others": "starts a process for each plugin",
    "tests/cli/test_terminal_output.py::test_output_is_unchanged[[]doctor*": "starts a process for each plugin",
    "tests/cli/test_terminal_output.py::test_table_values*[[]doctor*": "starts a process for each plugin",
    "tests/plan/test_random_steps.py::test_plans_of_many*": "draws many steps",
    "tests/model/test_torch_save.py": "kills processes",
    "tests/export/test_onnx_file.py": "exports to ONNX",
    "tests/export/test_command.py": "exports to ONNX",
    "tests/model/test_sharded.py": "starts processes",
    "tests/model/test_gradient_checkpointing.py::test_compiled*": "imports the compiler",
    "tests/model/test_compile.py": "imports the compiler, compiles and exports",
    "tests/model/test_lengths.py::test_mask_compiles": "compiles",
    "tests/model/test_tokens.py::test_token_models_compile*": "compiles and exports",
    "tests/model/test_readouts.py::test_readout_is_exported*": "exports",
    "tests/model/test_step_module.py::test_export_with*": "exports",
    "tests/export/test_flat_model.py::test_exporting_does*": "exports",
    "tests/cells/test_linear_scan.py::test_operator": "imports the compiler",
    "tests/cells/test_linear_scan.py::test_compiled*": "compiles",
    "tests/cells/test_linear_cell.py::test_exported*": "exports",
    "tests/cells/test_matrix_cell.py::test_exported*": "exports",
    "tests/cells/test_causal_convolution.py::test_a_compiled*": "compiles",
    "tests/cells/test_causal_convolution.py::test_an_exported*": "exports to ONNX",
    "tests/cells/test_time_feature.py::test_a_compiled*": "compiles",
    "tests/cells/test_time_feature.py::test_an_exported*": "exports to ONNX",
    "tests/cells/test_unroll_operator.py::test_torch_accepts_the_operator*": "imports the compiler",
    "tests/cells/test_planned_operator.py": "imports the compiler",
    "tests/cells/test_state_parts.py::test_a_compiled*": "imports the compiler",
    "tests/kernels/test_compiled.py": "imports the compiler",
    "tests/model/test_autograd.py": "runs sequences of 4,096 steps",
    "tests/cells/test_autocast.py::test_on_a_processor*": "starts a process",
    "tests/testing/test_faulty_plugins.py": "runs checks on whole plugins with faults",
    "tests/testing/test_kit.py": "runs pytest in pytest",
    "tests/testing/test_checks_numerics.py": "runs checks on kinds with faults, and most checks on correct kinds",
    "tests/testing/test_checks_batches.py": "runs checks on kinds with faults",
    "tests/testing/test_checks_deployment.py": "runs checks on kinds with faults",
    "tests/testing/test_checks_export.py": "traces kinds with faults",
    "tests/testing/test_checks_option_meanings.py": "runs checks on kinds with faults",
    "tests/testing/test_checks_sizes.py": "runs checks on kinds with faults",
    "tests/testing/test_checks_systems.py": "trains in several processes",
    "tests/testing/test_conformance.py::*ddp_equals_single_process*": "trains in several processes",
    "tests/testing/test_conformance.py::*[[]*-compiles_in_one_graph": "imports the compiler",
    "tests/testing/test_conformance.py::*[[]*-exports_with_free_sizes": "imports the compiler",
    "tests/testing/test_conformance.py::*[[]*-onnx_file_equals_model": "exports to ONNX",
    "tests/testing/test_conformance.py::*[[]*-onnx_steps_equal_forward": "exports to ONNX",
    # `make test` runs the checks on `lstm_cell`
    "tests/testing/test_conformance.py::*[[]rnn-*": "runs all checks",
    "tests/testing/test_conformance.py::*[[]rnn_cell-*": "runs all checks",
    "tests/testing/test_conformance.py::*[[]gru-*": "runs all checks",
    "tests/testing/test_conformance.py::*[[]lstm-*": "runs all checks",
    "tests/testing/test_conformance.py::*[[]gru_cell-*": "runs all checks",
    "tests/testing/test_conformance.py::*[[]mixed-*": "runs all checks",
    "tests/cells/test_unknown_options.py": "runs the kit on copies of the source",
    "tests/model/test_reset_parameters.py::test_a_backbone_outlives*": "collects garbage",
    "tests/model/test_reset_parameters.py::test_a_model_without_references*": "collects garbage",
}

NIGHTLY = {
    "tests/docs/test_adapter_examples.py::test_tests_of_the_adapter_pass": "as `make test-plugins` does",
    "tests/docs/test_nbrc_example.py::test_tests_of_the_plugin_pass": "as `make test-plugins` does",
    "tests/docs/test_nbrc_example.py::test_digits_example*": "trains every kind",
    "tests/docs/test_docs.py::test_digits_example*": "trains every kind",
    "tests/docs/test_docs.py::*[[]docs/how_to/compare_on_a_cluster.md]": "starts a cluster for each command",
    "tests/docs/test_docs.py::*[[]docs/tools/distributed.md]": "starts processes, as the page on several GPUs does",
    "tests/docs/test_notebooks.py::test_a_notebook_runs*": "runs the code of pages that are tested themselves",
    "tests/benchmarks/test_benchmarks.py::test_a_tiny_run_of_deployed_models*": "compiles and exports",
    "tests/cli/test_doctor.py::test_hanging_thread_is_stopped": "waits for 20 seconds",
    "tests/cli/test_scaffold.py::test_generated_code_passes_mypy": "reads the types of all of torch",
    "tests/compare/test_engines_processes.py::*[[]ray]": "starts a cluster",
    "tests/compare/test_engines_processes.py::test_processes_of_loky_end*": "waits for half a minute",
    "tests/testing/test_conformance.py::*[[]rnn-*": "runs all checks on a second kind of its sort",
    "tests/testing/test_conformance.py::*[[]rnn_cell-*": "runs all checks on a second kind of its sort",
    "tests/model/test_torch_save.py::test_process_killed_at_any_line*": "starts a process for each line",
    "tests/zoo/test_parity.py::*[[]xlstm_matrix-": "trains for half a minute",
    "tests/browser/test_search.py::test_queries_of_readers*[[]forums]": "searches for a second set of queries",
    "tests/browser/test_pages.py::test_a_page_is_as_it_should_be_in_all_views": "the other views of each page",
}


_SLOW, _NIGHTLY = (
    re.compile("|".join(translate(pattern + "*") for pattern in patterns)) for patterns in (SLOW, NIGHTLY)
)


def is_slow(node_id):
    """Return whether a test is one that `make test` leaves out."""
    return _SLOW.match(node_id) is not None


def is_nightly(node_id):
    """Return whether a test is one that `make test-slow` leaves out too."""
    return _NIGHTLY.match(node_id) is not None
