"""`calibrate_camera`: a lens from pictures of a flat board, with an honest sigma and every doubt said.

Method: Zhang, "A Flexible New Technique for Camera Calibration", TPAMI 2000, with the lens models of OpenCV.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.boards import Board, BoardView, find_board
from depth3d.calibrate.bundle import Bundle, adjust, pose_of_board
from depth3d.core.arrays import ImageArray
from depth3d.core.camera import Camera
from depth3d.core.distortion import DistortionModel
from depth3d.errors import InputError

__all__ = ["CameraFit", "LensModel", "ViewFit", "calibrate_camera", "fit_camera"]

LensModel: TypeAlias = Literal["plain", "rational", "fisheye"]
"""`plain`: k1 k2 p1 p2 k3. `rational`: k4 k5 k6 too, for wide lenses. `fisheye`: k1 to k4 of the angle."""

_Array: TypeAlias = npt.NDArray[np.float64]

_COEFFICIENTS: dict[LensModel, tuple[str, ...]] = {
    "plain": ("k1", "k2", "p1", "p2", "k3"),
    "rational": ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    "fisheye": ("k1", "k2", "k3", "k4"),
}
_FEWEST_VIEWS = 3
_FOVS_DEG = (20, 35, 50, 70, 95, 125, 160)  # where the search for the focal length begins
_WORST_RATIO = 3.0  # a view whose error is this many times the median does not belong
_HARMLESS_PX = 0.1  # and one whose error is smaller does, however good the others are
_CELLS_WH = (8, 6)
_FEW_CELLS = 0.6
_SMALL_TILT_DEG = 20.0
_FEW_VIEWS = 6

_log = logging.getLogger("depth3d")


@dataclass(frozen=True, slots=True, eq=False)
class ViewFit:
    """How one view agrees with the camera.

    Attributes:
        name: Of the picture.
        points: How many board points it shows.
        rms_px: Root mean square distance in pixels between measured and projected points.
        used: Whether the camera rests on it; False for a view rejected for its error.
        T_camera_board: (4, 4) pose of the board, in the metres of `Board.square_m`.
    """

    name: str
    points: int
    rms_px: float
    used: bool
    T_camera_board: _Array


@dataclass(frozen=True, slots=True, eq=False)
class CameraFit:
    """A calibrated camera and what it rests on.

    Attributes:
        camera: The camera; `sigma_rel` is that of its focal lengths.
        sigma: One standard deviation of each parameter: pixels for fx, fy, cx and cy, none for k1 ...
        rms_px: Root mean square reprojection error in pixels of the views used.
        views: All views, in their order, the rejected ones included.
        coverage: Share of the cells of an 8x6 grid over the picture that hold a point of a used view.
        warnings: What makes the camera less good than its error says, each with a cure.
    """

    camera: Camera
    sigma: Mapping[str, float]
    rms_px: float
    views: tuple[ViewFit, ...]
    coverage: float
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        used = sum(view.used for view in self.views)
        return f"CameraFit({self.camera!r}, {self.rms_px:.3f} px over {used} of {len(self.views)} views)"


def calibrate_camera(
    images: Iterable[ImageArray], board: Board, *, model: LensModel = "plain", square_pixels: bool = False
) -> CameraFit:
    """Calibrate a camera from pictures of a flat board.

    Args:
        images: (H, W, 3) uint8 sRGB each, all of one size and from one camera with one focus and zoom. Ten to
            twenty, near and far, tilted by 30 to 45 degrees in all directions, that fill it together.
        board: What they show.
        model: `plain`, `rational` or `fisheye`.
        square_pixels: Whether fx = fy is to hold.

    Returns:
        The camera, in our pixels, with errors, sigmas and warnings. Pictures without a board are left out,
        with a logged warning.

    Raises:
        InputError: Fewer than three pictures show the board, or they have different sizes.
    """
    views = []
    for i, image in enumerate(images):
        view = find_board(image, board, name=f"image {i}")
        if view is None:
            _log.warning("image %d shows no whole board", i)
        else:
            views.append(view)
    return fit_camera(views, model=model, square_pixels=square_pixels)


def fit_camera(
    views: Sequence[BoardView], *, model: LensModel = "plain", square_pixels: bool = False
) -> CameraFit:
    """Fit a lens to views of a board, and reject views that contradict the others.

    One at a time, the view with the largest error is left out while that is over three times the median.

    The sigmas are the larger of two: those of independent errors of all points, and those from how much the
    views contradict each other (the sandwich of White, 1980, clustered by view). A bent board or a lens that
    the model can't follow shows in the latter only.

    Args:
        views: Of `find_board`, at least three.
        model: `plain`, `rational` or `fisheye`.
        square_pixels: Whether fx = fy is to hold.

    Returns:
        The camera with errors, sigmas and warnings.

    Raises:
        InputError: Fewer than three views, different sizes, an unknown model, or views that no lens explains.
    """
    if model not in get_args(LensModel):
        raise InputError(f"model must be one of {get_args(LensModel)}, got {model!r}")
    if len(views) < _FEWEST_VIEWS:
        raise InputError(
            f"the board was found in {len(views)} pictures, and at least {_FEWEST_VIEWS} are needed; check "
            "the numbers of columns and rows, and take pictures that show it sharp and from several sides"
        )
    sizes = {(view.width, view.height): view.name for view in views}
    if len(sizes) > 1:
        listed = ", ".join(f"{w}x{h} ({name})" for (w, h), name in sizes.items())
        raise InputError(f"the pictures have different sizes: {listed}; calibrate each size by itself")
    free = _free(model, square_pixels)
    used = list(range(len(views)))
    bundle = adjust(views, *_start(views, model, free), _family(model), free)
    while len(used) > _FEWEST_VIEWS:
        errors = np.array([_rms(bundle.residuals[i : i + 1]) for i in range(len(used))])
        worst = int(errors.argmax())
        if errors[worst] <= max(_WORST_RATIO * float(np.median(errors)), _HARMLESS_PX):
            break
        _log.info("left %s out, its error is %.2f px", views[used[worst]].name, errors[worst])
        del used[worst]
        poses = np.delete(bundle.poses, worst, axis=0)
        bundle = adjust([views[i] for i in used], bundle.lens, poses, bundle.model, free)
    return _report(views, used, bundle, model, free)


def _family(model: LensModel) -> DistortionModel:
    return "fisheye" if model == "fisheye" else "opencv"


def _free(model: LensModel, square_pixels: bool) -> _Array:
    free = np.eye(4 + len(_COEFFICIENTS[model]))
    if square_pixels:
        free[:, 0] += free[:, 1]
        free = np.delete(free, 1, axis=1)
    return free


def _start(views: Sequence[BoardView], model: LensModel, free: _Array) -> tuple[_Array, _Array]:
    """Try focal lengths, with one coefficient and a centred principal point; keep the best."""
    width, height = views[0].width, views[0].height
    family, guesses = _family(model), []
    for fov in np.radians(_FOVS_DEG):
        focal = width / fov if model == "fisheye" else width / (2 * np.tan(fov / 2))
        lens = np.array([focal, focal, width / 2, height / 2] + [0.0] * (len(free) - 4))
        poses = [pose_of_board(view, lens, family) for view in views]
        known = np.array([pose for pose in poses if pose is not None])
        if len(known) == len(views):
            still = adjust(views, lens, known, family, np.empty((len(free), 0)), max_steps=3)
            guesses.append((still.cost, lens, still.poses))
    focal_and_k1 = np.zeros((len(free), 2))
    focal_and_k1[:2, 0] = focal_and_k1[4, 1] = 1
    guesses = sorted((guess for guess in guesses if np.isfinite(guess[0])), key=lambda guess: guess[0])
    tried = [adjust(views, lens, poses, family, focal_and_k1, max_steps=30) for _, lens, poses in guesses[:2]]
    if not tried:
        raise InputError(
            "no lens explains these views; check columns and rows, and try the fisheye model for a wide lens"
        )
    best = min(tried, key=lambda bundle: bundle.cost)
    return best.lens, best.poses


def _rms(residuals: Sequence[_Array]) -> float:
    return float(np.sqrt(np.mean(np.square(np.concatenate(residuals)).sum(axis=1))))


def _covariance(bundle: Bundle, free: _Array) -> tuple[_Array, _Array]:
    """Find the covariance of the whole lens twice: from independent points, and from clusters by view."""
    n_views = len(bundle.residuals)
    count = 2 * sum(len(r) for r in bundle.residuals)
    inverse = np.linalg.pinv(bundle.information, rcond=1e-18, hermitian=True)
    spare = max(1, count - 6 * n_views - free.shape[1])
    points = inverse * (bundle.cost / spare)
    scores = bundle.scores - bundle.scores.mean(axis=0)
    views = inverse @ (scores.T @ scores) @ inverse * (n_views / (n_views - 1))
    return free @ points @ free.T, free @ views @ free.T


def _report(
    views: Sequence[BoardView], used: Sequence[int], bundle: Bundle, model: LensModel, free: _Array
) -> CameraFit:
    variances = [np.diag(covariance) for covariance in _covariance(bundle, free)]
    sigmas = np.sqrt(np.maximum(*variances))
    names = ("fx", "fy", "cx", "cy", *_COEFFICIENTS[model])
    fx, fy, cx, cy, *k = bundle.lens.tolist()
    width, height = views[0].width, views[0].height
    sigma_rel = float(max(sigmas[0] / fx, sigmas[1] / fy))
    camera = Camera(fx, fy, cx, cy, width, height, tuple(k), "file", sigma_rel, bundle.model)
    described = []
    for i, view in enumerate(views):
        if i in used:
            at = list(used).index(i)
            pose, residuals = bundle.poses[at], bundle.residuals[at]
        else:
            found = pose_of_board(view, bundle.lens, bundle.model)
            lone = np.zeros(6) if found is None else found
            still = np.empty((len(free), 0))
            alone = adjust([view], bundle.lens, lone[None], bundle.model, still)
            pose, residuals = alone.poses[0], alone.residuals[0]
        described.append(ViewFit(view.name, len(view.uv_px), _rms([residuals]), i in used, _matrix(pose)))
    seen = [views[i] for i in used]
    coverage = _coverage(seen)
    turned = [fit.T_camera_board[:3, 2] for fit in described if fit.used]
    return CameraFit(
        camera,
        dict(zip(names, sigmas.tolist(), strict=True)),
        _rms(bundle.residuals),
        tuple(described),
        coverage,
        tuple(_doubts(camera, seen, len(views), coverage, turned)),
    )


def _matrix(pose: _Array) -> _Array:
    import cv2

    T = np.eye(4)
    T[:3, :3], T[:3, 3] = cv2.Rodrigues(pose[:3].copy())[0], pose[3:]
    return T


def _coverage(views: Sequence[BoardView]) -> float:
    uv = np.concatenate([view.uv_px for view in views]) / (views[0].width, views[0].height)
    cells = np.clip((uv * _CELLS_WH).astype(int), 0, np.array(_CELLS_WH) - 1)
    return len(np.unique(cells, axis=0)) / (_CELLS_WH[0] * _CELLS_WH[1])


def _doubts(
    camera: Camera, views: Sequence[BoardView], n_given: int, coverage: float, axes: Sequence[_Array]
) -> Iterable[str]:
    if len(views) < _FEW_VIEWS:
        yield f"only {len(views)} views were used; take ten or more"
    if len(views) < 2 / 3 * n_given:
        yield f"{n_given - len(views)} of {n_given} views were rejected; check for blur and for a bent board"
    if coverage < _FEW_CELLS:
        yield (
            f"the boards cover {coverage:.0%} of the picture, so that the lens is a guess elsewhere; take "
            "views with the board at the edges and in the corners"
        )
    widest = max(np.degrees(np.arccos(np.clip(a @ b, -1, 1))) for a, b in itertools.combinations(axes, 2))
    if widest < _SMALL_TILT_DEG:
        yield (
            f"the boards are nearly parallel, within {widest:.0f} degrees, which leaves the focal length "
            "open; tilt the board by 30 to 45 degrees"
        )
    w, h = camera.size_wh
    corners = np.array([[0, 0], [w, 0], [0, h], [w, h]], dtype=np.float64)
    if not np.isfinite(camera.rays(corners)).all():
        yield (
            "the lens model folds over before the picture's corners, which have no rays; take views with "
            "the board in the corners, or use another model"
        )
