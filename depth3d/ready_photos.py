"""Photos that were loaded, and seen by the network, before the work on them begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from depth3d.estimate.prediction import Prediction
    from depth3d.io.images import Photo

__all__ = ["ReadyPhoto", "offering", "ready_photo"]


@dataclass(frozen=True, slots=True)
class ReadyPhoto:
    """A photo with what the network gave for it.

    Attributes:
        path: Its file.
        photo: What is in it.
        outcome: The depth, or why there is none.
    """

    path: Path
    photo: Photo
    outcome: Prediction | Exception

    @property
    def prediction(self) -> Prediction:
        """The depth.

        Raises:
            Exception: Why there is none.
        """
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


_READY: ContextVar[ReadyPhoto | None] = ContextVar("depth3d_ready", default=None)


@contextmanager
def offering(ready: ReadyPhoto | None) -> Iterator[None]:
    """Let what opens this photo in this thread, while the block runs, find it ready."""
    token = _READY.set(ready)
    try:
        yield
    finally:
        _READY.reset(token)


def ready_photo(path: str | Path) -> ReadyPhoto | None:
    """Give a photo that is offered; None where it has to be loaded.

    Args:
        path: Its file, named as it was offered.
    """
    ready = _READY.get()
    return ready if ready is not None and ready.path == Path(path) else None
