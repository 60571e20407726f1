"""A spec as a typed argument of jsonargparse: each field is an option of the command line, and of a config file.

`python train_jsonargparse.py --model.kind lstm --model.hidden_size 32 --model.options '{"proj_size": 16}'` trains that
model on scikit-learn's digits, row by row, and prints its accuracy. `--help` lists the fields with their types and
defaults; `--print_config`, after the others, prints the file for `--config`. Needs jsonargparse, and the extra
`examples`.
"""

import torch
from jsonargparse import ArgumentParser
from pydantic import ValidationError
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy

from rnnkit import RecurrentModel, RecurrentSpec, RnnkitError, build_model


def train(model: RecurrentModel, epochs: int) -> float:
    """Train with the first 1,400 images of 8 rows with 8 pixels; returns how many of the others are read right."""
    digits = load_digits()
    images, labels = torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(epochs):
        for rows in torch.randperm(1400).split(32):
            optimizer.zero_grad()
            cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        return (model.eval()(images[1400:]).argmax(dim=1) == labels[1400:]).float().mean().item()


def main() -> None:
    parser = ArgumentParser(description="Reads handwritten digits, row by row.")
    parser.add_argument("--config", action="config")
    parser.add_argument("--model", type=RecurrentSpec)
    parser.add_argument("--epochs", type=int, default=8)
    parser.set_defaults({"model.input_size": 8, "model.output_size": 10})  # the data decide
    try:
        arguments = parser.instantiate(parser.parse_args())
    except (RnnkitError, ValidationError) as error:
        parser.error(str(error))  # a mistake of who called the program: no traceback, exit status 2

    torch.manual_seed(0)
    torch.set_num_threads(1)
    share = train(build_model(arguments.model), arguments.epochs)
    print(f"{arguments.model.kind}: {share:.1%} of the digits read right")


if __name__ == "__main__":
    main()
