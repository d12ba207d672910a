"""Where the time went: stages of the work, each counted once, over all threads.

Code names what it does, `with stage("reading"): ...`, and that costs half a microsecond until someone asks:
`with profiled() as profile: ...`. Of stages within stages each gets its own time alone.
"""

from __future__ import annotations

import builtins
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ContextDecorator, ExitStack, contextmanager
from types import TracebackType
from typing import Any, TypeVar

__all__ = ["WAITING", "Profile", "peak_memory_bytes", "profiled", "stage", "staged", "waited_for"]

_Item = TypeVar("_Item")

WAITING = "waiting"
"""The stage of a thread that waits for another one: its time is nobody's, and is counted nowhere."""

_IMPORTS = "imports"
_ORDER = (
    "start-up", _IMPORTS, "reading", "loading the network", "preparing the image", "network", "upsampling",
    "calibrating",
)  # fmt: skip
"""How a table begins; other stages follow in the order in which they came, then these."""
_LAST = ("writing",)


class Profile:
    """What `profiled` measures; complete when its block has ended, and good to read before.

    Attributes:
        counts: How often each stage was entered.
    """

    def __init__(self, began_s: float | None = None) -> None:
        self.counts: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._began_s = time.perf_counter() if began_s is None else began_s
        self._ended_s: float | None = None
        self._lock = threading.Lock()
        self._threads = threading.local()
        self._busy = 0
        self._busy_since_s = 0.0
        self._covered_s = 0.0

    @property
    def wall_s(self) -> float:
        """Seconds from the beginning of the block to its end, or to now."""
        return (time.perf_counter() if self._ended_s is None else self._ended_s) - self._began_s

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds in each stage without those within it, in a table's order; of all threads together."""
        with self._lock:
            names = list(self._seconds)
            first, last = ([n for n in order if n in names] for order in (_ORDER, _LAST))
            between = [n for n in names if n not in (*first, *last)]
            return {n: self._seconds[n] for n in (*first, *between, *last)}

    @property
    def rest_s(self) -> float:
        """Seconds in which no thread was in any stage."""
        with self._lock:
            now_s = time.perf_counter() if self._ended_s is None else self._ended_s
            covered_s = self._covered_s + (now_s - self._busy_since_s if self._busy else 0.0)
        return max(0.0, self.wall_s - covered_s)

    @property
    def facts(self) -> dict[str, Any]:
        """All of it, ready for JSON: `wall_s`, `stages`, `rest_s` and `peak_memory_bytes`."""
        return {
            "wall_s": self.wall_s,
            "stages": {n: {"seconds": s, "count": self.counts[n]} for n, s in self.seconds.items()},
            "rest_s": self.rest_s,
            "peak_memory_bytes": peak_memory_bytes(),
        }

    def add(self, name: str, seconds: float) -> None:
        """Count time that was measured elsewhere, at the beginning, such as the start of the interpreter.

        Args:
            name: Of the stage.
            seconds: How long it took; no other stage may have been under way.
        """
        with self._lock:
            self._covered_s += seconds
            self._count(name, seconds)

    def __str__(self) -> str:
        rest_s, own = self.rest_s, self.seconds
        total_s = sum(own.values()) + rest_s
        rows = [("stage", "seconds", "share", "times")]
        rows += [(n, f"{s:.3f}", _percent(s, total_s), str(self.counts[n])) for n, s in own.items()]
        rows.append(("rest", f"{rest_s:.3f}", _percent(rest_s, total_s), ""))
        threads = "" if total_s < 1.02 * self.wall_s else f", {total_s:.3f} s of all threads"
        width = max(len(row[0]) for row in rows)
        lines = [f"{a.ljust(width)}  {b:>8}  {c:>5}  {d:>5}".rstrip() for a, b, c, d in rows]
        peak = peak_memory_bytes()
        memory = "" if peak is None else f", at most {peak / 1e9:.2f} GB of memory"
        return "\n".join([*lines, f"{self.wall_s:.3f} s in all{threads}{memory}"])

    def __repr__(self) -> str:
        return f"Profile({self.wall_s:.3f} s, {len(self._seconds)} stages)"

    # -- what stages call -----------------------------------------------------------------------

    def enter(self, name: str) -> None:
        """Begin a stage in this thread; the one that it lies in waits."""
        stack: list[str] = self._threads.__dict__.setdefault("stack", [])
        with self._lock:
            self._settle(stack)
            if name != WAITING:
                self._count(name, 0.0, times=0 if stack and stack[-1] == name else 1)
            stack.append(name)
            self._begin(stack)

    def leave(self, name: str) -> None:
        """End the stage of this thread, if it is the one that is under way."""
        stack: list[str] = self._threads.__dict__.setdefault("stack", [])
        if stack and stack[-1] == name:  # else it began before the profile did
            with self._lock:
                self._settle(stack)
                stack.pop()
                self._begin(stack)

    def _settle(self, stack: list[str]) -> None:
        """Count the time of this thread's stage up to now."""
        self._threads.now_s = now_s = time.perf_counter()
        if stack and stack[-1] != WAITING:
            self._count(stack[-1], now_s - self._threads.since_s, times=0)
            self._busy -= 1
            if not self._busy:
                self._covered_s += now_s - self._busy_since_s

    def _begin(self, stack: list[str]) -> None:
        """Start the clock of this thread's stage."""
        self._threads.since_s = now_s = self._threads.now_s
        if stack and stack[-1] != WAITING:
            if not self._busy:
                self._busy_since_s = now_s
            self._busy += 1

    def end(self) -> None:
        """Stop the clock."""
        if self._ended_s is None:
            self._ended_s = time.perf_counter()

    def _count(self, name: str, seconds: float, times: int = 1) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds
        self.counts[name] = self.counts.get(name, 0) + times


_ACTIVE: tuple[Profile, ...] = ()
_CHANGING = threading.Lock()


class stage(ContextDecorator):  # noqa: N801
    """Name what a block, or a decorated function, does: its time is counted under this name.

    Args:
        name: A noun or a gerund, such as `reading`. No stage may `yield` to code outside: see `staged`.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        if _ACTIVE:
            for profile in _ACTIVE:
                profile.enter(self.name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if _ACTIVE:
            for profile in _ACTIVE:
                profile.leave(self.name)


@contextmanager
def waited_for(lock: AbstractContextManager[Any]) -> Iterator[None]:
    """Hold a lock; the time until it is free counts as `WAITING`.

    Args:
        lock: Or any context manager that may wait.
    """
    with ExitStack() as held:
        with stage(WAITING):
            held.enter_context(lock)
        yield


def staged(name: str, items: Iterable[_Item]) -> Generator[_Item, None, None]:
    """Hand items on, and count the time that each takes to come.

    Args:
        name: Of the stage.
        items: What is waited for, such as the frames of a film. It is closed where this is.

    Yields:
        The items.
    """
    waiting = iter(items)
    try:
        while True:
            with stage(name):
                try:
                    item = next(waiting)
                except StopIteration:
                    return
            yield item
            del item  # else it would be held while the next one is made
    finally:
        close = getattr(waiting, "close", None)
        if close is not None:
            close()


@contextmanager
def profiled(began_s: float | None = None) -> Iterator[Profile]:
    """Measure where the time goes while a block runs, in all threads of this process.

    Stages are the reading of files, the network, effects, writing and so on; modules that are imported on
    the way count as `imports`. A GPU works on while the processor goes ahead: its time is found where the
    result is waited for.

    Args:
        began_s: When it began on `time.perf_counter()`; None is now.

    Yields:
        The profile: `print(profile)` is a table, `profile.seconds` a dict, `profile.facts` goes into JSON.

    Examples:
        >>> with depth3d.profiled() as profile:
        ...     cloud = depth3d.point_cloud(depth3d.open_photo("desk.jpg", assume_range_m=(1, 5)).scene)
        >>> print(profile)
    """
    global _ACTIVE
    profile = Profile(began_s)
    with _CHANGING:
        if not _ACTIVE:
            _watch_imports()
        _ACTIVE = (*_ACTIVE, profile)
    try:
        yield profile
    finally:
        profile.end()
        with _CHANGING:
            _ACTIVE = tuple(other for other in _ACTIVE if other is not profile)
            if not _ACTIVE:
                builtins.__import__ = _import


_import = builtins.__import__


def _watch_imports() -> None:
    """Count as a stage what `import` loads; what is loaded already passes by."""
    global _import
    _import = builtins.__import__
    importing = stage(_IMPORTS)

    def watched(name: str, *args: Any, **named: Any) -> Any:
        if name in sys.modules and not (len(args) > 2 and args[2]):
            return _import(name, *args, **named)
        with importing:
            return _import(name, *args, **named)

    builtins.__import__ = watched


def peak_memory_bytes() -> int | None:
    """Tell the most memory that this process has held so far; None where the system does not say."""
    try:
        with open("/proc/self/status") as status:  # noqa: PTH123
            for line in status:
                if line.startswith("VmHWM:"):
                    return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return peak if sys.platform == "darwin" else 1024 * peak


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole if whole > 0 else 0:.0f} %"
