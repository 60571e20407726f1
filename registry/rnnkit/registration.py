"""What somebody has registered, and can take back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Registration(ABC):
    """Something registered until `remove` is called, or until the `with` block of this object ends."""

    @abstractmethod
    def remove(self) -> None:
        """Take it back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()
