"""Fusion: the true surface in the world's frame, from poses and pixels of the right convention."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.mesh import Mesh
from depth3d.core.scene import RGBD
from depth3d.errors import InputError, NeedsMetricError
from depth3d.io.camera_files import load_camera
from depth3d.io.depth_files import load_depth
from depth3d.io.images import load_image
from depth3d.io.trajectories import load_trajectory
from depth3d.lift.clouds import point_cloud
from depth3d.lift.fusion import fuse, suggested_voxel_m
from depth3d.lift.pinhole_scenes import pinhole_scene
from depth3d.lift.rigid_motion import moved
from depth3d.synthetic.poses import look_at, place
from depth3d.synthetic.render import render_rgbd
from depth3d.synthetic.scene import distance_to_surface
from depth3d.synthetic.scenes import plane_scene, sphere_scene

pytestmark = pytest.mark.filterwarnings("ignore:Open3D was built with CUDA:ImportWarning")

CAMERA = Camera.from_fov(160, 120, 60)
EYES = [(-0.5, 0, 0), (0, 0, 0), (0.5, 0, 0), (0, 0.4, 0), (0, -0.4, 0)]
POSES = np.stack([look_at(eye, (0, 0, 2)) for eye in EYES])
WORLD = sphere_scene()  # a ball of radius 0.5 at (0, 0, 2) before a wall at z = 4


@pytest.fixture(scope="module")
def views():
    return [render_rgbd(WORLD, CAMERA, pose, samples=1) for pose in POSES]


def errors_m(thing, world=WORLD):
    points = thing.vertices if isinstance(thing, Mesh) else thing.points
    return distance_to_surface(world, points.astype(np.float64))


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def test_the_fused_surface_is_the_true_one(views):
    voxel_m = 0.03
    mesh = d3.fuse(views, POSES, voxel_m=voxel_m, flying_width_px=2)
    errors = errors_m(mesh)
    assert len(mesh.faces) > 50_000
    assert rms(errors) < 0.1 * voxel_m
    assert errors.max() < voxel_m
    # The ball is where it is in the world, by symmetry to far less than half a pixel of 2 m / 139.
    ball = mesh.vertices[np.abs(np.linalg.norm(mesh.vertices - [0, 0, 2], axis=1) - 0.5) < voxel_m]
    np.testing.assert_allclose(ball[:, :2].mean(axis=0), 0, atol=1e-4)


def test_poses_the_wrong_way_round_would_be_noticed(views):
    inverse = np.linalg.inv(POSES)
    assert rms(errors_m(fuse(views, inverse, voxel_m=0.03, flying_width_px=2))) > 0.02


def test_pixels_half_a_pixel_off_would_be_noticed(views):
    """cx counted from the first centre at 0, as OpenCV does, put where ours belongs."""
    voxel_m = 0.02
    right = fuse(views, POSES, voxel_m=voxel_m, flying_width_px=2)
    shifted = Camera(CAMERA.fx, CAMERA.fy, CAMERA.cx - 0.5, CAMERA.cy - 0.5, 160, 120)
    wrong = fuse(
        [RGBD(view.image, view.depth, shifted) for view in views], POSES, voxel_m=voxel_m, flying_width_px=2
    )
    assert rms(errors_m(right)) < 0.1 * voxel_m
    assert rms(errors_m(wrong)) > 1.5 * rms(errors_m(right))


def test_normals_faces_and_colours_are_the_surfaces_own(views):
    mesh = fuse(views, POSES, voxel_m=0.03, flying_width_px=2)
    wall = (np.abs(mesh.vertices[:, 2] - 4) < 0.01) & (np.linalg.norm(mesh.vertices[:, :2], axis=1) < 1.4)
    assert wall.sum() > 100
    assert np.median(mesh.normals[wall][:, 2]) < -0.99  # towards the cameras
    a, b, c = mesh.vertices[mesh.faces[wall[mesh.faces].all(axis=1)]].transpose(1, 0, 2)
    assert (np.cross(b - a, c - a)[:, 2] < 0).mean() > 0.99
    # A flat photo of one colour gives that colour.
    image = np.full((120, 160, 3), (200, 100, 50), dtype=np.uint8)
    plain = fuse([RGBD(image, views[1].depth, CAMERA)], POSES[1:2], voxel_m=0.05)
    np.testing.assert_array_equal(np.unique(plain.colors, axis=0), [[200, 100, 50]])


def test_a_cloud_lies_on_the_same_surface(views):
    cloud = fuse(iter(views), POSES, voxel_m=0.03, flying_width_px=2, result="cloud")
    assert rms(errors_m(cloud)) < 0.1 * 0.03
    assert errors_m(cloud).max() < 0.03
    np.testing.assert_allclose(np.linalg.norm(cloud.normals, axis=1), 1, atol=1e-5)


def test_the_world_is_that_of_the_poses(views):
    """Moving the world moves the result with it, up to where its voxels fall."""
    T = place(5, -2, 1, yaw_deg=30, pitch_deg=10)
    here = fuse(views, POSES, voxel_m=0.03, flying_width_px=2)
    there = fuse(views, T @ POSES, voxel_m=0.03, flying_width_px=2)
    back = moved(there, np.linalg.inv(T))
    assert rms(errors_m(back)) < 0.1 * 0.03
    np.testing.assert_allclose(
        np.percentile(back.vertices, (1, 99), axis=0),
        np.percentile(here.vertices, (1, 99), axis=0),
        atol=2 * 0.03,  # the border is cut at whole voxels
    )


def test_noise_averages_out():
    """Twelve noisy photos of a wall are flatter than one, by the root of twelve at least."""
    wall, draw = plane_scene(distance=2.0), np.random.default_rng(0)
    camera = Camera.from_fov(80, 60, 50)
    clean = render_rgbd(wall, camera, samples=1)
    noisy = [
        RGBD(clean.image, DepthMap(clean.depth.values + draw.normal(0, 0.01, (60, 80)), "metric"), camera)
        for _ in range(12)
    ]
    one = fuse(noisy[:1], [np.eye(4)], voxel_m=0.04, truncation_m=0.2, flying="keep")
    many = fuse(noisy, [np.eye(4)] * 12, voxel_m=0.04, truncation_m=0.2, flying="keep")
    assert rms(one.vertices[:, 2] - 2) == pytest.approx(0.01, rel=0.4)
    assert rms(many.vertices[:, 2] - 2) < 1.1 * rms(one.vertices[:, 2] - 2) / 12**0.5


@pytest.mark.parametrize(
    ("distortion", "model"), [((-0.25, 0.08), "opencv"), ((-0.05, 0.01, 0.0, 0.0), "fisheye")]
)
def test_a_bent_lens_gives_the_same_surface(distortion, model):
    lens = Camera(110, 110, 80, 60, 160, 120, distortion=distortion, distortion_model=model)
    bent = [render_rgbd(WORLD, lens, pose, samples=1) for pose in POSES]
    mesh = fuse(bent, POSES, voxel_m=0.03, flying_width_px=2)
    assert rms(errors_m(mesh)) < 0.15 * 0.03
    assert np.percentile(errors_m(mesh), 99.9) < 0.03
    # Ignoring the lens is far worse, so the test can fail.
    flat = Camera(110, 110, 80, 60, 160, 120)
    wrong = fuse([RGBD(v.image, v.depth, flat) for v in bent], POSES, voxel_m=0.03, flying_width_px=2)
    assert rms(errors_m(wrong)) > 3 * rms(errors_m(mesh))


def test_a_pinhole_sees_every_point_and_planes_stay_planes():
    lens = Camera(110, 112, 77, 62, 160, 120, distortion=(-0.25, 0.08, 0.002, -0.001))
    slanted = plane_scene(normal=(0.3, 0.4, 0.866), distance=2.0)
    bent = render_rgbd(slanted, lens, samples=1)
    straight = pinhole_scene(bent)
    assert not any(straight.camera.distortion)
    cloud, seen = point_cloud(straight, flying="keep").points, point_cloud(bent, flying="keep").points
    assert distance_to_surface(slanted, cloud.astype(np.float64)).max() < 1e-3
    rays = [points[:, :2] / points[:, 2:] for points in (cloud, seen)]
    for edge in (np.min, np.max):  # the picture's border is there, to a pixel
        np.testing.assert_allclose(edge(rays[0], axis=0), edge(rays[1], axis=0), atol=1.5 / 110)
    assert pinhole_scene(straight) is straight


def test_ranges_unknown_pixels_and_nothing_at_all(views):
    near = fuse(views, POSES, voxel_m=0.03, depth_range_m=(0.5, 2.5), flying_width_px=2)
    assert (np.linalg.norm(near.vertices - [0, 0, 2], axis=1) < 0.6).all()  # the ball alone
    nothing = RGBD(views[0].image, DepthMap(np.full((120, 160), np.nan), "metric"), CAMERA)
    assert not len(fuse([nothing], POSES[:1]).faces)
    assert not len(fuse([nothing], POSES[:1], result="cloud"))
    whole = fuse([nothing, views[1]], POSES[:2], voxel_m=0.03)
    assert len(whole.faces) == len(fuse([views[1]], POSES[1:2], voxel_m=0.03).faces)


def test_crumbs_are_dropped_and_large_parts_stay(views):
    z = np.full((120, 160), np.nan)
    z[20:100, 20:80] = 2.0
    z[50:55, 120:125] = 2.0  # 5 pixels of 14 mm: two voxels of 30 mm
    lone = [RGBD(views[0].image, DepthMap(z, "metric"), CAMERA)]
    all_parts = fuse(lone, [np.eye(4)], voxel_m=0.03, min_island_faces=0)
    large = fuse(lone, [np.eye(4)], voxel_m=0.03)
    assert all_parts.vertices[:, 0].max() > 0.5 > 0.1 > large.vertices[:, 0].max()
    assert 100 < len(large.faces) < len(all_parts.faces) < len(large.faces) + 100
    none = fuse(lone, [np.eye(4)], voxel_m=0.03, min_island_faces=10**6)
    assert len(none.faces) == len(none.vertices) == 0


def test_the_default_voxel_is_two_pixels_at_the_median_depth(views):
    assert suggested_voxel_m(views[1]) == pytest.approx(
        2 * np.median(views[1].depth.values) / CAMERA.fx, rel=1e-6
    )


def test_the_same_photos_give_the_same_mesh_one_at_a_time(views):
    alive = []

    def one_by_one():
        for view in views:
            alive.append(1)
            assert sum(alive) == len(alive)
            yield view

    a, b = fuse(one_by_one(), POSES, voxel_m=0.04), fuse(views, POSES, voxel_m=0.04)
    np.testing.assert_array_equal(a.vertices, b.vertices)
    np.testing.assert_array_equal(a.faces, b.faces)


def test_five_real_frames_are_flatter_than_one(shared_data):
    """The floor of an indoor recording with a sensor's noise: thickness about its plane."""
    folder = shared_data / "redwood_icl_nuim"
    camera = load_camera(folder / "camera_primesense.json")
    poses = load_trajectory(folder / "trajectory.log").poses
    scenes = [
        RGBD(load_image(folder / f"color/{i:05d}.jpg"), load_depth(folder / f"depth/{i:05d}.png"), camera)
        for i in range(5)
    ]
    mesh = fuse(scenes, poses, voxel_m=0.01, flying_width_px=2)
    single = moved(point_cloud(scenes[0], flying_width_px=2), poses[0]).points

    def heights_by_tile(points):
        """Heights above the floor in tiles of 10 cm; y is up in this world."""
        floor = points[points[:, 1] < 0.2].astype(np.float64)
        tiles = np.floor(floor[:, [0, 2]] / 0.1).astype(int)
        return {tuple(key): floor[(tiles == key).all(axis=1), 1] for key in np.unique(tiles, axis=0)}

    fused_heights, single_heights = heights_by_tile(mesh.vertices), heights_by_tile(single)
    tiles = [
        key
        for key, heights in single_heights.items()
        if len(heights) > 100 and len(fused_heights.get(key, ())) > 50
    ]
    assert len(tiles) > 30
    thinner = [np.std(fused_heights[key]) / np.std(single_heights[key]) for key in tiles]
    assert np.median(thinner) < 0.8


def test_what_is_refused(views):
    with pytest.raises(InputError, match="5 scenes and 4 poses"):
        fuse(views, POSES[:4])
    with pytest.raises(InputError, match="more scenes than the 4 poses"):
        fuse(iter(views), POSES[:4], voxel_m=0.1)
    with pytest.raises(InputError, match="got 4 scenes and 5 poses"):
        fuse(iter(views[:4]), POSES, voxel_m=0.1)
    with pytest.raises(InputError, match=r"poses\[1\] must be a rigid"):
        fuse(views[:2], [np.eye(4), 2 * np.eye(4)])
    with pytest.raises(InputError, match=r"shape \(n, 4, 4\)"):
        fuse(views[:1], np.eye(4))
    relative = RGBD(views[0].image, DepthMap(np.ones((120, 160)), "relative"), CAMERA)
    with pytest.raises(NeedsMetricError):
        fuse([relative], POSES[:1])
    for name in ("voxel_m", "truncation_m"):
        with pytest.raises(InputError, match=f"{name} must be positive metres"):
            fuse(views, POSES, **{name: -1})
    with pytest.raises(InputError, match="at least a voxel"):
        fuse(views, POSES, voxel_m=0.1, truncation_m=0.05)
    with pytest.raises(InputError, match="larger voxel_m"):
        fuse(views, POSES, voxel_m=3e-5)
    with pytest.raises(InputError, match="too small"):
        fuse(views, POSES, voxel_m=1e-9)
    with pytest.raises(InputError, match="min_island_faces must be a whole number"):
        fuse(views, POSES, min_island_faces=-1)
    with pytest.raises(InputError, match="result must be"):
        fuse(views, POSES, result="points")
    with pytest.raises(InputError, match="flying must be"):
        fuse(views, POSES, flying="snap")
