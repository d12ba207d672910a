"""Work ahead: a stage of a pipeline in a thread of its own, with a bounded queue behind it."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from depth3d.core.stages import WAITING, stage
from depth3d.errors import InputError

__all__ = ["ahead", "mapped_ahead"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_POLL_S = 0.1
"""How soon a thread notices that nobody wants its items any more."""


def ahead(items: Iterable[_Item], count: int = 2) -> Iterator[_Item]:
    """Take items in a thread of its own, a few before they are asked for.

    Stages chain: `save(ahead(effect(ahead(network(ahead(decode())))))` runs all four at once, and holds no
    more than `count` items between two of them. What works outside the interpreter's lock (decoding,
    PyTorch, OpenCV, NumPy, encoding) overlaps.

    Args:
        items: What to take. It is started by the first `next`, and closed, in its own thread, when the
            result is exhausted or closed.
        count: How many items may wait.

    Yields:
        The items, in order.

    Raises:
        InputError: `count` is less than 1.
        Exception: What `items` raises, after the items before it.
    """
    if count < 1:
        raise InputError(f"count must be at least 1, got {count}")
    return _ahead(items, count)


def _ahead(items: Iterable[_Item], count: int) -> Iterator[_Item]:
    waiting: queue.Queue[tuple[bool, object]] = queue.Queue(count)
    unwanted = threading.Event()

    def put(entry: tuple[bool, object]) -> bool:
        while not unwanted.is_set():
            try:
                waiting.put(entry, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def take() -> None:
        failure: BaseException | None = None
        try:
            source = iter(items)
            try:
                for item in source:
                    if not put((False, item)):
                        break
                    del item  # else the last one would be held while the next is made
            finally:
                close = getattr(source, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            failure = error
        put((True, failure))

    thread = threading.Thread(target=take, name="depth3d-ahead", daemon=True)
    thread.start()
    try:
        while True:
            with stage(WAITING):
                is_end, item = waiting.get()
            if is_end:
                if isinstance(item, BaseException):
                    raise item
                return
            yield item  # type: ignore[misc]
            del item
    finally:
        unwanted.set()
        thread.join()


def mapped_ahead(
    work: Callable[[_Item], _Result], items: Iterable[_Item], *, threads: int, count: int | None = None
) -> Iterator[_Result]:
    """Apply a function to items in several threads; results come in order, a bounded number of them early.

    Args:
        work: Called with each item, in up to `threads` threads at once.
        items: Taken one by one in the caller's thread, at most `count` of them beyond the last result.
        threads: How many calls run at once.
        count: How many items may be under way or wait; None is `threads + 1`.

    Yields:
        One result an item, in the order of the items.

    Raises:
        InputError: `threads` or `count` is less than 1.
        Exception: What `work` raises, at the place of its item; calls under way are finished first. And what
            `items` raises, after the results of the items before it.
    """
    count = threads + 1 if count is None else count
    if min(threads, count) < 1:
        raise InputError(f"threads and count must be at least 1, got {threads} and {count}")
    return _mapped_ahead(work, items, threads, count)


@stage(WAITING)
def _result(future: Future[_Result]) -> _Result:
    return future.result()


def _mapped_ahead(
    work: Callable[[_Item], _Result], items: Iterable[_Item], threads: int, count: int
) -> Iterator[_Result]:
    with ThreadPoolExecutor(threads, thread_name_prefix="depth3d-map") as pool:
        under_way: deque[Future[_Result]] = deque()
        source = iter(items)
        failure: Exception | None = None
        try:
            while True:
                try:
                    item = next(source)
                except StopIteration:
                    break
                except Exception as error:  # after the items before it
                    failure = error
                    break
                under_way.append(pool.submit(work, item))
                del item
                if len(under_way) >= count:
                    yield _result(under_way.popleft())
            while under_way:
                yield _result(under_way.popleft())
            if failure is not None:
                raise failure
        finally:
            for future in under_way:
                future.cancel()
