"""Parameter types: pairs of numbers such as NEAR,FAR and 9x6."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["GridSize", "NumberPair"]


class NumberPair(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """Two numbers with a comma between them."""

    def __init__(self, first: str, second: str) -> None:
        self.name = f"{first},{second}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse `"1,10"` to `(1.0, 10.0)`."""
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        try:
            first, second = (float(part) for part in parts)
        except ValueError:
            self.fail(f"{value!r} must be two numbers {self.name}, such as 1,10", param, ctx)
        return first, second


class GridSize(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """Two whole numbers with an x between them."""

    name = "COLUMNSxROWS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse `"9x6"` to `(9, 6)`."""
        if isinstance(value, tuple):
            return value
        try:
            columns, rows = (int(part) for part in str(value).lower().split("x"))
        except ValueError:
            self.fail(f"{value!r} must be two whole numbers COLUMNSxROWS, such as 9x6", param, ctx)
        return columns, rows
