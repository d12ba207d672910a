"""Meshes against the truth, the cuts that others make, and the plain script.

Contract. `exact`: scenes of `depth3d.synthetic` at 644x476 with exact depth, all options at their defaults
but `min_island_px=0`. A triangle bridges a step if one of its sides joins two pixels between which the
surface really breaks (found by halving the way between them 20 times) by more than 5 % of inverse depth, and
it is off the surface by at least a quarter of that, not just behind something thin. In brackets steps of 1 to
5 %: what is cut is 3 % beyond what the slope explains. Lost is the
share of triangles missing in squares of four pixels on one surface. Distances are exact, from each triangle's
corners, sides, middle and points at random to the scene, and from a visible point of the scene in each square
to the mesh; all as shares of z. Euler characteristic and parts stand beside those of a perfect cut. The same
after merging to 5 % of the faces.

`upsampled`: the scene's inverse depth at 46x34, a value for each patch of 14 pixels of a network, scaled up
bilinearly to 644x476. Triangles in the air are those more than 5 % of z off the true surface. Ours beside
grids that cut at |grad z| > 0.05 m, and at (max - min) / z > 0.04 within 3x3 pixels, from the same depth.

`--large`: a photo of 4000x3000 with its depth as .npy to a GLB of at most 1 million faces: `depth3d mesh
--max-faces` in a fresh process, beside a plain script (NumPy and trimesh) that keeps all triangles and, where
fast_simplification is installed, one that merges them to as many; wall seconds and peak resident memory, the
median of the rounds, smallest and largest beside it.

    python tests/benchmarks/bench_mesh.py [--scenes step floor] [--output result.json]
    python tests/benchmarks/bench_mesh.py --large [--megapixels 12] [--rounds 3]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import contract
import mesh_baselines as baselines
import mesh_truth
import numpy as np

import depth3d as d3
from depth3d import synthetic
from depth3d.core.resample import resize_depth

SIZE_WH = (644, 476)
PATCH = 14
FACE_SHARE = 0.05
LARGE_WH = (4000, 3000)
LARGE_FACES = 1_000_000
"""For 12 megapixels, and in proportion for less."""
OURS, PLAIN = "depth3d mesh", "plain script, all faces"
SCENES = {
    "tilted plane": lambda: synthetic.plane_scene((0.2, 0.3, 0.9)),
    "floor": lambda: synthetic.floor_scene(),
    "step": lambda: synthetic.step_scene(),
    "sphere": lambda: synthetic.sphere_scene(),
    "room": lambda: synthetic.room_scene(),
    "bars": lambda: synthetic.bars_scene(),
    "still life": lambda: synthetic.still_life(),
    "furniture 1": lambda: synthetic.random_scene(1),
    "furniture 2": lambda: synthetic.random_scene(2),
    "furniture 3": lambda: synthetic.random_scene(3),
}


def pixels_of(mesh: d3.Mesh) -> Any:
    """Triangles by the pixels of their corners, in reading order."""
    col, row = np.floor(mesh.uv * np.array(SIZE_WH, np.float32)).astype(np.int64).T
    return (row * SIZE_WH[0] + col).astype(np.int32)[mesh.faces]


def measured(truth: mesh_truth.Truth, vertices: Any, faces: Any) -> tuple[dict[str, Any], Any]:
    corners = mesh_truth.corners_of(vertices, faces)
    worst, samples = mesh_truth.off_surface(truth, corners)
    back = mesh_truth.from_truth(truth, vertices, faces)
    air, area = worst > 0.05, mesh_truth.area_m2(corners)
    figures = {
        "faces": len(faces),
        "to_truth": {"mean": float(samples.mean()), "max": float(worst.max())},
        "from_truth": back,
        "in_the_air": int(air.sum()),
        "in_the_air_area_share": float(area[air].sum() / area.sum()),
    }
    return figures, worst


def exact(scene: Any) -> dict[str, Any]:
    camera = synthetic.default_camera(*SIZE_WH)
    truth = mesh_truth.Truth.of(scene, camera)
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    given = d3.RGBD(image, d3.DepthMap(truth.z, "metric"), camera)
    mesh = d3.mesh(given, min_island_px=0, normals=False)
    pixels, ideal = pixels_of(mesh), truth.faces()
    corners = mesh_truth.corners_of(mesh.vertices, mesh.faces)
    near = corners[..., 2].mean(axis=1) < mesh_truth.FAR_M
    start = time.perf_counter()
    few = d3.mesh(given, min_island_px=0, normals=False, max_faces=max(2, int(FACE_SHARE * len(mesh.faces))))
    seconds = time.perf_counter() - start
    full, worst = measured(truth, mesh.vertices, mesh.faces)
    steps = truth.steps(pixels)
    hung = worst > steps / 4  # across a step, the middle of a triangle is half of it off
    return {
        "full": full,
        "area": float(mesh_truth.area_m2(corners[near]).sum()) / truth.area_m2(),
        "bridging": int((hung & (steps > 0.05)).sum()),
        "bridging_small": int((hung & (steps > 0.01) & (steps <= 0.05)).sum()),
        "lost": truth.loss(pixels),
        "topology": mesh_truth.topology(pixels),
        "perfect": mesh_truth.topology(ideal),
        "few": measured(truth, few.vertices, few.faces)[0],
        "few_topology": mesh_truth.topology(few.faces),
        "few_seconds": seconds,
    }


def upsampled(scene: Any) -> dict[str, dict[str, Any]]:
    camera = synthetic.default_camera(*SIZE_WH)
    truth = mesh_truth.Truth.of(scene, camera)
    small = synthetic.render_depth(scene, camera.resized(SIZE_WH[0] // PATCH, SIZE_WH[1] // PATCH))
    depth = resize_depth(small, *SIZE_WH)
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    mesh = d3.mesh(d3.RGBD(image, depth, camera), normals=False)
    rules = {"depth3d": (mesh.vertices, mesh.faces, pixels_of(mesh))}
    z = depth.values.astype(np.float64)
    points = (z[..., None] * camera.pixel_rays()).reshape(-1, 3)
    for name, flagged in (
        ("gradient > 0.05 m", baselines.flagged_by_gradient(z)),
        ("range > 4 % of z", baselines.flagged_by_ratio(z)),
    ):
        faces = baselines.grid_faces(depth.valid & ~flagged)
        rules[name] = (np.nan_to_num(points), faces, faces)
    rows = {}
    for name, (vertices, faces, pixels) in rules.items():
        if len(faces):
            used, numbers = np.unique(faces, return_inverse=True)
            row, _ = measured(truth, vertices[used], numbers.reshape(-1, 3))
            rows[name] = row | {"lost": truth.loss(pixels)}
        else:
            rows[name] = {"faces": 0, "lost": 1.0}
    return rows


def percent(value: float) -> str:
    return f"{100 * value:.3g} %" if abs(value) >= 5e-6 else "0 %"


def distances(row: dict[str, Any]) -> contract.Row:
    sides = {"off": "to_truth", "back": "from_truth"}
    return {f"{n}: {what}": percent(row[side][what]) for n, side in sides.items() for what in ("mean", "max")}


def exact_tables(report: dict[str, Any]) -> contract.Tables:
    return {
        "Meshes of exact depth": {
            name: {
                "faces": r["full"]["faces"],
                "area / true": f"{r['area']:.4f}",
                "bridging": f"{r['bridging']} (+{r['bridging_small']})",
                "lost": percent(r["lost"]),
                "Euler (true)": f"{r['topology']['euler']} ({r['perfect']['euler']})",
                "parts (true)": f"{r['topology']['parts']} ({r['perfect']['parts']})",
                **distances(r["full"]),
            }
            for name, r in report.items()
        },
        "Meshes of 5 % of the faces": {
            name: {
                "faces": r["few"]["faces"],
                "Euler": r["few_topology"]["euler"],
                **distances(r["few"]),
                "in the air": r["few"]["in_the_air"],
                "seconds": contract.rounded(r["few_seconds"], 3),
            }
            for name, r in report.items()
        },
    }


def upsampled_tables(report: dict[str, Any]) -> contract.Tables:
    rows: dict[str, contract.Row] = {}
    for name, rules in report.items():
        for rule, r in rules.items():
            row: contract.Row = {"faces": r["faces"], "good surface lost": percent(r["lost"])}
            if r["faces"]:
                row |= {"in the air": r["in_the_air"], "their area": percent(r["in_the_air_area_share"])}
                row |= {f"off: {what}": percent(r["to_truth"][what]) for what in ("mean", "max")}
            rows[f"{name}, {rule}"] = row
    return {"Meshes of upsampled depth, by who cuts": rows}


def large(rounds: int, megapixels: float) -> dict[str, contract.Row]:
    """Time all on a large photo, in turns."""
    import cv2

    share = (megapixels * 1e6 / (LARGE_WH[0] * LARGE_WH[1])) ** 0.5
    width, height = (round(share * side) for side in LARGE_WH)
    most = round(LARGE_FACES * share**2)
    camera, scene = synthetic.default_camera(width, height), synthetic.random_scene(1)
    quarter = synthetic.render_image(scene, camera.resized(width // 4, height // 4), samples=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo, depth = folder / "photo.jpg", folder / "depth.npy"
        d3.save(cv2.resize(quarter, (width, height), interpolation=cv2.INTER_CUBIC), photo)
        np.save(depth, synthetic.render_depth(scene, camera).values)
        ours = [
            sys.executable,
            "-m",
            "depth3d_cli",
            "mesh",
            photo,
            "--depth",
            depth,
            "--depth-kind",
            "metric",
        ]
        ours += ["--fov-x-deg", "60", "--max-faces", most, "-o", folder / "ours.glb", "--overwrite", "-q"]
        plain = [sys.executable, baselines.__file__, photo, depth, camera.fx, folder / "plain.glb"]
        commands = {OURS: ours, PLAIN: [*plain, 0]}
        if find_spec("fast_simplification"):
            commands["plain script, fast_simplification"] = [*plain, most]
        runs: dict[str, list[contract.Finished]] = {label: [] for label in commands}
        files: dict[str, contract.Row] = {}

        def run(label: str) -> Callable[[], None]:
            def call() -> None:
                runs[label].append(contract.fresh(commands[label]))
                output = folder / ("ours.glb" if label == OURS else "plain.glb")
                size_mb = round(output.stat().st_size / 1e6, 1)
                files[label] = {"faces": _faces_in(output), "file MB": size_mb}

            return call

        contract.in_turns({label: run(label) for label in commands}, rounds, warm_up=0)
    peaks = {label: [run.peak_mb for run in found] for label, found in runs.items()}
    times = {label: [run.seconds for run in found] for label, found in runs.items()}
    rows = contract.compared(times, *(label for label in commands if label != OURS), unit="seconds")
    return {
        label: row | {"peak MB": contract.spread(peaks[label])} | files[label] for label, row in rows.items()
    }


def _faces_in(path: Path) -> int:
    head = path.read_bytes()[: 1 << 20]
    document = json.loads(head[20 : 20 + int.from_bytes(head[12:16], "little")])
    return document["accessors"][document["meshes"][0]["primitives"][0]["indices"]]["count"] // 3


def main() -> None:
    parser = contract.parser(__doc__, rounds=3)
    parser.add_argument("--large", action="store_true", help="time a large photo instead")
    parser.add_argument("--megapixels", type=float, default=12, help="of the large photo")
    parser.add_argument("--scenes", nargs="*", default=list(SCENES), help="names of some")
    options = parser.parse_args()
    if options.large:
        results = {
            f"Photo and depth to GLB, {options.megapixels:g} MP": large(options.rounds, options.megapixels)
        }
        contract.publish("mesh", results, output=options.output, settings={"rounds": options.rounds})
        return
    details = {
        "exact": {name: exact(SCENES[name]()) for name in options.scenes},
        "upsampled": {name: upsampled(SCENES[name]()) for name in options.scenes},
    }
    results = exact_tables(details["exact"]) | upsampled_tables(details["upsampled"])
    contract.publish("mesh", results, output=options.output, details=details)


if __name__ == "__main__":
    main()
