"""A focal length and three orthogonal directions, fitted together to the lines of a picture.

Lengths are in units of half the picture's longer side, from its principal point. A line of the world
along a direction d = (x, y, z) of the camera frame is seen pointing at the vanishing point f (x/z, y/z), so a
segment with midpoint m points along f (x, y) - z m, which stays finite where the vanishing point does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["FOCAL_RANGE", "FrameFit", "Lines", "fit_frames", "search_frames"]

FOCAL_RANGE = (0.65, 6.0)
"""Focal lengths that are looked for, in half longer sides: 114 to 19 degrees across the longer side."""

_Floats: TypeAlias = npt.NDArray[np.float64]

_STRAY_SHARE = 0.4
"""Prior share of lines along none of the three directions; those may point anywhere."""
_PAIRS = 1500
_VANISHING_POINTS = 8
_SEARCHED_LINES = 150
_SECOND_LINES = 60
_KEPT_FRAMES = 3
_SEARCH_SOFTNESS = 1.5  # a vanishing point of two lines is less exact than one of many


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Segments of a picture about its principal point, in half longer sides.

    Attributes:
        mid: (n, 2) midpoints.
        along: (n, 2) unit directions, of either sign.
        sigma_rad: (n,) one standard deviation of each direction.
        weight: (n,) how much each counts; less than 1 for one of many of a kind.
    """

    mid: _Floats
    along: _Floats
    sigma_rad: _Floats
    weight: _Floats

    @property
    def homogeneous(self) -> _Floats:
        """(n, 3) l with l . (x, y, 1) = 0 along each line."""
        (mx, my), (ux, uy) = self.mid.T, self.along.T
        return np.stack([-uy, ux, uy * mx - ux * my], axis=1)

    def __getitem__(self, index: npt.NDArray[np.intp] | slice) -> Lines:
        return Lines(self.mid[index], self.along[index], self.sigma_rad[index], self.weight[index])

    def __len__(self) -> int:
        return len(self.mid)


@dataclass(frozen=True, slots=True, eq=False)
class FrameFit:
    """What `fit_frames` makes of its starts.

    Attributes:
        focal: (h,) focal lengths in half longer sides.
        axes: (h, 3, 3) rotations whose columns are the three directions in the camera frame.
        log_odds: (h,) log-likelihood above that of lines that all point anywhere.
        share: (h, 3, n) probability that a line runs along a direction.
        sigma_log_focal: (h,) of the focal length, if the lines' errors were independent.
    """

    focal: _Floats
    axes: _Floats
    log_odds: _Floats
    share: _Floats
    sigma_log_focal: _Floats


def _towards(lines: Lines, focal: _Floats, axes: _Floats) -> tuple[_Floats, _Floats]:
    """(h, 3, n) x and y of the directions in which lines would point at the vanishing points."""
    x, y, z = (axes[:, row, :, None] for row in range(3))
    f = focal[:, None, None]
    return f * x - z * lines.mid[:, 0], f * y - z * lines.mid[:, 1]


def _densities(sine: _Floats, sigma_rad: _Floats) -> _Floats:
    """Density of a line's direction along each axis, times its prior, over that of a stray line."""
    peak = (1 - _STRAY_SHARE) / 3 * np.pi / _STRAY_SHARE / np.sqrt(2 * np.pi)
    odds: _Floats = peak / sigma_rad * np.exp(-0.5 * np.square(sine / sigma_rad))
    return odds


def fit_frames(
    lines: Lines,
    focal: _Floats,
    axes: _Floats,
    *,
    steps: int,
    free_focal: bool = True,
    weights: _Floats | None = None,
) -> FrameFit:
    """Improve frames by expectation maximisation with damped Gauss-Newton steps, many at once.

    The angles between segments and the directions to the vanishing points are normal along one of three
    axes, or uniform. Each step weighs a line by its probability of running along an axis, and turns frame
    and focal length so that the squared angles shrink; a step that lowers the likelihood is taken back.

    Args:
        lines: n lines.
        focal: (h,) starts, half longer sides.
        axes: (h, 3, 3) starts.
        steps: How many.
        free_focal: Whether the focal length may change.
        weights: (h, n) to multiply the weights of the lines with.
    """
    free = 4 if free_focal else 3
    weight = lines.weight[None] if weights is None else lines.weight * weights
    damping: _Floats = np.full(len(focal), 1e-4)
    low, high = np.log(FOCAL_RANGE[0]) - 0.2, np.log(FOCAL_RANGE[1]) + 0.2
    state: _State | None = None
    for _ in range(steps + 1):
        tried = _State.of(lines, focal, axes, weight)
        if state is None:
            state = tried
        else:
            better = tried.log_odds >= state.log_odds
            damping = np.where(better, np.maximum(damping / 5, 1e-6), np.minimum(damping * 20, 1e6))
            state = state.replaced_where(better, tried)
        normal, right = state.normal_equations(lines, weight, free)
        scale = np.einsum("hii->hi", normal)
        damped = normal + np.einsum("hi,ij->hij", damping[:, None] * scale + 1e-9, np.eye(free))
        step = np.clip(np.linalg.solve(damped, right[..., None])[..., 0], -0.3, 0.3)
        axes = state.axes @ _rotations(step[:, :3])
        focal = state.focal
        if free_focal:
            focal = np.exp(np.clip(np.log(focal) + step[:, 3], low, high))
    assert state is not None
    sigma = np.full(len(state.focal), np.nan)
    if free_focal:
        normal = normal + 1e-3 * np.eye(free)
        sigma = np.sqrt(np.linalg.inv(normal)[:, 3, 3])
    return FrameFit(state.focal, state.axes, state.log_odds, state.share, sigma)


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    focal: _Floats
    axes: _Floats
    log_odds: _Floats
    share: _Floats
    x: _Floats
    y: _Floats
    sine: _Floats

    @classmethod
    def of(cls, lines: Lines, focal: _Floats, axes: _Floats, weight: _Floats) -> _State:
        x, y = _towards(lines, focal, axes)
        sine = (lines.along[:, 0] * y - lines.along[:, 1] * x) / (np.hypot(x, y) + 1e-12)
        odds = _densities(sine, lines.sigma_rad)
        total = 1 + odds.sum(axis=1)
        log_odds = (weight * np.log(_STRAY_SHARE * total)).sum(axis=-1)
        return cls(focal, axes, log_odds, odds / total[:, None], x, y, sine)

    def replaced_where(self, better: npt.NDArray[np.bool_], other: _State) -> _State:
        def pick(name: str) -> _Floats:
            mine, theirs = getattr(self, name), getattr(other, name)
            return np.where(better.reshape(-1, *[1] * (mine.ndim - 1)), theirs, mine)

        return _State(*(pick(name) for name in self.__dataclass_fields__))

    def normal_equations(self, lines: Lines, weight: _Floats, free: int) -> tuple[_Floats, _Floats]:
        """Hessian (h, free, free) and downhill gradient of the weighted squared angles, log f last.

        The direction t towards a vanishing point turns by (t x dt) / |t|^2. Turning the frame about its
        own axis moves the other two along each other, so all of those are products of two of the three t.
        """
        x, y = self.x, self.y
        sign = np.where(lines.along[:, 0] * x + lines.along[:, 1] * y < 0, -1.0, 1.0)
        scale = sign / (x * x + y * y + 1e-12)
        jacobian = np.zeros((len(x), free, *x.shape[1:]))
        for axis, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            product = x[:, b] * y[:, c] - y[:, b] * x[:, c]
            jacobian[:, axis, b] = product * scale[:, b]
            jacobian[:, axis, c] = product * scale[:, c]
        if free == 4:
            f = self.focal[:, None, None]
            jacobian[:, 3] = f * (x * self.axes[:, 1, :, None] - y * self.axes[:, 0, :, None]) * scale
        precision = self.share * (weight / np.square(lines.sigma_rad))[:, None]
        weighted = (jacobian * precision[:, None]).reshape(len(x), free, -1)
        flat = jacobian.reshape(len(x), free, -1).transpose(0, 2, 1)
        return weighted @ flat, -(weighted @ self.sine.reshape(len(x), -1, 1))[..., 0]


def _rotations(turn: _Floats) -> _Floats:
    """(h, 3, 3) rotations by (h, 3) vectors of radians (Rodrigues)."""
    angle = np.linalg.norm(turn, axis=1)[:, None, None] + 1e-12
    x, y, z = (turn / angle[:, 0]).T
    o = np.zeros_like(x)
    cross = np.stack([o, -z, y, z, o, -x, -y, x, o], axis=-1).reshape(-1, 3, 3)
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross))


def search_frames(lines: Lines, focals: _Floats, chance: np.random.Generator) -> tuple[_Floats, _Floats]:
    """Find the frames that explain most lines at each of several focal lengths.

    The first direction is a vanishing point on which many lines agree; the second is orthogonal to it and
    along one of the longest lines; the third follows.

    Args:
        lines: At least two, the most exact ones first.
        focals: Half longer sides.
        chance: Draws the pairs of lines that vanishing points are made of.

    Returns:
        (h,) focal lengths and (h, 3, 3) axes: up to three frames for each of `focals`.
    """
    points = _vanishing_points(lines, chance)
    many = lines[:_SEARCHED_LINES]
    second = many.homogeneous[:_SECOND_LINES]
    softened = _SEARCH_SOFTNESS * many.sigma_rad
    all_focal, all_axes = [], []
    for focal in focals:
        first = points / [focal, focal, 1]
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        planes = second * [focal, focal, 1]  # normals of the planes through the camera and the lines
        planes /= np.linalg.norm(planes, axis=1, keepdims=True)
        beside = np.cross(first[:, None], planes[None]).reshape(-1, 3)
        length = np.linalg.norm(beside, axis=1)
        ahead = np.repeat(first, len(planes), axis=0)[length > 1e-3]
        beside = (beside / np.maximum(length, 1e-12)[:, None])[length > 1e-3]
        axes = np.stack([ahead, beside, np.cross(ahead, beside)], axis=-1)
        x, y = _towards(many, np.full(len(axes), focal), axes)
        sine = (many.along[:, 0] * y - many.along[:, 1] * x) / (np.hypot(x, y) + 1e-12)
        odds = np.log1p(_densities(sine, softened).sum(axis=1)) @ many.weight
        for axis in _different(axes, np.argsort(-odds, kind="stable")):
            all_focal.append(focal)
            all_axes.append(axis)
    return np.array(all_focal), np.array(all_axes)


def _different(axes: _Floats, order: npt.NDArray[np.intp]) -> list[_Floats]:
    """The best few frames of which no two agree within 4 degrees."""
    kept: list[_Floats] = []
    for index in order:
        frame = axes[index]
        if all(np.abs(frame.T @ other).max(axis=0).min() < np.cos(np.radians(4)) for other in kept):
            kept.append(frame)
        if len(kept) == _KEPT_FRAMES:
            break
    return kept


def _vanishing_points(lines: Lines, chance: np.random.Generator) -> _Floats:
    """(m, 3) homogeneous points that lines run through, each chosen for those that the others leave."""
    likely = lines.weight / lines.sigma_rad
    pair = chance.choice(len(lines), (2, _PAIRS), p=likely / likely.sum())
    points = np.cross(lines.homogeneous[pair[0]], lines.homogeneous[pair[1]])
    length = np.linalg.norm(points, axis=1)
    points = points[length > 1e-9] / length[length > 1e-9, None]
    x, y = (points[:, i : i + 1] - points[:, 2:] * lines.mid[:, i] for i in (0, 1))
    sine = (lines.along[:, 0] * y - lines.along[:, 1] * x) / (np.hypot(x, y) + 1e-12)
    gain = np.log1p(_densities(sine, _SEARCH_SOFTNESS * lines.sigma_rad))
    left = lines.weight.copy()
    chosen = []
    for _ in range(min(_VANISHING_POINTS, len(points))):
        best = int(np.argmax(gain @ left))
        chosen.append(points[best])
        left = np.maximum(left * np.exp(-gain[best]), 0.05 * lines.weight)
    return np.array(chosen).reshape(-1, 3)
