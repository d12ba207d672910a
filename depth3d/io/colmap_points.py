"""Points of a COLMAP model that one of its images shows: sparse depth, in the model's own unit.

A model is a folder with `cameras`, `images` and `points3D`, all as text or all as binary. A point X lies at
z = (R X + t)_z in an image's camera, and at an observed pixel, counted from the corner as ours are: the lens
does not come in. Format: COLMAP documentation, "Output Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import frozen
from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.colmap_cameras import colmap_cameras_of_bytes, colmap_cameras_of_text
from depth3d.io.pictures import open_file

__all__ = ["ColmapPoints", "load_colmap_points"]

_Array: TypeAlias = npt.NDArray[np.float64]

_NO_POINT = -1
_IMAGE = struct.Struct("<i4d3di")
_OBSERVATIONS = np.dtype([("uv", "<f8", 2), ("point", "<i8")])
_POINT = struct.Struct("<Q3d3Bd")
_COUNT = struct.Struct("<Q")
_LARGEST_FILE = 1 << 34


@dataclass(frozen=True, slots=True, eq=False)
class ColmapPoints:
    """Points that one image shows.

    Attributes:
        uv_px: (n, 2) where they were observed, in pixels of the photo, centres at +0.5.
        depth_m: (n,) z in the image's camera, times `metres_per_unit`.
        track_length: (n,) number of images that show each.
        error_px: (n,) its mean reprojection error in pixels of the images that COLMAP saw.
    """

    uv_px: _Array
    depth_m: _Array
    track_length: npt.NDArray[np.int64]
    error_px: _Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "uv_px", frozen(self.uv_px, name="uv_px", dtype=np.float64, shape=(None, 2)))
        for name, dtype in (("depth_m", np.float64), ("track_length", np.int64), ("error_px", np.float64)):
            object.__setattr__(self, name, frozen(getattr(self, name), name=name, dtype=dtype, shape=(None,)))

    def __repr__(self) -> str:
        return (
            f"ColmapPoints({len(self.depth_m)} points, z {self.depth_m.min():.3g}..{self.depth_m.max():.3g})"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    name: str
    camera: str
    quaternion_wxyz: _Array
    translation: _Array
    uv_px: _Array
    points: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Cloud:
    """All points of a model, by rising id."""

    ids: npt.NDArray[np.int64]
    xyz: _Array
    error_px: _Array
    track_length: npt.NDArray[np.int64]


def load_colmap_points(
    model_dir: str | Path,
    image_name: str,
    size_wh: tuple[int, int],
    *,
    metres_per_unit: float = 1.0,
    least_track: int = 3,
    most_error_px: float = 2.0,
) -> ColmapPoints:
    """Read what a COLMAP model knows about the depth of one of its images.

    The model's unit is arbitrary unless it was georeferenced or scaled: z comes out right up to one factor.

    Args:
        model_dir: Folder with `cameras`, `images` and `points3D`, `.bin` or `.txt`.
        image_name: Name of the image in the model; its last part is enough where that is unique.
        size_wh: (width, height) of the photo; if COLMAP saw it at another size, pixels are scaled.
        metres_per_unit: What a unit of the model is in metres.
        least_track: Points that fewer images show are left out: two views agree on wrong matches, too.
        most_error_px: So are points whose reprojection error is not below this.

    Returns:
        The points that are left, all in front of the camera, in the order of the image's observations.

    Raises:
        UnreadableFileError: A file is missing or damaged.
        InputError: No such image, none of its points is left, or a scale that is not positive.
        CameraError: The image's camera is of a model that depth3d does not know.
    """
    folder = Path(model_dir)
    if not 0 < metres_per_unit < np.inf:
        raise InputError(f"metres_per_unit must be above 0, got {metres_per_unit!r}")
    suffix = _suffix(folder)
    image = _image_named(folder, suffix, image_name)
    data = _read(folder / f"cameras{suffix}")
    cameras = (
        colmap_cameras_of_bytes(data) if suffix == ".bin" else colmap_cameras_of_text(_text(data, folder))
    )
    camera = cameras.get(image.camera)
    if camera is None:
        raise UnreadableFileError(
            f"the cameras in {folder} lack camera {image.camera} of the image {image.name}; copy the model "
            "anew"
        )
    cloud = _cloud(folder, suffix)
    seen = image.points != _NO_POINT
    at = np.searchsorted(cloud.ids, image.points)
    at = np.minimum(at, max(0, len(cloud.ids) - 1))
    known = seen & (cloud.ids[at] == image.points) if len(cloud.ids) else np.zeros(len(seen), dtype=np.bool_)
    at, uv = at[known], image.uv_px[known]
    z = cloud.xyz[at] @ _third_row(image.quaternion_wxyz) + image.translation[2]
    good = (cloud.track_length[at] >= least_track) & (cloud.error_px[at] < most_error_px) & (z > 0)
    if not good.any():
        raise InputError(
            f"of the {np.count_nonzero(seen)} points that {image.name} shows none is seen by {least_track} "
            f"images with an error below {most_error_px:g} px; allow more with least_track and most_error_px"
        )
    scale = np.array(size_wh) / np.array(camera.size_wh)
    if not abs(scale[0] / scale[1] - 1) <= 0.02:
        raise InputError(
            f"COLMAP saw {image.name} with {camera.width}x{camera.height} pixels, and {size_wh[0]}x"
            f"{size_wh[1]} is another shape; give the photo that the model was made from"
        )
    at, z = at[good], z[good]
    return ColmapPoints(uv[good] * scale, metres_per_unit * z, cloud.track_length[at], cloud.error_px[at])


def _suffix(folder: Path) -> str:
    """Tell whether a model is binary or text."""
    for suffix in (".bin", ".txt"):
        if all((folder / f"{stem}{suffix}").is_file() for stem in ("cameras", "images", "points3D")):
            return suffix
    raise UnreadableFileError(
        f"{folder} is no COLMAP model: it needs cameras, images and points3D, all .bin or all .txt; give the "
        "folder that COLMAP wrote, such as sparse/0"
    )


def _image_named(folder: Path, suffix: str, name: str) -> _Image:
    path = folder / f"images{suffix}"
    data = _read(path)
    try:
        images = list(_images_of_bytes(data) if suffix == ".bin" else _images_of_text(_text(data, path)))
    except (struct.error, ValueError, IndexError):
        raise UnreadableFileError(f"{path} is damaged or no file of COLMAP's; copy the model anew") from None
    exact = [image for image in images if image.name == name]
    wanted = PurePosixPath(name.replace("\\", "/")).name
    found = exact or [image for image in images if PurePosixPath(image.name).name == wanted]
    if len(found) == 1:
        return found[0]
    names = ", ".join(image.name for image in (found or images)[:5])
    if found:
        raise InputError(f"{len(found)} images of {folder} are called {wanted}: {names}; give the whole name")
    raise InputError(f"{folder} has no image {name!r}; give one of its {len(images)}, such as {names}")


def _images_of_bytes(data: bytes) -> Iterator[_Image]:
    (count,) = _COUNT.unpack_from(data)
    at = _COUNT.size
    for _ in range(count):
        _, *pose, camera = _IMAGE.unpack_from(data, at)
        at += _IMAGE.size
        end = data.index(b"\0", at)
        name, at = data[at:end].decode("utf-8", errors="replace"), end + 1
        (size,) = _COUNT.unpack_from(data, at)
        at += _COUNT.size
        seen = np.frombuffer(data, _OBSERVATIONS, size, at)
        at += seen.nbytes
        yield _Image(name, str(camera), np.array(pose[:4]), np.array(pose[4:]), seen["uv"], seen["point"])


def _images_of_text(text: str) -> Iterator[_Image]:
    """Take lines two by two: a pose with its name, and observations, of which there may be none."""
    lines = iter([line for line in text.splitlines() if not line.lstrip().startswith("#")])
    for line in lines:
        if not line.strip():
            continue
        words = line.split(maxsplit=9)
        seen = np.array(next(lines, "").split(), dtype=np.float64).reshape(-1, 3)
        pose = np.array(words[1:8], dtype=np.float64)
        yield _Image(words[9].strip(), words[8], pose[:4], pose[4:], seen[:, :2], seen[:, 2].astype(np.int64))


def _cloud(folder: Path, suffix: str) -> _Cloud:
    path = folder / f"points3D{suffix}"
    data = _read(path)
    try:
        rows = list(_points_of_bytes(data) if suffix == ".bin" else _points_of_text(_text(data, path)))
    except (struct.error, ValueError, IndexError):
        raise UnreadableFileError(f"{path} is damaged or no file of COLMAP's; copy the model anew") from None
    rows.sort()
    table = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 5)
    ids = np.array([row[0] for row in rows], dtype=np.int64)
    return _Cloud(ids, table[:, :3], table[:, 3], table[:, 4].astype(np.int64))


_Row: TypeAlias = tuple[int, float, float, float, float, int]
"""Id, x, y, z, error, track length."""


def _points_of_bytes(data: bytes) -> Iterator[_Row]:
    (count,) = _COUNT.unpack_from(data)
    at = _COUNT.size
    for _ in range(count):
        identity, x, y, z, _, _, _, error = _POINT.unpack_from(data, at)
        (track,) = _COUNT.unpack_from(data, at + _POINT.size)
        at += _POINT.size + _COUNT.size + 8 * track
        if at > len(data):
            raise struct.error
        yield identity, x, y, z, error, track


def _points_of_text(text: str) -> Iterator[_Row]:
    for line in text.splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            x, y, z = (float(word) for word in words[1:4])
            yield int(words[0]), x, y, z, float(words[7]), (len(words) - 8) // 2


def _third_row(wxyz: _Array) -> _Array:
    """Give the third row of the rotation of a quaternion: R = I + 2 w [v] + 2 [v]^2."""
    length = float(np.linalg.norm(wxyz))
    if not length > 0:
        raise UnreadableFileError("an image of the COLMAP model has no rotation; copy the model anew")
    w, x, y, z = wxyz / length
    return np.array([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)])


def _read(path: Path) -> bytes:
    with open_file(path) as file:
        return bytes(file.read(_LARGEST_FILE))


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableFileError(f"{path} is no text; copy the model anew") from None
