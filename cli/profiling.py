"""`--profile`: where the time of a command went, on stderr when it ends."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

__all__ = ["AS_PROCESS", "profile_option"]

AS_PROCESS = "depth3d.as_process"
"""What the outermost context is told where the command is the whole process, whose start counts, too."""


def _on_profile(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    root = ctx.find_root()
    if value and not ctx.resilient_parsing and not root.meta.get("depth3d.profile"):
        root.meta["depth3d.profile"] = True
        command = " ".join(ctx.command_path.split()[1:])
        root.with_resource(_profiled(command, _process_age_s() if root.obj == AS_PROCESS else 0.0))


profile_option = click.option(
    "--profile", is_flag=True, expose_value=False, callback=_on_profile, is_eager=True,
    envvar="DEPTH3D_PROFILE", help="Tell on stderr where the time went: reading, network, writing ...",
)  # fmt: skip


@contextmanager
def _profiled(command: str, age_s: float) -> Iterator[None]:
    """Measure until the outermost context ends; what is in no other stage is the command's own."""
    from depth3d.core.stages import profiled, stage

    try:
        with profiled(time.perf_counter() - age_s) as profile:
            if age_s:
                profile.add("start-up", age_s)
            with stage(f"depth3d {command}"):
                yield
    finally:  # of many photos some may have failed
        click.echo(str(profile), err=True)


def _process_age_s() -> float:
    """Tell how long this process runs; where the system does not say, how long since this was imported."""
    try:
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return time.perf_counter() - _IMPORTED_S
    return max(age_s, time.perf_counter() - _IMPORTED_S)


_IMPORTED_S = time.perf_counter()
