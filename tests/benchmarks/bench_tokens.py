"""Constant tokens: what a bound on the cells of a photo saves for wide ones, and what it costs in accuracy.

Depth Anything sees photos with the shorter side at 518, so that a wide one takes more work than a square one:
37 x 37 cells of 14 pixels make a square, 37 x 66 a photo of 16:9. `max_tokens=1369` keeps every shape to a
square's number; both sides shrink.

**Time**: the Small architecture with random weights, pictures of smoothed noise from seed 0, one call from
decoded picture to map of its size, by PyTorch and by OpenVINO where that is installed, in the automatic
format; with and without the bound in turns, after two rounds of warm-up.

**Accuracy** takes trained weights, and those that come with depth3d are `mini`'s. Its own rule is the longer
side at 384; Depth Anything's rule, carried over, is the shorter side at 288 or at 224, and the bound is the
number of cells (of 32 pixels) that this is at 4:3: 9 x 12 and 7 x 9. At 288 wide photos leave the sizes that
`mini` has learned from, at 224 they do not. Scenes are rendered with exact depth, from seeds that `mini` has
not seen, at each aspect ratio; `--rgbd` adds frames of a sensor, cut to it about their middle. AbsRel and
delta1 after scale and shift in 1/z, means over scenes; `worse by` is the mean over scenes of what the bound
adds to AbsRel, as a share of its mean, with its standard error.

    python tests/benchmarks/bench_tokens.py [--rounds 7] [--scenes 48] [--rgbd FOLDER ...]

A FOLDER has color/NAME.jpg and depth/NAME.png of the same size, in millimetres, 0 is unknown.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import contract
import numpy as np
from bench_estimate import picture, save_network

SHAPES = {"1:1": (480, 480), "4:3": (480, 640), "16:9": (720, 1280), "2:1": (600, 1200)}
"""Aspect ratio -> height and width in pixels."""
BOUND = 1369
WARM_UP = 2
FIRST_SEED = 9_000_000
"""Far from the scenes that `mini` was trained on."""
SCENE_HEIGHT = 432
MINI_RULES = {288: 108, 224: 63}
"""Shorter side in pixels -> its cells of 32 x 32 at 4:3."""


def main() -> None:
    options = contract.parser(__doc__, rounds=7)
    options.add_argument("--scenes", type=int, default=48)
    options.add_argument("--rgbd", type=Path, nargs="*", default=[], metavar="FOLDER")
    asked = options.parse_args()
    results: contract.Tables = {}
    if asked.rounds:
        results |= times(asked.rounds)
    for shape, size_hw in SHAPES.items():
        if shape != "1:1" and asked.scenes:
            found = accuracy(rendered(asked.scenes, size_hw), size_hw)
            results[f"Accuracy of mini on {asked.scenes} scenes, {shape}"] = found
        if shape not in ("1:1", "4:3") and asked.rgbd:
            frames = list(sensed(asked.rgbd, size_hw))
            results[f"Accuracy of mini on {len(frames)} frames of sensors, {shape}"] = accuracy(
                frames, size_hw
            )
    settings = {
        "rounds": asked.rounds, "warm-up rounds": WARM_UP, "bound": BOUND, "scenes": asked.scenes,
        "first seed": FIRST_SEED,
    }  # fmt: skip
    contract.publish("tokens", results, output=asked.output, settings=settings)


def times(rounds: int) -> contract.Tables:
    """Time Small on each shape, with the bound and without."""
    import depth3d as d3
    from depth3d.estimate.backends.choice import installed_backends
    from depth3d.estimate.preprocess import network_size

    tables: contract.Tables = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["DEPTH3D_CACHE_DIR"] = str(folder / "cache")
        save_network(folder / "small")
        for backend in ("torch", "openvino"):
            if backend not in installed_backends():
                continue
            load = d3.DepthEstimator.from_pretrained
            whole, bounded = (
                load(folder / "small", device="cpu", backend=backend, **options)
                for options in ({}, {"max_tokens": BOUND})
            )
            rows: dict[str, contract.Row] = {}
            for shape, (height, width) in SHAPES.items():
                image = picture((height, width))
                calls = {"at 518": call(whole, image), "bounded": call(bounded, image)}
                found = contract.in_turns(calls, rounds, WARM_UP)
                sizes = [
                    network_size(whole._rule, height, width, input_size=518, max_tokens=tokens)
                    for tokens in (whole._max_tokens, BOUND)
                ]
                rows[shape] = {
                    "seen at": by(sizes[0]),
                    "ms": contract.spread(found["at 518"], 1e3),
                    "bounded": by(sizes[1]),
                    "ms, bounded": contract.spread(found["bounded"], 1e3),
                    "over no bound": contract.ratio(found["bounded"], found["at 518"]),
                }
            tables[f"One call of Small, {backend}"] = rows
    return tables


def call(estimator: Any, image: Any) -> Callable[[], Any]:
    return lambda: estimator(image)


def by(size_hw: tuple[int, int]) -> str:
    height, width = size_hw
    return f"{width}x{height}, {height // 14 * (width // 14)} tokens"


def accuracy(scenes: Iterable[tuple[Any, Any]], size_hw: tuple[int, int]) -> dict[str, contract.Row]:
    """Score `mini` under each rule on the same scenes."""
    import depth3d as d3

    height, width = size_hw
    rules: dict[str, dict[str, int]] = {}
    for shorter, tokens in MINI_RULES.items():
        longer = round(shorter * width / height / 32) * 32
        rules[f"shorter side {shorter}"] = {"input_size": longer}
        rules[f"shorter side {shorter}, bounded"] = {"input_size": longer, "max_tokens": tokens}
    rules["longer side 384 (its own)"] = {"input_size": 384}
    estimators = {
        name: d3.DepthEstimator.from_pretrained("mini", device="cpu", dtype="float32", **options)
        for name, options in rules.items()
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in rules}
    for image, truth in scenes:
        for name, estimator in estimators.items():
            score = d3.evaluate(estimator(image), truth, align="affine")
            found[name].append((score.abs_rel, score.delta1))
    rows: dict[str, contract.Row] = {}
    for name, estimator in estimators.items():
        seen_h, seen_w = estimator._size_for(np.empty((*size_hw, 3), np.uint8), 1.0)
        errors, shares = np.array(found[name]).T
        rows[name] = {
            "seen at": f"{seen_w}x{seen_h}, {seen_h * seen_w // 1024} tokens",
            "AbsRel": contract.rounded(float(errors.mean()), 3),
            "delta1": contract.rounded(float(shares.mean()), 3),
        }
        if "max_tokens" in rules[name]:
            before = np.array(found[name.removesuffix(", bounded")])[:, 0]
            worse = 100 * (errors - before) / before.mean()
            error = worse.std(ddof=1) / len(worse) ** 0.5 if len(worse) > 1 else float("nan")
            rows[name]["worse by"] = f"{worse.mean():+.1f} ± {error:.1f} %"
    return rows


def rendered(count: int, size_hw: tuple[int, int]) -> Iterator[tuple[Any, Any]]:
    """Render scenes of an aspect ratio with their depth; the sky has none."""
    import depth3d as d3
    from depth3d.train.samples import SyntheticSamples

    size_wh = (round(SCENE_HEIGHT * size_hw[1] / size_hw[0]), SCENE_HEIGHT)
    scenes = SyntheticSamples(size_wh, metric=True, first_seed=FIRST_SEED, count=count)
    for index in range(count):
        sample = scenes.load(index)
        yield sample.image, d3.DepthMap(sample.target, "metric")


def sensed(folders: Iterable[Path], size_hw: tuple[int, int]) -> Iterator[tuple[Any, Any]]:
    """Read the frames of a sensor, cut above and below to an aspect ratio."""
    import depth3d as d3

    for path in sorted(path for folder in folders for path in (folder / "color").glob("*.*")):
        image = d3.load_image(path)
        truth = d3.load_depth(path.parent.with_name("depth") / f"{path.stem}.png", kind="metric")
        height, width = image.shape[:2]
        rows = min(height, round(width * size_hw[0] / size_hw[1]))
        top = (height - rows) // 2
        yield (
            np.ascontiguousarray(image[top : top + rows]),
            d3.DepthMap(truth.values[top : top + rows], "metric"),
        )


if __name__ == "__main__":
    main()
