"""The focal length that the straight edges of one picture tell, where it shows rooms, houses or furniture."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.calibrate.line_segments import LineSegments, find_line_segments
from depth3d.calibrate.manhattan import FOCAL_RANGE, FrameFit, Lines, fit_frames, search_frames
from depth3d.core.arrays import ImageArray, frozen
from depth3d.core.camera import Camera
from depth3d.core.stages import stage
from depth3d.errors import CameraError

__all__ = ["VanishingPoints", "camera_from_vanishing_points", "find_vanishing_points"]

_Floats: TypeAlias = npt.NDArray[np.float64]

_FEWEST_LINES = 15
_MOST_LINES = 300
_STARTS: _Floats = np.geomspace(0.75, 5, 11).astype(np.float64)
_GRID: _Floats = np.geomspace(*FOCAL_RANGE, 41).astype(np.float64)
_NEIGHBOURS = 4
_FINALISTS = 8
_RESAMPLINGS = 32
_BLOCKS = 4

# Lengths are in half longer sides, as in `manhattan`. These were set on rendered rooms and on photos of two
# cameras, and measured on others.
_NOISE_RAD = np.radians(0.3)
"""What no line's direction is better than: walls are not quite square, lenses not quite straight."""
_BUNDLE_WIDTH = 0.06
_BUNDLE_RAD = np.radians(4)
"""Lines this near and this parallel are one bundle, such as the joints of bricks, and count as about one."""
_SHORT = 0.1
"""A line of this length counts half: short ones are texture and clutter."""
_TEMPER = 1.5
"""What the log-likelihood is divided by, since even bundles are not independent."""
_USUAL_FOCAL, _USUAL_SPREAD = 1.73, 0.5
"""60 degrees across the longer side, and how far photos differ from it (log): it decides between rivals."""
_CENTRE_SIGMA = 0.03
"""Of the principal point, on each axis: lenses are off by 1 to 2 % of the width; crops are assumed away."""
_BULGE_SIGMA = 0.01
"""Of the lens distortion that is assumed to be none: k1 in half longer sides."""
_BULGES = (-0.04, 0.04, 0.1)
_BENT_CREDIT = 2.0
"""Distortions that are tried, and how much less likely than none (log) each is before one looks."""
_MODEL_SIGMA = 0.03
"""Of the focal length, for all else."""

_FINITE = 0.1
"""Sine of the angle to the picture's plane from which on a direction's vanishing point counts as finite."""
_LEAST_SUPPORT = 2.0
_LEAST_LOG_ODDS = 0.2
_MOST_SIGMA = 0.15
_RIVAL_DISTANCE = 0.25
_MOST_RIVALRY = 0.1

_CURE = "give --fov-x-deg, --focal-35mm or --camera instead"


@dataclass(frozen=True, slots=True, eq=False)
class VanishingPoints:
    """Three orthogonal directions in a picture, and the focal length at which they are orthogonal.

    Attributes:
        camera: The camera, centred, with square pixels, its source `vanishing points`; `sigma_rel` is one
            standard deviation of its focal length.
        axes: (3, 3) rotation whose columns are the directions in the camera frame.
        segments: The lines that were looked at.
        axis_of: (n,) which column each of `segments` runs along, or -1.
    """

    camera: Camera
    axes: _Floats
    segments: LineSegments
    axis_of: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        axes = frozen(self.axes, name="axes", dtype=np.float64, shape=(3, 3))
        axis_of = frozen(self.axis_of, name="axis_of", dtype=np.int64, shape=(len(self.segments),))
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "axis_of", axis_of)

    @property
    def points_px(self) -> _Floats:
        """(3, 2) the vanishing points in pixels of the picture, infinite where lines stay parallel."""
        x, y, z = self.axes
        with np.errstate(divide="ignore", invalid="ignore"):
            across = np.where(z == 0, np.inf, self.camera.cx + self.camera.fx * x / z)
            down = np.where(z == 0, np.inf, self.camera.cy + self.camera.fy * y / z)
        return np.stack([across, down], axis=1)

    @property
    def note(self) -> str:
        """One sentence: how many lines support which vanishing points, and how sure that is."""
        parts = []
        for axis, (across, down) in enumerate(self.points_px):
            count = int((self.axis_of == axis).sum())
            where = f"{count} at ({across:.0f}, {down:.0f})"
            if abs(self.axes[2, axis]) < _FINITE:
                where = f"{count} nearly parallel"
            parts.append(where)
        return (
            f"field of view of {self.camera.fov_x_deg:.0f} degrees from the vanishing points of "
            f"{int((self.axis_of >= 0).sum())} of {len(self.segments)} straight edges ({', '.join(parts)}), "
            f"+-{100 * self.camera.sigma_rel:.0f} % in focal length, if the photo is not cropped"
        )

    def __repr__(self) -> str:
        counts = ", ".join(str(int((self.axis_of == axis).sum())) for axis in range(3))
        return f"VanishingPoints({counts} of {len(self.segments)} lines, {self.camera!r})"


def camera_from_vanishing_points(image: ImageArray, *, seed: int = 0) -> Camera:
    """Estimate the camera of one photo from the straight edges of rooms, houses or furniture in it.

    `find_vanishing_points` tells more; this is its camera.

    Args:
        image: (H, W, 3) uint8 sRGB, not cropped off centre, without visible lens distortion.
        seed: Of the random draws; the same seed gives the same camera.

    Returns:
        A centred camera with square pixels; `sigma_rel` is one standard deviation of its focal length.

    Raises:
        CameraError: The picture does not tell its focal length; the message says why.
    """
    return find_vanishing_points(image, seed=seed).camera


@stage("calibrating")
def find_vanishing_points(image: ImageArray, *, seed: int = 0) -> VanishingPoints:
    """Find the three orthogonal directions of a picture's straight edges, and with them its focal length.

    Two vanishing points v and w of orthogonal directions give f^2 = -(v - c) . (w - c), with c the principal
    point, here the centre (Caprile and Torre, Using vanishing points for camera calibration, 1990). The frame
    and f are fitted together to all lines, each along one of the three axes or stray (after Coughlan and
    Yuille, Manhattan world, 1999). Sigma joins the width of the likelihood over f, the scatter when whole
    parts of the picture are weighed anew (a block bootstrap), and what an off-centre principal point and a
    little lens distortion would change.

    Args:
        image: (H, W, 3) uint8 sRGB, not cropped off centre, without visible lens distortion. Sigma covers
            a crop of a tenth of the width on one side, which costs about 6 %; of a fifth, it does not.
        seed: Of the random draws.

    Returns:
        The directions, the lines along them, and the camera.

    Raises:
        CameraError: Too few straight edges; too few of them along three orthogonal directions; only one
            finite vanishing point, which any focal length explains; focal lengths too different explain
            the edges about as well; or the edges are bent, by the lens.
        InputError: `image` is no picture.
    """
    segments = find_line_segments(image)
    if len(segments) < _FEWEST_LINES:
        raise CameraError(
            f"the picture has {len(segments)} straight edges, too few to tell its field of view; {_CURE}"
        )
    segments = LineSegments(
        segments.ends_px[:_MOST_LINES], segments.noise_px, segments.width, segments.height
    )
    chance = np.random.default_rng(seed)
    lines = _lines_of(segments)
    starts = search_frames(lines, _STARTS, chance)
    posterior, profile = _posterior(lines, *starts)
    fit = _best_frame(lines, *starts, *profile)
    _require_certain(fit, posterior, lines)
    bends = _spread_of_bends(fit, segments, lines, profile, chance)
    sigma = float(np.hypot(_sigma_log_focal(fit, posterior, lines, segments, chance), bends))
    if sigma > _MOST_SIGMA:
        raise CameraError(
            f"the vanishing points leave {100 * sigma:.0f} % doubt about the focal length; {_CURE}"
        )
    width, height = segments.width, segments.height
    focal_px = float(fit.focal[0]) * max(width, height) / 2
    camera = Camera(
        focal_px, focal_px, width / 2, height / 2, width, height, source="vanishing points", sigma_rel=sigma
    )
    share = fit.share[0]
    axis_of = np.where(share.sum(axis=0) > 0.5, share.argmax(axis=0), -1)
    return VanishingPoints(camera, fit.axes[0], segments, axis_of.astype(np.int64))


def _lines_of(segments: LineSegments, centre: tuple[float, float] = (0.0, 0.0), bulge: float = 0.0) -> Lines:
    """Bring segments to half longer sides about the picture's centre, or one beside it, less a distortion."""
    half = max(segments.width, segments.height) / 2
    ends = (segments.ends_px - np.array([segments.width, segments.height]) / 2) / half - centre
    ends = ends * (1 + bulge * np.square(ends).sum(axis=-1, keepdims=True))
    mid, along = ends.mean(axis=1), ends[:, 1] - ends[:, 0]
    length = np.hypot(along[:, 0], along[:, 1])
    along = along / length[:, None]
    sigma_rad = np.hypot(np.sqrt(2) * segments.noise_px / half / length, _NOISE_RAD)
    apart = np.square(mid[:, None] - mid[None]).sum(axis=-1) / (2 * _BUNDLE_WIDTH**2)
    sine = along[:, None, 0] * along[None, :, 1] - along[:, None, 1] * along[None, :, 0]
    alike = np.exp(-apart - np.square(sine / _BUNDLE_RAD) / 2)
    weight = length / (alike @ length) * length / (length + _SHORT)
    return Lines(mid, along, sigma_rad, weight)


def _posterior(lines: Lines, focal: _Floats, axes: _Floats) -> tuple[_Floats, tuple[_Floats, _Floats]]:
    """How likely each focal length of the grid is, and the best frame (focal lengths, axes) at each of them.

    Args:
        lines: The lines.
        focal: (h,) where frames were searched.
        axes: (h, 3, 3) what was found there.
    """
    free = fit_frames(lines, focal, axes, steps=12)
    best = np.broadcast_to(free.axes[np.argmax(_credit(free.focal, free.log_odds))], (len(_GRID), 1, 3, 3))
    near = np.argsort(np.abs(np.log(focal / _GRID[:, None])), axis=1, kind="stable")[:, :_NEIGHBOURS]
    turned = np.concatenate([axes[near], best], axis=1).reshape(-1, 3, 3)
    held = np.repeat(_GRID, _NEIGHBOURS + 1)
    fixed = fit_frames(lines, held, turned, steps=7, free_focal=False)
    log_odds = fixed.log_odds.reshape(len(_GRID), -1)
    credit = _credit(_GRID, log_odds.max(axis=1))
    posterior = np.exp(credit - credit.max())
    chosen = fixed.axes.reshape(*log_odds.shape, 3, 3)[np.arange(len(_GRID)), log_odds.argmax(axis=1)]
    return posterior / posterior.sum(), (_GRID, chosen)


def _best_frame(lines: Lines, *starts: _Floats) -> FrameFit:
    """The likeliest frame, as a fit with h = 1, from sets of focal lengths and axes in turn."""
    rough = fit_frames(lines, np.concatenate(starts[::2]), np.concatenate(starts[1::2]), steps=8)
    last = np.argsort(-_credit(rough.focal, rough.log_odds), kind="stable")[:_FINALISTS]
    final = fit_frames(lines, rough.focal[last], rough.axes[last], steps=20)
    winner = int(np.argmax(_credit(final.focal, final.log_odds)))
    return FrameFit(**{f.name: getattr(final, f.name)[winner : winner + 1] for f in fields(FrameFit)})


def _credit(focal: _Floats, log_odds: _Floats) -> _Floats:
    unusual = np.log(focal / _USUAL_FOCAL) / _USUAL_SPREAD
    return np.asarray(log_odds / _TEMPER - unusual * unusual / 2)


def _require_certain(fit: FrameFit, posterior: _Floats, lines: Lines) -> None:
    """Refuse frames that few lines support, that any focal length suits, or that have rivals."""
    focal, axes = float(fit.focal[0]), fit.axes[0]
    if fit.log_odds[0] < _LEAST_LOG_ODDS * lines.weight.sum():
        raise CameraError(
            "the straight edges of the picture hardly run along three orthogonal directions, as those of "
            f"rooms and houses do, so they don't tell its field of view; {_CURE}"
        )
    finite = (np.abs(axes[2]) > _FINITE) & (fit.share[0] @ lines.weight > _LEAST_SUPPORT)
    if finite.sum() < 2:
        raise CameraError(
            "the picture shows fewer than two finite vanishing points of orthogonal directions, which any "
            f"focal length explains; {_CURE}"
        )
    if not _GRID[1] < focal < _GRID[-2]:
        raise CameraError(
            "the straight edges of the picture would need a field of view that no usual lens has, so they "
            f"probably run along no three orthogonal directions; {_CURE}"
        )
    far = np.where(np.abs(np.log(_GRID / focal)) > _RIVAL_DISTANCE, posterior, 0)
    if far.sum() > _MOST_RIVALRY:
        other = float(_GRID[np.argmax(far)])
        across = " and ".join(f"{2 * np.degrees(np.arctan(1 / f)):.0f}" for f in sorted((focal, other)))
        raise CameraError(
            f"fields of view as different as {across} degrees explain the straight edges of the picture "
            f"about as well; {_CURE}"
        )


def _spread_of_bends(
    fit: FrameFit,
    segments: LineSegments,
    lines: Lines,
    starts: tuple[_Floats, _Floats],
    chance: np.random.Generator,
) -> float:
    """How far log f would be off if the lens were distorted, as likely as that is.

    Raises:
        CameraError: It is likelier than not.
    """
    straight = _credit(fit.focal, fit.log_odds)[0]
    odds, squares = 1.0, 0.0
    for bulge in _BULGES:
        unbent = replace(_lines_of(segments, bulge=bulge), weight=lines.weight)
        other = _best_frame(unbent, *starts, *search_frames(unbent, _STARTS, chance))
        gain = float(_credit(other.focal, other.log_odds)[0] - straight) - _BENT_CREDIT
        if gain > 0:
            raise CameraError(
                "the lens seems to bend straight edges, which makes their vanishing points worthless; "
                "calibrate it (depth3d camera calibrate) and straighten the photo (depth3d camera "
                f"undistort), or {_CURE}"
            )
        odds += np.exp(gain)
        squares += np.exp(gain) * float(np.log(other.focal[0] / fit.focal[0])) ** 2
    return float(np.sqrt(squares / odds))


def _sigma_log_focal(
    fit: FrameFit,
    posterior: _Floats,
    lines: Lines,
    segments: LineSegments,
    chance: np.random.Generator,
) -> float:
    """One standard deviation of log f, from all that can be wrong with it."""
    width = float(np.sqrt(posterior @ np.square(np.log(_GRID / fit.focal[0]))))
    block = np.clip(np.floor((lines.mid + 1) * (_BLOCKS / 2)), 0, _BLOCKS - 1).astype(np.int64)
    weights = chance.exponential(size=(_RESAMPLINGS, _BLOCKS**2))[:, block @ [1, _BLOCKS]]
    starts = np.repeat(fit.focal, _RESAMPLINGS), np.repeat(fit.axes, _RESAMPLINGS, axis=0)
    scatter = float(np.log(fit_frames(lines, *starts, steps=10, weights=weights).focal).std())
    systematic = [
        float(
            np.log(
                fit_frames(_lines_of(segments, *other), fit.focal, fit.axes, steps=8).focal[0] / fit.focal[0]
            )
        )
        for other in (((_CENTRE_SIGMA, 0.0),), ((0.0, _CENTRE_SIGMA),), ((0.0, 0.0), _BULGE_SIGMA))
    ]
    return float(
        np.sqrt(np.square([max(width, fit.sigma_log_focal[0]), scatter, _MODEL_SIGMA, *systematic]).sum())
    )
