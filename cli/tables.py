"""Tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["print_table"]

_WIDTH_OF_A_PIPE = 200
"""Columns where no terminal tells its width: a table that is read by a program must not be folded."""


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """Print a table: the first column to the left, numbers to the right.

    Args:
        header: Names of the columns.
        rows: Cells, as many a row as there are names.
        title: Line above it.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(
        file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
    )
    if title:
        console.print(Text(title, "bold"))
    console.print(table)
