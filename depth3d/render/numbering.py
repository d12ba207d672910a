"""`Numbering`: few of many places, counted, in a byte for eight of them and a number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from depth3d.accel.tensors import tensor_view

__all__ = ["Numbering"]


def _table() -> npt.NDArray[np.int8]:
    """For each byte and each of its bits: how many lower bits are set, or -1 where the bit itself is not."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    lower = np.cumsum(bits, axis=1) - bits
    return np.where(bits > 0, lower, -1).astype(np.int8).ravel()


class Numbering:
    """Tells the how manieth of some places a place is.

    A list of a number for each place would take 4 bytes each, nearly all of them for nothing; this takes 5
    bytes for eight places (a bit vector with ranks: Jacobson, "Space-efficient static trees and graphs",
    FOCS 1989).

    Args:
        places: (n,) flat indices, rising.
        size: How many places there are.
        device: Where it is asked.
    """

    def __init__(self, places: npt.NDArray[np.intp], size: int, device: torch.device) -> None:
        taken = np.zeros(-(-size // 8) * 8, dtype=np.bool_)
        taken[places] = True
        counts = taken.reshape(-1, 8).sum(axis=1, dtype=np.int32)
        self._bits = tensor_view(np.packbits(taken, bitorder="little")).to(device)
        self._before = tensor_view(np.cumsum(counts, dtype=np.int32) - counts).to(device)
        self._lower = tensor_view(_table()).to(device)

    def of(self, place: torch.Tensor) -> torch.Tensor:
        """Give the number, from 0 on, of each place; -1 for those that are none: int64."""
        flat = place.reshape(-1).to(torch.int64)
        group = flat >> 3
        bits = self._bits.index_select(0, group).to(torch.int64)
        lower = self._lower.index_select(0, bits * 8 + (flat & 7))
        number = torch.where(lower >= 0, self._before.index_select(0, group) + lower, -1)
        return number.to(torch.int64).view(place.shape)
