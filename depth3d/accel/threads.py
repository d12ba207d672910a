"""How many threads to compute with: what this process may really use, not what the machine has.

PyTorch starts as many threads as the machine has cores. In a container that may use two of sixty-four, they
wait for one another, and a pass takes several times as long.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["asked_threads", "bound_threads", "fewer_threads", "share_threads", "usable_cpus"]

_ASKED_BY = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_THREAD_LIMIT")


def usable_cpus(root: str | Path = "/") -> int:
    """Count the processors that this process may use.

    Args:
        root: Where `proc` and `sys` are.

    Returns:
        The least of what the machine has, what this process is pinned to (`taskset`, `cpuset`), and what
        its control groups allow it, of version 1 and 2, rounded up; at least 1.
    """
    counts = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):  # Linux
        counts.append(len(os.sched_getaffinity(0)))
    counts += [math.ceil(share) for share in _quotas(Path(root))]
    return max(1, min(counts))


def asked_threads() -> int | None:
    """Tell the number of threads that the environment asks for; None where it asks for none."""
    counts = [os.environ.get(name, "") for name in _ASKED_BY]
    return min((int(count) for count in counts if count.isdecimal() and int(count) > 0), default=None)


def bound_threads() -> int:
    """Lower PyTorch's number of threads to `usable_cpus`; never raise it, and leave it where someone set it.

    Returns:
        The number of threads from now on.
    """
    share_threads()
    return _lowered()


def _lowered() -> int:
    import torch

    if not any(os.environ.get(name) for name in _ASKED_BY):
        usable = usable_cpus()
        if torch.get_num_threads() > usable:
            torch.set_num_threads(usable)
    return torch.get_num_threads()


@contextmanager
def fewer_threads(share: int) -> Iterator[None]:
    """Let each thread that first calls PyTorch in this block use a share of the processors.

    Without it every one of n threads would have a team of a thread a processor, and on a busy machine teams
    wait for each other: a run of twelve photos on two processors took six times as long.

    PyTorch is not imported for that: where it is not there yet, `share_threads` divides when it is needed.

    Args:
        share: By what the number of threads is divided; at least one is left. After the block it is what it
            was.
    """
    block = _Share(share)
    _blocks.append(block)
    try:
        if "torch" in sys.modules:
            block.take()
        yield
    finally:
        _blocks.remove(block)
        block.give_back()


def share_threads() -> None:
    """Divide the threads as the `fewer_threads` blocks around say; called before the first tensor is made."""
    for block in tuple(_blocks):
        block.take()


class _Share:
    """One block of `fewer_threads`."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._before: int | None = None
        self._lock = threading.Lock()

    def take(self) -> None:
        with self._lock:
            if self._before is None:
                import torch

                self._before = _lowered()
                torch.set_num_threads(max(1, self._before // self._share))

    def give_back(self) -> None:
        if self._before is not None:
            import torch

            torch.set_num_threads(self._before)


_blocks: list[_Share] = []


def _quotas(root: Path) -> list[float]:
    """Read the processors' worth of time that each control group above this process allows."""
    quotas: list[float | None] = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":  # version 2
            for folder in _up(root / "sys/fs/cgroup", path):
                limit, _, period = _text(folder / "cpu.max").partition(" ")
                quotas.append(_ratio(limit, period))
        elif "cpu" in controllers.split(","):
            # Some spell them in another order here than there, where `cpu` is a link to both.
            tops = [root / "sys/fs/cgroup" / name for name in (controllers, "cpu")]
            for folder in (folder for top in tops for folder in _up(top, path)):
                quotas.append(_ratio(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")))
    return [quota for quota in quotas if quota is not None]


def _up(top: Path, path: str) -> list[Path]:
    """List a group's folder and those above it; inside a container the last is often the only one there."""
    names = [name for name in path.split("/") if name not in ("", "..")]
    return [top.joinpath(*names[:count]) for count in range(len(names), -1, -1)]


def _ratio(limit: str, period: str) -> float | None:
    try:
        share = int(limit) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return None
    return share if share > 0 else None  # -1 is no limit


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
