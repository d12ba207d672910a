"""The tables of `depth3d evaluate`."""

from __future__ import annotations

from typing import Any

from .tables import print_table

__all__ = ["LABELS", "print_errors", "print_scenes"]

LABELS = {
    "abs_rel": ("AbsRel", "0"),
    "sq_rel_m": ("SqRel (m)", "0"),
    "rmse_m": ("RMSE (m)", "0"),
    "rmse_log": ("RMSE log", "0"),
    "log10": ("log10", "0"),
    "silog_half": ("SiLog, lambda 0.5", "0"),
    "silog_kitti": ("SiLog, lambda 1, x100", "0"),
    "delta1": ("delta < 1.25", "1"),
    "delta2": ("delta < 1.25^2", "1"),
    "delta3": ("delta < 1.25^3", "1"),
    "spearman": ("Spearman", "1"),
    "boundary_f1": ("Boundary F1", "1"),
    "coverage": ("Coverage", "1"),
}
"""Measure -> what papers call it, and its best value."""

_OF_A_PICTURE = ("abs_rel", "delta1", "rmse_m", "log10", "spearman", "boundary_f1", "coverage")
_MOST_ROWS, _WORST_ROWS = 20, 5


def print_errors(report: dict[str, Any]) -> None:
    """Print a table of the pictures, of many only the worst, and one of all numbers.

    Args:
        report: From `depth3d.evaluate_files.report_of`.
    """
    protocol = report["protocol"]
    if not report["evaluated"]:
        return
    way = (
        f"protocol {protocol['name']} (crop {protocol['crop']}, {protocol['min_depth_m']:g} to "
        f"{protocol['max_depth_m']:g} m), align {report['align']}"
    )
    done = sorted(
        (row for row in report["pictures"] if "error" not in row), key=lambda row: _worth(row["abs_rel"])
    )
    if len(done) > 1:
        worst = len(done) > _MOST_ROWS
        rows = done[-_WORST_ROWS:][::-1] if worst else sorted(done, key=lambda row: str(row["name"]))
        print_table(
            ["", *(LABELS[name][0] for name in _OF_A_PICTURE)],
            [[row["name"], *(_cell(row[name]) for name in _OF_A_PICTURE)] for row in rows],
            title=f"The {_WORST_ROWS} worst of {len(done)} pictures" if worst else f"{len(done)} pictures",
        )
        columns = {"mean": report["mean"], "median": report["median"]}
    else:
        columns = {done[0]["name"]: done[0]}
    print_table(
        ["", *columns, "perfect"],
        [
            [label, *(_cell(of[name]) for of in columns.values()), best]
            for name, (label, best) in LABELS.items()
        ],
        title=way[0].upper() + way[1:],
    )


def print_scenes(report: dict[str, Any]) -> None:
    """Print the accuracy of each kind of scene, their mean, and that of all pairs.

    Args:
        report: From `depth3d.da2k_files.da2k_report`.
    """
    if not report["pairs"]:
        return
    rows = [[scene, str(of["pairs"]), _cell(of["accuracy"])] for scene, of in report["scenes"].items()]
    rows.append(["mean of scenes", "", _cell(report["scene_mean"])])
    rows.append(["all pairs", str(report["pairs"]), _cell(report["accuracy"])])
    print_table(["Scene", "Pairs", "Accuracy"], rows)


def _cell(value: float) -> str:
    return f"{value:.4f}" if value - value == 0 else "-"


def _worth(abs_rel: float) -> float:
    """Sort pictures without an AbsRel first."""
    return abs_rel if abs_rel - abs_rel == 0 else -1.0
