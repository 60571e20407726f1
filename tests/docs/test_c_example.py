"""The C program on the page about export compiles, and computes what the model computes."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from rnnkit import RecurrentSpec, build_model, export_onnx
from tests.helpers.pages import DOCS, blocks_of

HEADER = "onnxruntime_c_api.h"
INCLUDE = "RNNKIT_ONNXRUNTIME_INCLUDE"  # a folder with the header, if the compiler does not find it


def compiler():
    """The command of the C compiler with the folder of ONNX Runtime's header; skips the test if one is missing."""
    found = shutil.which(os.environ.get("CC", "cc"))
    if found is None:
        pytest.skip("no C compiler")
    command = [found, *(["-I", os.environ[INCLUDE]] if INCLUDE in os.environ else [])]
    source = f"#include <{HEADER}>\n"
    if subprocess.run([*command, "-E", "-"], input=source, text=True, capture_output=True, check=False).returncode:
        pytest.skip(f"no {HEADER}: set {INCLUDE} to the folder that has it, of ONNX Runtime's version or older")
    return command


def library():
    """The shared library of ONNX Runtime in its wheel."""
    onnxruntime = pytest.importorskip("onnxruntime")
    found = sorted((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    if not found:
        pytest.skip("the wheel of onnxruntime has no shared library")
    return found[0]


def test_the_c_program_streams_what_the_model_computes(tmp_path):
    command, runtime = compiler(), library()
    [code] = [code for language, code, _ in blocks_of(DOCS / "how_to/export.md") if language == "c"]
    (tmp_path / "stream.c").write_text(code, encoding="utf-8")
    (tmp_path / "libonnxruntime.so.1").symlink_to(runtime)  # its soname
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
    linked = [str(runtime), f"-Wl,-rpath,{tmp_path}"]
    subprocess.run([*command, *strict, "stream.c", *linked, "-o", "stream"], cwd=tmp_path, check=True)

    model = build_model(RecurrentSpec(kind="gru", input_size=8, hidden_size=32, output_size=3)).eval()
    export_onnx(model, tmp_path / "step.onnx", step=True)
    run = subprocess.run([tmp_path / "stream"], cwd=tmp_path, capture_output=True, text=True, check=True)
    printed = torch.tensor([[float(number) for number in run.stdout.split()]])
    with torch.no_grad():
        torch.testing.assert_close(printed, model(torch.ones(1, 40, 8)), atol=1e-5, rtol=1e-4)
