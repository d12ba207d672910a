"""`mini` against the Small architecture: milliseconds a pass, and the whole command in a fresh process.

Contract: the real Small architecture with random weights, saved once (time does not depend on them). A pass
is one picture of 384x288 pixels: `mini` sees it at 384x288, Small at 392x294 (28 x 21 cells of 14 pixels) and
at its own 518; all in float32 on the CPU, taking turns, after two rounds of warm-up. The command is
`depth3d estimate photo.png -o depth.npz`, one fresh process a turn. Medians, smallest and largest are given.

    python tests/benchmarks/bench_mini.py [--rounds 7]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import contract
from bench_estimate import picture, save_network

WARM_UP = 2


def main() -> None:
    asked = contract.parser(__doc__, rounds=7).parse_args()
    import torch

    import depth3d as d3

    image = picture((288, 384))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_network(folder / "small")
        d3.save(image, folder / "photo.png")
        estimators = {
            "mini, 384x288": ("mini", 384),
            "small, 392x294": (folder / "small", 294),
            "small, 686x518": (folder / "small", 518),
        }
        loaded = {
            label: d3.DepthEstimator.from_pretrained(model, device="cpu", dtype="float32", input_size=size)
            for label, (model, size) in estimators.items()
        }
        passes = {label: lambda estimator=estimator: estimator(image) for label, estimator in loaded.items()}

        def command(model: str) -> Callable[[], object]:
            words = ["estimate", str(folder / "photo.png"), "--model", model, "-o", str(folder / "depth.npz")]
            whole = [sys.executable, "-m", "depth3d_cli", *words, "--overwrite", "-q"]
            return lambda: subprocess.run(whole, check=True, capture_output=True)

        commands = {"mini": command("mini"), "small": command(str(folder / "small"))}
        turns = {
            "One pass": ("mini, 384x288", contract.in_turns(passes, asked.rounds, WARM_UP)),
            "`depth3d estimate` in a fresh process": ("mini", contract.in_turns(commands, asked.rounds)),
        }
    results: contract.Tables = {}
    for title, (fast, times) in turns.items():
        results[title] = {
            name: {"ms": contract.spread(found, 1e3)}
            | ({"times mini's": contract.ratio(times[fast], found)} if name != fast else {})
            for name, found in times.items()
        }
    settings = {"rounds": asked.rounds, "threads of PyTorch": torch.get_num_threads()}
    contract.publish("mini", results, output=asked.output, settings=settings)


if __name__ == "__main__":
    main()
