"""Reports of an evaluation: all of it as JSON, or a table with a row a picture."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from depth3d.errors import UnsupportedFormatError
from depth3d.io.atomic import writing

__all__ = ["REPORT_SUFFIXES", "check_report_suffix", "write_report"]

REPORT_SUFFIXES = (".csv", ".json")


def write_report(report: dict[str, Any], path: Path, *, overwrite: bool = False) -> None:
    """Write a report, whole or not at all.

    Args:
        report: Names and values of JSON types, NaN allowed; `pictures` is a list of rows.
        path: `.json` for all of it, `.csv` for a row a picture.
        overwrite: Whether an existing file may be replaced.

    Raises:
        UnsupportedFormatError: Another suffix.
        FileError: The file can't be written.
    """
    check_report_suffix(path)
    with writing(path, overwrite=overwrite) as partial:
        if path.suffix.lower() == ".json":
            partial.write_text(
                json.dumps(_finite(report), indent=2, allow_nan=False) + "\n", encoding="utf-8"
            )
            return
        rows = report["pictures"]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = csv.DictWriter(file, columns)
            table.writeheader()
            table.writerows(_finite(rows))


def check_report_suffix(path: Path) -> None:
    """Refuse a name that is no report's.

    Raises:
        UnsupportedFormatError: Another suffix than `.csv` or `.json`.
    """
    if path.suffix.lower() not in REPORT_SUFFIXES:
        raise UnsupportedFormatError(f"{path} has a suffix that is no table's; use .csv or .json")


def _finite(value: Any) -> Any:
    """Replace NaN, which JSON does not know, by None; a table leaves the cell empty."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
