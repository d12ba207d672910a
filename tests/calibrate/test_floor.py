"""The floor: found among other things, and what the camera's height says about it."""

import math

import numpy as np
import pytest

from depth3d.calibrate.floor import find_floor
from depth3d.calibrate.from_references import equations_from
from depth3d.calibrate.references import CameraHeight
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError
from depth3d.synthetic import default_camera, plane_scene, render_depth, room_scene, step_scene

S, T = 0.05, 0.27
CAMERA = default_camera(320, 240)


def normal_of(pitch_deg, roll_deg):
    """The unit vector that points down, for a camera that looks down by a pitch and is turned by a roll."""
    pitch, roll = math.radians(pitch_deg), math.radians(roll_deg)
    return np.array([math.cos(pitch) * math.sin(roll), math.cos(pitch) * math.cos(roll), math.sin(pitch)])


def floor_depth(height_m, pitch_deg, roll_deg=0.0, camera=CAMERA):
    return render_depth(plane_scene(normal_of(pitch_deg, roll_deg), height_m), camera)


def relative(depth, noise=0.0):
    d = (1 / depth.values.astype(np.float64) - T) / S
    d += np.random.default_rng(0).normal(0, noise, d.shape) if noise else 0
    return DepthMap(d.astype(np.float32), "relative")


def inverse_depth(depth, value):
    return 1 / value if depth.is_metric else S * value + T


KINDS = pytest.mark.parametrize("as_kind", [relative, lambda depth: depth], ids=["relative", "metric"])
POSES = pytest.mark.parametrize(
    ("pitch_deg", "roll_deg"), [(0, 0), (15, 0), (15, 12), (40, -20), (-5, 3), (75, 150), (90, 0)]
)


@KINDS
@POSES
def test_height_and_pitch_give_the_depth_of_the_floor(as_kind, pitch_deg, roll_deg):
    depth = as_kind(floor_depth(1.6, pitch_deg, roll_deg))
    equations = equations_from(depth, [CameraHeight(1.6, pitch_deg)], CAMERA)
    rows = equations.observations
    assert equations.constraints == ()
    np.testing.assert_allclose(inverse_depth(depth, rows.value), rows.inverse_depth, rtol=1e-4)
    assert rows.share.sum() == pytest.approx(2)  # a height and a pitch
    if pitch_deg < 60:  # spread: not all rows say the same
        assert np.ptp(rows.inverse_depth) > 0.15
        assert (np.ptp(rows.place, axis=0) > 0.5).all()


@KINDS
@pytest.mark.parametrize(("pitch_deg", "roll_deg"), [(0, 0), (15, 12), (40, -20)])
def test_the_height_alone_is_one_condition_on_the_plane(as_kind, pitch_deg, roll_deg):
    depth = as_kind(floor_depth(1.6, pitch_deg, roll_deg))
    equations = equations_from(depth, [CameraHeight(1.6, sigma_m=0.08)], CAMERA)
    assert len(equations.observations) == 0
    (constraint,) = equations.constraints
    q = inverse_depth(depth, constraint.value)
    assert abs(constraint.log_residual(q)) < 1e-4
    assert constraint.sigma_log == pytest.approx(0.05)
    # Everything twice as far: the camera twice as high; many hypotheses at once.
    scales = np.array([[0.5], [2.0], [4.0]])
    np.testing.assert_allclose(constraint.log_residual(q * scales), -np.log(scales[:, 0]), atol=1e-4)


def test_height_and_pitch_find_scale_and_shift_of_a_noisy_map():
    depth = relative(floor_depth(1.6, 20, 5), noise=0.05)
    rows = equations_from(depth, [CameraHeight(1.6, 20)], CAMERA).observations
    scale, shift = np.polyfit(rows.value, rows.inverse_depth, 1)
    assert scale == pytest.approx(S, rel=0.01)
    assert shift == pytest.approx(T, abs=0.005)
    np.testing.assert_allclose(rows.value_sigma, 0.05, rtol=0.1)


def test_errors_are_those_of_height_and_pitch():
    """Against a Monte Carlo over both, each with its own sigma; the camera is exact."""
    rng = np.random.default_rng(1)
    depth = floor_depth(1.6, 20)
    rows = equations_from(depth, [CameraHeight(1.6, 20, sigma_m=0.05)], CAMERA).observations
    floor = find_floor(depth, CAMERA)
    uv = (rows.place + 1) / 2 * CAMERA.size_wh
    rays = CAMERA.rays(uv)
    heights, pitches = rng.normal(1.6, 0.05, 4000), rng.normal(20, 1.0, 4000)
    q = np.array([normal_of(p, 0) @ rays.T / h for h, p in zip(heights, pitches, strict=True)])
    np.testing.assert_allclose(rows.sigma, q.std(axis=0), rtol=0.05)
    np.testing.assert_allclose(floor.downwards, [0, 1], atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_the_floor_of_a_furnished_room_is_found(seed):
    camera = default_camera(320, 240, 70)
    truth = render_depth(room_scene(), camera)
    for depth in (truth, relative(truth), relative(truth, noise=0.05)):
        floor = find_floor(depth, camera, seed=seed)
        normal = S * floor.plane + [0, 0, T] if not depth.is_metric else floor.plane
        np.testing.assert_allclose(normal, [0, 1 / 1.4, 0], atol=0.01)  # 1.4 m below the camera
        points = floor.rays * truth.values.ravel()[_index(floor.uv_px, camera)][:, None]
        assert np.mean(np.abs(points[:, 1] - 1.4) < 0.05) > 0.97


def _index(uv_px, camera):
    column, row = np.floor(uv_px).astype(int).T
    return row * camera.width + column


def test_a_box_says_where_to_look():
    z = floor_depth(1.5, 30).values.copy()
    z[:, :200] = 0.8  # a wall in front takes most of the lower half
    z[60:90, :] = 0.7
    depth = DepthMap(z, "metric")
    reference = CameraHeight(1.5, 30, floor_px=(205, 130, 320, 240))
    rows = equations_from(depth, [reference], CAMERA).observations
    np.testing.assert_allclose(1 / rows.value, rows.inverse_depth, rtol=1e-4)


def test_the_same_seed_finds_the_same_floor():
    depth = relative(floor_depth(1.6, 20), noise=0.1)
    first, second = (find_floor(depth, CAMERA, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.plane, second.plane)
    np.testing.assert_array_equal(first.uv_px, second.uv_px)


def noise_only():
    return DepthMap(np.random.default_rng(2).normal(5, 1, (240, 320)).astype(np.float32), "relative")


@pytest.mark.parametrize(
    "depth",
    [
        render_depth(step_scene(1.0, 3.0), CAMERA),  # two walls
        relative(render_depth(plane_scene((0, 0, 1.0), 2.0), CAMERA), noise=0.01),  # a wall ahead
        render_depth(plane_scene((0, -0.3, 1.0), 2.0), CAMERA),  # a wall that leans away at the bottom
        render_depth(plane_scene((1.0, 0.2, 0.5), 2.0), CAMERA),  # a wall to the side
        DepthMap(np.ones((240, 320), np.float32), "relative"),
        DepthMap(np.full((240, 320), np.nan, np.float32), "relative"),
        noise_only(),
    ],
)
def test_no_floor_is_refused_with_advice(depth):
    with pytest.raises(InputError, match="floor_px"):
        find_floor(depth, CAMERA)


def test_a_pitch_of_the_wrong_sign_is_noticed():
    with pytest.raises(InputError, match="above the horizon"):
        equations_from(relative(floor_depth(1.6, 35)), [CameraHeight(1.6, -35)], CAMERA)


def test_a_height_needs_the_camera_and_says_so_when_it_is_assumed():
    depth = relative(floor_depth(1.6, 20))
    with pytest.raises(InputError, match="--fov-x-deg"):
        equations_from(depth, [CameraHeight(1.6)], None)
    assumed = Camera(CAMERA.fx, CAMERA.fy, 160, 120, 320, 240, source="assumed", sigma_rel=0.15)
    notes = equations_from(depth, [CameraHeight(1.6)], assumed).notes
    assert any("assumed camera" in note and "15 %" in note for note in notes)
