"""What encoders do to the process that they run in, undone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["own_scheduling", "quiet_encoder"]

_THREADS = Path("/proc/self/task")


@contextmanager
def quiet_encoder() -> Iterator[None]:
    """Keep SVT-AV1 from writing to stderr: it goes past FFmpeg's log, and listens to nothing but this."""
    is_ours = "SVT_LOG" not in os.environ
    os.environ.setdefault("SVT_LOG", "1")
    try:
        yield
    finally:
        if is_ours:
            os.environ.pop("SVT_LOG", None)  # another thread may have been quicker


@contextmanager
def own_scheduling() -> Iterator[None]:
    """Leave this thread, and those that are started in this block, with the scheduling that it has now.

    SVT-AV1, started by root as in most containers, turns the thread that opens it to the highest real-time
    priority (SCHED_FIFO, 99), and its own threads with it. All threads that the caller starts from then on
    inherit that: teams of OpenBLAS that wait for each other spinning then keep their last member from ever
    running, and the machine from doing anything else.
    """
    if not _THREADS.is_dir():  # not Linux
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    before = _threads()
    try:
        yield
    finally:
        for thread in (0, *(_threads() - before)):
            with suppress(OSError):  # it has ended, or may not be changed and then was not
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, parameters)


def _threads() -> set[int]:
    return {int(path.name) for path in _THREADS.iterdir()}
