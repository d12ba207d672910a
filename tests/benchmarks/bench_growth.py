"""How the work grows with the picture, the batch, the radius of blur and the faces: CPU seconds, and memory.

Contract, beside `contract.py`: the ray-traced depth of one still life at each size, and its photo, enlarged,
with grain; each stage runs in a fresh process with one thread. It loads scenes as arrays and runs the stage
once on that of 3 megapixels, so that nothing is imported later and the allocator keeps small pieces, as it
does once a network has run; then once on its own size; and then again and again until half a second has
passed, whose mean counts. Time is CPU seconds, so that a busy machine's other work is not counted (the wall's
are in the details); what the system takes of them goes into fresh pages, as a rule, whose price is the
machine's: growth is given without it, too. Memory is the growth of the process's peak (VmHWM) in the first
run on its own size, with nothing free before, as a multiple of the bytes of photo and depth (7 a pixel),
beside what the result takes; and of the stage's own input, which for some is a cloud, a mesh or layers.

Four axes. Megapixels, 0.3 to 48: each stage after the network, with a blur as wide as 3 % of the longer side,
120 pixels at 12 megapixels, and meshes simplified to a face in 12 pixels. Batch, 1 to 64: the small network
that comes along, and the Small architecture with random weights at 140 pixels; a process estimates 64 photos
of 320x240, so many in each call. Radius, 10 to 200 pixels: bokeh of one photo. Faces, a thousand to a
million: the mesh of one photo, simplified.

Growth is the time a pixel, or a photo, over that at the axis' reference: 3 megapixels, a batch of 1, a radius
of 30, 100,000 faces. The verdict is the largest one, where it is, and whether it stays within 1.3. Values
take turns; figures are medians of the rounds.

    python tests/benchmarks/bench_growth.py [--rounds 3] [--stages cloud mesh ...] [--megapixels 0.3 3 12]
        [--batches 1 8 64] [--radii 30 120] [--faces 1e4 1e6] [--photo 3]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import contract
import growth_stages

LIMIT = 1.3
"""Growth that is taken for none."""
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENCV_FOR_THREADS_NUM": "1",
    "HF_HUB_OFFLINE": "1",
}
Rows = list[dict[str, float]]


@dataclass(frozen=True)
class Axis:
    """What grows.

    Attributes:
        name: As `growth_stages` knows it.
        title: Of its tables.
        reference: Where growth is 1.
        values: To be measured.
        stages: To be measured.
        unit: Of the values, in the columns.
        rows: What was found, by stage and value.
    """

    name: str
    title: str
    reference: float
    values: list[float]
    stages: list[str]
    unit: str
    rows: dict[str, dict[float, Rows]] = field(default_factory=dict)

    def column(self, value: float) -> str:
        return f"{value:,.10g} {self.unit}"

    def growth(self, stage: str, value: float, *, less_system: bool = False) -> float:
        """Compare what a pixel, or a photo, takes with that at the reference."""

        def a_unit(at: float) -> float:
            return statistics.median(
                (row["seconds"] - (row["system_s"] if less_system else 0)) / row["units"]
                for row in self.rows[stage][at]
            )

        return a_unit(value) / a_unit(self.reference)


def main() -> None:
    """Run the benchmark and print its result as JSON."""
    parser = contract.parser(__doc__, rounds=3)
    parser.add_argument("--stages", nargs="*", help="of a photo, by megapixels; all unless told otherwise")
    parser.add_argument("--megapixels", nargs="*", type=float, default=[0.3, 1, 3, 12, 48])
    parser.add_argument("--batches", nargs="*", type=float, default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--networks", nargs="*", default=list(growth_stages.INPUT_SIZES))
    parser.add_argument("--radii", nargs="*", type=float, default=[10, 30, 60, 120, 200])
    parser.add_argument("--faces", nargs="*", type=float, default=[1e3, 1e4, 1e5, 1e6])
    parser.add_argument(
        "--photo", type=float, default=12, help="megapixels at which radii and faces are tried"
    )
    parser.add_argument("--scenes", type=Path, help="a folder to keep the scenes in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["DEPTH3D_CACHE_DIR"] = str(folder / "cache")
        axes = _axes(options, folder)
        scenes = options.scenes or folder
        _make_scenes(axes, options.photo, scenes)
        for _ in range(options.rounds):
            for axis in axes:
                for stage in axis.stages:
                    for value in axis.values:
                        _measure(axis, stage, value, scenes, folder)
    for axis in axes:  # nothing to compare with
        for stage in [stage for stage, rows in axis.rows.items() if axis.reference not in rows]:
            del axis.rows[stage]
    contract.publish(
        "growth",
        tables(axes),
        output=options.output,
        settings={"rounds": options.rounds, "seed": growth_stages.SEED, **ONE_THREAD},
        details={axis.title: details(axis) for axis in axes},
    )


def _axes(options: Any, folder: Path) -> list[Axis]:
    at = f"at {options.photo:g} MP"
    stages = list(growth_stages.stages(folder)) if options.stages is None else options.stages
    axes = [
        Axis("megapixels", "Growth with the picture", 3, options.megapixels, stages, "MP"),
        Axis("batch", "Growth with the batch", 1, options.batches, options.networks, "a call"),
        Axis("radius", "Growth with the blur", 30, options.radii, [f"bokeh {at}"], "px"),
        Axis("faces", "Growth with the faces", 1e5, options.faces, [f"mesh {at}"], "faces"),
    ]
    for axis in axes:
        axis.values[:] = sorted({*axis.values, axis.reference}) if axis.values else []
    return [axis for axis in axes if axis.values and axis.stages]


def _make_scenes(axes: list[Axis], photo: float, scenes: Path) -> None:
    scenes.mkdir(exist_ok=True)
    sizes: set[float] = {growth_stages.USUAL_MEGAPIXELS}
    for axis in axes:
        sizes |= {"megapixels": {*axis.values}, "batch": set()}.get(axis.name, {photo})
    for size in sorted(sizes):
        if not (scenes / f"{size:g}.npz").exists():
            growth_stages.make_scene(size, scenes / f"{size:g}.npz")


def _measure(axis: Axis, stage: str, value: float, scenes: Path, folder: Path) -> None:
    words = [Path(__file__).with_name("growth_stages.py"), axis.name, stage, value, scenes, folder]
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, env=os.environ | ONE_THREAD
    )
    if done.returncode:
        print(f"{stage} {axis.column(value)}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return
    found = json.loads(done.stdout.splitlines()[-1])
    axis.rows.setdefault(stage, {}).setdefault(value, []).append(found)
    print(".", end="", file=sys.stderr, flush=True)


def tables(axes: list[Axis]) -> contract.Tables:
    """Give the verdicts, and CPU seconds, growth and memory of each stage along each axis."""

    def table(axis: Axis, figure: Callable[[str, float], float]) -> dict[str, contract.Row]:
        return {
            stage: {axis.column(value): contract.rounded(figure(stage, value), 3) for value in by_value}
            for stage, by_value in axis.rows.items()
        }

    def median(axis: Axis, key: str) -> Callable[[str, float], float]:
        return lambda stage, value: statistics.median(row[key] for row in axis.rows[stage][value])

    found: contract.Tables = {f"Verdict: largest growth, {LIMIT:g} at most": {}}
    verdicts = found[f"Verdict: largest growth, {LIMIT:g} at most"]
    for axis in axes:
        for stage, by_value in axis.rows.items():
            worst = max(by_value, key=lambda value: axis.growth(stage, value))
            most = contract.rounded(axis.growth(stage, worst), 3)
            verdicts[f"{stage}, {axis.column(min(by_value))} to {axis.column(max(by_value))}"] = {
                "largest": most, "at": axis.column(worst), "within": "yes" if most <= LIMIT else "no"
            }  # fmt: skip
        found[f"{axis.title}: CPU seconds"] = table(axis, median(axis, "seconds"))
        found[f"{axis.title}: over that at {axis.column(axis.reference)}"] = table(axis, axis.growth)
        if axis.name == "megapixels":
            found["Of the CPU seconds, the system's"] = table(axis, median(axis, "system_s"))
            found[f"Without the system's: over that at {axis.column(axis.reference)}"] = table(
                axis, partial(axis.growth, less_system=True)
            )
            found["Peak memory over photo and depth"] = table(axis, median(axis, "input_multiple"))
            found["Of it, the result's"] = table(axis, median(axis, "result_multiple"))
            found["Peak memory over the stage's own input"] = table(axis, median(axis, "own_input_multiple"))
    return found


def details(axis: Axis) -> dict[str, Any]:
    """Give the spread, and the wall's seconds."""
    return {
        stage: {
            axis.column(value): {
                "seconds": contract.spread(row["seconds"] for row in rows),
                "wall_s": contract.spread(row["wall_s"] for row in rows),
            }
            for value, rows in by_value.items()
        }
        for stage, by_value in axis.rows.items()
    }


if __name__ == "__main__":
    main()
