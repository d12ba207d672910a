"""Mattes: their algebra, exact alpha of ray-traced scenes, what a point selects, what unmixing keeps."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import depth3d as d3
from depth3d.core.color import to_linear
from depth3d.errors import InputError, NeedsMetricError
from depth3d.render.color_lines import follow_colors, matting_laplacian
from depth3d.render.depth_edges import edge_band
from depth3d.synthetic import (
    bars_scene,
    default_camera,
    floor_scene,
    plane_scene,
    random_scene,
    render_depth,
    render_image,
    render_rgbd,
    sphere_scene,
)

SUB = 6
"""Rays a pixel and axis of the true alpha."""


def flat(image, values, kind="relative"):
    values = np.asarray(values, np.float32)
    return d3.RGBD(image, d3.DepthMap(values, kind), d3.Camera.from_fov(values.shape[1], values.shape[0], 60))


def two_halves(seed=0, shape=(40, 60)):
    """A near left half and a far right one, of noisy colours."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 60, (*shape, 3)).astype(np.uint8)
    image[:, : shape[1] // 2, 0] += 180
    values = np.full(shape, 1.0)
    values[:, : shape[1] // 2] = 5
    return flat(image, values)


def reference_laplacian(light, smoothness=1e-6):
    """The matting Laplacian by its definition, window by window."""
    height, width = light.shape[:2]
    total = np.zeros((height * width, height * width))
    for y in range(height):
        for x in range(width):
            rows, cols = range(max(0, y - 1), min(height, y + 2)), range(max(0, x - 1), min(width, x + 2))
            pixels = [r * width + c for r in rows for c in cols]
            colors, count = light.reshape(-1, 3)[pixels].astype(np.float64), len(pixels)
            centred = colors - colors.mean(axis=0)
            inverse = np.linalg.inv(centred.T @ centred / count + smoothness / count * np.eye(3))
            part = np.eye(count) - (1 + centred @ inverse @ centred.T) / count
            total[np.ix_(pixels, pixels)] += part
    return total


def test_the_laplacian_is_the_one_of_its_definition():
    light = np.random.default_rng(0).random((7, 9, 3)).astype(np.float32)
    found = matting_laplacian(light, np.ones((7, 9), np.bool_)).toarray()
    np.testing.assert_allclose(found, reference_laplacian(light), atol=1e-7)
    some = np.zeros((7, 9), np.bool_)
    some[3, 4] = some[0, 8] = True
    rows = matting_laplacian(light, some).toarray()
    np.testing.assert_allclose(rows, reference_laplacian(light)[some.ravel()], atol=1e-7)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_what_is_affine_in_the_colours_is_found_again(seed):
    rng = np.random.default_rng(seed)
    light = rng.random((24, 30, 3)).astype(np.float32)
    truth = (light @ rng.normal(size=3) + rng.normal()).astype(np.float32)
    unknown = np.zeros(truth.shape, np.bool_)
    unknown[6:18, 8:20] = True
    found = follow_colors(light, np.where(unknown, truth.mean(), truth), unknown)
    span = np.clip(truth, truth[~unknown].min(), truth[~unknown].max())
    np.testing.assert_allclose(found, span, atol=0.03 * np.ptp(truth))
    np.testing.assert_array_equal(found[~unknown], truth[~unknown])


def test_large_problems_are_solved_small_and_come_out_alike(monkeypatch):
    scene, camera = sphere_scene(), default_camera(240, 180, 50)
    photo = render_rgbd(scene, camera)
    blurred = cv2.GaussianBlur(1 / photo.depth.values, (0, 0), 2)
    soft = d3.RGBD(photo.image, d3.DepthMap(blurred, "relative"), camera)
    whole = d3.depth_matte(soft, at=(120, 90))
    band = edge_band(blurred, 0.35).mask.sum()
    monkeypatch.setattr("depth3d.render.color_lines._WORKING_UNKNOWN", int(band / 3))
    assert np.abs(d3.depth_matte(soft, at=(120, 90)) - whole).mean() < 0.01


def test_planes_have_no_edges_and_steps_have_them_where_they_are():
    rows, cols = np.mgrid[:80, :120].astype(np.float32)
    assert not edge_band(0.3 * rows + 0.1 * cols).mask.any()
    assert not edge_band(np.full((80, 120), 2.0, np.float32)).mask.any()
    step = np.where(cols < 60, 3.0, 1.0).astype(np.float32)
    band = edge_band(step + 0.001 * rows, 2.0)
    columns = np.flatnonzero(band.mask.any(axis=0))
    assert columns.min() >= 58
    assert columns.max() <= 61
    assert band.mask[:, 59:61].all()
    np.testing.assert_allclose(band.high[:, 59] - band.low[:, 59], 2.0, atol=0.01)
    assert not edge_band(step, 4.0).mask.any()


@pytest.mark.parametrize("kind", ["relative", "metric"])
def test_everything_is_one_and_nothing_is_zero(kind):
    rng = np.random.default_rng(1)
    values = rng.random((30, 40)) + 0.5
    values[:8] = np.nan
    scene = flat(rng.integers(0, 256, (30, 40, 3)).astype(np.uint8), values, kind)
    np.testing.assert_array_equal(d3.depth_matte(scene, nearer_than_percent=100), 1)
    np.testing.assert_array_equal(d3.depth_matte(scene, disparity_range=(-np.inf, np.inf)), 1)
    np.testing.assert_array_equal(d3.depth_matte(scene, disparity_range=(90, 91)), 0)
    if kind == "metric":
        np.testing.assert_array_equal(d3.depth_matte(scene, near_m=0.001), 1)
        np.testing.assert_array_equal(d3.depth_matte(scene, far_m=0.001), 0)


def test_a_range_and_what_is_nearer_and_farther_add_up():
    scene = render_rgbd(random_scene(4), default_camera(120, 90, 60), samples=2)
    q = 1 / scene.depth.values[scene.depth.valid]
    low, high = np.quantile(q, [0.3, 0.8])
    parts = [
        d3.depth_matte(scene, disparity_range=ends) for ends in ((-np.inf, low), (low, high), (high, np.inf))
    ]
    total = sum(parts)
    assert np.abs(total - 1).mean() < 0.01
    whole = d3.depth_matte(scene, far_m=1 / low)
    np.testing.assert_array_equal(whole, d3.depth_matte(scene, disparity_range=(low, np.inf)))


def test_a_floor_is_cut_without_an_edge_and_fades_as_asked():
    scene = render_rgbd(floor_scene(1.5, 20), default_camera(80, 60, 50), samples=1)
    hard = d3.depth_matte(scene, far_m=3.0)
    np.testing.assert_array_equal(hard, (scene.depth.values <= 3.0).astype(np.float32))
    q = 1 / scene.depth.values
    faded = d3.depth_matte(scene, far_m=3.0, fade=0.25)
    expected = np.clip((q - 1 / 3) / (0.25 * (q.max() - q.min())) + 0.5, 0, 1)
    np.testing.assert_allclose(faded, expected, atol=1e-5)


def exact(scene, camera, split_m, samples=16):
    """A photo, its exact depth, and the true share of each pixel that is nearer than a distance."""
    fine = default_camera(SUB * camera.width, SUB * camera.height, camera.fov_x_deg)
    z = np.nan_to_num(render_depth(scene, fine).values, nan=np.inf)
    alpha = (z <= split_m).reshape(camera.height, SUB, camera.width, SUB).mean(axis=(1, 3))
    photo = d3.RGBD(render_image(scene, camera, samples=samples), render_depth(scene, camera), camera)
    return photo, alpha


def errors_at_edges(matte, alpha):
    edges = cv2.dilate(((alpha > 0) & (alpha < 1)).astype(np.uint8), np.ones((13, 13))) > 0
    return np.abs(matte - alpha)[edges].mean()


@pytest.mark.parametrize(
    ("scene", "split_m", "better_than_hard"),
    [(sphere_scene(), 3.0, 0.7), (bars_scene(), 2.2, 0.8), (random_scene(8), 2.5, 0.9)],
    ids=["sphere", "bars", "room"],
)
def test_alpha_of_exact_depth_beats_the_hard_mask(scene, split_m, better_than_hard):
    photo, alpha = exact(scene, default_camera(200, 150, 50), split_m)
    hard = np.nan_to_num(photo.depth.values, nan=np.inf) <= split_m
    error = errors_at_edges(d3.depth_matte(photo, far_m=split_m), alpha)
    assert error < better_than_hard * errors_at_edges(hard, alpha)
    assert error < 0.04  # of the room, whose floor is cut where nothing ends, most is that cut


def test_alpha_of_blurred_depth_follows_the_photo():
    photo, alpha = exact(sphere_scene(), default_camera(200, 150, 50), 3.0)
    blurred = cv2.GaussianBlur(1 / photo.depth.values, (0, 0), 2)
    soft = d3.RGBD(photo.image, d3.DepthMap(blurred, "relative"), photo.camera)
    error = errors_at_edges(d3.depth_matte(soft, disparity_range=(1 / 3, np.inf)), alpha)
    assert error < 0.4 * errors_at_edges(blurred >= 1 / 3, alpha)
    assert error < 0.03


def test_a_point_selects_the_thing_though_the_floor_goes_on():
    # A floor, a post on it before a far wall, and another one farther off.
    rows, cols = np.mgrid[:120, :160]
    q = np.where(rows > 60, 1 + 4 * (rows - 60) / 60, 0.5)
    post = (np.abs(cols - 50) < 10) & (rows > 20) & (rows < 95)
    other = (np.abs(cols - 120) < 8) & (rows > 40) & (rows < 66)
    q = np.where(post, 3.3, np.where(other, 1.4, q))
    scene = flat(np.full((120, 160, 3), 90, np.uint8), q)
    matte = d3.depth_matte(scene, at=(50, 50))
    assert matte[20:95, 42:58][1:-1].mean() > 0.95
    assert matte[:55, 65:].max() < 0.5  # what is behind the gap is not
    farther = d3.depth_matte(scene, at=(120, 52))
    assert farther[43:64, 114:126].mean() > 0.95
    assert farther[25:90, 44:56].mean() > 0.95  # what is nearer is kept too ...
    assert farther[:38].max(initial=0, where=~post[:38]) < 0.5
    alone = two_halves()
    assert d3.depth_matte(alone, at=(10, 20))[:, :25].min() > 0.99
    assert d3.depth_matte(alone, at=(10, 20))[:, 35:].max() < 0.01


def test_the_unit_of_a_relative_map_does_not_matter():
    photo = render_rgbd(sphere_scene(), default_camera(120, 90, 60), samples=4)
    q = cv2.GaussianBlur(np.nan_to_num(1 / photo.depth.values), (0, 0), 2)
    one, other = (
        d3.depth_matte(flat(photo.image, scale * q + shift), at=(60, 45))
        for scale, shift in ((1, 0), (4096, 128))
    )
    assert np.abs(one - other).mean() < 0.002
    assert ((one > 0.05) & (one < 0.95)).any()


def test_connected_leaves_other_things_of_the_same_depth_out():
    values = np.ones((60, 90))
    values[20:40, 10:30] = values[20:40, 60:80] = 4
    scene = flat(np.full((60, 90, 3), 128, np.uint8), values)
    both, one = d3.depth_matte(scene, at=(20, 30)), d3.depth_matte(scene, at=(20, 30), connected=True)
    assert both[30, 70] == both[30, 20] == one[30, 20] == 1
    assert one[:, 45:].max() == 0


def test_one_pixel_and_constant_depth():
    single = flat(np.full((1, 1, 3), 7, np.uint8), [[2.0]])
    assert d3.depth_matte(single, at=(0.5, 0.5)).tolist() == [[1.0]]
    even = flat(np.full((9, 9, 3), 7, np.uint8), np.full((9, 9), 2.0))
    np.testing.assert_array_equal(d3.depth_matte(even, at=(4, 4)), 1)
    np.testing.assert_array_equal(d3.depth_matte(even, nearer_than_percent=30), 1)


@pytest.mark.parametrize(
    ("how", "error", "sentence"),
    [
        ({}, InputError, "nothing is selected; give a point"),
        ({"at": (1, 1), "nearer_than_percent": 5}, InputError, "at and nearer_than_percent would each"),
        ({"far_m": 2.0}, NeedsMetricError, "needs metric depth"),
        ({"nearer_than_percent": 0}, InputError, "0..100"),
        ({"disparity_range": (2, 1)}, InputError, "low < high"),
        ({"far_m": -1}, InputError, "far_m must be positive"),
        ({"near_m": 3, "far_m": 2}, InputError, "near_m must be less"),
        ({"at": (100, 1)}, InputError, "outside the picture"),
        ({"at": (1, 1), "fade": 2}, InputError, "fade must lie"),
        ({"nearer_than_percent": 5, "connected": True}, InputError, "--at X,Y"),
    ],
)
def test_bad_selections_are_refused(how, error, sentence):
    with pytest.raises(error, match=sentence):
        d3.depth_matte(two_halves(), **how)


def test_no_known_pixel_is_refused():
    scene = flat(np.zeros((4, 4, 3), np.uint8), np.full((4, 4), np.nan))
    with pytest.raises(InputError, match="knows no pixel"):
        d3.depth_matte(scene, nearer_than_percent=50)


def test_a_plane_is_not_taken_apart():
    scene = render_rgbd(plane_scene((0.3, 0.2, 1.0), 2.0), default_camera(80, 60, 50), samples=1)
    z = scene.depth.values
    split = float(np.median(z))
    np.testing.assert_array_equal(d3.depth_matte(scene, far_m=split), (1 / z >= 1 / split).astype(np.float32))
    assert to_linear(scene.image).shape == (60, 80, 3)
