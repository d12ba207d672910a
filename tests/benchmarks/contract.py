"""The contract of all benchmarks here, and what they share to keep it.

- **Peers**: what a user would otherwise write, with the same input and the same output, in the same run.
  Each peer's file says what it is; where both can give the same thing, the run checks that they do.
- **In turns**: contenders take turns, one call each a round, every second round backwards, after `warm_up`
  rounds that do not count. A machine that slows down slows all of them.
- **Figures**: the median of the rounds, with the smallest and the largest. A ratio is taken round by round
  (their time over ours: above 1 we are faster) and has a median and a spread of its own. Below 1 it stays in
  the table.
- **Memory**: the peak of the resident set of a fresh process, started from a small one, so that nothing of
  the benchmark's own is counted.
- **Chance**: seeds are fixed and written down. Networks have the real architecture with weights drawn from a
  seed, where time is all that counts.
- **Output**: one JSON on stdout, all else on stderr: `{bench, commit, date, environment, settings,
  results}`, with `details` where there is more. `results` is what BENCHMARKS.md shows: tables by title, of
  rows by name, of figures by column; a figure is a number, a text, or `{median, min, max}`. The environment
  holds versions, device, cores, those flags of the processor that matter, and the load before and after.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Spread = dict[str, float]
Figure = float | int | str | Spread
Row = dict[str, Figure]
Tables = dict[str, dict[str, Row]]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "numpy", "scipy", "torch", "transformers", "opencv-python", "open3d", "trimesh", "openvino",
    "onnxruntime", "av", "pillow",
)  # fmt: skip
FLAGS = (
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_int8",
    "amx_bf16",
    "asimd",
    "bf16",
)
DIGITS = 4
"""Significant ones, of all figures."""
_LOAD_BEFORE = os.getloadavg()[0]


def parser(doc: str | None, *, rounds: int | None = None) -> argparse.ArgumentParser:
    """Begin the options of a benchmark."""
    made = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    if rounds:
        made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--output", type=Path, help="a file for the JSON, besides stdout")
    return made


def in_turns(
    contenders: dict[str, Callable[[], Any]], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Time each contender once a round, in seconds; every second round backwards."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(warm_up + rounds):
        order = list(contenders.items())
        for name, call in reversed(order) if turn % 2 else order:
            start = time.perf_counter()
            call()
            if turn >= warm_up:
                times[name].append(time.perf_counter() - start)
    return times


def rounded(value: float, digits: int = DIGITS) -> float:
    """Keep so many significant digits."""
    return float(f"{value:.{digits}g}")


def spread(values: Iterable[float], scale: float = 1.0) -> Spread:
    """Give the median, the smallest and the largest."""
    scaled = [scale * value for value in values]
    return {f.__name__: rounded(f(scaled)) for f in (statistics.median, min, max)}


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Say how many times theirs is ours, round by round: above 1 ours is less."""
    return spread(b / a for a, b in zip(ours, theirs, strict=True))


def compared(times: dict[str, list[float]], *peers: str, unit: str = "ms") -> dict[str, Row]:
    """Make rows of what `in_turns` found: the spread, and the ratio of each peer's time to a contender's."""
    scale = {"ms": 1e3, "seconds": 1.0}[unit]
    return {
        name: {unit: spread(found, scale)}
        | {f"over {peer}": ratio(found, times[peer]) for peer in peers if name not in peers}
        for name, found in times.items()
    }


def peak_bytes() -> int:
    """Read the largest resident set that this program has had; VmHWM begins anew with it."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    import resource

    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@dataclass(frozen=True)
class Finished:
    """What a fresh process took, and what it wrote: its stdout goes to stderr, and is kept here with it."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    text: str


def fresh(words: Sequence[object], **variables: str) -> Finished:
    """Run a command in a fresh process.

    Raises:
        SystemExit: It failed; its last lines are the message.
    """
    between = [sys.executable, "-I", "-S", str(Path(__file__).with_name("measured_process.py"))]
    done = subprocess.run(
        [*between, *map(str, words)], capture_output=True, text=True, env=os.environ | variables
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} failed:\n{done.stderr[-2000:]}")
    return Finished(**json.loads(done.stdout.splitlines()[-1]), text=done.stderr)


def reported(words: Sequence[object], **variables: str) -> tuple[Finished, dict[str, Any]]:
    """Run a command in a fresh process whose last line is a JSON of its own figures."""
    done = fresh(words, **variables)
    return done, json.loads([line for line in done.text.splitlines() if line.startswith("{")][-1])


@cache
def commit() -> str:
    """Name the commit that is measured; if files differ from it, with a plus and a digest of how."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        return "unknown"
    changes = subprocess.run([*git, "diff", "HEAD", "--", ":!BENCHMARKS.md"], capture_output=True).stdout
    return head.stdout.strip() + (f"+{hashlib.sha256(changes).hexdigest()[:6]}" if changes else "")


def environment() -> dict[str, Any]:
    """Describe what figures depend on, without naming the machine."""
    return {
        "python": platform.python_version(),
        **{name: found for name in PACKAGES if (found := _version(name))},
        "system": platform.system(),
        "machine": platform.machine(),
        "flags": " ".join(_flags()),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "device": _device(),
        "threads": os.environ.get("OMP_NUM_THREADS", "as many as cores"),
        "load_before": round(_LOAD_BEFORE, 1),
        "load_after": round(os.getloadavg()[0], 1),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _flags() -> list[str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    here = next((set(line.split()) for line in lines if line.startswith(("flags", "Features"))), set())
    return [flag for flag in FLAGS if flag in here]


def _memory_gb() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    except (ValueError, OSError):
        return None


def _device() -> str:
    """Name the accelerator, if this process has used torch and there is one."""
    torch = sys.modules.get("torch")
    return torch.cuda.get_device_name() if torch is not None and torch.cuda.is_available() else "cpu"


def as_report(
    bench: str, results: Tables, *, settings: dict[str, Any] | None = None, details: Any = None
) -> dict[str, Any]:
    """Put results into the shape that all benchmarks have in common."""
    report = {
        "bench": bench,
        "commit": commit(),
        "date": datetime.now(timezone.utc).isoformat(timespec="minutes"),
        "environment": environment(),
        "settings": settings or {},
        "results": results,
    }
    return report | ({"details": details} if details is not None else {})


def publish(
    bench: str,
    results: Tables,
    *,
    output: Path | None = None,
    settings: dict[str, Any] | None = None,
    details: Any = None,
) -> None:
    """Print the JSON, and the tables for who watches on stderr; write it to a file, too, if one is given."""
    from report import markdown

    text = json.dumps(as_report(bench, results, settings=settings, details=details), indent=1, default=str)
    for title, rows in results.items():
        print(f"\n{markdown(title, rows)}", file=sys.stderr, flush=True)
    print(text)
    if output:
        output.write_text(text + "\n")
