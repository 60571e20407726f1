"""The base class of tasks: the data that kinds are trained and tested on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Generator, Tensor

from rnnkit.compare.objective import CLASSIFICATION, Objective
from rnnkit.compare.settings import check_settings
from rnnkit.kind import Paper

# Of the generated sequences that no model is trained on: not 0, 1, 2, ..., which are the seeds of runs. torch's
# generator on a CPU reads 32 bits of a seed.
VALIDATION_SEED, TEST_SEED = 4_000_000_001, 4_000_000_002


class Batch(NamedTuple):
    """Sequences and their targets.

    Attributes:
        x: `(batch, time, input_size)`; token ids `(batch, time)` if the task has `num_embeddings`.
        target: classes `(batch,)` or values `(batch, output_size)`; if the readout is `"all"`, classes `(batch, time)`
            or values `(batch, time, output_size)`. A step without a target, such as one of the padding, has the class
            -100, or the value NaN.
        lengths: the number of steps of each sequence, `(batch,)`; None: all have `time`.
    """

    x: Tensor
    target: Tensor
    lengths: Tensor | None = None


@dataclass(frozen=True)
class Task(ABC):
    """Data to train and to test on, with a loss and a score.

    A subclass is a frozen dataclass whose fields are its settings, each with a default. Its objects are sent to other
    processes and written to files by name and settings, so they hold no data: `training_batch`, `validation` and `test`
    make or load it.

    Attributes:
        name: of the task; in a plugin, the name of an entry point in the group `rnnkit.tasks`.
        summary: what a model has to do, in a sentence.
        measures: what the task shows about a kind, in a sentence.
        source: the paper that uses the task, or where its data comes from.
        steps: optimizer steps of a usual comparison.
        batch_size: sequences in each of them.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    measures: ClassVar[str]
    source: ClassVar[Paper | str]
    steps: ClassVar[int] = 500
    batch_size: ClassVar[int] = 32

    def __post_init__(self) -> None:
        """Validate the settings; a subclass may check more.

        Raises:
            CompareError: a setting does not fit its annotation, such as `Annotated[int, Field(ge=1)]` of pydantic.
        """
        check_settings(self)

    @property
    def objective(self) -> Objective:
        """The loss and the score: those of a classification, unless a subclass returns others."""
        return CLASSIFICATION

    @property
    def time_feature(self) -> int | None:
        """The input feature that holds the time since the last step; None: steps are equally spaced.

        Kinds that read elapsed times get it as the option `time_feature`.
        """
        return None

    @abstractmethod
    def fields(self) -> Mapping[str, Any]:
        """Return the fields of a spec that follow from the task: `input_size`, `output_size`, `readout`, ..."""

    @abstractmethod
    def training_batch(self, size: int, generator: Generator) -> Batch:
        """Return `size` sequences to train on, drawn with a generator."""

    @abstractmethod
    def validation(self) -> Batch:
        """Return the sequences for learning curves and for choosing settings, the same at each call."""

    @abstractmethod
    def test(self) -> Batch:
        """Return the sequences of the score, the same at each call."""

    def missing(self) -> str:
        """Return what has to be installed for the data of the task; empty: nothing."""
        return ""

    def settings(self) -> dict[str, Any]:
        """Return the settings, as they are written to files."""
        return asdict(self)

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{self.name}({settings})" if settings else self.name


class GeneratedTask(Task):
    """A task whose sequences are drawn at random, without end."""

    held_out: ClassVar[int] = 256
    """The number of sequences of the validation, and of the test."""

    @abstractmethod
    def draw(self, size: int, generator: Generator, *, testing: bool) -> Batch:
        """Return `size` sequences drawn with a generator.

        Args:
            size: the number of sequences.
            generator: the source of randomness.
            testing: whether they are for validation or the test, and may be longer than those of the training.
        """

    def training_batch(self, size: int, generator: Generator) -> Batch:
        return self.draw(size, generator, testing=False)

    def validation(self) -> Batch:
        return self.draw(self.held_out, Generator().manual_seed(VALIDATION_SEED), testing=True)

    def test(self) -> Batch:
        return self.draw(self.held_out, Generator().manual_seed(TEST_SEED), testing=True)


class Splits(NamedTuple):
    """The three parts of a data set."""

    training: Batch
    validation: Batch
    test: Batch


class DatasetTask(Task):
    """A task with a fixed set of sequences."""

    @abstractmethod
    def load(self) -> Splits:
        """Return the data; it is called for each batch, so it should keep what it has loaded."""

    def training_batch(self, size: int, generator: Generator) -> Batch:
        data = self.load().training
        rows = torch.randint(len(data.target), (size,), generator=generator)
        return Batch(data.x[rows], data.target[rows], None if data.lengths is None else data.lengths[rows])

    def validation(self) -> Batch:
        return self.load().validation

    def test(self) -> Batch:
        return self.load().test
