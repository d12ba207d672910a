"""Views of planes have closed forms; nothing shows through, leaks, stays empty or changes by itself."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

import depth3d as d3
from depth3d.core.color import to_linear, to_srgb
from depth3d.errors import CameraError, DeviceError, InputError
from depth3d.render import pictures
from depth3d.render.pictures import Picture
from depth3d.render.sheets import Layers, Sheet
from depth3d.synthetic import place

SIZE_WH = (96, 72)
CAMERA = d3.Camera.from_fov(*SIZE_WH, 50)
RED, BLUE, MAGENTA = (200, 20, 10), (10, 40, 210), (255, 0, 255)
MARGIN = 24
WIDE = CAMERA.cropped(-MARGIN, -MARGIN, SIZE_WH[0] + 2 * MARGIN, SIZE_WH[1] + 2 * MARGIN)


def sheet(color, q, alpha=None, jump=0.05):
    """A sheet whose surfaces end where inverse depth jumps."""
    q = np.asarray(q, np.float32)
    color = np.broadcast_to(np.asarray(color, np.uint8), (*q.shape, 3)).copy()
    right, down = np.zeros((2, *q.shape), bool)
    right[:, :-1] = abs(np.diff(q, axis=1)) < jump
    down[:-1] = abs(np.diff(q, axis=0)) < jump
    return Sheet(color, q, np.ones_like(q) if alpha is None else np.float32(alpha), right, down)


def layers_of(front, back=None, *, camera=WIDE, margin=MARGIN, backdrop=None):
    height, width = front.inverse_depth.shape
    nowhere = np.zeros((height, width), np.float32)
    back = back or sheet(0, nowhere, nowhere)
    backdrop = backdrop or sheet(MAGENTA, nowhere)
    photo = front.color[margin : height - margin, margin : width - margin]
    return Layers(front, back, backdrop, camera, margin, 20.0, photo, is_metric=True)


def waves(u, v):
    """A smooth pattern; (..., 3) in 0..255."""
    parts = np.sin(u / 5) * np.cos(v / 7), np.cos(u / 6 + v / 9), np.sin(v / 5 + 1)
    return 128 + 90 * np.stack(np.broadcast_arrays(*parts), axis=-1)


def centers(camera):
    return np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)


def plane(normal, distance, camera=WIDE):
    """Waves, in coordinates of the photo's camera, on the plane normal . p = distance."""
    u, v = centers(camera)
    q = camera.pixel_rays() @ np.asarray(normal, float) / distance
    return sheet(np.rint(waves(u - MARGIN, v - MARGIN)), q)


def seen(normal, distance, pose, camera):
    """What a view of that plane shows, by ray casting in float64; its inverse depth, too."""
    rays = camera.pixel_rays() @ pose[:3, :3].T
    z = (distance - np.dot(normal, pose[:3, 3])) / (rays @ np.asarray(normal, float))
    uv = CAMERA.project(pose[:3, 3] + z[..., None] * rays)
    return waves(uv[..., 0], uv[..., 1]), 1 / z


def rendered(layers, pose=None, camera=None, **options):
    return d3.ViewRenderer(layers, device="cpu", **options).render(pose, camera)


def is_red(image):
    return image[..., 0].astype(int) > image[..., 2]


TURNED = place(0.05, -0.04, 0.1, yaw_deg=3, pitch_deg=-2, roll_deg=8)
PLANES = [
    ((0, 0, 1), 2.0, place(0.0123, 0, 0)),  # a shift by a fraction of a pixel
    ((0, 0, 1), 2.0, place(0, 0, 0.4)),  # a dolly
    ((0, 0, 1), 2.0, place(0, 0, 0, yaw_deg=6, roll_deg=10)),
    ((0.3, -0.4, 1), 2.0, TURNED),
    ((0, 1, 0.6), 1.0, place(-0.03, 0.02, 0.05, pitch_deg=3)),
]


@pytest.mark.parametrize(("normal", "distance", "pose"), PLANES)
def test_a_plane_is_seen_in_exact_perspective(normal, distance, pose):
    wanted, q = seen(normal, distance, pose, CAMERA)
    view = rendered(layers_of(plane(normal, distance)), pose)
    error = view.image - wanted
    assert abs(error).max() < 2
    assert math.sqrt((error**2).mean()) < 0.6
    np.testing.assert_allclose(view.inverse_depth, q, rtol=1e-4)
    assert not view.from_hidden.any()


def test_a_turn_alone_is_a_homography_whatever_the_depth():
    chance = np.random.default_rng(0)
    u, v = centers(WIDE)
    front = sheet(np.rint(waves(u - MARGIN, v - MARGIN)), chance.uniform(0, 1, u.shape), jump=9)
    pose = place(0, 0, 0, yaw_deg=4, pitch_deg=3, roll_deg=-20)
    wanted, _ = seen((0, 0, 1), 1.0, pose, CAMERA)
    assert abs(rendered(layers_of(front), pose).image - wanted).max() < 3


def test_the_camera_of_a_view_may_be_any():
    front = plane((0.1, 0.2, 1), 1.5)
    camera = d3.Camera(110, 90, 20.3, 50.7, 60, 41)
    wanted, _ = seen((0.1, 0.2, 1), 1.5, TURNED, camera)
    assert abs(rendered(layers_of(front), TURNED, camera).image - wanted).max() < 3
    # A shift of the principal point by whole pixels is one of the picture.
    moved = d3.Camera(CAMERA.fx, CAMERA.fy, CAMERA.cx + 5, CAMERA.cy - 3, *SIZE_WH)
    image = rendered(layers_of(front), None, moved).image
    np.testing.assert_array_equal(image, front.color[MARGIN + 3 :, MARGIN - 5 :][: SIZE_WH[1], : SIZE_WH[0]])


def test_the_photos_own_view_is_the_photo():
    chance = np.random.default_rng(1)
    front = sheet(0, chance.uniform(0, 1, (WIDE.height, WIDE.width)))
    front.color[:] = chance.integers(0, 256, front.color.shape)
    layers = layers_of(front)
    turn = [place(0.1 * math.sin(t), 0, 0.1 - 0.1 * math.cos(t)) for t in (0, 1, 2)]
    films = [list(d3.render_views(layers, [*turn, turn[0]], supersample=n, device="cpu")) for n in (1, 2)]
    for film in films:
        np.testing.assert_array_equal(film[0], layers.photo)
        np.testing.assert_array_equal(film[-1], layers.photo)
        assert not np.array_equal(film[1], layers.photo)


def card(far=0.25, near=0.5, at=(50, 90), rows=(30, 90)):
    """A red card before a blue wall, which goes on behind it."""
    u, v = np.arange(WIDE.width), np.arange(WIDE.height)[:, None]
    where = (u >= at[0]) & (u < at[1]) & (v >= rows[0]) & (v < rows[1])
    q = np.where(where, near, far)
    front = sheet(np.where(where[..., None], RED, BLUE), q)
    return front, sheet(BLUE, np.full(q.shape, far)), where


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.5, 7.25, -11.8])
def test_a_card_covers_what_it_should_and_nothing_leaks(shift):
    front, back, _ = card()
    pose = place(-shift / (0.5 * CAMERA.fx), 0, 0)
    view = rendered(layers_of(front, back), pose)
    u = np.arange(SIZE_WH[0]) + MARGIN
    share = np.clip(np.minimum(u + 1, 90 + shift) - np.maximum(u, 50 + shift), 0, 1)
    rows = slice(30 - MARGIN + 1, SIZE_WH[1] - 10)
    light = share[:, None] * to_linear(np.uint8([RED])) + (1 - share[:, None]) * to_linear(np.uint8([BLUE]))
    assert abs(view.image[rows].astype(int) - to_srgb(light)).max() <= 1
    if shift:
        # Of the wall, what was behind the card and is not now.
        uncovered = view.from_hidden[rows].sum(axis=1)
        assert np.all(abs(uncovered - abs(shift) / 2) <= 1)
    assert not is_red(view.image[: 30 - MARGIN - 1]).any()


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("slant", [0.0, 0.37, 1.0])
def test_a_pole_stays_whole(width, slant):
    u, v = np.arange(WIDE.width), np.arange(WIDE.height)[:, None]
    start = np.floor(45 + slant * (v - MARGIN))
    pole = (u >= start) & (u < start + width)
    q = np.where(pole, 0.5, 0.1)
    front = sheet(np.where(pole[..., None], 255, 0), q)
    renderer = d3.ViewRenderer(layers_of(front, sheet(0, np.full(q.shape, 0.1))), device="cpu")
    for shift in np.linspace(0, 2, 9):
        light = renderer.render(place(-shift / (0.5 * CAMERA.fx), 0, 0)).light[:40, :, 0]
        np.testing.assert_allclose(light.sum(axis=1), width, atol=0.05)
        light = renderer.render(place(-shift / (0.5 * CAMERA.fx), -shift / (0.5 * CAMERA.fx), 0)).light
        assert light[4:44, :, 0].sum() == pytest.approx(40 * width, rel=0.03)


@pytest.mark.parametrize("zoom", [1.5, 3.0, 7.0])
@pytest.mark.parametrize("normal", [(0, 0, 1), (0.7, 0, 1), (0, 1, 0.5)])
def test_nothing_shows_through_what_is_pulled_apart(zoom, normal):
    q = np.maximum(WIDE.pixel_rays() @ np.array(normal) / 2.0, 0.1)
    layers = layers_of(sheet(RED, q, jump=1), sheet(BLUE, np.full(q.shape, 0.05)))
    poses = [place(0, 0, (1 - 1 / zoom) * 2), place(0.5, 0, 1.0, yaw_deg=-15, roll_deg=30)]
    renderer = d3.ViewRenderer(layers, device="cpu")
    for pose in poses:
        view = renderer.render(pose)
        passed = view.inverse_depth < 0.2  # what is far behind the plane, beside its end
        assert (view.image[~passed] == RED).all()
        assert (is_red(view.image) | passed).all()
    near = d3.Camera(zoom * CAMERA.fx, zoom * CAMERA.fy, CAMERA.cx, CAMERA.cy, *SIZE_WH)
    assert (renderer.render(None, near).image == RED).all()


def test_no_pixel_stays_empty_within_reach():
    front, back, _ = card()
    renderer = d3.ViewRenderer(layers_of(front, back), device="cpu")
    chance = np.random.default_rng(5)
    for _ in range(12):
        x, y, z = chance.uniform(-0.15, 0.15, 3)
        yaw, pitch, roll = chance.uniform(-3, 3, 3)
        view = renderer.render(place(x, y, z, yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll))
        assert view.image[..., 1].max() <= 41  # magenta has none of it, and red and blue little
        assert not ((view.image[..., 0] > 220) | (view.image[..., 2] > 220)).any()
        assert np.isfinite(view.inverse_depth).all()


@pytest.mark.parametrize("pose", [
    place(0, 0, 3), place(0, 0, 10), place(0, 0, 1, yaw_deg=180), place(5, 0, 0), place(0, 0, -50),
    place(0, 0, 0, yaw_deg=90), place(0, 0, 2.0), place(0, 0, 0, pitch_deg=-120, roll_deg=77),
])  # fmt: skip
@pytest.mark.parametrize("depth", ["card", "sky", "mixed"])
def test_any_pose_gives_a_picture(pose, depth):
    front, back, _ = card()
    nothing = np.zeros_like(front.inverse_depth)
    if depth == "sky":
        front, back = sheet(BLUE, nothing), None
    elif depth == "mixed":
        front = sheet(front.color, np.where(front.inverse_depth > 0.3, 0.5, 0))
    view = rendered(layers_of(front, back), pose)
    assert view.image.shape == (SIZE_WH[1], SIZE_WH[0], 3)
    assert np.isfinite(view.inverse_depth).all()
    assert (view.inverse_depth >= 0).all()


def test_a_soft_edge_is_blended_in_linear_light():
    front, back, _ = card()
    alpha = np.ones_like(front.inverse_depth)
    alpha[:, 89] = 0.4
    image = rendered(layers_of(sheet(front.color, front.inverse_depth, alpha), back), np.eye(4), WIDE).image
    mixed = 0.4 * to_linear(np.uint8(RED)) + 0.6 * to_linear(np.uint8(BLUE))
    assert abs(image[40:80, 89].astype(int) - to_srgb(mixed)).max() <= 1


def test_supersampling_averages_in_linear_light():
    front, back, _ = card()
    layers = layers_of(front, back)
    fine = rendered(layers, TURNED, CAMERA.resized(3 * SIZE_WH[0], 3 * SIZE_WH[1]))
    light = to_linear(fine.image).reshape(SIZE_WH[1], 3, SIZE_WH[0], 3, 3).mean(axis=(1, 3))
    view = rendered(layers, TURNED, supersample=3)
    np.testing.assert_array_equal(view.image, to_srgb(light))
    assert view.inverse_depth.shape == view.from_hidden.shape == (SIZE_WH[1], SIZE_WH[0])


def test_the_same_call_gives_the_same_bytes():
    front, back, _ = card()
    first, second = (rendered(layers_of(front, back), TURNED) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.inverse_depth, second.inverse_depth)


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 40), (33, 1)])
def test_tiny_pictures(size_wh):
    camera = d3.Camera.from_fov(*size_wh, 40)
    q = np.full((size_wh[1], size_wh[0]), 0.5)
    layers = layers_of(sheet(RED, q), camera=camera, margin=0, backdrop=sheet(RED, q))
    assert (rendered(layers, place(0.1, 0, 0.5), camera).image == RED).all()


def test_a_photo_with_depth_is_enough():
    scene = d3.RGBD(np.full((20, 30, 3), RED, np.uint8), d3.DepthMap(np.ones((20, 30)), "relative"),
                    d3.Camera.from_fov(30, 20, 50))  # fmt: skip
    views = d3.render_views(scene, np.stack([np.eye(4), place(0.02, 0, 0)]), device="cpu")
    assert all((view == RED).all() for view in views)


WRONG = [
    (lambda layers: d3.ViewRenderer(np.zeros((3, 3))), InputError, "views need Layers, got ndarray"),
    (lambda layers: rendered(layers, supersample=1.5), InputError, "whole number from 1 to 8, got 1.5"),
    (lambda layers: rendered(layers, supersample=True), InputError, "whole number from 1 to 8"),
    (lambda layers: rendered(layers, np.diag([2.0, 1, 1, 1])), InputError, "rigid"),
    (lambda layers: d3.render_views(layers, np.eye(4)), InputError, r"put one pose in a list: \[pose\]"),
    (lambda layers: list(d3.render_views(layers, [np.eye(4)] * 2, cameras=[CAMERA], device="cpu")),
     InputError, "each pose needs a camera"),
    (lambda layers: rendered(layers, None, d3.Camera(9, 9, 4, 4, 8, 8, (0.1,))), CameraError, "undistort"),
    (lambda layers: d3.ViewRenderer(layers, device="gpu"), DeviceError, "must be auto"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_what_is_wrong_is_said(call, error, message):
    with pytest.raises(error, match=message):
        call(layers_of(card()[0]))


MEMORY = """
import re
from pathlib import Path
import numpy as np, torch
from test_views import *
def peak_kib():  # ru_maxrss would begin with that of the process that started this one
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
torch.set_num_threads(1)
camera = d3.Camera.from_fov(960, 540, 50)
q = np.where(np.arange(960) // 100 % 2, 0.5, 0.25) + np.zeros((540, 1))
layers = layers_of(sheet(RED, q), sheet(BLUE, 0 * q + 0.25, q > 0.3), camera=camera, margin=0)
renderer = d3.ViewRenderer(layers, device="cpu")
before = peak_kib()
for shift in (0.001, 0.002):
    renderer.render(place(shift, 0, 0.01))
print(peak_kib() - before, before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_view_takes_little_memory():
    from pathlib import Path

    done = subprocess.run(
        [sys.executable, "-c", MEMORY], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    more, before = (int(n) / 1024 for n in done.stdout.split())
    assert more < 64  # 1 GB at 4K
    assert before < 600


def test_pictures_are_sampled_alike_on_any_device(monkeypatch):
    chance = np.random.default_rng(2)
    color, clear = chance.integers(0, 256, (40, 50, 3), np.uint8), chance.integers(0, 4, (40, 50), np.uint8)
    u, v = (torch.from_numpy(chance.uniform(-3, 54, (30, 20)).astype(np.float32)) for _ in range(2))
    by_opencv = Picture(color, clear, torch.device("cpu")).sample(u, v).numpy()
    monkeypatch.setattr(pictures, "_MOST_SIDE_PX", 0)  # what OpenCV can't do is done as on a GPU
    by_torch = Picture(color, clear, torch.device("cpu")).sample(u, v).numpy()
    # OpenCV rounds positions to 1/32 px.
    assert abs(by_opencv.astype(int) - by_torch).max() <= 255 * 2 / 32
    assert abs(by_opencv.astype(int) - by_torch).mean() < 1.5


@pytest.mark.parametrize("across", [0.5, 0.25, -0.3])
def test_samples_keep_gradients_and_sharpness(across):
    u, v = centers(CAMERA)
    ramp = np.repeat((2 * u - 1)[..., None], 3, axis=-1)
    clear = np.full(u.shape, 9, np.uint8)
    inner = np.s_[3:-3, 3:-3]
    where = (torch.from_numpy((u + across).astype(np.float32)), torch.from_numpy(v.astype(np.float32)))
    found = Picture(ramp.astype(np.uint8), clear, torch.device("cpu")).sample(*where).numpy()[inner]
    assert abs(found - (ramp + 2 * across)[inner]).max() <= 0.6
    # A wave of 5 px; linear interpolation would leave 0.81 of it halfway.
    wave = 128 + 100 * np.cos(2 * np.pi * u / 5)
    picture = Picture(np.repeat(np.rint(wave)[..., None], 3, -1).astype(np.uint8), clear, torch.device("cpu"))
    found = picture.sample(*where).numpy()[inner][..., 0] - 128.0
    wanted = 100 * np.cos(2 * np.pi * (u + across) / 5)[inner]
    assert 0.93 < (found * wanted).sum() / (wanted * wanted).sum() < 1.06


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("pose", [TURNED, place(0.1, 0, 0), place(0, 0, 1.2), place(0, 0, 1, yaw_deg=120)])
def test_the_gpu_sees_what_the_cpu_sees(pose):
    front, back, _ = card()
    u, v = centers(WIDE)
    layers = layers_of(sheet(np.rint(waves(u, v)), front.inverse_depth), back)
    on_cpu = d3.ViewRenderer(layers, device="cpu").render(pose)
    on_gpu = d3.ViewRenderer(layers, device="cuda").render(pose)
    apart = abs(on_gpu.image.astype(int) - on_cpu.image)
    assert apart.mean() < 2e-3 * 255
    assert (apart > 2).mean() < 1e-3
    np.testing.assert_allclose(on_gpu.inverse_depth, on_cpu.inverse_depth, atol=2e-3)


def test_views_may_be_wider_than_opencv_samples_at_once():
    chance = np.random.default_rng(3)
    color, clear = chance.integers(0, 256, (6, 8, 3), np.uint8), np.full((6, 8), 9, np.uint8)
    picture = Picture(color, clear, torch.device("cpu"))
    u = torch.linspace(0.5, 7.5, 40_000)[None]
    v = torch.full_like(u, 2.5)
    np.testing.assert_array_equal(picture.sample(u, v)[0], picture.sample(u[0], v[0]))


def test_a_camera_out_of_all_reach_is_refused():
    scene = d3.RGBD(np.zeros((6, 8, 3), np.uint8), d3.DepthMap(np.ones((6, 8)), "metric"), CAMERA_8X6)
    with pytest.raises(InputError, match="must stay within"):
        next(d3.render_views(scene, [place(1e38, 0, 0)]))


CAMERA_8X6 = d3.Camera.from_fov(8, 6, 50)
