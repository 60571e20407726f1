"""The cost of a kind: time relative to torch's LSTM, parameters, state and multiply-adds."""

from __future__ import annotations

from pydantic import ValidationError

from rnnkit import ModelSummary, RecurrentSpec, RnnkitError, summarize_spec
from rnnkit_cards.card_context import CardContext
from rnnkit_cards.markdown import collapsed, table
from rnnkit_cards.measurements import Measurements, Speed, Timing

_SIZES = {"input_size": 64, "hidden_size": 128, "num_layers": 1}


def speed(measurements: Measurements) -> str:
    """Times at each shape relative to torch's LSTM, and collapsed: the sizes, the method, the date and the machine."""
    rows = [[_shape(each), _ratio(each.forward), _ratio(each.training)] for each in measurements.speed]
    intro = "CPU time on one thread relative to `torch.nn.LSTM` of the same sizes; lower is faster."
    method = (
        "The two are interleaved in one run, and the median of the five shortest times of each counts; differences of "
        "a few percent are noise. The ratios are those of torch's CPU kernels, and differ on a GPU."
    )
    times = table(["shape", "forward", "training"], rows, right=(1, 2))
    sizes = "\n".join(f"- {each.shape}: {_sizes(each)}" for each in measurements.speed)
    how = collapsed("Sizes, method and machine", f"{sizes}\n\n{method}\n\n{measured_on(measurements)}")
    return f"## Speed\n\n{intro}\n\n{times}\n\n{how}"


def measured_on(measurements: Measurements) -> str:
    """A sentence with the date, the machine and the versions of the measurements."""
    machine, versions = measurements.machine, measurements.versions
    cores = "" if machine.cores is None else f", {machine.cores} core{'s' * (machine.cores != 1)}"
    plugin = versions.get("plugin")
    shown = {"rnnkit": versions.get("rnnkit"), "torch": versions.get("torch"), "Python": versions.get("python")}
    used = [f"{name} {version}" for name, version in shown.items() if version]
    if plugin and not plugin.startswith("rnnkit=="):
        used.insert(1, plugin.replace("==", " "))
    return f"Measured on {measurements.date}: {machine.processor}{cores}, {machine.system}; {', '.join(used)}."


def parameters(card: CardContext) -> str:
    """The number of parameters, the size of the state and the multiply-adds of one layer."""
    summary = layer_summary(card)
    if isinstance(summary, str):
        return f"## Parameters\n\n{summary}"
    sizes = ", ".join(f"`{name}` {size}" for name, size in _SIZES.items() if name != "num_layers")
    adds = summary.multiply_adds_per_step
    costs = {
        "parameters": f"{summary.parameters:,}",
        "weights": f"{summary.weight_bytes:,} bytes",
        "state of one sequence": f"{summary.state_bytes:,} bytes",
        "multiply-adds (MACs) per step": "not known" if adds is None else f"{adds:,}",
    }
    text = f"One layer with {sizes} in {summary.dtype}, without a readout:"
    rows = [list(each) for each in costs.items()]
    return f"## Parameters\n\n{text}\n\n{table(['quantity', 'value'], rows, right=(1,))}"


def layer_summary(card: CardContext) -> ModelSummary | str:
    """The summary of one layer, or the reason if the kind rejects the sizes."""
    try:
        return summarize_spec(RecurrentSpec.from_dict({"kind": card.name, **_SIZES}), time=1)
    except (ValidationError, RnnkitError) as error:
        return f"Not known: {' '.join(str(error).split())}"


def _shape(each: Speed) -> str:
    return f"**{each.shape}**<br>batch {each.sizes['batch']}, {each.sizes['time']:,} steps"


def _sizes(each: Speed) -> str:
    return ", ".join(f"`{name}` {size}" for name, size in each.sizes.items())


def _ratio(timing: Timing) -> str:
    return f"**{timing.ratio:.2f}**<br>{timing.milliseconds:.1f} ms against {timing.lstm_milliseconds:.1f} ms"
