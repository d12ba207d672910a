"""Make BENCHMARKS.md of the JSON files that the benchmarks wrote.

    python tests/benchmarks/report.py FOLDER [--output BENCHMARKS.md]

Ratios (columns whose name begins with `over`) below 1 are bold: there we lose.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {
    "cloud": "Point clouds",
    "startup": "The whole command, photo to cloud",
    "estimate": "Networks",
    "batch": "Batches",
    "gpu": "GPU",
    "mini": "The small network",
    "tokens": "Constant tokens",
    "growth": "Growth",
    "mesh": "Meshes",
    "bokeh": "Bokeh",
    "views": "Views",
    "video": "Films",
    "flicker": "Flicker",
    "folders": "Folders",
    "calibrate": "Calibration",
}
"""The order of the sections, by benchmark."""
HEAD = """\
# Benchmarks

Made by `make bench` (`make bench FULL=1` for the long runs); written by
[tests/benchmarks/report.py](tests/benchmarks/report.py), not by hand.

Each figure is the median of the rounds, with the smallest and the largest in brackets. Contenders take turns
in one run; a ratio is taken round by round and is above 1 where depth3d is faster or smaller, and **bold
below 1, where it loses**. The whole contract stands at the top of
[tests/benchmarks/contract.py](tests/benchmarks/contract.py), what is compared with what at the top of each
script. Networks have the real architecture and random weights.
"""


def markdown(title: str, rows: dict[str, dict[str, Any]]) -> str:
    """Write one table; columns are those of all rows, in the order in which they come up."""
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    lines = [[title, *columns], ["---", *("--:" for _ in columns)]]
    for name, row in rows.items():
        lines.append([name, *(cell(column, row.get(column)) for column in columns)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def cell(column: str, figure: Any) -> str:
    """Write one figure: a number, a text, a spread, or none."""
    if figure is None:
        return "-"
    if isinstance(figure, str):
        return figure
    if not isinstance(figure, dict):
        return _marked(column, figure, _number(figure))
    median, least, most = (figure[name] for name in ("median", "min", "max"))
    text = _number(median)
    if least != most:
        text += f" ({_number(least)} to {_number(most)})"
    return _marked(column, median, text)


def _marked(column: str, value: float, text: str) -> str:
    return f"**{text}**" if column.startswith("over") and value < 1 else text


def _number(value: float) -> str:
    if value != value:
        return "-"
    if isinstance(value, bool) or value == 0:
        return str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def read_reports(folder: Path) -> list[dict[str, Any]]:
    """Read all runs, in the order of the sections.

    Raises:
        SystemExit: There is none.
    """
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not found:
        raise SystemExit(f"no results in {folder}; run: make bench")
    order = list(SECTIONS)
    return sorted(found, key=lambda r: order.index(r["bench"]) if r["bench"] in order else len(order))


def as_markdown(reports: list[dict[str, Any]]) -> str:
    """Write the page."""
    parts = [HEAD, machines(reports)]
    last = None
    for report in reports:
        if report["bench"] != last:
            last = report["bench"]
            script = f"tests/benchmarks/bench_{last}.py"
            parts.append(f"## {SECTIONS.get(last, last)}\n\nWhat is compared: [{script}]({script}).\n")
        parts += [circumstances(report), *(markdown(*table) for table in report["results"].items())]
    return "\n".join(parts)


def circumstances(report: dict[str, Any]) -> str:
    """Tell in a line how a run was made, and whether it failed."""
    settings = [f"{name} {_setting(value)}" for name, value in report["settings"].items()]
    load = "load {load_before} to {load_after}".format(**report["environment"])
    command = f"`{report['command']}`: " if "command" in report else ""
    facts = ", ".join([*settings, load, report["date"][:10], f"commit {report['commit']}"])
    failed = f"\n\n**Failed**: {report['failed']}." if "failed" in report else ""
    return f"{command}{facts}.{failed}\n"


def machines(reports: list[dict[str, Any]]) -> str:
    """Describe each kind of machine, and the versions, that the runs have seen."""
    left_out = {"load_before", "load_after"}
    kinds: dict[str, list[str]] = {}
    for report in reports:
        facts = {k: v for k, v in report["environment"].items() if k not in left_out and v not in (None, "")}
        kinds.setdefault("; ".join(f"{k} {v}" for k, v in facts.items()), []).append(report["bench"])
    if len(kinds) == 1:
        return f"Measured on: {next(iter(kinds))}.\n"
    lines = [f"- {', '.join(dict.fromkeys(benches))}: {facts}." for facts, benches in kinds.items()]
    return "\n".join(["Measured on:\n", *lines]) + "\n"


def _setting(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def write(folder: Path, output: Path) -> None:
    """Make the page of a folder of results."""
    output.write_text(as_markdown(read_reports(folder)))


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--output", type=Path, default=ROOT / "BENCHMARKS.md")
    asked = options.parse_args()
    write(asked.folder, asked.output)


if __name__ == "__main__":
    main()
