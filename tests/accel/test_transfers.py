"""Copies to and from a GPU, against a stand-in that does nothing until it has to, in any order it may.

The stand-in has what PyTorch promises, and no more: work of a stream is done in its order, work of two
streams in any; an event is passed when all before it is done; memory that is let go is overwritten as soon as
its own stream is past it, those that it was lent to by `record_stream`, and, where it is pinned, the copies
that do not block.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from depth3d.accel import transfers
from depth3d.accel.transfers import downloaded, uploaded

CUDA = torch.device("cuda", 0)


class Stream:
    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self.told: list[tuple[Callable[[], None], Callable[[], bool]]] = []
        self.done = 0

    def tell(self, work: Callable[[], None], may: Callable[[], bool] = lambda: True) -> None:
        self.told.append((work, may))

    def step(self) -> bool:
        """Do the next piece of work, if it may be done now."""
        if self.done == len(self.told) or not self.told[self.done][1]():
            return False
        self.told[self.done][0]()
        self.done += 1
        return True

    def wait_event(self, event: Event) -> None:
        self._wait(*event.at)

    def wait_stream(self, other: Stream) -> None:
        self._wait(other, len(other.told))

    def _wait(self, stream: Stream, count: int) -> None:
        self.tell(lambda: None, lambda: stream.done >= count)


class Event:
    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu

    def record(self, stream: Stream) -> None:
        self.at = stream, len(stream.told)

    def synchronize(self) -> None:
        self.gpu.waits += 1
        stream, count = self.at
        while stream.done < count:
            self.gpu.do_something()


class Tensor:
    """A tensor of the stand-in: memory, and the places in streams up to which it is still needed."""

    def __init__(self, gpu: Gpu, memory: np.ndarray, device: torch.device, *, pinned: bool = False) -> None:
        self.gpu, self.memory, self.device, self.pinned = gpu, memory, device, pinned
        self.shape, self.dtype, self.nbytes = memory.shape, memory.dtype, memory.nbytes
        self.needed: list[Event] = []

    def __del__(self) -> None:
        if self.device.type == "cuda" or self.pinned:
            self.gpu.let_go(self.memory, self.needed)

    def copy_(self, source: Tensor, non_blocking: bool = False) -> None:
        if source.device.type == "cpu" and self.device.type == "cpu":
            self.memory[...] = source.memory
            return
        assert non_blocking, "a copy that waits for the GPU"
        assert source.pinned or self.pinned, "a copy of ordinary memory waits for the GPU"
        memory, taken = self.memory, source.memory
        self.gpu.current.tell(lambda: np.copyto(memory, taken))
        for tensor in (self, source):
            if tensor.pinned:
                tensor.record_stream(self.gpu.current)

    def to(self, device: torch.device, non_blocking: bool = False) -> Tensor:
        there = Tensor(self.gpu, np.full_like(self.memory, 99), device)
        there.needed.append(self.gpu.now())  # memory is used again by the stream that it came from
        there.copy_(self, non_blocking)
        there.needed.append(self.gpu.now())
        return there

    def record_stream(self, stream: Stream) -> None:
        self.gpu.lent.append((self.memory, stream))  # with all that it is told until the tensor is let go

    def numpy(self) -> np.ndarray:
        return self.memory.copy()


class Gpu:
    """Streams, and a will of its own."""

    def __init__(self, seed: int) -> None:
        self.will = random.Random(seed)
        self.computing = self.current = Stream(self)
        self.streams = [self.computing]
        self.gone: list[tuple[np.ndarray, list[Event]]] = []
        self.lent: list[tuple[np.ndarray, Stream]] = []
        self.waits = 0

    def stream(self, _: Any = None) -> Stream:
        self.streams.append(Stream(self))
        return self.streams[-1]

    def now(self) -> Event:
        event = Event(self)
        event.record(self.current)
        return event

    def let_go(self, memory: np.ndarray, needed: list[Event]) -> None:
        ends = []
        for kept, stream in self.lent:
            if kept is memory:
                event = Event(self)
                event.record(stream)
                ends.append(event)
        self.gone.append((memory, [*needed, *ends]))

    def do_something(self) -> None:
        for memory, needed in self.gone:
            if all(stream.done >= count for stream, count in (event.at for event in needed)):
                memory[...] = 7  # somebody else's now
        streams = [*self.streams]
        self.will.shuffle(streams)
        assert any(stream.step() for stream in streams), "all wait for each other"

    def finish(self) -> None:
        while any(stream.done < len(stream.told) for stream in self.streams):
            self.do_something()

    def compute(self, source: Tensor, work: Callable[[np.ndarray], np.ndarray]) -> Tensor:
        result = Tensor(self, np.full_like(work(source.memory), 55), CUDA)
        into, taken = result.memory, source.memory
        self.current.tell(lambda: np.copyto(into, work(taken)))
        result.needed.append(self.now())
        return result

    @contextmanager
    def chosen(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before


def stand_in(seed: int, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    """Put a GPU in the place of PyTorch's."""
    made = Gpu(seed)

    def empty(shape: Any, *, dtype: Any, device: str, pin_memory: bool) -> Tensor:
        assert (device, pin_memory) == ("cpu", True)
        return Tensor(made, np.full(shape, 33, dtype), torch.device("cpu"), pinned=True)

    cuda = SimpleNamespace(
        Stream=made.stream,
        Event=lambda **_: Event(made),
        stream=made.chosen,
        current_stream=lambda device: made.current,
        current_device=lambda: 0,
    )
    monkeypatch.setattr(transfers, "torch", SimpleNamespace(empty=empty, cuda=cuda))
    monkeypatch.setattr(transfers, "tensor_view", lambda array: Tensor(made, array, torch.device("cpu")))
    monkeypatch.setattr(transfers, "_streams_of", cache(lambda index: (made.stream(), made.stream())))
    return made


@pytest.fixture(params=range(5))
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Gpu:
    return stand_in(request.param, monkeypatch)


def squared(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) ** 2


def pictures(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (3 + i % 2, 4), dtype=np.uint8) for i in range(count)]


def test_what_comes_back_is_what_was_computed(gpu: Gpu) -> None:
    given = pictures(6)
    results = [gpu.compute(uploaded(picture, CUDA), squared) for picture in given]
    arrays = downloaded(results)
    del results
    for got, picture in zip(arrays, given, strict=True):
        np.testing.assert_array_equal(got, squared(picture))
    assert gpu.waits == 1


def test_a_picture_may_be_changed_once_it_is_taken(gpu: Gpu) -> None:
    picture = pictures(1)[0]
    want = squared(picture)
    result = gpu.compute(uploaded(picture, CUDA), squared)
    picture[...] = 0
    np.testing.assert_array_equal(next(downloaded([result])), want)


def test_calls_that_are_under_way_together_keep_apart(gpu: Gpu) -> None:
    calls = [pictures(4, seed) for seed in range(3)]
    under_way = []
    for call in calls:
        under_way.append(downloaded([gpu.compute(uploaded(p, CUDA), squared) for p in call]))
    for call, arrays in zip(calls, under_way, strict=True):
        for picture, got in zip(call, arrays, strict=True):
            np.testing.assert_array_equal(got, squared(picture))
    assert gpu.waits == 3


def test_results_do_not_wait_for_what_is_computed_later(gpu: Gpu) -> None:
    arrays = downloaded([gpu.compute(uploaded(pictures(1)[0], CUDA), squared)])
    later = False

    def never() -> bool:
        return later

    gpu.computing.tell(lambda: None, never)
    assert next(arrays).shape == (3, 4)
    later = True


def test_much_comes_in_portions(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "_PORTION_BYTES", 150)  # three of 12 x 4, or two of 16 x 4 bytes
    given = pictures(7)
    arrays = downloaded([gpu.compute(uploaded(picture, CUDA), squared) for picture in given])
    for got, picture in zip(arrays, given, strict=True):
        np.testing.assert_array_equal(got, squared(picture))
    assert gpu.waits == 4


@pytest.mark.parametrize("broken", ["record_stream", "wait_stream", "synchronize", "wait_event"])
def test_the_stand_in_notices_what_is_left_out(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these steps is needed: without it some order of events gives wrong numbers."""
    kinds = {"record_stream": Tensor, "synchronize": Event, "wait_stream": Stream, "wait_event": Stream}
    wrong = 0
    for seed in range(20):
        with pytest.MonkeyPatch.context() as patch:
            made = stand_in(seed, patch)
            patch.setattr(kinds[broken], broken, lambda *_: None)
            given = pictures(4)
            results = [made.compute(uploaded(picture, CUDA), squared) for picture in given]
            arrays = downloaded(results)
            del results
            wrong += any(not np.array_equal(a, squared(b)) for a, b in zip(arrays, given, strict=True))
    assert wrong > 0


# -- without a GPU ------------------------------------------------------------------------------


def test_on_the_cpu_nothing_is_copied() -> None:
    picture = pictures(1)[0]
    tensor = uploaded(picture, torch.device("cpu"))
    assert tensor.data_ptr() == picture.ctypes.data
    (array,) = downloaded([tensor])
    assert array.ctypes.data == picture.ctypes.data
    assert list(downloaded([])) == []


def test_on_the_cpu_tensors_are_let_go_one_by_one() -> None:
    tensors = [torch.zeros(3), torch.ones(3)]
    arrays = downloaded(tensors)
    del tensors
    first = next(arrays)
    np.testing.assert_array_equal(first, 0)
    np.testing.assert_array_equal(next(arrays), 1)


@pytest.mark.gpu
def test_on_a_gpu_numbers_come_back_and_nothing_waits_for_them() -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    device = torch.device("cuda")
    rng = np.random.default_rng(0)
    given = [rng.integers(0, 256, (400, 300 + i, 3), dtype=np.uint8) for i in range(5)]
    sums = []
    for _ in range(4):
        arrays = downloaded([uploaded(p, device).float().square() for p in given])
        sums.append([array.copy() for array in arrays])
    for got in sums:
        for array, picture in zip(got, given, strict=True):
            np.testing.assert_array_equal(array, squared(picture))
