"""`tiles`, `with_halo`: parts of a picture, looked at one by one, with what filters need around them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

__all__ = ["Tile", "tiles", "with_halo"]

_LEAST_PX = 128
_REACHES = 6
"""Side of the tiles, at least: pixels, and so many times what filters reach, as halos are worked on, too."""

Tile: TypeAlias = tuple[slice, slice]
"""Rows and columns."""


def tiles(shape: tuple[int, ...], reach: int) -> Iterator[Tile]:
    """Cut a picture into tiles, the larger the farther filters reach, which bounds the memory.

    Args:
        shape: Height and width.
        reach: Pixels.
    """
    side = max(_LEAST_PX, _REACHES * reach)
    for top in range(0, shape[0], side):
        for left in range(0, shape[1], side):
            yield slice(top, min(top + side, shape[0])), slice(left, min(left + side, shape[1]))


def with_halo(tile: Tile, halo: int, shape: tuple[int, ...]) -> tuple[Tile, Tile]:
    """Give a tile with so many pixels around it, as far as there are any, and the tile within that."""
    around, inner = [], []
    for at, side in zip(tile, shape, strict=True):
        first = max(at.start - halo, 0)
        around.append(slice(first, min(at.stop + halo, side)))
        inner.append(slice(at.start - first, at.stop - first))
    return (around[0], around[1]), (inner[0], inner[1])
