"""Depth is the closed form, from any pose and through any lens; points land on surfaces and in views."""

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.errors import InputError
from depth3d.synthetic import (
    Rectangle,
    Scene,
    Sphere,
    Surface,
    bars_scene,
    default_camera,
    distance_to_surface,
    floor_scene,
    look_at,
    place,
    plane_scene,
    random_scene,
    render_depth,
    render_rgbd,
    room_scene,
    sphere_scene,
    step_scene,
    still_life,
)

CAMERA = default_camera(96, 72)
BENT = Camera(70, 72, 47, 35.5, 96, 72, distortion=(-0.21, 0.06, 0.002, -0.001, 0.01))
FISHEYE = Camera(60, 60, 48, 36, 96, 72, distortion=(0.05, -0.01, 0.003, 0.0), distortion_model="fisheye")


def cloud(scene, camera, pose=None):
    """World points (N, 3) of every known pixel, in float64."""
    depth = render_depth(scene, camera, pose)
    points = (camera.pixel_rays() * depth.values[..., None].astype(np.float64))[depth.valid]
    pose = np.eye(4) if pose is None else pose
    return points @ pose[:3, :3].T + pose[:3, 3]


@pytest.mark.parametrize("camera", [CAMERA, BENT, FISHEYE], ids=["pinhole", "opencv", "fisheye"])
@pytest.mark.parametrize("normal", [(0, 0, 1), (0.3, -0.2, 1), (-2, 1, 3), (0.0, 1.0, 0.4), (1, 0, 0.9)])
def test_a_plane_is_distance_over_normal_dot_ray(normal, camera):
    n = np.array(normal) / np.linalg.norm(normal)
    facing = camera.pixel_rays() @ n
    with np.errstate(divide="ignore"):
        wanted = np.where(facing > 0, 2.5 / facing, np.nan)
    found = render_depth(plane_scene(normal, 2.5), camera)
    np.testing.assert_allclose(found.values, wanted, rtol=1e-6)


def test_inverse_depth_of_a_plane_is_affine_in_the_pixel():
    z = render_depth(plane_scene((0.3, -0.4, 1.0), 2.0), CAMERA).values.astype(np.float64)
    v, u = np.mgrid[: CAMERA.height, : CAMERA.width] + 0.5
    design = np.stack([u.ravel(), v.ravel(), np.ones(u.size)], axis=1)
    plane, *_ = np.linalg.lstsq(design, 1 / z.ravel(), rcond=None)
    assert np.abs(design @ plane * z.ravel() - 1).max() < 1e-6


def test_a_floor_ends_at_the_horizon_and_the_sky_has_no_depth():
    pitch = np.radians(12.0)
    depth = render_depth(floor_scene(1.5, 12.0), CAMERA)
    ray_y = CAMERA.pixel_rays()[..., 1]
    down = np.cos(pitch) * ray_y + np.sin(pitch)
    np.testing.assert_array_equal(depth.valid, down > 0)
    np.testing.assert_allclose(depth.values[depth.valid], 1.5 / down[down > 0], rtol=1e-6)


def test_a_sphere_is_the_root_of_its_quadratic():
    depth = render_depth(sphere_scene(0.5, 2.0, wall_m=None), CAMERA)
    rays = CAMERA.pixel_rays()
    a, b, c = (rays**2).sum(-1), 2.0 * rays[..., 2], 2.0**2 - 0.5**2
    inside = b * b - a * c
    with np.errstate(invalid="ignore"):
        wanted = (b - np.sqrt(inside)) / a
    np.testing.assert_array_equal(depth.valid, inside >= 0)
    np.testing.assert_allclose(depth.values, wanted, rtol=1e-6)


@pytest.mark.parametrize(("edge_x_m", "first_far_column"), [(0.0, 48), (0.1, 56), (-0.25, 28)])
def test_a_step_is_at_its_column(edge_x_m, first_far_column):
    # The edge projects to cx + fx * x / z_near; the first far pixel has its centre to the right of it.
    camera = Camera(80, 80, 48, 36, 96, 72)
    depth = render_depth(step_scene(1.0, 3.0, edge_x_m), camera).values
    wanted = np.where(np.arange(96) < first_far_column, 1.0, 3.0)
    np.testing.assert_array_equal(depth, np.broadcast_to(wanted, (72, 96)))


def test_depth_is_z_and_not_the_length_of_the_ray():
    np.testing.assert_array_equal(render_depth(plane_scene((0, 0, 1), 2.0), CAMERA).values, 2.0)


SCENES = {
    "room": room_scene(),
    "bars": bars_scene(),
    "step": step_scene(),
    "still life": still_life(),
    "random 1": random_scene(1),
    "random 4": random_scene(4),
}


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("camera", [CAMERA, BENT], ids=["pinhole", "opencv"])
def test_points_of_exact_depth_lie_on_the_surface(name, camera):
    points = cloud(SCENES[name], camera, place(0.05, -0.03, 0.02, yaw_deg=4, roll_deg=-3))
    reach = np.linalg.norm(points, axis=1)
    # What is left is the rounding of depth to float32, which the slant of the ray stretches a little.
    assert (distance_to_surface(SCENES[name], points) < 2e-7 * reach).all()
    assert np.sum(reach < 100) > 4000


def test_the_distance_of_exact_points_is_nought():
    scene = sphere_scene(0.5, 2.0, wall_m=4.0)
    t, _ = scene.first_hits(np.zeros((3, 1)), CAMERA.pixel_rays().reshape(-1, 3).T)
    points = t[:, None] * CAMERA.pixel_rays().reshape(-1, 3)
    assert distance_to_surface(scene, points).max() < 1e-12
    np.testing.assert_allclose(distance_to_surface(scene, np.array([[0, 0, 2.0], [0, 0, 1.4]])), [0.5, 0.1])


@pytest.mark.parametrize("name", SCENES)
def test_two_views_agree_and_the_hidden_is_behind(name):
    """Points of one view, seen from another, are either on its depth or behind something."""
    scene, pose = SCENES[name], place(0.12, 0.03, -0.05, yaw_deg=-3)
    points = cloud(scene, CAMERA)
    there = (points - pose[:3, 3]) @ pose[:3, :3]
    uv = CAMERA.project(there)
    inside = ((uv >= 0) & (uv < CAMERA.size_wh)).all(axis=1)
    t, _ = scene.first_hits(pose[:3, 3:], (points[inside] - pose[:3, 3]).T)
    assert inside.mean() > 0.7
    assert t.max() < 1 + 1e-5  # the point itself at the latest
    seen = t > 1 - 1e-5
    assert 0.6 < seen.mean() <= 1
    # Where the point is seen, the depth map of the other view has its z at that pixel, exactly on planes
    # and as closely as the surface is steep elsewhere.
    u, v = np.floor(uv[inside][seen]).astype(int).T
    there_z = render_depth(scene, CAMERA, pose).values[v, u]
    assert np.median(np.abs(there_z / there[inside][seen][:, 2] - 1)) < 1e-2


def test_the_near_covers_the_far_whatever_the_order():
    near = Surface(Sphere(0.3), T_world_shape=place(0, 0, 1.5))
    far = Surface(Rectangle(), T_world_shape=place(0, 0, 3))
    one, other = (render_depth(Scene(s), CAMERA).values for s in ((near, far), (far, near)))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one[36, 48], 1.2, rtol=1e-3)


def test_moving_the_scene_is_moving_the_camera_the_other_way():
    pose = look_at((0.2, -0.1, -0.3), (0.0, 0.1, 2.5))
    scene = room_scene()
    np.testing.assert_allclose(
        render_depth(scene, CAMERA, pose).values,
        render_depth(scene.moved(np.linalg.inv(pose)), CAMERA).values,
        rtol=1e-6,
    )


def test_look_at_puts_the_target_on_the_axis_and_up_upwards():
    pose = look_at((1.0, -2.0, 0.5), (0.0, 0.0, 3.0))
    np.testing.assert_allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3), atol=1e-12)
    target = np.linalg.inv(pose) @ [0, 0, 3.0, 1]
    np.testing.assert_allclose(target[:2], 0, atol=1e-12)
    assert target[2] > 0
    assert pose[1, 1] > 0  # the picture's down is the world's down
    assert pose[1, 0] == pytest.approx(0)  # and its rows are level


def test_an_empty_scene_has_no_depth():
    rgbd = render_rgbd(Scene((), background=(1.0, 1.0, 1.0)), CAMERA, samples=1)
    assert not rgbd.depth.valid.any()
    assert (rgbd.image == 255).all()
    np.testing.assert_array_equal(distance_to_surface(Scene(()), np.zeros((2, 3))), np.inf)
    assert distance_to_surface(Scene(()), np.zeros((0, 3))).shape == (0,)


MIRRORED = np.diag([-1.0, 1, 1, 1])


@pytest.mark.parametrize(
    "pose", [np.eye(3), 2 * np.eye(4), MIRRORED, np.full((4, 4), np.nan), "north", [[1, 2], [3]]]
)
def test_poses_must_be_rigid(pose):
    with pytest.raises(InputError, match="T_world_camera must be"):
        render_depth(step_scene(), CAMERA, pose)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: plane_scene((0, 0, 0)), "normal"),
        (lambda: plane_scene((0, 0, 1), -1.0), "distance"),
        (lambda: step_scene(3.0, 1.0), "near_m must be less"),
        (lambda: step_scene(0.0, 1.0), "near_m"),
        (lambda: sphere_scene(distance_m=float("nan")), "distance_m"),
        (lambda: random_scene(-1), "seed"),
        (lambda: look_at((0, 0, 0), (0, -2, 0)), "off the upward axis"),
        (lambda: distance_to_surface(step_scene(), np.zeros(3)), r"\(N, 3\)"),
    ],
)
def test_wrong_arguments_get_one_sentence(make, words):
    with pytest.raises(InputError, match=words):
        make()
