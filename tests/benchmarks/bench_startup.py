"""The whole command, photo to cloud, as a process: `depth3d cloud` beside the script that a user would write.

The peer is `pipeline_script.py`: the `transformers` pipeline, NumPy and Open3D. The network is the real Small
architecture with random weights, but so that its map is smooth: ours looks at each edge of the map for the
cloud, and one that is edges everywhere takes seconds more at 12 megapixels. `mini`, whose weights are
trained, stands beside them. Ours runs with PyTorch, as it is installed by default, and with OpenVINO and ONNX
Runtime, where those are installed, whose compiled networks are there from an earlier run.

Contenders take turns, in fresh processes. `start-up` is the interpreter, all imports, the weights, and the
process' end; `work` is reading, the network, the cloud, writing. Warm: files are in the system's cache.
Cold: before each process the pages of the code of the packages that either loads, of the weights and of the
compiled network are given back (`posix_fadvise`), but for those that other processes use; the names of files
stay cached.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import contract
import numpy as np

from depth3d.estimate.backends.installed import missing_modules

SIZES = {"640x480": (640, 480), "12 MP": (4000, 3000)}
PEER = "pipeline script"
_LOADED = (
    "torch", "transformers", "huggingface_hub", "tokenizers", "safetensors", "numpy", "scipy", "PIL",
    "open3d", "sklearn", "pandas", "matplotlib", "cv2", "pillow_heif", "openvino", "onnxruntime", "click",
    "depth3d", "depth3d_cli",
)  # fmt: skip
_CODE = re.compile(r"\.(pyc|so(\.[\d.]+)?)$")
_STARTS = ("start-up", "imports", "loading the network")


def main() -> None:
    options = contract.parser(__doc__, rounds=7)
    options.add_argument("--cold-rounds", type=int, default=3)
    options.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    given = options.parse_args()
    results: contract.Tables = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_small_with_random_weights(folder / "small")
        for size in given.sizes:
            photo = folder / f"{size.replace(' ', '')}.jpg"
            save_photo(photo, SIZES[size])
            for kind, rounds in (("warm", given.rounds), ("cold", given.cold_rounds)):
                if rounds:
                    files = files_to_forget(folder) if kind == "cold" else []
                    found = measured(contenders(folder, photo), rounds, files, str(folder / "cache"))
                    results[f"Photo to cloud, {size}, {kind}"] = table(found)
    settings = {"rounds": given.rounds, "cold_rounds": given.cold_rounds, "network": "Small, random weights"}
    contract.publish("startup", results, output=given.output, settings=settings)


def contenders(folder: Path, photo: Path) -> dict[str, list[str]]:
    """Name the commands, which all write a PLY of the photo."""
    small = str(folder / "small")
    ours = [sys.executable, "-m", "depth3d_cli", "cloud", str(photo), "-o", str(folder / "ours.ply")]
    ours += ["--overwrite", "-q", "--profile", "--device", "cpu", "--model"]
    script = str(Path(__file__).with_name("pipeline_script.py"))
    made = {
        PEER: [sys.executable, script, small, str(photo), str(folder / "theirs.ply")],
        "depth3d cloud, PyTorch": [*ours, small, "--backend", "torch"],
    }
    for title, backend in (("OpenVINO", "openvino"), ("ONNX Runtime", "onnx")):
        if not missing_modules(backend):
            made[f"depth3d cloud, {title}"] = [*ours, small, "--backend", backend]
    return made | {"depth3d cloud, mini": [*ours, "mini"]}


def measured(
    commands: dict[str, list[str]], rounds: int, forget: list[Path], cache: str
) -> dict[str, list[tuple[contract.Finished, float]]]:
    """Run the commands in turns, each round in the other order; give each run, and its seconds of work."""
    found: dict[str, list[tuple[contract.Finished, float]]] = {name: [] for name in commands}
    for turn in range(1 + rounds):
        order = list(commands.items())
        for name, words in reversed(order) if turn % 2 else order:
            for file in forget:
                give_back(file)
            done = contract.fresh(words, DEPTH3D_CACHE_DIR=cache, HF_HUB_OFFLINE="1")
            if turn:  # the first one compiles, and fills caches
                found[name].append((done, work_of(done.text)))
    return found


def work_of(text: str) -> float:
    """Read the seconds of work from what a contender says."""
    if match := re.search(r'^\{"work_s": ([\d.]+)\}$', text, re.MULTILINE):
        return float(match[1])
    rows = re.findall(r"^(\S.*?) {2,}(\d+\.\d+) +\d+ %", text, re.MULTILINE)
    return sum(float(seconds) for name, seconds in rows if name not in _STARTS)


def table(found: dict[str, list[tuple[contract.Finished, float]]]) -> dict[str, contract.Row]:
    """Make the rows: whole, split, memory, and the ratio to the script, round by round."""
    peers = [done.seconds for done, _ in found[PEER]]
    rows: dict[str, contract.Row] = {}
    for name, runs in found.items():
        whole = [done.seconds for done, _ in runs]
        rows[name] = {
            "seconds": contract.spread(whole),
            "start-up": contract.spread(done.seconds - work_s for done, work_s in runs),
            "work": contract.spread(work_s for _, work_s in runs),
            "processor seconds": contract.spread(done.cpu_seconds for done, _ in runs),
            "peak MB": contract.spread(done.peak_mb for done, _ in runs),
        }
        if name != PEER:
            rows[name][f"over {PEER}"] = contract.ratio(whole, peers)
    return rows


def files_to_forget(folder: Path) -> list[Path]:
    """List what is loaded of the standard library and of the packages, and the files of this benchmark."""
    places = [Path(sysconfig.get_path("stdlib")) / part for part in ("__pycache__", "lib-dynload", "email")]
    for name in _LOADED:
        found = find_spec(name)
        if found is not None and found.origin is not None:
            places.append(Path(found.origin).parent)
            places.append(places[-1].with_name(f"{name}.libs"))
    code = [file for place in places for file in place.rglob("*") if _CODE.search(file.name)]
    return code + [file for file in folder.rglob("*") if file.is_file()]


def give_back(file: Path) -> None:
    """Let the system forget the pages of a file."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError:
        return
    finally:
        os.close(descriptor)


def save_small_with_random_weights(folder: Path) -> None:
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
        for layer in model.modules():  # each output the same wherever in the kernel, and the map has no grid
            if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
                side, weight = layer.kernel_size[0], layer.weight
                weight.copy_(weight.mean((2, 3), keepdim=True).expand_as(weight) * side)
        embeddings = model.backbone.embeddings
        embeddings.patch_embeddings.projection.weight.mul_(0.02)  # the photo is noise
        cells = math.isqrt(embeddings.position_embeddings.shape[1] - 1)
        places = torch.nn.functional.interpolate(
            torch.randn(1, 384, 4, 4), size=(cells, cells), mode="bicubic"
        )
        embeddings.position_embeddings[:, 1:] = places.flatten(2).transpose(1, 2)
        last = model.head.conv3
        last.weight.abs_()
        last.bias.fill_(0.5)
    model.save_pretrained(folder)
    settings: dict[str, Any] = {
        "image_processor_type": "DPTImageProcessor", "do_resize": True, "size": {"height": 518, "width": 518},
        "keep_aspect_ratio": True, "ensure_multiple_of": 14, "resample": 3, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def save_photo(path: Path, size_wh: tuple[int, int]) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8))
    coarse.resize(size_wh, Image.Resampling.BICUBIC).save(path, quality=92)


if __name__ == "__main__":
    main()
