"""`fuse`: one surface from many photos with metric depth and known poses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sized
from itertools import product
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import as_array
from depth3d.core.cloud import PointCloud
from depth3d.core.depth import DepthMap
from depth3d.core.mesh import Mesh
from depth3d.core.poses import as_pose
from depth3d.core.scene import RGBD
from depth3d.core.stages import stage
from depth3d.errors import InputError
from depth3d.lift.clouds import checked_range
from depth3d.lift.flying_pixels import flying_pixels
from depth3d.lift.pinhole_scenes import pinhole_scene
from depth3d.lift.unproject import unproject

__all__ = ["FlyingFusedPixels", "FusedKind", "fuse", "suggested_voxel_m"]

FusedKind: TypeAlias = Literal["mesh", "cloud"]
"""What `fuse` makes: triangles, or points on the same surface."""

FlyingFusedPixels: TypeAlias = Literal["remove", "keep"]
"""What becomes of pixels that hang between a near and a far surface."""

_VOXEL_PX = 2.0
_TRUNCATION_VOXELS = 5.0
_BLOCK_VOXELS = 16
_BYTES_A_BLOCK = 48 * _BLOCK_VOXELS**3
_MOST_BYTES = 8e9
_MOST_BLOCKS_ACROSS = 1 << 20


@overload
def fuse(
    scenes: Iterable[RGBD],
    poses: npt.ArrayLike,
    *,
    voxel_m: float | None = None,
    truncation_m: float | None = None,
    depth_range_m: tuple[float, float] | None = None,
    flying: FlyingFusedPixels = "remove",
    flying_tolerance: float = 0.03,
    flying_width_px: int | None = None,
    noise_per_m: float = 0.0,
    min_island_faces: int = 100,
    result: Literal["mesh"] = "mesh",
) -> Mesh: ...


@overload
def fuse(
    scenes: Iterable[RGBD],
    poses: npt.ArrayLike,
    *,
    voxel_m: float | None = None,
    truncation_m: float | None = None,
    depth_range_m: tuple[float, float] | None = None,
    flying: FlyingFusedPixels = "remove",
    flying_tolerance: float = 0.03,
    flying_width_px: int | None = None,
    noise_per_m: float = 0.0,
    min_island_faces: int = 100,
    result: Literal["cloud"],
) -> PointCloud: ...


@stage("fusing")
def fuse(
    scenes: Iterable[RGBD],
    poses: npt.ArrayLike,
    *,
    voxel_m: float | None = None,
    truncation_m: float | None = None,
    depth_range_m: tuple[float, float] | None = None,
    flying: FlyingFusedPixels = "remove",
    flying_tolerance: float = 0.03,
    flying_width_px: int | None = None,
    noise_per_m: float = 0.0,
    min_island_faces: int = 100,
    result: FusedKind = "mesh",
) -> Mesh | PointCloud:
    """Fuse photos with metric depth and known poses into one coloured surface.

    Every photo tells the voxels near its surface how far before or behind it they are; the mean of what all
    photos say is zero on the fused surface (Curless and Levoy, "A volumetric method for building complex
    models from range images", SIGGRAPH 1996; in blocks as in Niessner et al., SIGGRAPH Asia 2013, by Open3D).
    Noise averages out, and what one photo hides another shows. Colours are means of sRGB.

    Args:
        scenes: The photos. A generator is asked for one at a time, so that memory holds one.
        poses: (n, 4, 4) `T_world_camera` in metres, one for each scene: camera points to the world.
        voxel_m: Side of a voxel, which is about the finest detail; None is what two pixels of the first
            scene cover at its median depth.
        truncation_m: How far from a surface voxels hear of it; None is five voxels. It must exceed the noise
            of the depth, and things thinner than it suffer.
        depth_range_m: (near, far): use pixels with near <= z <= far; far may be infinity.
        flying: `remove` drops pixels that `flying_pixels` finds, `keep` believes them.
        flying_tolerance: Smallest jump in inverse depth that counts as an edge, as a share of it.
        flying_width_px: Widest ramp between surfaces to look for; None suits a network's map that was
            scaled up, 2 a sensor's or a rendering.
        noise_per_m: What 1/z may be off by in 1/m, which is no edge.
        min_island_faces: Drop connected parts of the mesh with fewer triangles, which are mostly noise at
            silhouettes; 0 keeps all. At 100 a part is some seven voxels across. A cloud keeps all.
        result: `mesh`, or `cloud` for points where the surface crosses the edges of the voxels.

    Returns:
        The surface in the world of the poses, in metres, with colours and with normals towards the cameras.
        It is empty where no pixel is known or the voxels are too large for the scene.

    Raises:
        NeedsMetricError: A depth is relative.
        InputError: A pose is not rigid, there are more poses than scenes or fewer, an argument is out of
            range, or the voxels are so small that they would need more than 8 GB.
    """
    near, far = checked_range(depth_range_m)
    for name, word, allowed in (
        ("flying", flying, ("remove", "keep")),
        ("result", result, ("mesh", "cloud")),
    ):
        if word not in allowed:
            raise InputError(f"{name} must be one of {', '.join(allowed)}, got {word!r}")
    for name, length in (("voxel_m", voxel_m), ("truncation_m", truncation_m)):
        if length is not None and not _is_positive(length):
            raise InputError(f"{name} must be positive metres, got {length!r}")
    if (
        not isinstance(min_island_faces, int | np.integer)
        or isinstance(min_island_faces, bool)
        or min_island_faces < 0
    ):
        raise InputError(f"min_island_faces must be a whole number or 0, got {min_island_faces!r}")
    views = _checked_poses(poses)
    if isinstance(scenes, Sized):
        _check_count(len(scenes), len(views))
    volume: _Volume | None = None
    count = 0
    for count, scene in enumerate(scenes, start=1):
        if count > len(views):
            raise InputError(f"there are more scenes than the {len(views)} poses; give a pose for each scene")
        scene.depth.require_metric("fuse()")
        z = scene.depth.values
        unused = ~((z >= near) & (z <= far))  # NaN compares false
        if flying == "remove":
            unused |= flying_pixels(
                scene.depth,
                tolerance=flying_tolerance,
                max_width_px=flying_width_px,
                noise_per_m=noise_per_m,
            )
        if unused.all():
            continue
        cleaned = DepthMap(np.where(unused, np.float32(np.nan), z), scene.depth.kind)
        pinhole = pinhole_scene(RGBD(scene.image, cleaned, scene.camera))
        if volume is None:
            volume = _Volume(voxel_m or suggested_voxel_m(pinhole), truncation_m)
        volume.add(pinhole, views[count - 1])
    _check_count(count, len(views))
    if result == "cloud":
        return PointCloud(np.empty((0, 3), np.float32)) if volume is None else volume.cloud()
    if volume is None:
        return Mesh(np.empty((0, 3), np.float32), np.empty((0, 3), np.int32))
    return volume.mesh(int(min_island_faces))


def suggested_voxel_m(scene: RGBD) -> float:
    """Give the side of a voxel that suits a scene: what two pixels cover at its median depth.

    Raises:
        NeedsMetricError: The depth is relative.
        InputError: No pixel has a depth.
    """
    scene.depth.require_metric("suggested_voxel_m()")
    known = scene.depth.values[scene.depth.valid]
    if not known.size:
        raise InputError("suggested_voxel_m() needs a pixel of known depth, got none; give voxel_m yourself")
    return _VOXEL_PX * float(np.median(known)) / math.sqrt(scene.camera.fx * scene.camera.fy)


class _Volume:
    """Open3D's volume, our conventions outside: pixel centres, metres, camera-to-world."""

    def __init__(self, voxel_m: float, truncation_m: float | None) -> None:
        import open3d as o3d

        self._o3d: Any = o3d
        self._voxel_m = float(voxel_m)
        self._truncation_m = float(truncation_m or _TRUNCATION_VOXELS * voxel_m)
        if self._truncation_m < self._voxel_m:
            raise InputError(
                f"truncation_m must be at least a voxel of {voxel_m:.4g} m, got {truncation_m!r}; leave it "
                "out for five voxels"
            )
        # Stride 1: blocks open around every pixel. Open3D's default looks at every fourth.
        self._volume = o3d.pipelines.integration.ScalableTSDFVolume(
            self._voxel_m, self._truncation_m, o3d.pipelines.integration.TSDFVolumeColorType.RGB8,
            _BLOCK_VOXELS, 1,
        )  # fmt: skip
        self._blocks: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def add(self, scene: RGBD, T_world_camera: npt.NDArray[np.float64]) -> None:
        self._check_memory(scene, T_world_camera)
        o3d, camera = self._o3d, scene.camera
        z = np.nan_to_num(scene.depth.values, nan=0.0)  # 0 is Open3D's unknown
        rgbd = o3d.geometry.RGBDImage.create_from_color_and_depth(
            o3d.geometry.Image(np.array(scene.image)),
            o3d.geometry.Image(np.ascontiguousarray(z, dtype=np.float32)),
            depth_scale=1.0,
            depth_trunc=math.inf,
            convert_rgb_to_intensity=False,
        )
        # Open3D counts pixels from the centre of the first.
        intrinsic = o3d.camera.PinholeCameraIntrinsic(
            camera.width, camera.height, camera.fx, camera.fy, camera.cx - 0.5, camera.cy - 0.5
        )
        R, t = T_world_camera[:3, :3], T_world_camera[:3, 3]
        T_camera_world = np.eye(4)
        T_camera_world[:3, :3], T_camera_world[:3, 3] = R.T, -R.T @ t
        self._volume.integrate(rgbd, intrinsic, T_camera_world)

    def mesh(self, min_island_faces: int) -> Mesh:
        found = self._volume.extract_triangle_mesh()
        part_of_face, faces_of_part, _ = found.cluster_connected_triangles()
        part, sizes = np.asarray(part_of_face, dtype=np.intp), np.asarray(faces_of_part)
        if len(sizes):
            found.remove_triangles_by_mask(sizes[part] < min_island_faces)
        found.remove_unreferenced_vertices()
        found.compute_vertex_normals()
        return Mesh(
            np.asarray(found.vertices, dtype=np.float32),
            np.asarray(found.triangles, dtype=np.int32),
            colors=_bytes(found.vertex_colors),
            normals=_unit(found.vertex_normals),
        )

    def cloud(self) -> PointCloud:
        found = self._volume.extract_point_cloud()
        return PointCloud(
            np.asarray(found.points, dtype=np.float32), _bytes(found.colors), _unit(found.normals)
        )

    def _check_memory(self, scene: RGBD, T_world_camera: npt.NDArray[np.float64]) -> None:
        """Count the blocks that all frames so far open, before Open3D asks for their memory."""
        points = unproject(scene.depth, scene.camera).reshape(-1, 3)
        points = points[~np.isnan(points[:, 0])] @ T_world_camera[:3, :3].T + T_world_camera[:3, 3]
        if not len(points):
            return
        side = _BLOCK_VOXELS * self._voxel_m
        if np.abs(points).max() / side >= _MOST_BLOCKS_ACROSS / 2 - 1:
            raise InputError(
                f"voxels of {self._voxel_m:.3g} m are too small for a scene that reaches "
                f"{np.abs(points).max():.3g} m from the origin; give a larger voxel_m, or a nearer "
                "depth_range_m"
            )
        for signs in product((-1, 1), repeat=3):
            cells = np.floor((points + self._truncation_m * np.array(signs)) / side).astype(np.int64)
            cells += _MOST_BLOCKS_ACROSS // 2
            codes = (cells[:, 0] * _MOST_BLOCKS_ACROSS + cells[:, 1]) * _MOST_BLOCKS_ACROSS + cells[:, 2]
            # Neighbouring pixels mostly share a block: most of the sorting is spared.
            changes = np.concatenate([[True], codes[1:] != codes[:-1]])
            self._blocks = np.union1d(self._blocks, codes[changes])
        needed = len(self._blocks) * _BYTES_A_BLOCK
        if needed > _MOST_BYTES:
            raise InputError(
                f"voxels of {self._voxel_m:.3g} m need {needed / 1e9:.0f} GB for this scene; give a larger "
                "voxel_m, or a nearer depth_range_m"
            )


def _checked_poses(poses: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = as_array(poses, name="poses")
    if array.ndim != 3 or array.shape[1:] != (4, 4):
        raise InputError(f"poses must have shape (n, 4, 4), got {array.shape}")
    if not len(array):
        raise InputError("poses must hold at least one pose, got none")
    return np.stack([as_pose(pose, f"poses[{i}]") for i, pose in enumerate(array)])


def _check_count(scenes: int, poses: int) -> None:
    if scenes != poses:
        raise InputError(f"got {scenes} scenes and {poses} poses; give one pose for each scene")


def _bytes(colors: Any) -> npt.NDArray[np.uint8]:
    levels: npt.NDArray[np.uint8] = np.rint(255 * np.clip(np.asarray(colors), 0, 1)).astype(np.uint8)
    return levels


def _unit(normals: Any) -> npt.NDArray[np.float32]:
    directions = np.asarray(normals)
    length = np.linalg.norm(directions, axis=1, keepdims=True)
    unit = np.where(length > 0, directions / np.where(length > 0, length, 1), [0.0, 0.0, 1.0])
    return np.asarray(unit, dtype=np.float32)


def _is_positive(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return False
    return bool(0 < value < math.inf)
