"""What makes a command for one photo take many: files, folders, globs and lists; `--jobs`, `--resume`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click
from click.core import ParameterSource

from .console import listening, note, print_json, progress, warn
from .options import network_of
from .sections import section

if TYPE_CHECKING:
    from depth3d.io.inputs import FoundInput
    from depth3d.io.remote import RemotePath
    from depth3d.many_files import Engine, Made, Task, TaskResult

__all__ = ["CommandCall", "many_photos", "run_call"]

_PHOTOS_HELP = "PHOTO..."

_SAME_RESULT = frozenset(
    {"jobs", "resume", "overwrite", "as_json", "device", "batch_size", "photos", "photo", "output"}
)
"""Parameters that do not change what is written, or that each photo has for itself."""

_OF_ONE_PHOTO = {"anchors": "--anchor", "anchor_ranges": "--anchor-range"}

_Params: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CommandCall:
    """A command's body with its options, for one of many photos; it can be pickled.

    Attributes:
        command: Its name, such as `cloud` or `effect fog`.
        params: Its parameters, without those below.
        sources: Where each came from: the command line, the environment or the default.
        outputs: Names of the parameters that get the task's outputs, in their order.
        reads: Names of those that get what the task reads beside the photo.
    """

    command: str
    params: Mapping[str, Any]
    sources: Mapping[str, ParameterSource]
    outputs: tuple[str, ...]
    reads: tuple[str, ...] = ()


def run_call(task: Task) -> Made:
    """Do a `CommandCall` for one photo, as `run_many` asks for: what it says is collected, not printed.

    Args:
        task: Its `call` is the `CommandCall`; the photo, the outputs and the other files are its own.

    Raises:
        EndOfRunError: The options can't work, for no photo.
        Depth3DError: What the command raises about this photo.
    """
    from depth3d.errors import Depth3DError
    from depth3d.many_files import EndOfRunError, Made

    call: CommandCall = task.call
    command = _command_named(call.command)
    params = {**call.params, "photo": task.input}
    params |= dict(zip(call.outputs, task.outputs, strict=False))
    params |= dict(zip(call.reads, task.reads, strict=False))
    context = click.Context(command, info_name=call.command)
    context.params = dict(params)
    for name, source in call.sources.items():
        context.set_parameter_source(name, source)
    with context.scope(cleanup=False), listening() as said:
        try:
            _body_of(command)(**params)
        except Depth3DError as error:
            if said.opened:
                raise
            raise EndOfRunError(str(error)) from error
    return Made({"photo": str(task.input), **said.facts}, said.summary, tuple(said.notes))


def many_photos(
    name: str | Callable[[_Params], str],
    *,
    also: Sequence[str] = (),
    beside: Callable[[_Params, Any], Sequence[Any]] = lambda params, output: (),
    suffixes: Callable[[], Sequence[str]] = tuple,
    takes_folder: Callable[[_Params], bool] = lambda params: False,
    always_list: bool = False,
    metavar: str = _PHOTOS_HELP,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let the function of a command for one photo take many of them.

    The function keeps its parameters `photo` and `output`; the command gets the argument PHOTO..., `--jobs`
    and `--resume`. One photo with the name of an output file runs the function as it is. Everything else
    (several photos, a folder, a glob, a list; a folder or a template as output) runs it for each.

    Args:
        name: What a result is called in a folder, such as `{stem}_cloud.ply`; or what makes it of the
            parameters.
        also: Parameters that are further outputs, such as `preview`: for many photos they are templates.
        beside: Gives further files that will be written for an output.
        suffixes: Gives the suffixes of output files: a directory with one of them is not meant as a folder.
        takes_folder: Whether one photo's own output may be a folder, as with the frames of a film.
        always_list: Whether `--json` prints a list for one photo, too.
        metavar: Of the argument, for the help.
    """

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(body)
        def command(photos: tuple[str, ...], jobs: int | None, resume: bool, **params: Any) -> None:
            from depth3d.io.inputs import is_one_file
            from depth3d.io.output_names import is_template

            context = click.get_current_context()
            output = params["output"]
            is_one = len(photos) == 1 and is_one_file(photos[0])
            is_named = not any(map(is_template, (output, *(params[one] for one in also)))) and (
                output is None or takes_folder(params) or not _is_folder(output, suffixes())
            )
            if is_one and is_named and not resume:
                context.params = {
                    name: value
                    for name, value in context.params.items()
                    if name not in ("photos", "jobs", "resume")
                } | {"photo": Path(photos[0])}
                body(photo=Path(photos[0]), **params)
                return
            run = _Run(context, params, name(params) if callable(name) else name, also, beside)
            run.go(photos, is_named, jobs=jobs, resume=resume, as_list=always_list or not is_one)

        for decorator in reversed(
            (click.argument("photos", metavar=metavar, nargs=-1, required=True), _many)
        ):
            command = decorator(command)
        return command

    return decorate


_many = section(
    "Many photos",
    click.option(
        "--jobs", type=click.IntRange(1), metavar="N",
        help="Photos that are worked on at once.  [default: one a core, at most 4]",
    ),
    click.option(
        "--resume", is_flag=True,
        help="Skip what an earlier run has done with the same photos and options, as the manifest in the "
        "output folder tells.",
    ),
)  # fmt: skip


class _Run:
    """One run of a command over many photos."""

    def __init__(
        self,
        context: click.Context,
        params: _Params,
        name: str,
        also: Sequence[str],
        beside: Callable[[_Params, Any], Sequence[Any]],
    ) -> None:
        self.context = context
        self.command = " ".join(context.command_path.split()[1:])
        self.params = params
        self.name = name
        self.also = [one for one in also if params[one] is not None]
        self.beside = beside

    def go(
        self, photos: tuple[str, ...], is_named: bool, *, jobs: int | None, resume: bool, as_list: bool
    ) -> None:
        from depth3d.errors import InputError
        from depth3d.io.inputs import find_inputs
        from depth3d.io.manifest import Manifest
        from depth3d.io.output_names import fixed_folder
        from depth3d.many_files import run_many

        main = "output" if self.params["output"] is not None or not self.also else self.also[0]
        target = self.params[main]
        if target is None:
            raise InputError("there is nowhere to write to; give a folder, -o results/")
        found = find_inputs(photos, results_in=None if is_named else fixed_folder(target))
        if is_named:
            if len(found) > 1:
                raise InputError(
                    f"{target} is one file and there are {len(found)} photos; give a directory, or a "
                    f"template such as -o '{target.with_name('{stem}' + target.suffix)}'"
                )
            folder = target.parent
        else:
            folder = fixed_folder(target)
        tasks, failed = self._tasks(found, main, is_named)
        manifest = Manifest(folder, self._options(), resume=resume)
        results: dict[Any, TaskResult] = {}
        repeated: dict[str, int] = {}
        as_json, overwrite = self.params["as_json"], self.params["overwrite"]
        with progress(self.command, len(tasks), rate="photos/s") as advance:
            for result in run_many(
                tasks, run_call, jobs=jobs, manifest=manifest, overwrite=overwrite, engine=self._engine(jobs)
            ):
                results[result.task.input] = result
                advance(1)
                if result.made and not result.skipped:
                    for line in result.made.notes:
                        repeated[line] = repeated.get(line, -1) + 1
                        if not repeated[line]:
                            note(f"{result.task.input}: {line}" if as_list else line)
                    if not as_json:
                        click.echo(result.made.summary)
        for line, count in repeated.items():
            if count:
                note(f"{count} other{'s' * (count > 1)}: {line}")
        done = sum(result.skipped for result in results.values())
        if done:
            note(f"{done} of {len(found)} photos were done before")
        rows = [self._row(one, results.get(one.path), failed) for one in found]
        if not as_list and "error" in rows[0]:
            raise InputError(rows[0]["error"])
        if as_json:
            print_json(rows if as_list else rows[0])
        _tell_failures([row for row in rows if "error" in row], len(rows))

    def _engine(self, jobs: int | None) -> Engine | None:
        """Let photos share passes of the network where that is asked for; None is threads."""
        from depth3d import verbs

        size = self.params.get("batch_size") or 1
        if size == 1 or self.params.get("depth") is not None:
            return None
        from depth3d.network_engine import BatchEngine

        network = {**network_of(dict(self.params)), "batch_size": size}
        return BatchEngine(partial(verbs.loaded_estimator, **network), size, jobs)

    def _tasks(
        self, found: Sequence[FoundInput], main: str, is_named: bool
    ) -> tuple[list[Task], dict[Any, str]]:
        """Make a task for each photo; those without a depth file of theirs get the reason instead."""
        from depth3d.io.output_names import output_names
        from depth3d.many_files import Task

        if len(found) > 1:
            self._refuse_what_is_for_one(len(found))
        outputs: dict[str, Sequence[Path | RemotePath]] = {
            main: [self.params[main]] if is_named else output_names(found, self.params[main], self.name)
        }
        for one in self.also:
            if one != main:
                outputs[one] = [self.params[one]] if is_named else self._templated(one, found)
        reads, failed = self._depths(found)
        others = {name: value for name, value in self.params.items() if name not in outputs}
        if reads:
            others.pop("depth")
        call = CommandCall(
            self.command,
            others,
            {
                name: self.context.get_parameter_source(name) or ParameterSource.DEFAULT
                for name in self.params
            },
            tuple(outputs),
            ("depth",) if reads else (),
        )
        tasks = []
        for number, photo in enumerate(found):
            if photo.path in failed:
                continue
            own = [paths[number] for paths in outputs.values()]
            extra = [path for path in self.beside(self.params, own[0]) if path not in own]
            tasks.append(Task(photo.path, (*own, *extra), call, (reads[photo.path],) if reads else ()))
        return tasks, failed

    def _templated(self, name: str, found: Sequence[FoundInput]) -> Sequence[Path | RemotePath]:
        from depth3d.errors import InputError
        from depth3d.io.output_names import is_template, output_names

        given = self.params[name]
        if not is_template(given) and len(found) > 1:
            example = given.with_name("{stem}" + given.suffix) if given.suffix else given / "{stem}"
            raise InputError(
                f"--{name} {given} would be written {len(found)} times; give a template, such as '{example}'"
            )
        return output_names(found, given, "{stem}") if is_template(given) else [given]

    def _refuse_what_is_for_one(self, count: int) -> None:
        from depth3d.errors import InputError

        for name, flag in _OF_ONE_PHOTO.items():
            if self.params.get(name):
                raise InputError(
                    f"anchors belong to one photo ({flag}), and there are {count}; run it for each of them, "
                    "or make a --calibration of them all with depth3d calibrate"
                )

    def _depths(self, found: Sequence[FoundInput]) -> tuple[dict[Any, Path], dict[Any, str]]:
        """Find each photo's own depth: of the same name in a folder, or what a template names."""
        from depth3d.errors import InputError
        from depth3d.io.depth_files import DEPTH_SUFFIXES
        from depth3d.io.output_names import filled, is_template
        from depth3d.io.pairing import files_in, partners

        given = self.params.get("depth")
        if given is None:
            return {}, {}
        if is_template(given):
            return {one.path: Path(filled(str(given), one)) for one in found}, {}
        if not given.is_dir():
            if len(found) > 1:
                raise InputError(
                    f"--depth belongs to one photo, and there are {len(found)}; give a folder with a depth "
                    "file of each photo's name, or a template such as 'depths/{stem}.png'"
                )
            return {one.path: given for one in found}, {}
        pairs = partners([one.place for one in found], files_in(given, DEPTH_SUFFIXES, "depth"), given)
        reads = {one.path: pair for one, pair in zip(found, pairs, strict=True) if isinstance(pair, Path)}
        if not reads:
            raise next(pair for pair in pairs if isinstance(pair, InputError))
        return reads, {
            one.path: str(pair)
            for one, pair in zip(found, pairs, strict=True)
            if isinstance(pair, InputError)
        }

    def _options(self) -> dict[str, Any]:
        """Gather what decides the results, files by what is in them."""
        from depth3d import verbs
        from depth3d.io.manifest import digest_of_file

        options: dict[str, Any] = {"command": self.command}
        for name, value in sorted(self.params.items()):
            if name in _SAME_RESULT or (name == "depth" and value is not None):
                continue
            options[name] = str(value) if isinstance(value, Path) else value
            if name not in self.also and isinstance(value, str | Path) and _is_there(value):
                options[name] = f"{value} {digest_of_file(Path(value))}"
        if self.params.get("model") == "auto" and self.params.get("depth") is None:
            options["model"] = verbs.loaded_estimator(**network_of(dict(self.params))).name
        return options

    def _row(self, found: FoundInput, result: TaskResult | None, failed: Mapping[Any, str]) -> dict[str, Any]:
        if result is None:
            return {"photo": str(found.path), "error": failed.get(found.path, "not reached")}
        if result.made is None:
            return {"photo": str(found.path), "error": result.reason}
        return dict(result.made.facts) | ({"done_before": True} if result.skipped else {})


def _tell_failures(rows: Sequence[Mapping[str, Any]], total: int) -> None:
    """List what failed, photos of one reason together, and end with exit code 1."""
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        by_reason.setdefault(row["error"], []).append(row["photo"])
    for reason, photos in by_reason.items():
        first = f"{photos[0]} and {len(photos) - 1} others" if len(photos) > 2 else " and ".join(photos)
        warn(f"{first}: {reason}")
    if rows:
        rest = "; the others are written" if len(rows) < total else ""
        raise click.ClickException(f"{len(rows)} of {total} photos failed{rest}")


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


def _command_named(name: str) -> click.Command:
    first, *inner = name.split()
    command: click.Command = import_module(f".commands.{first}", __package__).command
    for word in inner:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    return command


def _body_of(command: click.Command) -> Callable[..., Any]:
    function = command.callback
    assert function is not None
    body: Callable[..., Any] = getattr(function, "__wrapped__", function)
    return body
