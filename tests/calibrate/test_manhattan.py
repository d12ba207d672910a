"""Frames and focal lengths fitted to lines whose answer is known in closed form."""

import numpy as np
import pytest

from depth3d.calibrate.manhattan import Lines, fit_frames, search_frames


def turned(yaw_deg: float, pitch_deg: float, roll_deg: float) -> np.ndarray:
    (cy, sy), (cp, sp), (cr, sr) = (
        (np.cos(a), np.sin(a)) for a in np.radians([yaw_deg, pitch_deg, roll_deg])
    )
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    roll = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return roll @ pitch @ yaw


def lines_of(focal, axes, count, *, noise_rad=0.0, stray=0, seed=0) -> Lines:
    """Segments along the three directions in turn, projected as points of the world are, and stray ones."""
    rng = np.random.default_rng(seed)
    mid = rng.uniform((-1, -0.75), (1, 0.75), (count + stray, 2))
    depth = rng.uniform(2, 6, count)
    point = np.column_stack([mid[:count] / focal, np.ones(count)]) * depth[:, None]
    ahead = point + 1e-6 * axes.T[np.arange(count) % 3]
    along = focal * ahead[:, :2] / ahead[:, 2:] - mid[:count]
    angle = np.arctan2(along[:, 1], along[:, 0]) + rng.normal(0, noise_rad, count)
    angle = np.concatenate([angle, rng.uniform(0, np.pi, stray)]) + np.pi * rng.integers(0, 2, count + stray)
    sigma = np.full(count + stray, max(noise_rad, np.radians(0.3)))
    return Lines(mid, np.stack([np.cos(angle), np.sin(angle)], 1), sigma, np.ones(count + stray))


def same_frame(a: np.ndarray, b: np.ndarray) -> float:
    """Largest angle in degrees between the axes of two frames, whatever their order and signs."""
    return float(np.degrees(np.arccos(np.clip(np.abs(a.T @ b).max(axis=0), 0, 1))).max())


POSES = [(30, 15, 5), (50, -25, 0), (20, 40, 30), (45, 10, 80)]


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("focal", [0.8, 1.7, 3.5])
def test_exact_lines_give_the_exact_frame(pose, focal):
    axes = turned(*pose)
    lines = lines_of(focal, axes, 60)
    start = axes @ turned(1, -1, 0.5)
    fit = fit_frames(lines, np.array([focal * 1.05]), start[None], steps=30)
    assert fit.focal[0] == pytest.approx(focal, rel=1e-4)
    assert same_frame(fit.axes[0], axes) < 5e-3
    np.testing.assert_allclose(fit.axes[0].T @ fit.axes[0], np.eye(3), atol=1e-12)
    assert (fit.share[0].argmax(axis=0) == np.arange(60) % 3).mean() > 0.95


def test_the_search_finds_the_frame_among_stray_lines():
    axes = turned(35, 12, 4)
    lines = lines_of(1.6, axes, 90, noise_rad=np.radians(0.3), stray=60)
    focal, found = search_frames(lines, np.array([1.3, 1.7, 2.2]), np.random.default_rng(0))
    assert len(focal) == len(found) <= 9
    fit = fit_frames(lines, focal, found, steps=20)
    best = int(np.argmax(fit.log_odds))
    assert fit.focal[best] == pytest.approx(1.6, rel=0.03)
    assert same_frame(fit.axes[best], axes) < 1


def test_steps_never_lower_the_likelihood():
    axes = turned(35, 12, 4)
    lines = lines_of(1.6, axes, 60, noise_rad=np.radians(0.5), stray=60)
    starts = np.stack([axes @ turned(*np.random.default_rng(i).uniform(-40, 40, 3)) for i in range(12)])
    reached = [
        fit_frames(lines, np.full(12, 1.0), starts, steps=steps).log_odds for steps in (0, 1, 2, 4, 8, 16)
    ]
    assert (np.diff(reached, axis=0) >= -1e-9).all()
    assert (reached[-1] > reached[0] + 1).all()


def test_at_the_maximum_no_neighbour_is_likelier():
    axes = turned(35, 12, 4)
    lines = lines_of(1.6, axes, 90, noise_rad=np.radians(0.4), stray=30)
    fit = fit_frames(lines, np.array([1.6]), axes[None], steps=60)
    small = 1e-3
    around = [turned(*(np.degrees(small) * np.array(d))) for d in np.vstack([np.eye(3), -np.eye(3)])]
    frames = np.stack([fit.axes[0] @ turn for turn in around] + [fit.axes[0]] * 2)
    focal = fit.focal[0] * np.array([1] * 6 + [1 + small, 1 - small])
    beside = fit_frames(lines, focal, frames, steps=0).log_odds
    assert (beside < fit.log_odds[0]).all()


def test_sigma_is_the_spread_of_many_draws():
    axes = turned(35, 20, 4)
    focal, sigma = [], []
    for seed in range(150):
        lines = lines_of(1.7, axes, 45, noise_rad=np.radians(0.5), seed=seed)
        fit = fit_frames(lines, np.array([1.7]), axes[None], steps=12)
        focal.append(fit.focal[0])
        sigma.append(fit.sigma_log_focal[0])
    spread = np.log(focal).std()
    assert np.median(sigma) == pytest.approx(spread, rel=0.25)
    # Unbiased: the mean of 150 draws is within three of its own sigmas.
    assert abs(np.log(np.array(focal) / 1.7).mean()) < 3 * spread / np.sqrt(150)


def test_a_held_focal_length_stays_and_has_no_sigma():
    axes = turned(35, 20, 4)
    lines = lines_of(1.7, axes, 45)
    fit = fit_frames(lines, np.array([1.2]), axes[None], steps=5, free_focal=False)
    assert fit.focal[0] == 1.2
    assert np.isnan(fit.sigma_log_focal[0])


def test_a_weight_of_two_counts_a_line_twice():
    axes = turned(35, 20, 4)
    lines = lines_of(1.7, axes, 40, noise_rad=np.radians(0.5), stray=10)
    twice = np.ones(50)
    twice[:20] = 2
    again = np.concatenate([np.arange(50), np.arange(20)])
    weighed = fit_frames(lines, np.array([1.7]), axes[None], steps=10, weights=twice[None])
    repeated = fit_frames(lines[again], np.array([1.7]), axes[None], steps=10)
    assert weighed.focal[0] == pytest.approx(repeated.focal[0], rel=1e-9)
    assert weighed.log_odds[0] == pytest.approx(repeated.log_odds[0], rel=1e-9)
