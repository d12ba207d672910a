"""Leave without taking the interpreter apart: of PyTorch alone that takes a third of a second."""

from __future__ import annotations

import atexit
import os
import sys
import threading

__all__ = ["quick_exit"]


def quick_exit(code: int) -> None:
    """End the process at once, after everything that was registered for its end has run.

    That clears temporary files away, ends logs and worker processes, and saves what tools gather. Left out is
    the destruction of every object and library, whose memory the system takes back anyway. Files are closed
    where they are written.

    Args:
        code: Exit status.

    Returns:
        If the ordinary way is to be taken: a thread still works, someone watches (a debugger, a profiler,
        coverage, `python -i`), or the output can't be flushed, which Python itself reports.
    """
    others = [thread for thread in threading.enumerate() if thread is not threading.current_thread()]
    if _is_watched() or sys.flags.interactive or not all(thread.daemon for thread in others):
        return
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    atexit._run_exitfuncs()  # each of them once: they are forgotten as they run
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    os._exit(code)


def _is_watched() -> bool:
    monitoring = getattr(sys, "monitoring", None)  # since Python 3.12
    tools = [monitoring.get_tool(number) for number in range(6)] if monitoring else []
    return sys.gettrace() is not None or sys.getprofile() is not None or any(tools)
