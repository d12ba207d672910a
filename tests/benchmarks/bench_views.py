"""Views of one photo against ray-traced views, other ways to make them, and what they cost.

Contract. Scenes of `view_truth` at 640x480, six kinds, each seen from five other places: 3 to 5 % of the
width of parallax sideways, upwards, in, out, and any way with a turn of up to a degree about each axis. Every
method gets the same photo and the same depth: the exact one, then one as networks give it
(`view_truth.as_network`), with which the others are tried as it is and with its edges snapped, too. PSNR in
dB and SSIM, of bytes, in parts of the view:

    whole        everything, also what the photo's frame does not hold
    inside       what it holds
    hidden       inside, but another surface hides it from the photo's camera
    band         7 pixels across silhouettes of the view, without what is hidden
    band+hidden  both
    rest         inside, neither
    outside      what lies beyond the photo's frame

Part means are those over views in which the part has 50 pixels. `true hidden` is ours with the colours and
the depth behind each surface rendered instead of guessed. `gather` is no peer's but the least that layers
should reach. A zero pose must give the photo back.

`--stability`: 24 frames of a slow sway. Each is warped back by the true geometry, where the photo's points
are seen; flicker is the mean change of the residual from frame to frame, in 8-bit levels, and that of hidden
parts the change of what both frames show and the photo does not.

`--large`: seconds to build the layers, milliseconds a frame and peak resident memory, in fresh processes.

    python tests/benchmarks/bench_views.py [--seeds 1 2] [--kinds cards] [--cache FOLDER] [--output x.json]
    python tests/benchmarks/bench_views.py --stability | --large [--heights 1080] [--threads 2] [--rounds 3]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import bokeh_truth
import contract
import numpy as np
import torch
import view_baselines as baselines
import view_cost
import view_scenes
import view_truth as truths

import depth3d as d3
from depth3d.render.cuts import find_joints

ALONG = truths.MOTIONS[:2]
PARTS = ("whole", "inside", "hidden", "band", "band+hidden", "rest", "outside")
OURS = ("ours", "ours 2x", "true hidden")
LEAST_PIXELS = 50


def scene_of(place: truths.Place, near: Any) -> d3.RGBD:
    """Make metric depth of 1/z; what is as good as infinitely far away is unknown."""
    far = near <= 1e-4 * near.max()
    with np.errstate(divide="ignore"):
        z = np.where(far, np.nan, 1 / near).astype(np.float32)
    return d3.RGBD(place.photo, d3.DepthMap(z, "metric"), place.camera)


def margin_for(place: truths.Place, near: Any, pose: Any) -> int:
    """Tell how far a view looks beyond the photo's frame, at any depth of the scene."""
    camera, most = place.camera, 0.0
    for depth in (0.0, float(near.max())):
        flat = np.full(near.shape, depth, np.float32)
        u, v, _ = baselines.moved(flat, camera, np.linalg.inv(pose))
        most = max(most, -np.nanmin(u), -np.nanmin(v), np.nanmax(u) - camera.width)
        most = max(most, np.nanmax(v) - camera.height)
    return math.ceil(most) + 2


def layers_for(place: truths.Place, near: Any, truth: truths.Truth) -> Any:
    ways = {"sideways": (1.0, 0.0), "upwards": (0.0, 1.0)}
    return d3.layers(
        scene_of(place, near),
        reach_px=truth.shift_px + 1,
        margin_px=margin_for(place, near, truth.pose),
        motion=ways.get(truth.motion),
    )


def with_true_hidden(layers: Any, place: truths.Place) -> Any:
    """Give the hidden surface the colours and the depth that it has."""
    rim = truths.MARGIN_PX - layers.margin_px
    window = np.s_[rim : rim + layers.camera.height, rim : rim + layers.camera.width]
    color, near = (np.ascontiguousarray(a[window]) for a in place.behind)
    there = layers.back.alpha > 0
    joints = find_joints(np.where(there, near, -1e9), float(near.max()) / max(layers.reach_px, 1))
    right, down = joints.right & there, joints.down & there
    right[:, :-1] &= there[:, 1:]
    down[:-1] &= there[1:]
    back = replace(layers.back, color=color, inverse_depth=near, joined_right=right, joined_down=down)
    return replace(layers, back=back)


def ours(place: truths.Place, near: Any, truth: truths.Truth, exact: bool) -> dict[str, Any]:
    made = layers_for(place, near, truth)
    found = {
        "ours": next(d3.render_views(made, [truth.pose])),
        "ours 2x": next(d3.render_views(made, [truth.pose], supersample=2)),
    }
    if exact:
        found["true hidden"] = next(d3.render_views(with_true_hidden(made, place), [truth.pose]))
    if not np.array_equal(next(d3.render_views(made, [np.eye(4)])), place.photo):
        raise SystemExit(f"{place.name}: the zero pose does not give the photo back")
    return found


def others(place: truths.Place, near: Any, truth: truths.Truth, exact: bool) -> dict[str, Any]:
    methods = baselines.BASELINES | {baselines.FLOOR: baselines.gather}
    methods = methods | (baselines.ALONG_ROWS if truth.motion in ALONG else {})
    tried = dict.fromkeys(methods, near)
    if not exact:
        sharp = baselines.snapped(near)
        tried = dict.fromkeys(baselines.ON_SOFT, near) | {f"{name}, snapped": sharp for name in methods}
    return {
        name: methods[name.removesuffix(", snapped")](place.photo, depth, place.camera, truth.pose)
        for name, depth in tried.items()
    }


def scores(found: Any, truth: truths.Truth) -> dict[str, float]:
    """PSNR and SSIM in every part."""
    row, ssim = {}, bokeh_truth.ssim_map(found, truth.view)
    for part, where in truth.masks().items():
        if where.sum() >= LEAST_PIXELS:
            row[f"psnr {part}"] = bokeh_truth.psnr(found, truth.view, where)
            row[f"ssim {part}"] = float(ssim[where].mean())
    return row


def kept_others(cache: Path | None, place: truths.Place, exact: bool, views: list[Any]) -> dict[str, Any]:
    """Score the others, which change less often than ours: from a file, if there is one."""
    sources = b"".join(Path(m.__file__).read_bytes() for m in (baselines, truths, view_scenes))
    mark = hashlib.sha256(sources).hexdigest()[:10]
    path = cache and cache / f"{place.name.replace(' ', '_')}_{'exact' if exact else 'network'}_{mark}.json"
    if path and path.exists():
        return dict(json.loads(path.read_text()))
    near = place.disparity if exact else truths.as_network(place.disparity, place.seed)
    report = {}
    for truth in views:
        found = others(place, near, truth, exact)
        report[truth.motion] = {name: scores(image, truth) for name, (image, _) in found.items()}
        report[truth.motion]["holes"] = {name: int(holes.sum()) for name, (_, holes) in found.items()}
    if path:
        path.write_text(json.dumps(report))
    return report


def quality(options: argparse.Namespace, *, exact: bool) -> dict[str, Any]:
    report = {}
    for place, views in truths.all_truths(options.seeds, options.cache, options.kinds):
        chosen = [t for t in views if not options.motions or t.motion in options.motions]
        others_found = kept_others(options.cache, place, exact, views)
        near = place.disparity if exact else truths.as_network(place.disparity, place.seed)
        for truth in chosen:
            row = others_found[truth.motion]
            for name, image in ours(place, near, truth, exact).items():
                row[name] = scores(image, truth)
                if options.pictures:
                    keep(options.pictures, f"{place.name}_{truth.motion}_{name}", image)
            report[f"{place.name}, {truth.motion}"] = row
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return report


def keep(folder: Path, name: str, image: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    d3.save(image, folder / f"{name.replace(' ', '_')}.png", overwrite=True)


def mean_of(rows: list[dict[str, Any]], method: str, figure: str) -> float:
    found = [row[method][figure] for row in rows if figure in row.get(method, {})]
    return statistics.mean(found) if found else math.nan


def quality_tables(report: dict[str, Any], title: str) -> contract.Tables:
    rows = list(report.values())
    along = [row for name, row in report.items() if name.endswith(ALONG)]
    tables: contract.Tables = {}
    for group, chosen in (("all motions", rows), ("sideways and upwards", along)):
        if chosen and not (group == "all motions" and len(along) == len(rows)):
            tables[f"Views, {title}, {group}: mean of {len(chosen)}"] = means(chosen)
    return tables | {f"Views, {title}: ours (best other), ** where behind": each_view(report)}


def peers_in(row: dict[str, Any]) -> list[str]:
    return [m for m in row if m not in (*OURS, "holes") and not m.startswith(baselines.FLOOR)]


def means(chosen: list[dict[str, Any]]) -> dict[str, contract.Row]:
    names = [name for name in chosen[0] if name != "holes" and all(name in row for row in chosen)]
    table: dict[str, contract.Row] = {}
    for figure in (f"{kind} {part}" for part in PARTS for kind in ("psnr", "ssim")):
        digits = 2 if "psnr" in figure else 3
        values = {name: mean_of(chosen, name, figure) for name in names}
        best = max((values[name] for name in peers_in(values)), default=math.nan)
        table[figure] = {name: f"{value:.{digits}f}" for name, value in values.items()}
        table[figure]["ours over the best"] = f"{values['ours'] - best:+.{digits}f}"
    return table


def each_view(report: dict[str, Any]) -> dict[str, contract.Row]:
    figures = [f"psnr {part}" for part in ("whole", "inside", "hidden", "band", "rest")] + ["ssim hidden"]
    table: dict[str, contract.Row] = {}
    for name, row in report.items():
        cells: contract.Row = {}
        for figure in (figure for figure in figures if figure in row["ours"]):
            best = max((row[m].get(figure, math.nan), m) for m in peers_in(row))
            digits = 1 if "psnr" in figure else 2
            mark = " **" if row["ours"][figure] < best[0] else ""
            cells[figure] = f"{row['ours'][figure]:.{digits}f} ({best[0]:.{digits}f} {best[1]}){mark}"
        table[name] = cells
    return table


def main() -> None:
    parser = contract.parser(__doc__, rounds=1)
    parser.add_argument("--large", action="store_true", help="time large pictures instead")
    parser.add_argument("--heights", type=int, nargs="*", default=[1080, 2160], help="of the large pictures")
    parser.add_argument("--stability", action="store_true", help="measure flicker instead")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--kinds", nargs="*", help="of scenes; all unless told")
    parser.add_argument("--motions", nargs="*", help="all unless told")
    parser.add_argument("--depth", nargs="*", choices=("exact", "network"), default=["exact", "network"])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--cache", type=Path, help="folder of ray-traced views and scores of the others")
    parser.add_argument("--pictures", type=Path, help="folder for ours")
    parser.add_argument("--timed", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.timed:
        view_cost.timed(Path(options.timed[0]), options.timed[1], options.threads)
        return
    torch.set_num_threads(options.threads)
    settings: dict[str, Any] = {"threads": options.threads}
    results: contract.Tables = {}
    details: dict[str, Any] = {}
    if options.large:
        settings |= {"rounds": options.rounds, "frames": view_cost.TIMED_FRAMES}
        results = view_cost.large(options.threads, options.rounds, options.heights)
    elif options.stability:
        settings |= {"seeds": options.seeds}
        details["flicker"] = view_cost.stability(options, layers_for)
        results = view_cost.flicker_tables(details["flicker"])
    else:
        settings |= {"seeds": options.seeds}
        for depth in options.depth:
            details[depth] = quality(options, exact=depth == "exact")
            results |= quality_tables(details[depth], f"{depth} depth")
    contract.publish("views", results, output=options.output, settings=settings, details=details or None)


if __name__ == "__main__":
    main()
