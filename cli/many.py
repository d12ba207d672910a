"""What makes a command for one photo take many: files, folders, globs and lists; `--jobs`, `--resume`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Literal

import click
from click.core import ParameterSource

from depth3d.io.remote import RemotePath, place

from .calls import call_body
from .options import compose
from .sections import section
from .types import FilePath

__all__ = ["found_files", "many_photos"]

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
    click.option(
        "--engine", type=click.Choice(["local", "ray"]), default="local",
        help="Threads of this process, or processes that Ray places: one a GPU or core, or --jobs of them.",
    ),
    click.option(
        "--ray-address", metavar="ADDRESS",
        help="local: a Ray of its own on this machine; auto: the cluster that it belongs to; or HOST:PORT of "
        "the head.  [default: RAY_ADDRESS, else local]",
    ),
)  # fmt: skip


def many_photos(
    name: str | Callable[[dict[str, Any]], str],
    *,
    also: Mapping[str, str] | None = None,
    beside: Callable[[dict[str, Any], Any, Any], Sequence[Any]] = lambda params, output, photo: (),
    suffixes: Callable[[], Sequence[str]] = tuple,
    found_by: Callable[[dict[str, Any]], Sequence[str]] | None = None,
    takes_folder: Callable[[dict[str, Any]], bool] = lambda params: False,
    always_list: bool = False,
    films: bool = False,
    metavar: str = "PHOTO...",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let the function of a command for one photo take many of them.

    The function keeps its parameters `photo` and `output`; the command gets the argument PHOTO..., `--jobs`,
    `--resume` and `--engine`, and its outputs and its depth may be on shared storage. One photo with the name
    of an output file runs the function as it is. Everything else (several photos, a folder, a glob, a list; a
    folder or a template as output) runs it for each, where what it says by `note` and `report` is gathered.
    What it refuses before `opening` stops the run.

    Args:
        name: What a result is called in a folder, such as `{stem}_cloud.ply`; or what makes it of the
            parameters.
        also: Parameters that are further outputs, such as `preview`, and what those are called in a folder.
        beside: Gives further files that will be written for an output, or the names that it will have; it
            is called with the parameters, the output and the photo, which may be anywhere and unreadable.
        suffixes: Gives the suffixes of output files: a directory with one of them is not meant as a folder.
        found_by: Gives the suffixes by which files are found in a folder; None is those of photos.
        takes_folder: Whether one photo's own output may be a folder, as with the frames of a film.
        always_list: Whether `--json` prints a list for one photo, too.
        films: Whether films are meant where this says photos: they are found by their suffixes, worked on one
            after the other unless `--jobs` says otherwise, and a folder of pictures alone is one of them.
        metavar: Of the argument, for the help.
    """

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        for option in getattr(body, "__click_params__", ()):
            if option.name in ("output", "depth", *(also or ())):
                option.type = FilePath(urls=True)

        @wraps(body)
        def command(
            photos: tuple[str, ...],
            jobs: int | None,
            resume: bool,
            engine: str,
            ray_address: str | None,
            **params: Any,
        ) -> None:
            from depth3d.errors import InputError
            from depth3d.io.inputs import is_one_file

            from .many_run import Naming, Run, is_one_film

            if ray_address and engine != "ray":
                raise InputError("--ray-address is for --engine ray; add it, or leave the address out")

            context = click.get_current_context()
            naming = Naming(
                name(params) if callable(name) else name,
                {key: value for key, value in (also or {}).items() if params[key] is not None},
                tuple(suffixes()),
                is_whole=takes_folder(params),
            )
            sources = {key: context.get_parameter_source(key) or ParameterSource.DEFAULT for key in params}
            is_one = len(photos) == 1 and (is_one_film if films else is_one_file)(photos[0])
            is_here = not any(isinstance(value, RemotePath) for value in (place(photos[0]), *params.values()))
            if is_one and is_here and engine == "local" and not resume and naming.is_plain(params):
                call_body(context.command, {**params, "photo": Path(photos[0])}, sources)
                return
            Run(
                command=" ".join(context.command_path.split()[1:]),
                params=params,
                sources=sources,
                naming=naming,
                beside=beside,
                suffixes=None if found_by is None else tuple(found_by(params)),
                jobs=1 if films and jobs is None else jobs,
                resume=resume,
                films=films,
                ray=(ray_address,) if engine == "ray" else None,
            ).go(photos, as_list=always_list or not is_one)

        options = compose(click.argument("photos", metavar=metavar, nargs=-1, required=True), _many)
        made: Callable[..., Any] = options(command)
        return made

    return decorate


def found_files(
    names: Sequence[str],
    *,
    suffixes: Sequence[str] | None = None,
    kind: Literal["photos", "depth"] | None = "photos",
) -> tuple[Path, ...]:
    """Find the files on this machine that names stand for, for commands that look at all of them together.

    Args:
        names: Files, folders, globs and lists.
        suffixes: By which files are found in folders; None is those of photos.
        kind: As for `find_inputs`.

    Raises:
        InputError: Nothing is found, or a name is a URL.
        FileError: A folder or a list can't be read.
    """
    from depth3d.errors import InputError
    from depth3d.io.inputs import PHOTO_SUFFIXES, find_inputs

    found = find_inputs(names, suffixes=PHOTO_SUFFIXES if suffixes is None else suffixes, kind=kind)
    for one in found:
        if isinstance(one.path, RemotePath):
            raise InputError(f"{one.path} is a URL, and this command reads files; copy it here first")
    return tuple(Path(str(one.path)) for one in found)
