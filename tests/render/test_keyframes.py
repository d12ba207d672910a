"""Keyframes, recorded paths and Ken Burns: interpolation against closed forms, and what is refused."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.parallax_files import load_keyframes
from depth3d.render.parallax import timing_of
from depth3d.render.stage import Stage

CAMERA = d3.Camera(800.0, 790.0, 310.0, 245.0, 640, 480)
STAGE = Stage(CAMERA, (417.3, 131.8), 0.4)
D = np.array([(417.3 - 310) / 800, (131.8 - 245) / 790, 1])


def key(time_s, x=0.0, **values):
    return d3.Keyframe(time_s, (x, 0.0, 0.0), **values)


def positions(path, phases, length=1.0):
    return path.views(np.asarray(phases, float), STAGE, length).poses[:, :3, 3]


def test_keys_are_met_and_easings_are_theirs():
    path = d3.Keyframes([key(1, 0, easing="linear"), key(2, 1, easing="sine"), key(5, -1, zoom=2.0)])
    views = path.views(np.array([0, 0.125, 0.25, 0.4375, 0.625, 1]), STAGE, 0.1)
    x = views.poses[:, 0, 3]
    np.testing.assert_allclose(x, [0, 0.05, 0.1, 0.1 - 0.2 * np.sin(np.pi / 8) ** 2, 0, -0.1], atol=1e-12)
    np.testing.assert_allclose(
        views.focal[:, 0], 800 * 2.0 ** np.array([0, 0, 0, np.sin(np.pi / 8) ** 2, 0.5, 1])
    )
    assert path.seconds == 4
    assert path.sized_by_scene


def test_keys_and_poses_come_at_their_times():
    path = d3.Keyframes([key(0), key(1, 1), key(4, 0.5)])
    phases = timing_of(path, 121).phases()
    np.testing.assert_allclose(positions(path, phases[[0, 30, 120]])[:, 0], [0, 1, 0.5], atol=1e-12)
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, 0, 3] = [0, 3, 1, 2, 5]
    recorded = d3.RecordedPath(poses)
    x = positions(recorded, timing_of(recorded, 9).phases())[::2, 0]
    np.testing.assert_allclose(x, poses[:, 0, 3], atol=1e-12)
    assert timing_of(recorded, 9, easing="sine").easing == "sine"


def test_a_spline_has_no_stop_and_carries_lines_and_parabolas():
    line = d3.Keyframes([key(0, 0), key(1, 1), key(3, 3), key(4, 4)])
    inner = np.linspace(0.25, 0.75, 21)
    np.testing.assert_allclose(positions(line, inner)[:, 0], 4 * inner, atol=1e-12)
    parabola = d3.Keyframes([key(t, t * t) for t in range(5)])
    np.testing.assert_allclose(positions(parabola, inner)[:, 0], 16 * inner**2, atol=1e-12)
    phases = np.linspace(0, 1, 4001)
    speed = np.diff(positions(d3.Keyframes([key(0), key(1, 1), key(2, -1), key(4, 2)]), phases)[:, 0])
    assert np.abs(np.diff(speed)).max() < 0.01 * np.abs(speed).max()


def test_closed_keyframes_loop_without_a_seam():
    path = d3.Keyframes([key(0, 0), key(1, 1), key(2, -1), key(3, 0)])
    assert path.closed
    assert not d3.Keyframes([key(0, 0), key(1, 1)]).closed
    way = positions(path, np.arange(3000) / 3000)[:, 0]
    speed = np.diff(np.concatenate([way, way[:1]]))
    assert np.abs(np.diff(np.concatenate([speed, speed[:1]]))).max() < 0.01 * np.abs(speed).max()
    made = list(d3.parallax(flat_scene(), path, frames=3, size=16))
    assert len(made) == 3


def flat_scene():
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)
    return d3.RGBD(
        image, d3.DepthMap(np.full((24, 32), 2.0, np.float32), "metric"), d3.Camera.from_fov(32, 24, 50)
    )


def test_looking_aside_turns_the_camera():
    path = d3.Keyframes([d3.Keyframe(0), d3.Keyframe(1, look_deg=(10, 0, 0), easing="linear")], aim="ahead")
    assert not path.sized_by_scene
    R = path.views(np.array([1.0]), STAGE, 1.0).poses[0, :3, :3]
    c, s = np.cos(np.radians(10)), np.sin(np.radians(10))
    np.testing.assert_allclose(R, [[c, 0, s], [0, 1, 0], [-s, 0, c]], atol=1e-12)
    up = d3.Keyframes([d3.Keyframe(0), d3.Keyframe(1, look_deg=(0, 10, 0))], aim="ahead")
    np.testing.assert_allclose(up.views(np.array([1.0]), STAGE, 1.0).poses[0, :3, 2], (0, -s, c), atol=1e-12)


def test_ahead_is_along_the_ray_to_the_still_point():
    path = d3.Keyframes([d3.Keyframe(0), d3.Keyframe(1, (0, 0, 0.5))], unit="m")
    assert not path.sized_by_scene
    np.testing.assert_allclose(positions(path, [1.0]), [0.5 * D])


def test_recorded_poses_are_relative_to_the_first():
    rng = np.random.default_rng(1)
    first = np.eye(4)
    first[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    first[:3, :3] *= np.linalg.det(first[:3, :3])
    first[:3, 3] = rng.normal(size=3)
    step = np.eye(4)
    c, s = np.cos(0.2), np.sin(0.2)
    step[:3] = [[c, 0, s, 0.3], [0, 1, 0, -0.1], [-s, 0, c, 0.2]]
    path = d3.RecordedPath(np.stack([first, first @ step]))
    views = path.views(np.array([0, 0.5, 1]), STAGE, 1.0)
    np.testing.assert_allclose(views.poses[0], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(views.poses[2], step, atol=1e-12)
    np.testing.assert_allclose(views.poses[1, :3, 3], step[:3, 3] / 2, atol=1e-12)
    assert views.poses[1, 0, 2] == pytest.approx(np.sin(0.1))
    np.testing.assert_array_equal(views.center, np.broadcast_to((310, 245), (3, 2)))
    half = path.views(np.array([1.0]), STAGE, 0.5).poses[0]
    np.testing.assert_allclose(half[:3, 3], step[:3, 3] / 2, atol=1e-12)
    assert len(d3.RecordedPath([np.eye(4)]).views(np.array([0.3]), STAGE, 1.0)) == 1


@pytest.mark.parametrize("depth", [0.0, 1.0])
def test_ken_burns_shows_its_rectangles_in_the_still_plane(depth):
    path = d3.KenBurns((0.0, 0.1, 0.5, 0.5), (0.3, 0.2, 0.6, 0.6), depth=depth)
    views = path.views(np.array([0.0, 1.0]), STAGE, 0.2)
    size = np.array([640, 480])
    for number, (left, top, width, height) in enumerate((path.start, path.end)):
        corners = np.array([(left, top), (left + width, top + height)]) * size
        seen = views.project(CAMERA, corners, np.full(2, STAGE.inverse_depth))[number]
        np.testing.assert_allclose(seen, [(0, 0), size], atol=1e-9)
    assert (views.poses[:, :3, 3].any()) == bool(depth)
    # One point of the photo stays where it is all the way.
    between = path.views(np.linspace(0, 1, 9), STAGE, 0.0)
    a, b = views.project(CAMERA, np.array([(0.0, 0), (640, 480)]), np.full(2, 0.4))
    fixed = np.array([(0.0, 0)]) + np.array([640, 480]) * (b[0] - a[0]) / ((b[0] - a[0]) - (b[1] - a[1]))
    seen = between.project(CAMERA, fixed, np.array([0.4]))[:, 0]
    np.testing.assert_allclose(seen, np.broadcast_to(seen[0], seen.shape), atol=1e-6)


def test_ken_burns_by_itself_goes_to_the_still_point_and_stays_in_the_photo():
    views = d3.KenBurns().views(np.array([0.0, 1.0]), STAGE, 0.0)
    seen = views.project(CAMERA, np.array([(0.0, 0), (640, 480)]), np.full(2, 0.4))
    np.testing.assert_allclose(seen[0], [(0, 0), (640, 480)], atol=1e-9)
    assert (seen[1, 0] <= 1e-9).all()
    assert (seen[1, 1] >= np.array([640, 480]) - 1e-9).all()
    np.testing.assert_allclose(seen[1, 1] - seen[1, 0], np.array([640, 480]) / 0.75)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (f'"zoom": 1{"0" * 400}', r"keys\[0\].zoom must be a number, got 1000"),
        (f'"position": [0, -1{"0" * 400}, 0]', r"keys\[0\].position must be 3 numbers"),
    ],
)
def test_integers_too_large_for_floats_are_refused(tmp_path, field, says):
    (tmp_path / "k.json").write_text(f'{{"keys": [{{"time_s": 0, {field}}}, {{"time_s": 1}}]}}')
    with pytest.raises(d3.Depth3DError, match=says) as caught:
        load_keyframes(tmp_path / "k.json")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: d3.Keyframes([key(0)]), "two or more keys"),
        (lambda: d3.Keyframes([key(1), key(1)]), "whose times increase"),
        (lambda: d3.Keyframes([key(-1e308), key(1e308)]), "a finite span of time"),
        (lambda: d3.Keyframes([key(0), key(1)], unit="cm"), "unit must be auto or m"),
        (lambda: d3.Keyframes([key(0), key(1)], aim="away"), "aim must be one of"),
        (lambda: d3.Keyframe(0, (1, 2)), "position must be three numbers"),
        (lambda: d3.Keyframe(0, look_deg=(90, 0, 0)), "within 80 degrees"),
        (lambda: d3.Keyframe(0, zoom=0), "zoom must lie in"),
        (lambda: d3.Keyframe(0, easing="bouncy"), "easing must be one of"),
        (lambda: d3.Keyframe(float("nan")), "time_s must be seconds"),
        (lambda: d3.RecordedPath([]), "needs a pose"),
        (lambda: d3.RecordedPath([2 * np.eye(4)]), "must be a rigid"),
        (lambda: d3.KenBurns((0, 0, 2, 1)), "start must be"),
        (lambda: d3.KenBurns(end=(0.5, 0, 0.6, 0.5)), "end must be"),
        (lambda: d3.KenBurns(depth=-1), "depth must lie in"),
    ],
)  # fmt: skip
def test_bad_paths_are_refused(make, says):
    with pytest.raises(d3.Depth3DError, match=says):
        make()
