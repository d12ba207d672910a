"""A command's body, called for one photo: with its options as they were given, anywhere, in any thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .console import listening

if TYPE_CHECKING:
    from depth3d.many_files import Made, Task

__all__ = ["CommandCall", "call_body", "run_call"]


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
    from depth3d.core.stages import stage
    from depth3d.errors import Depth3DError
    from depth3d.many_files import EndOfRunError, Made

    call: CommandCall = task.call
    params = {**call.params, "photo": task.input}
    params |= dict(zip(call.outputs, task.outputs, strict=False))
    params |= dict(zip(call.reads, task.reads, strict=False))
    with listening() as said:
        try:
            with stage(f"depth3d {call.command}"):
                call_body(_command_named(call.command), params, call.sources)
        except Depth3DError as error:
            if said.opened:
                raise
            raise EndOfRunError(str(error)) from error
    return Made({"photo": str(task.input), **said.facts}, said.summary, tuple(said.notes))


def call_body(
    command: click.Command, params: Mapping[str, Any], sources: Mapping[str, ParameterSource]
) -> None:
    """Call the function of a command in a context of its own.

    Args:
        command: Made with `many_photos`, whose function takes one photo.
        params: What the function takes.
        sources: Where each parameter came from; the others count as not given.
    """
    context = click.Context(command, info_name=command.name)
    context.params = dict(params)
    for name, source in sources.items():
        context.set_parameter_source(name, source)
    function = command.callback
    assert function is not None
    body: Callable[..., Any] = getattr(function, "__wrapped__", function)
    with context.scope(cleanup=False):
        body(**params)


def _command_named(name: str) -> click.Command:
    first, *inner = name.split()
    command: click.Command = import_module(f".commands.{first}", __package__).command
    for word in inner:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    return command
