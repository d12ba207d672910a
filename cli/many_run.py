"""One run of a command over many photos: where everything goes, what is said, what failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .calls import CommandCall, run_call
from .console import note, print_json, progress, say, warn
from .options import network_of

if TYPE_CHECKING:
    from depth3d.io.inputs import FoundInput
    from depth3d.io.manifest import Manifest
    from depth3d.io.remote import RemotePath
    from depth3d.many_files import Engine, Task, TaskResult

__all__ = ["Naming", "Run", "is_one_film"]

_SAME_RESULT = frozenset({"overwrite", "as_json", "device", "batch_size", "output"})
"""Parameters that do not change what is written, or that each photo has for itself."""

_OF_ONE_PHOTO = {"anchors": "--anchor", "anchor_ranges": "--anchor-range"}


@dataclass(frozen=True, slots=True)
class Naming:
    """What results are called where only a folder is given.

    Attributes:
        name: Of the main file, such as `{stem}_cloud.ply`.
        also: The same for each further output that was asked for.
        suffixes: Of output files.
        is_whole: Whether a photo's own output may be a folder.
    """

    name: str
    also: Mapping[str, str]
    suffixes: tuple[str, ...] = ()
    is_whole: bool = False

    def is_plain(self, params: Mapping[str, Any]) -> bool:
        """Tell whether all outputs are named, so that they can be those of one photo only."""
        from depth3d.io.output_names import is_template

        outputs = [params[name] for name in ("output", *self.also) if params[name] is not None]
        return not any(map(is_template, outputs)) and (
            params["output"] is None or self.is_whole or not _is_folder(params["output"], self.suffixes)
        )

    def outputs_of(
        self, params: Mapping[str, Any], found: Sequence[FoundInput]
    ) -> dict[str, list[Path | RemotePath]]:
        """Decide where everything goes.

        Args:
            params: Of the command.
            found: The photos.

        Returns:
            For each parameter that is an output, the main one first, a path for each photo.

        Raises:
            InputError: One name for many photos, the same name for two, or no name at all.
        """
        from depth3d.errors import InputError
        from depth3d.io.output_names import is_template, output_names

        defaults = {"output": self.name, **self.also}
        outputs: dict[str, list[Path | RemotePath]] = {}
        for parameter, name in defaults.items():
            given = params[parameter]
            if given is None:
                continue
            suffixes = self.suffixes if parameter == "output" else (Path(name).suffix,)
            is_own = parameter == "output" and self.is_whole and len(found) == 1 and found[0].is_named
            if is_template(given) or (not is_own and _is_folder(given, suffixes)):
                outputs[parameter] = output_names(found, given, name)
            elif len(found) == 1:
                outputs[parameter] = [given]
            else:
                flag = "-o" if parameter == "output" else "--" + parameter.replace("_", "-")
                raise InputError(
                    f"{given} is one file and there are {len(found)} photos; give a directory, or a template "
                    f"such as {flag} '{given.with_name('{stem}' + given.suffix)}'"
                )
        if not outputs:
            raise InputError("there is nowhere to write to; give a folder, such as -o results")
        _check_distinct(outputs)
        return outputs


@dataclass(frozen=True, slots=True)
class Run:
    """A command with its options, for any number of photos.

    Attributes:
        command: Its name, such as `effect fog`.
        params: Its parameters, but for the photos.
        sources: Where each came from.
        naming: What results are called.
        beside: Gives further files that will be written for an output of a photo.
        suffixes: By which files are found in folders; None is those of photos.
        jobs: Photos at once.
        resume: Whether what is done is skipped.
        films: Whether the photos are films.
        ray: The address of Ray, or None in it for the default; None without it.
    """

    command: str
    params: dict[str, Any]
    sources: Mapping[str, ParameterSource]
    naming: Naming
    beside: Callable[[dict[str, Any], Any, Any], Sequence[Any]]
    suffixes: tuple[str, ...] | None
    jobs: int | None
    resume: bool
    films: bool = False
    ray: tuple[str | None] | None = None

    def go(self, photos: Sequence[str], *, as_list: bool) -> None:
        """Do it, say what comes, and end with exit code 1 if anything failed.

        Args:
            photos: Names of files, folders, globs and lists.
            as_list: Whether `--json` prints a list, and messages name their photo.
        """
        from depth3d.errors import InputError
        from depth3d.io.inputs import PHOTO_SUFFIXES, find_inputs
        from depth3d.io.manifest import Manifest
        from depth3d.io.video_input import VIDEO_INPUT_SUFFIXES

        folder = self._folder()
        suffixes = VIDEO_INPUT_SUFFIXES if self.films else self.suffixes or PHOTO_SUFFIXES
        found = find_inputs(photos, suffixes=suffixes, results_in=folder)
        tasks, failed = self._tasks(found)
        options = self._options()
        if self.ray and self.params.get("model") == "auto" and self.params.get("depth") is None:
            tasks = _with_model(tasks, options["model"])
        manifest = Manifest(folder, options, resume=self.resume)
        results = self._results(tasks, manifest, as_list)
        rows = [_row(one, results.get(one.path), failed) for one in found]
        if not as_list and "error" in rows[0]:
            raise InputError(rows[0]["error"])
        if self.params["as_json"]:
            print_json(rows if as_list else rows[0])
        _tell_failures([row for row in rows if "error" in row], len(rows), self._noun)

    @property
    def _noun(self) -> str:
        return "films" if self.films else "photos"

    def _results(self, tasks: Sequence[Task], manifest: Manifest, as_list: bool) -> dict[Any, TaskResult]:
        """Run the tasks and print what they say; what many say is said once."""
        from depth3d.many_files import run_many

        results: dict[Any, TaskResult] = {}
        said: dict[str, int] = {}
        with progress(self.command, len(tasks), rate=f"{self._noun}/s") as advance:
            for result in run_many(
                tasks,
                run_call,
                jobs=self.jobs,
                manifest=manifest,
                overwrite=self.params["overwrite"],
                engine=self._engine(),
            ):
                results[result.task.input] = result
                advance(1)
                if result.made is None or result.skipped:
                    continue
                for line in result.made.notes:
                    if line not in said:
                        note(f"{result.task.input}: {line}" if as_list else line)
                    said[line] = said.get(line, 0) + 1
                if not self.params["as_json"]:
                    say(result.made.summary)
        for line, count in said.items():
            if count > 1:
                note(f"{count - 1} more: {line}")
        done = sum(result.skipped for result in results.values())
        if done:
            note(f"{done} of {len(tasks)} were done before")
        return results

    def _folder(self) -> Path | RemotePath:
        """Find the folder of the results, where the manifest is."""
        from depth3d.io.output_names import fixed_folder, is_template

        target = next(
            (self.params[name] for name in ("output", *self.naming.also) if self.params[name] is not None),
            Path(),
        )
        if is_template(target) or (_is_folder(target, self.naming.suffixes) and not self.naming.is_whole):
            return fixed_folder(target)
        return target if target.is_dir() or not target.suffix else target.parent

    def _engine(self) -> Engine | None:
        """Let photos share passes of the network, or go to Ray, where that is asked for; None is threads."""
        size = self.params.get("batch_size") or 1
        if self.films or self.params.get("depth") is not None:
            size = 1  # a film's frames share passes among themselves
        if self.ray is None:
            return None if size == 1 else self._batches(size, self.jobs)
        from depth3d.ray_engine import RayEngine

        return RayEngine(
            *self.ray,
            workers=self.jobs,
            device=self.params.get("device", "cpu"),
            inner=None if size == 1 else self._batches(size, 2),
            chunk=-(-8 // size) * size,
        )

    def _batches(self, size: int, jobs: int | None) -> Engine:
        from depth3d import verbs
        from depth3d.network_engine import BatchEngine

        network = {**network_of(dict(self.params)), "batch_size": size}
        return BatchEngine(partial(verbs.loaded_estimator, **network), size, jobs)

    def _tasks(self, found: Sequence[FoundInput]) -> tuple[list[Task], dict[Any, str]]:
        """Make a task for each photo; those without a depth file of theirs get the reason instead."""
        from depth3d.many_files import Task

        if len(found) > 1:
            self._refuse_what_is_for_one(len(found))
        outputs = self.naming.outputs_of(self.params, found)
        reads, failed = self._depths(found)
        own = {*outputs, *(("depth",) if reads else ())}
        params = {name: value for name, value in self.params.items() if name not in own}
        # What is there was looked at for all of them: some of it may be ours, of a run that was stopped.
        params["overwrite"] = True
        call = CommandCall(self.command, params, self.sources, tuple(outputs), ("depth",) if reads else ())
        tasks = []
        for number, photo in enumerate(found):
            if photo.path in failed:
                continue
            paths = [column[number] for column in outputs.values()]
            more = [path for path in self.beside(self.params, paths[0], photo.path) if path not in paths]
            tasks.append(Task(photo.path, (*paths, *more), call, (reads[photo.path],) if reads else ()))
        return tasks, failed

    def _refuse_what_is_for_one(self, count: int) -> None:
        from depth3d.errors import InputError

        for name, flag in _OF_ONE_PHOTO.items():
            if self.params.get(name):
                raise InputError(
                    f"anchors belong to one photo ({flag}), and there are {count}; run it for each of them, "
                    "or make a --calibration of them all with depth3d calibrate"
                )

    def _depths(self, found: Sequence[FoundInput]) -> tuple[dict[Any, Path | RemotePath], dict[Any, str]]:
        """Find each photo's own depth: of the same name in a folder, or what a template names."""
        from depth3d.errors import InputError
        from depth3d.io.depth_files import DEPTH_SUFFIXES
        from depth3d.io.output_names import filled, is_template
        from depth3d.io.pairing import files_in, partners
        from depth3d.io.remote import RemotePath, place

        given = self.params.get("depth")
        if given is None:
            return {}, {}
        if is_template(given):
            return {one.path: place(filled(str(given), one)) for one in found}, {}
        if self.films or not given.is_dir():
            if len(found) > 1:
                template = f"a template such as 'depths/{{stem}}.{'mkv' if self.films else 'png'}'"
                folder = "" if self.films else "a folder with a depth file of each photo's name, or "
                raise InputError(
                    f"--depth belongs to one {self._noun[:-1]}, and there are {len(found)}; give "
                    f"{folder}{template}"
                )
            return {one.path: given for one in found}, {}
        if isinstance(given, RemotePath):
            raise InputError(
                f"{given} is a folder on shared storage; give a template, such as {given}/{{stem}}.png"
            )
        pairs = partners([one.place for one in found], files_in(given, DEPTH_SUFFIXES, "depth"), given)
        reads: dict[Any, Path | RemotePath] = {
            one.path: pair for one, pair in zip(found, pairs, strict=True) if isinstance(pair, Path)
        }
        failed = {
            one.path: pair for one, pair in zip(found, pairs, strict=True) if isinstance(pair, InputError)
        }
        if not reads:
            raise next(iter(failed.values()))
        return reads, {path: str(error) for path, error in failed.items()}

    def _options(self) -> dict[str, Any]:
        """Gather what decides the results: options, and hashes of the files that they name."""
        from depth3d import verbs
        from depth3d.estimate.registry import ALIASES, AUTO, MODELS
        from depth3d.io.manifest import digest_of_file

        options: dict[str, Any] = {"command": self.command}
        parameters = click.get_current_context().command.params
        words = {one.name for one in parameters if isinstance(one.type, click.Choice)}
        if str(self.params.get("model")).lower() in (AUTO, *MODELS, *ALIASES):
            words.add("model")
        for name, value in sorted(self.params.items()):
            if name in _SAME_RESULT or name in self.naming.also or (name == "depth" and value is not None):
                continue
            options[name] = str(value) if isinstance(value, Path) else value
            # `--model mini` does not name the folder `mini` where the results go.
            if name not in words and isinstance(value, str | Path) and _is_there(value):
                options[name] = f"{value} {digest_of_file(Path(value))}"
        if self.params.get("model") == "auto" and self.params.get("depth") is None:
            options["model"] = verbs.loaded_estimator(**network_of(dict(self.params))).name
        return options


def is_one_film(name: str) -> bool:
    """Tell the name of one film, or of a folder of its pictures, from a folder of films, a glob or a list.

    Args:
        name: As for `find_inputs`; the number of a webcam is one film, too.
    """
    from depth3d.io.folder_walk import files_below
    from depth3d.io.inputs import is_one_file
    from depth3d.io.video_input import VIDEO_INPUT_SUFFIXES

    if is_one_file(name):
        return True
    return Path(name).is_dir() and not any(
        path.suffix.lower() in VIDEO_INPUT_SUFFIXES for path in files_below(Path(name))
    )


def _with_model(tasks: Sequence[Task], model: str) -> list[Task]:
    """Name the network that `auto` is here: another machine might have another one at hand."""
    call = replace(tasks[0].call, params={**tasks[0].call.params, "model": model})
    return [replace(task, call=call) for task in tasks]


def _row(found: FoundInput, result: TaskResult | None, failed: Mapping[Any, str]) -> dict[str, Any]:
    if result is None:
        return {"photo": str(found.path), "error": failed.get(found.path, "not reached")}
    if result.made is None:
        return {"photo": str(found.path), "error": result.reason}
    return dict(result.made.facts) | ({"done_before": True} if result.skipped else {})


def _tell_failures(rows: Sequence[Mapping[str, Any]], total: int, noun: str) -> None:
    """List what failed, inputs of one reason together, and end with exit code 1."""
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        by_reason.setdefault(row["error"], []).append(row["photo"])
    for reason, photos in by_reason.items():
        first = f"{photos[0]} and {len(photos) - 1} more" if len(photos) > 2 else " and ".join(photos)
        # Most reasons name the photo.
        warn(reason if len(photos) == 1 and photos[0] in reason else f"{first}: {reason}")
    if rows:
        rest = "; the others are written" if len(rows) < total else ""
        raise click.ClickException(f"{len(rows)} of {total} {noun} failed{rest}")


def _check_distinct(outputs: Mapping[str, Sequence[Path | RemotePath]]) -> None:
    """Refuse two outputs of one name."""
    from depth3d.errors import InputError

    seen: set[str] = set()
    for column in outputs.values():
        for path in column:
            if str(path) in seen:
                raise InputError(f"{path} would be written twice; give two names")
            seen.add(str(path))


def _is_folder(output: Path, suffixes: Sequence[str]) -> bool:
    suffix = output.suffix.lower()
    try:
        return not suffix or (suffix not in suffixes and output.is_dir())
    except OSError:  # a name that is too long; what writes there words it
        return False


def _is_there(name: str | Path) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # no name at all
        return False
