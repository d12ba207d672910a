"""Run all benchmarks, keep their JSON files, and make BENCHMARKS.md of them.

Each run is kept as soon as it is done; when the command is given again, those of the same commit are not run
again (`--again` does), so that it can be stopped at any time. A run that fails or takes longer than the limit
is reported, at the end and on the page, and the others go on; the command then ends with exit 1.

    python tests/benchmarks/run.py [--full] [--only cloud mesh-large] [--again] [--folder out/bench]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import contract
import report


@dataclass(frozen=True)
class Run:
    """One benchmark with options: few of them for a quick look, those of the long runs in full.

    Attributes:
        name: Of the file of its results: the benchmark's, and what of it.
        quick: Options that make it take seconds or a minute, and the growth to 48 megapixels seven.
        full: Options for the long run.
    """

    name: str
    quick: str
    full: str = ""

    @property
    def bench(self) -> str:
        return self.name.partition("-")[0]


RUNS = (
    Run("cloud", "--rounds 3", "--rounds 11"),
    Run("startup", "--rounds 3 --cold-rounds 2"),
    Run("estimate", "--rounds 3", "--rounds 15"),
    Run("batch", "--rounds 2 --batches 1 8 64"),
    Run("gpu", "--rounds 3 --models Small --frames 60 --film-rounds 1", "--rounds 11"),
    Run("mini", "--rounds 3"),
    Run("tokens", "--rounds 2 --scenes 4", "--rounds 9"),
    Run(
        "growth",
        "--rounds 1 --megapixels 0.3 3 --stages cloud PLY mesh matte bokeh layers --networks mini"
        " --batches 1 16 --radii 120 --faces 1e6 --photo 3",
    ),
    Run(
        "growth-large",
        "--rounds 1 --megapixels 0.3 3 12 48 --stages cloud PLY normals mesh matte bokeh layers view GLB"
        " --networks --radii --faces",
    ),
    Run("mesh", "--scenes step floor"),
    Run("mesh-large", "--large --rounds 2 --megapixels 3", "--large --rounds 5"),
    Run("bokeh", "--kinds sheets --samples 16"),
    Run("bokeh-large", "--large --rounds 2 --megapixels 3 --radii 30 60 120", "--large --rounds 3"),
    Run("views", "--kinds cards --motions sideways --depth exact", "--seeds 1 2"),
    Run("views-stability", "--stability --kinds cards", "--stability"),
    Run("views-large", "--large --rounds 2 --heights 1080", "--large --rounds 3"),
    Run("video", "--frames 8 --rounds 2 --only overlap"),
    Run("flicker", "--seeds 0 --cameras pans", "--seeds 0 1 2"),
    Run("flicker-cost", "--cost --frames 8", "--cost"),
    Run("folders", "--photos 24 --jobs 1 2 --process 3 --kill 0"),
    Run("calibrate", "monte-carlo --draws 3", "monte-carlo"),
    Run("calibrate-speed", "speed --rounds 3", "speed"),
)
LIMIT_S = {"quick": 900, "full": 4 * 3600}


def main() -> None:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--full", action="store_true", help="as long as the published figures take")
    options.add_argument("--only", nargs="*", choices=[run.name for run in RUNS], metavar="NAME")
    options.add_argument("--again", action="store_true", help="also what is there of this commit")
    options.add_argument("--folder", type=Path, default=contract.ROOT / "out" / "bench")
    options.add_argument("--page", type=Path, default=contract.ROOT / "BENCHMARKS.md")
    asked = options.parse_args()
    mode = "full" if asked.full else "quick"
    folder = asked.folder / mode
    folder.mkdir(parents=True, exist_ok=True)
    start, failed = time.perf_counter(), []
    for run in RUNS:
        if asked.only and run.name not in asked.only:
            continue
        path = folder / f"{run.name}.json"
        if not asked.again and is_done(path):
            _say(f"{run.name}: kept, of this commit")
            continue
        found = carried_out(run, mode)
        _write(path, found)
        if "failed" in found:
            failed.append(run.name)
    report.write(folder, asked.page)
    _say(f"{mode}: {time.perf_counter() - start:.0f} s in all; tables in {asked.page}, figures in {folder}")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}; give the same command again to try only these")


def is_done(path: Path) -> bool:
    """Tell whether a run of this very commit has left its results."""
    if not path.exists():
        return False
    found = json.loads(path.read_text())
    return "failed" not in found and found["commit"] == contract.commit()


def carried_out(run: Run, mode: str) -> dict[str, Any]:
    """Run one benchmark in a process of its own; give its report, or one that says how it failed."""
    words = (run.full if mode == "full" else run.quick).split()
    script = Path(__file__).with_name(f"bench_{run.bench}.py")
    _say(f"{run.name}: {' '.join([script.name, *words])}")
    start = time.perf_counter()
    failed = None
    command = [sys.executable, str(script), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        try:
            text, _ = child.communicate(timeout=LIMIT_S[mode])
        except subprocess.TimeoutExpired:
            text, failed = "", f"longer than {LIMIT_S[mode]} s"
        finally:
            if child.poll() is None:  # with all that it has started
                os.killpg(child.pid, signal.SIGKILL)
    if not failed and child.returncode:
        failed = f"exit {child.returncode}"
    try:
        found = json.loads(text) if not failed else {}
    except ValueError:
        found, failed = {}, "its output is no JSON"
    if not found.keys() >= {"bench", "results"}:  # a run that failed, or that has not taken up the shape
        found = contract.as_report(run.bench, {}, details=found or None)
    found["command"] = " ".join([script.name, *words])
    found["seconds"] = round(time.perf_counter() - start, 1)
    if failed:
        found["failed"] = failed
        _say(f"{run.name}: FAILED, {failed}")
    _say(f"{run.name}: {found['seconds']:.0f} s")
    return found


def _write(path: Path, found: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1) + "\n")
    part.replace(path)


def _say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
