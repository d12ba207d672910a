"""Photos a second, films, views and bokeh on a CUDA device. Without one it says so and measures nothing.

Contract. Networks of the real architectures, Small, Base and Large, with random weights from seed 0 and in
float16; photos of smoothed noise, 640x480, decoded. A call takes a list of n photos and gives n float maps of
the photos' size, in the processor's memory. Contenders take turns: ours with CUDA graphs, ours without, and
`transformers`' pipeline in float16 on the same device with `batch_size` n, with its torchvision processor
where torchvision is installed, else with PIL's. Ten calls of warm-up, in which graphs are recorded. The
figures are photos a second; `share of matmul` is what the network's own products and convolutions come to
(counted by PyTorch's flop counter) of the rate at which this device multiplies two matrices of 8192 x 8192 in
float16, measured in the same run.

The film: moving texture, 1080p, written once; frames a second from file to file of `convert_video` (decode,
network, picture, encode), after one pass of warm-up, beside those of the network alone over frames in memory.

Views and bokeh at 1080p and 4K: milliseconds a picture, in the processor's memory, of layers and of a photo
that are ready, after one for warm-up; on the device and, in turns, on the processor of the same machine.

    python tests/benchmarks/bench_gpu.py [--rounds 11] [--models Small Base Large] [--batches 1 8 32]
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before PyTorch is imported

import contract
import numpy as np
import torch
from bench_estimate import picture, save_network
from bench_video import SIZES, make_film, timed
from view_cost import large_scene, sway
from view_truth import FOV_DEG

import depth3d as d3
from depth3d import synthetic
from depth3d.render.refocus import Refocus

MODELS: dict[str, dict[str, Any]] = {
    "Small": {},
    "Base": {
        "backbone_config": {"hidden_size": 768, "num_attention_heads": 12, "out_indices": [3, 6, 9, 12]},
        "neck_hidden_sizes": [96, 192, 384, 768],
        "fusion_hidden_size": 128,
        "reassemble_hidden_size": 768,
    },
    "Large": {
        "backbone_config": {
            "hidden_size": 1024,
            "num_attention_heads": 16,
            "num_hidden_layers": 24,
            "out_indices": [5, 12, 18, 24],
        },
        "neck_hidden_sizes": [256, 512, 1024, 1024],
        "fusion_hidden_size": 256,
        "reassemble_hidden_size": 1024,
    },
}
BACKBONE = {
    "model_type": "dinov2",
    "image_size": 518,
    "patch_size": 14,
    "apply_layernorm": True,
    "reshape_hidden_states": False,
}
"""What the three have in common."""
PICTURE_HW = (480, 640)
SEEN_HW = (518, 686)
WARM_UP = 10
MATRIX = 8192
PIPELINE = "transformers pipeline"
LARGE = {"1080p": (1920, 1080), "4K": (3840, 2160)}
POSES = 8


def save_model(name: str, folder: Path) -> Path:
    """Save one of the three architectures with random weights."""
    config = dict(MODELS[name])
    if config:
        config["backbone_config"] = BACKBONE | config["backbone_config"]
    save_network(folder / name, **config)
    return folder / name


def ours(folder: Path, device: str, dtype: str, batch: int, graphs: str) -> Callable[[list[Any]], Any]:
    """Load our estimator."""
    os.environ["DEPTH3D_CUDA_GRAPHS"] = graphs
    try:
        estimator = d3.DepthEstimator.from_pretrained(
            folder, device=device, dtype=dtype, backend="torch", batch_size=batch
        )
    finally:
        del os.environ["DEPTH3D_CUDA_GRAPHS"]
    return lambda photos: [depth.values for depth in estimator(photos)]


def theirs(folder: Path, device: str, dtype: str, batch: int) -> Callable[[list[Any]], Any]:
    """Load the pipeline."""
    from PIL import Image
    from transformers import pipeline
    from transformers.models.depth_anything import DepthAnythingForDepthEstimation

    if find_spec("torchvision"):
        from transformers.models.dpt.image_processing_dpt import DPTImageProcessor as Processor
    else:
        from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil as Processor
    pipe = pipeline(
        "depth-estimation",
        model=DepthAnythingForDepthEstimation.from_pretrained(
            folder, local_files_only=True, dtype=getattr(torch, dtype)
        ),
        image_processor=Processor.from_pretrained(folder, local_files_only=True),
        device=device,
    )

    def run(photos: list[Any]) -> Any:
        made = pipe([Image.fromarray(photo) for photo in photos], batch_size=batch)
        return [row["predicted_depth"].float().cpu().numpy() for row in made]

    return run


def flops_of(folder: Path) -> int:
    """Count the floating-point operations of a pass, without making it."""
    from torch.utils.flop_counter import FlopCounterMode

    from depth3d.estimate.checkpoints import load_checkpoint

    network = load_checkpoint(folder).network.to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(pixel_values=torch.empty(1, 3, *SEEN_HW, device="meta"))
    return int(counter.get_total_flops())


def matmul_rate(device: str, dtype: str, size: int) -> float:
    """Measure how many operations a second the device makes of a large product."""
    a, b = (torch.randn(size, size, device=device, dtype=getattr(torch, dtype)) for _ in range(2))

    def work() -> None:
        for _ in range(10):
            a @ b
        if device != "cpu":
            torch.cuda.synchronize(device)

    times = contract.in_turns({"product": work}, rounds=5, warm_up=2)["product"]
    return 10 * 2 * size**3 / sorted(times)[2]


def networks(asked: Any, folder: Path, dtype: str) -> contract.Tables:
    """Let ours and the pipeline take turns, batch by batch."""
    rate = matmul_rate(asked.device, dtype, MATRIX if asked.device != "cpu" else 512)
    photos = [np.roll(picture(PICTURE_HW), 7 * k, axis=1) for k in range(max(asked.batches))]
    tables: contract.Tables = {}
    for name in asked.models:
        saved = save_model(name, folder)
        flops = flops_of(saved)
        rows: dict[str, contract.Row] = {}
        for batch in asked.batches:
            runners = {
                "depth3d": ours(saved, asked.device, dtype, batch, "1"),
                "depth3d without graphs": ours(saved, asked.device, dtype, batch, "0"),
                PIPELINE: theirs(saved, asked.device, dtype, batch),
            }
            calls = {
                who: lambda run=run, n=batch: run(photos[:n])
                for who, run in runners.items()
                if has_room(run, photos[:batch])
            }
            times = contract.in_turns(calls, asked.rounds, WARM_UP)
            for who in runners:
                row: contract.Row = {"photos/s": "no room"}
                rows[f"{who}, batch {batch}"] = row
                if who in times:
                    row["photos/s"] = contract.spread(batch / seconds for seconds in times[who])
                    row["share of matmul"] = contract.spread(flops * batch / s / rate for s in times[who])
                if who != PIPELINE and times.keys() >= {who, PIPELINE}:
                    row["over pipeline"] = contract.ratio(times[who], times[PIPELINE])
            del runners, calls
            if asked.device != "cpu":
                torch.cuda.empty_cache()
        tables[f"GPU: {name}, {flops / 1e9:.0f} GFLOP a photo, {rate / 1e12:.3g} TFLOP/s of matmul"] = rows
    return tables


def has_room(run: Callable[[list[Any]], Any], photos: list[Any]) -> bool:
    """Run it once: whether it fits into the device's memory. What it gives has the photos' size."""
    try:
        found = run(photos)
    except torch.OutOfMemoryError:
        return False
    assert {np.shape(values) for values in found} == {PICTURE_HW}
    return True


def film(asked: Any, folder: Path, dtype: str) -> contract.Tables:
    """Convert a film, and run the network alone over as many frames."""
    saved = save_model("Small", folder)
    estimator = d3.DepthEstimator.from_pretrained(saved, device=asked.device, dtype=dtype, backend="torch")
    path = make_film(folder / "film.mp4", SIZES["1080p"], asked.frames)
    with d3.open_video(path) as video:
        images = [frame.image for frame in video.frames()]

        def convert(depth: Any) -> None:
            d3.convert_video(video, folder / "out.mp4", d3.DepthFilm(), depth=depth)

        works: dict[str, Callable[[], Any]] = {
            "network alone": lambda: list(estimator.stream(images)),
            "film to film": lambda: convert(estimator),
            "film to film, steady": lambda: convert(d3.SteadyDepth(estimator)),
        }
        rates: dict[str, list[float]] = {name: [] for name in works}
        for name, work in works.items():
            work()
            rates[name] = [timed(work, asked.frames)["fps"] for _ in range(asked.film_rounds)]
    rows = {name: {"frames/s": contract.spread(found)} for name, found in rates.items()}
    return {"GPU: a film of 1080p, Small": rows}


def pictures(asked: Any, folder: Path) -> contract.Tables:
    """Time views and bokeh, on the device and on the processor."""
    tables: contract.Tables = {}
    for size in asked.sizes:
        path = folder / f"{size}.npz"
        large_scene(path, LARGE[size])
        with np.load(path) as file:
            image, z = file["image"], file["z"]
        camera = synthetic.default_camera(*LARGE[size], FOV_DEG)
        scene = d3.RGBD(image, d3.DepthMap(z, "metric"), camera)
        near = 1 / z
        reach = 0.03 * z.shape[1]
        layers = d3.layers(scene, reach_px=reach)
        poses = sway(reach / (camera.fx * float(near.max() - near.min())), POSES)
        calls: dict[str, Callable[[], Any]] = {}
        for device in dict.fromkeys((asked.device, "cpu")):
            calls[f"view, {device}"] = view_on(d3.ViewRenderer(layers, device=device), poses)
            calls[f"bokeh, {device}"] = bokeh_on(Refocus(scene, device=device))
        times = contract.in_turns(calls, asked.rounds)
        rows: dict[str, contract.Row] = {}
        for name, found in times.items():
            rows[name] = {"ms": contract.spread(found, 1e3)}
            if not name.endswith(", cpu"):
                rows[name]["over the processor"] = contract.ratio(found, times[f"{name.split(',')[0]}, cpu"])
        tables[f"GPU: a picture of {size}"] = rows
    return tables


def view_on(renderer: Any, poses: list[Any]) -> Callable[[], Any]:
    """Give a call that takes a picture from another place each time."""
    turn = iter(range(1 << 30))
    return lambda: renderer.render(poses[1 + next(turn) % (len(poses) - 1)])


def bokeh_on(photo: Any) -> Callable[[], Any]:
    """Give a call that takes a picture by a wide lens; what is hidden is guessed before."""
    setting = photo.defocus(photo.focus(), lens=d3.ThinLens.on_full_frame(photo.scene.camera, 1.8))
    photo.prepare([setting])
    return lambda: photo.image(setting)


def main() -> None:
    parser = contract.parser(__doc__, rounds=11)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=[*MODELS])
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 8, 32])
    parser.add_argument("--sizes", nargs="*", choices=LARGE, default=[*LARGE])
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--film-rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda", help="cpu tries the script, in float32")
    asked = parser.parse_args()
    if asked.device != "cpu" and not torch.cuda.is_available():
        said = "there is no CUDA device on this machine"
        print(f"nothing was measured: {said}", file=sys.stderr)
        contract.publish("gpu", {}, output=asked.output, settings={"nothing was measured:": said})
        return
    dtype = "float32" if asked.device == "cpu" else "float16"
    with tempfile.TemporaryDirectory() as name:
        results = networks(asked, Path(name), dtype)
        if asked.frames:
            results |= film(asked, Path(name), dtype)
        results |= pictures(asked, Path(name))
    settings = {
        "rounds": asked.rounds,
        "warm-up rounds": WARM_UP,
        "frames": asked.frames,
        "format": dtype,
        "PyTorch's CUDA": torch.version.cuda or "none",
        "the pipeline's processor": "torchvision" if find_spec("torchvision") else "PIL",
    }
    contract.publish("gpu", results, output=asked.output, settings=settings)


if __name__ == "__main__":
    main()
