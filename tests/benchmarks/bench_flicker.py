"""Depth of films: how much it flickers and how true it stays, before and after, and what others do about it.

Contract. Films of `flicker_truth`: five ways to hold a camera, a thing that crosses the room, exact depth
and exact motion, depth with an affine of its own a frame and noise. Every method gets the same maps. After
one affine for the whole film, by least squares, shares of the spread of the true disparity in percent:

    flicker   root mean square of the change along the true motion, less the true change, where both frames
              show the point
    bursts    the same, 95th percentile over the frames
    error     root mean square of the difference from the truth
    edges     the same within 3 pixels of silhouettes
    mover     the same on the thing that moves, and 4 pixels around it
    new       the same where the frame before does not show the point

`--clip FILE`: a real film, some frames of it at a reduced size, with `mini`. There is no truth: flicker is
the root mean square change of pixels that neither flow nor picture moves from one frame to the next, as a
share of the film's spread; `--strip FILE` draws photo, raw and steady depth.

`--cost`: milliseconds a frame of 1080p on one core, without the network, and peak resident memory.

    python tests/benchmarks/bench_flicker.py [--seeds 0 1 2] [--cache FOLDER] [--output result.json]
    python tests/benchmarks/bench_flicker.py --clip FILE [--strip FILE] | --cost
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

import contract
import cv2
import flicker_baselines as baselines
import flicker_clip
import flicker_truth as truths
import numpy as np

import depth3d as d3
from depth3d.estimate.steady_depth import steady

FIGURES = ("flicker", "bursts", "error", "edges", "mover", "new")
OURS = ("causal", "offline")


def ours(film: truths.Film, maps: Any, mode: Any) -> Any:
    pairs = ((image, d3.DepthMap(m, "relative")) for image, m in zip(film.images, maps, strict=True))
    return np.stack([depth.values for depth in steady(pairs, mode=mode)])


def fitted(maps: Any, truth: Any) -> Any:
    """Bring a film to the truth by one affine."""
    x, y = maps.astype(np.float64), truth.astype(np.float64)
    centred = x - x.mean()
    scale = max(0.0, (centred * (y - y.mean())).sum() / np.square(centred).sum())
    return scale * centred + y.mean()


def scores(film: truths.Film, maps: Any) -> dict[str, float]:
    found, spread = fitted(maps, film.near), film.near.std()
    height, width = film.near.shape[1:]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
    jumps, parts = [], {name: [] for name in FIGURES[2:]}
    for k in range(1, len(found)):
        before = cv2.remap(found[k - 1].astype(np.float32), grid + film.flow[k], None, cv2.INTER_LINEAR)
        jump = (found[k] - before) - (film.near[k] - film.before[k])
        jumps.append(np.square(jump[film.seen[k]]).mean())
        wrong = np.square(found[k] - film.near[k])
        parts["error"].append(wrong)
        for name, where in regions(film, k).items():
            parts[name].append(wrong[where])
    root = {name: float(np.sqrt(np.concatenate([p.ravel() for p in v]).mean())) for name, v in parts.items()}
    found_jumps = {
        "flicker": float(np.sqrt(np.mean(jumps))),
        "bursts": float(np.sqrt(np.percentile(jumps, 95))),
    }
    return {name: 100 * value / float(spread) for name, value in (found_jumps | root).items()}


def regions(film: truths.Film, k: int) -> dict[str, Any]:
    near, kernel = film.near[k], np.ones((3, 3), np.uint8)
    step = cv2.dilate(near, kernel) - cv2.erode(near, kernel)
    edges = cv2.dilate((step > 0.1 * near).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return {
        "edges": edges,
        "mover": cv2.dilate(film.mover[k].astype(np.uint8), np.ones((9, 9), np.uint8)) > 0,
        "new": ~film.seen[k],
    }


def quality(options: argparse.Namespace) -> dict[str, Any]:
    report = {}
    for seed in options.seeds:
        for camera in options.cameras or truths.CAMERAS:
            film = truths.film(seed, camera, cache=options.cache)
            maps = truths.as_flickering(film.near, seed)
            made = {name: method(maps) for name, method in baselines.BASELINES.items()}
            made |= {name: ours(film, maps, name) for name in OURS}
            report[film.name] = {name: scores(film, found) for name, found in made.items()}
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return report


def quality_tables(report: dict[str, Any]) -> contract.Tables:
    films = list(report.values())
    means: dict[str, contract.Row] = {}
    for method in films[0]:
        values = {figure: statistics.mean(film[method][figure] for film in films) for figure in FIGURES}
        means[method] = {figure: f"{mean:.2f}" for figure, mean in values.items()}
    each: dict[str, contract.Row] = {}
    for name, film in report.items():
        each[name] = {}
        for figure in ("flicker", "error"):
            best = min((film[m][figure], m) for m in film if m not in OURS)
            each[name] |= {f"{figure}, {m}": f"{film[m][figure]:.2f}" for m in ("raw", *OURS)}
            each[name] |= {f"{figure}, best other": f"{best[0]:.2f} {best[1]}"}
    return {f"Flicker, % of spread: mean of {len(films)} films": means, "Flicker by film, %": each}


def main() -> None:
    parser = contract.parser(__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--cameras", nargs="*", choices=truths.CAMERAS, help="all unless told")
    parser.add_argument("--cache", type=Path, help="folder of ray-traced films")
    parser.add_argument("--clip", type=Path, help="measure a real film instead")
    parser.add_argument("--strip", type=Path, help="picture of some of its frames")
    parser.add_argument("--frames", type=int, help="of the clip (48), or to time (24)")
    parser.add_argument("--cost", action="store_true", help="measure time and memory instead")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    settings: dict[str, Any] = {"threads of OpenCV": 1}
    details = None
    if options.cost:
        results = flicker_clip.cost(options.frames or 24)
    elif options.clip:
        details = flicker_clip.measured(options.clip, options.frames or 48, options.strip)
        rows = {name: row for name, row in details.items() if isinstance(row, dict)}
        results = {"Flicker of what stands still in a real film": rows}
        settings |= {name: value for name, value in details.items() if name not in rows}
    else:
        details = quality(options)
        results = quality_tables(details)
        settings |= {"seeds": options.seeds}
    contract.publish("flicker", results, output=options.output, settings=settings, details=details)


if __name__ == "__main__":
    main()
