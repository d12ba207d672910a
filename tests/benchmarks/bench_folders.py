"""`depth3d estimate` over a folder of small photos: against one process a photo, by `--jobs`, and killed.

Contract: photos of 640x480 are drawn with a seed and saved as JPEG; the network is `mini`. `--process` starts
a fresh process for each of ten photos and takes the median (the figure for all of them is that times their
number: extrapolated). `--kill` ends a run with SIGKILL at ten random moments, resumes it each time, and
compares every byte of the results with those of a run that was left alone. One figure is one run of the
whole command, start included; the load of the machine is printed with it.

    python tests/benchmarks/bench_folders.py --photos 200 --jobs 1 2 3 4
"""

import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import contract
import cv2
import numpy as np

MANIFEST = "depth3d_manifest.jsonl"


def main() -> None:
    parser = contract.parser(__doc__)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480))
    parser.add_argument("--jobs", type=int, nargs="*", default=[1, 2, 3, 4])
    parser.add_argument("--command", nargs="*", default=["estimate"], help="and its options")
    parser.add_argument("--process", type=int, default=10, help="photos in processes of their own; 0: none")
    parser.add_argument("--kill", type=int, default=10, help="how often to kill and resume; 0: never")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rows: dict[str, contract.Row] = {}
    details: dict[str, Any] = {"command": asked.command}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = draw_photos(folder / "photos", asked.photos, *asked.size)
        run(asked.command, photos[:2], folder / "warm")
        usual = 0.0
        for jobs in asked.jobs:
            seconds = run(asked.command, [folder / "photos"], folder / f"jobs{jobs}", "--jobs", jobs)
            usual = usual or seconds
            rows[f"one command, --jobs {jobs}"] = {
                "seconds": contract.rounded(seconds),
                "photos/s": contract.rounded(asked.photos / seconds),
                "load": round(os.getloadavg()[0], 1),
            }
        for jobs in asked.jobs[1:]:
            same(folder / f"jobs{asked.jobs[0]}", folder / f"jobs{jobs}")
        if asked.process:
            times = [
                run(asked.command, [photo], folder / f"one{i}")
                for i, photo in enumerate(photos[: asked.process])
            ]
            one = statistics.median(times)
            for row in rows.values():
                row["over one process a photo"] = contract.rounded(one * asked.photos / row["seconds"], 3)
            rows["one process a photo, extrapolated"] = {
                "seconds": contract.rounded(one * asked.photos),
                "photos/s": contract.rounded(1 / one),
                "load": round(os.getloadavg()[0], 1),
            }
        results: contract.Tables = {f"Folder of {asked.photos} photos": rows}
        if asked.kill:
            whole = folder / f"jobs{asked.jobs[0]}"
            details["kills"] = killed(
                asked.command, folder / "photos", whole, folder / "killed", asked.kill, usual, asked.seed
            )
            results["Killed and resumed"] = {
                "SIGKILL at random moments": {
                    "kills": asked.kill,
                    "partial files left in the end": 0,
                    "bytes as if never killed": "all",
                    "seconds of the last run": details["kills"]["seconds of the last run"],
                }
            }
    settings = {"size": asked.size, "seed": asked.seed}
    contract.publish("folders", results, output=asked.output, settings=settings, details=details)


def draw_photos(folder: Path, count: int, width: int, height: int) -> list[Path]:
    """Draw photos with coarse patterns and a little noise, in three folders."""
    paths = []
    for number in range(count):
        random_of = np.random.default_rng(number)
        coarse = random_of.integers(0, 255, (6, 8, 3)).astype(np.uint8)
        image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        image += random_of.integers(-6, 7, image.shape, dtype=np.int16)
        path = folder / f"day {number % 3 + 1}" / f"photo{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8))
        paths.append(path)
    return paths


def words(command: list[str], photos: list[Path], output: Path, *more: object) -> list[str]:
    start = [sys.executable, "-m", "depth3d_cli", *command]
    return [*start, *map(str, photos), "-o", str(output), "--model", "mini", "-q", *map(str, more)]


def run(command: list[str], photos: list[Path], output: Path, *more: object) -> float:
    start = time.perf_counter()
    done = subprocess.run(words(command, photos, output, *more), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - start


def killed(
    command: list[str], photos: Path, whole: Path, output: Path, count: int, usual: float, seed: int
) -> dict:
    """Kill and resume until `count` kills have hit, then let it finish, and compare."""
    random_of = random.Random(seed)
    moments, finished, rest = [], [], []
    while len(moments) < count:
        process = subprocess.Popen(
            words(command, [photos], output, "--resume"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        # Work begins after a start of about 2 s; each run is to do a share of it.
        moment = 2 + random_of.uniform(0, 1.5 * usual / count)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        if process.wait() == 0:  # it was faster: begin again
            same(whole, output)
            shutil.rmtree(output)
            continue
        moments.append(round(moment, 2))
        files = list(output.rglob("*.npz")) if output.exists() else []
        rest.append(len([path for path in files if path.name.startswith(".")]))
        results = [path for path in files if not path.name.startswith(".")]
        finished.append(len(results))
        for path in results:
            place = path.relative_to(output)
            assert path.read_bytes() == (whole / place).read_bytes(), f"{place} is not whole"
    seconds = run(command, [photos], output, "--resume")
    same(whole, output)
    left = [path.name for path in output.rglob(".*")]
    assert not left, left
    return {
        "killed after seconds": moments,
        "results then": finished,
        "partial files then": rest,
        "seconds of the last run": round(seconds, 2),
        "same bytes": True,
    }


def same(one: Path, other: Path) -> None:
    """Compare all files of two folders, but for their manifests."""
    files = [
        {str(path.relative_to(each)): path.read_bytes() for path in each.rglob("*") if path.is_file()}
        for each in (one, other)
    ]
    for each in files:
        each.pop(MANIFEST)
    assert files[0].keys() == files[1].keys()
    assert files[0] == files[1]


if __name__ == "__main__":
    main()
