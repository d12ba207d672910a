"""Parameter types: numbers with commas between them, sizes such as 9x6, and angles that may be `auto`."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["FieldOfView", "GridSize", "NumberPair", "Numbers"]


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


class Numbers(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """Several numbers with commas between them.

    Args:
        names: What each is, with commas between; in brackets at the end what may be left out.
        example: Such numbers.
    """

    def __init__(self, names: str, example: str) -> None:
        self.name = names
        self.most = names.count(",") + 1
        self.least = names.partition("[")[0].count(",") + 1
        self.example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse `"320,410,0.82"` to `(320.0, 410.0, 0.82)`."""
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        finite = all(number - number == 0 for number in numbers)
        if not (self.least <= len(numbers) <= self.most and finite):
            self.fail(f"{value!r} must be numbers {self.name}, such as {self.example}", param, ctx)
        return numbers


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


class FieldOfView(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """Degrees, or the word auto."""

    name = "DEG|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse `"62.5"` to 62.5, and leave `"auto"` as it is."""
        if value == "auto" or isinstance(value, float):
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} must be degrees such as 62.5, or auto", param, ctx)
