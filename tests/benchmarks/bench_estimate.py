"""Estimator against `transformers`' depth-estimation pipeline: milliseconds and peak memory.

Contract: the real Small architecture (24.8 million weights, drawn from seed 0 so that the output has a
healthy range; speed does not depend on their values), saved once and loaded by every contender. Two pictures
of smoothed noise from seed 0: 640x480 and 4000x3000. A contender gets the decoded picture and gives a float
map of the picture's size: ours by each backend that is installed, in float32 and in the automatic format,
and the pipeline with its PIL processor, bicubic upsampling included. All are loaded in one process and take
turns, one call each a round, after two rounds of warm-up; the figure is the median of 7 rounds with the
smallest and the largest beside it. `off` is the root mean square difference to our own map in float32 by
PyTorch, after affine alignment, as a share of its span. Peak memory is the resident set of a fresh process
that loads one contender and estimates one picture; what backends compile is kept in a temporary folder, so
the first process of each pays for it (import and load, of the first picture). Needs no network and about 3
GB of memory.

Losses: what short formats cost in accuracy on real photos, those of ../shared/data/photos where that is, else
the samples': AbsRel to the map in float32 by PyTorch after scale and shift, where that is a hundredth of its
largest value at least, and `off` as above; median, least and largest over the photos. Of Small with those
random weights, and of `mini`, which is trained, without refinement. Trained transformers have channels larger
than random ones have.

    python tests/benchmarks/bench_estimate.py [--rounds 7] [--output result.json]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import contract

SEED = 0
WARM_UP = 2
PICTURES = {"640x480": (480, 640), "4000x3000": (3000, 4000)}
REFERENCE = "depth3d torch float32"
OURS = {
    REFERENCE: "torch",
    "depth3d torch auto": "torch",
    "depth3d compile auto": "compile",
    "depth3d onnx float32": "onnx",
    "depth3d onnx int8": "onnx",
    "depth3d openvino float32": "openvino",
    "depth3d openvino auto": "openvino",
    "depth3d openvino int8": "openvino",
}
SHORT = ("torch bfloat16", "openvino bfloat16", "onnx int8", "openvino int8")
PIPELINE = "transformers pipeline"
PREPROCESSOR = {
    "image_processor_type": "DPTImageProcessor",
    "do_resize": True,
    "size": {"height": 518, "width": 518},
    "keep_aspect_ratio": True,
    "ensure_multiple_of": 14,
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def save_network(folder: Path, **config: Any) -> None:
    """Save the Small architecture, or another, with random weights that give a map of healthy range."""
    import torch
    from transformers.models.depth_anything import DepthAnythingConfig, DepthAnythingForDepthEstimation

    network = DepthAnythingForDepthEstimation(DepthAnythingConfig(**config)).eval()
    draw = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("lambda1"):
                weight.fill_(0.1)
            elif "embeddings" in name and "patch" not in name:
                weight.copy_(0.1 * torch.randn(weight.shape, generator=draw))
            elif weight.ndim >= 2:
                weight.normal_(0, 1 / math.sqrt(weight[0].numel()), generator=draw)
        network.head.conv3.weight.abs_()
        network.head.conv3.bias.fill_(0.5)
    network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))


def picture(size_hw: tuple[int, int]) -> Any:
    """Make a picture of smoothed noise, (H, W, 3) uint8."""
    import cv2
    import numpy as np

    noise = np.random.default_rng(SEED).normal(size=(size_hw[0] // 8, size_hw[1] // 8, 3))
    large = cv2.resize(noise, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_CUBIC)
    return np.clip(127.5 + 60 * large, 0, 255).astype(np.uint8)


def contenders() -> list[str]:
    """Name those whose packages are installed."""
    from depth3d.estimate.backends.choice import installed_backends

    there = installed_backends()
    return [*(name for name, backend in OURS.items() if backend in there), PIPELINE]


def contender(name: str, folder: Path) -> Callable[[Any], Any]:
    """Load one contender; it takes an (H, W, 3) uint8 array and gives a float map of that size."""
    if name.startswith("depth3d"):
        from depth3d.estimate.estimator import DepthEstimator

        _, backend, dtype = name.split()
        estimator = DepthEstimator.from_pretrained(folder, device="cpu", backend=backend, dtype=dtype)
        return lambda image: estimator(image).values
    from PIL import Image
    from transformers import pipeline
    from transformers.models.depth_anything import DepthAnythingForDepthEstimation
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    pipe = pipeline(
        "depth-estimation",
        model=DepthAnythingForDepthEstimation.from_pretrained(folder, local_files_only=True),
        image_processor=DPTImageProcessorPil.from_pretrained(folder, local_files_only=True),
        device="cpu",
    )
    return lambda image: pipe(Image.fromarray(image))["predicted_depth"].numpy()


def one_process(name: str, size: str, folder: Path) -> dict[str, float]:
    """Load one contender, estimate one picture, and report the peak of this process."""
    import numpy as np

    image = np.load(folder / f"{size}.npy")  # making it here would peak higher than the contenders
    start = time.perf_counter()
    run = contender(name, folder)
    loaded = time.perf_counter()
    shape = run(image).shape
    done = time.perf_counter()
    assert tuple(shape) == PICTURES[size], shape
    return {
        "peak MB": round(contract.peak_bytes() / 1e6, 1),
        "import and load, ms": round(1e3 * (loaded - start), 1),
        "first call, ms": round(1e3 * (done - loaded), 1),
    }


def interleaved(folder: Path, rounds: int) -> contract.Tables:
    """Let the contenders take turns on each picture."""
    import torch

    from depth3d.estimate.alignment import aligned_error

    runners = {name: contender(name, folder) for name in contenders()}
    tables: contract.Tables = {}
    for size, size_hw in PICTURES.items():
        image = picture(size_hw)
        maps: dict[str, torch.Tensor] = {}

        def call(name: str, image: Any = image, maps: Any = maps) -> Callable[[], None]:
            def run() -> None:
                maps[name] = runners[name](image)

            return run

        times = contract.in_turns({name: call(name) for name in runners}, rounds, WARM_UP)
        made = {name: torch.as_tensor(found.copy()) for name, found in maps.items()}
        tables[f"One call, {size}"] = {
            name: row | {"off": f"{aligned_error(made[name], made[REFERENCE]):.1e}"}
            for name, row in contract.compared(times, PIPELINE).items()
        }
    return tables


def losses(folder: Path) -> contract.Tables:
    """Compare the maps of short formats with those of float32, photo by photo."""
    import numpy as np
    import torch
    from PIL import Image

    from depth3d.errors import Depth3DError
    from depth3d.estimate.alignment import aligned_abs_rel, aligned_error
    from depth3d.estimate.backends.choice import installed_backends
    from depth3d.estimate.estimator import DepthEstimator

    paths = sorted((contract.ROOT.parent / "shared" / "data" / "photos").glob("*.jpg"))
    paths = paths or [contract.ROOT / "samples" / "data" / "still_life.png"]
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in paths]

    def maps(model: Any, backend: str, dtype: str) -> list[torch.Tensor]:
        options = {"device": "cpu", "backend": backend, "dtype": dtype, "refine": "none"}
        estimator = DepthEstimator.from_pretrained(model, **options)
        return [torch.as_tensor(estimator(photo).values.copy()) for photo in photos]

    tables: contract.Tables = {}
    for name, model in (("Small, random weights", folder), ("mini", "mini")):
        exact = maps(model, "torch", "float32")
        rows: dict[str, contract.Row] = {}
        for form in SHORT:
            backend, dtype = form.split()
            if backend not in installed_backends():
                continue
            try:
                pairs = list(zip(maps(model, backend, dtype), exact, strict=True))
            except Depth3DError as error:  # a processor without that format
                print(error, file=sys.stderr)
                continue
            rows[f"depth3d {form}"] = {
                "AbsRel, %": contract.spread((aligned_abs_rel(*pair) for pair in pairs), 100),
                "off, %": contract.spread((aligned_error(*pair) for pair in pairs), 100),
            }
        tables[f"Loss of accuracy of {name}, {len(photos)} photos"] = rows
    return tables


def main() -> None:
    """Run the benchmark and write its result as JSON."""
    parser = contract.parser(__doc__, rounds=7)
    parser.add_argument("--one", nargs=3, metavar=("NAME", "SIZE", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, size, folder = options.one
        print(json.dumps(one_process(name, size, Path(folder))))
        return
    import numpy as np

    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        os.environ["DEPTH3D_CACHE_DIR"] = str(folder / "cache")
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")
        save_network(folder)
        for size, size_hw in PICTURES.items():
            np.save(folder / f"{size}.npy", picture(size_hw))
        memory: dict[str, dict[str, contract.Row]] = {}
        for size in PICTURES:
            for name in contenders():
                words = [sys.executable, __file__, "--one", name, size, folder]
                memory.setdefault(f"Load and one call in a fresh process, {size}", {})[name] = (
                    contract.reported(words)[1]
                )
        results = interleaved(folder, options.rounds) | losses(folder) | memory
    import torch

    from depth3d.accel.precision import preferred_dtype

    settings = {
        "rounds": options.rounds,
        "warm-up rounds": WARM_UP,
        "seed": SEED,
        "threads of PyTorch": torch.get_num_threads(),
        "automatic format": str(preferred_dtype(torch.device("cpu"))).removeprefix("torch."),
    }
    contract.publish("estimate", results, output=options.output, settings=settings)


if __name__ == "__main__":
    main()
