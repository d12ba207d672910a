"""`mini` against the Small architecture: milliseconds a pass, and the whole command in a fresh process.

Contract: the real Small architecture with random weights, saved once (time does not depend on them). A pass
is one picture of 384x288 pixels: `mini` sees it at 384x288, Small at 392x294 (28 x 21 cells of 14 pixels) and
at its own 518; all in float32 on the CPU, taking turns, after two rounds of warm-up. The command is
`depth3d estimate photo.png -o depth.npz`, one fresh process a turn. Medians, smallest and largest are given.

    python tests/benchmarks/bench_mini.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from bench_estimate import picture, save_network

WARM_UP = 2


def in_turns(contenders: dict[str, Callable[[], object]], rounds: int) -> dict[str, dict[str, float]]:
    """Time each contender once a round; give median, smallest and largest in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(WARM_UP + rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            if turn >= WARM_UP:
                times[name].append(1000 * (time.perf_counter() - start))
    return {
        name: {
            "median_ms": round(statistics.median(ms), 1),
            "min": round(min(ms), 1),
            "max": round(max(ms), 1),
        }
        for name, ms in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
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
        report = {
            "threads": torch.get_num_threads(),
            "rounds": rounds,
            "pass": in_turns(passes, rounds),
            "command": in_turns(commands, rounds),
        }
    for kind, fast in (("pass", "mini, 384x288"), ("command", "mini")):
        medians = {name: row["median_ms"] for name, row in report[kind].items()}
        report[f"{kind}: times faster than"] = {
            name: round(ms / medians[fast], 2) for name, ms in medians.items() if name != fast
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
