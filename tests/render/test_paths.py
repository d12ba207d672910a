"""Paths against closed forms: what stays still, what keeps its size, what closes."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.render.paths import Path
from depth3d.render.stage import Stage

CAMERA = d3.Camera(800.0, 790.0, 310.0, 245.0, 640, 480)
STAGE = Stage(CAMERA, (417.3, 131.8), 0.4)
SCENE_SIZED = [
    d3.Orbit(),
    d3.Orbit(direction_deg=65, ellipse=0.5),
    d3.Sway(),
    d3.Sway(direction_deg=-30),
    d3.Bob(),
    d3.Circle(),
    d3.Circle(turns=-2),
    d3.FigureEight(),
    d3.Spiral(),
    d3.DollyIn(),
    d3.DollyOut(),
    d3.DollyZoom(),
    d3.DollyZoom("in"),
    d3.Handheld(seed=3),
]
PATHS = [*SCENE_SIZED, d3.Zoom(1.4), d3.Zoom(0.6)]
CLOSED = [path for path in PATHS if path.closed]
PHASES = np.linspace(0, 1, 41)


def names(path):
    return repr(path)


@pytest.mark.parametrize("path", PATHS, ids=names)
@pytest.mark.parametrize("inverse_depth", [0.0, 1e-9, 0.4])
def test_the_still_point_stays_still(path, inverse_depth):
    stage = Stage(CAMERA, STAGE.point, inverse_depth)
    views = path.views(PHASES, stage, 0.3)
    assert isinstance(path, Path)
    seen = views.project(CAMERA, np.array([stage.point]), np.array([inverse_depth]))
    np.testing.assert_allclose(seen[:, 0], np.broadcast_to(stage.point, (41, 2)), rtol=0, atol=1e-9)


@pytest.mark.parametrize("path", PATHS, ids=names)
def test_poses_are_rigid_and_nothing_moves_without_a_length(path):
    views = path.views(PHASES, STAGE, 0.3)
    R = views.poses[:, :3, :3]
    np.testing.assert_allclose(R @ R.transpose(0, 2, 1), np.broadcast_to(np.eye(3), R.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(R), 1, atol=1e-12)
    still = path.views(PHASES, STAGE, 0.0)
    np.testing.assert_array_equal(still.poses, np.broadcast_to(np.eye(4), (41, 4, 4)))
    np.testing.assert_array_equal(still.center, np.broadcast_to((CAMERA.cx, CAMERA.cy), (41, 2)))
    np.testing.assert_array_equal(still.focal, np.broadcast_to((CAMERA.fx, CAMERA.fy), (41, 2)))


@pytest.mark.parametrize("path", CLOSED, ids=names)
def test_closed_paths_come_back_with_the_same_speed(path):
    step = 1e-5
    views = path.views(np.array([0, step, 1 - step, 1]), STAGE, 0.3)
    for values in (views.poses, views.center, views.focal):
        np.testing.assert_allclose(values[3], values[0], atol=1e-12)
        np.testing.assert_allclose(values[1] - values[0], values[3] - values[2], atol=2e-3 * step * 1000)


@pytest.mark.parametrize("path", CLOSED, ids=names)
def test_speed_is_continuous_along_closed_paths(path):
    phases = np.arange(4000) / 4000
    way = path.views(phases, STAGE, 0.3).poses[:, :3, 3]
    speed = np.diff(np.concatenate([way, way[:1]]), axis=0)
    bend = np.diff(np.concatenate([speed, speed[:1]]), axis=0)
    assert np.abs(bend).max() < 0.05 * np.abs(speed).max()


def test_an_orbit_keeps_its_distance_and_looks_at_the_still_point():
    views = d3.Orbit().views(PHASES, STAGE, 0.5)
    still = CAMERA.rays(np.array(STAGE.point)) / STAGE.inverse_depth
    distances = np.linalg.norm(views.poses[:, :3, 3] - still, axis=1)
    np.testing.assert_allclose(distances, np.linalg.norm(still), rtol=1e-12)
    # By turning alone: the principal point stays where it is.
    np.testing.assert_allclose(views.center, np.broadcast_to((CAMERA.cx, CAMERA.cy), (41, 2)), atol=1e-9)
    assert np.ptp(views.poses[:, 0, 3]) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_dolly_zoom_keeps_the_size_of_the_subject(direction):
    views = d3.DollyZoom(direction).views(PHASES, STAGE, 0.9)
    corners = np.array([(300.0, 60), (500, 60), (300, 400), (500, 400)])
    seen = views.project(CAMERA, corners, np.full(4, STAGE.inverse_depth))
    np.testing.assert_allclose(seen, np.broadcast_to(corners, seen.shape), rtol=0, atol=1e-9)
    # f / (z - t) is constant, with the ray's unit in depth.
    t = views.poses[:, 2, 3]
    ratio = views.focal[:, 0] / (1 / STAGE.inverse_depth - t)
    np.testing.assert_allclose(ratio, CAMERA.fx * STAGE.inverse_depth, rtol=1e-12)
    grows = (direction == "in") * 2 - 1
    behind = views.project(CAMERA, corners, np.full(4, 0.1))
    assert np.sign(np.ptp(behind[0, :, 0]) - np.ptp(behind[-1, :, 0])) == grows


def test_a_dolly_magnifies_by_distance():
    views = d3.DollyIn().views(np.array([0.0, 1.0]), STAGE, 1.0)
    pair = np.array([STAGE.point, (STAGE.point[0] + 100, STAGE.point[1])])
    seen = views.project(CAMERA, pair, np.full(2, STAGE.inverse_depth))
    assert np.diff(seen[1, :, 0])[0] == pytest.approx(100 / (1 - STAGE.inverse_depth))
    back = d3.DollyOut().views(np.array([0.0, 1.0]), STAGE, 1.0)
    np.testing.assert_array_equal(back.poses, views.poses[::-1])


def test_a_sway_moves_by_the_shift_of_a_view_camera():
    views = d3.Sway().views(np.array([0.25]), STAGE, 0.1)
    uv = np.array([(100.0, 200.0)])
    for q in (0.0, 0.2, 0.9):
        seen = views.project(CAMERA, uv, np.array([q]))[0, 0]
        np.testing.assert_allclose(seen, (100 - 800 * 0.1 * (q - STAGE.inverse_depth), 200), atol=1e-9)


def test_a_zoom_scales_about_the_still_point():
    views = d3.Zoom(1.5).views(np.array([0.0, 0.5, 1.0]), STAGE, 1.0)
    uv = np.array([(100.0, 200.0), (50.0, 60.0)])
    for view, factor in enumerate((1, 1.5**0.5, 1.5)):
        want = np.array(STAGE.point) + factor * (uv - STAGE.point)
        for q in (0.0, 0.9):
            np.testing.assert_allclose(views.project(CAMERA, uv, np.full(2, q))[view], want, atol=1e-9)
    ends = d3.Zoom(0.5).views(np.array([0.0, 1.0]), STAGE, 1.0).focal[:, 0]
    np.testing.assert_allclose(ends, (1600, 800))


def test_a_hand_is_seeded_and_starts_at_the_photo():
    one, same, other = (d3.Handheld(seed).views(PHASES, STAGE, 0.3) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.poses, same.poses)
    assert np.abs(one.poses - other.poses).max() > 0.05
    np.testing.assert_array_equal(one.poses[0], np.eye(4))
    way = d3.Handheld(0).views(np.arange(512) / 512, Stage(CAMERA, (310.0, 245.0), 0.4), 0.3)
    assert np.linalg.norm(way.poses[:, :3, 3], axis=1).max() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: d3.Orbit(ellipse=2), "ellipse must lie in 0..1"),
        (lambda: d3.Sway(float("nan")), "direction_deg must be a finite number"),
        (lambda: d3.Circle(turns=0), "turns must be a whole number"),
        (lambda: d3.FigureEight(-1), "height must lie in"),
        (lambda: d3.Spiral(1.5), "turns must be a whole number"),
        (lambda: d3.DollyZoom("up"), "direction must be in or out"),
        (lambda: d3.Zoom(0), "factor must lie in"),
        (lambda: d3.Handheld(seed=-1), "seed must be a whole number"),
    ],
)
def test_bad_paths_are_refused(make, says):
    with pytest.raises(d3.Depth3DError, match=says):
        make()
