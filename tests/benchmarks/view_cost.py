"""What views cost: flicker from frame to frame, seconds, and memory. See `bench_views`."""

from __future__ import annotations

import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import view_baselines as baselines
import view_scenes
import view_truth as truths

import depth3d as d3
from depth3d import synthetic as syn

FRAMES = 24
SIZES_WH = ((1920, 1080), (3840, 2160))
TIMED_FRAMES = 5
METHODS = ("ours", "splat", "splat without inpainting")


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


def flicker_lines(report: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    names = list(next(iter(report.values())))
    lines = [
        [place, *(f"{row[name]['seen']:.2f} ({row[name]['hidden']:.2f})" for name in names)]
        for place, row in report.items()
    ]
    means = [
        f"{statistics.mean(row[name]['seen'] for row in report.values()):.2f} "
        f"({statistics.mean(row[name]['hidden'] for row in report.values()):.2f})"
        for name in names
    ]
    return ["flicker of what is seen (hidden), 8-bit levels", *names], [*lines, ["mean", *means]]


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
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(figures))


def plain_splat(image: Any, near: Any, camera: Any, pose: Any) -> Any:
    """Splat without filling the holes."""
    u, v, there = (a.ravel() for a in baselines.moved(near, camera, pose))
    light = baselines.to_linear(image).reshape(-1, 3)
    step = baselines.step_of(near, camera, pose)
    return baselines.to_srgb(baselines.splatted(light, u, v, there, camera.size_wh, step)[0])


def large(threads: int, rounds: int) -> dict[str, Any]:
    """Run each method and size in a process of its own, in turn; medians over rounds."""
    report: dict[str, Any] = {}
    bench = str(Path(__file__).with_name("bench_views.py"))
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES_WH:
            large_scene(Path(folder) / f"{size[0]}.npz", size)
        for _ in range(rounds):
            for size in SIZES_WH:
                for method in METHODS:
                    words = [sys.executable, bench, "--timed", f"{folder}/{size[0]}.npz", method]
                    words += ["--threads", str(threads)]
                    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
                    found = subprocess.run(
                        words, check=True, stdout=subprocess.PIPE, text=True, env=environment
                    )
                    report.setdefault(f"{method}, {size[0]}x{size[1]}", []).append(json.loads(found.stdout))
                    print(method, size, found.stdout.strip(), file=sys.stderr, flush=True)
    return {
        name: {figure: statistics.median(run[figure] for run in found) for figure in found[0]}
        for name, found in report.items()
    }


def lines(report: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    head = ["method", "layers s (CPU)", "first frame ms", "ms a frame (CPU)", "peak MB"]
    return head, [
        [
            name,
            f"{r['layers_s']:.1f} ({r['layers_cpu_s']:.1f})",
            f"{r['first_ms']:.0f}",
            f"{r['frame_ms']:.0f} ({r['frame_cpu_ms']:.0f})",
            f"{r['peak_mb']:,.0f}",
        ]
        for name, r in report.items()
    ]
