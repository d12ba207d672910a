"""The report of a calibration: what was known, how well it fits, and how sure the metres are, in one file."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depth3d.calibrate.calibration import Calibration
from depth3d.calibrate.next_measurement import NextMeasurement, next_measurement
from depth3d.calibrate.references import DepthSamples, Reference
from depth3d.calibration_figures import draw_depth, draw_fit, draw_picture, draw_sigma, thumbnail
from depth3d.errors import InputError, UnsupportedFormatError
from depth3d.io.atomic import writing
from depth3d.io.images import IMAGE_SUFFIXES, save_image
from depth3d.metres import fit_sentence
from depth3d.photo_depth import PhotoDepth

__all__ = [
    "ReferenceRow",
    "check_report_suffix",
    "law_lines",
    "next_to_measure",
    "reference_rows",
    "save_report",
]

_HTML_SUFFIXES = (".html", ".htm")
_MOST_ROWS_IN_PICTURE = 14
_WORTH_IT = 0.99

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 2rem auto; max-width: 1180px; padding: 0
1rem } h1 { font-size: 1.35rem; font-weight: 600 } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem }
table { border-collapse: collapse } td, th { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align:
top } td.n { text-align: right; font-variant-numeric: tabular-nums } tr.out td { color: #b3261e }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(460px, 1fr)); gap: 1.2rem }
img { width: 100% } .next { background: #fff6d6; padding: .5rem .8rem; border-radius: 6px }
"""


@dataclass(frozen=True, slots=True)
class ReferenceRow:
    """What a calibration says about one reference.

    Attributes:
        number: From 1, as in the pictures.
        name: What it is.
        used: Whether the fit used it.
        residual_m: What the fit makes of its length, less that; NaN where it states none.
        residual_rel: The same as a share of the length, or NaN.
    """

    number: int
    name: str
    used: bool
    residual_m: float
    residual_rel: float

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """Number, name, fate, metres and percent, as text."""
        # Adding 0 takes the sign off a -0.
        metres = "" if math.isnan(self.residual_m) else f"{round(self.residual_m, 3) + 0.0:+.3f} m"
        percent = round(100 * self.residual_rel, 1) + 0.0
        share = "" if math.isnan(percent) else f"{percent:+.1f} %"
        return str(self.number), self.name, "used" if self.used else "rejected", metres, share


def reference_rows(calibration: Calibration, references: Sequence[Reference]) -> list[ReferenceRow]:
    """Pair references with what their calibration says about them.

    Args:
        calibration: Fitted to them.
        references: In the same order.
    """
    rows = []
    for index, reference in enumerate(references):
        residual = calibration.residuals_m[index]
        rows.append(
            ReferenceRow(
                index + 1,
                repr(reference),
                calibration.inliers[index],
                residual,
                residual / _length_of(reference),
            )
        )
    return rows


def law_lines(calibration: Calibration) -> list[tuple[str, str]]:
    """Say what was fitted and how well, as names and values."""
    quality, lines = calibration.quality, []
    unit = "1/m" if calibration.space == "disparity" else "m"
    sigma: list[float] = []
    if calibration.covariance is not None and calibration.form != "spline":
        sigma = [math.sqrt(max(0.0, row[i])) for i, row in enumerate(calibration.covariance)]
    form = "1/z = scale * d + shift" if calibration.space == "disparity" else "z = scale * z_map + shift"
    if calibration.form == "scale":
        form = form.removesuffix(" + shift")
    bent = {"tilted": ", tilted across the picture", "spline": ", bent"}.get(calibration.form, "")
    lines.append(("law", form + bent))
    spread = f" +- {sigma[0]:.2g}" if sigma else ""
    lines.append(("scale", f"{calibration.scale:.5g}{spread}"))
    if calibration.form != "scale":
        spread = f" +- {sigma[1]:.2g}" if len(sigma) > 1 else ""
        lines.append(("shift", f"{calibration.shift:.5g}{spread} {unit}"))
    lines.append(("map's own error", f"{100 * calibration.misfit_rel:.2g} % of a distance"))
    for name, label in (
        ("leave_one_out_rel", "error at references left out"),
        ("coverage", "range of the map that references cover"),
        ("extrapolated", "picture beyond all references"),
        ("invalid", "picture at or beyond infinity"),
    ):
        share = quality.get(name)
        if isinstance(share, float):
            lines.append((label, f"{100 * share:.3g} %"))
    return lines


def next_to_measure(calibration: Calibration, photo: PhotoDepth) -> NextMeasurement | None:
    """Tell which distance to measure next.

    Returns:
        The place; None where one more distance would hardly help, as what is unsure is the map itself, and
        where the calibration does not know how sure it is.
    """
    try:
        following = next_measurement(calibration, photo.depth)
    except InputError:
        return None
    return following if following.sigma_after < _WORTH_IT * following.sigma_before else None


def check_report_suffix(path: str | Path) -> None:
    """Refuse the name of a report that is neither HTML nor a picture.

    Raises:
        UnsupportedFormatError: It is not.
    """
    known = (*_HTML_SUFFIXES, *IMAGE_SUFFIXES)
    if Path(path).suffix.lower() not in known:
        raise UnsupportedFormatError(f"{path} is no report's name; use one of {', '.join(known)}")


def save_report(
    path: str | Path,
    photo: PhotoDepth,
    references: Sequence[Reference],
    calibration: Calibration,
    *,
    overwrite: bool = True,
) -> None:
    """Write the report of a calibration: one HTML file with its pictures inside, or one picture.

    It shows the photo with its references, used and rejected, and where to measure next; the law with its
    68 % band over the references; how sure each pixel is; the metric depth; and a table.

    Args:
        path: Ends in .html, or as a picture does.
        photo: The photo, with its depth as it came.
        references: What the calibration was fitted to.
        calibration: The fit.
        overwrite: Whether an existing file may be replaced.

    Raises:
        UnsupportedFormatError: The suffix is neither.
        FileError: The file can't be written.
    """
    check_report_suffix(path)
    following = next_to_measure(calibration, photo)
    if Path(path).suffix.lower() not in _HTML_SUFFIXES:
        save_image(_picture(photo, references, calibration, following), path, overwrite=overwrite)
        return
    text = _html(photo, references, calibration, following)
    with writing(path, overwrite=overwrite) as partial:
        partial.write_text(text, encoding="utf-8")


def _panels(
    photo: PhotoDepth,
    references: Sequence[Reference],
    calibration: Calibration,
    following: NextMeasurement | None,
) -> list[tuple[str, Any]]:
    """Give titles and functions that draw into axes."""
    small = thumbnail(photo)
    return [
        ("What is known", lambda axes: draw_picture(axes, photo, references, calibration, following)),
        ("The law", lambda axes: draw_fit(axes, photo, references, calibration)),
        ("How sure each distance is", lambda axes: draw_sigma(axes, small, calibration)),
        ("Depth in metres", lambda axes: draw_depth(axes, small, calibration)),
    ]


def _picture(
    photo: PhotoDepth,
    references: Sequence[Reference],
    calibration: Calibration,
    following: NextMeasurement | None,
) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = reference_rows(calibration, references)
    shown = [row.cells for row in rows[:_MOST_ROWS_IN_PICTURE]]
    if len(rows) > len(shown):
        shown.append(("", f"and {len(rows) - len(shown)} more", "", "", ""))
    lines = max(len(shown), len(law_lines(calibration))) + 2 + (following is not None)
    below_inches = 0.24 * lines
    tall = 11.0 + below_inches
    figure = Figure(figsize=(15, tall), dpi=100)
    sides = {"left": 0.035, "right": 0.955, "top": 1 - 0.8 / tall, "bottom": 0.1 / tall}
    grid = figure.add_gridspec(3, 2, height_ratios=(5, 5, below_inches), **sides, hspace=0.14, wspace=0.13)
    figure.suptitle(fit_sentence(calibration), fontsize=14, y=1 - 0.25 / tall)
    for i, (title, draw) in enumerate(_panels(photo, references, calibration, following)):
        axes = figure.add_subplot(grid[i // 2, i % 2])
        draw(axes)
        axes.set_title(title)
    below = figure.add_subplot(grid[2, :])
    below.set(xlim=(0, 1), ylim=(lines, 0))
    below.axis("off")
    style: dict[str, Any] = {"fontsize": 10, "va": "center", "clip_on": True}
    for y, cells in enumerate(shown):
        color = "#b3261e" if cells[2] == "rejected" else "#222222"
        for x, cell, side in zip((0.0, 0.02, 0.41, 0.53, 0.58), cells, "lllrr", strict=True):
            ha = "right" if side == "r" else "left"
            below.text(x, y + 0.5, _short(cell, 68), color=color, ha=ha, **style)
    for y, (name, value) in enumerate(law_lines(calibration)):
        below.text(0.63, y + 0.5, name, color="#666666", **style)
        below.text(0.86, y + 0.5, value, **style)
    if following is not None:
        below.text(0, lines - 0.6, f"Next: {following.sentence}", weight="bold", **style)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _html(
    photo: PhotoDepth,
    references: Sequence[Reference],
    calibration: Calibration,
    following: NextMeasurement | None,
) -> str:
    write = html.escape
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Calibration</title>",
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{write(fit_sentence(calibration))}</h1>",
        f"<p>Depth: {write(photo.source)}. Camera: {write(repr(photo.camera))}.</p>",
    ]
    notes = (*photo.notes, *calibration.notes)
    if notes:
        parts.append("<ul>" + "".join(f"<li>{write(line)}</li>" for line in notes) + "</ul>")
    if following is not None:
        parts.append(f"<p class='next'><b>Next:</b> {write(following.sentence)}.</p>")
    parts.append("<div class='panels'>")
    for title, draw in _panels(photo, references, calibration, following):
        encoded = base64.b64encode(_panel_png(draw)).decode("ascii")
        parts.append(f"<div><h2>{title}</h2><img alt='{title}' src='data:image/png;base64,{encoded}'></div>")
    parts.append("</div><h2>References</h2><table>")
    parts.append("<tr><th></th><th>reference</th><th></th><th>off by</th><th></th></tr>")
    for row in reference_rows(calibration, references):
        number, name, fate, metres, share = (write(cell) for cell in row.cells)
        mark = "" if row.used else " class='out'"
        parts.append(
            f"<tr{mark}><td>{number}</td><td>{name}</td><td>{fate}</td><td class='n'>{metres}</td>"
            f"<td class='n'>{share}</td></tr>"
        )
    parts.append("</table><h2>Fit</h2><table>")
    parts += [f"<tr><td>{write(n)}</td><td>{write(v)}</td></tr>" for n, v in law_lines(calibration)]
    parts.append("</table></body></html>\n")
    return "\n".join(parts)


def _panel_png(draw: Any) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 5.4), dpi=120, layout="constrained")
    draw(figure.add_subplot())
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _length_of(reference: Reference) -> float:
    if isinstance(reference, DepthSamples):
        return float(np.median(reference.depth_m))
    names = ("depth_m", "range_m", "length_m", "size_m", "height_m")
    return next((float(getattr(reference, name)) for name in names if hasattr(reference, name)), math.nan)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
