"""Point clouds: right points with their own colours, and what the options promise."""

import math
import subprocess
import sys

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.cloud import PointCloud
from depth3d.core.depth import DepthMap
from depth3d.core.scene import RGBD
from depth3d.errors import InputError, NeedsMetricError
from depth3d.lift.clouds import point_cloud, remove_outliers, voxel_downsample
from depth3d.lift.flying_pixels import flying_pixels
from depth3d.lift.unproject import unproject
from depth3d.synthetic.render import render_rgbd
from depth3d.synthetic.scene import distance_to_surface
from depth3d.synthetic.scenes import (
    bars_scene,
    default_camera,
    floor_scene,
    room_scene,
    sphere_scene,
    step_scene,
)
from depth3d.synthetic.still_life import still_life

pytestmark = pytest.mark.filterwarnings("ignore:Open3D was built with CUDA:ImportWarning")

CAMERA = Camera(fx=40.0, fy=40.0, cx=16.0, cy=12.0, width=32, height=24)


def noise_scene(camera=CAMERA, holes=True):
    """Random depth and colours: every pixel can be told from every other."""
    rng = np.random.default_rng(7)
    values = rng.uniform(0.5, 4.0, (camera.height, camera.width))
    if holes:
        values[3:6, 8:20] = np.nan
    image = rng.integers(0, 256, (camera.height, camera.width, 3), dtype=np.uint8)
    return RGBD(image, DepthMap(values, "metric"), camera)


@pytest.mark.parametrize(
    "scene",
    [floor_scene(), step_scene(), sphere_scene(), room_scene(), bars_scene(), still_life()],
    ids=["floor", "step", "sphere", "room", "bars", "still life"],
)
def test_true_depth_gives_points_on_the_true_surface(scene):
    cloud = point_cloud(render_rgbd(scene, default_camera(160, 120)))
    near = cloud.points[:, 2] < 20  # beyond, float32 itself is coarser than the bound
    assert near.sum() > 0.3 * len(cloud)
    assert distance_to_surface(scene, cloud.points[near].astype(np.float64)).max() < 1e-4


def test_a_floor_is_whole():
    scene = render_rgbd(floor_scene(), default_camera(160, 120))
    assert len(point_cloud(scene)) == scene.depth.valid.sum() == 160 * 60


def test_each_point_has_the_colour_of_its_pixel():
    scene = noise_scene()
    cloud = point_cloud(scene, flying="keep")
    known = scene.depth.valid
    np.testing.assert_array_equal(cloud.points, unproject(scene.depth, scene.camera)[known])
    np.testing.assert_array_equal(cloud.colors, scene.image[known])
    assert cloud.normals is None


def test_the_points_project_onto_their_pixels():
    scene = noise_scene()
    cloud = point_cloud(scene, flying="keep")
    uv = np.floor(scene.camera.project(cloud.points)).astype(int)
    np.testing.assert_array_equal(scene.image[uv[:, 1], uv[:, 0]], cloud.colors)


def test_flying_pixels_are_those_of_the_filter():
    rgbd = render_rgbd(room_scene(), default_camera(160, 120))
    values = rgbd.depth.values.copy()
    values[:, 80] = 0.5 * (values[:, 79] + 1.0)  # a seam of pixels between the room and a pane
    values[:, 81:] = 1.0
    scene = RGBD(rgbd.image, DepthMap(values, "metric"), rgbd.camera)
    flying = flying_pixels(scene.depth)
    assert flying.sum() > 100
    np.testing.assert_array_equal(
        point_cloud(scene).points, unproject(scene.depth, scene.camera)[scene.depth.valid & ~flying]
    )
    assert len(point_cloud(scene, flying="keep")) == scene.depth.valid.sum()
    assert len(point_cloud(scene, flying_tolerance=0.99)) == scene.depth.valid.sum()


@pytest.mark.parametrize("stride", [2, 3, 50])
def test_a_stride_is_a_slice(stride):
    scene = noise_scene()
    cloud = point_cloud(scene, stride=stride, flying="keep", normals=True)
    known = scene.depth.valid[::stride, ::stride]
    grid = unproject(scene.depth, scene.camera)[::stride, ::stride]
    np.testing.assert_array_equal(cloud.points, grid[known])
    np.testing.assert_array_equal(cloud.colors, scene.image[::stride, ::stride][known])


def test_points_scale_with_depth():
    scene = noise_scene()
    doubled = RGBD(scene.image, DepthMap(2 * scene.depth.values, "metric"), scene.camera)
    a, b = point_cloud(scene, normals=True), point_cloud(doubled, normals=True)
    np.testing.assert_array_equal(b.points, 2 * a.points)
    np.testing.assert_allclose(b.normals, a.normals, atol=1e-6)


def test_the_depth_range_is_closed():
    values = np.tile([1.0, 1.5, 2.0, 2.5], (4, 1))
    scene = RGBD(np.zeros((4, 4, 3), np.uint8), DepthMap(values, "metric"), Camera(4.0, 4.0, 2.0, 2.0, 4, 4))
    kept = point_cloud(scene, depth_range_m=(1.5, 2.0), flying="keep").points[:, 2]
    np.testing.assert_array_equal(np.unique(kept), [1.5, 2.0])
    assert len(point_cloud(scene, depth_range_m=(0, math.inf), flying="keep")) == 16
    assert len(point_cloud(scene, depth_range_m=(3, 4), flying="keep")) == 0


def test_normals_face_the_camera():
    cloud = point_cloud(render_rgbd(still_life(), default_camera(96, 72)), normals=True)
    np.testing.assert_allclose(np.linalg.norm(cloud.normals, axis=1), 1.0, atol=1e-6)
    assert ((cloud.normals * cloud.points).sum(axis=1) < 0).all()


def test_voxels_hold_the_mean_of_their_points_and_colours():
    points = [[0.1, 0.1, 1.1], [0.3, 0.1, 1.1], [2.2, 0.1, 1.1]]
    colors = [[10, 0, 255], [13, 0, 254], [7, 8, 9]]
    normals = [[0.6, 0, -0.8], [-0.6, 0, -0.8], [0, 0, -1]]
    merged = voxel_downsample(PointCloud(points, np.array(colors, np.uint8), normals), 1.0)
    order = np.argsort(merged.points[:, 0])
    np.testing.assert_allclose(merged.points[order], [[0.2, 0.1, 1.1], [2.2, 0.1, 1.1]], atol=1e-6)
    # Means of neighbouring levels are rounded to one of the two, never below them.
    assert merged.colors[order[0]].tolist() in ([11, 0, 254], [12, 0, 254], [12, 0, 255], [11, 0, 255])
    assert merged.colors[order[1]].tolist() == [7, 8, 9]
    np.testing.assert_allclose(merged.normals, [[0, 0, -1], [0, 0, -1]], atol=1e-6)


def test_voxels_mix_colours_in_linear_light():
    colors = np.array([[0, 0, 0], [255, 128, 0]], np.uint8)
    merged = voxel_downsample(PointCloud([[0.1, 0, 1], [0.2, 0, 1]], colors), 1.0)
    # Half the light of 255 is sRGB 188, not 128; half that of 128 is 92.
    assert merged.colors.tolist() == [[188, 92, 0]]


def test_voxels_of_one_point_each_keep_every_colour():
    colors = np.stack([np.arange(256)] * 3, axis=1).astype(np.uint8)
    points = np.stack([np.arange(256.0), np.zeros(256), np.ones(256)], axis=1)
    merged = voxel_downsample(PointCloud(points, colors), 0.01)
    np.testing.assert_array_equal(merged.colors[np.argsort(merged.points[:, 0])], colors)


def test_a_voxel_cloud_has_a_point_a_cube():
    scene = render_rgbd(room_scene(), default_camera(160, 120))
    full, merged = point_cloud(scene), point_cloud(scene, voxel_m=0.2, normals=True)
    # Open3D's grid starts half a cube below the lowest corner.
    cubes = np.unique(np.floor((full.points - full.points.min(0).astype(float) + 0.1) / 0.2), axis=0)
    assert abs(len(merged) - len(cubes)) <= 0.01 * len(cubes)
    assert len(merged) < len(full) / 5
    np.testing.assert_allclose(np.linalg.norm(merged.normals, axis=1), 1.0, atol=1e-5)


def test_outliers_go_and_the_rest_keeps_its_order():
    rng = np.random.default_rng(0)
    blob = rng.normal(0, 0.1, (500, 3)) + np.array([0, 0, 2])
    points = np.concatenate([blob[:250], [[5.0, 5, 9]], blob[250:]])
    colors = (np.arange(501) % 256)[:, None].repeat(3, axis=1).astype(np.uint8)
    kept = remove_outliers(PointCloud(points, colors), neighbors=8, std=3.0)
    assert 480 <= len(kept) < 501
    assert kept.points.max() < 4
    stays = np.isin(points[:, 0].astype(np.float32), kept.points[:, 0])
    np.testing.assert_array_equal(kept.points, points[stays].astype(np.float32))
    np.testing.assert_array_equal(kept.colors, colors[stays])


@pytest.mark.parametrize(
    "points",
    [
        [[0, 0, 1], [1, 0, 1]],  # two
        [[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]],  # a square
        [[0, 0, 1]] * 10,  # all in one place
    ],
)
def test_where_all_points_are_equally_far_none_is_an_outlier(points):
    assert len(remove_outliers(PointCloud(points), neighbors=2)) == len(points)


@pytest.mark.parametrize("options", [{}, {"voxel_m": 0.1}, {"outlier_neighbors": 8}, {"normals": True}])
def test_no_known_pixel_gives_an_empty_cloud(options):
    scene = RGBD(np.zeros((24, 32, 3), np.uint8), DepthMap(np.full((24, 32), np.nan), "metric"), CAMERA)
    assert len(point_cloud(scene, **options)) == 0


def test_one_pixel_gives_one_point():
    scene = RGBD(
        np.full((1, 1, 3), 9, np.uint8), DepthMap([[2.0]], "metric"), Camera(1.0, 1.0, 0.5, 0.5, 1, 1)
    )
    cloud = point_cloud(scene, normals=True, voxel_m=1.0, outlier_neighbors=5)
    np.testing.assert_allclose(cloud.points, [[0, 0, 2]], atol=1e-6)
    np.testing.assert_allclose(cloud.normals, [[0, 0, -1]], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"stride": 0}, "stride must be a whole number of at least 1, got 0"),
        ({"voxel_m": 0.0}, "voxel_m must be positive metres, got 0.0"),
        ({"voxel_m": math.nan}, "voxel_m must be positive metres, got nan"),
        ({"voxel_m": "1 cm"}, "voxel_m must be positive metres, got '1 cm'"),
        ({"voxel_m": 1e-12}, "voxel_m=1e-12 is too small"),
        ({"depth_range_m": (2.0, 1.0)}, "near < far"),
        ({"depth_range_m": (-1.0, 1.0)}, "near < far"),
        ({"depth_range_m": (math.nan, 1.0)}, "near < far"),
        ({"depth_range_m": 3.0}, r"must be \(near, far\) in metres, got 3.0"),
        ({"depth_range_m": (1, 2, 3)}, r"must be \(near, far\) in metres"),
        ({"flying": "snap"}, "flying must be 'remove' or 'keep', got 'snap'"),
        ({"flying_tolerance": 0}, "tolerance must lie between 0 and 1, got 0"),
        ({"outlier_neighbors": 0}, "outlier_neighbors must be a whole number of at least 1, got 0"),
        ({"outlier_neighbors": 1.5}, "outlier_neighbors must be a whole number"),
        ({"outlier_neighbors": 5, "outlier_std": -1.0}, "outlier_std must be positive"),
        ({"outlier_std": 0.0}, "outlier_std must be positive"),
        ({"outlier_neighbors": 5, "outlier_std": None}, "outlier_std must be positive"),
    ],
)
def test_refuses_options_out_of_range(options, sentence):
    with pytest.raises(InputError, match=sentence):
        point_cloud(noise_scene(), **options)


def test_refuses_no_size_and_no_neighbours():
    cloud = PointCloud(np.ones((3, 3)))
    with pytest.raises(InputError, match="voxel_m must be positive metres, got None"):
        voxel_downsample(cloud, None)
    with pytest.raises(InputError, match="whole number of at least 1, got None"):
        remove_outliers(cloud, neighbors=None)


def test_a_relative_map_is_refused_with_advice():
    scene = noise_scene(holes=False)
    relative = RGBD(scene.image, DepthMap(scene.depth.values, "relative"), scene.camera)
    with pytest.raises(NeedsMetricError, match=r"point_cloud\(\) needs metric depth.*assume_range"):
        point_cloud(relative)


def test_a_plain_cloud_does_not_load_open3d():
    code = (
        "import sys, numpy as np\n"
        "from depth3d.core.camera import Camera\n"
        "from depth3d.core.depth import DepthMap\n"
        "from depth3d.core.scene import RGBD\n"
        "from depth3d.lift.clouds import point_cloud\n"
        "scene = RGBD(np.zeros((4, 4, 3), np.uint8), DepthMap(np.ones((4, 4)), 'metric'),"
        " Camera(4, 4, 2, 2, 4, 4))\n"
        "assert len(point_cloud(scene, normals=True)) == 16\n"
        "print([m for m in ('open3d', 'cv2', 'scipy', 'torch') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
