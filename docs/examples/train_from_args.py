"""A spec in a program with argparse: a file says what the model is, and the command line may change it.

With a file `reader.yaml` that has

    kind: gru
    hidden_size: 32

`python train_from_args.py --spec reader.yaml hidden_size=64 readout=mean` trains that model, but for what differs, on
scikit-learn's digits, row by row. It prints the accuracy, and writes the spec that was used to `build/used.yaml`. Needs
the extra `examples`.
"""

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnkit import RecurrentModel, RnnkitError, build_model, load_spec, save_spec

FROM_THE_DATA = ["input_size=8", "output_size=10"]  # an image is 8 rows of 8 pixels, and shows one of 10 digits


def load_data() -> tuple[Tensor, Tensor]:
    """Images `(1797, 8, 8)` and their digits, in the order in which they were written."""
    digits = load_digits()
    return torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target)


def train(model: RecurrentModel, images: Tensor, digits: Tensor, epochs: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            cross_entropy(model(images[rows]), digits[rows]).backward()
            optimizer.step()


@torch.no_grad()
def accuracy(model: RecurrentModel, images: Tensor, digits: Tensor) -> float:
    return (model.eval()(images).argmax(dim=1) == digits).float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spec", type=Path, required=True, metavar="FILE", help="what to train: .yaml, .toml or .json")
    parser.add_argument("--used", type=Path, default=Path("build/used.yaml"), metavar="FILE", help="where to write it")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="what differs, such as hidden_size=64")
    arguments = parser.parse_args()
    try:
        spec = load_spec(arguments.spec, overrides=[*arguments.overrides, *FROM_THE_DATA])
    except (RnnkitError, OSError) as error:
        parser.error(str(error))  # a mistake of who called the program: no traceback, exit status 2

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, (images, digits) = build_model(spec), load_data()
    train(model, images[:1400], digits[:1400], arguments.epochs)
    print(f"{spec.kind}: {accuracy(model, images[1400:], digits[1400:]):.1%} of the digits read right")
    arguments.used.parent.mkdir(parents=True, exist_ok=True)
    save_spec(spec, arguments.used)
    print(f"The spec that was used: {arguments.used}")


if __name__ == "__main__":
    main()
