"""How the pixels of a film are meant: matrix and range of YUV, curves of HDR, wide gamuts.

The numbers of matrices, primaries, curves and ranges are those of ITU-T H.273, which FFmpeg shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from depth3d.core.arrays import FloatArray

__all__ = ["FrameColors", "colors_of", "rgb_cube", "srgb_of"]

_UNKNOWN = 2
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
_MATRIX_NAMES = {
    "bt709": "BT.709",
    "bt601": "BT.601",
    "bt2020": "BT.2020",
    "fcc": "FCC",
    "smpte240m": "SMPTE 240M",
}
_CURVES = {16: "PQ", 18: "HLG"}
_BT2020, _P3 = (9,), (11, 12)

_GRAPHIC_WHITE_NITS = 203.0
"""The white of a page in HDR (ITU-R BT.2408-7, table 1): what SDR calls 1."""

_PEAK_NITS = 1000.0
_KNEE = 0.6

_TO_BT709 = {
    "BT.2020": (
        (1.660491, -0.587641, -0.072850),
        (-0.124550, 1.132900, -0.008349),
        (-0.018151, -0.100579, 1.118730),
    ),
    "P3": ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098274)),
}
"""Linear RGB of these primaries to those of BT.709, both with white D65 (ITU-R BT.2087-0; SMPTE EG 432-1)."""


@dataclass(frozen=True, slots=True)
class FrameColors:
    """How to get from the numbers in a frame to sRGB.

    Attributes:
        matrix: In FFmpeg's words; empty for RGB.
        is_full: Whether the whole range of the numbers is used.
        curve: `SDR`, `PQ` or `HLG`.
        primaries: `BT.709` (and whatever is near), `BT.2020` or `P3`.
    """

    matrix: str
    is_full: bool
    curve: str
    primaries: str

    @property
    def name(self) -> str:
        """The shortest name that tells these colours from others, such as `BT.709` or `BT.2020 PQ`."""
        name = _MATRIX_NAMES.get(self.matrix, self.matrix)
        if self.primaries != "BT.709" and self.primaries != name:
            name = f"{name} {self.primaries}"
        return name if self.curve == "SDR" else f"{name} {self.curve}"

    @property
    def needs_cube(self) -> bool:
        """Whether a matrix is not enough to get to sRGB."""
        return self.curve != "SDR" or self.primaries != "BT.709"


def colors_of(frame: Any) -> FrameColors:
    """Read a frame's tags.

    Untagged YUV is BT.601 up to 1279x576 and BT.709 from there on, limited unless its kind of pixels says
    `yuvj`; so do players. Primaries of standard definition are taken for those of sRGB, as players do, too;
    so is the curve of BT.709.

    Args:
        frame: An `av.VideoFrame`.
    """
    pixels = frame.format
    curve = _CURVES.get(frame.color_trc, "SDR")
    tag = frame.color_primaries
    primaries = "BT.2020" if tag in _BT2020 else "P3" if tag in _P3 else "BT.709"
    if curve != "SDR" and tag == _UNKNOWN:
        primaries = "BT.2020"
    if pixels.is_rgb or pixels.has_palette:
        return FrameColors("", frame.color_range != 1, curve, primaries)
    matrix = _MATRICES.get(frame.colorspace)
    if matrix is None:
        is_high = frame.width >= 1280 or frame.height > 576
        matrix = "bt2020" if primaries == "BT.2020" else "bt709" if is_high else "bt601"
    is_full = frame.color_range == 2 or (frame.color_range != 1 and pixels.name.startswith(("yuvj", "gray")))
    return FrameColors(matrix, is_full, curve, primaries)


def srgb_of(encoded: FloatArray, colors: FrameColors) -> FloatArray:
    """Bring HDR or wide-gamut RGB to sRGB.

    HDR is brought down simply: 203 cd/m2, the white of a page (ITU-R BT.2408-7), is taken for 1. The
    brightest channel m keeps its value up to 0.6, and from there rolls off with slope 1 towards 1, which
    1000 cd/m2 reaches: 0.6 + 0.4 s (1 + s / S^2) / (1 + s) with s = (m - 0.6) / 0.4 and S that of 1000 cd/m2
    (Reinhard et al. 2002, equation 4, above a knee). The other channels keep their share of it, so hues
    stay. PQ is decoded by SMPTE ST 2084:2014, HLG by ITU-R BT.2100-2 for a display of 1000 cd/m2.

    Args:
        encoded: (..., 3) RGB in 0..1, full range, with the curve and the primaries of `colors`.
        colors: What the numbers mean.

    Returns:
        (..., 3) in 0..1, encoded as sRGB; colours outside its gamut are clipped.
    """
    to_709 = np.asarray(_TO_BT709.get(colors.primaries, np.eye(3)))
    if colors.curve == "SDR":
        linear = _srgb_decoded(encoded)
    else:
        nits = _pq_nits(encoded) if colors.curve == "PQ" else _hlg_nits(encoded)
        linear = _rolled_off(nits / _GRAPHIC_WHITE_NITS)
    return _srgb_encoded(np.clip(linear @ to_709.T, 0.0, 1.0))


def rgb_cube(colors: FrameColors, side: int = 49, *, most: float = 1.0) -> FloatArray:
    """Tabulate `srgb_of`, for interpolation between the entries.

    Args:
        colors: What the numbers mean.
        side: Entries along each axis.
        most: What the last entry of each axis stands for.

    Returns:
        (side, side, side, 3) float32 in 0..1; indexed by red, green, blue.
    """
    axis = np.minimum(np.linspace(0.0, most, side), 1.0)
    encoded = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    return srgb_of(encoded, colors).astype(np.float32)


def _rolled_off(linear: FloatArray) -> FloatArray:
    brightest = linear.max(axis=-1, keepdims=True)
    most = (_PEAK_NITS / _GRAPHIC_WHITE_NITS - _KNEE) / (1 - _KNEE)
    above = np.clip((brightest - _KNEE) / (1 - _KNEE), 0.0, most)
    rolled = _KNEE + (1 - _KNEE) * above * (1 + above / most**2) / (1 + above)
    return np.where(brightest > _KNEE, linear * (rolled / np.maximum(brightest, _KNEE)), linear)


def _pq_nits(encoded: FloatArray) -> FloatArray:
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = encoded ** (1 / m2)
    return np.asarray(10_000.0 * (np.maximum(root - c1, 0.0) / (c2 - c3 * root)) ** (1 / m1))


def _hlg_nits(encoded: FloatArray) -> FloatArray:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(encoded <= 0.5, encoded**2 / 3, (np.exp((encoded - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    return np.asarray(_PEAK_NITS * luminance[..., None] ** 0.2 * scene)  # system gamma 1.2


def _srgb_decoded(x: FloatArray) -> FloatArray:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _srgb_encoded(x: FloatArray) -> FloatArray:
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(x, 1 / 2.4) - 0.055)
