"""Markers are right if they stand where the ray-caster put them: z to thousandths, corners to 0.1 px."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth3d.calibrate.markers import Marker, find_markers
from depth3d.calibrate.references import Anchor
from depth3d.core.camera import Camera
from depth3d.core.color import to_srgb
from depth3d.errors import CameraError, InputError, UnreadableFileError

SIDE_M = 0.1
SQUARE = SIDE_M * np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]])
CAMERAS = {
    "pinhole": Camera(300, 302, 158, 122, 320, 240),
    "opencv": Camera(260, 264, 158, 122, 320, 240, (-0.25, 0.06, 0.001, -0.0005, 0.01)),
    "fisheye": Camera(165, 166, 158, 122, 320, 240, (0.05, -0.01, 0.002, 0.0), distortion_model="fisheye"),
}
SUPERSAMPLING = 4  # enough where no edge runs along the rows: they would snap to a quarter of a pixel
DARK, PAPER, WALL = 0.03, 0.7, 0.2  # linear light


def placed(camera, u, v, z, turn):
    T = np.eye(4)
    T[:3, :3] = cv2.Rodrigues(np.array(turn, dtype=float))[0]
    T[:3, 3] = z * camera.rays(np.array([u, v], dtype=float))
    return T


@cache
def sampled_rays(camera):
    whole = (SUPERSAMPLING * camera.width, SUPERSAMPLING * camera.height)
    return cv2.resize(camera.pixel_rays(), whole, interpolation=cv2.INTER_LINEAR).astype(np.float32)


def photograph(camera, markers, *, blur_px=0.6, noise=2.0, seed=0):
    """Take a picture of {id: pose} in linear light, as a lens and a sensor would."""
    n, rays = SUPERSAMPLING, sampled_rays(camera)
    light = np.full(rays.shape[:2], WALL, dtype=np.float32)
    for (name, identity), T in markers.items():
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
        cells = dictionary.markerSize + 2
        bits = cv2.aruco.generateImageMarker(dictionary, identity, cells) > 0
        drawn = np.pad(bits, 1, constant_values=True)
        T = T.astype(np.float32)
        normal, origin = T[:3, 2], T[:3, 3]
        hit = rays * ((normal @ origin) / (rays @ normal))[..., None] - origin
        column = np.floor((hit @ T[:3, 0] / SIDE_M + 0.5) * cells).astype(int) + 1
        row = np.floor((hit @ T[:3, 1] / SIDE_M + 0.5) * cells).astype(int) + 1
        inside = (column >= 0) & (column < cells + 2) & (row >= 0) & (row < cells + 2)
        light[inside] = np.where(drawn[row[inside], column[inside]], PAPER, DARK)
    light = light.reshape(camera.height, n, camera.width, n).mean(axis=(1, 3))
    light = cv2.GaussianBlur(light, (0, 0), blur_px)
    image = to_srgb(np.repeat(light[..., None], 3, axis=2))
    noisy = image + np.random.default_rng(seed).normal(0, noise, image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def truth(camera, T):
    points = SQUARE @ T[:3, :3].T + T[:3, 3]
    return camera.project(points), points[:, 2]


TURNS = ((0.5, 0.2, 0.3), (-0.4, 0.5, 2.0), (0.1, -0.6, -1.2))


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("name", CAMERAS)
def test_markers_are_found_where_they_are(name, turn):
    camera = CAMERAS[name]
    T = placed(camera, 175, 110, SIDE_M * camera.fx / 50, turn)
    image = photograph(camera, {("DICT_6X6_250", 123): T})
    (marker,) = find_markers(image, camera, side_m=SIDE_M)
    corners, depths = truth(camera, T)
    assert (marker.id, marker.dictionary, marker.side_m) == (123, "DICT_6X6_250", SIDE_M)
    np.testing.assert_allclose(marker.corners_px, corners, atol=0.1)  # in their order, half pixels and all
    np.testing.assert_allclose(marker.T_camera_marker[:3, 3], T[:3, 3], rtol=0.003, atol=2e-4)
    assert marker.depth_m == pytest.approx(T[2, 3], rel=0.003)
    assert abs(marker.depth_m - T[2, 3]) < 2 * marker.sigma_m
    assert marker.sigma_m < 0.01 * marker.depth_m
    np.testing.assert_allclose(marker.corner_depths_m, depths, rtol=0.01)
    np.testing.assert_allclose((marker.u_px, marker.v_px), (175, 110), atol=0.1)
    turned = marker.T_camera_marker[:3, :3].T @ T[:3, :3]
    assert np.degrees(np.arccos((np.trace(turned) - 1) / 2)) < 2
    assert marker.reprojection_px < 0.1
    assert not marker.ambiguous


def test_depth_is_far_better_than_from_opencvs_own_corners():
    camera, ours, theirs = CAMERAS["pinhole"], [], []
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_6X6_250)
    detector = cv2.aruco.ArucoDetector(dictionary, parameters)
    for seed, turn in enumerate(TURNS):
        T = placed(camera, 150 + 10 * seed, 120, 0.9, turn)
        image = photograph(camera, {("DICT_6X6_250", 7): T}, seed=seed)
        (marker,) = find_markers(image, camera, side_m=SIDE_M, dictionary="DICT_6X6_250")
        ours.append(abs(marker.depth_m / 0.9 - 1))
        corners = detector.detectMarkers(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0][0].astype(float)
        matrix = camera.matrix - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
        flags = cv2.SOLVEPNP_IPPE_SQUARE
        _, _, shift = cv2.solvePnP(SQUARE * [1, -1, 1], corners, matrix, None, flags=flags)
        theirs.append(abs(shift[2, 0] / 0.9 - 1))
    assert max(ours) < 0.2 * min(theirs)


def test_upright_and_straight_ahead_the_rotation_is_the_identity():
    camera = CAMERAS["pinhole"]
    image = photograph(camera, {("DICT_5X5_100", 3): placed(camera, 158, 122, 0.5, (0, 0, 0))})
    (marker,) = find_markers(image, camera, side_m=SIDE_M)
    np.testing.assert_allclose(marker.T_camera_marker[:3, :3], np.eye(3), atol=0.08)
    np.testing.assert_allclose(marker.T_camera_marker[:2, 3], 0, atol=2e-4)
    assert marker.depth_m == pytest.approx(0.5, rel=0.003)


def test_through_a_long_lens_a_marker_has_two_tilts_and_one_depth():
    camera = Camera(3000, 3000, 158, 122, 320, 240)
    T = placed(camera, 158, 122, SIDE_M * 3000 / 40, (0.5, 0, 0.3))
    (marker,) = find_markers(photograph(camera, {("DICT_5X5_100", 3): T}), camera, side_m=SIDE_M)
    assert marker.ambiguous
    assert abs(marker.depth_m - T[2, 3]) < 2 * marker.sigma_m
    assert marker.depth_m == pytest.approx(T[2, 3], rel=0.01)


def test_cropped_and_turned_photos_show_the_same_markers():
    camera = CAMERAS["opencv"]
    image = photograph(camera, {("DICT_6X6_250", 9): placed(camera, 170, 110, 0.5, TURNS[0])})
    (marker,) = find_markers(image, camera, side_m=SIDE_M)
    (cropped,) = find_markers(image[8:200, 21:290], camera.cropped(21, 8, 269, 192), side_m=SIDE_M)
    np.testing.assert_allclose(cropped.corners_px, marker.corners_px - [21, 8], atol=0.02)
    np.testing.assert_allclose(cropped.T_camera_marker, marker.T_camera_marker, atol=2e-3)
    (turned,) = find_markers(np.rot90(image), camera.rotated_90(1), side_m=SIDE_M)
    u, v = marker.corners_px.T
    np.testing.assert_allclose(turned.corners_px, np.stack([v, 320 - u], axis=-1), atol=0.02)
    assert turned.depth_m == pytest.approx(marker.depth_m, rel=1e-3)


def test_several_markers_come_by_id_and_depth_is_in_proportion_to_the_side():
    camera = CAMERAS["pinhole"]
    poses = {5: placed(camera, 80, 80, 0.7, (0.4, 0, 0.3)), 2: placed(camera, 230, 150, 0.5, (0, 0.4, 0.3))}
    image = photograph(camera, {("DICT_4X4_50", i): T for i, T in poses.items()})
    markers = find_markers(image, camera, side_m=SIDE_M)
    assert [(marker.id, marker.dictionary) for marker in markers] == [(i, "DICT_4X4_50") for i in (2, 5)]
    for marker in markers:
        assert marker.depth_m == pytest.approx(poses[marker.id][2, 3], rel=0.003)
    twice = find_markers(image, camera, side_m=2 * SIDE_M)
    for a, b in zip(markers, twice, strict=True):
        assert b.depth_m == pytest.approx(2 * a.depth_m, rel=1e-6)
        assert b.sigma_m == pytest.approx(2 * a.sigma_m, rel=1e-4)
    assert len(find_markers(image, camera, side_m=SIDE_M, dictionary="DICT_4X4_50", min_side_px=50)) == 1


def test_one_marker_of_few_bits_has_to_be_named():
    camera = CAMERAS["pinhole"]
    image = photograph(camera, {("DICT_4X4_50", 17): placed(camera, 160, 120, 0.5, (0.3, 0, 0))})
    assert find_markers(image, camera, side_m=SIDE_M) == ()
    (marker,) = find_markers(image, camera, side_m=SIDE_M, dictionary="DICT_4X4_50")
    assert marker.id == 17


@pytest.mark.parametrize("name", ["DICT_APRILTAG_36h11", "DICT_7X7_50", "DICT_ARUCO_MIP_36h12"])
def test_the_dictionary_is_found_by_itself(name):
    camera = CAMERAS["pinhole"]
    image = photograph(camera, {(name, 12): placed(camera, 160, 120, 0.4, (0.3, 0.3, 0.2))})
    (marker,) = find_markers(image, camera, side_m=SIDE_M)
    assert (marker.id, marker.dictionary) == (12, name)
    assert marker.depth_m == pytest.approx(0.4, rel=0.003)


def test_sigma_holds_what_is_known_of_the_camera_and_the_print():
    exact = CAMERAS["pinhole"]
    image = photograph(exact, {("DICT_6X6_250", 9): placed(exact, 160, 120, 0.5, TURNS[0])})
    rough = Camera(300, 302, 158, 122, 320, 240, sigma_rel=0.03)
    (bare,) = find_markers(image, exact, side_m=SIDE_M)
    (full,) = find_markers(image, rough, side_m=SIDE_M, side_sigma_m=0.004)
    assert full.depth_m == bare.depth_m
    expected = np.sqrt(bare.sigma_m**2 + (0.03 * bare.depth_m) ** 2 + (0.04 * bare.depth_m) ** 2)
    assert full.sigma_m == pytest.approx(expected, rel=1e-9)


def test_a_marker_is_one_reference():
    camera = CAMERAS["pinhole"]
    image = photograph(camera, {("DICT_6X6_250", 9): placed(camera, 160, 120, 0.5, TURNS[0])})
    (marker,) = find_markers(image, camera, side_m=SIDE_M)
    anchor = marker.anchor
    assert isinstance(anchor, Anchor)
    assert (anchor.u_px, anchor.v_px) == (marker.u_px, marker.v_px)
    assert (anchor.depth_m, anchor.sigma_m) == (marker.depth_m, marker.sigma_m)
    assert "Marker(9 of DICT_6X6_50 at (160" in repr(marker)


def test_heavy_noise_is_within_the_stated_sigma():
    camera, scores = CAMERAS["pinhole"], []
    T = placed(camera, 160, 120, 0.8, TURNS[1])
    for seed in range(10):
        image = photograph(camera, {("DICT_6X6_250", 9): T}, noise=12, blur_px=0.8, seed=seed)
        for marker in find_markers(image, camera, side_m=SIDE_M, dictionary="DICT_6X6_250"):
            scores.append((marker.depth_m - 0.8) / marker.sigma_m)
    assert len(scores) >= 8
    assert np.abs(scores).max() < 3
    assert np.sqrt(np.mean(np.square(scores))) < 1.2


def custom_dictionary(folder: Path) -> Path:
    bits = cv2.aruco.generateImageMarker(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_50), 4, 7)
    path = folder / "mine.yml"
    text = "".join("1" if bit else "0" for bit in bits[1:-1, 1:-1].ravel())
    path.write_text(f'%YAML:1.0\n---\nnmarkers: 1\nmarkersize: 5\nmarker_0: "{text}"\n')
    return path


def test_a_custom_dictionary_is_read_from_its_file(tmp_path):
    camera = CAMERAS["pinhole"]
    image = photograph(camera, {("DICT_5X5_50", 4): placed(camera, 160, 120, 0.5, TURNS[0])})
    (marker,) = find_markers(image, camera, side_m=SIDE_M, dictionary=custom_dictionary(tmp_path))
    assert (marker.id, marker.dictionary) == (0, "mine.yml")
    assert marker.depth_m == pytest.approx(0.5, rel=0.003)


@pytest.mark.parametrize("text", ["", "hello", "%YAML:1.0\n---\nfx: 3\n", "\x00\x01", None])
def test_what_is_no_dictionary_is_refused(text, tmp_path):
    path = tmp_path / "no.yml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UnreadableFileError, match=r"no\.yml"):
        find_markers(
            np.zeros((60, 80, 3), np.uint8), Camera(80, 80, 40, 30, 80, 60), side_m=1, dictionary=path
        )


@pytest.mark.parametrize("shape", [(1, 1, 3), (20, 400, 3), (120, 160, 3)])
def test_where_nothing_is_nothing_is_found(shape):
    noise = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    camera = Camera(100, 100, shape[1] / 2, shape[0] / 2, shape[1], shape[0])
    assert find_markers(noise, camera, side_m=SIDE_M) == ()
    assert find_markers(np.zeros_like(noise), camera, side_m=SIDE_M) == ()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"side_m": 0}, InputError, "side_m must be a positive number of metres, got 0"),
        ({"side_m": float("nan")}, InputError, "side_m must be"),
        ({"side_sigma_m": -1.0}, InputError, "side_sigma_m must be"),
        ({"dictionary": "DICT_9X9"}, InputError, "no dictionary 'DICT_9X9'"),
        ({"dictionary": "DetectorParameters"}, InputError, "no dictionary"),
        ({"camera": Camera(80, 80, 40, 30, 160, 120)}, CameraError, r"resized\(\)"),
    ],
)
def test_bad_input_is_refused(given, error, message):
    image = np.zeros((60, 80, 3), np.uint8)
    arguments = {"camera": Camera(80, 80, 40, 30, 80, 60), "side_m": 0.1} | given
    with pytest.raises(error, match=message):
        find_markers(image, **arguments)


def test_markers_are_read_only():
    camera = CAMERAS["pinhole"]
    image = photograph(camera, {("DICT_6X6_250", 9): placed(camera, 160, 120, 0.5, TURNS[0])})
    (marker,) = find_markers(image, camera, side_m=SIDE_M)
    assert isinstance(marker, Marker)
    with pytest.raises(ValueError, match="read-only"):
        marker.corners_px[0, 0] = 0
    with pytest.raises(AttributeError):
        marker.depth_m = 3.0
