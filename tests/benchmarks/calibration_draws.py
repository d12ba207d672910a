"""What the calibration benchmark draws: relative maps of known truth, faulty references, rival fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats

import depth3d as d3
from depth3d.synthetic import default_camera, random_scene
from depth3d.synthetic.render import render_depth

SIGMA_REL = 0.02
"""Of a reference that is not an outlier; what `Anchor` takes where nothing is said."""
_FARTHEST_TIMES = 3.0
"""No depth of any fit counts as farther than so many times the truth's farthest."""


@dataclass(frozen=True)
class Truth:
    """A relative map and the (H, W) metres that it stands for, NaN where unknown."""

    name: str
    relative: d3.DepthMap
    z: np.ndarray


def synthetic_truth(seed: int, *, warp: float = 0.04, noise: float = 0.01, blur_px: float = 1.2) -> Truth:
    """Distort the inverse depth of a random scene as networks do, and hide its scale and shift."""
    rng = np.random.default_rng(seed)
    z = render_depth(random_scene(seed), default_camera(200, 150)).values.astype(np.float64)
    z = np.where(z < 40, z, np.nan)
    q = np.where(np.isnan(z), 0.0, 1 / z)
    bend = ndimage.gaussian_filter(rng.normal(size=q.shape), 30, mode="reflect")
    q = ndimage.gaussian_filter(q, blur_px) * (1 + warp * bend / bend.std() + rng.normal(0, noise, q.shape))
    scale, shift = rng.uniform(0.02, 0.2), rng.uniform(-0.02, 0.1)
    return Truth(f"scene {seed}", d3.DepthMap((q - shift) / scale, "relative"), z)


def draw_anchors(truth: Truth, n: int, outliers: float, rng: np.random.Generator) -> list[d3.Anchor]:
    """Measure n random pixels; a share of them is wrong by a factor of 1.5 to 4, up or down."""
    rows, cols = np.nonzero(np.isfinite(truth.z) & truth.relative.valid)
    at = rng.choice(len(rows), n, replace=False)
    z = truth.z[rows[at], cols[at]] * np.exp(rng.normal(0, SIGMA_REL, n))
    wrong = rng.random(n) < outliers
    z = np.where(wrong, z * rng.uniform(1.5, 4, n) ** rng.choice([-1, 1], n), z)
    return [d3.Anchor(cols[i] + 0.5, rows[i] + 0.5, depth) for i, depth in zip(at, z.tolist(), strict=True)]


Rival = Callable[[np.ndarray, np.ndarray], tuple[float, float]]


def least_squares(d: np.ndarray, q: np.ndarray) -> tuple[float, float]:
    a, b = np.linalg.lstsq(np.stack([d, np.ones_like(d)], axis=1), q, rcond=None)[0]
    return float(a), float(b)


def theil_sen(d: np.ndarray, q: np.ndarray) -> tuple[float, float]:
    slope, intercept, _, _ = stats.theilslopes(q, d)
    return float(slope), float(intercept)


def rivals() -> dict[str, Rival]:
    """Give the fits to compare with; RANSAC only where scikit-learn is installed."""
    found: dict[str, Rival] = {"least squares": least_squares, "Theil-Sen": theil_sen}
    try:
        from sklearn.linear_model import RANSACRegressor
    except ImportError:
        return found

    def ransac(d: np.ndarray, q: np.ndarray) -> tuple[float, float]:
        fit = RANSACRegressor(random_state=0, min_samples=2).fit(d[:, None], q)
        return float(fit.estimator_.coef_[0]), float(fit.estimator_.intercept_)

    return found | {"RANSAC (scikit-learn)": ransac}


def rival_error(fit: Rival, truth: Truth, anchors: list[d3.Anchor]) -> float:
    """Fit 1/z = a d + b to the map at the anchors' pixels; give AbsRel over the picture."""
    d = np.array([truth.relative.values[int(a.v_px), int(a.u_px)] for a in anchors], dtype=np.float64)
    try:
        scale, shift = fit(d, 1 / np.array([a.depth_m for a in anchors]))
    except ValueError:  # RANSAC found no consensus
        return np.nan
    return abs_rel(scale * truth.relative.values.astype(np.float64) + shift, truth)


def abs_rel(q: np.ndarray, truth: Truth) -> float:
    """Give the mean of |z_fit / z - 1|, no depth beyond three times the farthest; unknown counts as that."""
    floor = 1 / (_FARTHEST_TIMES * np.nanmax(truth.z))
    q = np.maximum(np.nan_to_num(q, nan=0.0), floor)
    return float(np.nanmean(np.abs(1 / (q * truth.z) - 1)))


@dataclass(frozen=True)
class Ours:
    """What one of our fits came to; all NaN where it was refused."""

    abs_rel: float
    within_1: float
    within_2: float
    sigma_rel: float
    form: str


REFUSED = Ours(np.nan, np.nan, np.nan, np.nan, "refused")


def our_fit(truth: Truth, anchors: list[d3.Anchor]) -> Ours:
    """Calibrate; give AbsRel, and how many pixels lie within one and 1.96 of the sigma given for each."""
    try:
        fit = d3.calibrate(truth.relative, anchors)
    except d3.Depth3DError:
        return REFUSED
    z, sigma = fit.apply(truth.relative).values, fit.sigma_m(truth.relative)
    known = np.isfinite(truth.z) & np.isfinite(z)
    error = np.abs(z - truth.z)[known] / sigma[known]
    return Ours(
        abs_rel(1 / z.astype(np.float64), truth),
        float(np.mean(error < 1)),
        float(np.mean(error < 1.96)),
        float(np.median(sigma[known] / z[known])),
        fit.form,
    )
