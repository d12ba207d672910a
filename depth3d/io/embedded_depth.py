"""The depth that a photo carries: Apple's in HEIC and in MPO JPEGs, Google's GDepth in JPEGs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.depth import DepthKind, DepthMap
from depth3d.core.stages import stage
from depth3d.errors import UnreadableFileError
from depth3d.io.apple_metadata import DEPTH_DATA_NS, PIXEL_DATA_NS, depth_frame, property_text
from depth3d.io.depth_record import DepthFile
from depth3d.io.exif import read_exif, upright
from depth3d.io.gdepth import read_gdepth
from depth3d.io.pictures import decoded, open_picture, open_picture_in

__all__ = ["read_embedded_depth"]

_INVERSE_Z, _DISPARITY, _Z, _NONUNIFORM = 0, 1, 2, 3
"""Depth representation types of HEVC (ITU-T H.265, Annex G.14.2.3)."""

_log = logging.getLogger("depth3d")


@stage("reading")
def read_embedded_depth(path: str | Path) -> DepthFile | None:
    """Read the depth map that a photo carries, at its own resolution and turned upright like the photo.

    Apple's maps hold disparity in 1/m, linear between two ends that the file states; they become
    metric z. Their `accuracy` is in the provenance: with `relative`, usual on dual cameras, scale and
    shift of the disparity are not guaranteed. GDepth becomes metric where it states its unit, and
    a relative map of 1/z otherwise.

    Args:
        path: The photo.

    Returns:
        The map with `source`, `accuracy` and the like in its provenance; None where the photo
        carries none, or one in an encoding that is not known (a log line says so).

    Raises:
        FileError: The photo, or the depth in it, can't be read.
    """
    path = Path(path)
    with open_picture(path) as opened:
        if opened.format == "HEIF":
            return _from_heic(opened, path)
        if opened.format not in ("JPEG", "MPO"):
            return None
        orientation = read_exif(opened).orientation
        frame = depth_frame(path, opened)
    if frame is not None:
        return _from_mpo(*frame, path, orientation)
    return read_gdepth(path, orientation)


def _from_heic(opened: Any, path: Path) -> DepthFile | None:
    images = opened.info.get("depth_images") or []
    if not images:
        return None
    stated = images[0].info.get("metadata") or {}
    try:
        raw = np.asarray(images[0].to_pillow())
    except Exception as error:  # libheif's errors come as RuntimeError, ValueError or EOFError
        raise UnreadableFileError(
            f"the depth in {path} is damaged ({error}); copy the photo again"
        ) from error
    share = _share(raw)
    turn = opened.info.get("original_orientation") or 1
    photo_is_tall, map_is_tall = opened.size[1] > opened.size[0], share.shape[0] > share.shape[1]
    if turn in (5, 6, 7, 8) and photo_is_tall != map_is_tall:
        share = upright(share, turn)  # its own box does not say that it is turned: the photo's does
    depth = _represented(share, stated, path)
    if depth is None:
        return None
    return DepthFile(depth, provenance={"source": "apple-heic", "accuracy": "unknown"})


def _represented(share: npt.NDArray[np.float64], stated: dict[str, Any], path: Path) -> DepthMap | None:
    """Turn shares of the full code range, 1 at its top, into depth as the representation type says."""
    kind = stated.get("representation_type")
    ends: tuple[float, float] | None
    if kind == _DISPARITY:
        ends = _ends(stated.get("d_min"), stated.get("d_max"))
        return None if ends is None else _metric_of_inverse(ends[0] + share * (ends[1] - ends[0]))
    if kind in (_INVERSE_Z, _Z):
        ends = _ends(stated.get("z_near"), stated.get("z_far"))
        if ends is not None and ends[0] > 0:
            near, far = ends
            if kind == _Z:  # the top of the range is near here too
                return DepthMap((far + share * (near - far)).astype(np.float32), DepthKind.METRIC)
            return _metric_of_inverse(1 / far + share * (1 / near - 1 / far))
    _log.warning("%s: its depth map has the representation %r, which is not known: left out", path, kind)
    return None


def _from_mpo(data: bytes, properties: dict[str, list[str]], path: Path, orientation: int) -> DepthFile:
    ends = _ends(*(property_text(properties, f"{PIXEL_DATA_NS}Float{end}Value") for end in ("Min", "Max")))
    if ends is None:
        raise UnreadableFileError(
            f"the depth in {path} does not state its range; export the photo again with all its metadata"
        )
    low, high = ends
    with open_picture_in(data, f"the depth in {path}") as picture:
        share = _share(np.asarray(decoded(picture, path).convert("L")))
    values = low + share * (high - low)
    is_depth = (
        (property_text(properties, PIXEL_DATA_NS + "AuxiliaryImageType") or "").lower().endswith("depth")
    )
    values = upright(values, orientation)
    depth = (
        DepthMap(np.where(values > 0, values, np.nan).astype(np.float32), DepthKind.METRIC)
        if is_depth
        else _metric_of_inverse(values)
    )
    accuracy = property_text(properties, DEPTH_DATA_NS + "Accuracy") or "unknown"
    return DepthFile(depth, provenance={"source": "apple-mpo", "accuracy": accuracy.lower()})


def _metric_of_inverse(disparity_per_m: npt.NDArray[np.float64]) -> DepthMap:
    """Invert disparity in 1/m; where it is not positive, nothing is known."""
    z_m = np.full(disparity_per_m.shape, np.nan, np.float32)
    np.divide(1.0, disparity_per_m, out=z_m, where=disparity_per_m > 0, casting="same_kind")
    return DepthMap(z_m, DepthKind.METRIC)


def _share(raw: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    plane = raw[..., 0] if raw.ndim == 3 else raw
    return plane.astype(np.float64) / np.iinfo(raw.dtype).max


def _ends(low: Any, high: Any) -> tuple[float, float] | None:
    try:
        ends = float(low), float(high)
    except (TypeError, ValueError):
        return None
    return ends if np.isfinite(ends).all() else None
