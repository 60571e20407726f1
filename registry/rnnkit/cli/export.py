"""`rnnkit export`: exports a saved model to ONNX, or to a program of torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rnnkit._messages import format_bytes
from rnnkit.cli.command import RnnkitCommand, file_argument, json_option
from rnnkit.cli.console import Console
from rnnkit.cli.output_file import check_output, force_option, new_output

_RECURRENT = ("RNN", "GRU", "LSTM", "Scan")


@click.command(cls=RnnkitCommand)
@file_argument
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--lengths", is_flag=True, help="Add an input with the number of valid steps of each sequence.")
@click.option("--state", is_flag=True, help="Add inputs with the initial state, and outputs with the final state.")
@click.option("--step", is_flag=True, help="Export one step, with states in and out, for streaming.")
@click.option("--no-native", is_flag=True, help="Use no recurrent operators: a Scan of the step instead.")
@click.option("--opset", type=int, help="Version of the ONNX operators, 18 by default.")
@click.option("--int8", is_flag=True, help="Quantize the weights of an ONNX file to 8 bits; pays for LSTM only.")
@click.option("--no-verify", is_flag=True, help="Do not compare the result with the model.")
@force_option
@json_option
@click.pass_obj
def command(
    console: Console,
    *,
    file: Path,
    output: Path,
    lengths: bool,
    state: bool,
    step: bool,
    no_native: bool,
    opset: int | None,
    int8: bool,
    no_verify: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Export a saved model to ONNX or to a program of torch.

    FILE is a .safetensors file. OUTPUT ends in .onnx, or in .pt2 for a program of torch.export. Batch and number of
    steps are free. The result runs once at other sizes, and is written only if its outputs equal those of the model.
    """
    from rnnkit.export import export_onnx, quiet_torch, save_program
    from rnnkit.files.checkpoint.checkpoint_file import load_model

    inputs: dict[str, Any] = {"lengths": lengths, "state": state, "step": step}
    inputs |= {"native": not no_native, "verify": not no_verify}
    onnx_options: dict[str, Any] = {"int8": int8} | ({} if opset is None else {"opset": opset})
    suffix = output.suffix.lower()
    if suffix not in (".onnx", ".pt2"):
        raise click.BadParameter("must end in .onnx or .pt2", param_hint="'OUTPUT'")
    if suffix == ".pt2" and (int8 or opset is not None):
        raise click.UsageError("--int8 and --opset are for .onnx files")
    check_output(output, force=force)
    model = load_model(file, device="cpu")
    with quiet_torch(), new_output(output, force=force) as new:
        if suffix == ".onnx":
            report = export_onnx(model, new, **inputs, **onnx_options)
        else:
            report = save_program(model, new, **inputs)
    facts = asdict(report) | {"path": str(output)}
    console.json(facts) if as_json else _show(console, facts, model.spec.kind)


def _show(console: Console, facts: dict[str, Any], kind: str) -> None:
    console.text(f"{facts['path']}: {', '.join(facts['inputs'])} -> {', '.join(facts['outputs'])}")
    console.text("")
    operators = [name if count == 1 else f"{count} {name}" for name, count in facts["operators"].items()]
    console.text(f"Operators: {', '.join(operators)}")
    for line in _results(facts, kind):
        console.text(line)


def _results(facts: dict[str, Any], kind: str) -> Iterator[str]:
    quantized = facts["float_size"] is not None
    before = f", {format_bytes(facts['float_size'])} before quantization" if quantized else ""
    yield f"Size: {format_bytes(facts['size'])}{before}"
    if quantized and (left := [name for name in _RECURRENT if name in facts["operators"]]):
        yield f"The weights of {' and '.join(left)} are still float: ONNX Runtime quantizes LSTM only"
    if facts["difference"] is None:
        yield "Not verified"
    else:
        yield f"Verified: the outputs differ by {facts['difference']:.1e}, relative to the largest value of each output"
    if "rnnkit.unroll.default" in facts["operators"]:
        call = f"rnnkit.get_kind({kind!r})"
        yield f"It has an operator of rnnkit: call {call} before torch.export.load, or use --no-native"
