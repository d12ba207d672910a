"""`depth3d cloud` against the plain script: a photo and its depth map to a PLY file, seconds and peak memory.

Contract: the ray-traced depth of a still life, in metres, 2 % of its pixels unknown, and its photo,
enlarged, with grain. `work`: one process, from arrays in memory to a file, contenders in turns: ours with
all known points (`flying="keep"`), ours by default (points between two surfaces removed: more work, fewer
points), the script of `cloud_baselines` with NumPy and Open3D, which writes coordinates in float64, and the
least that NumPy can do, without Open3D, in float32. `command`: fresh processes from a JPEG and a .npy,
imports and decoding included, by wall time and peak resident memory. After that the files are read back by
Open3D and compared: as many points, all within 1e-6 of their distance, and colours to the bit.

    python tests/benchmarks/bench_cloud.py [--rounds 5] [--megapixels 0.3 3 12] [--output result.json]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloud_baselines
import contract
import numpy as np

SEED = 0
FOV_DEG = 50.0
OURS, DEFAULT, PLAIN, LEAN = "depth3d, all points", "depth3d, default", "NumPy + Open3D", "NumPy alone"


def size_wh(megapixels: float) -> tuple[int, int]:
    """Give the 4:3 size of so many megapixels."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    return round(height * 4 / 3), height


def make_scene(megapixels: float) -> Any:
    """Make a photo with its depth, some of it unknown."""
    import cv2

    import depth3d as d3
    from depth3d import synthetic as syn

    camera = syn.default_camera(*size_wh(megapixels), fov_x_deg=FOV_DEG)
    z = syn.render_depth(syn.still_life(), camera).values.copy()
    chance = np.random.default_rng(SEED)
    z[chance.random(z.shape) < 0.02] = np.nan
    small = syn.render_image(syn.still_life(), syn.default_camera(320, 240, fov_x_deg=FOV_DEG), samples=1)
    image = cv2.resize(small, camera.size_wh, interpolation=cv2.INTER_CUBIC)
    grain = chance.normal(0, 2, image.shape).astype(np.float32)
    image = np.clip(image + grain, 0, 255).astype(np.uint8)
    return d3.RGBD(image, d3.DepthMap(z, "metric"), camera)


def contenders(scene: Any, folder: Path) -> dict[str, Callable[[], None]]:
    """Name what takes the arrays and leaves a file `NAME.ply`."""
    import depth3d as d3

    image, z, fx = scene.image, scene.depth.values, scene.camera.fx

    def ours(flying: Any) -> Callable[[], None]:
        name = OURS if flying == "keep" else DEFAULT
        path = folder / f"{name}.ply"
        return lambda: d3.save(d3.point_cloud(scene, flying=flying), path, overwrite=True)

    return {
        OURS: ours("keep"),
        DEFAULT: ours("remove"),
        PLAIN: lambda: cloud_baselines.plain_cloud(image, z, fx, folder / f"{PLAIN}.ply"),
        LEAN: lambda: cloud_baselines.lean_cloud(image, z, fx, folder / f"{LEAN}.ply"),
    }


def commands(photo: Path, depth: Path, folder: Path) -> dict[str, list[object]]:
    """Name the same as commands."""
    ours = [sys.executable, "-m", "depth3d_cli", "cloud", photo, "--depth", depth, "--depth-kind", "metric"]
    ours += ["--fov-x-deg", FOV_DEG, "--overwrite", "-q", "-o"]
    fx = np.load(depth, mmap_mode="r").shape[1] / 2 / np.tan(np.radians(FOV_DEG / 2))
    plain = [sys.executable, cloud_baselines.__file__, photo, depth, fx]
    return {
        OURS: [*ours, folder / f"{OURS}.ply", "--flying-pixels", "keep"],
        DEFAULT: [*ours, folder / f"{DEFAULT}.ply"],
        PLAIN: [*plain, folder / f"{PLAIN}.ply"],
    }


def check_same(folder: Path, names: list[str]) -> None:
    """Read the clouds of all known points with Open3D and compare them.

    Raises:
        SystemExit: They are not the same: their times would say nothing.
    """
    import open3d as o3d

    read = {name: o3d.io.read_point_cloud(str(folder / f"{name}.ply")) for name in names}
    first = np.asarray(read[OURS].points)
    for name, cloud in read.items():
        points = np.asarray(cloud.points)
        if points.shape != first.shape:
            raise SystemExit(f"{name} has {len(points)} points, {OURS} has {len(first)}")
        off = np.abs(points - first).max(axis=1) / np.linalg.norm(first, axis=1)
        if off.max() > 1e-6 or not np.array_equal(np.asarray(cloud.colors), np.asarray(read[OURS].colors)):
            raise SystemExit(f"{name} and {OURS} differ: by {off.max():.1e} of the distance, or in colours")


def in_one_process(scene: Any, rounds: int) -> dict[str, contract.Row]:
    """Time the work alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        calls = contenders(scene, folder)
        times = contract.in_turns(calls, rounds)
        check_same(folder, [OURS, PLAIN, LEAN])
        sizes = {name: (folder / f"{name}.ply").stat().st_size for name in calls}
    rows = contract.compared(times, PLAIN, LEAN)
    return {name: row | {"file MB": round(sizes[name] / 1e6, 1)} for name, row in rows.items()}


def as_commands(scene: Any, rounds: int) -> dict[str, contract.Row]:
    """Time whole processes, and measure their memory."""
    import depth3d as d3

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo, depth = folder / "photo.jpg", folder / "depth.npy"
        d3.save(scene.image, photo)
        np.save(depth, scene.depth.values)
        runs: dict[str, list[contract.Finished]] = {}
        words = commands(photo, depth, folder)

        def run(label: str) -> Callable[[], None]:
            return lambda: runs.setdefault(label, []).append(contract.fresh(words[label]))

        contract.in_turns({label: run(label) for label in words}, rounds)
        check_same(folder, [OURS, PLAIN])
        kept = {label: found[-rounds:] for label, found in runs.items()}
    rows = contract.compared(
        {k: [run.seconds for run in runs] for k, runs in kept.items()}, PLAIN, unit="seconds"
    )
    peaks = {label: [run.peak_mb for run in found] for label, found in kept.items()}
    return {
        label: row
        | {"peak MB": contract.spread(peaks[label])}
        | ({"over it in memory": contract.ratio(peaks[label], peaks[PLAIN])} if label != PLAIN else {})
        for label, row in rows.items()
    }


def main() -> None:
    options = contract.parser(__doc__, rounds=5)
    options.add_argument("--megapixels", type=float, nargs="*", default=[0.3, 3, 12])
    asked = options.parse_args()
    results: contract.Tables = {}
    for megapixels in asked.megapixels:
        scene = make_scene(megapixels)
        results[f"Arrays to PLY, {megapixels:g} MP"] = in_one_process(scene, asked.rounds)
        results[f"Files to PLY, whole process, {megapixels:g} MP"] = as_commands(scene, asked.rounds)
    contract.publish(
        "cloud",
        results,
        output=asked.output,
        settings={"rounds": asked.rounds, "warm-up rounds": 1, "seed": SEED},
    )


if __name__ == "__main__":
    main()
