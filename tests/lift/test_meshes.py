"""Meshes: true surfaces, whole floors, clean cuts, and what the options promise."""

import math

import numpy as np
import pytest

from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.core.mesh import Mesh
from depth3d.core.resample import resize_depth
from depth3d.core.scene import RGBD
from depth3d.errors import InputError, NeedsMetricError
from depth3d.lift.flying_pixels import flying_pixels
from depth3d.lift.meshes import mesh
from depth3d.lift.silhouettes import snap_to_surfaces
from depth3d.lift.unproject import unproject
from depth3d.synthetic.random_scenes import random_scene
from depth3d.synthetic.render import render_depth, render_rgbd
from depth3d.synthetic.scene import distance_to_surface
from depth3d.synthetic.scenes import (
    bars_scene,
    default_camera,
    floor_scene,
    plane_scene,
    room_scene,
    sphere_scene,
    step_scene,
)
from depth3d.synthetic.still_life import still_life

PATCH = 14
"""A network's patch in pixels: its output holds about one independent value for each."""


def scene_of(depth, camera):
    """Depth with a picture in which no two pixels are alike."""
    v, u = np.mgrid[: depth.height, : depth.width]
    image = np.stack([u % 256, v % 256, u // 256 + 16 * (v // 256)], axis=-1).astype(np.uint8)
    return RGBD(image, depth, camera)


def seen(scene, size, scale=1):
    """Exact depth, or that of a network: a value for each `scale` pixels, scaled up."""
    camera = default_camera(*size)
    small = render_depth(scene, camera.resized(size[0] // scale, size[1] // scale))
    return scene_of(resize_depth(small, *size), camera)


def corners(made):
    return made.vertices.astype(np.float64)[made.faces]


def area(made):
    a, b, c = corners(made).transpose(1, 0, 2)
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()


def euler(made):
    edges = np.sort(made.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    return len(made.vertices) - len(np.unique(edges, axis=0)) + len(made.faces)


def off_surface(scene, made):
    """Distance of each triangle's middle from the true surface, as a share of its z: (F,)."""
    middles = corners(made).mean(axis=1)
    return distance_to_surface(scene, middles) / middles[:, 2]


def spread(made):
    """How far each triangle reaches in inverse depth, as a share of its nearest corner's."""
    q = 1 / corners(made)[..., 2]
    return (q.max(axis=1) - q.min(axis=1)) / q.max(axis=1)


def naive_faces(depth, rule):
    """The cuts that others make: a quad stays if none of its pixels is flagged."""
    z = depth.values.astype(np.float64)
    if rule == "gradient":
        down, right = np.gradient(z)
        flagged = np.hypot(down, right) > 0.05
    else:
        around = np.lib.stride_tricks.sliding_window_view(np.pad(z, 1, mode="edge"), (3, 3))
        flagged = (around.max(axis=(2, 3)) - around.min(axis=(2, 3))) / z > 0.04
    keep = depth.valid & ~flagged & ~np.isnan(z)
    return 2 * int((keep[1:, 1:] & keep[1:, :-1] & keep[:-1, 1:] & keep[:-1, :-1]).sum())


@pytest.mark.parametrize("size", [(56, 42), (161, 119), (322, 238), (644, 476)])
@pytest.mark.parametrize("pitch_deg", [0.0, 10.0, 40.0])
def test_a_floor_is_whole_up_to_the_horizon(size, pitch_deg):
    given = seen(floor_scene(pitch_deg=pitch_deg), size)
    valid = given.depth.valid
    quads = valid[1:, 1:] & valid[1:, :-1] & valid[:-1, 1:] & valid[:-1, :-1]
    made = mesh(given, normals=False)
    assert quads.sum() > 0.4 * valid.size
    assert len(made.faces) == 2 * quads.sum()
    assert len(made.vertices) == valid.sum()


@pytest.mark.parametrize("size", [(161, 119), (322, 238)])
def test_a_floor_scaled_up_from_patches_is_whole_where_other_cuts_lose_much_of_it(size):
    given = seen(floor_scene(), size, PATCH)
    quads = (size[0] - 1) * (given.depth.valid.any(axis=1).sum() - 1)
    # At the clamped corners of the picture the floor's last patch is no plane.
    assert 2 * quads - 4 <= len(mesh(given, normals=False).faces) <= 2 * quads
    for rule, least_lost in (("gradient", 0.3), ("ratio", 0.15)):
        assert naive_faces(given.depth, rule) < 2 * (1 - least_lost) * quads


@pytest.mark.parametrize("normal", [(0, 0, 1), (0.3, 0.8, 0.5), (-0.9, 0.1, 0.42)])
def test_a_plane_has_its_area_and_is_a_disc(normal):
    camera = default_camera(56, 42)
    scene = plane_scene(normal, 1.5)
    depth = render_depth(scene, camera)
    if not depth.valid.all():
        camera = camera.cropped(28, 10, 20, 30)
        depth = render_depth(scene, camera)
    made = mesh(scene_of(depth, camera))
    width, height = camera.size_wh
    rays = camera.rays([[0.5, 0.5], [width - 0.5, 0.5], [width - 0.5, height - 0.5], [0.5, height - 0.5]])
    n = np.array(normal) / np.linalg.norm(normal)
    a, b, c, d = 1.5 * rays / (rays @ n)[:, None]
    assert area(made) == pytest.approx(0.5 * np.linalg.norm(np.cross(c - a, d - b)), rel=1e-5)
    assert euler(made) == 1
    np.testing.assert_allclose(made.normals, np.tile(-n, (len(made.vertices), 1)), atol=1e-4)


def test_a_step_is_cut_on_the_step():
    given = seen(step_scene(1.0, 3.0), (96, 40))
    made = mesh(given)
    assert len(made.faces) == 2 * 39 * (95 - 1)
    assert (spread(made) == 0).all()
    assert euler(made) == 2


@pytest.mark.parametrize("shift_px", [0, 3, -5])
def test_a_step_scaled_up_from_patches_is_cut_within_half_a_patch(shift_px):
    camera = default_camera(322, 238)
    given = seen(step_scene(1.0, 3.0, edge_x_m=(shift_px + 0.25) / camera.fx), (322, 238), PATCH)
    made = mesh(given)
    assert len(made.faces) == 2 * 237 * (321 - 1)
    np.testing.assert_allclose(spread(made), 0, atol=1e-6)
    near = made.vertices[:, 2] < 2
    np.testing.assert_allclose(made.vertices[near, 2], 1, rtol=1e-6)
    np.testing.assert_allclose(made.vertices[~near, 2], 3, rtol=1e-6)
    border = made.uv[near, 0].max() * 322
    assert abs(border - (161 + shift_px)) <= PATCH / 2 + 0.5


def test_a_ball_before_a_wall_is_a_disc_before_a_wall_with_a_hole():
    scene = sphere_scene(0.5, 2.0, 4.0)
    made = mesh(seen(scene, (160, 120)))
    assert euler(made) == 1 + 0
    ball = made.vertices[made.faces[:, 0], 2] < 3
    camera = default_camera(160, 120)
    whole_wall = (159 / camera.fx) * (119 / camera.fy) * 4.0**2
    # What the ball covers of the wall is the ellipse that its tangent cone cuts out, here a circle.
    shadow = math.pi * (4.0 * 0.5) ** 2 / (2.0**2 - 0.5**2)
    wall = Mesh(made.vertices, made.faces[~ball])
    rim = 2 * math.sqrt(math.pi * shadow) * 4.0 / camera.fx  # one pixel all around, at most
    assert whole_wall - shadow - rim < area(wall) < whole_wall - shadow
    # Of the ball the cap within the tangent cone is seen; its rim is seen edge on.
    cap = 2 * math.pi * 0.5**2 * (1 - 0.5 / 2.0)
    assert 0.75 * cap < area(Mesh(made.vertices, made.faces[ball])) < cap


@pytest.mark.parametrize(
    "scene",
    [step_scene(), sphere_scene(), room_scene(), bars_scene(), still_life(), random_scene(1)],
    ids=["step", "sphere", "room", "bars", "still life", "furniture"],
)
def test_true_depth_gives_triangles_on_the_true_surface(scene):
    given = seen(scene, (161, 119))
    made = mesh(given, flying="keep", min_island_px=0)
    near = made.vertices[:, 2] < 20  # beyond, float32 itself is coarser than the bound
    assert distance_to_surface(scene, made.vertices[near].astype(np.float64)).max() < 1e-4
    assert (off_surface(scene, made) > 0.02).mean() < 2e-3
    assert len(mesh(given).faces) > 0.88 * 2 * 160 * 118


@pytest.mark.parametrize(
    ("scene", "most_moved"),
    [  # share of pixels that are moved by more than 1 % of z
        (step_scene(), 0.0),
        (sphere_scene(), 0.0),
        (room_scene(), 0.0),
        (bars_scene(), 0.0006),
        (still_life(), 0.0013),
        (random_scene(1), 0.0012),
        (random_scene(2), 0.0048),
        (random_scene(3), 0.0013),
        (random_scene(5), 0.0025),
    ],
    ids=["step", "sphere", "room", "bars", "still life", "seed 1", "seed 2", "seed 3", "seed 5"],
)
def test_snapping_leaves_true_depth_as_it_was(scene, most_moved):
    given = seen(scene, (322, 238))
    snapped = snap_to_surfaces(given.depth, flying_pixels(given.depth)).values
    moved = np.abs(snapped - given.depth.values) > 0.01 * given.depth.values
    assert moved.mean() <= most_moved
    # Not one triangle hangs in the air between a near and a far surface.
    for flying in ("snap", "keep", "remove"):
        made = mesh(given, flying=flying, normals=False, paint="none", min_island_px=0)
        assert off_surface(scene, made).max() < 0.05


@pytest.mark.parametrize(
    ("scene", "off_before", "off_after"),
    [  # shares of triangles 5 % of z off the surface: with the ramps believed, and with them snapped
        (step_scene(), 0.035, 0.0),
        (sphere_scene(), 0.06, 0.006),
        (room_scene(), 0.022, 0.0045),
        (bars_scene(), 0.11, 0.0025),
        (still_life(), 0.07, 0.045),
        (random_scene(1), 0.06, 0.0125),
    ],
    ids=["step", "sphere", "room", "bars", "still life", "furniture"],
)
def test_depth_scaled_up_from_patches_has_no_curtains(scene, off_before, off_after):
    given = seen(scene, (322, 238), PATCH)
    cut, hung = mesh(given, normals=False), mesh(given, flying="keep", normals=False)
    assert (off_surface(scene, hung) > 0.05).mean() > off_before
    assert (off_surface(scene, cut) > 0.05).mean() <= off_after
    # No pixels are lost for it, where other cuts leave holes around every object.
    whole = 2 * 321 * 237
    assert spread(cut).max() < 0.2
    assert len(cut.faces) > 0.97 * whole
    for rule in ("gradient", "ratio"):
        assert naive_faces(given.depth, rule) < 0.96 * whole


@pytest.mark.parametrize("distortion", [(), (-0.2, 0.05, 0.001, -0.002)])
@pytest.mark.parametrize("stride", [1, 3])
def test_vertices_project_onto_their_texels(distortion, stride):
    camera = Camera(60.0, 62.0, 41.0, 29.0, 80, 60, distortion=distortion)
    given = render_rgbd(room_scene(), camera, samples=1)
    textured = mesh(given, stride=stride)
    painted = mesh(given, stride=stride, paint="colors")
    np.testing.assert_allclose(camera.project(textured.vertices), textured.uv * [80, 60], atol=2e-3)
    col, row = np.floor(textured.uv * [80, 60]).astype(int).T
    np.testing.assert_array_equal(given.image[row, col], painted.colors)
    np.testing.assert_array_equal(textured.texture, given.image)
    assert painted.uv is None
    assert painted.texture is None
    bare = mesh(given, stride=stride, paint="none", normals=False)
    assert repr(bare) == f"Mesh({len(bare.vertices):,} vertices, {len(bare.faces):,} faces)"
    grid = unproject(given.depth, camera)[::stride, ::stride].reshape(-1, 3)
    assert set(map(tuple, bare.vertices)) <= set(map(tuple, grid))


def test_fronts_and_normals_face_the_camera():
    made = mesh(seen(still_life(), (96, 72)))
    a, b, c = corners(made).transpose(1, 0, 2)
    assert (np.einsum("fc,fc->f", np.cross(b - a, c - a), a) < 0).all()
    np.testing.assert_allclose(np.linalg.norm(made.normals, axis=1), 1.0, atol=1e-6)
    assert ((made.normals * made.vertices).sum(axis=1) < 0).all()


def test_every_vertex_has_a_triangle_and_pixels_keep_their_order():
    made = mesh(seen(random_scene(1), (96, 72)))
    np.testing.assert_array_equal(np.unique(made.faces), np.arange(len(made.vertices)))
    place = np.floor(made.uv * [96, 72]).astype(int) @ [1, 96]
    assert (np.diff(place) > 0).all()


def test_the_mesh_scales_with_depth():
    given = seen(room_scene(), (80, 60))
    doubled = RGBD(given.image, DepthMap(2 * given.depth.values, "metric"), given.camera)
    one, two = mesh(given), mesh(doubled)
    np.testing.assert_array_equal(two.vertices, 2 * one.vertices)
    np.testing.assert_array_equal(two.faces, one.faces)


def test_a_mirrored_picture_gives_the_mirrored_mesh():
    given = seen(random_scene(1), (96, 72), 2)
    mirrored = RGBD(given.image[:, ::-1], DepthMap(given.depth.values[:, ::-1], "metric"), given.camera)
    one, other = (mesh(half, flying="keep", normals=False) for half in (given, mirrored))
    assert len(one.faces) == len(other.faces)
    assert area(other) == pytest.approx(area(one), rel=1e-4)
    np.testing.assert_allclose(
        np.sort(other.vertices[:, 0]), np.sort(-one.vertices[:, 0].astype(np.float64)), atol=1e-5
    )


def test_islands_go_by_their_size():
    z = np.full((40, 50), 2.0)
    z[5:9, 5:10] = 1.0  # 20 pixels
    given = scene_of(DepthMap(z, "metric"), Camera(40.0, 40.0, 25.0, 20.0, 50, 40))

    def nearest(**options):
        return mesh(given, flying="keep", **options).vertices[:, 2].min()

    assert nearest() == nearest(min_island_px=20) == 1.0
    assert nearest(min_island_px=21) == 2.0
    assert nearest(min_island_px=0) == 1.0
    assert not len(mesh(given, min_island_px=3000).faces)


def test_the_grazing_limit_ends_a_floor():
    given = seen(floor_scene(1.5), (322, 238))
    made = mesh(given, max_grazing_deg=80.0)
    middles = corners(made).mean(axis=1)
    angle = np.degrees(np.arccos(1.5 / np.linalg.norm(middles, axis=1)))
    assert 79 < angle.max() < 80 + 1e-3
    assert len(mesh(given, max_grazing_deg=90.0).faces) == len(mesh(given).faces)


def test_the_depth_range_is_closed_and_cuts_no_more():
    z = np.tile(np.repeat([1.0, 1.5, 2.0, 2.5], 4), (6, 1))
    given = scene_of(DepthMap(z, "metric"), Camera(8.0, 8.0, 8.0, 3.0, 16, 6))
    made = mesh(given, depth_range_m=(1.5, 2.0), flying="keep")
    np.testing.assert_array_equal(np.unique(made.vertices[:, 2]), [1.5, 2.0])
    assert len(made.faces) == 2 * 2 * 3 * 5
    assert not len(mesh(given, depth_range_m=(3, math.inf)).faces)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (4, 5)])
def test_nothing_known_or_no_square_gives_an_empty_mesh(shape):
    camera = Camera(4.0, 4.0, shape[1] / 2, shape[0] / 2, shape[1], shape[0])
    value = np.nan if min(shape) > 1 else 1.0
    made = mesh(scene_of(DepthMap(np.full(shape, value), "metric"), camera))
    assert len(made.vertices) == len(made.faces) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"stride": 0}, "stride must be a whole number of at least 1, got 0"),
        ({"depth_range_m": (2.0, 1.0)}, "near < far"),
        ({"flying": "drop"}, "flying must be one of snap, remove, keep, got 'drop'"),
        ({"paint": "photo"}, "paint must be one of texture, colors, none, got 'photo'"),
        ({"flying_tolerance": 0}, "tolerance must lie between 0 and 1, got 0"),
        ({"edge_tolerance": 0.0}, "edge_tolerance must lie between 0 and 1, got 0.0; try 0.03"),
        ({"edge_tolerance": math.nan}, "edge_tolerance must lie between 0 and 1"),
        ({"edge_tolerance": True}, "edge_tolerance must lie between 0 and 1"),
        ({"noise_per_m": -1.0, "flying": "keep"}, "noise_per_m must be 0 or more in 1/m"),
        ({"max_grazing_deg": 91}, "max_grazing_deg must lie between 0 and 90 degrees, got 91; try 85"),
        ({"max_grazing_deg": "85"}, "max_grazing_deg must lie between 0 and 90 degrees"),
        ({"min_island_px": -1}, "min_island_px must be a whole number of pixels or 0, got -1"),
        ({"min_island_px": 1.5}, "min_island_px must be a whole number of pixels"),
    ],
)
def test_refuses_options_out_of_range(options, sentence):
    with pytest.raises(InputError, match=sentence):
        mesh(seen(room_scene(), (16, 12)), **options)


def test_a_relative_map_is_refused_with_advice():
    given = seen(room_scene(), (16, 12))
    relative = RGBD(given.image, DepthMap(given.depth.values, "relative"), given.camera)
    with pytest.raises(NeedsMetricError, match=r"mesh\(\) needs metric depth.*assume_range"):
        mesh(relative)
