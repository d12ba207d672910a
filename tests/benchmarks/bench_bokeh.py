"""Bokeh against ray-traced photographs, other ways to blur by depth, and its own cost.

Contract. Scenes of `bokeh_truth` at 320x240, eight kinds, each with a near and a far thing in focus, radii
up to 40 px. Every method gets the exact depth and the same photo as bytes; lamps, which clip there, also as
linear light. PSNR in dB, and SSIM, of bytes against the mean of two photographs through the lens; in
brackets within two radii of silhouettes. Compared is what is farther from the border than the largest
radius (the whole picture is in the JSON): nearer to it, light comes in that no photo knows of. `true
hidden` is ours with what is behind the front things rendered instead of guessed. Noise is that of the truth
itself. `d3.bokeh` is the verb with its defaults, then with depth blurred by 2 px, and at a quarter of the
size and scaled up.

`--large`: 12 megapixels or as many as told, a floor with things on it and a figure in front, by largest
radius: wall and CPU seconds, peak resident memory, each in a process of its own; beside it a blur of the
whole picture at each whole radius with OpenCV.

    python tests/benchmarks/bench_bokeh.py [--seeds 0] [--samples 128] [--cache FOLDER] [--output result.json]
    python tests/benchmarks/bench_bokeh.py --large [--megapixels 12] [--radii 30 120] [--rounds 1]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bokeh_baselines as baselines
import bokeh_truth as truths
import contract
import numpy as np
import torch

import depth3d as d3
from depth3d import synthetic
from depth3d.core.color import to_linear, to_srgb
from depth3d.render.aperture import Aperture
from depth3d.render.hidden import JUMP_PX, hidden_layer
from depth3d.render.rims import Rims, split_rims, with_rims
from depth3d.render.scatter import Spots, Surface, scatter

LARGE_WH = (4000, 3000)
RADII = (10, 30, 60, 120, 200)
PEER_RADIUS = 60
"""About where OpenCV is timed, too: its time grows with the radius."""
FIGURES = ("psnr", "psnr_edges", "psnr_whole", "ssim", "ssim_edges", "ssim_whole")
METHODS = (*baselines.BASELINES, "ours", "true hidden")
VERB = ("d3.bokeh", "depth blurred", "depth at 1/4")


def surface(light: Any, radius: Any, mask: Any = None) -> Surface:
    planes = torch.from_numpy(np.ascontiguousarray(light.transpose(2, 0, 1)))
    return Surface(planes, torch.from_numpy(radius), None if mask is None else torch.from_numpy(mask))


def spread(light: Any, radius: Any, hidden: Surface, rims: Rims) -> Any:
    front, back = with_rims(surface(light, radius.copy()), Spots.of(hidden), rims, rims.near_disparity)
    return scatter(front, back, Aperture()).numpy().transpose(1, 2, 0)


def ours(light: Any, radius: Any) -> Any:
    rims = split_rims(light, radius, jump=JUMP_PX)
    behind = hidden_layer(rims.behind(light), radius, gain=1.0)
    return spread(light, radius, surface(behind.color, behind.disparity, behind.mask), rims)


def with_true_hidden(light: Any, radius: Any, truth: truths.Truth) -> Any:
    behind, there = truth.behind[0], truth.radius_px(truth.behind[1])
    hidden = surface(behind, there, there < radius - JUMP_PX / 4)
    return spread(light, radius, hidden, split_rims(light, radius, jump=JUMP_PX))


def verb(truth: truths.Truth, disparity: Any) -> Any:
    """Call the public verb with a depth map."""
    height, width = disparity.shape
    with np.errstate(divide="ignore"):
        z = np.where(disparity > 0, 1 / disparity, np.nan).astype(np.float32)
    camera = synthetic.default_camera(width, height, truths.FOV_DEG)
    scene = d3.RGBD(to_srgb(truth.sharp), d3.DepthMap(z, "metric"), camera)
    return d3.bokeh(scene, focus_m=truth.focus_m, lens=truth.lens)


def degraded(disparity: Any) -> dict[str, Any]:
    """The depth as it is, and as networks give it."""
    import cv2

    height, width = disparity.shape
    small = cv2.resize(disparity, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(disparity, (0, 0), 2)
    upscaled = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return dict(zip(VERB, (disparity, soft, upscaled), strict=True))


def scores(found: Any, truth: truths.Truth, edges: Any) -> dict[str, float]:
    """PSNR and SSIM inside, near silhouettes, and of the whole picture."""
    true, ssim = to_srgb(truth.photo), truths.ssim_map(found, to_srgb(truth.photo))
    row = {}
    for name, where in (("", truth.inner), ("_edges", truth.inner & edges), ("_whole", truth.inner | True)):
        if where.any():
            row[f"psnr{name}"] = truths.psnr(found, true, where)
            row[f"ssim{name}"] = float(ssim[where].mean())
    return row


def measured(truth: truths.Truth, *, linear: bool) -> dict[str, Any]:
    light = truth.sharp if linear else to_linear(to_srgb(truth.sharp))
    radius = truth.radius_px(truth.disparity)
    edges = truths.near_silhouettes(radius, JUMP_PX)
    found = {name: to_srgb(method(light, radius)) for name, method in baselines.BASELINES.items()}
    found["ours"] = to_srgb(ours(light, radius))
    if truth.behind is not None:
        found["true hidden"] = to_srgb(with_true_hidden(truth.sharp, radius, truth))
    if not linear and hasattr(d3, "bokeh"):
        found |= {name: verb(truth, depth) for name, depth in degraded(truth.disparity).items()}
    row: dict[str, Any] = {name: scores(image, truth, edges) for name, image in found.items()}
    return row | {"noise": truth.noise_db, "radius_px": float(np.abs(radius).max())}


def quality(options: argparse.Namespace) -> dict[str, Any]:
    report = {}
    for seed in options.seeds:
        for kind, made in enumerate(truths.KINDS):
            if options.kinds and made.__name__ not in options.kinds:
                continue
            for near in (True, False):
                truth = truths.truth(kind, seed, near=near, samples=options.samples, cache=options.cache)
                name = f"{made.__name__} {seed}, {'near' if near else 'far'}"
                clips = made is truths.lamps
                report[name + (", linear" if clips else "")] = measured(truth, linear=clips)
                if clips:
                    report[name + ", bytes"] = measured(truth, linear=False)
                print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return report


def mean_of(rows: list[dict[str, Any]], method: str, figure: str) -> float:
    return statistics.mean(row[method][figure] for row in rows if figure in row.get(method, {}))


def quality_tables(report: dict[str, Any]) -> contract.Tables:
    names = [name for name in (*METHODS, *VERB) if any(name in row for row in report.values())]

    def cell(row: dict[str, Any], method: str) -> str:
        if method not in row:
            return "-"
        edges = row[method].get("psnr_edges")
        return f"{row[method]['psnr']:.1f}" + (f" ({edges:.1f})" if edges else "")

    counted = [row for name, row in report.items() if not name.endswith("bytes")]
    plain = [row for row in report.values() if VERB[0] in row]
    kept = [name for name in METHODS if any(name in row for row in counted)]

    def means(rows: list[dict[str, Any]], methods: tuple[str, ...] | list[str]) -> dict[str, contract.Row]:
        return {
            f: {m: f"{mean_of(rows, m, f):.{2 if 'psnr' in f else 3}f}" for m in methods} for f in FIGURES
        }

    behind = {}
    for other in baselines.BASELINES:
        lost = {
            name: f"{name} by {r[other]['psnr'] - r['ours']['psnr']:.1f}"
            for name, r in report.items()
            if r[other]["psnr"] > r["ours"]["psnr"]
        }
        behind[other] = {
            "ahead of ours": f"{len(lost)} of {len(report)}",
            "by dB": ", ".join(lost.values()) or "-",
        }
    return {
        "Bokeh: PSNR in dB (near silhouettes)": {
            name: {"noise": f"{r['noise']:.0f}"} | {m: cell(r, m) for m in names}
            for name, r in report.items()
        },
        "Bokeh: means (lamps as linear light)": means(counted, kept),
        **({"Bokeh: means of `d3.bokeh` (all as bytes)": means(plain, VERB)} if plain else {}),
        "Bokeh: where others are ahead": behind,
    }


def large_scene(path: Path, megapixels: float) -> None:
    """Keep a large photo and its disparity."""
    import cv2

    chance = np.random.default_rng(5)
    ground, figure = truths.ground(chance), truths.portrait(chance)
    scene = synthetic.Scene((*ground.back, *figure.front), ambient=truths.EVEN)
    share = (megapixels * 1e6 / (LARGE_WH[0] * LARGE_WH[1])) ** 0.5
    width, height = (round(share * side) for side in LARGE_WH)
    camera = synthetic.default_camera(width, height, truths.FOV_DEG)
    image = synthetic.render_image(scene, camera.resized(width // 4, height // 4), samples=1)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    np.savez(path, image=image, disparity=1 / synthetic.render_depth(scene, camera).values)


def timed(path: Path, method: str, most: float, threads: int) -> None:
    """Blur it once in this process; print seconds and peak memory."""
    import cv2

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    with np.load(path) as file:
        image, disparity = file["image"], file["disparity"]
    focus = np.quantile(disparity[::8, ::8], 0.9)
    disparity -= focus
    disparity *= most / np.abs(disparity).max()
    start, busy = time.perf_counter(), time.process_time()
    light = to_linear(image)
    result = ours(light, disparity) if method == "ours" else baselines.plain_script(light, disparity)
    for top in range(0, len(result), 256):
        image[top : top + 256] = to_srgb(result[top : top + 256])
    figures = {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - busy,
        "peak_mb": contract.peak_bytes() / 1e6,
    }
    print(json.dumps(figures))


def large(options: argparse.Namespace) -> dict[str, contract.Row]:
    """Blur by each radius with ours, and with OpenCV by one of them, in fresh processes, in turns."""
    middle = min(options.radii, key=lambda radius: abs(radius - PEER_RADIUS))
    names = {f"depth3d, radius {r} px": ("ours", r) for r in options.radii}
    names |= {f"OpenCV, radius {middle} px": ("plain", middle)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.npz"
        large_scene(path, options.megapixels)

        def run(name: str) -> Callable[[], None]:
            method, most = names[name]
            words = [sys.executable, __file__, "--timed", path, method, most, "--threads", options.threads]
            return lambda: found[name].append(
                contract.reported(words, OMP_NUM_THREADS=str(options.threads))[1]
            )

        contract.in_turns({name: run(name) for name in names}, options.rounds, warm_up=0)
    scaled = {name: {f: [r[f] for r in rows] for f in rows[0]} for name, rows in found.items()}
    least, peer = f"depth3d, radius {min(options.radii)} px", f"OpenCV, radius {middle} px"
    table: dict[str, contract.Row] = {}
    for name, figures in scaled.items():
        table[name] = {
            "seconds": contract.spread(figures["seconds"]),
            "CPU seconds": contract.spread(figures["cpu_seconds"]),
            "peak MB": contract.spread(figures["peak_mb"]),
        }
        if name == f"depth3d, radius {middle} px":
            table[name] |= {"over OpenCV": contract.ratio(figures["seconds"], scaled[peer]["seconds"])}
        if name not in (least, peer):
            table[name] |= {"growth": contract.ratio(scaled[least]["seconds"], figures["seconds"])}
    return table


def main() -> None:
    parser = contract.parser(__doc__, rounds=1)
    parser.add_argument("--large", action="store_true", help="time a large photo instead")
    parser.add_argument("--megapixels", type=float, default=12, help="of the large photo")
    parser.add_argument("--radii", type=int, nargs="*", default=RADII)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument(
        "--kinds", nargs="*", choices=[kind.__name__ for kind in truths.KINDS], help="some scenes"
    )
    parser.add_argument("--samples", type=int, default=truths.SAMPLES, help="rays a pixel, twice")
    parser.add_argument("--cache", type=Path, help="folder of ray-traced photographs")
    parser.add_argument("--timed", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.timed:
        path, method, most = options.timed
        timed(Path(path), method, float(most), options.threads)
        return
    if options.large:
        results = {f"Bokeh of {options.megapixels:g} MP, by the largest radius": large(options)}
        settings = {"rounds": options.rounds, "threads": options.threads}
        contract.publish("bokeh", results, output=options.output, settings=settings)
        return
    details = quality(options)
    settings = {"seeds": options.seeds, "rays a pixel": options.samples}
    contract.publish(
        "bokeh", quality_tables(details), output=options.output, settings=settings, details=details
    )


if __name__ == "__main__":
    main()
