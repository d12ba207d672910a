"""The floor of a picture, found in its depth map: in disparity or 1/z a plane stays a plane.

On the plane n . X = h, with the unit normal n that points down and the camera's height h, a pixel's ray r
with r_z = 1 meets the floor at 1/z = (n . r) / h, which is affine in the ray's x and y. A relative map
d = (1/z - t) / s is then affine too: d = a x + b y + c with (s a, s b, s c + t) = n / h. The map tells which
way (n_x, n_y) points, that is the roll of the camera; its length, cos(pitch), is hidden by the unknown s.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from depth3d.core.arrays import frozen
from depth3d.core.camera import Camera
from depth3d.core.depth import DepthMap
from depth3d.errors import InputError

__all__ = ["Floor", "find_floor"]

_Array: TypeAlias = npt.NDArray[np.float64]

_MOST_PIXELS = 20_000
_MOST_TO_SCORE = 2_000
_FEWEST_PIXELS = 50
_HYPOTHESES = 2_000
_TOLERANCE = 0.02
"""How far from the plane floor may be, as a share of the values' spread: networks bend floors a little."""
_LEAST_SHARE = 0.15
"""Of the pixels looked at that must be floor."""
_LEAST_RISE = 10.0
"""How much a floor must come nearer from the top to the bottom of what is looked at, in units of the
tolerance: a wall ahead, with its errors, leans by less."""
_LEAST_SPAN = 10.0
"""How much the floor's values must differ, in units of their scatter, to tell it from a wall ahead."""
_LEAST_AREA = 1e-3
"""Of a triangle of floor pixels, times two, in a picture whose focal length is 1."""
_STEEP_DEG = 60.0
"""Looking down more than this, the floor is nearly level across the picture and may fall off any way."""
_SIGMA_OF_MAD = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class Floor:
    """A plane in a depth map that the camera looks down on.

    Attributes:
        plane: (3,) a, b and c of `a x + b y + c` over rays (x, y, 1): disparity, or 1/z of a metric map.
        scatter: Standard deviation of the map about it, in the same unit.
        uv_px: (n, 2) pixels of the photo that are floor.
        rays: (n, 3) their rays.
        share: How much of what was looked at they are.
    """

    plane: _Array
    scatter: float
    uv_px: _Array
    rays: _Array
    share: float

    def __post_init__(self) -> None:
        for name, shape in (("plane", (3,)), ("uv_px", (None, 2)), ("rays", (None, 3))):
            object.__setattr__(
                self, name, frozen(getattr(self, name), name=name, dtype=np.float64, shape=shape)
            )

    @property
    def downwards(self) -> _Array:
        """(2,) unit vector in the picture along which the floor comes nearer: down, turned by the roll."""
        length = float(np.hypot(*self.plane[:2]))
        return self.plane[:2] / length if length > 0 else np.array([0.0, 1.0])

    def places(self, shares: tuple[tuple[float, float], ...]) -> npt.NDArray[np.intp]:
        """Choose pixels of the floor that are spread over it.

        Args:
            shares: For each place how far it is from the farthest to the nearest and from the left to the
                right, as quantiles in 0..1.

        Returns:
            Indices into `uv_px` and `rays`.
        """
        along_x, along_y = self.downwards
        axes = self.rays[:, :2] @ np.array([[along_x, along_y], [along_y, -along_x]]).T
        spread = np.ptp(axes, axis=0) + 1e-12
        chosen = []
        for share in shares:
            wanted = [np.quantile(axes[:, i], share[i]) for i in (0, 1)]
            chosen.append(int(np.argmin((((axes - wanted) / spread) ** 2).sum(axis=1))))
        return np.array(chosen, dtype=np.intp)

    def inverse_depths(
        self, chosen: npt.NDArray[np.intp], height_m: float, pitch_deg: float
    ) -> tuple[_Array, _Array, _Array]:
        """Give 1/z of floor pixels for a camera of known height and pitch.

        With the pitch p, n = (cos p * downwards, sin p).

        Args:
            chosen: (k,) which pixels.
            height_m: Of the camera above the floor.
            pitch_deg: How far it looks down.

        Returns:
            (k,) 1/z, its derivative by the pitch in radians, its derivative by the relative focal length. Not
            positive where the pitch has the pixel above the horizon.
        """
        cos, sin = math.cos(math.radians(pitch_deg)), math.sin(math.radians(pitch_deg))
        downhill = self.rays[chosen, :2] @ self.downwards
        return (
            (cos * downhill + sin) / height_m,
            (cos - sin * downhill) / height_m,
            -cos * downhill / height_m,
        )

    def height_residual(self, chosen: npt.NDArray[np.intp], height_m: float) -> Callable[[_Array], _Array]:
        """Make the condition that three pixels of the floor lie on a plane at the camera's height.

        Their rays R and 1/z q fix the plane, R n = height q, and |n| = 1 fixes the height.

        Args:
            chosen: (3,) which pixels.
            height_m: Of the camera above the floor.

        Returns:
            Takes (..., 3) inverse depths, gives the logarithm of the height that results over `height_m`.

        Raises:
            InputError: The pixels lie on a line, so that they fix no plane.
        """
        rays = self.rays[chosen]
        if abs(np.linalg.det(rays)) < _LEAST_AREA:
            raise InputError(
                "the floor that is to be seen is too small to tell its height; give floor_px with more of "
                "it, or another reference"
            )
        to_normal = np.linalg.inv(rays)

        def log_residual(inverse_depth: _Array) -> _Array:
            normal = np.einsum("ij,...j->...i", to_normal, inverse_depth)
            return np.asarray(-np.log(np.linalg.norm(normal, axis=-1) * height_m))

        return log_residual


def find_floor(
    depth: DepthMap,
    camera: Camera,
    *,
    box_px: tuple[float, float, float, float] | None = None,
    pitch_deg: float | None = None,
    seed: int = 0,
) -> Floor:
    """Find the floor.

    Planes through three pixels each are tried, those that no floor makes are set aside (a floor comes nearer
    towards the lower edge, up to 45 degrees of roll), the one with the most pixels near it is fitted anew to
    these (RANSAC: Fischler and Bolles, CACM 1981).

    Args:
        depth: The map, relative or metric.
        camera: Intrinsics of the photo.
        box_px: (left, top, right, bottom) where to look, in pixels of the photo; None is the lower half.
        pitch_deg: How far the camera looks down, if known: from 60 degrees on the floor may come nearer in
            any direction, or in none.
        seed: Of the choice of pixels.

    Returns:
        The floor.

    Raises:
        InputError: There is none, or too little of it.
    """
    width, height = camera.size_wh
    left, top, right, bottom = box_px or (0.0, height / 2, float(width), float(height))
    uv, q = _pixels_in(depth, camera, (left, top, right, bottom))
    rays = camera.rays(uv)
    known = np.isfinite(q) & np.isfinite(rays).all(axis=1)
    uv, q, rays = uv[known], q[known], rays[known]
    where = f"in the box {left:g},{top:g},{right:g},{bottom:g}"
    if len(q) < _FEWEST_PIXELS:
        raise InputError(
            f"the depth map knows too few pixels {where} to find the floor there; give floor_px, a box "
            "LEFT,TOP,RIGHT,BOTTOM that shows floor"
        )
    steep = pitch_deg is not None and pitch_deg >= _STEEP_DEG
    low, high = np.percentile(q, [2, 98])
    tolerance = _TOLERANCE * max(float(high - low), 1e-6 * abs(float(high)), 1e-12)
    plane = _most_supported(rays, q, tolerance, steep, np.random.default_rng(seed))
    if plane is not None:
        on_it, plane, scatter = _refitted(rays, q, plane, tolerance)
        share = float(on_it.mean())
        span = float(np.ptp(rays[on_it] @ plane)) if on_it.any() else 0.0
        rises = steep or (plane[1] > abs(plane[0]) and span > _LEAST_SPAN * scatter)
        if share >= _LEAST_SHARE and rises:
            return Floor(plane, scatter, uv[on_it], rays[on_it], share)
    raise InputError(
        f"no flat floor that comes nearer towards the lower edge is to be seen {where}; give floor_px, a box "
        "LEFT,TOP,RIGHT,BOTTOM that shows floor for the most part, or another reference"
    )


def _pixels_in(
    depth: DepthMap, camera: Camera, box: tuple[float, float, float, float]
) -> tuple[_Array, _Array]:
    """Take an even grid of the map's pixels in a box of the photo: (n, 2) places, (n,) disparity or 1/z."""
    step_x, step_y = camera.width / depth.width, camera.height / depth.height
    u, v = (np.arange(depth.width) + 0.5) * step_x, (np.arange(depth.height) + 0.5) * step_y
    cols = np.flatnonzero((u >= box[0]) & (u <= box[2]))
    rows = np.flatnonzero((v >= box[1]) & (v <= box[3]))
    stride = max(1, int(np.ceil(np.sqrt(len(cols) * len(rows) / _MOST_PIXELS))))
    cols, rows = cols[::stride], rows[::stride]
    values = depth.values[np.ix_(rows, cols)].astype(np.float64).ravel()
    uv = np.stack(np.meshgrid(u[cols], v[rows]), axis=-1).reshape(-1, 2)
    return uv, 1 / values if depth.is_metric else values


def _most_supported(
    rays: _Array, q: _Array, tolerance: float, steep: bool, draw: np.random.Generator
) -> _Array | None:
    """Find the plane that most pixels are near, None where no three pixels make one that could be a floor."""
    triples = draw.integers(0, len(q), (_HYPOTHESES, 3))
    corners = rays[triples]
    area = np.abs(np.linalg.det(corners))
    sound = area > 1e-3 * np.median(area) if area.any() else np.zeros(len(area), dtype=np.bool_)
    planes = np.linalg.solve(corners[sound], q[triples[sound]][..., None])[..., 0]
    if not steep:
        rise = planes[:, 1] * np.ptp(rays[:, 1])
        planes = planes[(planes[:, 1] > np.abs(planes[:, 0])) & (rise > _LEAST_RISE * tolerance)]
    if not len(planes):
        return None
    some = draw.permutation(len(q))[:_MOST_TO_SCORE]
    near = np.abs(rays[some] @ planes.T - q[some, None]) <= tolerance
    return np.asarray(planes[np.argmax(near.sum(axis=0))])


def _refitted(
    rays: _Array, q: _Array, plane: _Array, tolerance: float
) -> tuple[npt.NDArray[np.bool_], _Array, float]:
    """Fit the plane to the pixels near it, five times over: which these are, the plane, their scatter."""
    on_it = np.abs(rays @ plane - q) <= tolerance
    scatter = tolerance
    for _ in range(5):
        if on_it.sum() < _FEWEST_PIXELS:
            break
        plane = np.asarray(np.linalg.lstsq(rays[on_it], q[on_it], rcond=None)[0], dtype=np.float64)
        off = np.abs(rays @ plane - q)
        scatter = _SIGMA_OF_MAD * float(np.median(off[on_it]))
        on_it = off <= tolerance
    return on_it, plane, scatter
