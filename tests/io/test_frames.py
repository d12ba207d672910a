"""Frames and units of clouds: rotations that mirror nothing, and their way back."""

from __future__ import annotations

import numpy as np
import pytest

from depth3d.io.frames import FRAMES, UNITS, from_frame, to_frame


@pytest.mark.parametrize(
    ("frame", "want"),
    [
        ("opencv", (1, 2, 3)),
        ("opengl", (1, -2, -3)),  # y up, z backward
        ("blender", (1, 3, -2)),  # y forward, z up
    ],
)
def test_a_known_point_in_each_frame(frame, want):
    np.testing.assert_array_equal(to_frame(np.array([[1, 2, 3]], dtype=np.float32), frame), [want])


@pytest.mark.parametrize("frame", FRAMES)
def test_frames_are_rotations_so_that_nothing_is_mirrored(frame):
    rotation = np.array(FRAMES[frame])
    np.testing.assert_array_equal(rotation @ rotation.T, np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("unit", UNITS)
def test_to_frame_is_the_matrix_and_from_frame_undoes_it(frame, unit, cloud_of):
    vectors = cloud_of().points
    turned = to_frame(vectors, frame, unit=unit)
    np.testing.assert_allclose(turned, UNITS[unit] * vectors @ np.array(FRAMES[frame]).T, rtol=1e-6)
    back = from_frame(turned, frame, unit=unit)
    np.testing.assert_array_max_ulp(back, vectors, maxulp=0 if unit == "m" else 1)


def test_turning_makes_no_negative_zeros():
    assert not np.signbit(to_frame(np.zeros((1, 3), np.float32), "opengl")).any()
