"""How the stages after the network grow from 0.3 to 48 megapixels: CPU seconds, and peak memory.

Contract, beside `contract.py`: the ray-traced depth of one still life at each size, and its photo, enlarged,
with grain; each stage runs in a fresh process with one thread that loads the scene as arrays, runs the stage
once on the smallest size (imports, caches), then once on its own size. Time is CPU seconds, so that a busy
machine's other work is not counted (the wall's are in the details). Memory is the growth of the process's
peak (VmHWM) over what it had with its input loaded, as a multiple of the input's bytes (photo and depth: 7
bytes a pixel); what the result itself takes of that is in the details. Growth is the time a pixel over that
at 3 megapixels. Blur is as wide as 3 % of the longer side, 120 pixels at 12 megapixels. Sizes take turns;
figures are medians of the rounds.

    python tests/benchmarks/bench_growth.py [--rounds 3] [--stages cloud mesh ...] [--megapixels 0.3 3 12]
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contract
import numpy as np

SEED = 0
REFERENCE = 3.0
BYTES_PER_PIXEL = 3 + 4
BLUR_SHARE = 0.03
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "OPENCV_FOR_THREADS_NUM": "1"}


def stages(folder: Path) -> dict[str, Callable[[Any], Any]]:
    """Name each stage: what it makes of an `RGBD`, after what it needs is made, untimed."""
    import depth3d as d3
    from depth3d.lift.flying_pixels import flying_pixels
    from depth3d.lift.normals import grid_normals

    still = np.eye(4)[None]
    aside = still.copy()
    aside[0, 0, 3] = 0.02

    def prepared(make: Callable[[Any], Any], work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def stage(scene: Any) -> Any:
            made = make(scene)
            return lambda: work(made)

        stage.prepares = True  # type: ignore[attr-defined]
        return stage

    return {
        "unproject": lambda s: d3.unproject(s.depth, s.camera),
        "flying pixels": lambda s: flying_pixels(s.depth),
        "normals": lambda s: grid_normals(s.depth, s.camera),
        "cloud": lambda s: d3.point_cloud(s),
        "PLY": prepared(lambda s: d3.point_cloud(s, flying="keep"), lambda c: d3.save(c, folder / "x.ply")),
        "mesh": lambda s: d3.mesh(s, max_faces=None),
        "mesh, 1 M faces": lambda s: d3.mesh(s, max_faces=1_000_000),
        "GLB": prepared(lambda s: d3.mesh(s, max_faces=1_000_000), lambda m: d3.save(m, folder / "x.glb")),
        "matte": lambda s: d3.depth_matte(s, far_m=1.2),
        "bokeh": lambda s: d3.bokeh(s, focus_m=1.2, strength_px=BLUR_SHARE * s.size_wh[0]),
        "layers": lambda s: d3.layers(s),
        "view": prepared(lambda s: d3.layers(s), lambda made: next(d3.render_views(made, aside))),
        "depth npz": lambda s: d3.save(s.depth, folder / "x.npz"),
        "depth png": lambda s: d3.save(s.depth, folder / "x.png"),
        "JPEG": lambda s: d3.save(s.image, folder / "x.jpg"),
    }


def size_wh(megapixels: float) -> tuple[int, int]:
    """Give the 4:3 size of so many megapixels."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    return round(height * 4 / 3), height


def make_scene(megapixels: float, path: Path) -> None:
    """Ray-trace the depth of the still life; its photo is a small one, enlarged, with grain."""
    import cv2

    from depth3d import synthetic as syn

    camera = syn.default_camera(*size_wh(megapixels), fov_x_deg=50)
    depth = syn.render_depth(syn.still_life(), camera)
    small = syn.render_image(syn.still_life(), syn.default_camera(640, 480, fov_x_deg=50))
    image = cv2.resize(small, camera.size_wh, interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(SEED).normal(0, 2, image.shape).astype(np.float32)
    np.savez(path, image=np.clip(image + grain, 0, 255).astype(np.uint8), depth=depth.values)


def load_scene(path: Path) -> Any:
    """Read it back as an `RGBD`."""
    import depth3d as d3
    from depth3d import synthetic as syn

    with np.load(path) as file:
        image, depth = file["image"], file["depth"]
    height, width = depth.shape
    return d3.RGBD(image, d3.DepthMap(depth, "metric"), syn.default_camera(width, height, fov_x_deg=50))


def one(stage: str, path: Path, small: Path, folder: Path) -> dict[str, float]:
    """Run one stage on one scene in this process."""
    work = stages(folder)[stage]

    def run(scene: Any) -> dict[str, float]:
        job = work(scene) if hasattr(work, "prepares") else lambda: work(scene)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = contract.peak_bytes()
        wall, cpu = time.perf_counter(), time.process_time()
        made = job()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        grown = contract.peak_bytes() - before
        return {"seconds": cpu, "wall_s": wall, "grown": grown, "result": bytes_of(made, {id(scene.image)})}

    run(load_scene(small))
    scene = load_scene(path)
    found, pixels = run(scene), scene.depth.values.size
    taken = BYTES_PER_PIXEL * pixels
    return {
        "seconds": found["seconds"],
        "wall_s": found["wall_s"],
        "input_multiple": found["grown"] / taken,
        "result_multiple": found["result"] / taken,
        "pixels": pixels,
    }


def bytes_of(made: Any, seen: set[int]) -> int:
    """Count the bytes of the arrays of a result, each once."""
    if id(made) in seen:
        return 0
    seen.add(id(made))
    if isinstance(made, np.ndarray):
        return int(made.nbytes)
    if dataclasses.is_dataclass(made):
        return sum(bytes_of(getattr(made, field.name), seen) for field in dataclasses.fields(made))
    return 0


def main() -> None:
    """Run the benchmark and print its result as JSON."""
    parser = contract.parser(__doc__, rounds=3)
    parser.add_argument("--stages", nargs="*")
    parser.add_argument("--megapixels", nargs="*", type=float, default=[0.3, 1, 3, 12, 48])
    parser.add_argument("--scenes", type=Path, help="a folder to keep the scenes in")
    parser.add_argument("--one", nargs=4, help="what the fresh processes are told")
    options = parser.parse_args()
    if options.one:
        stage, *paths = options.one
        print(json.dumps(one(stage, *map(Path, paths))))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes = options.scenes or folder
        scenes.mkdir(exist_ok=True)
        sizes = sorted({*options.megapixels, REFERENCE})
        for size in [0.3, *sizes]:
            if not (scenes / f"{size:g}.npz").exists():
                make_scene(size, scenes / f"{size:g}.npz")
        measured: dict[str, dict[float, list[dict[str, float]]]] = {}
        for _ in range(options.rounds):
            for stage in options.stages or stages(folder):
                for size in sizes:
                    arguments = ["--one", stage, scenes / f"{size:g}.npz", scenes / "0.3.npz", folder]
                    done = subprocess.run(
                        [sys.executable, __file__, *map(str, arguments)],
                        capture_output=True,
                        text=True,
                        env=os.environ | ONE_THREAD,
                    )
                    if done.returncode:
                        print(
                            f"{stage} at {size:g}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr
                        )
                        continue
                    measured.setdefault(stage, {}).setdefault(size, []).append(json.loads(done.stdout))
                    print(".", end="", file=sys.stderr, flush=True)
    settings = {"rounds": options.rounds, "seed": SEED, **ONE_THREAD}
    contract.publish(
        "growth", tables(measured), output=options.output, settings=settings, details=details(measured)
    )


Measured = dict[str, dict[float, list[dict[str, float]]]]


def tables(measured: Measured) -> contract.Tables:
    """Give CPU seconds, growth and memory of each stage by size."""

    def table(figure: Callable[[str, float], float]) -> dict[str, contract.Row]:
        return {
            stage: {f"{size:g} MP": contract.rounded(figure(stage, size), 3) for size in by_size}
            for stage, by_size in measured.items()
        }

    def median(key: str) -> Callable[[str, float], float]:
        return lambda stage, size: statistics.median(row[key] for row in measured[stage][size])

    def a_pixel(stage: str, size: float) -> float:
        return statistics.median(row["seconds"] / row["pixels"] for row in measured[stage][size])

    return {
        "Growth: CPU seconds": table(median("seconds")),
        "Growth: time a pixel over that at 3 MP": table(
            lambda stage, size: a_pixel(stage, size) / a_pixel(stage, REFERENCE)
        ),
        "Growth: peak memory over the input's": table(median("input_multiple")),
    }


def details(measured: Measured) -> dict[str, Any]:
    """Give the spread, the wall's seconds and what results take."""
    return {
        stage: {
            f"{size:g} MP": {
                "seconds": contract.spread(row["seconds"] for row in rows),
                "wall_s": contract.spread(row["wall_s"] for row in rows),
                "result_multiple": contract.rounded(rows[0]["result_multiple"], 3),
            }
            for size, rows in by_size.items()
        }
        for stage, by_size in measured.items()
    }


if __name__ == "__main__":
    main()
