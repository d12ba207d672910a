"""Equations of references, each against the exact depth of an analytic scene."""

import contextlib
import math

import numpy as np
import pytest

from depth3d.calibrate.from_references import equations_from
from depth3d.calibrate.references import (
    Anchor,
    CameraHeight,
    DepthSamples,
    FarPoint,
    KnownLength,
    KnownSize,
    RangeAnchor,
)
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import CameraError, InputError
from depth3d.synthetic import default_camera, plane_scene, render_depth, room_scene, step_scene

S, T = 0.05, 0.27  # 1/z = S d + T of the relative maps here
SIZE = (320, 240)


@pytest.fixture(scope="module")
def camera():
    return default_camera(*SIZE)


@pytest.fixture(scope="module")
def wall(camera):
    """A slanted wall: z of every pixel."""
    return render_depth(plane_scene((0.3, 0.2, 1.0), 2.0), camera)


def relative(depth):
    return DepthMap(((1 / depth.values.astype(np.float64) - T) / S).astype(np.float32), "relative")


def inverse_depth(depth, value):
    """1/z of values of a map by the true law."""
    return 1 / value if depth.is_metric else S * value + T


def point(camera, depth, u, v):
    """The exact point of the wall at a pixel."""
    ray = camera.rays(np.array([u, v]))
    n = np.array([0.3, 0.2, 1.0])
    return ray * (2.0 * np.linalg.norm(n) / (n @ ray))


KINDS = pytest.mark.parametrize("as_kind", [relative, lambda depth: depth], ids=["relative", "metric"])


@KINDS
def test_every_reference_holds_for_the_true_law(as_kind, camera, wall):
    depth = as_kind(wall)
    a, b, c = (point(camera, wall, *uv) for uv in ((40.3, 30.9), (250.0, 200.5), (160.0, 100.0)))
    references = [
        Anchor(40.3, 30.9, a[2]),
        RangeAnchor(250.0, 200.5, np.linalg.norm(b)),
        KnownLength(40.3, 30.9, 250.0, 200.5, np.linalg.norm(a - b)),
        DepthSamples(np.array([[40.3, 30.9], [160.0, 100.0]]), np.array([a[2], c[2]])),
    ]
    equations = equations_from(depth, references, camera)
    rows = equations.observations
    np.testing.assert_array_equal(rows.reference, [0, 1, 3, 3])
    np.testing.assert_allclose(rows.inverse_depth, [1 / a[2], 1 / b[2], 1 / a[2], 1 / c[2]])
    np.testing.assert_allclose(inverse_depth(depth, rows.value), rows.inverse_depth, rtol=1e-5)
    (length,) = equations.constraints
    assert length.reference == 2
    assert abs(length.log_residual(inverse_depth(depth, length.value))) < 1e-5
    # Twice as near, half as long; and any number of hypotheses at once.
    q = inverse_depth(depth, length.value) * np.array([[[1.0], [2.0]], [[0.5], [4.0]]])
    np.testing.assert_allclose(length.log_residual(q), -np.log([[1, 2], [0.5, 4]]), atol=1e-5)
    assert equations.notes == ()


def test_places_run_from_edge_to_edge_and_the_map_may_be_smaller_than_the_photo(camera, wall):
    small = relative(render_depth(plane_scene((0.3, 0.2, 1.0), 2.0), camera.resized(80, 60)))
    uv = [(0.5, 0.5), (160, 120), (319.5, 60)]
    references = [Anchor(u, v, point(camera, wall, u, v)[2]) for u, v in uv]
    rows = equations_from(small, references, camera).observations
    np.testing.assert_allclose(inverse_depth(small, rows.value), rows.inverse_depth, rtol=1e-5)
    np.testing.assert_allclose(rows.place, [[1 / 320 - 1, 1 / 240 - 1], [0, 0], [1 - 1 / 320, -0.5]])


def test_without_a_camera_the_photo_has_the_size_of_the_map(wall):
    rows = equations_from(relative(wall), [Anchor(160, 120, 2.0)], None).observations
    np.testing.assert_allclose(rows.place, [[0, 0]])


@pytest.mark.parametrize(("fov_x_deg", "share"), [(55, 0.838), (70, 0.752), (90, 0.625)])
def test_a_range_is_longer_than_z_at_the_corner(fov_x_deg, share):
    """Half the diagonal of a 4:3 picture is 1.25 tan(fov / 2) focal lengths."""
    camera = default_camera(640, 480, fov_x_deg)
    exact = 1 / math.sqrt(1 + (1.25 * math.tan(math.radians(fov_x_deg) / 2)) ** 2)
    assert exact == pytest.approx(share, abs=5e-4)
    depth = DepthMap(np.ones((48, 64), np.float32), "relative")
    rows = equations_from(depth, [RangeAnchor(640, 480, 3.0, 0.03)], camera).observations
    np.testing.assert_allclose(1 / rows.inverse_depth, [3.0 * exact])
    np.testing.assert_allclose(rows.sigma, 0.01 * rows.inverse_depth)


def test_a_range_honours_distortion():
    camera = Camera(300, 300, 160, 120, 320, 240, distortion=(-0.3, 0.1))
    uv = camera.project(np.array([0.9, -0.5, 2.0]))
    depth = DepthMap(np.ones((240, 320), np.float32), "relative")
    rows = equations_from(depth, [RangeAnchor(*uv, math.hypot(0.9, 0.5, 2.0))], camera).observations
    np.testing.assert_allclose(1 / rows.inverse_depth, [2.0], rtol=1e-6)


def test_an_uncertain_camera_blurs_a_range_as_two_cameras_would(camera):
    e, depth = 0.05, DepthMap(np.ones((24, 32), np.float32), "relative")
    unsure = Camera(camera.fx, camera.fy, 160, 120, *SIZE, source="assumed", sigma_rel=e)
    low, high = (Camera(camera.fx * f, camera.fy * f, 160, 120, *SIZE) for f in (1 - e, 1 + e))
    tape = RangeAnchor(310, 230, 3.0, 1e-6)
    z = [1 / equations_from(depth, [tape], k).observations.inverse_depth[0] for k in (low, high)]
    equations = equations_from(depth, [tape], unsure)
    rows = equations.observations
    np.testing.assert_allclose(rows.sigma / rows.inverse_depth, (z[1] - z[0]) / sum(z), rtol=0.01)
    assert "--fov-x-deg" in equations.notes[0]


def test_what_is_far_is_evenly_likely_up_to_infinity():
    depth = DepthMap(np.zeros((24, 32), np.float32), "relative")
    rows = equations_from(depth, [FarPoint(3, 4, 50.0)], None).observations
    draws = np.random.default_rng(0).uniform(0, 1 / 50, 100_000)
    np.testing.assert_allclose(rows.inverse_depth, draws.mean(), rtol=0.01)
    np.testing.assert_allclose(rows.sigma, draws.std(), rtol=0.01)


def test_stated_and_default_errors_become_errors_of_inverse_depth():
    depth = DepthMap(np.ones((24, 32), np.float32), "relative")
    rows = equations_from(depth, [Anchor(1, 2, 4.0), Anchor(1, 2, 4.0, 0.4)], None).observations
    np.testing.assert_allclose(rows.sigma, [0.02 / 4, 0.1 / 4])  # sigma_q = sigma_z / z^2
    np.testing.assert_array_equal(rows.share, [1, 1])


@pytest.mark.parametrize(
    ("error", "sigma", "wanted"),
    [
        ("relative", 0.1, [0.1 / 2, 0.1 / 8]),
        ("constant", 0.02, [0.02 / 4, 0.02 / 64]),
        ("stereo", 0.003, [0.003] * 2),
    ],
)
def test_error_models_of_samples(error, sigma, wanted):
    depth = DepthMap(np.ones((24, 32), np.float32), "relative")
    samples = DepthSamples([[3, 4], [20, 9]], [2.0, 8.0], error, sigma, independent=0.5)
    rows = equations_from(depth, [samples], None).observations
    np.testing.assert_allclose(rows.sigma, wanted)
    np.testing.assert_allclose(rows.share, 0.25)  # together half a measurement
    assert (
        equations_from(depth, [DepthSamples([[3, 4]], [2.0], independent=9)], None).observations.share[0] == 1
    )


def test_samples_outside_unknown_and_on_edges_are_left_out_and_counted(camera):
    values = render_depth(step_scene(1.0, 3.0), camera).values.copy()
    values[:, 159] = 1 / (0.5 / 1 + 0.5 / 3)  # a pixel between near and far in 1/z, as networks have it
    values[:10] = np.nan
    uv = np.array([[100, 100], [159.5, 100], [250, 100], [100, 5], [400, 100], [-1, 3.0]])
    samples = DepthSamples(uv, np.array([1, 1, 3, 1, 1, 1.0]), label="lidar")
    for depth in (DepthMap(values, "metric"), relative(DepthMap(values, "metric"))):
        equations = equations_from(depth, [samples], camera)
        np.testing.assert_allclose(inverse_depth(depth, equations.observations.value), [1, 1 / 3], rtol=1e-5)
        notes = "\n".join(equations.notes)
        assert "2 of 6 pixels of lidar lie outside" in notes
        assert "1 of 6 pixels of lidar lie where the map knows nothing" in notes
        assert "1 of 6 pixels of lidar lie on the edge" in notes
    with pytest.raises(InputError, match="no pixel of lidar"):
        equations_from(depth, [DepthSamples([[159.5, 100]], [1.0], label="lidar")], camera)


@KINDS
def test_a_thing_of_known_size_before_a_wall(as_kind):
    """A crate's face, square to the camera, 1 m tall and 0.7 m wide at z = 2 m, before a wall at 4 m."""
    camera = default_camera(640, 480)
    z = np.full((480, 640), 4.0, np.float32)
    left, top = camera.project(np.array([-0.5, -0.4, 2.0]))
    right, bottom = camera.project(np.array([0.2, 0.6, 2.0]))
    z[round(top) : round(bottom), round(left) : round(right)] = 2.0
    depth = as_kind(DepthMap(z, "metric"))
    box = (left - 3, top, right + 3, bottom)  # drawn with some wall around
    tall = KnownSize(*box, 1.0, sigma_m=0.05)
    wide = KnownSize(left, top - 3, right, bottom + 3, 0.7, axis="width", sigma_m=0.05)
    rows = equations_from(depth, [tall, wide], camera).observations
    np.testing.assert_allclose(1 / rows.inverse_depth, [2.0, 2.0], rtol=1e-9)
    np.testing.assert_allclose(inverse_depth(depth, rows.value), [0.5, 0.5], rtol=1e-5)
    np.testing.assert_allclose(rows.sigma / rows.inverse_depth, [0.05, 0.05 / 0.7])


@KINDS
@pytest.mark.parametrize("shift_px", [-2.0, 0.0, 2.0])
def test_a_length_that_ends_at_silhouettes_is_read_on_the_thing_in_front(as_kind, shift_px):
    """A board 1 m wide at z = 2, its edges blurred over 3 pixels into a wall at 4 m; clicks miss by 2 px."""
    camera = default_camera(640, 480)
    left, v = camera.project(np.array([-0.5, 0.1, 2.0]))
    right = camera.project(np.array([0.5, 0.1, 2.0]))[0]
    u = np.arange(640) + 0.5
    share = np.clip((u - left) / 3 + 0.5, 0, 1) * np.clip((right - u) / 3 + 0.5, 0, 1)
    q = np.tile(share / 2 + (1 - share) / 4, (480, 1))
    depth = as_kind(DepthMap((1 / q).astype(np.float32), "metric"))
    length = KnownLength(left - shift_px, v, right + shift_px, v, 1.0)
    equations = equations_from(depth, [length], camera)
    (constraint,) = equations.constraints
    np.testing.assert_allclose(inverse_depth(depth, constraint.value), 0.5, rtol=1e-3)
    assert len(equations.notes) == (shift_px >= 0)
    # One end well inside: the other follows it.
    inner = KnownLength(320, v, right + shift_px, v, 0.5)
    (constraint,) = equations_from(depth, [inner], camera).constraints
    np.testing.assert_allclose(inverse_depth(depth, constraint.value), 0.5, rtol=1e-3)


def test_a_length_on_the_wall_that_ends_near_something_in_front_stays_on_the_wall(camera):
    depth = render_depth(step_scene(1.0, 3.0), camera)
    (constraint,) = equations_from(depth, [KnownLength(163, 100, 280, 100, 1.0)], camera).constraints
    np.testing.assert_allclose(constraint.value, 3.0, rtol=1e-5)


def test_sigma_of_a_length_counts_tape_hand_and_camera(wall):
    camera = Camera.from_fov(*SIZE, 60, sigma_rel=0.03)
    length = KnownLength(100, 100, 140, 130, 0.5, 0.01)  # 50 pixels
    (constraint,) = equations_from(relative(wall), [length], camera).constraints
    assert constraint.sigma_log == pytest.approx(math.hypot(0.02, math.sqrt(2) / 50, 0.03))


def test_an_anchor_between_two_surfaces_counts_for_little_and_is_noted():
    q = np.clip((np.arange(320) + 0.5 - 160) / 5 + 0.5, 0, 1)
    depth = DepthMap(np.tile(1 - 0.5 * q, (240, 1)).astype(np.float32), "relative")
    equations = equations_from(depth, [Anchor(160, 100, 1.0)], None)
    assert equations.observations.value_sigma[0] == pytest.approx(0.25, rel=1e-3)
    assert "edge between two surfaces" in equations.notes[0]


@pytest.mark.parametrize(
    ("reference", "with_camera", "advice"),
    [
        (RangeAnchor(1, 2, 3), False, "--fov-x-deg"),
        (KnownLength(1, 2, 30, 4, 1), False, "--fov-x-deg"),
        (KnownSize(1, 2, 30, 40, 1), False, "--fov-x-deg"),
        (Anchor(400, 2, 3), True, "outside the picture of 320x240"),
        (FarPoint(-1, 2), True, "outside the picture"),
        (KnownLength(1, 2, 1, 241, 1), True, "outside the picture"),
        (KnownSize(1, 2, 330, 40, 1), True, "outside the picture"),
        (Anchor(5, 5, 3), True, "knows nothing"),
        (KnownSize(1, 1, 9, 9, 1), True, "knows nothing"),
        ("(1, 2, 3)", True, "is no reference"),
    ],
)
def test_what_cannot_be_used_is_refused_with_advice(reference, with_camera, advice, camera, wall):
    values = wall.values.copy()
    values[:10, :10] = np.nan
    with pytest.raises(InputError, match=advice):
        equations_from(DepthMap(values, "metric"), [reference], camera if with_camera else None)


def test_no_references_and_a_camera_of_another_shape_are_refused(camera, wall):
    with pytest.raises(InputError, match="needs references"):
        equations_from(wall, [], camera)
    with pytest.raises(CameraError, match="another shape"):
        equations_from(wall, [Anchor(1, 2, 3)], camera.rotated_90(1))


def test_fifty_thousand_true_samples_of_a_room_satisfy_the_law():
    camera = default_camera(640, 480)
    truth = render_depth(room_scene(), camera)
    samples = DepthSamples.from_map(truth, camera.size_wh)
    depth = relative(truth)
    rows = equations_from(depth, [samples], camera).observations
    off = np.abs(inverse_depth(depth, rows.value) / rows.inverse_depth - 1)
    assert len(rows) > 0.9 * len(samples.depth_m)
    assert np.quantile(off, 0.95) < 1e-4


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (3, 3), (60, 80)])
@pytest.mark.parametrize("fill", [0.0, 1.0, np.nan])
@pytest.mark.parametrize("kind", ["relative", "metric"])
def test_odd_maps_give_equations_or_advice_and_nothing_else(shape, fill, kind):
    height, width = shape
    camera = Camera(200, 200, width / 2, height / 2, width, height)
    depth = DepthMap(np.full(shape, fill, np.float32), kind)
    for reference in (
        Anchor(width / 2, height / 2, 2),
        FarPoint(width, height),
        KnownLength(0, 0, width, height, 1),
        KnownSize(0, 0, width, height, 1),
        CameraHeight(1.5),
        CameraHeight(1.5, 90),
        DepthSamples([[width / 2, height / 2], [0, 0]], [1.0, 2.0]),
    ):
        unknown = np.isnan(fill) or (kind == "metric" and fill == 0)
        if unknown or isinstance(reference, CameraHeight):
            with contextlib.suppress(InputError):
                equations_from(depth, [reference], camera)
                assert not unknown
        else:
            equations = equations_from(depth, [reference], camera)
            np.testing.assert_allclose(equations.observations.value, fill)
            for constraint in equations.constraints:
                np.testing.assert_allclose(constraint.value, fill)
