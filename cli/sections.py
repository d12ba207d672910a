"""Help that lists options by section, for commands with many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["SectionedCommand", "section"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Decorator = Callable[[Any], Any]

_REST = "Options"


class SectionedCommand(click.Command):
    """A command whose help lists the options of each `section` under its heading, and the rest first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, each section where its first option stands."""
        sections: dict[str, list[tuple[str, str]]] = {_REST: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):  # newer clicks list arguments
                sections.setdefault(getattr(parameter, "section", _REST), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def section(heading: str, *decorators: _Decorator) -> _Decorator:
    """Stack option decorators in the order given, under a heading in the help of a `SectionedCommand`."""

    def apply(function: _Function) -> _Function:
        before = len(getattr(function, "__click_params__", ()))
        for decorator in reversed(decorators):
            function = decorator(function)
        for option in getattr(function, "__click_params__", ())[before:]:
            option.section = heading
        return function

    return apply
