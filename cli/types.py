"""Parameter types: numbers with commas between them, sizes such as 9x6, shapes, angles that may be `auto`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from depth3d.io.remote import RemotePath, is_url

__all__ = ["Aspect", "FieldOfView", "FilePath", "FrameSize", "GridSize", "NumberPair", "Numbers"]


class FilePath(click.Path):
    """The name of a file or folder, as a `pathlib.Path`, or a URL as a `RemotePath`.

    Args:
        urls: Whether files on shared storage, such as `s3://bucket/a.png`, are taken.
    """

    def __init__(self, *, urls: bool = False) -> None:
        super().__init__(path_type=Path)
        self.urls = urls

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a name; `Path("s3://a")` would fold the two slashes into one."""
        if isinstance(value, RemotePath) or not is_url(value):
            return value if isinstance(value, RemotePath) else super().convert(value, param, ctx)
        if not self.urls:
            self.fail(f"{value!r} is on shared storage, where this can't be; copy the file here", param, ctx)
        return RemotePath(value)


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


class FrameSize(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """Width and height in pixels with an x between them, or the longer side alone."""

    name = "WxH|SIDE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse `"1080x1920"` to `(1080, 1920)` and `"1920"` to 1920."""
        if isinstance(value, tuple | int):
            return value
        try:
            sides = tuple(int(part) for part in str(value).lower().split("x"))
        except ValueError:
            sides = ()
        if len(sides) not in (1, 2):
            self.fail(f"{value!r} must be pixels WIDTHxHEIGHT or one side, such as 1920x1080", param, ctx)
        return sides if len(sides) == 2 else sides[0]


class Aspect(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """Width by height: two numbers with a colon between them, or their quotient."""

    name = "W:H"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse `"16:9"` to 1.777..."""
        if isinstance(value, float):
            return value
        first, colon, second = str(value).partition(":")
        try:
            return float(first) / (float(second) if colon else 1)
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} must be width by height such as 16:9", param, ctx)


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
