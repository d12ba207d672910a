"""Unprojection: the inverse of projection, to rounding; the same points as Open3D's."""

import math

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError, NeedsMetricError
from depth3d.lift.unproject import unproject, unprojected

PINHOLE = Camera(fx=50.0, fy=55.0, cx=31.2, cy=22.9, width=64, height=48)
LENS = Camera(50.0, 55.0, 31.2, 22.9, 64, 48, distortion=(-0.2, 0.05, 0.001, -0.002, 0.01))
FISHEYE = Camera(50.0, 55.0, 31.2, 22.9, 64, 48, distortion=(0.1, -0.02), distortion_model="fisheye")


def some_depth(camera, seed=0):
    values = np.random.default_rng(seed).uniform(0.5, 8.0, (camera.height, camera.width))
    values[5:8, 10:30] = np.nan
    return DepthMap(values, "metric")


@pytest.mark.parametrize("camera", [PINHOLE, LENS, FISHEYE], ids=["pinhole", "opencv", "fisheye"])
@pytest.mark.parametrize("stride", [1, 3])
def test_projects_back_onto_the_pixel_centres(camera, stride):
    depth = some_depth(camera)
    points = unproject(depth, camera, stride=stride)
    known = depth.valid[::stride, ::stride]
    v, u = np.mgrid[0 : camera.height : stride, 0 : camera.width : stride] + 0.5
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points[..., 2], depth.values[::stride, ::stride])
    np.testing.assert_array_equal(np.isnan(points).any(axis=-1), ~known)
    np.testing.assert_array_equal(np.isnan(points).all(axis=-1), ~known)
    uv = camera.project(points[known])
    np.testing.assert_allclose(uv, np.stack([u, v], axis=-1)[known], atol=2e-5)


@pytest.mark.parametrize("camera", [PINHOLE, LENS], ids=["pinhole", "opencv"])
@pytest.mark.parametrize("stride", [1, 2, 7])
def test_some_points_are_those_of_all(camera, stride, monkeypatch):
    monkeypatch.setattr("depth3d.lift.unproject.PIXELS_PER_BLOCK", 100)
    depth = some_depth(camera)
    points = unproject(depth, camera, stride=stride)
    keep = np.random.default_rng(1).random(points.shape[:2]) < 0.3
    some = unprojected(depth, camera, keep, stride=stride)
    np.testing.assert_array_equal(some, points[keep])
    assert not some.flags.writeable


@pytest.mark.parametrize("camera", [PINHOLE, LENS], ids=["pinhole", "opencv"])
@pytest.mark.parametrize("stride", [2, 5, 7, 100])
def test_a_stride_is_a_slice(camera, stride):
    depth = some_depth(camera)
    np.testing.assert_array_equal(
        unproject(depth, camera, stride=stride), unproject(depth, camera)[::stride, ::stride]
    )


def test_points_scale_with_depth():
    depth = some_depth(PINHOLE)
    doubled = DepthMap(2 * depth.values, "metric")
    np.testing.assert_array_equal(unproject(doubled, PINHOLE), 2 * unproject(depth, PINHOLE))


def test_the_first_pixel_has_its_centre_at_one_half():
    camera = Camera(fx=2.0, fy=4.0, cx=0.0, cy=0.0, width=1, height=1)
    point = unproject(DepthMap(np.array([[8.0]]), "metric"), camera)
    np.testing.assert_array_equal(point, [[[8 * 0.5 / 2, 8 * 0.5 / 4, 8.0]]])


def test_blocks_of_rows_join_without_a_seam(monkeypatch):
    depth = some_depth(LENS)
    whole = unproject(depth, LENS, stride=2)
    monkeypatch.setattr("depth3d.lift.unproject.PIXELS_PER_BLOCK", 100)
    np.testing.assert_array_equal(unproject(depth, LENS, stride=2), whole)


@pytest.mark.filterwarnings("ignore:Open3D was built with CUDA:ImportWarning")
@pytest.mark.parametrize(
    ("depth_file", "units_per_metre"),
    [("redwood_icl_nuim/depth/00000.png", 1000.0), ("tum_rgbd/TUM_depth.png", 5000.0)],
)
def test_same_points_as_open3d(shared_data, depth_file, units_per_metre):
    import cv2
    import open3d as o3d

    raw = cv2.imread(str(shared_data / depth_file), cv2.IMREAD_UNCHANGED)
    depth = DepthMap((raw / units_per_metre).astype(np.float32), "metric")
    # Open3D puts the first pixel centre at 0, so its principal point is half a pixel less than ours.
    theirs = o3d.geometry.PointCloud.create_from_depth_image(
        o3d.geometry.Image(raw),
        o3d.camera.PinholeCameraIntrinsic(640, 480, 525.0, 525.0, 319.5, 239.5),
        depth_scale=units_per_metre,
        depth_trunc=1e9,
    )
    ours = unproject(depth, Camera(525.0, 525.0, 320.0, 240.0, 640, 480))[depth.valid]
    expected = np.asarray(theirs.points)
    assert len(expected) > 200_000
    assert np.linalg.norm(ours - expected, axis=1).max() < 1e-5


@pytest.mark.parametrize("stride", [0, -1, 1.5, "2", True, None])
def test_refuses_a_stride_that_is_no_step(stride):
    with pytest.raises(InputError, match="stride must be a whole number"):
        unproject(some_depth(PINHOLE), PINHOLE, stride=stride)


def test_refuses_another_size_and_relative_depth():
    with pytest.raises(InputError, match=r"64x48 and 32x24; use camera.resized"):
        unproject(some_depth(PINHOLE), PINHOLE.resized(32, 24))
    with pytest.raises(NeedsMetricError, match=r"unproject\(\) needs metric depth"):
        unproject(DepthMap(np.ones((48, 64)), "relative"), PINHOLE)


def test_all_unknown_stays_unknown():
    depth = DepthMap(np.full((48, 64), math.nan), "metric")
    assert np.isnan(unproject(depth, LENS)).all()
