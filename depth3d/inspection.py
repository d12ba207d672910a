"""`inspect`: what a file is and what its numbers are, and a picture of their distribution."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depth3d import verbs
from depth3d.calibrate.calibration import Calibration
from depth3d.core.camera import Camera
from depth3d.core.cloud import PointCloud
from depth3d.core.depth import DepthMap
from depth3d.core.mesh import Mesh
from depth3d.errors import InputError, UnreadableFileError
from depth3d.io.camera_files import load_camera
from depth3d.io.depth_files import DEPTH_SUFFIXES, DepthFile, read_depth
from depth3d.io.geometry_files import CloudFile, read_cloud
from depth3d.io.images import PhotoInfo, read_photo_info
from depth3d.io.inputs import PHOTO_SUFFIXES
from depth3d.io.mesh_files import MeshFile, read_mesh
from depth3d.io.video_input import VIDEO_INPUT_SUFFIXES, is_animation, open_video
from depth3d.metres import fit_sentence
from depth3d.photo_depth import is_depth_file

__all__ = ["INSPECTED_SUFFIXES", "Inspection", "depth_facts", "draw_report", "inspect"]

_CLOUD_SUFFIXES = (".ply", ".pcd", ".xyz")
_MESH_SUFFIXES = (".glb", ".obj", ".stl", ".3mf")
_CAMERA_SUFFIXES = (".json", ".yaml", ".yml", ".xml", ".txt", ".bin")
INSPECTED_SUFFIXES = (
    *PHOTO_SUFFIXES, *DEPTH_SUFFIXES, *_CLOUD_SUFFIXES, *_MESH_SUFFIXES, *VIDEO_INPUT_SUFFIXES, ".json",
    ".yaml",
)  # fmt: skip
"""Suffixes, some of them twice, of the files in a folder that are worth a look."""

_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What was found in a file.

    Attributes:
        thing: The depth map, cloud, mesh, camera or calibration; for a photo the depth that it
            carries, or None; None for a film.
        facts: Names and values to print, in order.
    """

    thing: DepthMap | PointCloud | Mesh | Camera | Calibration | None
    facts: dict[str, Any]


def inspect(path: str | Path, *, depth_kind: str | None = None, png_scale: float | None = None) -> Inspection:
    """Describe a photo, a film, a depth map, a cloud, a mesh, a camera or a calibration.

    Args:
        path: Any of these; told apart by suffix and content.
        depth_kind: `relative` or `metric`, where a depth file does not say.
        png_scale: Units a metre of a 16-bit PNG.

    Returns:
        The thing and its facts.

    Raises:
        FileError: The file can't be read, or is none of these.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    try:
        is_directory, exists = path.is_dir(), path.exists()
    except OSError as error:  # a name that is too long
        raise UnreadableFileError(f"can't read {path}: {error.strerror}; check the path") from None
    if is_directory:
        raise UnreadableFileError(f"{path} is a directory; give a file")
    if not exists:
        raise UnreadableFileError(f"{path} does not exist; check the path")
    if suffix in _MESH_SUFFIXES or (suffix == ".ply" and _ply_has_faces(path)):
        return _inspect_mesh(read_mesh(path))
    if suffix in _CLOUD_SUFFIXES or (suffix == ".npz" and _npz_has(path, "points")):
        return _inspect_cloud(read_cloud(path))
    if suffix in _CAMERA_SUFFIXES:
        return _inspect_calibration_or_camera(path)
    if depth_kind or png_scale or is_depth_file(path):
        return _inspect_depth(read_depth(path, kind=depth_kind, png_scale=png_scale))
    if suffix in VIDEO_INPUT_SUFFIXES or is_animation(path):
        return _inspect_film(path)
    return _inspect_photo(path)


def depth_facts(depth: DepthMap) -> dict[str, Any]:
    """Summarise a map: size, kind, share known, mean, median, deviation, percentiles.

    Args:
        depth: The map.

    Returns:
        Names and numbers; metres where the name ends in `_m`, otherwise the map's own unit.
    """
    known = depth.values[depth.valid].astype(np.float64)
    facts: dict[str, Any] = {
        "kind": str(depth.kind),
        "width": depth.width,
        "height": depth.height,
        "known_percent": round(100.0 * known.size / depth.values.size, 3),
    }
    if not known.size:
        return facts
    unit = "_m" if depth.is_metric else ""
    facts |= {
        f"min{unit}": float(known.min()),
        f"max{unit}": float(known.max()),
        f"mean{unit}": float(known.mean()),
        f"median{unit}": float(np.median(known)),
        f"std{unit}": float(known.std()),
    }
    return facts | {
        f"p{p:02d}{unit}": float(v)
        for p, v in zip(_PERCENTILES, np.percentile(known, _PERCENTILES), strict=True)
    }


def draw_report(found: Inspection, path: str | Path, *, overwrite: bool = True) -> None:
    """Draw what `inspect` found.

    A depth map: its colours, its histogram with mean, median and deviation, its middle row and
    column, and its surface. A cloud or a mesh: three views.

    Args:
        found: From `inspect`.
        path: Picture to write.
        overwrite: Whether an existing file may be replaced.

    Raises:
        InputError: There is nothing to draw about a camera, a calibration, a film or a photo without depth.
        FileError: The picture can't be written.
    """
    if isinstance(found.thing, DepthMap):
        from depth3d.io.depth_report import depth_report

        verbs.save(depth_report(found.thing, depth_facts(found.thing)), path, overwrite=overwrite)
    elif isinstance(found.thing, PointCloud):
        from depth3d.lift.point_views import contact_sheet

        verbs.save(contact_sheet(found.thing), path, overwrite=overwrite)
    elif isinstance(found.thing, Mesh):
        from depth3d.lift.mesh_views import mesh_sheet

        verbs.save(mesh_sheet(found.thing), path, overwrite=overwrite)
    else:
        raise InputError(
            "a report shows depth maps, clouds and meshes; this file holds none of them (estimate its depth "
            "first)"
        )


def _inspect_depth(file: DepthFile) -> Inspection:
    facts = {"type": "depth map", **depth_facts(file.depth)}
    if file.camera:
        facts["camera"] = repr(file.camera)
    return Inspection(file.depth, facts | {f"provenance.{k}": v for k, v in file.provenance.items()})


def _inspect_cloud(file: CloudFile) -> Inspection:
    cloud = file.cloud
    facts: dict[str, Any] = {
        "type": "point cloud",
        "points": len(cloud),
        "colors": cloud.colors is not None,
        "normals": cloud.normals is not None,
        "frame": file.frame,
        "unit": file.unit,
    }
    if len(cloud):
        facts["min_xyz"] = [round(float(c), 6) for c in cloud.points.min(axis=0)]
        facts["max_xyz"] = [round(float(c), 6) for c in cloud.points.max(axis=0)]
        facts["median_xyz"] = [round(float(c), 6) for c in np.median(cloud.points, axis=0)]
    return Inspection(cloud, facts | {f"comment.{i}": line for i, line in enumerate(file.comments)})


def _inspect_mesh(file: MeshFile) -> Inspection:
    mesh = file.mesh
    facts: dict[str, Any] = {
        "type": "mesh",
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "texture": None if mesh.texture is None else f"{mesh.texture.shape[1]}x{mesh.texture.shape[0]}",
        "colors": mesh.colors is not None,
        "normals": mesh.normals is not None,
        "closed": _is_closed(mesh),
        "frame": file.frame,
        "unit": file.unit,
        "min_xyz": [round(float(c), 6) for c in mesh.vertices.min(axis=0)],
        "max_xyz": [round(float(c), 6) for c in mesh.vertices.max(axis=0)],
    }
    return Inspection(mesh, facts | {f"comment.{i}": line for i, line in enumerate(file.comments)})


def _is_closed(mesh: Mesh) -> bool:
    """Tell whether each edge borders as many triangles in one direction as in the other, as a solid's does.

    Vertices at the same place count as one, since some formats, such as STL, have no other way to say so.
    """
    places = np.ascontiguousarray(mesh.vertices + np.float32(0)).view("V12").ravel()  # -0.0 becomes 0.0
    _, where = np.unique(places, return_inverse=True)
    corners = where[mesh.faces].astype(np.int64)
    start, end = corners.ravel(), np.roll(corners, -1, axis=1).ravel()
    low, high = np.minimum(start, end), np.maximum(start, end)
    _, edge = np.unique(low * len(places) + high, return_inverse=True)
    balance = np.bincount(edge, weights=np.sign(end - start))
    return not balance.any()


def _inspect_calibration_or_camera(path: Path) -> Inspection:
    if path.suffix.lower() == ".json" and b'"depth3d-calibration"' in path.read_bytes()[:4096]:
        calibration = verbs.load_calibration(path)
        return Inspection(calibration, {"type": "calibration", **_calibration_facts(calibration)})
    camera = load_camera(path)
    return Inspection(camera, {"type": "camera", **_camera_facts(camera)})


def _calibration_facts(calibration: Calibration) -> dict[str, Any]:
    """List the fields in which something stands; references, figures and notes one by one."""
    facts = {name: getattr(calibration, name) for name in calibration.__dataclass_fields__}
    references, quality, notes = (facts.pop(name) for name in ("references", "quality", "notes"))
    facts = {name: value for name, value in facts.items() if value not in (None, ())}
    if calibration.inliers:
        facts = {"says": fit_sentence(calibration), **facts}
    facts |= {f"reference.{i + 1}": dict(reference) for i, reference in enumerate(references)}
    facts |= {f"quality.{name}": value for name, value in quality.items()}
    return facts | {f"note.{i + 1}": line for i, line in enumerate(notes)}


def _inspect_photo(path: Path) -> Inspection:
    from depth3d.io.embedded_depth import read_embedded_depth
    from depth3d.io.photo_camera import camera_for

    info: PhotoInfo = read_photo_info(path)
    facts: dict[str, Any] = {"type": "photo"}
    facts |= {
        name: value
        for name in info.__dataclass_fields__
        if (value := getattr(info, name)) is not None and name != "path"
    }
    facts |= {f"camera.{k}": v for k, v in _camera_facts(camera_for(info)).items()}
    carried = read_embedded_depth(path)
    if carried is None:
        return Inspection(None, facts | {"embedded_depth": "none"})
    facts |= {f"embedded_depth.{k}": v for k, v in depth_facts(carried.depth).items()}
    return Inspection(carried.depth, facts | {f"provenance.{k}": v for k, v in carried.provenance.items()})


def _inspect_film(path: Path) -> Inspection:
    with open_video(path) as film:
        told = film.facts
        facts: dict[str, Any] = {
            "type": "film",
            "container": told.container,
            "codec": told.codec,
            "width": told.size_wh[0],
            "height": told.size_wh[1],
            "fps": round(float(told.fps), 6),
            "variable_rate": told.is_variable,
            "frames": told.frame_count,
            "duration_s": None if told.duration_s is None else round(float(told.duration_s), 6),
            "sound": told.has_sound,
            "pixels": told.pixels,
            "bits": told.bits,
            "color": told.color,
            "color_range": told.color_range,
            "rotation_deg": told.rotation_deg,
            "interlaced": told.is_interlaced,
        }
        return Inspection(None, facts | {f"note.{i + 1}": line for i, line in enumerate(film.notes)})


def _camera_facts(camera: Camera) -> dict[str, Any]:
    names = ("width", "height", "fx", "fy", "cx", "cy", "fov_x_deg", "fov_y_deg", "source", "sigma_rel")
    facts = {name: getattr(camera, name) for name in names}
    if camera.distortion:
        facts |= {"distortion_model": camera.distortion_model, "distortion": camera.distortion}
    return facts


def _npz_has(path: Path, name: str) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return f"{name}.npy" in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False  # the reader of depth files says what is wrong with it


def _ply_has_faces(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(1 << 16).partition(b"end_header")[0]
    counts = [line.split()[2:3] for line in head.splitlines() if line.startswith(b"element face ")]
    return any(count and count[0] != b"0" for count in counts)
