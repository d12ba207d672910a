"""Where the time of `depth3d cloud photo.jpg -o cloud.ply` goes, in fresh processes.

Contract: the real Small architecture with random weights (time does not depend on them) is saved to a
temporary directory once; each round starts one interpreter that times its own stages, and one that runs the
whole command; rounds alternate; the first round of each warms the file cache and is dropped; medians and the
spread (min..max) of the others are printed as JSON.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROUNDS = 5

STAGES = """
import time
start = time.perf_counter()
marks = {}
def mark(name):
    global start
    now = time.perf_counter()
    marks[name] = 1000 * (now - start)
    start = now
import depth3d, depth3d_cli.main, depth3d_cli.commands.cloud
mark("imports of the command line")
import torch
mark("import torch")
from depth3d.estimate.estimator import DepthEstimator
estimator = DepthEstimator.from_pretrained(MODEL)
mark("loading (imports of transformers, weights)")
image = depth3d.load_image(PHOTO)
mark("reading the photo")
prediction = estimator.predict(image)
mark("first inference")
camera = depth3d.camera_for(PHOTO)
depth = depth3d.assume_range(prediction.depth, 1, 10).apply(prediction.depth)
cloud = depth3d.point_cloud(depth3d.RGBD(image, depth, camera))
mark("point cloud")
depth3d.save(cloud, OUT)
mark("saving")
import json
print(json.dumps(marks))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _save_small_with_random_weights(folder / "small")
        photo = folder / "photo.png"
        _save_photo(photo)
        values = {"MODEL": str(folder / "small"), "PHOTO": str(photo), "OUT": str(folder / "stages.ply")}
        code = "".join(f"{key} = {value!r}\n" for key, value in values.items()) + STAGES
        whole = [sys.executable, "-m", "depth3d_cli", "cloud", str(photo), "--model", values["MODEL"]]
        whole += ["-o", str(folder / "whole.ply"), "--overwrite", "-q"]
        runs: list[dict[str, float]] = []
        for _ in range(ROUNDS + 1):
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            marks = json.loads(done.stdout.splitlines()[-1])
            start = time.perf_counter()
            subprocess.run(whole, check=True, capture_output=True)
            marks["whole command (wall)"] = 1000 * (time.perf_counter() - start)
            runs.append(marks)
        rows = {
            name: {
                "median_ms": round(statistics.median(run[name] for run in runs[1:]), 1),
                "spread_ms": [round(f(run[name] for run in runs[1:]), 1) for f in (min, max)],
            }
            for name in runs[0]
        }
        print(json.dumps({"cores": os.cpu_count(), "rounds": ROUNDS, "stages": rows}, indent=2))


def _save_small_with_random_weights(folder: Path) -> None:
    import torch
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        hidden_size=384, num_attention_heads=6, image_size=518, patch_size=14, reshape_hidden_states=False,
        out_features=["stage3", "stage6", "stage9", "stage12"], apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, neck_hidden_sizes=[48, 96, 192, 384], fusion_hidden_size=64,
        reassemble_hidden_size=384,
    )  # fmt: skip
    torch.manual_seed(0)
    model = DepthAnythingForDepthEstimation(config)
    with torch.no_grad():  # the default initialisation ends in a dead ReLU
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, parameter[0].numel() ** -0.5)
        last = model.head.conv3
        last.weight.abs_()
        last.bias.fill_(0.5)
    model.save_pretrained(folder)


def _save_photo(path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8))
    coarse.resize((640, 480), Image.Resampling.BICUBIC).save(path)


if __name__ == "__main__":
    main()
