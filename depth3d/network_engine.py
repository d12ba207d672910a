"""Batches for a GPU: photos are loaded ahead, share passes of the network, and are finished in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from depth3d.accel.ahead import ahead, mapped_ahead
from depth3d.core.arrays import ImageArray
from depth3d.errors import InputError
from depth3d.io.images import Photo, load_photo
from depth3d.many_files import Carry, Task, TaskResult, default_jobs
from depth3d.ready_photos import ReadyPhoto, offering

if TYPE_CHECKING:
    from depth3d.estimate.estimator import DepthEstimator
    from depth3d.estimate.prediction import Prediction

    _Loaded: TypeAlias = tuple[Sequence[Task], list[Photo | None]]
    _Seen: TypeAlias = tuple[Sequence[Task], list[Photo | None], list[Prediction | Exception]]

__all__ = ["BatchEngine"]


@dataclass(frozen=True, slots=True)
class BatchEngine:
    """An engine for `run_many` in which consecutive photos share a pass of the network.

    Threads load the next photos, one thread runs the network, and further ones do the work that is left; it
    finds its photo ready where it opens it (`open_photo`, `estimate_file`). No more than a batch, or two on
    CUDA (`batches_under_way`), and three photos a thread are held.

    Which photos share a pass does not depend on which are done already: a run that is resumed repeats a whole
    batch if one of it is missing, so that its numbers are those of a run that was never stopped.

    Args:
        estimator: Gives the network, when the first photo needs it.
        batch_size: Photos that share a pass.
        jobs: Threads that load, and that finish; None is `default_jobs()`.

    Raises:
        InputError: `batch_size` or `jobs` is less than 1.
    """

    estimator: Callable[[], DepthEstimator]
    batch_size: int
    jobs: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1 or (self.jobs is not None and self.jobs < 1):
            raise InputError(f"batch_size and jobs must be at least 1, got {self.batch_size} and {self.jobs}")

    def __call__(self, carry: Carry, tasks: Sequence[Task]) -> Iterator[TaskResult]:
        """Run the tasks; results come in their order."""
        jobs = self.jobs or default_jobs()

        def finish(pair: tuple[Task, ReadyPhoto | None]) -> TaskResult:
            task, ready = pair
            with offering(ready):
                return carry(task)

        yield from mapped_ahead(finish, ahead(self._predicted(carry, tasks, jobs)), threads=jobs)

    def _predicted(
        self, carry: Carry, tasks: Sequence[Task], jobs: int
    ) -> Iterator[tuple[Task, ReadyPhoto | None]]:
        """Give each task with its photo, where the network saw it."""
        groups = [tasks[i : i + self.batch_size] for i in range(0, len(tasks), self.batch_size)]
        loaded = mapped_ahead(
            _loaded, self._needed(carry, groups), threads=jobs, count=self.batch_size + jobs
        )
        for group, photos, found in self._in_turn((group, [next(loaded) for _ in group]) for group in groups):
            outcomes = iter(found)
            for task, photo in zip(group, photos, strict=True):
                if photo is None or not isinstance(task.input, Path):
                    yield task, None
                else:
                    yield task, ReadyPhoto(task.input, photo, next(outcomes))

    def _in_turn(self, batches: Iterator[_Loaded]) -> Iterator[_Seen]:
        """Show batches to the network: one after the other, or a GPU the next one while one's maps come."""
        for group, photos in batches:
            if any(photo is not None for photo in photos):
                # Now, and not before, there is a need for the network, which tells how many.
                count = getattr(self.estimator(), "batches_under_way", 1)
                rest = chain([(group, photos)], batches)
                if count == 1:
                    yield from map(self._seen, rest)
                else:
                    yield from mapped_ahead(self._seen, rest, threads=count, count=count)
                return
            yield group, photos, []

    def _seen(self, batch: _Loaded) -> _Seen:
        images = [photo.image for photo in batch[1] if photo is not None]
        return *batch, _predict_each(self.estimator(), images) if images else []

    @staticmethod
    def _needed(carry: Carry, groups: Sequence[Sequence[Task]]) -> Iterator[Path | None]:
        """Give the photos to load; None for each of a group that is done."""
        for group in groups:
            is_done = all(carry.is_done(task) for task in group)
            for task in group:
                yield task.input if not is_done and isinstance(task.input, Path) else None


def _loaded(path: Path | None) -> Photo | None:
    """Load a photo; the work on one that can't be loaded meets the same error, and words it."""
    if path is None:
        return None
    try:
        return load_photo(path)
    except Exception:  # also what a bug or a lack of memory raises: one photo must not end the run
        return None


def _predict_each(source: DepthEstimator, images: Sequence[ImageArray]) -> list[Prediction | Exception]:
    """Predict together; where that fails, one by one, so that only the image at fault is without."""
    try:
        return [*source.predict(list(images))]
    except Exception as error:  # as above
        if len(images) == 1:
            return [error]
    return [result for image in images for result in _predict_each(source, [image])]
