"""The time of deployed models: compiled, exported by torch and in ONNX Runtime, for whole sequences and single steps.

The modes of a kind take turns within one run, and each figure is a ratio: of whole sequences to the eager model, of a
single step at batch size 1 to the bare modules of torch.nn. Training is a forward and a backward. A mode that fails is
reported with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import onnxruntime
import torch
from torch import Tensor, nn

from benchmarks.figures import Export, Failure, Figure
from benchmarks.kinds import RNNKIT, build
from benchmarks.shapes import OUTPUT_SIZE, SHAPES, Shape
from benchmarks.speed import data_of
from benchmarks.timing import CPU, WALL, Clock, agree, in_turn, low, milliseconds
from rnnkit import RecurrentModel, export_onnx, export_program

Run = Callable[[], object]
EAGER, COMPILED, PROGRAM, ONNX, INT8 = "eager", "compiled", ".pt2", "ONNX Runtime", "ONNX Runtime, int8"
MODES = (COMPILED, PROGRAM, ONNX, INT8)
TRAINING_MODES = (COMPILED,)
STEP_MODES = (EAGER, COMPILED, ONNX)
BARE = "torch.nn step"
KINDS = ("rnn", "gru", "lstm", "rnn_cell", "gru_cell", "lstm_cell", "mgu")
LEFT_OUT = {"large": "matrix products take nearly all of its time in every mode, and it would double that of the run"}
STEPS = 50
SETTLED = 0.05


@dataclass(frozen=True)
class Mode:
    """A model in one mode, or the reason why it is not available."""

    run: Run | None
    failure: str = ""


def figures(
    kinds: Sequence[str], shapes: Sequence[str], threads: int, seconds: float
) -> Iterator[Figure | Failure | Export]:
    """Yield the figures of whole sequences, those of single steps on one thread only, and the failures."""
    torch.set_num_threads(threads)
    for kind, shape in product([each for each in KINDS if each in kinds], [each for each in shapes if _included(each)]):
        with TemporaryDirectory() as name:
            folder = Path(name)
            yield from _sequence_figures(kind, shape, folder, threads, seconds)
            if threads == 1:  # one step at batch size 1 is too small to share
                yield from _step_figures(kind, shape, folder, seconds)


def _included(shape: str) -> bool:
    return shape not in LEFT_OUT


def _sequence_figures(
    kind: str, shape: str, folder: Path, threads: int, seconds: float
) -> Iterator[Figure | Failure | Export]:
    model, x = _model(kind, SHAPES[shape]), data_of(SHAPES[shape])[0]
    exports: dict[str, Any] = {}
    makers: dict[str, Callable[[], Run]] = {
        EAGER: lambda: partial(model, x),
        COMPILED: lambda: partial(torch.compile(model, fullgraph=True), x),
        PROGRAM: lambda: partial(_loaded_program(model, folder), x),
        ONNX: lambda: _onnx_run(model, x, folder, threads, exports),
        INT8: lambda: _onnx_run(model, x, folder, threads, exports, int8=True),
    }
    unit = f"ms of {_clock(threads).name}"
    yield from _compare("forward", kind, shape, makers, EAGER, threads=threads, seconds=seconds, unit=unit)
    training: dict[str, Callable[[], Run]] = {
        EAGER: lambda: partial(_train, model, model, x),
        COMPILED: lambda: partial(_train, torch.compile(model, fullgraph=True), model, x),
    }
    yield from _compare("training", kind, shape, training, EAGER, threads=threads, seconds=seconds, unit=unit)
    if threads == 1 and ONNX in exports:
        yield _export(kind, shape, exports)


def _step_figures(kind: str, shape: str, folder: Path, seconds: float) -> Iterator[Figure | Failure]:
    model, sizes = _model(kind, SHAPES[shape]), SHAPES[shape]
    x_t = torch.randn(1, sizes.input_size)
    makers: dict[str, Callable[[], Run]] = {
        BARE: lambda: _bare_steps(kind, sizes, x_t),
        EAGER: lambda: partial(_eager_steps, model, x_t),
        COMPILED: lambda: _compiled_steps(model, x_t),
        ONNX: lambda: _onnx_steps(model, x_t, folder),
    }
    unit, scale = f"µs of {CPU.name}", 1000 / STEPS
    yield from _compare("step", kind, shape, makers, BARE, threads=1, seconds=seconds, unit=unit, scale=scale)


def _compare(
    what: str,
    kind: str,
    shape: str,
    makers: dict[str, Callable[[], Run]],
    against: str,
    *,
    threads: int,
    seconds: float,
    unit: str,
    scale: float = 1,
) -> Iterator[Figure | Failure]:
    # all models share the cache of compiled graphs, and past its limit torch would run them eagerly
    torch.compiler.reset()
    modes = {name: _prepare(maker) for name, maker in makers.items()}
    for name, mode in modes.items():
        if mode.run is None:
            yield Failure(what=f"{what}: {name}", kind=kind, shape=shape, threads=threads, reason=mode.failure)
    runs = {name: mode.run for name, mode in modes.items() if mode.run is not None}
    readings = _readings(runs, _clock(threads), seconds)
    for name in runs if against in runs else ():
        if name != against:
            yield Figure(
                what=f"{what}: {name}",
                kind=kind,
                shape=shape,
                against=against,
                unit=unit,
                threads=threads,
                ours=scale * low(readings[name]),
                theirs=scale * low(readings[against]),
                calls=len(readings[name]),
                steady=all(agree(readings[side], within=SETTLED) for side in (name, against)),
            )


def _prepare(maker: Callable[[], Run]) -> Mode:
    """Compile or export and run once; any error becomes the reason of a failure."""
    try:
        with torch.no_grad(), torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):  # noqa: SLF001  # not public
            run = maker()
            run()
    except Exception as error:  # noqa: BLE001  # a figure that is missing has a reason
        return Mode(None, _reason(error))
    return Mode(run)


def _reason(error: BaseException) -> str:
    """Return the first line of the error that caused all others."""
    if error.__cause__ is not None:
        return _reason(error.__cause__)
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:300]}"


def _readings(runs: dict[str, Run], clock: Clock, seconds: float) -> dict[str, list[float]]:
    with torch.no_grad():
        sides = {name: partial(milliseconds, clock, run) for name, run in runs.items()}
        return in_turn(sides, seconds, at_most=3 * seconds, fewest=1)


def _clock(threads: int) -> Clock:
    # CPU time is summed over threads
    return CPU if threads == 1 else WALL


@cache
def _model(kind: str, shape: Shape) -> RecurrentModel:
    return cast("RecurrentModel", build(RNNKIT, kind, shape)).eval()


@torch.enable_grad()
def _train(function: Callable[[Tensor], Tensor], model: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(function(x).sum(), list(model.parameters()))


def _loaded_program(model: RecurrentModel, folder: Path) -> nn.Module:
    torch.export.save(export_program(model, verify=False), folder / "model.pt2")
    return torch.export.load(folder / "model.pt2").module()


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # idle threads that spin would slow down the mode that runs next
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _onnx_run(
    model: RecurrentModel, x: Tensor, folder: Path, threads: int, exports: dict[str, Any], *, int8: bool = False
) -> Run:
    path = folder / f"model{'.int8' if int8 else ''}.onnx"
    exports[INT8 if int8 else ONNX] = export_onnx(model, path, int8=int8)
    return partial(_session(path, threads).run, ["y"], {"x": x.numpy()})


def _export(kind: str, shape: str, exports: dict[str, Any]) -> Export:
    report, int8 = exports[ONNX], exports.get(INT8)
    return Export(
        kind=kind,
        shape=shape,
        operators=dict(report.operators),
        size=report.size,
        difference=report.difference,
        int8_size=int8 and int8.size,
        int8_difference=int8 and int8.difference,
    )


def _eager_steps(model: RecurrentModel, x_t: Tensor) -> Tensor:
    y, state = model.step(x_t)
    for _ in range(STEPS - 1):
        y, state = model.step(x_t, state)
    return y


def _compiled_steps(model: RecurrentModel, x_t: Tensor) -> Run:
    step = model.step_module()
    compiled, initial = torch.compile(step, fullgraph=True), step.initial_state(1)

    def run() -> None:
        state = initial
        for _ in range(STEPS):
            _, *state = compiled(x_t, *state)

    return run


def _onnx_steps(model: RecurrentModel, x_t: Tensor, folder: Path) -> Run:
    report = export_onnx(model, folder / "step.onnx", step=True)
    session = _session(folder / "step.onnx", 1)
    names, x = report.inputs[1:], x_t.numpy()
    initial = [tensor.numpy() for tensor in model.step_module().initial_state(1)]

    def run() -> None:
        state = initial
        for _ in range(STEPS):
            _, *state = session.run(None, {"x_t": x, **dict(zip(names, state, strict=True))})

    return run


def _bare_steps(kind: str, sizes: Shape, x_t: Tensor) -> Run:
    """Return steps of the module of torch.nn, or of its cells for a kind of cells; of GRU's for a kind without one."""
    name = {"mgu": "gru_cell"}.get(kind, kind)
    module_name = name.removesuffix("_cell").upper()
    linear = nn.Linear(sizes.hidden_size, OUTPUT_SIZE)
    if not name.endswith("_cell"):
        module = getattr(nn, module_name)(sizes.input_size, sizes.hidden_size, sizes.num_layers, batch_first=True)
        return partial(_module_steps, module, linear, x_t.unsqueeze(1))
    widths = [sizes.input_size] + [sizes.hidden_size] * (sizes.num_layers - 1)
    layers = [getattr(nn, f"{module_name}Cell")(width, sizes.hidden_size) for width in widths]
    return partial(_cell_steps, layers, linear, x_t, has_memory=module_name == "LSTM")


def _module_steps(module: nn.Module, linear: nn.Linear, x: Tensor) -> None:
    state = None
    for _ in range(STEPS):
        output, state = module(x, state)
        linear(output[:, -1])


def _cell_steps(layers: Sequence[nn.Module], linear: nn.Linear, x_t: Tensor, *, has_memory: bool) -> None:
    states: list[Any] = [None] * len(layers)
    for _ in range(STEPS):
        output = x_t
        for index, layer in enumerate(layers):
            states[index] = layer(output, states[index])
            output = states[index][0] if has_memory else states[index]
        linear(output)
