"""An echo state network predicts a chaotic series without a step of gradient descent (Jaeger and Haas, 2004)."""

import torch

from rnnkit import RecurrentSpec, build_model, fit_readout


def mackey_glass(steps, *, tau=17, substeps=10, discarded=1000):
    """Return dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x at whole times, by the Runge-Kutta method."""
    delay, dt = tau * substeps, 1 / substeps
    series = [1.2] * (delay + 1)
    for _ in range((steps + discarded) * substeps):
        x, delayed, following = series[-1], series[-delay - 1], series[-delay]

        def slope(value, past):
            return 0.2 * past / (1 + past**10) - 0.1 * value

        middle = (delayed + following) / 2
        k1 = slope(x, delayed)
        k2 = slope(x + dt / 2 * k1, middle)
        k3 = slope(x + dt / 2 * k2, middle)
        k4 = slope(x + dt * k3, following)
        series.append(x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    return torch.tensor(series[-steps * substeps :: substeps], dtype=torch.float64)


def test_mackey_glass_is_predicted_84_steps_ahead():
    series = torch.tanh(mackey_glass(5000) - 1)[None, :, None]  # as in the paper
    torch.manual_seed(0)
    spec = RecurrentSpec(
        kind="esn",
        input_size=1,
        hidden_size=400,
        output_size=1,
        readout="all",
        options={"spectral_radius": 0.95, "leak": 0.5, "density": 0.02},
    )
    model = build_model(spec, dtype=torch.float64)
    train, test = series[:, :4000], series[:, 4000:]
    fit_readout(model, train[:, :-1], train[:, 1:], ridge=1e-8, washout=200)
    with torch.no_grad():
        errors = [run_freely(model, test[:, start : start + 300]) for start in range(0, 600, 50)]
    error = torch.tensor(errors).square().mean().sqrt() / series.std()
    assert error < 1e-2  # the last value, as a prediction, has an error of about 1


def run_freely(model, x, ahead=84):
    """Return the error of the prediction `ahead` steps after reading a part of x, where predictions are inputs."""
    read = x.shape[1] - ahead
    y, state = model(x[:, :read], return_state=True)
    value = y[:, -1]
    for _ in range(ahead - 1):
        value, state = model.step(value, state)
    return (value - x[:, -1]).item()
