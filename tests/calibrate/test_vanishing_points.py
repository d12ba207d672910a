"""The focal length of rendered rooms, and of real photos whose cameras are known; and when it is refused."""

import numpy as np
import pytest

import depth3d as d3
from depth3d.calibrate.vanishing_points import find_vanishing_points
from depth3d.core.distortion import undistort
from depth3d.errors import CameraError, InputError
from depth3d.synthetic.poses import place
from depth3d.synthetic.render import render_image
from depth3d.synthetic.scene import Ambient, AreaLight, Material, Scene, Surface
from depth3d.synthetic.shapes import Box
from depth3d.synthetic.textures import Checker, Plain, linear_rgb

ROOM_M = (5.0, 2.8, 6.0)


def room() -> Scene:
    """A tiled room with cupboards, and two crates that stand askew."""
    tiles = Material(Checker(linear_rgb("#d8cdb8"), linear_rgb("#7d705a"), size_m=0.7))
    surfaces = [Surface(Box(ROOM_M), tiles)]
    things = (
        (-1.9, 0.5, 1.2, 0),
        (1.8, 0.6, 2.0, 0),
        (0.2, 0.8, 2.6, 0),
        (0.6, 1.1, 0.9, 35),
        (-0.7, 1.1, 1.9, 60),
    )
    for i, (x, y, z, yaw_deg) in enumerate(things):
        paint = Material(Plain(linear_rgb(("#3b6fb6", "#4f9d69", "#d94f30", "#e8b23a", "#555555")[i])))
        size = (0.5, 0.5, 0.5) if yaw_deg else (0.8, 1.6, 0.6)
        surfaces.append(Surface(Box(size), paint, place(x, y, z, yaw_deg=yaw_deg)))
    light = AreaLight((0.3, -1.2, 0.0), (0.5, 0, 0), (0, 0, 0.5), (2.6, 2.6, 2.5))
    return Scene(tuple(surfaces), (light,), Ambient((0.5, 0.5, 0.5), (0.4, 0.4, 0.4)))


def view(fov_x_deg, yaw_deg, pitch_deg=0.0, roll_deg=0.0, size_wh=(480, 360)):
    """A picture of the room and the camera that took it."""
    camera = d3.Camera.from_fov(*size_wh, fov_x_deg)
    pose = place(-1.2, 0, -2, yaw_deg=yaw_deg, pitch_deg=pitch_deg, roll_deg=roll_deg)
    return render_image(room(), camera, pose, samples=2), camera


@pytest.fixture(scope="module")
def corner():
    return view(65, 32, -12, 2)


@pytest.fixture(scope="module")
def found(corner):
    return find_vanishing_points(corner[0])


@pytest.mark.parametrize(
    ("fov_x_deg", "yaw_deg", "pitch_deg", "roll_deg", "size_wh"),
    [
        (45, 30, -10, 0, (480, 360)),
        (65, 40, 0, 0, (480, 360)),  # level: two finite vanishing points, verticals stay parallel
        (85, 28, -20, 5, (480, 360)),
        (55, 45, -15, -8, (360, 480)),
    ],
)
def test_the_focal_length_is_found(fov_x_deg, yaw_deg, pitch_deg, roll_deg, size_wh):
    image, camera = view(fov_x_deg, yaw_deg, pitch_deg, roll_deg, size_wh)
    found = d3.camera_from_vanishing_points(image)
    assert found.size_wh == size_wh
    assert (found.cx, found.cy) == (size_wh[0] / 2, size_wh[1] / 2)
    assert found.fx == found.fy
    assert found.source == "vanishing points"
    assert 0.03 <= found.sigma_rel <= 0.15
    assert found.fx == pytest.approx(camera.fx, rel=0.06)


def test_the_axes_are_those_of_the_room(found):
    true = place(0, 0, 0, yaw_deg=32, pitch_deg=-12, roll_deg=2)[:3, :3].T  # columns: the room's axes
    angle = np.degrees(np.arccos(np.clip(np.abs(true.T @ found.axes).max(axis=0), 0, 1)))
    assert angle.max() < 1.5
    np.testing.assert_allclose(found.axes.T @ found.axes, np.eye(3), atol=1e-9)


def test_pairs_of_points_give_the_focal_length(found):
    v = found.points_px - [found.camera.cx, found.camera.cy]
    for i, j in ((0, 1), (1, 2), (2, 0)):
        assert -(v[i] @ v[j]) == pytest.approx(found.camera.fx**2, rel=1e-6)


def test_its_lines_run_to_their_points(found):
    ends = found.segments.ends_px
    for axis in range(3):
        mine = ends[found.axis_of == axis]
        along = mine[:, 1] - mine[:, 0]
        towards = found.points_px[axis] - mine.mean(axis=1)
        sine = along[:, 0] * towards[:, 1] - along[:, 1] * towards[:, 0]
        sine /= np.linalg.norm(along, axis=1) * np.linalg.norm(towards, axis=1)
        # What they miss their point by, across half their length.
        assert (np.abs(sine) * found.segments.lengths_px[found.axis_of == axis] / 2 < 2.5).all()


def test_the_note_says_what_it_rests_on(found):
    count = int((found.axis_of >= 0).sum())
    assert f"{count} of {len(found.segments)} straight edges" in found.note
    assert f"{found.camera.fov_x_deg:.0f} degrees" in found.note
    assert f"+-{100 * found.camera.sigma_rel:.0f} %" in found.note
    assert "cropped" in found.note
    assert "\n" not in repr(found)


def test_the_same_seed_gives_the_same_camera(corner, found):
    image, camera = corner
    again, other = (d3.camera_from_vanishing_points(image, seed=seed) for seed in (0, 7))
    assert found.camera.fx == again.fx
    assert found.camera.sigma_rel == again.sigma_rel
    assert other.fx == pytest.approx(camera.fx, rel=0.05)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turning_the_photo_keeps_the_focal_length(corner, turns):
    image, camera = corner
    found = d3.camera_from_vanishing_points(np.rot90(image, turns).copy())
    assert found.size_wh == camera.rotated_90(turns).size_wh
    assert found.fx == pytest.approx(camera.fx, rel=0.05)


def test_enlarging_the_photo_enlarges_the_focal_length(corner):
    image, camera = corner
    large = np.repeat(np.repeat(image, 6, axis=0), 6, axis=1)  # 2880x2160: more than the working size
    found = d3.camera_from_vanishing_points(large)
    assert found.fx == pytest.approx(6 * camera.fx, rel=0.05)


def test_a_crop_off_centre_costs_what_the_docstring_warns_of(corner):
    image, camera = corner
    found = d3.camera_from_vanishing_points(np.ascontiguousarray(image[:, 24:]))  # the centre moves by 12 px
    assert abs(np.log(found.fx / camera.fx)) < 3 * found.sigma_rel


def refusal(image) -> str:
    with pytest.raises(CameraError) as caught:
        find_vanishing_points(image)
    message = str(caught.value)
    assert "--fov-x-deg" in message
    assert "\n" not in message
    return message


def test_a_wall_seen_straight_on_tells_nothing():
    """One finite vanishing point, in the middle: every focal length explains it."""
    refusal(view(65, 0)[0])


def test_smooth_and_tiny_pictures_have_too_few_edges():
    assert "too few" in refusal(np.full((300, 400, 3), 128, np.uint8))
    assert "too few" in refusal(np.zeros((1, 1, 3), np.uint8))


def test_random_edges_are_refused():
    import cv2

    for seed in range(3):
        rng = np.random.default_rng(seed)
        picture = np.full((480, 640, 3), 120, np.uint8)
        for _ in range(80):
            start = rng.integers(0, (640, 480))
            end = start + rng.integers(-150, 150, 2)
            cv2.line(picture, start.tolist(), end.tolist(), rng.integers(0, 255, 3).tolist(), 2, cv2.LINE_AA)
        refusal(picture)


def test_bent_edges_are_refused(corner):
    """The same room through a lens with strong barrel distortion."""
    import cv2

    image, camera = corner
    rays = undistort(np.ascontiguousarray(camera.pixel_rays()[..., :2]), (-0.28, 0.06), "opencv")
    uv = (rays * [camera.fx, camera.fy] + [camera.cx, camera.cy] - 0.5).astype(np.float32)
    bent = cv2.remap(image, uv[..., 0], uv[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    assert "undistort" in refusal(bent)


def test_what_is_no_picture_is_refused():
    with pytest.raises(InputError, match="uint8"):
        find_vanishing_points(np.zeros((20, 20, 3)))


@pytest.mark.parametrize(
    ("name", "focal_px"), [("lingbot/5.rgb.png", 460.5), ("sunrgbd/rs144.rgb.jpg", 529.5)]
)
def test_photos_of_rooms(shared_data, name, focal_px):
    path = shared_data.parent / "rgbd" / name
    if not path.exists():
        pytest.skip(f"the photo is not here: {path}")
    found = d3.camera_from_vanishing_points(d3.load_image(path))
    assert abs(np.log(found.fx / focal_px)) < 2 * found.sigma_rel < 0.2


def test_photos_of_no_rooms_are_refused(shared_data):
    for name in ("wombat-on-a-lawnmower", "seagulls", "jungle"):
        refusal(d3.load_image(shared_data / "pairs" / f"{name}.jpg"))
