"""GDepth: the depth map in the XMP of photos of Google's camera and of others that follow it.

Source: developers.google.com/depthmap-metadata, Encoding Depth and the XMP schema.
"""

from __future__ import annotations

import base64
import binascii
import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from depth3d.core.depth import DepthKind, DepthMap
from depth3d.errors import UnreadableFileError
from depth3d.io.apple_metadata import property_text
from depth3d.io.depth_record import DepthFile
from depth3d.io.exif import upright
from depth3d.io.pictures import decoded, open_file, open_picture_in
from depth3d.io.xmp import Properties, jpeg_xmp

__all__ = ["GDEPTH_NS", "read_gdepth"]

GDEPTH_NS = "http://ns.google.com/photos/1.0/depthmap/"

_METRES = {"m": 1.0, "mm": 0.001}

_log = logging.getLogger("depth3d")


def read_gdepth(path: Path, orientation: int) -> DepthFile | None:
    """Read the GDepth map of a JPEG.

    With d the share of the code range, 0 near and 1 far: RangeInverse is 1/z = 1/near + d (1/far -
    1/near), RangeLinear is z = near + d (far - near). Without a stated unit the scale is arbitrary,
    and the map is relative, its values 1/z.

    Args:
        path: The JPEG.
        orientation: EXIF's, to turn the map with.

    Returns:
        The map; its provenance has `source`, `format`, and `measure`, which says `OpticRay` where the
        values are ranges along the ray rather than z. None where there is no map.

    Raises:
        UnreadableFileError: The map is announced and incomplete or damaged.
    """
    with open_file(path) as file:
        properties = jpeg_xmp(file.read())
    format_ = property_text(properties, GDEPTH_NS + "Format")
    if format_ is None:
        return None
    name = f"the GDepth map in {path}"
    data = property_text(properties, GDEPTH_NS + "Data")
    if data is None:
        raise UnreadableFileError(f"{name} is announced and not there; copy the photo again, unedited")
    inverse_near, inverse_far = _inverse_ends(properties, name)
    try:
        picture = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableFileError(f"{name} is damaged; copy the photo again") from None
    with open_picture_in(picture, name) as opened:
        codes = decoded(opened, name)
        if codes.mode not in ("L", "LA", "I;16"):
            codes = codes.convert("RGB")  # indices into a palette are no depths
        pixels = np.asarray(codes)
    plane = pixels[..., 0] if pixels.ndim == 3 else pixels  # its three colours are the same
    share = upright(plane.astype(np.float64) / np.iinfo(plane.dtype).max, orientation)
    if format_ == "RangeInverse":
        inverse = inverse_near + share * (inverse_far - inverse_near)
    elif format_ == "RangeLinear":
        if not inverse_far:
            raise UnreadableFileError(f"{name} claims equal steps to infinity; give the depth as a file")
        inverse = 1 / (1 / inverse_near + share * (1 / inverse_far - 1 / inverse_near))
    else:
        raise UnreadableFileError(f"{name} has the unknown format {format_!r}; give the depth as a file")
    unit = property_text(properties, GDEPTH_NS + "Units")
    measure = property_text(properties, GDEPTH_NS + "MeasureType") or "OpticalAxis"
    if measure == "OpticRay":
        _log.warning("%s holds ranges along the rays, which are taken as z: off-centre they are longer", name)
    return DepthFile(
        _depth(inverse, unit), provenance={"source": "gdepth", "format": format_, "measure": measure}
    )


def _inverse_ends(properties: Properties, name: str) -> tuple[float, float]:
    try:
        near = float(property_text(properties, GDEPTH_NS + "Near") or "")
        far = float(property_text(properties, GDEPTH_NS + "Far") or "")
    except ValueError:
        near = far = 0.0
    if not 0 < near <= far:  # false for NaN as well
        raise UnreadableFileError(f"{name} does not state how near and how far it goes; copy the photo again")
    return 1 / near, 1 / far


def _depth(inverse: npt.NDArray[np.float64], unit: str | None) -> DepthMap:
    metres = _METRES.get((unit or "").strip().lower())
    if metres is None:
        return DepthMap(inverse.astype(np.float32), DepthKind.RELATIVE)
    z_m = np.full(inverse.shape, np.nan)
    np.divide(metres, inverse, out=z_m, where=inverse > 0)
    return DepthMap(z_m.astype(np.float32), DepthKind.METRIC)
