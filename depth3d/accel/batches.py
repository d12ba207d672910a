"""Batches that fit: grouped by size, bounded by memory, halved when the memory is not there."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import torch

from depth3d.accel.devices import free_memory_bytes
from depth3d.errors import DeviceError

__all__ = ["AdaptiveBatches", "affordable_batch", "group_indices", "is_out_of_memory"]

_log = logging.getLogger("depth3d")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_LARGEST_BATCH = 32
"""Beyond this a GPU gains nothing and a stream only waits longer for its first frame."""

_CPU_MESSAGES = ("can't allocate memory", "not enough memory", "MPS backend out of memory")
"""How PyTorch words it where it has no exception of its own."""


def group_indices(keys: Sequence[Hashable]) -> list[list[int]]:
    """Group positions whose keys are equal.

    Args:
        keys: One key an item, such as the size at which the network sees it.

    Returns:
        Lists of positions, in order of first appearance, each in ascending order.
    """
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        groups[key].append(position)
    return list(groups.values())


def affordable_batch(device: torch.device, bytes_per_item: float) -> int:
    """Choose how many items to run together.

    Args:
        device: Where they run.
        bytes_per_item: What one item is thought to take.

    Returns:
        1 on a CPU, where batches bring nothing (0 to 10 % measured) and cost memory; elsewhere as
        many as half of the free memory holds, 32 at most.
    """
    if device.type == "cpu":
        return 1
    free = free_memory_bytes(device)
    if free is None:
        return 4
    return int(max(1, min(_LARGEST_BATCH, 0.5 * free // max(bytes_per_item, 1.0))))


class AdaptiveBatches:
    """Runs items in batches and remembers the largest batch that fitted.

    Args:
        size: The batch to begin with.

    Attributes:
        size: The largest batch that is tried now; it only shrinks.
    """

    def __init__(self, size: int) -> None:
        self.size = max(1, size)

    def run(
        self, work: Callable[[Sequence[_Item]], Sequence[_Result]], items: Sequence[_Item]
    ) -> list[_Result]:
        """Run `work` on consecutive batches of items; halve the batch and go on when memory runs out.

        Args:
            work: Takes a batch and gives one result an item.
            items: The items.

        Returns:
            One result an item, in order.

        Raises:
            DeviceError: A single item does not fit.
        """
        results: list[_Result] = []
        while len(results) < len(items):
            batch = items[len(results) : len(results) + self.size]
            try:
                results.extend(work(batch))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error).splitlines()[0]
            else:
                continue
            # Outside the handler: the traceback would keep the tensors of the failed batch alive.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if len(batch) == 1:
                raise DeviceError(
                    f"out of memory with a single image ({reason}); use a smaller input_size or model, "
                    "or device='cpu'"
                )
            self.size = len(batch) // 2
            _log.warning("out of memory with a batch of %d; going on with %d", len(batch), self.size)
        return results


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell whether PyTorch says that there is no memory left.

    Args:
        error: What it raised.
    """
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in _CPU_MESSAGES)
