"""Straight edges: where they are to a fraction of a pixel, at any size of picture."""

import cv2
import numpy as np
import pytest

from depth3d.calibrate.line_segments import LineSegments, find_line_segments
from depth3d.errors import InputError


def edge_picture(width: int, height: int, normal: tuple[float, float], offset: float) -> np.ndarray:
    """Half dark, half bright, with a soft edge where normal . (x, y) = offset, pixel centres at +0.5."""
    y, x = np.mgrid[:height, :width] + 0.5
    side = np.clip(normal[0] * x + normal[1] * y - offset + 0.5, 0, 1)
    return np.repeat(np.round(40 + 160 * side).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("size_wh", "angle_deg"),
    [((300, 200), 0), ((300, 200), 90), ((200, 300), 33), ((320, 240), -61), ((2400, 1600), 20)],
)
def test_an_edge_is_found_where_it_is(size_wh, angle_deg):
    normal = np.array([np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))])
    offset = float(normal @ np.array(size_wh)) / 2
    segments = find_line_segments(edge_picture(*size_wh, tuple(normal), offset))
    pixel = max(1.0, max(size_wh) / 1024)  # of the working picture
    assert segments.noise_px == pytest.approx(0.5 * pixel, rel=2e-3)
    np.testing.assert_allclose(segments.ends_px[0] @ normal, offset, atol=0.35 * pixel)
    assert segments.lengths_px[0] > 0.9 * min(size_wh)


@pytest.mark.parametrize("size_wh", [(300, 200), (2000, 1500)])
def test_no_side_of_the_picture_is_favoured(size_wh):
    off = []
    for angle_deg in (0, 25, 50, 75, 90):
        normal = np.array([np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))])
        for step in np.arange(8) * 5 / 8:
            offset = float(normal @ np.array(size_wh)) / 2 + step
            segments = find_line_segments(edge_picture(*size_wh, tuple(normal), offset))
            off.extend(segments.ends_px[0] @ normal - offset)
    assert abs(np.mean(off)) < 0.04 * max(1.0, max(size_wh) / 1024)


def test_they_are_sorted_and_short_ones_are_left_out():
    rng = np.random.default_rng(0)
    picture = np.full((400, 500, 3), 90, np.uint8)
    for _ in range(40):
        start, end = rng.integers(0, 400, (2, 2))
        cv2.line(picture, start.tolist(), end.tolist(), rng.integers(0, 255, 3).tolist(), 5)
    segments = find_line_segments(picture)
    lengths = segments.lengths_px
    assert len(segments) > 20
    assert (np.diff(lengths) <= 0).all()
    assert lengths.min() >= 10
    np.testing.assert_allclose(
        lengths, np.linalg.norm(segments.ends_px[:, 1] - segments.ends_px[:, 0], axis=1), rtol=1e-12
    )


def test_the_picture_may_be_turned():
    picture = edge_picture(240, 180, (0.8, 0.6), 150)
    upright, turned = find_line_segments(picture), find_line_segments(np.rot90(picture).copy())
    assert (turned.width, turned.height) == (180, 240)
    x, y = upright.ends_px[0].T
    line = np.array([0.8, 0.6])
    np.testing.assert_allclose(np.stack([x, y], 1) @ line, 150, atol=0.35)
    # One turn counter-clockwise takes (x, y) to (y, width - x).
    across, down = turned.ends_px[0].T
    np.testing.assert_allclose(np.stack([240 - down, across], 1) @ line, 150, atol=0.35)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 400, 3), (9, 9, 3), (200, 200, 3)])
def test_smooth_and_tiny_pictures_have_none(shape):
    segments = find_line_segments(np.full(shape, 77, np.uint8))
    assert len(segments) == 0
    assert segments.lengths_px.shape == (0,)


def test_what_is_no_picture_is_refused():
    with pytest.raises(InputError, match="uint8"):
        find_line_segments(np.zeros((20, 20, 3)))
    with pytest.raises(InputError, match="finite"):
        LineSegments(np.full((1, 2, 2), np.nan), 0.5, 10, 10)
    with pytest.raises(InputError, match="ends_px"):
        LineSegments(np.zeros((3, 4)), 0.5, 10, 10)
