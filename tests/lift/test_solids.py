"""Solids: closed in files and in memory, as large as asked for, with the volume of closed forms."""

import math

import numpy as np
import pytest
import trimesh

import depth3d as d3
from depth3d.errors import InputError, NeedsMetricError
from depth3d.lift.solids import solid
from depth3d.synthetic.render import render_depth
from depth3d.synthetic.scenes import (
    default_camera,
    floor_scene,
    plane_scene,
    room_scene,
    sphere_scene,
    step_scene,
)


def scene_of(z, camera=None, image=None):
    depth = z if isinstance(z, d3.DepthMap) else d3.DepthMap(np.asarray(z, np.float32), "metric")
    camera = camera or default_camera(*depth.size_wh)
    v, u = np.mgrid[: depth.height, : depth.width]
    image = np.stack([u * 3, v * 5, u + v], axis=-1).astype(np.uint8) if image is None else image
    return d3.RGBD(image, depth, camera)


def seen(scene, size=(56, 42)):
    camera = default_camera(*size)
    return scene_of(render_depth(scene, camera), camera)


def assert_printable(mesh):
    """Closed for trimesh, also when a reader joins vertices by place."""
    for part in (
        trimesh.Trimesh(mesh.vertices, mesh.faces, process=False),
        trimesh.Trimesh(
            mesh.vertices[mesh.faces].reshape(-1, 3), np.arange(3 * len(mesh.faces)).reshape(-1, 3)
        ),
    ):
        assert part.is_watertight
        assert part.is_winding_consistent
        assert part.volume > 0
        assert len(part.faces) == len(mesh.faces)
        assert (part.area_faces > 0).all()
    assert len(part.vertices) == len(mesh.vertices)
    return part


def extent_mm(mesh):
    return 1000 * (mesh.vertices.max(axis=0) - mesh.vertices.min(axis=0))


def crossings(triangles, rays):
    """How many triangles each ray from the origin goes through: by signs of volumes, without any search."""
    a, b, c = triangles.astype(np.float64).transpose(1, 0, 2)
    sides = np.stack([rays @ np.cross(p, q).T for p, q in ((a, b), (b, c), (c, a))])
    return ((sides > 0).all(axis=0) | (sides < 0).all(axis=0)).sum(axis=1)


def pyramid(points):
    """Volume between the origin and a flat four-sided face, its corners in order."""
    a, b, c, d = points
    return abs(np.dot(a, np.cross(b, c)) + np.dot(a, np.cross(c, d))) / 6


@pytest.mark.parametrize("normal", [(0, 0, 1), (0.2, 0.3, 0.9), (-0.5, 0.1, 0.7)])
@pytest.mark.parametrize("max_error_px", [None, 0.01])
def test_a_plane_is_a_pyramid_less_its_tip(normal, max_error_px):
    given = seen(plane_scene(normal, 1.5))
    made = solid(given, base_mm=70, max_error_px=max_error_px)
    corners = given.camera.rays([[0.5, 0.5], [55.5, 0.5], [55.5, 41.5], [0.5, 41.5]])
    n = np.array(normal) / np.linalg.norm(normal)
    front = 1.5 * corners / (corners @ n)[:, None]
    back = corners * (front[:, 2].max() + 0.07)
    expected = pyramid(back) - pyramid(front)
    assert assert_printable(made).volume == pytest.approx(expected, rel=1e-5)
    # Straight lines of sight: the back is the outline seen from the camera, as far as the base says.
    np.testing.assert_allclose(extent_mm(made)[:2], 1000 * np.ptp(back[:, :2], axis=0), rtol=1e-5)
    assert made.vertices[:, 2].max() == 0
    np.testing.assert_allclose(made.vertices[:, 2].min(), front[:, 2].min() - back[0, 2], rtol=1e-5)


@pytest.mark.parametrize(
    "scene",
    [step_scene(), sphere_scene(), room_scene(), floor_scene()],
    ids=["step", "ball", "room", "floor"],
)
@pytest.mark.parametrize("limits", [{}, {"max_faces": 1500}, {"max_error_px": 0.5}, {"stride": 3}])
def test_scenes_are_closed_and_of_the_size_asked_for(scene, limits):
    made = solid(seen(scene), width_mm=120, depth_mm=35, depth_range_m=(0, 20), **limits)
    assert_printable(made)
    assert len(made.faces) <= limits.get("max_faces", math.inf)
    width, _, depth = extent_mm(made)
    assert width == pytest.approx(120, rel=1e-5)
    assert depth == pytest.approx(35, rel=1e-5)
    assert np.abs(made.vertices[:, :2].min(axis=0) + made.vertices[:, :2].max(axis=0)).max() < 1e-7


def test_the_three_ways_to_scale_agree():
    given = seen(sphere_scene())
    natural = solid(given, base_mm=10)
    by_width = solid(given, width_mm=80, base_mm=2)
    by_depth = solid(given, depth_mm=float(extent_mm(by_width)[2]), base_mm=2)
    np.testing.assert_allclose(by_depth.vertices, by_width.vertices, atol=1e-7)
    # The base is what it should be: the farthest point of the front before the flat back.
    for made, base_mm in ((natural, 10), (by_width, 2), (by_depth, 2)):
        z = np.unique(np.round(1000 * made.vertices[:, 2], 4))
        assert z[-1] == 0
        assert z[-2] == pytest.approx(-base_mm, rel=1e-3)
    np.testing.assert_allclose(  # without scaling the front is where it was
        natural.vertices[:, 2].min(), given.depth.values.min() - given.depth.values.max() - 0.01, rtol=1e-5
    )


def test_silhouettes_are_joined_and_lie_on_lines_of_sight():
    made = solid(seen(step_scene(1.0, 3.0)), base_mm=100, min_island_px=0)
    eye = made.vertices + np.array([0, 0, 3.1])
    z = eye[made.faces][..., 2]
    across = (np.abs(z - 1) < 1e-4).any(axis=1) & (np.abs(z - 3) < 1e-4).any(axis=1)
    # One column of squares joins near and far, and a triangle of the wall at either end.
    assert across.sum() == 2 * 41 + 2
    assert assert_printable(made).euler_number == 2


def test_unknown_and_out_of_range_pixels_leave_holes_and_tiny_ones_are_filled():
    z = np.full((60, 80), 2.0)
    z[20:35, 30:50] = np.nan
    z[5:15, 5:15] = 9.0
    z[50, 70] = np.nan
    z += 0.003 * np.arange(80)
    made = solid(scene_of(z), depth_range_m=(1, 5), min_island_px=2, flying="keep")
    part = assert_printable(made)
    assert part.euler_number == 2 - 2 * 2
    speck = solid(scene_of(z), depth_range_m=(1, 5), min_island_px=0, flying="keep")
    assert assert_printable(speck).euler_number == 2 - 2 * 3
    # All of the picture's squares, less those that touch a pixel of the two large holes.
    far = made.vertices[:, 2].max()
    back = (np.abs(made.vertices[made.faces][..., 2] - far) < 1e-6).all(axis=1)
    camera, z_back = default_camera(80, 60), float(np.nanmax(z[z < 5])) + 0.002
    squares = 79 * 59 - 16 * 21 - 11 * 11
    area = trimesh.Trimesh(made.vertices, made.faces[back], process=False).area
    assert area == pytest.approx(squares * z_back**2 / (camera.fx * camera.fy), rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_ragged_outlines_survive_files(seed, tmp_path):
    draw = np.random.default_rng(seed)
    z = 1 + draw.random((30, 40))
    z[draw.random((30, 40)) < 0.12] = np.nan
    made = solid(scene_of(z), width_mm=50, min_island_px=0)
    assert_printable(made)
    d3.save(made, tmp_path / "m.3mf")
    assert_printable(d3.load_mesh(tmp_path / "m.3mf"))
    for suffix in (".stl", ".ply", ".glb"):
        d3.save(made, tmp_path / f"m{suffix}")
        (part,) = trimesh.load_scene(tmp_path / f"m{suffix}", process=False).geometry.values()
        part = trimesh.Trimesh(part.vertices, part.faces)
        assert part.is_watertight, suffix
        assert part.is_winding_consistent
        assert part.volume > 0
        assert len(part.faces) == len(made.faces)
    (stl,) = trimesh.load_scene(tmp_path / "m.stl").geometry.values()
    assert stl.bounds[0][2] == 0  # it lies on its back, and looks up
    assert np.ptp(stl.bounds[:, 0]) == pytest.approx(50, rel=1e-5)


def test_open3d_agrees(tmp_path):
    o3d = pytest.importorskip("open3d")

    z = 1 + np.random.default_rng(5).random((12, 16))
    z[5:7, 6:9] = np.nan
    made = solid(scene_of(z), width_mm=50, min_island_px=0, flying="keep")
    d3.save(made, tmp_path / "m.ply")
    read = o3d.io.read_triangle_mesh(str(tmp_path / "m.ply"))
    assert len(read.triangles) == len(made.faces)
    assert read.is_edge_manifold(allow_boundary_edges=False)
    assert read.is_vertex_manifold()
    assert read.is_orientable()
    # It takes some triangles of one plane that lie apart for crossing: the back's, and those of one side.
    crossing = np.asarray(read.get_self_intersecting_triangles()).reshape(-1, 2)
    corners = np.asarray(read.vertices)[np.asarray(read.triangles)]
    for pair in corners[crossing]:
        normal = np.cross(pair[0, 1] - pair[0, 0], pair[0, 2] - pair[0, 0])
        normal /= np.linalg.norm(normal)
        assert np.abs((pair.reshape(6, 3) - pair[0, 0]) @ normal).max() < 1e-6


def test_every_line_of_sight_enters_the_body_once():
    z = 1 + np.random.default_rng(6).random((12, 16))
    z[5:7, 6:9] = np.nan
    given = scene_of(z)
    made = solid(given, base_mm=50, min_island_px=0, flying="keep")
    z_back = float(np.nanmax(given.depth.values)) + 0.05
    eye = made.vertices + np.array([0, 0, z_back])
    uv = np.random.default_rng(7).uniform([0.6, 0.6], [15.4, 11.4], (400, 2))
    rays = given.camera.rays(uv)
    counts = crossings(eye[made.faces], rays)
    inside_hole = (np.abs(uv[:, 0] - 7.5) < 2) & (np.abs(uv[:, 1] - 6) < 1.5)
    assert (counts[inside_hole] == 0).all()
    assert np.isin(counts, (0, 2)).all()
    assert (counts[~inside_hole] == 2).mean() > 0.9


def test_a_lens_with_distortion():
    camera = d3.Camera(60, 60, 28, 21, 56, 42, distortion=(-0.2, 0.03))
    made = solid(scene_of(np.full((42, 56), 2.0), camera), base_mm=20, max_error_px=0.1)
    part = assert_printable(made)
    corner = camera.rays([[0.5, 0.5]])[0]
    assert part.bounds[0][0] < 2.0 * corner[0]
    assert part.volume == pytest.approx(part.area / 2 * 0.02, rel=0.05)


def test_paint():
    given = seen(sphere_scene())
    textured, colored, bare = (solid(given, paint=paint) for paint in ("texture", "colors", "none"))
    assert textured.texture is given.image
    pixels = (textured.uv * given.size_wh).astype(int)
    np.testing.assert_array_equal(colored.colors, given.image[pixels[:, 1], pixels[:, 0]])
    assert bare.uv is bare.colors is bare.texture is None
    assert textured.normals is None


def test_too_few_faces_take_a_larger_stride():
    given = seen(sphere_scene())
    made = solid(given, max_faces=200)
    assert_printable(made)
    assert len(made.faces) <= 200
    assert len(solid(scene_of(np.full((2, 2), 2.0)), max_faces=12).faces) == 12


@pytest.mark.parametrize(
    ("z", "options", "sentence"),
    [
        (np.full((4, 4), np.nan), {}, "no body is left.*four neighbouring known pixels"),
        (np.full((1, 9), 2.0), {}, "no body is left"),
        (np.full((9, 1), 2.0), {}, "no body is left"),
        (np.full((4, 4), 2.0), {"depth_range_m": (3, 4)}, "no body is left.*widen depth_range_m"),
        (np.full((9, 9), 2.0), {"depth_mm": 10}, "leave it out, and set the thickness with base_mm"),
        (np.full((9, 9), 2.0), {"depth_mm": 2}, "depth_mm must be more than base_mm"),
        (np.full((9, 9), 2.0), {"width_mm": 0}, "width_mm must be positive millimetres, got 0"),
        (np.full((9, 9), 2.0), {"base_mm": math.nan}, "base_mm must be positive"),
        (np.full((9, 9), 2.0), {"width_mm": 5, "base_mm": 50}, "lower base_mm"),
        (np.full((9, 9), 2.0), {"max_faces": 11}, "at least 12"),
        (np.full((9, 9), 2.0), {"flying": "remove"}, "snap, keep"),
        (np.full((9, 9), 2.0), {"paint": "gold"}, "texture, colors, none"),
        (np.full((9, 9), 2.0), {"min_island_px": -1}, "min_island_px must be"),
    ],
)
def test_what_can_not_be_is_said(z, options, sentence):
    with pytest.raises(InputError, match=sentence):
        solid(scene_of(z), **options)


def test_relative_depth_is_refused():
    with pytest.raises(NeedsMetricError, match="solid\\(\\) needs metric depth"):
        solid(scene_of(d3.DepthMap(np.ones((4, 4), np.float32), "relative")))
