"""Flying pixels: real surfaces stay whole, ramps and mixed pixels between surfaces go."""

import numpy as np
import pytest

from depth3d.core.depth import DepthMap
from depth3d.core.resample import resize_depth
from depth3d.errors import InputError, NeedsMetricError
from depth3d.lift.flying_pixels import flying_pixels
from depth3d.lift.unproject import unproject
from depth3d.synthetic.random_scenes import random_scene
from depth3d.synthetic.render import render_depth
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


def upsampled(scene, camera):
    """Depth as a network would give it: a value a patch, scaled up to the picture."""
    small = render_depth(scene, camera.resized(camera.width // PATCH, camera.height // PATCH))
    return resize_depth(small, camera.width, camera.height)


def off_the_surface(scene, camera, depth):
    """Pixels farther than 1 % of z and 5 mm from every surface."""
    points = unproject(depth, camera)[depth.valid].astype(np.float64)
    distance = distance_to_surface(scene, points)
    off = np.zeros(depth.values.shape, dtype=bool)
    off[depth.valid] = (distance > 0.01 * points[:, 2]) & (distance > 0.005)
    return off


def levels(values):
    """A wall of given depths by column, 40 rows high."""
    return DepthMap(np.tile(np.asarray(values, dtype=float), (40, 1)), "metric")


@pytest.mark.parametrize("size", [(56, 42), (322, 238), (644, 476), (1288, 952)])
@pytest.mark.parametrize("pitch_deg", [0.0, 10.0, 40.0])
def test_a_floor_stays_whole(size, pitch_deg):
    scene, camera = floor_scene(pitch_deg=pitch_deg), default_camera(*size)
    exact = render_depth(scene, camera)
    assert exact.valid.sum() > 0.4 * exact.values.size
    assert not flying_pixels(exact).any()
    assert not flying_pixels(upsampled(scene, camera)).any()


@pytest.mark.parametrize(
    "normal", [(0.0, 0.0, 1.0), (0.9, 0.0, 0.43), (-0.97, 0.2, 0.14), (0.5, 0.8, 0.33), (0.0, 0.995, 0.1)]
)
def test_slanted_planes_stay_whole(normal):
    depth = render_depth(plane_scene(normal, 1.5), default_camera(322, 238))
    assert depth.valid.any()
    assert not flying_pixels(depth).any()


def test_a_sphere_before_a_wall_stays_whole():
    camera = default_camera(322, 238)
    assert not flying_pixels(render_depth(sphere_scene(), camera)).any()


@pytest.mark.parametrize(
    ("scene", "most_lost"),
    [
        (step_scene(), 0.0),
        (room_scene(), 0.004),
        (bars_scene(), 0.004),
        (still_life(), 0.008),
    ],
    ids=["step", "room", "bars", "still life"],
)
def test_true_depth_loses_next_to_nothing(scene, most_lost):
    depth = render_depth(scene, default_camera(322, 238))
    assert flying_pixels(depth).sum() <= most_lost * depth.valid.sum()


@pytest.mark.parametrize(
    ("scene", "before", "most_left", "most_lost"),
    [  # share of flying points among all that there are, then among all that stay; good ones lost
        (step_scene(), 0.02, 0.004, 0.0),
        (sphere_scene(), 0.035, 0.004, 0.012),
        (room_scene(), 0.025, 0.009, 0.018),
        (bars_scene(), 0.15, 0.035, 0.003),
        (still_life(), 0.08, 0.032, 0.035),
        (random_scene(1), 0.04, 0.02, 0.02),
    ],
    ids=["step", "sphere", "room", "bars", "still life", "furniture"],
)
def test_upsampled_silhouettes_go(scene, before, most_left, most_lost):
    camera = default_camera(644, 476)
    depth = upsampled(scene, camera)
    flagged, off = flying_pixels(depth), off_the_surface(scene, camera, depth)
    assert off.sum() > before * depth.valid.sum()
    kept = depth.valid & ~flagged
    assert (off & kept).sum() <= most_left * kept.sum()
    assert (flagged & ~off).sum() <= most_lost * (depth.valid & ~off).sum()


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8])
def test_a_mixed_silhouette_pixel_goes_alone(share):
    near, far = 1.0, 2.0
    depth = levels([near] * 30 + [share * near + (1 - share) * far] + [far] * 30)
    found = flying_pixels(depth)
    assert found[5:-5, 30].all()
    found[:, 30] = False
    assert not found.any()


@pytest.mark.parametrize("width", [2, 3, 6])
def test_an_object_between_two_others_stays(width):
    assert not flying_pixels(levels([1.0] * 30 + [1.5] * width + [3.0] * 30)).any()


def test_a_thin_bar_stays():
    assert not flying_pixels(levels([3.0] * 30 + [1.0] + [3.0] * 10 + [1.0] * 2 + [3.0] * 30)).any()


def test_a_face_of_a_box_beside_a_silhouette_stays():
    # Front, a side face seen at 75 degrees, then a jump to the wall: a ramp, but not all the way.
    front, side = np.full(40, 1.0), 1 / np.linspace(1.0, 0.85, 15)
    assert not flying_pixels(levels(np.concatenate([front, side, np.full(60, 2.0)]))).any()


@pytest.mark.parametrize("ramp", [4, 8, 14])
def test_a_ramp_goes_but_for_its_ends(ramp):
    q = np.concatenate([np.full(200, 1.0), np.linspace(1.0, 0.4, ramp + 2)[1:-1], np.full(200, 0.4)])
    found = flying_pixels(levels(1 / q), max_width_px=20)[20]
    between = (q > 0.4 + 0.06 * 0.6) & (q < 1.0 - 0.06 * 0.6)
    np.testing.assert_array_equal(found, between)


@pytest.mark.parametrize("scale", [0.01, 1.0, 250.0])
def test_the_unit_of_depth_does_not_matter(scale):
    depth = upsampled(room_scene(), default_camera(322, 238))
    scaled = DepthMap(depth.values.astype(np.float64) * scale, "metric")
    found, expected = flying_pixels(scaled), flying_pixels(depth)
    # Rounding to float32 may tip a pixel that sits right on a threshold.
    assert expected.sum() > 1000
    assert (found != expected).sum() <= 3


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turning_and_mirroring_the_picture_turns_the_mask(turn):
    depth = upsampled(room_scene(), default_camera(322, 238))
    expected = flying_pixels(depth)
    turned = flying_pixels(DepthMap(np.rot90(depth.values, turn), "metric"))
    mirrored = flying_pixels(DepthMap(depth.values[:, ::-1], "metric"))
    assert expected.any()
    np.testing.assert_array_equal(turned, np.rot90(expected, turn))
    np.testing.assert_array_equal(mirrored, expected[:, ::-1])


def test_blocks_of_rows_join_without_a_seam(monkeypatch):
    depth = upsampled(room_scene(), default_camera(322, 238))
    whole = flying_pixels(depth)
    monkeypatch.setattr("depth3d.lift.flying_pixels._PIXELS_PER_BAND", 1)
    np.testing.assert_array_equal(flying_pixels(depth), whole)


@pytest.mark.parametrize("normal", [(0.0, 0.9, 0.43), (0.4, 0.8, 0.45), (0.9, 0.1, 0.42)])
def test_steps_of_eight_bits_are_no_edges(normal):
    depth = render_depth(plane_scene(normal, 1.0), default_camera(644, 476))
    q = 1 / depth.values
    top = np.nanmax(q)
    rounded = np.rint(255 * q / top) / 255 * top
    quantised = DepthMap(np.where(rounded > 0, 1 / np.maximum(rounded, 1e-9), np.nan), "metric")
    assert len(np.unique(quantised.values[quantised.valid])) > 50
    assert not flying_pixels(quantised).any()


@pytest.mark.parametrize("name", ["tum_rgbd/TUM_depth.png", "redwood_icl_nuim/depth/00000.png"])
def test_sensor_noise_is_no_edge(shared_data, name):
    import cv2

    raw = cv2.imread(str(shared_data / name), cv2.IMREAD_UNCHANGED)
    depth = DepthMap((raw / (5000.0 if "tum" in name else 1000.0)).astype(np.float32), "metric")
    found = flying_pixels(depth)
    assert 0 < found.sum() < 0.04 * depth.valid.sum()
    assert not found[~depth.valid].any()


@pytest.mark.parametrize("values", [[[1.0]], [[np.nan]], [[1.0, 2.0, 3.0]], [[1.0], [5.0]]])
def test_tiny_maps_have_no_evidence(values):
    assert not flying_pixels(DepthMap(np.array(values), "metric")).any()


def test_unknown_and_constant_maps_have_no_edges():
    for value in (np.nan, 2.0):
        assert not flying_pixels(DepthMap(np.full((40, 50), value), "metric")).any()


def test_a_coarser_tolerance_flags_less():
    depth = upsampled(room_scene(), default_camera(322, 238))
    counts = [int(flying_pixels(depth, tolerance=t).sum()) for t in (0.03, 0.1, 0.3)]
    assert counts[0] > counts[1] > counts[2]


@pytest.mark.parametrize("tolerance", [0.0, 1.0, -0.1, np.nan, "0.03", None])
def test_refuses_a_tolerance_that_is_no_share(tolerance):
    with pytest.raises(InputError, match="tolerance must lie between 0 and 1"):
        flying_pixels(levels([1.0, 2.0]), tolerance=tolerance)


@pytest.mark.parametrize("width", [0, -3, np.nan, "wide", np.inf])
def test_refuses_a_width_that_is_no_width(width):
    with pytest.raises(InputError, match="max_width_px must be"):
        flying_pixels(levels([1.0, 2.0]), max_width_px=width)


def test_refuses_relative_depth():
    with pytest.raises(NeedsMetricError, match=r"flying_pixels\(\) needs metric depth"):
        flying_pixels(DepthMap(np.ones((4, 4)), "relative"))


def test_what_may_be_noise_is_no_edge():
    q = np.full((40, 60), 1.0, dtype=np.float32)
    q[:, 30] = 1.3
    q[:, 31:] = 1.6
    depth = DepthMap(1 / q, "metric")
    found = flying_pixels(depth, max_width_px=2)
    assert found[10:-10, 30].all()
    assert found.sum() == found[:, 30].sum()
    assert flying_pixels(depth, max_width_px=2, noise_per_m=0.119)[10:-10, 30].all()  # 0.6 is above 5 x 0.119
    assert not flying_pixels(depth, max_width_px=2, noise_per_m=0.121).any()


@pytest.mark.parametrize("noise", [-1, np.nan, np.inf, "0.1", None])
def test_refuses_noise_that_is_none(noise):
    with pytest.raises(InputError, match="noise_per_m must be 0 or more"):
        flying_pixels(levels([1.0, 2.0]), noise_per_m=noise)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_find_the_same(threads, monkeypatch):
    camera = default_camera(400, 2800, fov_x_deg=40)  # in three bands
    depth = upsampled(still_life(), camera)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = flying_pixels(depth)
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    assert alone.any()
    np.testing.assert_array_equal(flying_pixels(depth), alone)
