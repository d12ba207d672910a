"""Batches: grouped by size, halved when the memory runs out, results in order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from depth3d.accel import batches
from depth3d.accel.batches import AdaptiveBatches, affordable_batch, group_indices
from depth3d.errors import DeviceError


@given(st.lists(st.integers(0, 3)))
def test_groups_are_a_partition_in_order(keys: list[int]) -> None:
    groups = group_indices(keys)
    assert sorted(chain.from_iterable(groups)) == list(range(len(keys)))
    assert all(len({keys[i] for i in group}) == 1 and group == sorted(group) for group in groups)
    assert [keys[group[0]] for group in groups] == list(dict.fromkeys(keys))


@given(count=st.integers(0, 40), first=st.integers(1, 16), room=st.integers(1, 16))
def test_every_item_comes_back_in_order_whatever_fits(count: int, first: int, room: int) -> None:
    tried: list[int] = []

    def work(batch: Sequence[int]) -> list[int]:
        tried.append(len(batch))
        if len(batch) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return [-item for item in batch]

    runner = AdaptiveBatches(first)
    assert runner.run(work, range(count)) == [-item for item in range(count)]
    failures = [size for size in tried if size > room]
    assert all(later <= earlier // 2 for earlier, later in pairwise(failures))
    assert runner.size <= first
    if failures:
        assert runner.size <= room  # remembered for the next call


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    ],
)
def test_a_single_item_that_does_not_fit_says_what_to_do(error: RuntimeError) -> None:
    def work(batch: Sequence[int]) -> list[int]:
        raise error

    with pytest.raises(DeviceError, match=r"single image .*smaller input_size or model, or device='cpu'"):
        AdaptiveBatches(4).run(work, range(4))


def test_other_errors_pass_through() -> None:
    def work(batch: Sequence[int]) -> list[int]:
        raise RuntimeError("sizes of tensors must match")

    with pytest.raises(RuntimeError, match="must match"):
        AdaptiveBatches(2).run(work, range(2))


@pytest.mark.parametrize(
    ("kind", "free", "per_item", "expected"),
    [
        ("cpu", None, 1, 1),  # batches bring nothing there
        ("mps", None, 1, 4),
        ("cuda", 8e9, 1e9, 4),  # half of the free memory
        ("cuda", 8e9, 1e3, 32),  # bounded
        ("cuda", 8e9, 9e9, 1),  # at least one is tried
    ],
)
def test_the_batch_follows_the_free_memory(
    monkeypatch: pytest.MonkeyPatch, kind: str, free: float | None, per_item: float, expected: int
) -> None:
    monkeypatch.setattr(batches, "free_memory_bytes", lambda device: free)
    assert affordable_batch(torch.device(kind), per_item) == expected
