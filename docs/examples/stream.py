"""Streaming inference: classify the digits of four scanned pages at once, one row of pixels per step.

A page is a column of scikit-learn's digits, images of 8x8 pixels, and its length is not known in advance. At each step
every scanner sends one row of pixels, and the model predicts the digit that the row belongs to. When a page ends, the
next one takes its place in the batch: its state is reset, and the other states are unchanged. The state is saved
halfway, and another process resumes from it with identical predictions. Requires the extra `examples`.
"""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import cross_entropy

from rnnkit import RecurrentModel, RecurrentSpec, build_model, flatten_state

SCANNERS = 4
STEPS = 1200  # length of the stream
ROWS = 8  # per digit
SPEC = RecurrentSpec(
    kind="lstm_cell",
    input_size=8,
    hidden_size=64,
    output_size=10,
    readout="all",  # a prediction after every row
    options={"learn_initial_state": True, "forget_bias": 1.0},
)


@dataclass
class Page:
    """The images and digits of a page, and the prediction after each row read so far."""

    images: Tensor
    digits: list[int]
    answers: list[int] = field(default_factory=list)

    def rows(self) -> Iterator[Tensor]:
        """Yield the rows of pixels in the order in which a scanner sends them."""
        for image in self.images:
            yield from image

    def read(self, seen: int = ROWS) -> list[int]:
        """Return the prediction for each digit after `seen` of its rows."""
        return self.answers[seen - 1 :: ROWS]


class Scanner:
    """Sends the rows of one page after another."""

    def __init__(self, pages: Iterator[Page]) -> None:
        self.pages = pages
        self.begin_page()

    def begin_page(self) -> None:
        self.page = next(self.pages)
        self.rows = self.page.rows()

    def next_row(self) -> tuple[Tensor, bool]:
        """Return the next row, and True if it is the first of a new page."""
        row = next(self.rows, None)
        if row is not None:
            return row, False
        self.begin_page()
        return next(self.rows), True


@dataclass
class Record:
    """Inputs and outputs of each step."""

    pages: list[Page] = field(default_factory=list)  # complete ones only
    rows: list[Tensor] = field(default_factory=list)  # (scanners, 8)
    begins: list[Tensor] = field(default_factory=list)  # (scanners,): True at the first row of a page
    scores: list[Tensor] = field(default_factory=list)  # (scanners, 10)


def load_data() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return images `(8, 8)` and their digits: three quarters for training, one quarter for testing."""
    digits = load_digits()
    x, y = torch.tensor(digits.images / 16, dtype=torch.float32), torch.tensor(digits.target)
    train, test = train_test_split(range(len(x)), test_size=0.25, random_state=0, stratify=y)
    return (x[train], y[train]), (x[test], y[test])


def train(model: RecurrentModel, x: Tensor, y: Tensor, epochs: int) -> None:
    """Train on pages of four digits, reshuffled in each epoch, with the digit as the target of each of its rows."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(epochs):
        pages = torch.randperm(len(x))[: len(x) // 4 * 4].reshape(-1, 4)
        for page in pages.split(32):
            scores = model(x[page].flatten(1, 2))
            loss = cross_entropy(scores.flatten(0, 1), y[page].flatten().repeat_interleave(ROWS))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def endless_pages(x: Tensor, y: Tensor) -> Iterator[Page]:
    """Yield pages of 1 to 9 digits."""
    while True:
        chosen = torch.randperm(len(x))[: int(torch.randint(1, 10, ()))]
        yield Page(x[chosen], y[chosen].tolist())


def answer(model: RecurrentModel, rows: Tensor, begins: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Return the scores for one row from each scanner, after resetting the states of the pages that begin."""
    return model.step(rows, model.reset_state(state, begins))


@torch.no_grad()
def read(model: RecurrentModel, scanners: list[Scanner], folder: Path) -> Record:
    """Run the model on `STEPS` steps of the scanners, and save the state halfway."""
    record, state = Record(), model.initial_state(len(scanners))
    for step in range(STEPS):
        if step == STEPS // 2:
            torch.save(flatten_state(state), folder / "state.pt")
        pages = [scanner.page for scanner in scanners]
        rows, begins = zip(*(scanner.next_row() for scanner in scanners), strict=True)
        scores, state = answer(model, torch.stack(rows), torch.tensor(begins), state)
        for scanner, digit in zip(scanners, scores.argmax(dim=1).tolist(), strict=True):
            scanner.page.answers.append(digit)
        record.pages += [page for page, another in zip(pages, begins, strict=True) if another]
        record.rows.append(torch.stack(rows))
        record.begins.append(torch.tensor(begins))
        record.scores.append(scores)
    return record


def write_down(model: RecurrentModel, record: Record, folder: Path) -> None:
    """Save the model and the inputs of the second half, which another process needs besides the state."""
    (folder / "spec.json").write_text(model.spec.to_json())
    torch.save(model.state_dict(), folder / "weights.pt")
    torch.save({"rows": record.rows[STEPS // 2 :], "begins": record.begins[STEPS // 2 :]}, folder / "sent.pt")


@torch.no_grad()
def go_on(folder: Path) -> int:
    """Resume from the files in the folder, in another process; return its process id."""
    torch.set_num_threads(1)
    model = build_model(RecurrentSpec.from_json((folder / "spec.json").read_text()))
    model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    state = model.eval().restore_state(torch.load(folder / "state.pt", weights_only=True))
    sent, scores = torch.load(folder / "sent.pt", weights_only=True), []
    for rows, begins in zip(sent["rows"], sent["begins"], strict=True):
        y_t, state = answer(model, rows, begins, state)
        scores.append(y_t)
    torch.save(torch.stack(scores), folder / "scores.pt")
    return os.getpid()


def accuracy(pages: list[Page], seen: int = ROWS) -> float:
    """Return the accuracy after `seen` rows of each digit."""
    right = [a == b for page in pages for a, b in zip(page.read(seen), page.digits, strict=True)]
    return sum(right) / len(right)


def print_tables(pages: list[Page], console: Console) -> None:
    table = Table("rows", "written", "read", title="The first pages")
    for page in pages[:8]:
        wrong = [f"[reverse]{b}[/]" if a != b else f"{b}" for a, b in zip(page.digits, page.read(), strict=True)]
        table.add_row(f"{len(page.answers)}", " ".join(map(str, page.digits)), " ".join(wrong))
    console.print(table)
    table = Table(*map(str, range(1, ROWS + 1)), title="Accuracy after row")
    table.add_row(*(f"{accuracy(pages, seen):.0%}" for seen in range(1, ROWS + 1)))
    console.print(table)


def main() -> None:
    torch.set_num_threads(1)  # more threads do not speed up a model this small, and slow it down on a busy machine
    torch.manual_seed(0)
    console, model = Console(), build_model(SPEC)
    training, test = load_data()
    train(model, *training, epochs=40)
    with TemporaryDirectory() as name:
        folder = Path(name)
        record = read(model.eval(), [Scanner(endless_pages(*test)) for _ in range(SCANNERS)], folder)
        write_down(model, record, folder)
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
            process = pool.submit(go_on, folder).result()
        scores = torch.load(folder / "scores.pt", weights_only=True)
    print_tables(record.pages, console)
    digits = sum(len(page.digits) for page in record.pages)
    console.print(f"{len(record.pages)} pages with {digits} digits: {accuracy(record.pages):.1%} correct.")
    same = torch.equal(scores, torch.stack(record.scores[STEPS // 2 :]))
    console.print(
        f"Process {process} resumed from the state that process {os.getpid()} saved: {len(scores)} steps, "
        f"{'identical' if same else 'different'} scores."
    )


if __name__ == "__main__":
    main()
