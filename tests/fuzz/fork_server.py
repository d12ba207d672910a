"""Break files and read them, each kind in a process of its own with bounded memory and time.

Those processes are forks of this one, and a fork does not bring along any thread: where OpenMP, OpenCV or
FFmpeg had theirs, the fork would wait for them for ever. So this program imports what readers need, runs
none of it, and has one thread; the process of the tests, which may have run anything, starts it and asks.

A question and its answer are one line of JSON each, through standard input and output: `Job`'s fields, and
`{"complaint": what went wrong, or nothing}`. The first line out is `{"threads": how many there are}`.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from mutations import mutated, mutations, rezipped

PRELOADED = (
    "av", "cv2", "pillow_heif", "safetensors.torch", "scipy.sparse", "scipy.spatial", "trimesh",
    "depth3d.estimate.checkpoints", "depth3d.inspection", "depth3d.io.mesh_files", "depth3d.io.trajectories",
    "depth3d.io.video_input", "depth3d.many_files", "depth3d.verbs",
)  # fmt: skip
"""What readers import; not Open3D, whose import starts threads (a reader that needs it imports it itself)."""
MEMORY_BYTES = 3 << 30
"""Beyond what a process has when it has read the valid file."""


@dataclass(frozen=True)
class Job:
    """A valid file, which is overwritten by broken ones, and how to read it."""

    reader: str
    """`module.function` beside this file."""
    path: str
    examples: int
    seed: int
    inside: bool
    """Whether to change also what is inside the file, an archive."""
    deadline_s: int
    """For one file."""
    limit_s: float
    """For all of them."""


def main() -> None:
    """Answer until there are no more questions."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in PRELOADED:
        import_module(name)
    with os.fdopen(os.dup(1), "w", buffering=1) as answers:
        os.dup2(2, 1)  # what libraries print is no answer
        print(json.dumps({"threads": len(os.listdir("/proc/self/task"))}), file=answers)  # noqa: PTH208
        for line in sys.stdin:
            complaint = _complaint(Job(**json.loads(line)), answers)
            print(json.dumps({"complaint": complaint}), file=answers)


def _complaint(job: Job, answers) -> str:
    with tempfile.TemporaryFile("w+", errors="replace") as report:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                answers.close()
                _watch(report, job.limit_s)
                _do(job)
                code = 0
            except BaseException:
                traceback.print_exc(file=report)
                report.flush()
            finally:
                os._exit(code)
        status = _status(pid, job.limit_s)
        report.seek(0)
        text = report.read()[-12000:]
    if status is None:
        return f"the process was killed: it took more than {job.limit_s} s\n{text}"
    if status < 0:
        return f"the process ended by {signal.Signals(-status).name}\n{text}"
    return (text or f"the process ended with {status}") if status else ""


def _status(pid: int, limit_s: float) -> int | None:
    """Wait for a process; kill one that takes too long, and give None."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _watch(report, limit_s: float) -> None:
    """Let the report have all that is printed, and where each thread was when the process crashed or hung."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for stream in (1, 2):
        os.dup2(report.fileno(), stream)
    faulthandler.enable(report)
    faulthandler.register(signal.SIGALRM, report, chain=True)  # and then it ends, as it does by default
    faulthandler.dump_traceback_later(0.9 * limit_s, file=report)


def _do(job: Job) -> None:
    module, function = job.reader.split(".")
    read, path = getattr(import_module(module), function), Path(job.path)
    data = path.read_bytes()
    _read_in_time(read, path, job.deadline_s)
    _bound_memory()
    for break_ in (mutated, rezipped) if job.inside else (mutated,):
        _try(break_, data, read, job)


def _try(break_, data: bytes, read, job: Job) -> None:
    path = Path(job.path)

    @seed(job.seed)
    @settings(
        max_examples=job.examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    @given(mutations())
    def example(steps):
        path.write_bytes(break_(data, steps))
        _read_in_time(read, path, job.deadline_s)

    example()


def _read_in_time(read, path: Path, deadline_s: int) -> None:
    signal.alarm(deadline_s)
    try:
        read(path)
    finally:
        signal.alarm(0)


def _bound_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))


if __name__ == "__main__":
    main()
