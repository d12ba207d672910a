"""`depth3d`: the group of commands, which loads a command's file only when it is used."""

from __future__ import annotations

import errno
import logging
import os
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from typing import Any

import click

from depth3d._version import __version__
from depth3d.errors import Depth3DError

from .console import one_line, verbosity
from .profiling import AS_PROCESS
from .quick_exit import quick_exit

__all__ = ["cli", "main"]

COMMANDS = {
    "estimate": "Estimate depth maps of photos.",
    "cloud": "Make a point cloud from a photo.",
    "mesh": "Make a mesh from a photo.",
    "calibrate": "Turn relative depth into metres by what is known about the scene.",
    "measure": "Measure distances between points of a photo.",
    "bokeh": "Blur a photo as a wide open lens would.",
    "matte": "Cut a photo by depth: mattes, cutouts, backgrounds.",
    "effect": "Fog, flash, colour splash and dimming by depth.",
    "parallax": "Move a camera through a photo: a film, or a page that moves.",
    "stereo": "Show a photo to both eyes: pairs, anaglyphs, wiggles, quilts.",
    "video": "Make a film of a film: depth, bokeh, stereo ...",
    "fuse": "Fuse photos with depth and poses into one mesh or cloud.",
    "camera": "Show, convert and calibrate camera intrinsics.",
    "inspect": "Describe a photo, film, depth map, cloud, mesh, camera or calibration.",
    "models": "List the networks and download them.",
    "evaluate": "Score depth maps against true ones.",
    "train": "Fine-tune a network on your own photos.",
    "export": "Write a network as a file for other programs.",
    "doctor": "Check versions, devices and optional features.",
}
"""Name -> short help, beside the commands so that `--help` imports none of them."""


_OF_STREAMS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""What writing to a full disk, or to a standard output that is closed, ends with."""


class LazyGroup(click.Group):
    """A group whose commands live in `depth3d_cli.commands.<name>` as `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order in which people use them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f".commands.{cmd_name}", __package__)
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run, and turn an error into one line; `-vv` shows the traceback."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Depth3DError as error:
            if verbosity() >= 2:
                raise
            raise click.ClickException(one_line(str(error))) from error
        except MemoryError as error:
            raise click.ClickException("out of memory; use a smaller photo or --input-size") from error
        except BrokenPipeError:
            raise click.exceptions.Exit(1) from None  # the reader of our output has gone
        except OSError as error:
            if error.filename is not None or error.errno not in _OF_STREAMS:
                raise
            with suppress(OSError):  # else Python tries once more at its end, and complains
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise click.ClickException(
                f"can't print the result: {error.strerror}; free space, or send it elsewhere"
            ) from error
        except Exception as error:
            if verbosity() >= 2:
                raise
            raise click.ClickException(
                f"a bug in depth3d ({type(error).__name__}: {error}); run again with -vv and report it"
            ) from error


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "show_default": True,
        "auto_envvar_prefix": "DEPTH3D",
        "max_content_width": 100,
    },
)
@click.version_option(__version__, "-V", "--version", message="depth3d %(version)s")
def cli() -> None:
    """One photo in, three dimensions out: depth, cameras, point clouds and meshes.

    \b
    depth3d estimate photo.jpg -o depth.png --preview
    depth3d cloud photo.jpg -o cloud.ply
    depth3d mesh photo.jpg -o mesh.glb
    """


def main() -> None:
    """Run the command line, without the warnings that libraries address to programmers."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it speaks of homes that can't be written
    # Threads that wait for others sleep: where other programs, or other stages of a film, keep the processors
    # busy, those that spin take the time of those they wait for. Read by OpenMP when PyTorch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # OpenVINO's converter, which we don't use, takes longer to import than the rest of it, and reports home.
    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    try:
        cli(prog_name="depth3d", obj=AS_PROCESS)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            quick_exit(stop.code or 0)
        raise
