"""Reconstruction: near the true surface, no balloons, and the same mesh from the same points."""

import numpy as np
import pytest
import trimesh
from scipy.spatial import cKDTree

import depth3d as d3
from depth3d.core.camera import Camera
from depth3d.core.cloud import PointCloud
from depth3d.errors import InputError
from depth3d.lift.clouds import point_cloud
from depth3d.lift.mesh_views import sample_surface
from depth3d.lift.reconstruction import reconstruct
from depth3d.synthetic.render import render_rgbd
from depth3d.synthetic.scene import distance_to_surface
from depth3d.synthetic.still_life import still_life

pytestmark = pytest.mark.filterwarnings("ignore:Open3D was built with CUDA:ImportWarning")

RADIUS_M = 0.4
CENTER = np.array([0.1, -0.2, 2.0])


def ball(count=6000):
    """Points spread evenly over a sphere (Fibonacci's spiral), red above and green below."""
    i = np.arange(count) + 0.5
    height = 1 - 2 * i / count
    turn = np.pi * (1 + 5**0.5) * i
    ring = np.sqrt(1 - height**2)
    normals = np.stack([ring * np.cos(turn), height, ring * np.sin(turn)], axis=1)
    colors = np.where(height[:, None] < 0, [[220, 30, 30]], [[30, 160, 40]]).astype(np.uint8)
    return PointCloud(CENTER + RADIUS_M * normals, colors, normals)


def half_ball():
    """What a camera at the origin sees of it."""
    whole = ball()
    return whole[(whole.normals * whole.points).sum(axis=1) < 0]


def errors_m(mesh):
    return np.abs(np.linalg.norm(mesh.vertices - CENTER, axis=1) - RADIUS_M)


@pytest.mark.parametrize("method", ["poisson", "ball-pivoting"])
def test_a_ball_comes_back_closed_round_and_coloured(method):
    mesh = d3.reconstruct(ball(), method=method)
    part = trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)
    assert errors_m(mesh).max() < 0.005 * RADIUS_M
    assert part.is_watertight
    assert part.euler_number == 2
    assert part.volume == pytest.approx(
        4 / 3 * np.pi * RADIUS_M**3, rel=0.005
    )  # positive: faces look outwards
    outwards = (mesh.vertices - CENTER) / np.linalg.norm(mesh.vertices - CENTER, axis=1, keepdims=True)
    assert (mesh.normals * outwards).sum(axis=1).min() > 0.95
    red = mesh.vertices[:, 1] - CENTER[1] < -0.05
    green = mesh.vertices[:, 1] - CENTER[1] > 0.05
    np.testing.assert_array_equal(np.unique(mesh.colors[red], axis=0), [[220, 30, 30]])
    np.testing.assert_array_equal(np.unique(mesh.colors[green], axis=0), [[30, 160, 40]])


def test_the_balloon_behind_half_a_ball_is_cut_away():
    half = half_ball()
    spacing_m = RADIUS_M * np.sqrt(4 * np.pi / 6000)
    untrimmed = reconstruct(half, max_gap_m=np.inf)
    trimmed = reconstruct(half)

    def farthest_m(mesh):
        return cKDTree(half.points).query(mesh.vertices)[0].max()

    assert farthest_m(untrimmed) > 0.1
    assert farthest_m(trimmed) < 3 * spacing_m
    area = trimesh.Trimesh(trimmed.vertices, trimmed.faces, process=False).area
    share = len(half) / 6000  # of the sphere's area, evenly covered
    assert area == pytest.approx(share * 4 * np.pi * RADIUS_M**2, rel=0.1)
    assert np.percentile(errors_m(trimmed), 95) < 0.01 * RADIUS_M


def test_a_still_life_from_one_photo_is_true_to_a_millimetre():
    scene = still_life()
    cloud = point_cloud(render_rgbd(scene, Camera.from_fov(160, 120, 50), samples=1), normals=True)
    for method, bound_m in (("poisson", 0.003), ("ball-pivoting", 0.0015)):
        mesh = reconstruct(cloud, method=method)
        errors = distance_to_surface(scene, sample_surface(mesh, 20_000).points.astype(np.float64))
        assert np.sqrt(np.mean(errors**2)) < bound_m, method  # neighbours are 11 mm apart
        # Whole: nearly every point has the surface beside it.
        gaps = np.linalg.norm(
            cloud.points[::50, None] - sample_surface(mesh, 20_000).points[None], axis=2
        ).min(axis=1)
        assert (gaps < 0.02).mean() > 0.95, method


def test_missing_normals_are_turned_to_the_viewpoint():
    half = half_ball()
    bare = PointCloud(half.points)
    mesh = reconstruct(bare)
    assert mesh.colors is None
    towards = -(mesh.vertices - 0.0)
    assert ((mesh.normals * towards).sum(axis=1) > 0).mean() > 0.97
    # Seen from the far side, the same points face the other way.
    beyond = reconstruct(bare, viewpoint=(0.1, -0.2, 50.0))
    assert ((beyond.normals * towards).sum(axis=1) < 0).mean() > 0.97


@pytest.mark.parametrize("method", ["poisson", "ball-pivoting"])
def test_the_same_points_give_the_same_mesh_and_not_a_word(method, capfd):
    a, b = (reconstruct(ball(2000), method=method) for _ in range(2))
    np.testing.assert_array_equal(a.vertices, b.vertices)
    np.testing.assert_array_equal(a.faces, b.faces)
    said = capfd.readouterr()
    assert said.out == said.err == ""


def test_repeated_points_and_options():
    whole = ball(2000)
    twice = PointCloud(*(np.repeat(a, 2, axis=0) for a in (whole.points, whole.colors, whole.normals)))
    np.testing.assert_array_equal(reconstruct(twice).vertices, reconstruct(whole).vertices)
    coarse, fine = (reconstruct(ball(), octree_depth=depth) for depth in (5, 7))
    assert len(coarse.faces) < len(fine.faces) / 3
    cut = reconstruct(whole, density_quantile=0.2)
    assert 0.6 * len(reconstruct(whole).faces) < len(cut.faces) < 0.9 * len(reconstruct(whole).faces)
    small = reconstruct(whole, method="ball-pivoting", radii_m=[1e-4])
    assert not len(small.faces)  # the ball falls through


def test_what_is_refused():
    whole = ball(500)
    line = np.stack([np.linspace(0, 1, 50), np.zeros(50), np.ones(50)], axis=1)
    for cloud, sentence in (
        (whole[np.arange(5)], "at least 10 different points, got 5"),
        (PointCloud(np.ones((50, 3))), "at least 10 different points, got 1"),
        (PointCloud(line), "on one line"),
    ):
        with pytest.raises(InputError, match=sentence):
            reconstruct(cloud)
    for options, sentence in (
        ({"method": "grid"}, "method must be one of poisson, ball-pivoting"),
        ({"octree_depth": 20}, r"within 5\.\.12"),
        ({"max_gap_m": 0}, "positive metres"),
        ({"density_quantile": 1.0}, r"within 0\.\.1"),
        ({"radii_m": [0.1]}, "belong to the ball"),
        ({"method": "ball-pivoting", "octree_depth": 8}, "belong to Poisson"),
        ({"method": "ball-pivoting", "radii_m": [0.0]}, "radii_m must be positive"),
        ({"viewpoint": (0, 0)}, "three finite metres"),
    ):
        with pytest.raises(InputError, match=sentence):
            reconstruct(whole, **options)
