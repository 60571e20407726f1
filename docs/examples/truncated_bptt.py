"""Forecast the voltage of a membrane: truncated backpropagation through time on a recording of 12,000 steps.

The series is matplotlib's sample `membrane.dat`: 6 seconds, with a value every 0.5 ms. The task is to predict the
voltage 5 ms later. Gradients reach 10 steps back, to the start of the chunk; the state is carried from chunk to chunk,
so it may contain older information. The last quarter of the series is the test set. The model is compared with two
baselines, no change and a linear forecast from the last 100 values, and with the same model trained without carrying
its state. Prints a table and saves a picture. Needs the extra `examples`.
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

STEP = 0.5  # ms between values
AHEAD = 10  # steps: 5 ms
CHUNK = 10  # steps of backpropagation
TRAINING = 9_000  # steps; the others are the test set
PIECES = 8  # of the training data: the batch size
LAGS = 100  # inputs of the linear forecast: the best of 1, 2, 5, 10, 20, 40, 100, 200 and 500
SPEC = RecurrentSpec(kind="lstm_cell", input_size=1, hidden_size=32, output_size=1, readout="all")


def load_voltage() -> Tensor:
    """Return the voltage in mV, `(time,)`."""
    values = np.fromfile(cbook.get_sample_data("membrane.dat", asfileobj=False), dtype=np.float32)
    return torch.from_numpy(100 * values)


class Scale:
    """Normalizes voltages (inputs) and their changes in `AHEAD` steps (targets) by statistics of the training data."""

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
    """Return a series as a batch of consecutive pieces, `(pieces, time, 1)`, without the remainder at its end."""
    return series[: len(series) // PIECES * PIECES].reshape(PIECES, -1, 1)


def train(x: Tensor, y: Tensor, *, epochs: int, carry: bool) -> RecurrentModel:
    """Train chunk by chunk; with `carry`, the state passes from chunk to chunk, otherwise chunks start at zeros."""
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
            state = detach_state(state) if carry else None  # keep the values, detach them
        schedule.step()
    return model.eval()


def linear_forecast(voltage: Tensor) -> Tensor:
    """Return the least-squares forecasts from the last `LAGS` values, from the step LAGS - 1 on."""
    windows = voltage.double().unfold(0, LAGS, 1)
    x = torch.cat([windows, torch.ones(len(windows), 1)], dim=1)
    y = voltage.double()[LAGS - 1 + AHEAD : TRAINING].unsqueeze(1)
    weights: Tensor = torch.linalg.lstsq(x[: len(y)], y).solution
    return (x @ weights).squeeze(1).float()


def forecasts(voltage: Tensor, epochs: int) -> dict[str, Tensor]:
    """Return the forecasts of each model for the test set, in mV, by name; none depends on future values."""
    scale, training = Scale(voltage[:TRAINING]), voltage[:TRAINING]
    x, y = side_by_side(scale.inputs(training)[:-AHEAD]), side_by_side(scale.targets(training))
    made = {"no change": voltage, f"linear, {LAGS} values": linear_forecast(voltage)}
    for name, carry in {"LSTM, state reset": False, "LSTM, state carried": True}.items():
        model = train(x, y, epochs=epochs, carry=carry)
        with torch.no_grad():
            predicted = model(scale.inputs(voltage).unsqueeze(0)).squeeze(0)
        made[name] = scale.forecast(voltage, predicted)
    held_out = len(voltage) - TRAINING
    # aligned with the values that they predict; the first one is predicted from training data
    return {name: forecast[:-AHEAD][-held_out:] for name, forecast in made.items()}


def root_mean_square_error(forecast: Tensor, measured: Tensor) -> float:
    return mse_loss(forecast, measured).sqrt().item()


def print_table(errors: dict[str, float], console: Console) -> None:
    table = Table("forecast", title=f"Voltage in {AHEAD * STEP:g} ms, on the test set")
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
    axes.text(start, 12, " test set")
    axes.set(title="The voltage of a membrane (matplotlib's membrane.dat)", xlabel="s", ylabel="mV")
    axes.set(xlim=(0, end), ylim=(None, 22))
    axes.grid(alpha=0.3)


def draw_forecasts(axes: Axes, measured: Tensor, made: dict[str, Tensor], steps: int = 600) -> None:
    milliseconds = torch.arange(steps) * STEP
    axes.plot(milliseconds, measured[:steps], color="black", label="measured")
    for (name, forecast), style in zip(made.items(), ("dotted", "solid"), strict=True):
        axes.plot(milliseconds, forecast[:steps], label=name, linestyle=style)
    axes.set(title=f"The start of the test set, predicted {AHEAD * STEP:g} ms ahead", xlabel="ms", ylabel="mV")
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
