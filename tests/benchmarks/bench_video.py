"""What a pipeline costs beside its network: frames a second of `depth3d video` over the network's alone.

Contract: a film of smooth random texture that moves over itself is written once for each size. A round is one
pass of the network over the frames, held in memory, then the whole pipeline from file to file (decode,
network, picture, encode), with depth as it is and made steady offline; they take turns, after one frame as
warm-up, with the processor time, which says more on a busy machine. Threads that wait sleep, as they do on
the command line. Then each effect at 1080p with depth that is there already, once after a warm-up: seconds
and processor seconds a frame. Last, the peak memory (VmHWM) of fresh processes over 100 and 1,000 frames.

    python tests/benchmarks/bench_video.py [--frames 16] [--rounds 3] [--model mini] [--only overlap]
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import contract
import cv2
import numpy as np

import depth3d as d3

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before PyTorch is imported

SIZES = {"576p": (1024, 576), "1080p": (1920, 1080)}

MEMORY = """
import sys, depth3d as d3
from pathlib import Path
film, out, frames = sys.argv[1], sys.argv[2], int(sys.argv[3])
depth = d3.SteadyDepth(d3.DepthEstimator.from_pretrained("mini", input_size=64))
with d3.open_video(film, max_frames=frames) as video:
    made = d3.convert_video(video, out, d3.{effect}(), depth=depth)
assert made.frames == frames, made.frames
status = Path("/proc/self/status").read_text()
print(next(int(line.split()[1]) * 1024 / 1e6 for line in status.splitlines() if line.startswith("VmHWM")))
"""


class Known:
    """Depth that costs nothing: a slope with a box on it, the same for each frame."""

    name, kind = "known", d3.DepthKind.RELATIVE

    def __init__(self, size_wh: tuple[int, int]) -> None:
        width, height = size_wh
        values = np.broadcast_to(np.linspace(2, 6, height, dtype=np.float32)[:, None], (height, width)).copy()
        values[height // 4 : -height // 4, width // 3 : -width // 3] = 10
        self.map = d3.DepthMap(cv2.GaussianBlur(values, (0, 0), 3), self.kind)

    def stream(self, frames: Any) -> Iterator[d3.DepthMap]:
        return (self.map for _ in frames)


def main() -> None:
    parser = contract.parser(__doc__, rounds=3)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--only", choices=["overlap", "effects", "memory"])
    asked = parser.parse_args()
    results: contract.Tables = {}
    with tempfile.TemporaryDirectory() as name:
        if asked.only in (None, "overlap"):
            results["Films: the pipeline beside its network"] = {
                size: overlap(Path(name), size, asked.model, asked.frames, asked.rounds) for size in SIZES
            }
        if asked.only in (None, "effects"):
            results["Films: effects at 1080p, with depth at hand"] = effects(Path(name))
        if asked.only in (None, "memory"):
            results["Films: peak memory in MB, by frames"] = {
                effect: memory(Path(name), effect) for effect in ("DepthFilm",)
            }
    settings = {"rounds": asked.rounds, "frames": asked.frames, "model": asked.model}
    contract.publish("video", results, output=asked.output, settings=settings)


def overlap(folder: Path, size: str, model: str, frames: int, rounds: int) -> contract.Row:
    film = make_film(folder / f"{size}.mp4", SIZES[size], frames)
    estimator = d3.DepthEstimator.from_pretrained(model)
    with d3.open_video(film) as video:
        images = [frame.image for frame in video.frames()]
        estimator(images[0])

        def convert(depth: Any) -> None:
            d3.convert_video(video, folder / "out.mp4", d3.DepthFilm(), depth=depth)

        works: dict[str, Callable[[], Any]] = {
            "network": lambda: list(estimator.stream(images)),
            "pipeline": lambda: convert(estimator),
            "steady pipeline": lambda: convert(d3.SteadyDepth(estimator)),
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in works}
        calls = {
            name: lambda name=name, work=work: found[name].append(timed(work, frames))
            for name, work in works.items()
        }
        contract.in_turns(calls, rounds, warm_up=0)
    row: contract.Row = {}
    for name, runs in found.items():
        row[f"{name}, frames/s"] = contract.spread(run["fps"] for run in runs)
        row[f"{name}, CPU s a frame"] = contract.spread(run["cpu_s_a_frame"] for run in runs)
    rates = {name: [run["fps"] for run in runs] for name, runs in found.items()}
    return row | {
        f"{name}'s rate / network's": contract.ratio(rates["network"], rates[name])
        for name in ("pipeline", "steady pipeline")
    }


def effects(folder: Path, frames: int = 6) -> dict[str, contract.Row]:
    film, depth = make_film(folder / "effects.mp4", SIZES["1080p"], frames), Known(SIZES["1080p"])
    found = {}
    for effect in (d3.DepthFilm(), d3.BokehFilm(), d3.StereoFilm(), d3.ParallaxFilm()):
        with d3.open_video(film) as video:

            def run(video: Any = video, effect: Any = effect) -> None:
                d3.convert_video(video, folder / "out.mp4", effect, depth=depth)

            run()
            took = timed(run, frames)
        found[effect.name] = {
            "seconds a frame": round(1 / took["fps"], 3),
            "CPU s a frame": round(took["cpu_s_a_frame"], 3),
        }
    return found


def memory(folder: Path, effect: str) -> contract.Row:
    film = folder / "long.mp4"
    if not film.exists():
        make_film(film, (256, 144), 1000)
    peaks = {}
    for frames in (100, 1000):
        words = [sys.executable, "-c", MEMORY.replace("{effect}", effect), film, folder / "out.mp4", frames]
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True)
        peaks[str(frames)] = round(float(done.stdout.split()[-1]), 1)
    return peaks


def make_film(path: Path, size_wh: tuple[int, int], frames: int) -> Path:
    width, height = size_wh
    texture = np.random.default_rng(0).integers(0, 256, (height // 8 + 9, width // 8 + 9, 3)).astype(np.uint8)
    texture = cv2.GaussianBlur(cv2.resize(texture, (width + 64, height + 64)), (0, 0), 4)
    moving = (texture[k % 64 : k % 64 + height, k % 64 : k % 64 + width].copy() for k in range(frames))
    d3.save(moving, path, fps=25, quality=30)
    return path


def timed(work: Callable[[], Any], frames: int) -> dict[str, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"fps": frames / wall, "cpu_s_a_frame": cpu / frames}


if __name__ == "__main__":
    main()
