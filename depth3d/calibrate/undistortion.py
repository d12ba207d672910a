"""Resample a photo as an ideal pinhole would have taken it.

Nothing else in depth3d needs this: clouds and meshes cast bent rays instead and keep every pixel as it is.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import ImageArray, as_image, frozen
from depth3d.core.camera import Camera
from depth3d.core.distortion import fold_radius
from depth3d.errors import CameraError, InputError

__all__ = ["undistort_image"]

_Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, the last two not included
_Positions = npt.NDArray[np.float64]

_WIDEST = math.tan(math.radians(75.0))
_PIXELS_A_BLOCK = 1 << 18
_ROUNDING_PX = 1e-6
_LONGEST_SIDE_PX = 32766  # cv2.remap counts in 16 bits


def undistort_image(
    image: ImageArray, camera: Camera, *, keep_all: bool = False
) -> tuple[ImageArray, Camera]:
    """Resample a photo so that straight lines are straight.

    Each pixel of the result casts its ray, `distort` says where the lens puts it in the photo, and bicubic
    interpolation reads the colour there: the inverse of the lens is needed only for the frame. It works on
    sRGB values, not on linear light: the grid keeps its scale, so that a pixel lies between its neighbours
    and stands for no sum of light over an area, which is what needs linear light.

    The focal lengths stay and the principal point moves by whole pixels, so a camera without distortion gives
    back the photo itself. A flat picture ends at 75 degrees to each side: what a fisheye saw beyond is lost.

    Args:
        image: (H, W, 3) uint8 sRGB.
        camera: Its intrinsics with distortion, `opencv` or `fisheye`.
        keep_all: Show all of the photo, with black where it has nothing to show. The default crops to a
            rectangle without black, so that every pixel lies between the centres of the photo's own.

    Returns:
        The image and its camera, which has no distortion: a point in front of the two cameras is seen at
        `camera.project(point)` in the photo and at the new camera's `project(point)` in the result.

    Raises:
        InputError: The image is not (H, W, 3) uint8, or a side of it or of the result exceeds 32766 pixels.
        CameraError: The camera is of another size, or its distortion shows nothing of the photo.
    """
    image = as_image(image)
    height, width = image.shape[:2]
    if camera.size_wh != (width, height):
        raise CameraError(
            f"the image has {width}x{height} pixels and the camera {camera.width}x{camera.height}; "
            "resize the camera with resized()"
        )
    pinhole = replace(camera, distortion=(), distortion_model="opencv")
    if not any(camera.distortion):
        return image, pinhole
    outer, inner = _frames(camera, pinhole)
    left, top, right, bottom = outer if keep_all else _trimmed(inner, camera, pinhole)
    longest = max(width, height, right - left, bottom - top)
    if longest > _LONGEST_SIDE_PX:
        raise InputError(
            f"a side of {longest} pixels is more than the {_LONGEST_SIDE_PX} that can be resampled; "
            "scale the photo down first"
        )
    framed = pinhole.cropped(left, top, right - left, bottom - top)
    pixels, shown = _resampled(image, camera, framed)
    if keep_all:
        rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        if not rows.size:
            raise _shows_nothing(camera)
        pixels = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        framed = framed.cropped(int(columns[0]), int(rows[0]), pixels.shape[1], pixels.shape[0])
    return frozen(pixels, name="image", dtype=np.uint8, shape=(None, None, 3)), framed


def _frames(camera: Camera, pinhole: Camera) -> tuple[_Box, _Box]:
    """Find the box around the photo's straightened border, and the one that no part of the border enters."""
    width, height = camera.size_wh
    u, v = np.arange(width) + 0.5, np.arange(height) + 0.5
    borders = (
        np.stack([np.full(height, 0.5), v], axis=-1),
        np.stack([u, np.full(width, 0.5)], axis=-1),
        np.stack([np.full(height, width - 0.5), v], axis=-1),
        np.stack([u, np.full(width, height - 0.5)], axis=-1),
    )
    widest = min(_WIDEST, fold_radius(camera.distortion, camera.distortion_model))
    outer, inner = [], []
    for side, border in enumerate(borders):
        axis, outwards = side % 2, 1 if side >= 2 else -1
        reach = outwards * camera.rays(border)[:, axis]
        # Where the lens has no inverse its fold is the border.
        reach = np.clip(np.where(np.isnan(reach), widest, reach), -widest, widest)
        scale, centre = (pinhole.fx, pinhole.cx) if axis == 0 else (pinhole.fy, pinhole.cy)
        outer.append(centre + outwards * scale * reach.max())
        inner.append(centre + outwards * scale * reach.min())
    # The picture's border pixels have their centres on the frame or within it.
    low, high = np.floor(outer[:2]).astype(int), np.ceil(outer[2:]).astype(int)
    whole = (*low.tolist(), *np.maximum(high, low + 1).tolist())
    low = np.ceil(np.subtract(inner[:2], 0.5 + _ROUNDING_PX)).astype(int)
    high = np.floor(np.add(inner[2:], 0.5 + _ROUNDING_PX)).astype(int)
    return whole, (*low.tolist(), *high.tolist())


def _trimmed(box: _Box, camera: Camera, pinhole: Camera) -> _Box:
    """Shrink a box about its point nearest to the principal one until the photo shows its rim, and so all."""
    centre = np.clip([pinhole.cx, pinhole.cy], box[:2], np.maximum(box[:2], box[2:]))
    for share in np.linspace(1.0, 0.0, 257)[:-1]:
        left, top = np.ceil(centre + share * (np.array(box[:2]) - centre) - 1e-9).astype(int).tolist()
        right, bottom = np.floor(centre + share * (np.array(box[2:]) - centre) + 1e-9).astype(int).tolist()
        if right <= left or bottom <= top:
            break
        u, v = np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5
        rim = np.concatenate(
            [np.stack(np.broadcast_arrays(u, row + 0.5), axis=-1) for row in (top, bottom - 1)]
            + [np.stack(np.broadcast_arrays(column + 0.5, v), axis=-1) for column in (left, right - 1)]
        )
        if _shown(camera.project(pinhole.rays(rim)), camera).all():
            return left, top, right, bottom
    raise _shows_nothing(camera)


def _resampled(
    image: ImageArray, camera: Camera, framed: Camera
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    import cv2

    source = np.ascontiguousarray(image)
    pixels = np.zeros((framed.height, framed.width, 3), dtype=np.uint8)
    seen = np.empty((framed.height, framed.width), dtype=np.bool_)
    step = max(1, _PIXELS_A_BLOCK // framed.width)
    for top in range(0, framed.height, step):
        rows = slice(top, min(top + step, framed.height))
        uv = camera.project(framed.pixel_rays(rows))
        seen[rows] = _shown(uv, camera)
        # cv2.remap counts from the centre of the first pixel, and NaN is no place.
        places = np.where(seen[rows][..., None], uv - 0.5, 0.0).astype(np.float32)
        found = cv2.remap(source, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        pixels[rows] = np.where(seen[rows][..., None], found, 0)
    return pixels, seen


def _shown(uv: _Positions, camera: Camera) -> npt.NDArray[np.bool_]:
    """Tell which positions lie between the centres of the photo's outermost pixels; NaN does not."""
    limit = np.array(camera.size_wh) - 0.5 + _ROUNDING_PX
    inside = (uv >= 0.5 - _ROUNDING_PX) & (uv <= limit)
    return np.asarray(inside.all(axis=-1))


def _shows_nothing(camera: Camera) -> CameraError:
    return CameraError(
        f"the distortion {camera.distortion} leaves nothing of the photo; check the coefficients and their "
        f"model, {camera.distortion_model}, or calibrate the camera again"
    )
