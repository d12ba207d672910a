"""What views cost: flicker from frame to frame, seconds, and memory. See `bench_views`."""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import contract
import cv2
import numpy as np
import torch
import view_baselines as baselines
import view_scenes
import view_truth as truths

import depth3d as d3
from depth3d import synthetic as syn

FRAMES = 24
TIMED_FRAMES = 5
PEER = "splat"
METHODS = ("ours", PEER, "splat without inpainting")


def sway(shift: float, frames: int = FRAMES) -> list[truths.Pose]:
    """Give the poses of one slow figure of eight, `shift` metres to either side."""
    poses = []
    for turn in 2 * math.pi * np.arange(frames) / frames:
        pose = np.eye(4)
        pose[:2, 3] = shift * math.sin(turn), 0.4 * shift * math.sin(2 * turn)
        poses.append(pose)
    return poses


def carried(place: truths.Place, near: Any, pose: Any, to: Any) -> tuple[Any, Any, Any]:
    """Follow what a view shows into another one: u, v, and whether it is seen there, by exact geometry."""
    between = np.linalg.inv(pose) @ to
    u, v, _ = baselines.moved(near, place.camera, between)
    inside = (u >= 1) & (v >= 1) & (u <= place.camera.width - 1) & (v <= place.camera.height - 1)
    rays = place.camera.pixel_rays().reshape(-1, 3) @ pose[:3, :3].T
    flat = near.reshape(-1, 1).astype(np.float64)
    ways = rays + flat * (pose[:3, 3] - to[:3, 3])
    nearest, _ = place.scene.first_hits(to[:3, 3:], np.ascontiguousarray(ways.T))
    with np.errstate(divide="ignore"):
        seen = nearest >= (1 - 1e-3) / flat[:, 0]
    return u, v, inside & seen.reshape(near.shape)


def stability(options: Any, layers_for: Callable[..., Any]) -> dict[str, Any]:
    """Measure flicker of the chosen scenes: mean change, in 8-bit levels, by method."""
    report = {}
    for place, views in truths.all_truths(options.seeds, options.cache, options.kinds):
        truth = views[truths.MOTIONS.index("free")]
        shift = truth.shift_px / (place.camera.fx * float(np.quantile(place.disparity, 0.995)))
        poses = sway(shift)
        nears = [truths.inverse_depth(place.scene, place.camera, pose) for pose in poses]
        widest = replace(truth, pose=poses[FRAMES // 4])
        made = layers_for(place, place.disparity, widest)
        films = {
            "ours": list(d3.render_views(made, poses)),
            "splat": [baselines.splat(place.photo, place.disparity, place.camera, p)[0] for p in poses],
            "march, dilated": [
                baselines.march_dilated(place.photo, place.disparity, place.camera, p)[0] for p in poses
            ],
        }
        report[place.name] = flicker(place, poses, nears, films)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return report


def flicker(place: truths.Place, poses: Any, nears: Any, films: dict[str, Any]) -> dict[str, Any]:
    """Compare frames after warping: those of visible points to the photo, those of hidden ones in turn."""
    first = [carried(place, place.disparity, poses[0], pose) for pose in poses]
    back = [carried(place, near, pose, poses[0])[2] for near, pose in zip(nears, poses, strict=True)]
    before = [carried(place, nears[k], poses[k], poses[k - 1]) for k in range(1, len(poses))]
    report = {}
    for name, film in films.items():
        residuals = [_sampled(f, u, v) - place.photo for f, (u, v, _) in zip(film, first, strict=True)]
        seen, hidden = [], []
        for k in range(1, len(film)):
            both = first[k][2] & first[k - 1][2]
            seen.append(np.abs(residuals[k] - residuals[k - 1])[both].mean())
            u, v, known = before[k - 1]
            only = known & ~back[k]
            if only.any():
                hidden.append(np.abs(film[k].astype(np.float32) - _sampled(film[k - 1], u, v))[only].mean())
        report[name] = {"seen": float(np.mean(seen)), "hidden": float(np.mean(hidden))}
    return report


def _sampled(image: Any, u: Any, v: Any) -> Any:
    x, y = (np.nan_to_num(a - 0.5).astype(np.float32) for a in (u, v))
    return cv2.remap(image.astype(np.float32), x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def flicker_tables(report: dict[str, Any]) -> contract.Tables:
    names = list(next(iter(report.values())))

    def cells(pick: Callable[[str, str], float]) -> contract.Row:
        return {name: f"{pick(name, 'seen'):.2f} ({pick(name, 'hidden'):.2f})" for name in names}

    table = {place: cells(lambda name, part, row=row: row[name][part]) for place, row in report.items()}
    rows = report.values()
    table["mean"] = cells(lambda name, part: statistics.mean(row[name][part] for row in rows))
    return {"Views: flicker of what is seen (hidden), 8-bit levels": table}


def large_scene(path: Path, size_wh: tuple[int, int]) -> None:
    """Keep a photo of a figure before a wall, and its depth."""
    scene = view_scenes.figure(np.random.default_rng(4)).scene()
    camera = syn.default_camera(*size_wh, truths.FOV_DEG)
    half = camera.resized(size_wh[0] // 2, size_wh[1] // 2)
    image = cv2.resize(syn.render_image(scene, half, samples=2), size_wh, interpolation=cv2.INTER_CUBIC)
    np.savez(path, image=image, z=syn.render_depth(scene, camera).values)


def timed(path: Path, method: str, threads: int) -> None:
    """Make some frames in this process; print seconds and peak memory."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    with np.load(path) as file:
        image, z = file["image"], file["z"]
    height, width = z.shape
    camera = syn.default_camera(width, height, truths.FOV_DEG)
    near = 1 / z
    reach = 0.03 * width
    poses = sway(reach / (camera.fx * float(near.max() - near.min())), 12)[1 : 1 + TIMED_FRAMES]
    start, busy = time.perf_counter(), time.process_time()
    built = built_cpu = 0.0
    if method == "ours":
        made = d3.layers(d3.RGBD(image, d3.DepthMap(z, "metric"), camera), reach_px=reach)
        built, built_cpu = time.perf_counter() - start, time.process_time() - busy
        frames: Any = d3.render_views(made, poses)
    elif method == "splat":
        frames = (baselines.splat(image, near, camera, pose) for pose in poses)
    else:
        frames = (plain_splat(image, near, camera, pose) for pose in poses)
    seconds, cpu = [], []
    for _ in poses:
        start, busy = time.perf_counter(), time.process_time()
        next(frames)
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - busy)
    figures = {
        "layers_s": built,
        "layers_cpu_s": built_cpu,
        "first_ms": 1000 * seconds[0],
        "frame_ms": 1000 * statistics.median(seconds[1:]),
        "frame_cpu_ms": 1000 * statistics.median(cpu[1:]),
        "peak_mb": contract.peak_bytes() / 1e6,
    }
    print(json.dumps(figures))


def plain_splat(image: Any, near: Any, camera: Any, pose: Any) -> Any:
    """Splat without filling the holes."""
    u, v, there = (a.ravel() for a in baselines.moved(near, camera, pose))
    light = baselines.to_linear(image).reshape(-1, 3)
    step = baselines.step_of(near, camera, pose)
    return baselines.to_srgb(baselines.splatted(light, u, v, there, camera.size_wh, step)[0])


def large(threads: int, rounds: int, heights: list[int]) -> contract.Tables:
    """Run each method in a process of its own, in turns, size by size."""
    bench = str(Path(__file__).with_name("bench_views.py"))
    tables: contract.Tables = {}
    with tempfile.TemporaryDirectory() as folder:
        for height in heights:
            path = Path(folder) / f"{height}.npz"
            large_scene(path, (round(height * 16 / 9), height))
            found: dict[str, list[dict[str, float]]] = {method: [] for method in METHODS}

            def run(method: str, path: Path = path, found: Any = found) -> Callable[[], None]:
                words = [sys.executable, bench, "--timed", path, method, "--threads", threads]
                return lambda: found[method].append(contract.reported(words, OMP_NUM_THREADS=str(threads))[1])

            contract.in_turns({method: run(method) for method in METHODS}, rounds, warm_up=0)
            tables[f"Views of a photo at {height}p"] = _cost_rows(found)
    return tables


def _cost_rows(found: dict[str, list[dict[str, float]]]) -> dict[str, contract.Row]:
    table: dict[str, contract.Row] = {}
    for method, runs in found.items():
        row = {figure: [run[figure] for run in runs] for figure in runs[0]}
        table[method] = {
            "layers, s": contract.spread(row["layers_s"]),
            "first frame, ms": contract.spread(row["first_ms"]),
            "a frame, ms": contract.spread(row["frame_ms"]),
            "a frame, CPU ms": contract.spread(row["frame_cpu_ms"]),
            "peak MB": contract.spread(row["peak_mb"]),
        }
        if method == "ours":
            theirs = [run["frame_ms"] for run in found[PEER]]
            table[method][f"over {PEER}, a frame"] = contract.ratio(row["frame_ms"], theirs)
    return table
