"""What `bench_growth` runs in each fresh process: a stage at one size, radius, number of faces, or batch.

python tests/benchmarks/growth_stages.py AXIS STAGE VALUE SCENES FOLDER
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contract
import numpy as np
import numpy.typing as npt

SEED = 0
BYTES_PER_PIXEL = 3 + 4
BLUR_SHARE = 0.03
PIXELS_PER_FACE = 12
USUAL_MEGAPIXELS = 3
LEAST_SPAN_S = 0.5
BATCH_PHOTOS = 64
INPUT_SIZES = {"mini": 64, "Small, random weights": 140}


@dataclasses.dataclass(frozen=True)
class Stage:
    """A stage of a photo.

    Attributes:
        work: What is measured.
        make: Makes what that is given, of an `RGBD`, unmeasured.
    """

    work: Callable[[Any], Any]
    make: Callable[[Any], Any] = lambda scene: scene


def stages(folder: Path) -> dict[str, Stage]:
    """Give the stages by name."""
    import depth3d as d3
    from depth3d.lift.flying_pixels import flying_pixels
    from depth3d.lift.normals import grid_normals

    still = np.eye(4)[None]
    aside = still.copy()
    aside[0, 0, 3] = 0.02

    def simplified(scene: Any) -> Any:
        return d3.mesh(scene, max_faces=scene.depth.values.size // PIXELS_PER_FACE)

    return {
        "unproject": Stage(lambda s: d3.unproject(s.depth, s.camera)),
        "flying pixels": Stage(lambda s: flying_pixels(s.depth)),
        "normals": Stage(lambda s: grid_normals(s.depth, s.camera)),
        "cloud": Stage(lambda s: d3.point_cloud(s)),
        "PLY": Stage(lambda c: d3.save(c, folder / "x.ply"), lambda s: d3.point_cloud(s, flying="keep")),
        "mesh": Stage(lambda s: d3.mesh(s, max_faces=None)),
        "mesh, simplified": Stage(simplified),
        "GLB": Stage(lambda m: d3.save(m, folder / "x.glb"), simplified),
        "matte": Stage(lambda s: d3.depth_matte(s, far_m=1.2)),
        "bokeh": Stage(lambda s: d3.bokeh(s, focus_m=1.2, strength_px=BLUR_SHARE * s.size_wh[0])),
        "layers": Stage(lambda s: d3.layers(s)),
        "view": Stage(lambda made: next(d3.render_views(made, aside)), lambda s: d3.layers(s)),
        "depth npz": Stage(lambda s: d3.save(s.depth, folder / "x.npz")),
        "depth png": Stage(lambda s: d3.save(s.depth, folder / "x.png")),
        "JPEG": Stage(lambda s: d3.save(s.image, folder / "x.jpg")),
    }


def along(axis: str, stage: str, value: float, folder: Path) -> Stage:
    """Give what is to be run of a photo at a value of an axis."""
    import depth3d as d3

    if axis == "radius":  # the nearest thing's, with the focus on the farthest one
        return Stage(lambda s: d3.bokeh(s, focus_m=100, strength_px=2 * value))
    if axis == "faces":
        return Stage(lambda s: d3.mesh(s, max_faces=round(value)))
    return stages(folder)[stage]


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


def measured(stage: Stage, path: Path, usual: Path) -> dict[str, float]:
    """Run a stage on the usual scene, once on its own, for the peak of memory, and then for half a second."""
    stage.work(stage.make(load_scene(usual)))
    scene = load_scene(path)
    given = stage.make(scene)
    seen: set[int] = set()
    own_input, photo = bytes_of(given, seen), BYTES_PER_PIXEL * scene.depth.values.size
    grown, made = _peak_of(lambda: stage.work(given))
    result = bytes_of(made, seen)
    spans, calls = np.zeros(3), 0
    while spans[0] < LEAST_SPAN_S:
        del made  # what it's given back counts for nobody
        before = _clocks()
        made = stage.work(given)
        spans, calls = spans + _clocks() - before, calls + 1
    return {
        **dict(zip(("seconds", "system_s", "wall_s"), (spans / calls).tolist(), strict=True)),
        "calls": calls,
        "input_multiple": grown / photo,
        "own_input_multiple": grown / own_input,
        "result_multiple": result / photo,
        "units": scene.depth.values.size,
    }


def _clocks() -> npt.NDArray[np.float64]:
    """Read the seconds of CPU, of them the system's, and the wall's."""
    system_s = resource.getrusage(resource.RUSAGE_SELF).ru_stime
    return np.array([time.process_time(), system_s, time.perf_counter()])


def _peak_of(job: Callable[[], Any]) -> tuple[int, Any]:
    """Tell by how many bytes memory grows at the most while something runs, and give what it makes."""
    ctypes.CDLL(None).malloc_trim(0)  # what is free, and kept, would be taken without growing
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = contract.peak_bytes()
    made = job()
    return contract.peak_bytes() - before, made


def bytes_of(made: Any, seen: set[int]) -> int:
    """Count the bytes of the arrays of something, each once, and none that were seen before."""
    if id(made) in seen:
        return 0
    seen.add(id(made))
    if isinstance(made, np.ndarray):
        return int(made.nbytes)
    if dataclasses.is_dataclass(made):
        return sum(bytes_of(getattr(made, field.name), seen) for field in dataclasses.fields(made))
    return 0


def measured_batch(name: str, batch: int, folder: Path) -> dict[str, float]:
    """Estimate 64 photos, so many in each call."""
    from bench_estimate import picture, save_network

    import depth3d as d3

    model: Any = name
    if name != "mini":
        model = folder / "network"
        if not model.exists():
            save_network(model)
    options: Any = {"device": "cpu", "input_size": INPUT_SIZES[name], "batch_size": batch}
    estimator = d3.DepthEstimator.from_pretrained(model, **options)
    photos = [np.roll(picture((240, 320)), 7 * k, axis=1) for k in range(BATCH_PHOTOS)]
    calls = [photos[k : k + batch] for k in range(0, BATCH_PHOTOS, batch)]
    estimator(calls[0])
    wall, cpu = time.perf_counter(), time.process_time()
    for call in calls:
        estimator(call)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"seconds": cpu, "wall_s": wall, "units": BATCH_PHOTOS}


def main() -> None:
    axis, stage, text, scenes, folder = sys.argv[1:]
    value = float(text)
    if axis == "batch":
        found = measured_batch(stage, round(value), Path(folder))
    else:
        # Radii and faces are measured in a photo of the size that the stage is called by.
        megapixels = value if axis == "megapixels" else float(stage.split()[-2])
        path, usual = (Path(scenes) / f"{size:g}.npz" for size in (megapixels, USUAL_MEGAPIXELS))
        found = measured(along(axis, stage, value, Path(folder)), path, usual)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
