"""`GraphNetwork`: a compiled network that is called as the one it was made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from depth3d.estimate.backends.openvino_blobs import Blob
from depth3d.estimate.depth_anything import DepthAnythingOutput

__all__ = ["GraphNetwork"]


class GraphNetwork(torch.nn.Module):
    """A function of tensors in the clothes of a network.

    Args:
        run: Takes (n, 3, h, w) float32 in rows of pixels, gives (n, h, w).
        source: The network that it was made from; only its settings are kept.
        dtype: The number format that it computes in.
        exact: Gives the same network in float32, on its device, to go on with if that format overflows; None
            where it can't.
    """

    input_dtype = torch.float32

    def __init__(
        self,
        run: Callable[[torch.Tensor], torch.Tensor],
        source: torch.nn.Module,
        dtype: torch.dtype,
        exact: Callable[[], torch.nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self._run = run
        self.config: Any = getattr(source, "config", None)
        self.dtype = dtype
        self.blob: Blob | None = None
        self._exact = exact

    def forward(self, pixel_values: torch.Tensor) -> DepthAnythingOutput:
        """Run it; takes and gives what the network did."""
        return DepthAnythingOutput(self._run(pixel_values.float().contiguous()))

    def float(self) -> torch.nn.Module:  # type: ignore[override]
        """Give the network in float32."""
        return self._exact() if self._exact else self
