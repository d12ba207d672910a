"""A calibrated camera is right if it is the one that projected the boards, within the sigma it states."""

import dataclasses

import cv2
import numpy as np
import pytest

from depth3d.calibrate.boards import Board, BoardView, find_board
from depth3d.calibrate.camera_fit import calibrate_camera, fit_camera
from depth3d.core.camera import Camera
from depth3d.errors import InputError
from depth3d.io.camera_files import load_camera

BOARD = Board("chessboard", 9, 6, square_m=0.025)
PLAIN = Camera(520, 528, 317, 246, 640, 480, (-0.28, 0.09, 0.001, -0.0005, -0.01))
RATIONAL = Camera(420, 421, 322, 236, 640, 480, (0.3, 0.05, 0.0008, -0.0006, 0.01, 0.55, 0.1, 0.02))
FISHEYE = Camera(260, 262, 325, 235, 640, 480, (0.05, -0.02, 0.004, -0.001), distortion_model="fisheye")
LENSES = {"plain": PLAIN, "rational": RATIONAL, "fisheye": FISHEYE}
HALF_PIXEL = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
NAMES = ("fx", "fy", "cx", "cy")


@pytest.fixture
def views_of(poses, project_board):
    def make(camera, n=9, noise_px=0.0, seed=0, **options):
        rng = np.random.default_rng(seed)
        found = [
            project_board(BOARD, camera, T, noise_px=noise_px, rng=rng, name=f"{i}.jpg")
            for i, T in enumerate(poses(BOARD, camera, n, **options))
        ]
        return [view for view in found if len(view.uv_px) > 30]

    return make


def numbers(camera):
    return np.array([camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion])


@pytest.mark.parametrize("model", LENSES)
def test_exact_points_give_the_very_camera(model, views_of):
    truth = LENSES[model]
    fit = fit_camera(views_of(truth, 12), model=model)
    assert fit.rms_px < 1e-4
    assert all(view.used for view in fit.views)
    np.testing.assert_allclose(numbers(fit.camera)[:4], numbers(truth)[:4], rtol=1e-4)
    assert fit.camera.distortion_model == truth.distortion_model
    uv = np.random.default_rng(0).uniform(0.15, 0.85, (200, 2)) * truth.size_wh
    np.testing.assert_allclose(fit.camera.rays(uv), truth.rays(uv), atol=1e-4)  # where boards were seen


def test_the_poses_of_the_boards_come_back(poses, project_board):
    given = poses(BOARD, PLAIN, 6)
    fit = fit_camera([project_board(BOARD, PLAIN, T) for T in given])
    for view, T in zip(fit.views, given, strict=True):
        np.testing.assert_allclose(view.T_camera_board, T, atol=1e-5)


def test_with_noise_it_is_opencvs_minimum_half_a_pixel_further(views_of):
    views = views_of(PLAIN, 8, noise_px=0.2)
    fit = fit_camera(views)
    points = [view.points_m.astype(np.float32) for view in views]
    uv = [(view.uv_px - 0.5).astype(np.float32) for view in views]
    rms, K, k, *_ = cv2.calibrateCamera(points, uv, (640, 480), None, None)
    np.testing.assert_allclose(fit.camera.matrix, K + HALF_PIXEL, atol=0.02)
    np.testing.assert_allclose(fit.camera.distortion, k.ravel()[:5], atol=2e-3)
    assert fit.rms_px == pytest.approx(rms, rel=1e-5)


def test_with_noise_the_fisheye_is_opencvs(views_of):
    views = views_of(FISHEYE, 8, noise_px=0.1)
    fit = fit_camera(views, model="fisheye")
    points = [view.points_m[None] for view in views]
    uv = [view.uv_px[None] - 0.5 for view in views]
    flags = cv2.CALIB_RECOMPUTE_EXTRINSIC | cv2.CALIB_FIX_SKEW
    steps = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-12)
    rms, K, *_ = cv2.fisheye.calibrate(
        points, uv, (640, 480), np.eye(3), np.zeros(4), None, None, flags, steps
    )
    np.testing.assert_allclose(fit.camera.matrix, K + HALF_PIXEL, atol=0.05)
    assert fit.rms_px == pytest.approx(rms, rel=1e-4)


def test_square_pixels_share_one_focal_length(views_of):
    truth = dataclasses.replace(PLAIN, fy=PLAIN.fx)
    views = views_of(truth, 6, noise_px=0.2)
    fit, free = fit_camera(views, square_pixels=True), fit_camera(views)
    assert fit.camera.fx == fit.camera.fy != free.camera.fy
    assert fit.sigma["fx"] == fit.sigma["fy"]
    assert abs(fit.camera.fx - truth.fx) < 4 * fit.sigma["fx"]
    assert fit.rms_px >= free.rms_px  # less freedom, less agreement


def test_sigma_is_the_spread_of_repeated_calibrations(views_of):
    fits = [fit_camera(views_of(PLAIN, 8, noise_px=0.3, seed=seed)) for seed in range(10)]
    errors = np.array([numbers(fit.camera) - numbers(PLAIN) for fit in fits])
    stated = np.array([list(fit.sigma.values()) for fit in fits])
    # The larger of two estimates errs on the safe side; by how much is bounded.
    share = np.sqrt((errors**2).mean(axis=0)) / stated.mean(axis=0)
    assert (share > 0.4).all()
    assert (share < 1.4).all()
    assert fits[0].camera.sigma_rel == max(
        fits[0].sigma["fx"] / fits[0].camera.fx, fits[0].sigma["fy"] / fits[0].camera.fy
    )


def test_sigma_grows_where_views_contradict_each_other(poses, project_board):
    rng, views = np.random.default_rng(0), []
    for T in poses(BOARD, PLAIN, 12):  # a board that is bent differently each time, by half a square
        seen = project_board(BOARD, PLAIN, T)
        x = seen.points_m[:, 0] / seen.points_m[:, 0].max()
        bent = seen.points_m + np.stack([0 * x, 0 * x, 0.004 * rng.normal() * x * (1 - x)], axis=-1)
        uv = PLAIN.project(bent @ T[:3, :3].T + T[:3, 3])
        views.append(BoardView(seen.points_m, uv, 640, 480))
    fit = fit_camera(views)
    spare = cv2.calibrateCameraExtended(
        [view.points_m.astype(np.float32) for view in views],
        [view.uv_px.astype(np.float32) for view in views], (640, 480), None, None,
    )[5].ravel()  # fmt: skip
    assert fit.sigma["cx"] > 1.2 * spare[2]  # textbook sigmas take the errors for independent
    assert abs(fit.camera.fx - PLAIN.fx) < 4 * fit.sigma["fx"]


def test_views_that_contradict_the_others_are_left_out(views_of):
    views = views_of(PLAIN, 10, noise_px=0.1)
    wrong = views[3].uv_px.copy()
    wrong[:9] += [0, 4]  # one row of corners is off
    views[3] = BoardView(views[3].points_m, wrong, 640, 480, "blurred.jpg")
    fit = fit_camera(views)
    assert [view.name for view in fit.views if not view.used] == ["blurred.jpg"]
    assert fit.views[3].rms_px > 1
    assert fit.rms_px < 0.2
    assert abs(fit.camera.fx - PLAIN.fx) < 4 * fit.sigma["fx"]


def test_small_differences_reject_nothing(views_of):
    views = views_of(PLAIN, 6)  # exact: three times the median of nothing is nothing
    assert all(view.used for view in fit_camera(views).views)


def test_doubts_are_said(views_of):
    good = fit_camera(views_of(PLAIN, 12, noise_px=0.1, fill=0.7))
    assert good.coverage > 0.6
    assert not any("cover" in doubt or "parallel" in doubt or "only" in doubt for doubt in good.warnings)
    poor = fit_camera(views_of(PLAIN, 4, noise_px=0.1, tilt_deg=8, fill=0.2))
    text = "; ".join(poor.warnings)
    for word in ("only 4 views", "cover", "nearly parallel"):
        assert word in text
    assert poor.coverage < 0.4
    assert poor.sigma["fx"] > 5 * good.sigma["fx"]


def test_bad_input_is_refused_with_advice(views_of):
    views = views_of(PLAIN, 4)
    with pytest.raises(InputError, match="found in 2 pictures, and at least 3"):
        fit_camera(views[:2])
    with pytest.raises(InputError, match="model must be one of"):
        fit_camera(views, model="cylinder")
    other = BoardView(views[0].points_m, views[0].uv_px, 480, 640, "turned.jpg")
    with pytest.raises(InputError, match=r"different sizes: .*480x640 \(turned.jpg\)"):
        fit_camera([*views, other])


def test_from_pictures_to_the_camera(photograph, poses, caplog):
    camera = PLAIN.resized(426, 320)
    images = [photograph(BOARD, camera, T) for T in poses(BOARD, camera, 6, tilt_deg=30, fill=0.5)]
    fit = calibrate_camera([*images, np.full_like(images[0], 200)], BOARD)
    assert "image 6 shows no whole board" in caplog.text
    assert len(fit.views) == 6
    assert fit.rms_px < 0.15
    for name in NAMES:
        assert abs(getattr(fit.camera, name) - getattr(camera, name)) < max(4 * fit.sigma[name], 0.5)


def test_real_chessboard_against_opencvs_own_file(shared_data):
    folder = shared_data / "chessboard_left"
    images = [cv2.imread(str(path))[..., ::-1].copy() for path in sorted(folder.glob("left*.jpg"))]
    views = [find_board(image, BOARD) for image in images]
    fit = fit_camera(views, square_pixels=True)
    theirs = load_camera(folder / "left_intrinsics.yml")
    assert len(fit.views) == 13
    assert fit.rms_px < 0.2  # theirs is 0.393
    assert fit.camera.fx == pytest.approx(theirs.fx, rel=0.006)
    assert (fit.camera.cx, fit.camera.cy) == pytest.approx((theirs.cx, theirs.cy), abs=2.5)
    assert fit.camera.distortion[0] == pytest.approx(theirs.distortion[0], abs=0.03)
