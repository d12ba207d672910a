"""Normals: exact on planes whatever the lens, close on spheres, unbent beside edges."""

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError, NeedsMetricError
from depth3d.lift.normals import grid_normals, normals_of
from depth3d.synthetic.render import render_depth
from depth3d.synthetic.scenes import default_camera, sphere_scene

CAMERA = Camera(fx=90.0, fy=100.0, cx=50.0, cy=41.0, width=96, height=80)


def plane_depth(camera, normal, distance):
    """Depth of the plane normal . X = distance, nan where it is not in front."""
    along = camera.pixel_rays() @ np.asarray(normal, float)
    with np.errstate(divide="ignore"):
        z = distance / along
    return DepthMap(np.where((z > 0) & (z < 1000), z, np.nan), "metric")


PLANES = [  # a normal that points away from the camera
    (0.0, 0.0, 1.0),  # a wall, face on
    (0.0, 1.0, 0.0),  # a floor up to its horizon
    (0.6, 0.0, 0.8),  # a slanted wall
    (-0.5, 0.7, 0.51),  # slanted both ways
    (0.99, 0.0, 0.141),  # nearly edge-on
]


@pytest.mark.parametrize("normal", PLANES)
def test_planes_are_exact(normal):
    unit = np.asarray(normal) / np.linalg.norm(normal)
    depth = plane_depth(CAMERA, unit, 1.3)
    found = grid_normals(depth, CAMERA)
    np.testing.assert_array_equal(np.isnan(found[..., 0]), ~depth.valid)
    assert depth.valid.sum() > 1000
    np.testing.assert_allclose(
        found[depth.valid], np.broadcast_to(-unit, found[depth.valid].shape), atol=1e-4
    )


@pytest.mark.parametrize("model", ["opencv", "fisheye"])
def test_planes_through_a_lens(model):
    camera = Camera(90.0, 100.0, 50.0, 41.0, 96, 80, distortion=(-0.1, 0.02), distortion_model=model)
    unit = np.array([0.3, 0.5, 0.812404])
    found = grid_normals(plane_depth(camera, unit, 1.3), camera)
    # The lens bends the grid between pixels: second order inside, first order on the border.
    np.testing.assert_allclose(found[1:-1, 1:-1], np.broadcast_to(-unit, (78, 94, 3)), atol=1e-3)


def test_a_sphere_has_radial_normals():
    camera = default_camera(160, 120)
    depth = render_depth(sphere_scene(radius_m=0.5, distance_m=2.0, wall_m=None), camera)
    points = camera.pixel_rays() * depth.values[..., None]
    radial = (points - [0.0, 0.0, 2.0]) / 0.5
    found = grid_normals(depth, camera)
    facing = depth.valid & (np.nan_to_num(radial[..., 2]) < -0.5)  # off the limb, where z leaps
    assert facing.sum() > 1500
    off_deg = np.degrees(np.arccos(np.clip((found * radial).sum(-1)[facing], -1, 1)))
    assert np.median(off_deg) < 0.1
    assert off_deg.max() < 3.0


def test_edges_do_not_bend_the_normals_beside_them():
    near, far = plane_depth(CAMERA, (0, 0, 1), 1.0), plane_depth(CAMERA, (0.6, 0, 0.8), 2.0)
    values = np.where(np.arange(96) < 48, near.values, far.values)
    found = grid_normals(DepthMap(values, "metric"), CAMERA)
    np.testing.assert_allclose(found[:, :48], np.broadcast_to([0, 0, -1], (80, 48, 3)), atol=1e-4)
    np.testing.assert_allclose(found[:, 48:], np.broadcast_to([-0.6, 0, -0.8], (80, 48, 3)), atol=1e-4)


def test_every_normal_is_a_unit_vector_towards_the_camera():
    values = np.random.default_rng(3).uniform(0.5, 5.0, (80, 96))
    values[values < 1.0] = np.nan
    found = grid_normals(DepthMap(values, "metric"), CAMERA)
    known = ~np.isnan(values)
    np.testing.assert_array_equal(~np.isnan(found[..., 0]), known)
    np.testing.assert_allclose(np.linalg.norm(found[known], axis=-1), 1.0, atol=1e-6)
    assert ((found * CAMERA.pixel_rays()).sum(-1)[known] < 0).all()


def test_blocks_of_rows_join_without_a_seam(monkeypatch):
    depth = DepthMap(np.random.default_rng(3).uniform(0.5, 5.0, (80, 96)), "metric")
    whole = grid_normals(depth, CAMERA)
    monkeypatch.setattr("depth3d.lift.normals.PIXELS_PER_BLOCK", 9 * 96)
    np.testing.assert_array_equal(grid_normals(depth, CAMERA), whole)


@pytest.mark.parametrize("stride", [1, 2, 5, 9, 100])
def test_normals_of_some_pixels_are_those_of_all(stride, monkeypatch):
    depth = DepthMap(np.random.default_rng(3).uniform(0.5, 5.0, (80, 96)), "metric")
    whole = grid_normals(depth, CAMERA)[::stride, ::stride]
    keep = np.random.default_rng(4).random(whole.shape[:2]) < 0.4
    monkeypatch.setattr("depth3d.lift.normals.PIXELS_PER_BLOCK", 11 * 96)
    some = normals_of(depth, CAMERA, keep, stride=stride)
    np.testing.assert_array_equal(some, whole[keep])
    assert not some.flags.writeable


def test_a_single_pixel_faces_the_camera():
    camera = Camera(1.0, 1.0, 0.5, 0.5, 1, 1, distortion=(0.1,))
    np.testing.assert_allclose(
        grid_normals(DepthMap(np.ones((1, 1)), "metric"), camera), [[[0, 0, -1]]], atol=1e-6
    )


def test_refuses_what_it_cannot_use():
    with pytest.raises(NeedsMetricError, match="grid_normals"):
        grid_normals(DepthMap(np.ones((80, 96)), "relative"), CAMERA)
    with pytest.raises(InputError, match="same size"):
        grid_normals(DepthMap(np.ones((8, 9)), "metric"), CAMERA)
