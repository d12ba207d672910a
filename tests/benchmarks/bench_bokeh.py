"""Bokeh against ray-traced photographs, other ways to blur by depth, and its own cost.

Contract. Scenes of `bokeh_truth` at 320x240, eight kinds, each with a near and a far thing in focus, radii
up to 40 px. Every method gets the exact depth and the same photo as bytes; lamps, which clip there, also as
linear light. PSNR in dB, and SSIM, of bytes against the mean of two photographs through the lens; in
brackets within two radii of silhouettes. Compared is what is farther from the border than the largest
radius (the whole picture is in the JSON): nearer to it, light comes in that no photo knows of. `true
hidden` is ours with what is behind the front things rendered instead of guessed. Noise is that of the truth
itself. `d3.bokeh` is the verb with its defaults, then with depth blurred by 2 px, and at a quarter of the
size and scaled up.

`--large`: 12 megapixels, a floor with things on it and a figure in front, by largest radius: wall and CPU
seconds, peak resident memory, each in a process of its own; beside it a blur of the whole picture at each
whole radius with OpenCV.

    python tests/benchmarks/bench_bokeh.py [--seeds 0] [--samples 128] [--cache FOLDER] [--output result.json]
    python tests/benchmarks/bench_bokeh.py --large [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bokeh_baselines as baselines
import bokeh_truth as truths
import numpy as np
import torch

import depth3d as d3
from depth3d import synthetic
from depth3d.core.color import to_linear, to_srgb
from depth3d.render.aperture import Aperture
from depth3d.render.hidden import JUMP_PX, hidden_layer
from depth3d.render.rims import Rims, split_rims, with_rims
from depth3d.render.scatter import Surface, scatter

LARGE_WH = (4000, 3000)
RADII = (10, 30, 60, 120, 200)
METHODS = (*baselines.BASELINES, "ours", "true hidden")
VERB = ("d3.bokeh", "depth blurred", "depth at 1/4")


def surface(light: Any, radius: Any, mask: Any = None) -> Surface:
    planes = torch.from_numpy(np.ascontiguousarray(light.transpose(2, 0, 1)))
    return Surface(planes, torch.from_numpy(radius), None if mask is None else torch.from_numpy(mask))


def spread(light: Any, radius: Any, hidden: Surface, rims: Rims) -> Any:
    front, back = with_rims(surface(light, radius), hidden, rims, rims.near_disparity)
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


def quality(seeds: list[int], samples: int, cache: Path | None) -> dict[str, Any]:
    report = {}
    for seed in seeds:
        for kind, made in enumerate(truths.KINDS):
            for near in (True, False):
                truth = truths.truth(kind, seed, near=near, samples=samples, cache=cache)
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


def table(head: list[str], rows: list[list[str]]) -> None:
    for cells in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(cells) + " |")
    print()


def print_quality(report: dict[str, Any]) -> None:
    names = [name for name in (*METHODS, *VERB) if any(name in row for row in report.values())]

    def cell(row: dict[str, Any], method: str) -> str:
        if method not in row:
            return "-"
        edges = row[method].get("psnr_edges")
        return f"{row[method]['psnr']:.1f}" + (f" ({edges:.1f})" if edges else "")

    table(
        ["scene, focus", "noise", *names],
        [[name, f"{r['noise']:.0f}", *(cell(r, m) for m in names)] for name, r in report.items()],
    )
    counted = [row for name, row in report.items() if not name.endswith("bytes")]
    figures = ("psnr", "psnr_edges", "psnr_whole", "ssim", "ssim_edges", "ssim_whole")
    kept = [name for name in METHODS if any(name in row for row in counted)]
    table(
        ["mean (lamps as linear light)", *kept],
        [[f, *(f"{mean_of(counted, m, f):.{2 if 'psnr' in f else 3}f}" for m in kept)] for f in figures],
    )
    plain = [row for row in report.values() if VERB[0] in row]
    if plain:
        table(
            ["mean (all as bytes)", *VERB],
            [[f, *(f"{mean_of(plain, m, f):.{2 if 'psnr' in f else 3}f}" for m in VERB)] for f in figures],
        )
    for other in baselines.BASELINES:
        lost = [
            f"{name} by {r[other]['psnr'] - r['ours']['psnr']:.1f}"
            for name, r in report.items()
            if r[other]["psnr"] > r["ours"]["psnr"]
        ]
        print(f"{other} is ahead of ours in {len(lost)} of {len(report)}: {', '.join(lost) or 'none'}")


def large_scene(path: Path) -> None:
    """Keep a photo of 12 megapixels and its disparity."""
    import cv2

    chance = np.random.default_rng(5)
    ground, figure = truths.ground(chance), truths.portrait(chance)
    scene = synthetic.Scene((*ground.back, *figure.front), ambient=truths.EVEN)
    camera = synthetic.default_camera(*LARGE_WH, truths.FOV_DEG)
    image = synthetic.render_image(scene, camera.resized(LARGE_WH[0] // 4, LARGE_WH[1] // 4), samples=1)
    image = cv2.resize(image, LARGE_WH, interpolation=cv2.INTER_CUBIC)
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
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures))


def large(threads: int, rounds: int) -> dict[str, Any]:
    report: dict[str, Any] = {}
    runs = [("ours", r) for r in RADII] + [("plain", 60)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.npz"
        large_scene(path)
        for _ in range(rounds):
            for method, most in runs:
                words = [sys.executable, __file__, "--timed", str(path), method, str(most)]
                words += ["--threads", str(threads)]
                environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
                found = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
                report.setdefault(f"{method} {most}", []).append(json.loads(found.stdout))
    return {
        name: {figure: statistics.median(run[figure] for run in found) for figure in found[0]}
        for name, found in report.items()
    }


def print_large(report: dict[str, Any]) -> None:
    table(
        ["12 megapixels, largest radius", "seconds", "CPU seconds", "peak MB"],
        [
            [name, f"{r['seconds']:.1f}", f"{r['cpu_seconds']:.1f}", f"{r['peak_mb']:,.0f}"]
            for name, r in report.items()
        ],
    )
    for figure in ("seconds", "cpu_seconds"):
        flat = report["ours 120"][figure] / report["ours 30"][figure]
        faster = report["plain 60"][figure] / report["ours 60"][figure]
        print(f"{figure}: 120 over 30 is {flat:.2f}; {faster:.1f} times as fast as OpenCV at 60")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--large", action="store_true", help="time 12 megapixels instead")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--samples", type=int, default=truths.SAMPLES, help="rays a pixel, twice")
    parser.add_argument("--cache", type=Path, help="folder of ray-traced photographs")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--timed", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.timed:
        path, method, most = options.timed
        timed(Path(path), method, float(most), options.threads)
        return
    report: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
    }
    if options.large:
        report["threads"] = options.threads
        report["large"] = large(options.threads, options.rounds)
        print_large(report["large"])
    else:
        report["quality"] = quality(options.seeds, options.samples, options.cache)
        print_quality(report["quality"])
    if options.output:
        options.output.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
