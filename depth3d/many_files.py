"""One function over many photos: at once, as results come, going on after failures and after `kill -9`."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from depth3d import verbs
from depth3d.core.stages import WAITING, stage
from depth3d.errors import Depth3DError, InputError, ModelError, OutputExistsError
from depth3d.io.atomic import check_writable, recorded_writes, remove_stale_partials
from depth3d.io.files_here import files_here
from depth3d.io.inputs import FoundInput
from depth3d.io.manifest import Manifest, digest_of_file, is_unchanged, name_below, record_of_outputs
from depth3d.io.output_names import output_names
from depth3d.io.remote import RemotePath

__all__ = [
    "Carry",
    "EndOfRunError",
    "Engine",
    "Made",
    "Task",
    "TaskResult",
    "ThreadEngine",
    "default_jobs",
    "plan_tasks",
    "run_many",
]

AnyPath: TypeAlias = Path | RemotePath

_MOST_JOBS = 4
_GRACE_S = 0.5
"""How long threads may take to end what they are at when the run is interrupted."""


class EndOfRunError(Depth3DError):
    """What a work raises where no other photo would fare better: `run_many` stops and raises it."""


@dataclass(frozen=True, slots=True)
class Task:
    """One photo, and what is to be written for it. It can be pickled if `call` can.

    Attributes:
        input: The photo.
        outputs: What will be written, the main file first.
        call: Anything else that the work needs.
        reads: Other files of this photo that are read, such as its depth.
        done: What the manifest says about it.
    """

    input: AnyPath
    outputs: tuple[AnyPath, ...]
    call: Any = None
    reads: tuple[AnyPath, ...] = ()
    done: Mapping[str, Any] | None = None

    @property
    def output(self) -> AnyPath:
        """The main file, or folder, that is written."""
        return self.outputs[0]


@dataclass(frozen=True, slots=True)
class Made:
    """What the work tells about a photo that is done.

    Attributes:
        facts: With JSON types.
        summary: One line for people.
        notes: What to know before trusting it.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    summary: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What became of one task.

    Attributes:
        task: It.
        made: What the work told; of a photo that was done before, what it told then.
        error: Why there is no result; a `Depth3DError`, or what a bug raised.
        skipped: Whether it was done before.
        record: What the manifest is to say.
    """

    task: Task
    made: Made | None = None
    error: Exception | None = None
    skipped: bool = False
    record: Mapping[str, Any] | None = None

    @property
    def reason(self) -> str:
        """Why there is no result, in one line; empty where there is one."""
        if self.error is None:
            return ""
        if isinstance(self.error, MemoryError):
            return "out of memory; use a smaller photo, or fewer jobs"
        if isinstance(self.error, Depth3DError):
            return str(self.error)
        return f"a bug in depth3d ({type(self.error).__name__}: {self.error}); run it alone with -vv"


Work: TypeAlias = Callable[[Task], "Made | None"]
Engine: TypeAlias = Callable[["Carry", Sequence[Task]], Iterator[TaskResult]]
"""Applies a `Carry` to tasks, anywhere, and gives the results as they come."""


def plan_tasks(
    inputs: Sequence[FoundInput], output: str | Path | RemotePath, *, name: str = "{stem}.png"
) -> list[Task]:
    """Decide for each photo where its result goes.

    Args:
        inputs: From `find_inputs`.
        output: A folder, in which results mirror the folders of the photos; or a template with `{stem}`,
            `{name}` or `{parent}`, such as `out/{stem}.glb`.
        name: What results are called in a folder.

    Returns:
        One task a photo.

    Raises:
        InputError: Two photos would write the same file, or the template means nothing.
    """
    outputs = output_names(inputs, output, name)
    return [Task(one.path, (path,)) for one, path in zip(inputs, outputs, strict=True)]


def default_jobs() -> int:
    """Choose how many photos to work on at once: one a processor that may be used, four at most."""
    from depth3d.accel.threads import usable_cpus

    return min(_MOST_JOBS, usable_cpus())


def run_many(
    tasks: Sequence[Task],
    work: Work,
    *,
    jobs: int | None = None,
    manifest: Manifest | None = None,
    overwrite: bool = False,
    engine: Engine | None = None,
) -> Iterator[TaskResult]:
    """Do the work for each photo; what fails is told, and the rest goes on.

    While one photo is in the network another one is loaded and a third is saved: `jobs` of them are under way
    at once. Nothing is begun if an output is there that may not be replaced.

    Args:
        tasks: From `plan_tasks`.
        work: Called with each task, in several threads; it writes the outputs (with `depth3d.save`, so that
            they appear whole or not at all), and may return what it has to tell.
        jobs: How many photos are under way at once; None is `default_jobs()`.
        manifest: Where to write what is done; with `resume` of it, what is done already is skipped.
        overwrite: Whether files that are there may be replaced.
        engine: What runs the tasks instead of threads.

    Yields:
        One result a task, as they come; the files of each are there.

    Raises:
        InputError: `jobs` is less than 1, or an output is one of the photos, be it another one's.
        FileError: An output may not be replaced, or can't be written.
        ModelError: The network can't be had, which no other photo would change.
        EndOfRunError: The work says so.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"jobs must be at least 1, got {jobs}")
    created = _prepare(tasks, manifest, overwrite=overwrite)
    if manifest is not None:
        tasks = [replace(task, done=manifest.record_of(task.output)) for task in tasks]
    carry = Carry(work, None if manifest is None else manifest.folder)
    run = engine or ThreadEngine(jobs or default_jobs())
    return _recorded(run(carry, tasks), manifest, created)


def _recorded(
    results: Iterator[TaskResult], manifest: Manifest | None, created: Sequence[Path]
) -> Iterator[TaskResult]:
    try:
        for result in results:
            if isinstance(result.error, ModelError | EndOfRunError):
                raise result.error
            if manifest is not None and result.record is not None:
                manifest.append(result.record)
            yield result
    finally:
        close = getattr(results, "close", None)
        if close is not None:
            close()
        if manifest is not None:
            manifest.close()
        _remove_empty(created)


def _prepare(tasks: Sequence[Task], manifest: Manifest | None, *, overwrite: bool) -> list[Path]:
    """Refuse what could not be written, make the folders, clear away what dead runs left, and say the plan.

    Returns:
        The folders that were not there before, innermost first.
    """
    local = [path for task in tasks for path in task.outputs if isinstance(path, Path)]
    _keep_inputs(tasks)
    if not overwrite and manifest is not None:
        manifest.check(path for task in tasks for path in task.outputs)
    elif not overwrite:
        for output in (one for task in tasks for one in task.outputs if isinstance(one, RemotePath)):
            if output.exists():
                raise OutputExistsError(
                    f"{output} already exists; use --overwrite (overwrite=True) or another name"
                )
    folders = {path.parent for path in local}
    if manifest is not None and isinstance(manifest.folder, Path):
        folders.add(manifest.folder)
    created = {one for folder in folders for one in (folder, *folder.parents) if not one.exists()}
    innermost_first = sorted(created, key=lambda folder: -len(folder.parts))
    try:
        for folder in folders:
            verbs.make_directory(folder)
        for path in local:
            if not path.is_dir():  # else a folder of pictures, whose own writer looks at it
                check_writable(path, overwrite=overwrite or manifest is not None)
        if manifest is not None:
            if isinstance(manifest.folder, Path):
                remove_stale_partials(manifest.folder, below=True)
            manifest.plan(path for task in tasks for path in task.outputs)
    except BaseException:
        _remove_empty(innermost_first)
        raise
    return innermost_first


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # there is something in it
            folder.rmdir()


def _keep_inputs(tasks: Sequence[Task]) -> None:
    """Refuse to write over what any task reads, under whatever name."""
    read = {_real(path) for task in tasks for path in (task.input, *task.reads)}
    for task in tasks:
        for output in task.outputs:
            if _real(output) in read:
                is_own = _real(output) == _real(task.input)
                which = (
                    "the input itself" if is_own else f"an input, too, and would be written for {task.input}"
                )
                raise InputError(f"{output} is {which}; give another output")


def _real(path: AnyPath) -> str:
    try:
        return os.path.realpath(path) if isinstance(path, Path) else str(path)
    except ValueError:  # a NUL in the name
        return str(path)


@dataclass(frozen=True, slots=True)
class Carry:
    """Does one task, wherever it runs: looks whether it is done, does it, describes what was written.

    It can be pickled if the work can.

    Attributes:
        work: As for `run_many`.
        folder: The manifest's; None makes no records.
    """

    work: Work
    folder: AnyPath | None = None

    def __call__(self, task: Task) -> TaskResult:
        """Do it; errors are in the result and not raised, but for those that end the process."""
        try:
            inputs = [] if self.folder is None else _digests(task)
            if self._holds(task, inputs):
                told = task.done or {}
                made = Made(told.get("facts", {}), told.get("summary", ""), tuple(told.get("notes", ())))
                return TaskResult(task, made, skipped=True)
            with files_here((task.input, *task.reads), task.outputs) as here, recorded_writes() as written:
                local = replace(task, input=here.inputs[0], reads=here.inputs[1:], outputs=here.outputs)
                made = self.work(local if here.folders else task) or Made()
                if here.folders:
                    made = Made(here.told(made.facts), here.told(made.summary), tuple(here.told(made.notes)))
                record = self._record(
                    task, inputs, made, {here.known(one): one for one in (*here.outputs, *written)}
                )
            return TaskResult(task, made, record=record)
        except Exception as error:
            return TaskResult(task, error=error)

    def is_done(self, task: Task) -> bool:
        """Tell whether there is nothing to do for a task."""
        try:
            return task.done is not None and self._holds(task, _digests(task))
        except Depth3DError:
            return False

    def _holds(self, task: Task, inputs: Sequence[str]) -> bool:
        return (
            task.done is not None and self.folder is not None and is_unchanged(task.done, inputs, self.folder)
        )

    def _record(
        self, task: Task, inputs: Sequence[str], made: Made, written: Mapping[AnyPath, Path]
    ) -> dict[str, Any] | None:
        if self.folder is None:
            return None
        return {
            "input": str(task.input),
            "inputs": inputs,
            "output": name_below(self.folder, task.output),
            "outputs": record_of_outputs(written, self.folder),
            "facts": dict(made.facts),
            "summary": made.summary,
            "notes": list(made.notes),
        }


def _digests(task: Task) -> list[str]:
    return [digest_of_file(path) for path in (task.input, *task.reads)]


@dataclass(frozen=True, slots=True)
class ThreadEngine:
    """The engine of one machine: threads that share the network.

    They are daemons: when the run is interrupted it ends at once, and what they are writing has no name yet.

    PyTorch gets the same number of threads for a photo whatever `jobs` is, since that number decides the last
    digits of its results.

    Args:
        jobs: How many.
    """

    jobs: int

    def __call__(self, carry: Carry, tasks: Sequence[Task]) -> Iterator[TaskResult]:
        """Run the tasks; results come as they are ready."""
        from depth3d.accel.threads import fewer_threads

        with fewer_threads(default_jobs()):
            yield from _in_threads(carry, tasks, min(self.jobs, len(tasks)))


def _in_threads(carry: Carry, tasks: Sequence[Task], jobs: int) -> Iterator[TaskResult]:
    waiting = iter(tasks)
    turn = threading.Lock()
    ended = threading.Event()
    results: queue.Queue[TaskResult | BaseException] = queue.Queue()

    def take() -> Task | None:
        with turn:
            return None if ended.is_set() else next(waiting, None)

    def loop() -> None:
        try:
            while (task := take()) is not None:
                results.put(carry(task))
        except BaseException as error:  # what ends the process must end it in the main thread
            results.put(error)

    threads = [
        threading.Thread(target=loop, name=f"depth3d-job-{number}", daemon=True) for number in range(jobs)
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in tasks:
            with stage(WAITING):
                result = results.get()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        ended.set()
        for thread in threads:
            thread.join(_GRACE_S / jobs)
