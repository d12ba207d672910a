"""Photos: files to upright (H, W, 3) uint8 sRGB images and back, with what they say about their camera."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray, as_image
from depth3d.core.stages import stage
from depth3d.errors import InputError, UnreadableFileError, UnsupportedFormatError
from depth3d.io.apple_metadata import embedded_matrix
from depth3d.io.atomic import writing
from depth3d.io.exif import ExifFacts, read_exif, size_upright, upright
from depth3d.io.pictures import count_pictures, decoded, open_picture
from depth3d.io.pixels import has_16_bit_colour, to_rgb

__all__ = [
    "ALPHA_SUFFIXES",
    "IMAGE_SUFFIXES",
    "Photo",
    "PhotoInfo",
    "load_image",
    "load_photo",
    "read_photo_info",
    "save_image",
]

_FORMATS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}

IMAGE_SUFFIXES = tuple(_FORMATS)
"""Suffixes that `save_image` writes; more can be read."""

ALPHA_SUFFIXES = (".png", ".webp", ".tif", ".tiff")
"""Those of them that can be transparent."""

_log = logging.getLogger("depth3d")

_MANY_PIXELS = 250_000_000
"""Beyond what phones and cameras make, and what the memory of a usual machine is made for."""
_BYTES_A_PIXEL = 20
"""What a photo and its depth take together, as measured at 200 megapixels."""


@dataclass(frozen=True, slots=True)
class PhotoInfo:
    """What a photo's header tells; None where it doesn't.

    Attributes:
        path: The file.
        format: Of the content, such as `JPEG`, `MPO`, `PNG` or `HEIF`.
        width: Pixels of the upright picture.
        height: Pixels of the upright picture.
        orientation: EXIF's orientation as the file has it, 1..8. It is applied already to all else.
        make: Maker of the camera.
        model: Model of the camera.
        focal_mm: Focal length in millimetres.
        focal_35mm: 35-mm equivalent focal length in millimetres.
        digital_zoom: EXIF's DigitalZoomRatio.
        exif_size_wh: PixelXDimension and PixelYDimension, as stored: before turning upright.
        sensor_px_per_mm: Pixels a millimetre of the sensor, along the stored rows.
        embedded_matrix: K row by row (fx, 0, cx, 0, fy, cy, 0, 0, 1) in pixels of the upright picture,
            with the first pixel's centre at 0.5.
    """

    path: Path
    format: str
    width: int
    height: int
    orientation: int = 1
    make: str | None = None
    model: str | None = None
    focal_mm: float | None = None
    focal_35mm: float | None = None
    digital_zoom: float | None = None
    exif_size_wh: tuple[int, int] | None = None
    sensor_px_per_mm: float | None = None
    embedded_matrix: tuple[float, ...] | None = None

    @property
    def size_wh(self) -> tuple[int, int]:
        """(width, height) in pixels of the upright picture."""
        return self.width, self.height


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A decoded photo.

    Attributes:
        image: (H, W, 3) uint8 sRGB, upright, read-only.
        info: What its header tells.
    """

    image: ImageArray
    info: PhotoInfo

    def __repr__(self) -> str:
        return f"Photo({self.info.width}x{self.info.height} {self.info.format}, {self.info.path})"


def load_image(path: str | Path) -> ImageArray:
    """Load a photo, upright and in sRGB.

    JPEG, MPO, PNG, WebP, TIFF, BMP, GIF, AVIF and HEIC in whatever mode: gray, palette, 16 bit
    (rounded to 8), CMYK and wide gamuts (through their ICC profile), transparent (laid over white).
    Of animations and of files with several pages the first picture is taken, and a log line says so.

    Args:
        path: The file; its content counts, not its suffix.

    Returns:
        (H, W, 3) uint8, read-only, with EXIF's orientation applied.

    Raises:
        UnreadableFileError: Missing, empty, damaged, cut short, no picture, or above 500 megapixels.
        UnsupportedFormatError: A picture in an encoding that is no photo's.
    """
    return load_photo(path).image


@stage("reading")
def load_photo(path: str | Path) -> Photo:
    """Load a photo and what its header tells about the camera.

    Args:
        path: As for `load_image`.

    Raises:
        FileError: As for `load_image`.
    """
    path = Path(path)
    with open_picture(path) as opened:
        pixels_there = opened.width * opened.height
        if pixels_there > _MANY_PIXELS:
            _log.warning(
                "%s has %d megapixels, which takes %d GB of memory or more; scale it down if need be",
                path, pixels_there // 10**6, round(pixels_there * _BYTES_A_PIXEL / 1e9),
            )  # fmt: skip
        facts = read_exif(opened)
        info = _info_of(path, opened, facts)
        frames = count_pictures(opened, path)
        if frames > 1 and opened.format not in ("MPO", "HEIF"):  # theirs are depth maps, gains, thumbnails
            _log.info("%s holds %d pictures: the first one is taken", path, frames)
        is_deep = has_16_bit_colour(opened)
        decoded(opened, path)  # first, since OpenCV takes files that are cut short
        deep = _16_bit_colour(path) if is_deep else None
        # Pillow and OpenCV turn TIFFs themselves while they decode, pillow-heif does so with HEIC.
        remaining = 1 if opened.format in ("TIFF", "HEIF") else facts.orientation
        pixels = upright(to_rgb(opened, str(path), deep), remaining)
    image = as_image(_locked(pixels))
    return Photo(image, replace(info, width=image.shape[1], height=image.shape[0]))


@stage("reading")
def read_photo_info(path: str | Path) -> PhotoInfo:
    """Read a photo's header: size, format, and what it says about its camera. No pixel is decoded.

    Args:
        path: As for `load_image`.

    Raises:
        FileError: As for `load_image`, as far as the header shows it.
    """
    path = Path(path)
    with open_picture(path) as opened:
        return _info_of(path, opened, read_exif(opened))


def save_image(image: npt.ArrayLike, path: str | Path, *, overwrite: bool = True, quality: int = 95) -> None:
    """Write an image as PNG, JPEG, WebP, TIFF or BMP; the file appears whole or not at all.

    Args:
        image: (H, W, 3) uint8 sRGB. Gray (H, W), uint8 or uint16, is taken as well, 16 bit only for
            PNG and TIFF; and (H, W, 4) uint8 with straight alpha for PNG, WebP and TIFF.
        path: Its suffix names the format.
        overwrite: Whether an existing file may be replaced.
        quality: 1..100 of JPEG and WebP; JPEG from 90 on keeps colour at full resolution.

    Raises:
        UnsupportedFormatError: Another suffix, or 16 bit or alpha where the format has none.
        InputError: No image, or a quality out of range.
        FileError: The file can't be written.
    """
    from PIL import Image

    path = Path(path)
    format_ = _FORMATS.get(path.suffix.lower())
    if format_ is None:
        raise UnsupportedFormatError(
            f"can't write an image as {path.suffix or 'a file without suffix'!r}; "
            f"use one of {', '.join(IMAGE_SUFFIXES)}"
        )
    if not 1 <= quality <= 100:
        raise InputError(f"quality must lie in 1..100, got {quality!r}")
    array = np.asarray(image)
    if array.ndim == 2 and array.dtype in (np.uint8, np.uint16) and array.size:
        if array.dtype == np.uint16 and format_ not in ("PNG", "TIFF"):
            raise UnsupportedFormatError(f"{path.suffix} has no 16-bit gray; use .png or .tif")
        array = np.ascontiguousarray(array)
    elif array.ndim == 3 and array.shape[2] == 4 and array.dtype == np.uint8 and array.size:
        if path.suffix.lower() not in ALPHA_SUFFIXES:
            raise UnsupportedFormatError(f"{path.suffix} has no transparency; use .png, .webp or .tif")
        array = np.ascontiguousarray(array)
    else:
        array = as_image(array)
    if max(array.shape[:2]) > (limit := {"JPEG": 65535, "WEBP": 16383}.get(format_, 2**31)):
        raise UnsupportedFormatError(
            f"{format_} holds sides of up to {limit} pixels, got {array.shape[1]}x{array.shape[0]}; use .png"
        )
    options: dict[str, Any] = {}
    if format_ in ("JPEG", "WEBP"):
        options["quality"] = int(quality)
    if format_ == "JPEG" and quality >= 90:
        options["subsampling"] = 0
    if format_ == "PNG":
        options["compress_level"] = 4  # twice as fast as the default and within 2 % of its size
    if format_ == "TIFF":
        options["compression"] = "tiff_lzw"
    with writing(path, overwrite=overwrite) as partial:
        Image.fromarray(array).save(partial, format=format_, **options)


def _info_of(path: Path, opened: Any, facts: ExifFacts) -> PhotoInfo:
    # HEIC is upright already and pillow-heif has reset its EXIF; recent Pillow swaps a TIFF's sides.
    orientation = facts.orientation
    if opened.format == "HEIF":
        orientation = opened.info.get("original_orientation") or 1
    width, height = opened.size
    if opened.format not in ("HEIF", "TIFF"):
        width, height = size_upright(width, height, orientation)
    return PhotoInfo(
        path=path,
        format=str(opened.format),
        width=width,
        height=height,
        orientation=orientation,
        make=facts.make,
        model=facts.model,
        focal_mm=facts.focal_mm,
        focal_35mm=facts.focal_35mm,
        digital_zoom=facts.digital_zoom,
        exif_size_wh=facts.size_wh,
        sensor_px_per_mm=facts.sensor_px_per_mm,
        embedded_matrix=embedded_matrix(path, opened, orientation, (width, height)),
    )


def _16_bit_colour(path: Path) -> npt.NDArray[np.uint16]:
    import cv2

    # OpenCV decodes 16-bit colour whole; from memory, since its imread knows no Unicode on Windows.
    try:
        bgr = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadableFileError(f"{path} can't be decoded ({error.err}); save it again as PNG") from None
    if bgr is None or bgr.dtype != np.uint16 or bgr.ndim != 3:
        raise UnreadableFileError(f"{path} is damaged or cut short; copy it again")
    return np.asarray(bgr[..., [2, 1, 0, 3][: bgr.shape[2]]])


def _locked(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    array = np.ascontiguousarray(pixels)
    array.flags.writeable = False  # so that `as_image` need not copy it
    return array
