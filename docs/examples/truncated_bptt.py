"""Forecast the voltage of a membrane: truncated back-propagation through time on a recording of 12,000 steps.

The series is matplotlib's sample `membrane.dat`, 6 seconds with a value every 0.5 ms. The task is the voltage in 5 ms.
A gradient goes back through 10 steps, one chunk; the state goes on from chunk to chunk, so that what it holds may be
older. The last quarter of the series is held out. On it the model is compared with the voltage that stays as it is,
with a linear forecast from the last 100 values, and with the same model trained without carrying its state. Prints a
table and saves a picture. Needs the extra `examples`.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib import cbook
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import mse_loss

from rnnkit import RecurrentModel, RecurrentSpec, build_model, detach_state

STEP = 0.5  # ms from one value to the next
AHEAD = 10  # steps: 5 ms
CHUNK = 10  # steps that a gradient goes back
TRAINING = 9_000  # steps; the rest is held out
PIECES = 8  # of the training part, side by side in one batch
LAGS = 100  # values that the linear forecast reads: of 1, 2, 5, 10, 20, 40, 100, 200 and 500 the best for it
SPEC = RecurrentSpec(kind="lstm_cell", input_size=1, hidden_size=32, output_size=1, readout="all")


def load_voltage() -> Tensor:
    """The membrane's voltage in mV, `(time,)`."""
    values = np.fromfile(cbook.get_sample_data("membrane.dat", asfileobj=False), dtype=np.float32)
    return torch.from_numpy(100 * values)


class Scale:
    """Between mV and what the model reads and says: the voltage now, and its change `AHEAD` steps later.

    Both have mean 0 and variance 1, more or less; the held-out part has no say in it.
    """

    def __init__(self, training: Tensor) -> None:
        self.mean, self.deviation = training.mean(), training.std()
        self.change = (training[AHEAD:] - training[:-AHEAD]).std()

    def inputs(self, voltage: Tensor) -> Tensor:
        return ((voltage - self.mean) / self.deviation).unsqueeze(-1)

    def targets(self, voltage: Tensor) -> Tensor:
        return ((voltage[AHEAD:] - voltage[:-AHEAD]) / self.change).unsqueeze(-1)

    def forecast(self, voltage: Tensor, y: Tensor) -> Tensor:
        return voltage + self.change * y.squeeze(-1)


def side_by_side(series: Tensor) -> Tensor:
    """A series as a batch of consecutive pieces, `(pieces, time, 1)`; what is left at its end is left out."""
    return series[: len(series) // PIECES * PIECES].reshape(PIECES, -1, 1)


def train(x: Tensor, y: Tensor, *, epochs: int, carry: bool) -> RecurrentModel:
    """Train on chunk after chunk; `carry`: whether each goes on from the state that the one before ended with."""
    torch.manual_seed(0)
    model = build_model(SPEC)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        state = None
        for x_chunk, y_chunk in zip(x.split(CHUNK, dim=1), y.split(CHUNK, dim=1), strict=True):
            predicted, state = model(x_chunk, state, return_state=True)
            optimizer.zero_grad()
            mse_loss(predicted, y_chunk).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1)
            optimizer.step()
            state = detach_state(state) if carry else None  # the values go on, the history ends here
        schedule.step()
    return model.eval()


def linear_forecast(voltage: Tensor) -> Tensor:
    """The least-squares forecast at each step from the last `LAGS` values; the first of them has the index LAGS - 1."""
    windows = voltage.double().unfold(0, LAGS, 1)
    x = torch.cat([windows, torch.ones(len(windows), 1)], dim=1)
    y = voltage.double()[LAGS - 1 + AHEAD : TRAINING].unsqueeze(1)
    weights: Tensor = torch.linalg.lstsq(x[: len(y)], y).solution
    return (x @ weights).squeeze(1).float()


def forecasts(voltage: Tensor, epochs: int) -> dict[str, Tensor]:
    """From the name of each way to its forecasts for the held-out part, in mV; each looks at the past alone."""
    scale, training = Scale(voltage[:TRAINING]), voltage[:TRAINING]
    x, y = side_by_side(scale.inputs(training)[:-AHEAD]), side_by_side(scale.targets(training))
    made = {"stays as it is": voltage, f"linear, {LAGS} values": linear_forecast(voltage)}
    for name, carry in {"LSTM, state forgotten": False, "LSTM, state carried": True}.items():
        model = train(x, y, epochs=epochs, carry=carry)
        with torch.no_grad():
            said = model(scale.inputs(voltage).unsqueeze(0)).squeeze(0)
        made[name] = scale.forecast(voltage, said)
    held_out = len(voltage) - TRAINING
    # a forecast stands where it is for; the first held-out value is forecast before the held-out part begins
    return {name: forecast[:-AHEAD][-held_out:] for name, forecast in made.items()}


def root_mean_square_error(forecast: Tensor, measured: Tensor) -> float:
    return mse_loss(forecast, measured).sqrt().item()


def print_table(errors: dict[str, float], console: Console) -> None:
    table = Table("forecast", title=f"The voltage in {AHEAD * STEP:g} ms, on the held-out quarter")
    table.add_column("root mean square error", justify="right")
    for name, error in errors.items():
        table.add_row(name, f"{error:.2f} mV")
    console.print(table)


def save_picture(voltage: Tensor, made: dict[str, Tensor], path: Path) -> None:
    figure, (whole, part) = plt.subplots(2, figsize=(9, 6), layout="constrained", height_ratios=(1, 2))
    draw_recording(whole, voltage)
    _, linear, _, carried = made
    draw_forecasts(part, voltage[TRAINING:], {name: made[name] for name in (linear, carried)})
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def draw_recording(axes: Axes, voltage: Tensor) -> None:
    seconds = torch.arange(len(voltage)) * STEP / 1000
    start, end = seconds[TRAINING].item(), seconds[-1].item()
    axes.plot(seconds, voltage, color="black", linewidth=0.5)
    axes.axvspan(start, end, alpha=0.15)
    axes.text(start, 12, " held out")
    axes.set(title="The voltage of a membrane (matplotlib's membrane.dat)", xlabel="s", ylabel="mV")
    axes.set(xlim=(0, end), ylim=(None, 22))
    axes.grid(alpha=0.3)


def draw_forecasts(axes: Axes, measured: Tensor, made: dict[str, Tensor], steps: int = 600) -> None:
    milliseconds = torch.arange(steps) * STEP
    axes.plot(milliseconds, measured[:steps], color="black", label="measured")
    for (name, forecast), style in zip(made.items(), ("dotted", "solid"), strict=True):
        axes.plot(milliseconds, forecast[:steps], label=name, linestyle=style)
    axes.set(title=f"The start of the held-out part, forecast {AHEAD * STEP:g} ms ahead", xlabel="ms", ylabel="mV")
    axes.set(xlim=(0, steps * STEP), ylim=(None, 14))
    axes.legend(loc="upper center", ncols=3)
    axes.grid(alpha=0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--picture", type=Path, default=Path("build/truncated_bptt.png"))
    arguments = parser.parse_args()

    torch.set_num_threads(1)  # models this small are no faster on more, and much slower on a busy machine
    voltage, console = load_voltage(), Console()
    made = forecasts(voltage, arguments.epochs)
    print_table({name: root_mean_square_error(each, voltage[TRAINING:]) for name, each in made.items()}, console)
    save_picture(voltage, made, arguments.picture)
    console.print(f"Picture: {arguments.picture}")


if __name__ == "__main__":
    main()
