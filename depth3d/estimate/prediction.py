"""`Prediction`: all that a network says about one image."""

from __future__ import annotations

from dataclasses import dataclass

from depth3d.core.depth import DepthMap

__all__ = ["Prediction"]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a network says about one image.

    Attributes:
        depth: A map of the image's own size.
        fov_x_deg: Horizontal field of view in degrees where the network estimates one (Depth Pro),
            else None.
    """

    depth: DepthMap
    fov_x_deg: float | None = None

    def __repr__(self) -> str:
        view = "" if self.fov_x_deg is None else f", fov_x {self.fov_x_deg:.1f} deg"
        return f"Prediction({self.depth!r}{view})"
