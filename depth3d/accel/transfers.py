"""Copies to and from a GPU beside its work: by pinned memory, in streams of their own, one wait for many.

A copy between ordinary memory and a GPU stops the processor until all that the GPU was told before is done.
From pinned memory it does not, and in a stream of its own it runs while the GPU computes. Two rules keep that
safe, and both are PyTorch's: pinned memory that is let go is used again only when the copies from and to it
are over, which PyTorch notes with each copy that does not block; and the GPU's memory is used again by other
streams only when the stream it was lent to has come past (`record_stream`).

References:
    PyTorch notes, CUDA semantics: "Use pinned memory buffers" and "CUDA streams".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy.typing as npt
import torch

from depth3d.accel.tensors import tensor_view
from depth3d.core.stages import stage

__all__ = ["downloaded", "uploaded"]

_PORTION_BYTES = 1 << 29
"""Results that are pinned at a time: a batch of 32 maps of 1080p takes half of it."""


def uploaded(array: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """Bring an array to a device; to a CUDA device without waiting for it.

    Args:
        array: Any array of a type that PyTorch knows. It may be changed as soon as this returns.
        device: Where to.

    Returns:
        A tensor of its shape. What the current stream is told from now on finds it complete. On the CPU it
        shares the array's memory, and is to be read only.
    """
    source = tensor_view(array)
    if device.type != "cuda":
        return source.to(device)
    staged = _pinned(source)
    staged.copy_(source)
    computing = torch.cuda.current_stream(device)
    copying, _ = _streams(device)
    with torch.cuda.stream(copying):
        there = staged.to(device, non_blocking=True)
    computing.wait_stream(copying)
    there.record_stream(computing)
    return there


def downloaded(tensors: Sequence[torch.Tensor]) -> Iterator[npt.NDArray[Any]]:
    """Bring tensors of one device to the processor; from a CUDA device while it computes on.

    Copies begin at once, in the order of the tensors, after what the current stream has been told so far and
    not after what it is told later. They are waited for when the first array is asked for: once for all, or
    once for half a gigabyte of them.

    Args:
        tensors: What to bring; they may not be changed until their arrays are here.

    Returns:
        An iterator of as many arrays, in order. They are to be copied: those of a GPU lie in pinned memory,
        of which a machine has little, and those of the CPU in the tensors' own.
    """
    waiting = deque(tensors)
    if not waiting or waiting[0].device.type != "cuda":
        return _taken(waiting)
    ready = torch.cuda.Event()  # type: ignore[no-untyped-call]
    ready.record(torch.cuda.current_stream(waiting[0].device))
    return _waited_for(_portion(waiting, ready), waiting, ready)


def _taken(waiting: deque[torch.Tensor]) -> Iterator[npt.NDArray[Any]]:
    while waiting:
        yield waiting.popleft().cpu().numpy()


def _waited_for(
    portion: tuple[deque[torch.Tensor], torch.cuda.Event],
    waiting: deque[torch.Tensor],
    ready: torch.cuda.Event,
) -> Iterator[npt.NDArray[Any]]:
    while True:
        staged, done = portion
        with stage("waiting for the GPU"):
            done.synchronize()
        while staged:
            yield staged.popleft().numpy()
        if not waiting:
            return
        portion = _portion(waiting, ready)


def _portion(
    waiting: deque[torch.Tensor], ready: torch.cuda.Event
) -> tuple[deque[torch.Tensor], torch.cuda.Event]:
    """Begin to copy the next tensors: give where to, and the event after which they are there."""
    _, copying = _streams(waiting[0].device)
    copying.wait_event(ready)
    staged: deque[torch.Tensor] = deque()
    size = 0
    with torch.cuda.stream(copying):
        while waiting and (not staged or size + waiting[0].nbytes <= _PORTION_BYTES):
            source = waiting.popleft()
            size += source.nbytes
            staged.append(_pinned(source))
            staged[-1].copy_(source, non_blocking=True)
            source.record_stream(copying)
    # The thread that waits sleeps: others decode and encode meanwhile.
    done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    done.record(copying)
    return staged, done


def _pinned(like: torch.Tensor) -> torch.Tensor:
    """Take pinned memory of a tensor's shape and type, from PyTorch's store of it."""
    return torch.empty(like.shape, dtype=like.dtype, device="cpu", pin_memory=True)


def _streams(device: torch.device) -> tuple[torch.cuda.Stream, torch.cuda.Stream]:
    """Give a device's streams for copies to it and from it, which can run at the same time."""
    return _streams_of(torch.cuda.current_device() if device.index is None else device.index)


@cache
def _streams_of(index: int) -> tuple[torch.cuda.Stream, torch.cuda.Stream]:
    up, down = (torch.cuda.Stream(index) for _ in range(2))  # type: ignore[no-untyped-call]
    return up, down
