"""What a kind costs: time beside torch's LSTM, and parameters."""

from __future__ import annotations

from rnnkit import RnnkitError, summarize_spec
from rnnkit.kind_page.markdown import table
from rnnkit.kind_page.measurements import Measurements, Speed, Timing
from rnnkit.kind_page.specimen import Specimen

_USUAL = {"input_size": 64, "hidden_size": 128, "num_layers": 1}


def speed(measurements: Measurements) -> str:
    """Times at each shape, relative to torch's LSTM, with the day and the machine."""
    rows = [[_shape(each), _ratio(each.forward), _ratio(each.training)] for each in measurements.speed]
    intro = (
        "Time relative to `torch.nn.LSTM` of the same sizes, which is 1: below it is faster. CPU time of one thread, "
        "both in turn in one run, of each the least of many. A GPU has other ratios."
    )
    return "\n\n".join(
        ["## Speed", intro, table(["shape", "forward", "training"], rows, right=(1, 2)), taken(measurements)]
    )


def taken(measurements: Measurements) -> str:
    """When, on what and with what it was measured."""
    machine, versions = measurements.machine, measurements.versions
    cores = "" if machine.cores is None else f", {machine.cores} core{'s' * (machine.cores != 1)}"
    plugin = versions.get("plugin")
    shown = {"rnnkit": versions.get("rnnkit"), "torch": versions.get("torch"), "Python": versions.get("python")}
    told = [f"{name} {version}" for name, version in shown.items() if version]
    if plugin and not plugin.startswith("rnnkit=="):
        told.insert(1, plugin.replace("==", " "))
    return f"Measured on {measurements.date}: {machine.processor}{cores}, {machine.system}; {', '.join(told)}."


def parameters(kind: Specimen) -> str:
    """How many parameters a layer of usual sizes has."""
    count, why = parameter_count(kind)
    sizes = ", ".join(f"`{name}` {size}" for name, size in _USUAL.items() if name != "num_layers")
    told = f"**{count:,}** with {sizes} and one layer, without a readout." if count is not None else f"Not known: {why}"
    return f"## Parameters\n\n{told}"


def parameter_count(kind: Specimen) -> tuple[int | None, str]:
    """How many parameters one layer of usual sizes has; None, and why, where the kind does not take them."""
    from pydantic import ValidationError

    from rnnkit import RecurrentSpec

    try:
        return summarize_spec(RecurrentSpec.from_dict({"kind": kind.name, **_USUAL}), time=1).parameters, ""
    except (ValidationError, RnnkitError) as error:
        return None, " ".join(str(error).split())


def _shape(each: Speed) -> str:
    sizes = ", ".join(f"`{name}` {size}" for name, size in each.sizes.items())
    return f"**{each.shape}**: {sizes}"


def _ratio(timing: Timing) -> str:
    return f"**{timing.ratio:.2f}**<br>{timing.milliseconds:.1f} ms against {timing.lstm_milliseconds:.1f} ms"
