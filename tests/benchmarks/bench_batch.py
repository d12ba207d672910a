"""How the estimator grows with the batch, 1 to 64 photos in one call, beside `transformers`' pipeline.

Contract: photos of smoothed noise, 320x240, decoded, on the CPU unless told otherwise. `mini` (at its
smallest), and the Small architecture with random weights at 140 pixels, in PyTorch and by the default
backend; the pipeline has the same Small network at the same size, with the same `batch_size`. A call takes n
different photos and gives n float maps of the photos' size. Contenders and batches take turns; `growth` is
the time a photo over that at batch 1 of the same contender, round by round, so that 1 is no growth. Time is
for the call alone, after one call of warm-up.

    python tests/benchmarks/bench_batch.py [--rounds 5] [--batches 1 2 4 8 16 32 64] [--device cpu]
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import contract
import numpy as np
from bench_estimate import PREPROCESSOR, picture, save_network

SIZE_HW = (240, 320)
INPUT_SIZE = 140
PIPELINE = "pipeline, Small at 140"


def contenders(folder: Path, device: str) -> dict[str, Callable[[list[Any], int], Any]]:
    """Load each; it takes photos and the batch."""
    from PIL import Image
    from transformers import pipeline
    from transformers.models.depth_anything import DepthAnythingForDepthEstimation
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    import depth3d as d3

    def ours(model: Any, **options: Any) -> Callable[[list[Any], int], Any]:
        loaded: dict[int, Any] = {}

        def run(photos: list[Any], batch: int) -> Any:
            if batch not in loaded:
                loaded[batch] = d3.DepthEstimator.from_pretrained(
                    model, device=device, batch_size=batch, **options
                )
            return [depth.values for depth in loaded[batch](photos)]

        return run

    processor = PREPROCESSOR | {"size": {"height": INPUT_SIZE, "width": INPUT_SIZE}}
    pipe = pipeline(
        "depth-estimation",
        model=DepthAnythingForDepthEstimation.from_pretrained(folder, local_files_only=True),
        image_processor=DPTImageProcessorPil(
            **{name: value for name, value in processor.items() if name != "image_processor_type"}
        ),
        device=device,
    )

    def theirs(photos: list[Any], batch: int) -> Any:
        made = pipe([Image.fromarray(photo) for photo in photos], batch_size=batch)
        return [row["predicted_depth"].numpy() for row in made]

    small = {"input_size": INPUT_SIZE}
    return {
        "depth3d, mini": ours("mini", input_size=64),
        "depth3d, Small at 140, torch float32": ours(folder, backend="torch", dtype="float32", **small),
        "depth3d, Small at 140, default": ours(folder, **small),
        PIPELINE: theirs,
    }


def measured(
    runners: dict[str, Callable[[list[Any], int], Any]], batches: list[int], rounds: int
) -> dict[str, dict[str, contract.Row]]:
    """Let all take turns at all batches."""
    photos = [np.roll(picture(SIZE_HW), 7 * k, axis=1) for k in range(max(batches))]
    for run in runners.values():
        shapes = {tuple(found.shape) for found in run(photos[:2], 2)}
        assert shapes == {SIZE_HW}, shapes
    calls = {
        f"{name} | {n}": lambda run=run, n=n: run(photos[:n], n)
        for name, run in runners.items()
        for n in batches
    }
    times = contract.in_turns(calls, rounds)
    a_photo = {
        name: {n: [seconds / n for seconds in times[f"{name} | {n}"]] for n in batches} for name in runners
    }
    return {
        "Batches: ms a photo": {
            name: {f"batch {n}": contract.spread(found, 1e3) for n, found in rows.items()}
            for name, rows in a_photo.items()
        },
        "Batches: growth over one photo": {
            name: {f"batch {n}": contract.ratio(rows[batches[0]], found) for n, found in rows.items()}
            for name, rows in a_photo.items()
        },
        "Batches: pipeline's time over ours": {
            name: {
                f"over, batch {n}": contract.ratio(found, a_photo[PIPELINE][n]) for n, found in rows.items()
            }
            for name, rows in a_photo.items()
            if "Small" in name and name != PIPELINE
        },
    }


def main() -> None:
    options = contract.parser(__doc__, rounds=5)
    options.add_argument("--batches", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32, 64])
    options.add_argument("--device", default="cpu")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["DEPTH3D_CACHE_DIR"] = str(folder / "cache")
        save_network(folder / "small")
        results = measured(contenders(folder / "small", asked.device), asked.batches, asked.rounds)
    contract.publish(
        "batch", results, output=asked.output, settings={"rounds": asked.rounds, "warm-up rounds": 1}
    )


if __name__ == "__main__":
    main()
