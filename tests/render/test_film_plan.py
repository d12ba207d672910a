"""Film plans against brute force: bounds hold at every silhouette, and no frame looks beyond the photo."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.render.film_plan import check_timing, plan_film
from depth3d.render.framing import FORMATS, Framing, frame_size
from depth3d.render.stage import Stage
from depth3d.render.timing import Timing

W, H = 96, 64
CAMERA = d3.Camera(110.0, 110.0, 47.0, 33.0, W, H)
STAGE = Stage(CAMERA, (50.5, 30.5), 0.5)
MOST = 4.0
PATHS = [d3.Orbit(), d3.Orbit(30, 0.7), d3.Sway(), d3.Bob(), d3.Circle(), d3.FigureEight(), d3.Spiral(),
         d3.DollyIn(), d3.DollyOut(), d3.DollyZoom(), d3.DollyZoom("in"), d3.Handheld()]  # fmt: skip


def scene():
    """A sloping floor with three boxes on it, one of them at the border."""
    v, u = np.mgrid[:H, :W]
    q = (0.1 + 0.003 * v + 0.0004 * u).astype(np.float32)
    q[20:44, 40:60] = 0.5
    q[30:50, 5:20] = 0.7
    q[50:, 80:] = 0.9
    return q


def timing_of(path, frames=24):
    return Timing(frames, "loop" if path.closed else "once", "linear" if path.closed else "sine")


def plan(path, frames=24, **options):
    framing = Framing(options.pop("size_wh", (W, H)), (W, H))
    options.setdefault("max_parallax_px", MOST)
    return plan_film(scene(), STAGE, path, timing_of(path, frames), framing, **options)


def in_the_photo(film):
    """Views of a film in pixels of the photo, unframed."""
    return film.path.views(film.timing.phases(), STAGE, film.length)


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_the_bound_holds_at_every_silhouette_and_is_met(path):
    film = plan(path)
    q, views = scene().astype(np.float64), in_the_photo(plan(path))
    jumps = [0.0]
    for (a, b), (du, dv) in (((q[:, :-1], q[:, 1:]), (1.0, 0.5)), ((q[:-1], q[1:]), (0.5, 1.0))):
        v, u = np.mgrid[: a.shape[0], : a.shape[1]]
        uv = np.stack([u + du, v + dv], axis=-1).reshape(-1, 2)
        cut = np.abs(a - b).ravel() > 0.02
        near, far = (views.project(CAMERA, uv[cut], side.ravel()[cut]) for side in (a, b))
        jumps.append(np.linalg.norm(near - far, axis=2).max())
    assert max(jumps) == pytest.approx(film.jump_px, rel=1e-9)
    assert max(jumps) <= MOST * (1 + 1e-9)
    v, u = np.mgrid[:H, :W] + 0.5
    uv = np.stack([u, v], axis=-1).reshape(-1, 2)
    moved = views.project(CAMERA, uv, q.ravel()) - views.project(CAMERA, uv, np.full(q.size, 0.5))
    assert np.linalg.norm(moved, axis=2).max() <= film.motion_px * (1 + 1e-9)
    assert film.motion_px <= 2 * MOST * (1 + 1e-9)
    bounds = (film.jump_px / MOST, film.motion_px / (2 * MOST), film.length * STAGE.inverse_depth / 0.25)
    assert max(bounds) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("path", "size_wh"),
    [(path, (W, H)) for path in (*PATHS, d3.Zoom(1.5), d3.Zoom(0.7), d3.KenBurns())]
    + [(d3.Orbit(), (36, 64)), (d3.DollyZoom(), (64, 64))],
    ids=repr,
)
def test_a_cropped_film_never_looks_beyond_the_photo(path, size_wh):
    film = plan(path, size_wh=size_wh)
    views, q = film.views(), scene().astype(np.float64)
    v, u = np.mgrid[:H, :W] + 0.5
    for column, edge, sign in ((0, 0.0, -1), (W - 1, float(W), 1)):
        seen = views.project(CAMERA, np.stack([np.full(H, edge), v[:, 0]], axis=1), q[:, column])[..., 0]
        limit = 0 if sign < 0 else size_wh[0]
        assert (sign * (seen - limit) >= -1e-6).all()
    for row, edge, sign in ((0, 0.0, -1), (H - 1, float(H), 1)):
        seen = views.project(CAMERA, np.stack([u[0], np.full(W, edge)], axis=1), q[row])[..., 1]
        limit = 0 if sign < 0 else size_wh[1]
        assert (sign * (seen - limit) >= -1e-6).all()
    width, height = film.window.width, film.window.height
    assert width / height == pytest.approx(size_wh[0] / size_wh[1])


def test_a_sway_crops_by_the_closed_form():
    """The border moves by fx * length * (q - q_still), to both sides; the largest share decides."""
    film = plan(d3.Sway(), frames=4)
    q = scene()
    left = (110 * film.length * np.abs(q[:, 0] - 0.5)).max()
    right = (110 * film.length * np.abs(q[:, -1] - 0.5)).max()
    assert film.window.width == pytest.approx(W - left - right, rel=1e-6)
    assert film.window.height == pytest.approx((W - left - right) * H / W, rel=1e-6)
    assert film.window.left == pytest.approx(max(left, (left + right) / 2), rel=1e-6)


def test_a_dolly_in_crops_nothing_and_a_filled_film_never():
    assert plan(d3.DollyIn()).window == (0, 0, W, H)
    film = plan(d3.Orbit(), border="fill")
    assert film.window == (0, 0, W, H)
    assert film.margin_px >= 4
    assert film.scale == (1, 1)


def test_amplitude_multiplies_and_length_is_taken_as_it_is():
    one, half = plan(d3.Sway()), plan(d3.Sway(), amplitude=0.5)
    assert half.length == pytest.approx(one.length / 2)
    assert half.jump_px == pytest.approx(one.jump_px / 2)
    assert plan(d3.Sway(), length=0.01).length == 0.01
    assert plan(d3.Orbit(), amplitude=0).jump_px == 0


def test_directions_of_motion():
    assert np.abs(plan(d3.Sway()).direction) == pytest.approx((1, 0), abs=1e-9)
    assert np.abs(plan(d3.Bob()).direction) == pytest.approx((0, 1), abs=1e-9)
    assert plan(d3.Orbit()).direction[1] == pytest.approx(0, abs=0.02)
    assert plan(d3.Circle()).direction is None
    assert plan(d3.DollyIn()).direction is None


def test_a_flat_scene_is_filmed_from_a_quarter_of_its_distance_at_most():
    flat = np.full((H, W), 0.5, np.float32)
    film = plan_film(flat, STAGE, d3.Sway(), Timing(8), Framing((W, H), (W, H)), max_parallax_px=MOST)
    assert film.length == pytest.approx(0.25 / 0.5)
    assert film.motion_px == 0
    assert film.window == (0, 0, W, H)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"amplitude": -1}, "amplitude must be 0 or more"),
        ({"length": float("inf")}, "length must be 0 or more"),
        ({"border": "mirror"}, "border must be crop or fill"),
        ({"amplitude": 20}, "lower the amplitude"),
        ({"amplitude": 6, "border": "fill"}, "lower the amplitude"),
        ({"length": 5.0}, "the camera would come to a surface"),
        ({"max_parallax_px": 0.0}, "largest parallax must be positive"),
    ],
)
def test_bad_plans_are_refused(options, says):
    with pytest.raises(d3.Depth3DError, match=says):
        plan(d3.DollyIn() if "length" in options else d3.Orbit(), **options)


def test_motion_blur_is_planned():
    """Three frames miss the ends of the way; what is exposed beside them comes nearer."""
    look = d3.FilmLook(shutter_deg=360)
    moments = np.concatenate([look.moments(number) for number in range(3)])
    largest = []
    for bare in (None, moments):
        film = plan(d3.Sway(), 3, moments=bare)
        shown = film.path.views(film.timing.phases(moments), STAGE, film.length)
        largest.append(np.abs(shown.poses[:, 0, 3]).max())
    assert largest[0] > 1.1 * largest[1]
    film = plan(d3.Sway(), 3, moments=moments)
    edge = np.stack([np.zeros(H), np.arange(H) + 0.5], axis=1)
    seen = film.views(moments).project(CAMERA, edge, scene()[:, 0].astype(np.float64))[..., 0]
    assert seen.max() <= 1e-6


def test_what_can_loop():
    with pytest.raises(d3.Depth3DError, match="does not end where it begins"):
        check_timing(d3.DollyIn(), Timing(9))
    with pytest.raises(d3.Depth3DError, match="would jerk"):
        check_timing(d3.Orbit(), Timing(9, easing="in"))
    with pytest.raises(d3.Depth3DError, match="a size of its own"):
        plan(d3.Zoom(), length=1.0)


def test_sizes_of_frames():
    assert frame_size((640, 481)) == (640, 481)
    assert frame_size((4000, 3000)) == (1920, 1440)
    assert frame_size((4000, 3000), size=4000) == (4000, 3000)
    assert frame_size((4000, 3000), size=(300, 401)) == (300, 401)
    assert frame_size((4000, 3000), aspect=9 / 16) == (1080, 1920)
    assert frame_size((960, 720), aspect=9 / 16) == (404, 720)
    assert frame_size((3000, 4000), aspect=1, size=1080) == (1080, 1080)
    for aspect, side in FORMATS.values():
        assert max(frame_size((4000, 3000), size=side, aspect=aspect)) == side
    for bad in ({"size": 1}, {"size": (5, 0)}, {"size": (50, 50), "aspect": 1.0}, {"aspect": 0.0}):
        with pytest.raises(d3.Depth3DError):
            frame_size((40, 30), **bad)


def test_windows_lie_around_the_point_and_inside():
    tall = Framing((90, 160), (400, 300))
    assert tall.window((100, 290)) == pytest.approx((100 - 84.375, 0, 168.75, 300))
    assert tall.window((10, 10)).left == 0
    assert tall.window((395, 10), (20.0, 15.0, 390.0, 285.0)) == pytest.approx((238.125, 15, 151.875, 270))
    assert Framing((400, 300), (400, 300)).window((10, 10)) == (0, 0, 400, 300)


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_the_reach_is_that_of_the_whole_span(path):
    """No gap uncovers more than its share of the reach; what layers reach bounds the path."""
    film = plan(path)
    span = np.ptp(np.percentile(scene(), (0.1, 99.9)))
    assert film.jump_px <= film.reach_px * (0.9 - 0.1) / span
    half = plan(path, max_reach_px=film.reach_px / 2)
    assert half.reach_px <= film.reach_px / 2 * (1 + 1e-9)
    assert half.length < film.length


def test_the_reach_of_a_sway_in_closed_form():
    film = plan(d3.Sway(), frames=4)
    assert film.reach_px == pytest.approx(110 * film.length * np.ptp(np.percentile(scene(), (0.1, 99.9))))
